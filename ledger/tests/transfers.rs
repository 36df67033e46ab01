//! Transfers between the native chain and a simulated EVM chain, over real attested headers and storage proofs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::evm::{Evm, inbound};
use common::{Chain, attested, preimage, sfs};
use crosspoint_ledger::events::Outcome;
use crosspoint_ledger::tx::message::{ClaimItem, Message, ProvenClaim, VoidItem};
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::packet::Packet;

fn claim(packet: &Packet, secret: Vec<u8>) -> Message {
    Message::Claim(vec![ClaimItem { client: attested(), sequence: packet.sequence, secret }])
}

fn void(packet: &Packet) -> Message {
    Message::Void(vec![VoidItem { client: attested(), sequence: packet.sequence }])
}

#[test]
fn points_go_out_settle_return_and_are_claimed() {
    let mut evm = Evm::new();
    let mut chain = Chain::linked(&evm);
    let secret = preimage(1);
    let out = chain.lock("mall", 1_250, secret.hashlock());
    assert_eq!(chain.balance("mall", &sfs()), 600_000_000 - 1_250);
    chain.check_books();

    // Received and claimed over there.
    evm.receive(&out);
    let ack = Acknowledgement::Success(secret);
    evm.acknowledge(&out, &ack);
    evm.mine(chain.now);
    let item = (out.clone(), ProvenClaim::Acknowledged(ack.encode()));
    let done = chain.relay(&mut evm, vec![item.clone()]);
    assert_eq!(done, vec![(Outcome::Done, String::new())]);
    let book = chain.check_books().denoms[0].home[&attested()];
    assert_eq!((book.vault.get(), book.locked.get()), (1_250, 0));
    evm.mine(chain.now);
    assert_eq!(chain.relay(&mut evm, vec![item])[0].0, Outcome::Duplicate);

    // 400 come back, to alice.
    let secret = preimage(2);
    let lock = inbound("points/checkpoint-0/sfs", 400, "alice", secret.hashlock(), chain.now + 200);
    let back = evm.send(&lock, chain.now + 100);
    evm.mine(chain.now);
    assert_eq!(chain.relay(&mut evm, vec![(back.clone(), ProvenClaim::Sent)])[0].0, Outcome::Done);
    let supply = chain.check_books();
    assert_eq!(supply.denoms[0].return_holds.get(), 400);
    for wrong in [vec![9; 32], vec![2; 31], vec![2; 33], vec![]] {
        let events = chain.ok("relayer", claim(&back, wrong));
        assert_eq!(common::outcomes(&events)[0].0, Outcome::Skipped);
    }
    let events = chain.ok("relayer", claim(&back, secret.reveal().to_vec()));
    assert_eq!(common::outcomes(&events)[0].0, Outcome::Done);
    assert_eq!(chain.balance("alice", &sfs()), 400);
    let events = chain.ok("relayer", claim(&back, secret.reveal().to_vec()));
    assert_eq!(common::outcomes(&events)[0].0, Outcome::Duplicate);
    assert_eq!(chain.balance("alice", &sfs()), 400);
    chain.check_books();
}

#[test]
fn a_lock_is_refunded_by_a_proven_error_ack_and_by_proven_non_receipt_alone() {
    let mut evm = Evm::new();
    let mut chain = Chain::linked(&evm);
    let voided = chain.lock("mall", 10, preimage(1).hashlock());
    let lost = chain.lock("mall", 20, preimage(2).hashlock());
    evm.receive(&voided);
    evm.acknowledge(&voided, &Acknowledgement::Error);
    evm.mine(lost.timeout.0 - 1);
    let items = vec![
        (voided.clone(), ProvenClaim::Acknowledged(Acknowledgement::Error.encode())),
        (lost.clone(), ProvenClaim::NotReceived),
        (voided.clone(), ProvenClaim::NotReceived),
    ];
    let done = chain.relay(&mut evm, items);
    assert_eq!(done[0].0, Outcome::Done);
    // One second early; and the ended one's duplicate.
    assert!(done[1].1.contains("proves nothing"), "{:?}", done[1]);
    assert_eq!(done[2].0, Outcome::Duplicate);
    chain.now = lost.timeout.0 + 50;
    evm.mine(lost.timeout.0);
    let done = chain.relay(&mut evm, vec![(lost.clone(), ProvenClaim::NotReceived)]);
    assert_eq!(done[0].0, Outcome::Done);
    assert_eq!(chain.balance("mall", &sfs()), 600_000_000);
    chain.check_books();
}

#[test]
fn a_hold_is_void_only_from_its_deadline_on_and_claimed_only_before() {
    let mut evm = Evm::new();
    let mut chain = Chain::linked(&evm);
    let out = chain.lock("mall", 100, preimage(1).hashlock());
    let ack = Acknowledgement::Success(preimage(1));
    evm.receive(&out);
    evm.acknowledge(&out, &ack);
    let deadline = chain.now + 200;
    let lock = inbound("points/checkpoint-0/sfs", 60, "bob", preimage(2).hashlock(), deadline);
    let back = evm.send(&lock, chain.now + 100);
    evm.mine(chain.now);
    let items = vec![(back.clone(), ProvenClaim::Sent), (out, ProvenClaim::Acknowledged(ack.encode()))];
    // The return comes first: the vault is short until the ack is in.
    let done = chain.relay(&mut evm, items);
    assert!(done[0].1.contains("vault"), "{:?}", done[0]);
    assert_eq!(done[1].0, Outcome::Done);
    evm.mine(chain.now);
    assert_eq!(chain.relay(&mut evm, vec![(back.clone(), ProvenClaim::Sent)])[0].0, Outcome::Done);
    chain.now = deadline - 2;
    let events = chain.ok("relayer", void(&back));
    assert_eq!(common::outcomes(&events)[0].0, Outcome::Skipped);
    chain.now = deadline - 1;
    let events = chain.ok("relayer", claim(&back, preimage(2).reveal().to_vec()));
    assert!(common::outcomes(&events)[0].1.contains("deadline"));
    let events = chain.ok("relayer", void(&back));
    assert_eq!(common::outcomes(&events)[0].0, Outcome::Done);
    let book = chain.check_books().denoms[0].home[&attested()];
    assert_eq!((book.vault.get(), book.locked.get()), (100, 0));
    let events = chain.ok("relayer", void(&back));
    assert_eq!(common::outcomes(&events)[0].0, Outcome::Duplicate);
}
