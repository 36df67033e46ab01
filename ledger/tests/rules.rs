//! The rules of each message, one by one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::evm::{Evm, inbound};
use common::{Chain, account, attested, batch, outcomes, preimage, sent_packet, sfs};
use crosspoint_ledger::code;
use crosspoint_ledger::events::{Event, Outcome};
use crosspoint_ledger::handlers::client::join_evidence;
use crosspoint_ledger::query::{ClientView, HoldView, ProposalView};
use crosspoint_ledger::tx::action::{Action, AttestedSpec, ClientSpec, Limits, NewDenom, NewMember, Role};
use crosspoint_ledger::tx::message::{ClaimItem, Message, ProvenClaim};
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::packet::Payload;

fn transfer(to: &str, amount: u128) -> Message {
    Message::Transfer { to: account(to), denom: sfs(), amount: Amount::new(amount), memo: String::new() }
}

#[test]
fn only_members_with_enough_points_transfer_and_only_to_members() {
    let mut chain = Chain::new();
    chain.ok("mall", transfer("alice", 100));
    assert_eq!((chain.balance("alice", &sfs()), chain.balance("mall", &sfs())), (100, 599_999_900));
    chain.refused("alice", transfer("bob", 101), code::INSUFFICIENT);
    chain.refused("stranger", transfer("bob", 1), code::NOT_MEMBER);
    chain.refused("alice", transfer("stranger", 1), code::NOT_MEMBER);
    let escrow = crosspoint_ledger::address::AccountId::module("escrow");
    let to_escrow = Message::Transfer { to: escrow, denom: sfs(), amount: Amount::new(1), memo: String::new() };
    chain.refused("alice", to_escrow, code::INVALID);
    chain.ok("alice", transfer("alice", 100));
    assert_eq!(chain.balance("alice", &sfs()), 100);
    chain.check_books();
}

#[test]
fn a_transaction_takes_effect_whole_or_not_at_all_and_uses_its_nonce() {
    let mut chain = Chain::new();
    let tx = chain.sign("mall", vec![transfer("alice", 5), transfer("alice", u128::MAX)]);
    assert_eq!(chain.block(std::slice::from_ref(&tx))[0].code, code::INSUFFICIENT);
    assert_eq!(chain.balance("alice", &sfs()), 0);
    assert_eq!(chain.block(std::slice::from_ref(&tx))[0].code, code::NONCE_USED);
    assert_eq!(chain.app.check_tx(&tx).code, code::NONCE_USED);
    chain.sign("mall", vec![transfer("alice", 1)]);
    let early = chain.sign("mall", vec![transfer("alice", 1)]);
    assert_eq!(chain.app.check_tx(&early).code, code::OK);
    assert_eq!(chain.block(&[early])[0].code, code::NONCE_AHEAD);
}

#[test]
fn a_closed_denom_is_never_issued_again_and_an_open_one_never_above_its_cap() {
    let mut chain = Chain::new();
    let issue = |denom: &str, amount| Message::Issue {
        to: account("alice"),
        denom: denom.parse().unwrap(),
        amount: Amount::new(amount),
    };
    let burn = |denom: &str, amount| Message::Burn { denom: denom.parse().unwrap(), amount: Amount::new(amount) };
    chain.refused("mall", issue("sfs", 1), code::INVALID);
    chain.ok("mall", burn("sfs", 10));
    chain.refused("mall", issue("sfs", 1), code::INVALID);
    chain.decide(Action::CreateDenom(NewDenom {
        denom: "cof".parse().unwrap(),
        symbol: "COF".into(),
        decimals: 2,
        issuer: account("coffee"),
        cap: Amount::new(100),
    }));
    chain.refused("mall", issue("cof", 1), code::NOT_ALLOWED);
    chain.refused("coffee", issue("cof", 101), code::INVALID);
    chain.ok("coffee", issue("cof", 100));
    chain.refused("coffee", issue("cof", 1), code::INVALID);
    chain.refused("alice", burn("cof", 101), code::INSUFFICIENT);
    chain.ok("alice", burn("cof", 40));
    chain.ok("coffee", issue("cof", 40));
    chain.refused("coffee", issue("nope", 1), code::NOT_FOUND);
    chain.check_books();
}

#[test]
fn a_lock_keeps_the_window_and_what_evm_can_express_and_uses_a_hashlock_once() {
    let evm = Evm::new();
    let mut chain = Chain::linked(&evm);
    type Change = fn(&mut crosspoint_ledger::tx::message::LockMsg);
    let cases: [(Change, u32); 9] = [
        (|m| m.timeout.0 = 0, code::INVALID),
        (|m| m.timeout.0 += 24 * 3600, code::INVALID),
        (|m| m.claim_deadline = m.timeout, code::INVALID),
        (|m| m.claim_deadline.0 += 86_400 / 3, code::INVALID),
        (|m| m.amount = Amount::new(Amount::MAX_COMPACT.get() + 1), code::INVALID),
        (|m| m.receiver = format!("0x{}", "AB".repeat(20)).parse().unwrap(), code::INVALID),
        (|m| m.receiver = format!("0x{}", "00".repeat(20)).parse().unwrap(), code::INVALID),
        (|m| m.client = "attested-9".parse().unwrap(), code::NOT_FOUND),
        (|m| m.denom = "nope".parse().unwrap(), code::NOT_FOUND),
    ];
    for (index, (change, code)) in cases.into_iter().enumerate() {
        let mut msg = chain.lock_msg(10, preimage(1).hashlock());
        change(&mut msg);
        let result = chain.run("mall", Message::Lock(msg));
        assert_eq!(result.code, code, "case {index}: {}", result.log);
    }
    // None of the refused used the hashlock up.
    chain.lock("mall", 10, preimage(1).hashlock());
    let again = chain.lock_msg(10, preimage(1).hashlock());
    chain.refused("mall", Message::Lock(again.clone()), code::INVALID);
    // Another sender's hashlocks are its own.
    chain.ok("marketing", Message::Lock(again));
    chain.check_books();
}

#[test]
fn a_bad_packet_gets_a_receipt_and_an_error_ack_and_never_a_hold() {
    let mut evm = Evm::new();
    let mut chain = Chain::linked(&evm);
    let now = chain.now;
    let lock = |change: &dyn Fn(&mut crosspoint_protocol::lock::PointsLock)| {
        let mut lock = inbound("points/checkpoint-0/sfs", 5, "alice", preimage(1).hashlock(), now + 200);
        change(&mut lock);
        lock
    };
    let bad = [
        lock(&|l| l.receiver = account("stranger").to_string().parse().unwrap()),
        lock(&|l| l.receiver = "0x00".parse().unwrap()),
        lock(&|l| l.receiver = crosspoint_ledger::address::AccountId::module("escrow").to_string().parse().unwrap()),
        lock(&|l| l.claim_deadline.0 = now + 101),
        lock(&|l| l.claim_deadline.0 = now + 86_400),
        lock(&|l| l.denom = "unknown".parse().unwrap()),
        lock(&|l| l.denom = "points/checkpoint-0/never".parse().unwrap()),
        // Nothing of this denom ever went out here.
        lock(&|_| {}),
    ];
    let mut packets: Vec<_> = bad.iter().map(|lock| evm.send(lock, now + 100)).collect();
    let mut garbage = Payload::points(&lock(&|_| {}));
    garbage.value = vec![1, 2, 3];
    let garbage = evm.packet(garbage, now + 100);
    evm.store(&garbage.commitment_path(), garbage.commitment());
    packets.push(garbage);
    evm.mine(now);
    let done = chain.relay(&mut evm, packets.iter().map(|p| (p.clone(), ProvenClaim::Sent)).collect());
    for (index, (packet, outcome)) in packets.iter().zip(done).enumerate() {
        assert_eq!(outcome.0, Outcome::Done, "case {index}: {}", outcome.1);
        let query = format!("{{\"client\":\"attested-0\",\"sequence\":{}}}", packet.sequence);
        let hold: HoldView = chain.query("/hold", query.as_bytes());
        assert_eq!(hold.state, None, "case {index}");
        assert_eq!(hold.ack.unwrap().0, Acknowledgement::Error.encode(), "case {index}");
        let item = ClaimItem { client: attested(), sequence: packet.sequence, secret: preimage(1).reveal().to_vec() };
        let events = chain.ok("relayer", Message::Claim(vec![item]));
        assert_eq!(outcomes(&events)[0].0, Outcome::Skipped);
    }
    chain.check_books();
}

#[test]
fn limits_pause_and_the_voucher_cap_leave_no_state_and_can_be_tried_again() {
    let mut evm = Evm::new();
    let mut chain = Chain::linked(&evm);
    let token = format!("0x{}", "11".repeat(20));
    let voucher: crosspoint_protocol::denom::Denom = format!("points/attested-0/{token}").parse().unwrap();
    chain.decide(Action::SetVoucherCap { denom: voucher.clone(), symbol: "TOK".into(), cap: Amount::new(100) });
    let all = Amount::new(u128::MAX);
    let limits =
        Limits { min: Amount::new(1), max: Amount::new(60), daily_per_member: Amount::new(70), in_flight: all };
    chain.decide(Action::SetLimits { client: attested(), denom: voucher.clone(), limits });
    let now = chain.now;
    let send = |evm: &mut Evm, amount, n| {
        evm.send(&inbound(&token, amount, "alice", preimage(n).hashlock(), now + 200), now + 100)
    };
    let large = send(&mut evm, 61, 1);
    let first = send(&mut evm, 60, 2);
    let second = send(&mut evm, 11, 3);
    evm.mine(now);
    chain.ok("operator", Message::Pause { client: None });
    let items = |packets: [&crosspoint_protocol::packet::Packet; 3]| {
        packets.map(|packet| (packet.clone(), ProvenClaim::Sent)).to_vec()
    };
    let paused = chain.relay(&mut evm, items([&large, &first, &second]));
    assert!(paused.iter().all(|(outcome, reason)| *outcome == Outcome::Skipped && reason.contains("paused")));
    let msg = chain.lock_msg(1, preimage(9).hashlock());
    chain.refused("mall", Message::Lock(msg), code::PAUSED);
    chain.refused("mall", Message::Unpause { client: None }, code::NOT_ALLOWED);
    chain.ok("operator", Message::Unpause { client: None });
    evm.mine(chain.now);
    let done = chain.relay(&mut evm, items([&large, &first, &second]));
    assert!(done[0].1.contains("limits of one transfer"), "{}", done[0].1);
    assert_eq!(done[1].0, Outcome::Done, "{}", done[1].1);
    assert!(done[2].1.contains("per day"), "{}", done[2].1);
    // The limits are lifted; now the cap of the vouchers holds: 60 + 61 are more than 100.
    chain.decide(Action::SetLimits { client: attested(), denom: voucher.clone(), limits: Limits::default() });
    evm.mine(chain.now);
    let done = chain.relay(&mut evm, items([&large, &first, &second]));
    assert!(done[0].1.contains("cap"), "{}", done[0].1);
    assert_eq!((done[1].0, done[2].0), (Outcome::Duplicate, Outcome::Done));
    chain.check_books();
}

#[test]
fn vouchers_are_minted_at_claim_locked_to_return_and_burned_when_claimed_at_home() {
    let mut evm = Evm::new();
    let mut chain = Chain::linked(&evm);
    let token = format!("0x{}", "22".repeat(20));
    let voucher: crosspoint_protocol::denom::Denom = format!("points/attested-0/{token}").parse().unwrap();
    chain.decide(Action::SetVoucherCap { denom: voucher.clone(), symbol: "TOK".into(), cap: Amount::new(100) });
    let now = chain.now;
    let packet = evm.send(&inbound(&token, 80, "alice", preimage(1).hashlock(), now + 200), now + 100);
    evm.mine(now);
    chain.relay(&mut evm, vec![(packet.clone(), ProvenClaim::Sent)]);
    assert_eq!(chain.balance("alice", &voucher), 0);
    let secret = preimage(1).reveal().to_vec();
    chain.ok("bob", Message::Claim(vec![ClaimItem { client: attested(), sequence: packet.sequence, secret }]));
    assert_eq!(chain.balance("alice", &voucher), 80);
    let mut msg = chain.lock_msg(30, preimage(2).hashlock());
    msg.denom = voucher.clone();
    let home = sent_packet(&chain.ok("alice", Message::Lock(msg)));
    let supply = chain.check_books();
    let book = supply.denoms.iter().find(|d| d.denom == voucher).unwrap().voucher.unwrap();
    assert_eq!((book.circulating.get(), book.returning.get()), (50, 30));
    let ack = Acknowledgement::Success(preimage(2));
    evm.receive(&home);
    evm.acknowledge(&home, &ack);
    evm.mine(chain.now);
    chain.relay(&mut evm, vec![(home, ProvenClaim::Acknowledged(ack.encode()))]);
    let supply = chain.check_books();
    let book = supply.denoms.iter().find(|d| d.denom == voucher).unwrap().voucher.unwrap();
    assert_eq!((book.circulating.get(), book.returning.get(), book.held.get()), (50, 0, 0));
    let burn = Message::Burn { denom: voucher, amount: Amount::new(1) };
    chain.refused("alice", burn, code::INVALID);
}

#[test]
fn a_suspended_member_cannot_send_or_claim_and_its_refund_is_credited_and_frozen() {
    let mut evm = Evm::new();
    let mut chain = Chain::linked(&evm);
    chain.ok("mall", transfer("alice", 100));
    let lock = chain.lock("alice", 100, preimage(1).hashlock());
    let out = chain.lock("mall", 50, preimage(2).hashlock());
    let ack = Acknowledgement::Success(preimage(2));
    evm.receive(&out);
    evm.acknowledge(&out, &ack);
    evm.receive(&lock);
    evm.acknowledge(&lock, &Acknowledgement::Error);
    let back = evm.send(
        &inbound("points/checkpoint-0/sfs", 50, "alice", preimage(3).hashlock(), chain.now + 200),
        chain.now + 100,
    );
    chain.decide(Action::SuspendMember { account: account("alice") });
    evm.mine(chain.now);
    let items = vec![
        (out, ProvenClaim::Acknowledged(ack.encode())),
        (back.clone(), ProvenClaim::Sent),
        (lock, ProvenClaim::Acknowledged(Acknowledgement::Error.encode())),
    ];
    let done = chain.relay(&mut evm, items);
    assert!(done.iter().all(|(outcome, _)| *outcome == Outcome::Done), "{done:?}");
    assert_eq!((chain.balance("alice", &sfs()), chain.owed("alice", &sfs())), (0, 100));
    let secret = preimage(3).reveal().to_vec();
    let claim = Message::Claim(vec![ClaimItem { client: attested(), sequence: back.sequence, secret }]);
    let events = chain.ok("relayer", claim.clone());
    assert!(outcomes(&events)[0].1.contains("suspended"));
    chain.refused("alice", Message::WithdrawOwed { denom: sfs() }, code::NOT_MEMBER);
    chain.refused("mall", transfer("alice", 1), code::NOT_MEMBER);
    chain.check_books();
    chain.decide(Action::RestoreMember { account: account("alice") });
    chain
        .nonces
        .insert("alice".into(), chain.query::<crosspoint_ledger::query::AccountView>("/account", b"alice").nonce);
    chain.ok("alice", Message::WithdrawOwed { denom: sfs() });
    chain.ok("relayer", claim);
    assert_eq!((chain.balance("alice", &sfs()), chain.owed("alice", &sfs())), (150, 0));
    chain.refused("alice", Message::WithdrawOwed { denom: sfs() }, code::INSUFFICIENT);
    chain.check_books();
}

#[test]
fn governance_needs_its_quorum_and_counterparties_never_change() {
    let evm = Evm::new();
    let mut chain = Chain::linked(&evm);
    let member = NewMember { name: "carol".into(), account: account("carol"), role: Role::Customer };
    let propose = Message::Propose { action: Box::new(Action::AddMember(member)) };
    chain.refused("alice", propose.clone(), code::NOT_ALLOWED);
    chain.ok("mall", propose);
    let proposals: Vec<ProposalView> = chain.query("/proposals", b"");
    let proposal = proposals[0].proposal;
    chain.refused("mall", Message::Approve { proposal }, code::INVALID);
    chain.refused("carol", transfer("bob", 1), code::NOT_MEMBER);
    let events = chain.ok("operator", Message::Approve { proposal });
    assert!(events.iter().any(|event| matches!(event, Event::ProposalExecuted { ok: true, .. })));
    chain.ok("mall", transfer("carol", 1));
    chain.refused("operator", Message::Approve { proposal }, code::NOT_FOUND);

    let again = Action::RegisterCounterparty { client: attested(), counterparty_client: "other-0".parse().unwrap() };
    let events = chain.ok("mall", Message::Propose { action: Box::new(again) });
    let Event::ProposalCreated { proposal, .. } = events[0].clone() else { panic!("{events:?}") };
    let log = chain.refused("marketing", Message::Approve { proposal }, code::INVALID);
    assert!(log.contains("never changes"), "{log}");
    // With a delay, nothing happens before it is over.
    let governors = ["mall", "marketing", "operator"].map(account).to_vec();
    chain.decide(Action::SetGovernors { governors, quorum: 2, delay: 50 });
    chain.decide(Action::SuspendMember { account: account("bob") });
    chain.ok("mall", transfer("bob", 1));
    chain.now += 50;
    chain.block(&[]);
    chain.refused("mall", transfer("bob", 1), code::NOT_MEMBER);
}

#[test]
fn a_client_is_moved_by_a_quorum_only_and_frozen_by_conflicting_ones() {
    let mut evm = Evm::new();
    let mut chain = Chain::linked(&evm);
    let packet = chain.lock("mall", 10, preimage(1).hashlock());
    evm.mine(packet.timeout.0);
    let keys = evm.keys.clone();
    let mut few = batch(&mut evm, vec![(packet.clone(), ProvenClaim::NotReceived)]);
    let good = few.update.clone();
    let mut header = crosspoint_light_proofs::attested::Header::decode(good.as_ref().unwrap()).unwrap();
    header.signatures.truncate(1);
    few.update = Some(header.encode());
    chain.refused("relayer", Message::Relay(few.clone()), code::CLIENT);
    let item_proofs = few.items.clone();
    // A proof with a byte flipped is skipped.
    let mut forged = few.clone();
    forged.update = good.clone();
    if let Some(node) = forged.items[0].proof.first_mut() {
        node[3] ^= 1
    } else {
        forged.shared_proof[0][3] ^= 1
    }
    let events = chain.ok("relayer", Message::Relay(forged));
    assert_eq!(outcomes(&events)[0].0, Outcome::Skipped);
    // The same block again under another hash: a quorum contradicts itself.
    let (over, mut other) = (evm.head().clone(), evm.head().clone());
    evm.mine(packet.timeout.0 + 5);
    other.number = over.number;
    other.hash = evm.head().hash;
    let mut statement = evm.statement(&over, evm.head());
    statement.prev_number.0 -= 1;
    statement.number = crosspoint_protocol::ids::Height(over.number);
    let conflict = crosspoint_light_proofs::attested::Header::sign(statement, evm.head().rlp.clone(), &keys);
    let evidence = join_evidence(&[conflict.encode()]);
    let events = chain.ok("bob", Message::SubmitMisbehaviour { client: attested(), evidence: evidence.clone() });
    assert!(matches!(events[0], Event::ClientFrozen { .. }));
    let view: ClientView = chain.query("/client", b"attested-0");
    assert!(view.frozen);
    // Frozen: nothing is proven, nothing is locked.
    few.update = None;
    few.items = item_proofs;
    let events = chain.ok("relayer", Message::Relay(few.clone()));
    assert!(outcomes(&events)[0].1.contains("frozen"));
    let msg = chain.lock_msg(1, preimage(2).hashlock());
    chain.refused("mall", Message::Lock(msg), code::CLIENT);
    // Re-anchored: a new generation, and the lock is refunded by proof at last.
    evm.update();
    chain.now = packet.timeout.0 + 10;
    chain.decide(Action::ReanchorClient { client: attested(), spec: Box::new(ClientSpec::Attested(evm.spec())) });
    let old = chain.ok("relayer", Message::Relay(few));
    assert!(outcomes(&old)[0].1.contains("trusts no state"), "{:?}", outcomes(&old));
    evm.mine(packet.timeout.0 + 20);
    assert_eq!(chain.relay(&mut evm, vec![(packet, ProvenClaim::NotReceived)])[0].0, Outcome::Done);
    assert_eq!(chain.balance("mall", &sfs()), 600_000_000);
}

#[test]
fn evidence_from_before_a_re_anchoring_does_not_freeze_again() {
    let mut evm = Evm::new();
    let mut chain = Chain::linked(&evm);
    let keys = evm.keys.clone();
    // A quorum attests two headers of one number, both on top of the trusted one.
    let trusted = evm.head().clone();
    let pair: Vec<Vec<u8>> = [1, 2]
        .map(|second| {
            evm.mine(chain.now + second);
            let mut statement = evm.statement(&trusted, evm.head());
            statement.number = crosspoint_protocol::ids::Height(trusted.number + 1);
            crosspoint_light_proofs::attested::Header::sign(statement, evm.head().rlp.clone(), &keys).encode()
        })
        .to_vec();
    let evidence = Message::SubmitMisbehaviour { client: attested(), evidence: join_evidence(&pair) };
    let events = chain.ok("bob", evidence.clone());
    assert!(matches!(events[0], Event::ClientFrozen { .. }));
    for second in 3..8 {
        evm.mine(chain.now + second);
    }
    evm.update();
    chain.decide(Action::ReanchorClient { client: attested(), spec: Box::new(ClientSpec::Attested(evm.spec())) });
    chain.refused("bob", evidence, code::CLIENT);
    let view: ClientView = chain.query("/client", b"attested-0");
    assert!(!view.frozen);
}

#[test]
fn attestors_that_come_anew_need_an_epoch_that_never_was() {
    let mut evm = Evm::new();
    let mut chain = Chain::linked(&evm);
    let refused = |chain: &mut Chain, spec: AttestedSpec| {
        let action = Action::ReanchorClient { client: attested(), spec: Box::new(ClientSpec::Attested(spec)) };
        let events = chain.ok("mall", Message::Propose { action: Box::new(action) });
        let Event::ProposalCreated { proposal, .. } = events[0].clone() else { panic!("{events:?}") };
        chain.refused("marketing", Message::Approve { proposal }, code::INVALID)
    };
    evm.mine(chain.now + 1);
    let same = evm.spec();
    let fewer = AttestedSpec { attestors: same.attestors[1..].to_vec(), threshold: 2, ..same.clone() };
    let log = refused(&mut chain, fewer.clone());
    assert!(log.contains("above that") && log.contains("replayed"), "{log}");
    let decide = |chain: &mut Chain, spec| {
        chain.decide(Action::ReanchorClient { client: attested(), spec: Box::new(ClientSpec::Attested(spec)) });
    };
    decide(&mut chain, AttestedSpec { epoch: same.epoch + 1, ..fewer.clone() });
    // Back to those of before, by their old epoch or by the new one: their hand-over could come again.
    for epoch in [same.epoch, same.epoch + 1] {
        refused(&mut chain, AttestedSpec { epoch, ..same.clone() });
    }
    decide(&mut chain, AttestedSpec { epoch: same.epoch + 2, ..same });
}

#[test]
fn a_closed_client_refunds_what_has_no_ack_and_settles_what_has_one() {
    let mut evm = Evm::new();
    let mut chain = Chain::linked(&evm);
    let never = chain.lock("mall", 10, preimage(1).hashlock());
    let held = chain.lock("mall", 20, preimage(2).hashlock());
    let paid = chain.lock("mall", 30, preimage(3).hashlock());
    evm.receive(&held);
    evm.receive(&paid);
    let ack = Acknowledgement::Success(preimage(3));
    evm.acknowledge(&paid, &ack);
    evm.mine(chain.now);
    evm.update();
    chain.decide(Action::CloseClient { client: attested(), spec: Box::new(ClientSpec::Attested(evm.spec())) });
    let items = vec![
        (never, ProvenClaim::NotReceived),
        (held, ProvenClaim::NotReceived),
        (paid.clone(), ProvenClaim::NotReceived),
        (paid, ProvenClaim::Acknowledged(ack.encode())),
    ];
    let mut relay = batch(&mut evm, items);
    relay.update = None;
    for item in &mut relay.items[..3] {
        item.proof = evm.proof(&item.packet.ack_path());
    }
    let done = outcomes(&chain.ok("relayer", Message::Relay(relay)));
    let kinds: Vec<_> = done.iter().map(|(outcome, _)| *outcome).collect();
    assert_eq!(kinds, [Outcome::Done, Outcome::Done, Outcome::Skipped, Outcome::Done], "{done:?}");
    let msg = chain.lock_msg(1, preimage(4).hashlock());
    chain.refused("mall", Message::Lock(msg), code::CLIENT);
    assert_eq!(chain.balance("mall", &sfs()), 600_000_000 - 30);
    // Its attestors go on, as if the chain lived: the final state stays, and is not frozen by their earlier time.
    evm.mine(chain.now + 5);
    chain.ok("relayer", Message::Relay(batch(&mut evm, vec![])));
    let evidence = join_evidence(&[evm.update()]);
    chain.refused("bob", Message::SubmitMisbehaviour { client: attested(), evidence }, code::CLIENT);
    let view: ClientView = chain.query("/client", b"attested-0");
    assert!(!view.frozen && view.closed && view.trusted.time.0 == u64::MAX, "{view:?}");
    chain.check_books();
}
