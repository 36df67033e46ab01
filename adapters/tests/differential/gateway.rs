//! The gateway contract against the protocol's state machines: as the destination of packets from a native chain (recv,
//! claim, void) and as the source of packets back to it (lock, ack, timeout), with proofs that the contract checks.

use crate::evm_support::native::client;
use crate::evm_support::{account, key};
use crate::on_chain::{OnChain, Sent, to_u128};
use crate::twin::{Incoming, Outgoing, Twin, Verdict};
use crate::{Rng, run};
use alloy::primitives::{Address, Bytes, aliases::U96, keccak256};
use crosspoint_adapters::chain::RelayItem;
use crosspoint_adapters::evm::calldata::{self, List};
use crosspoint_adapters::evm::contracts::ICrosspointGateway::{
    ICrosspointGatewayEvents as Event, Lock, SkipReason, ackCall, claimCall, commitmentsCall, recvCall, sendCall,
    timeoutCall, voidCall, withdrawCall,
};
use crosspoint_adapters::evm::contracts::ICrosspointRegistry::{self, Standing};
use crosspoint_adapters::evm::record::{Batch, Direction, client_word};
use crosspoint_adapters::proven::{CheckpointEvidence, Evidence};
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::book::VoucherBook;
use crosspoint_protocol::htlc::{HoldEvent, HoldState, LockEvent, LockState};
use crosspoint_protocol::ids::{Sequence, Timestamp};
use crosspoint_protocol::lock::{PointsLock, Terms};
use crosspoint_protocol::packet::{Packet, Payload};
use crosspoint_protocol::path::Path;
use crosspoint_protocol::secret::Preimage;
use crosspoint_protocol::window::WindowRules;
use std::collections::BTreeMap;

/// How many events a run has, unless it is told.
const STEPS: u64 = 1_500;
const CAP: u128 = 200;
/// The accounts that receive and pay.
const PEOPLE: [usize; 2] = [3, 4];
const VOUCHER: &str = "points/checkpoint-0/sfs";
const NATIVE_RECEIVER: &str = "point1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq";
const RULES: WindowRules = WindowRules { max_timeout: 120, min_hold: 20, trusting_period: 3_000 };

struct Pair {
    chain: OnChain,
    twin: Twin,
    token: Address,
    /// The time in the newest native header; never decreases.
    native_time: u64,
    secrets: u64,
    rng: Rng,
    seen: BTreeMap<(&'static str, Verdict), u64>,
}

fn word() -> alloy::primitives::B256 {
    client_word(&client("checkpoint-0")).into()
}

/// The verdict of a call whose batch had one item.
fn verdict(sent: &Sent) -> Verdict {
    let events = match sent {
        Sent::Done(events) => events,
        Sent::Reverted(name) => {
            return match name.as_str() {
                "Paused" => Verdict::Paused,
                "MayNotTransact" => Verdict::Suspended,
                "WindowViolated" => Verdict::Window,
                "HashlockUsed" => Verdict::HashlockUsed,
                "ERC20InsufficientBalance" => Verdict::Insufficient,
                "NothingOwed" => Verdict::NothingOwed,
                other => panic!("the contract reverted for a reason that the twin does not know: {other}"),
            };
        }
    };
    for event in events {
        match event {
            Event::Refused(_) => return Verdict::Refused,
            Event::Skipped(skipped) => {
                return match skipped.reason {
                    SkipReason::Duplicate => Verdict::Duplicate,
                    SkipReason::Expired | SkipReason::DeadlinePassed => Verdict::TooLate,
                    SkipReason::DeadlineNotReached | SkipReason::TooEarly => Verdict::TooEarly,
                    SkipReason::WrongPacket => Verdict::Unknown,
                    SkipReason::WrongPreimage => Verdict::WrongPreimage,
                    SkipReason::Suspended => Verdict::Suspended,
                    SkipReason::CapExceeded => Verdict::CapExceeded,
                    other => panic!("skipped for a reason that the twin does not know: {}", other as u8),
                };
            }
            _ => {}
        }
    }
    Verdict::Done
}

impl Pair {
    async fn start(rng: Rng) -> Self {
        let mut chain = OnChain::start(|plan| {
            plan.clients[0].rules = RULES;
            plan.clients[0].vouchers[0].cap = Amount::new(CAP);
        })
        .await;
        let registry = chain.world.chain.registry();
        let call = ICrosspointRegistry::tokenOfCall { client: word(), denom: VOUCHER.into() };
        let token = chain.read(registry, &call).await;
        let twin = Twin {
            rules: RULES,
            cap: Amount::new(CAP),
            paused: false,
            suspended: Default::default(),
            book: VoucherBook::default(),
            accounts: BTreeMap::new(),
            owed: BTreeMap::new(),
            hashlocks: Default::default(),
            incoming: vec![],
            outgoing: vec![],
        };
        let native_time = chain.now;
        chain.world.native.commit(native_time);
        Self { chain, twin, token, native_time, secrets: 0, rng, seen: BTreeMap::new() }
    }

    fn secret(&mut self) -> Preimage {
        self.secrets += 1;
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&self.secrets.to_be_bytes());
        Preimage::new(bytes)
    }

    /// The next block's time: soon, or the second before, of or after an edge.
    fn time(&mut self, edge: Option<Timestamp>) -> u64 {
        let soon = self.chain.now + 1 + self.rng.below(2);
        let at = edge.map_or(soon, |edge| (edge.0 + self.rng.below(3)).saturating_sub(1));
        if at > self.chain.now && at < self.chain.now + 200 && self.rng.one_in(6) { at } else { soon }
    }

    /// The deadline of a packet's hold while it is open.
    fn deadline(&self, at: usize) -> Option<Timestamp> {
        let one = &self.twin.incoming[at];
        (one.hold == Some(HoldState::Open)).then(|| one.packet.points_lock().unwrap().claim_deadline)
    }

    /// Ends the native block.
    fn commit(&mut self, time: u64) {
        self.native_time = self.native_time.max(time);
        self.chain.world.native.commit(self.native_time);
    }

    fn evidence(&self, item: &RelayItem) -> (Bytes, CheckpointEvidence) {
        let proven = self.chain.world.native.prove(vec![item.clone()]);
        let Evidence::Checkpoint(evidence) = proven.evidence else { panic!("not of a native chain") };
        (calldata::update(evidence.update.as_ref().unwrap()).unwrap().into(), *evidence)
    }

    /// Deadlines that are good, or break a bound.
    fn windows(&mut self) -> (Timestamp, Timestamp) {
        let now = self.chain.now;
        let timeout = now + if self.rng.one_in(8) { 118 + self.rng.below(8) } else { 2 + self.rng.below(60) };
        let hold = if self.rng.one_in(8) { 18 + self.rng.below(4) } else { 20 + self.rng.below(20) };
        let far = if self.rng.one_in(12) { 1_000 - (timeout - now).min(900) } else { 0 };
        (Timestamp(timeout), Timestamp(timeout + hold + far))
    }

    fn send_in(&mut self) {
        let preimage = self.secret();
        let (timeout, deadline) = self.windows();
        let receiver = (!self.rng.one_in(12)).then(|| *self.rng.pick(&PEOPLE));
        let name = receiver.map_or_else(|| format!("0x{}", "00".repeat(20)), account);
        let amount = 1 + u128::from(self.rng.below(40));
        let packet = self.chain.world.native.send("sfs", amount, &name, &preimage, timeout.0, deadline.0);
        self.commit(self.chain.now);
        self.twin.incoming.push(Incoming { packet, preimage, receiver, receipt: None, hold: None, ack: None });
    }

    async fn recv(&mut self, at: usize) -> (Verdict, Verdict) {
        let packet = self.twin.incoming[at].packet.clone();
        let edge = self.twin.incoming[at].receipt.is_none().then_some(packet.timeout);
        let time = self.time(edge);
        let item = RelayItem::Recv { packet };
        let (state, evidence) = self.evidence(&item);
        let batch = calldata::outbox_batch(List::Sent, evidence.sent.as_ref().unwrap(), &[(0, &item)]).unwrap();
        let call = recvCall { client: word(), state, outbox: batch.outbox.into(), packets: batch.items.into() };
        let sent = self.chain.anybody(time, self.chain.world.gateway(), &call).await;
        (verdict(&sent), self.twin.recv(at, time))
    }

    async fn claim(&mut self, at: usize) -> (Verdict, Verdict) {
        let one = &self.twin.incoming[at];
        let (packet, right) = (one.packet.clone(), one.preimage.clone());
        let preimage = if self.rng.one_in(4) { Preimage::new([9; 32]) } else { right };
        let time = self.time(self.deadline(at));
        let mut batch = Batch::new(Direction::In);
        batch.push(preimage.reveal(), &packet).unwrap();
        let call = claimCall { client: word(), claims: batch.into_bytes().into() };
        let sent = self.chain.anybody(time, self.chain.world.gateway(), &call).await;
        let event = HoldEvent::Claim { secret: preimage.reveal(), now: Timestamp(time) };
        (verdict(&sent), self.twin.end_hold(at, &event))
    }

    async fn void(&mut self, at: usize) -> (Verdict, Verdict) {
        let packet = self.twin.incoming[at].packet.clone();
        let time = self.time(self.deadline(at));
        let mut batch = Batch::new(Direction::In);
        batch.push(&[], &packet).unwrap();
        let call = voidCall { client: word(), packets: batch.into_bytes().into() };
        let sent = self.chain.anybody(time, self.chain.world.gateway(), &call).await;
        (verdict(&sent), self.twin.end_hold(at, &HoldEvent::Void { now: Timestamp(time) }))
    }

    async fn lock(&mut self) -> (Verdict, Verdict) {
        let payer = *self.rng.pick(&PEOPLE);
        let preimage = match self.twin.outgoing.last() {
            Some(last) if self.rng.one_in(6) => last.preimage.clone(),
            _ => self.secret(),
        };
        let (timeout, claim_deadline) = self.windows();
        let time = self.time(None);
        let points = PointsLock {
            denom: VOUCHER.parse().unwrap(),
            amount: Amount::new(1 + u128::from(self.rng.below(12))),
            sender: account(payer).parse().unwrap(),
            receiver: NATIVE_RECEIVER.parse().unwrap(),
            hashlock: preimage.hashlock(),
            claim_deadline,
            terms: Terms::Plain,
            memo: "back".into(),
        };
        let call = sendCall {
            lock: Lock {
                client: word(),
                denom: VOUCHER.into(),
                amount: U96::from(points.amount.get()),
                receiver: NATIVE_RECEIVER.into(),
                hashlock: points.hashlock.0.into(),
                timeout: timeout.0,
                claimDeadline: claim_deadline.0,
                terms: Bytes::new(),
                memo: points.memo.clone(),
            },
        };
        let sent = self.chain.send_at(time, payer, self.chain.world.gateway(), &call).await;
        let expected = self.twin.lock(payer, &points, timeout, time);
        if expected == Verdict::Done {
            let packet = Packet {
                sequence: Sequence(self.twin.outgoing.len() as u64 + 1),
                source_client: client("checkpoint-0"),
                dest_client: client("attested-0"),
                timeout,
                payload: Payload::points(&points),
            };
            let lock = LockState::Sent;
            self.twin.outgoing.push(Outgoing { packet, preimage, payer, lock, received: false, ack: None });
        }
        (verdict(&sent), expected)
    }

    /// The native chain receives a packet from here, or acknowledges one: rightly, or with what opens nothing.
    fn native_acts(&mut self, at: usize) {
        let forged = self.rng.one_in(6);
        let success = self.rng.one_in(2);
        let one = &mut self.twin.outgoing[at];
        if !one.received && self.native_time < one.packet.timeout.0 {
            one.received = true;
            self.chain.world.native.receive(&one.packet);
        } else if one.received && one.ack.is_none() {
            let preimage = if forged { Preimage::new([8; 32]) } else { one.preimage.clone() };
            let ack = if success { Acknowledgement::Success(preimage) } else { Acknowledgement::Error };
            one.ack = Some(ack.encode());
            self.chain.world.native.acknowledge(&one.packet, &ack.encode());
        }
        self.commit(self.chain.now);
    }

    async fn ack(&mut self, at: usize) -> Option<(Verdict, Verdict)> {
        let one = &self.twin.outgoing[at];
        let (packet, ack) = (one.packet.clone(), one.ack.clone()?);
        let item = RelayItem::Ack { packet, ack: ack.clone() };
        let (state, evidence) = self.evidence(&item);
        let batch = calldata::outbox_batch(List::Acked, evidence.acked.as_ref()?, &[(0, &item)]).unwrap();
        let call = ackCall { client: word(), state, outbox: batch.outbox.into(), acks: batch.items.into() };
        let time = self.time(None);
        let sent = self.chain.anybody(time, self.chain.world.gateway(), &call).await;
        Some((verdict(&sent), self.twin.end_lock(at, &LockEvent::AckProven(&ack))))
    }

    /// Non-receipt in a header of a time about the timeout.
    async fn time_out(&mut self, at: usize) -> Option<(Verdict, Verdict)> {
        let one = &self.twin.outgoing[at];
        if one.received {
            return None;
        }
        let (packet, timeout) = (one.packet.clone(), one.packet.timeout.0);
        let about = timeout + self.rng.below(3) - 1;
        self.commit(about.min(self.chain.now + 300));
        let item = RelayItem::Timeout { packet };
        let (state, evidence) = self.evidence(&item);
        let batch = calldata::timeout_batch(&evidence, &[(0, 0, &item)]).unwrap();
        let call = timeoutCall { client: word(), state, packets: batch.items.into() };
        let time = self.time(None);
        let sent = self.chain.anybody(time, self.chain.world.gateway(), &call).await;
        let event = LockEvent::NonReceiptProven { consensus_time: Timestamp(self.native_time) };
        Some((verdict(&sent), self.twin.end_lock(at, &event)))
    }

    async fn control(&mut self) {
        if self.twin.paused || self.rng.one_in(3) {
            self.twin.paused = !self.twin.paused;
            let _ = match self.twin.paused {
                true => self.chain.decide(&ICrosspointRegistry::pauseCall { client: word() }).await,
                false => self.chain.decide(&ICrosspointRegistry::unpauseCall { client: word() }).await,
            };
            return;
        }
        let suspended = self.twin.suspended.first().copied();
        let who = suspended.unwrap_or(*self.rng.pick(&PEOPLE));
        let standing = if self.twin.suspended.remove(&who) {
            Standing::None
        } else {
            self.twin.suspended.insert(who);
            Standing::Suspended
        };
        let call = ICrosspointRegistry::setStandingCall { accounts: vec![key(who).address()], standing };
        let _ = self.chain.decide(&call).await;
    }

    async fn withdraw(&mut self) -> (Verdict, Verdict) {
        let who = *self.rng.pick(&PEOPLE);
        let call = withdrawCall { token: self.token, party: key(who).address() };
        let time = self.time(None);
        let sent = self.chain.anybody(time, self.chain.world.gateway(), &call).await;
        (verdict(&sent), self.twin.withdraw(who))
    }

    /// One of these places: mostly one where the event can take effect, if there is any, or else any of the newest.
    fn place(&mut self, of: usize, ripe: impl Fn(&Twin, usize) -> bool) -> Option<usize> {
        let newest: Vec<usize> = (of.saturating_sub(12)..of).collect();
        let ripe: Vec<usize> = newest.iter().copied().filter(|at| ripe(&self.twin, *at)).collect();
        let places = if ripe.is_empty() || self.rng.one_in(4) { newest } else { ripe };
        (!places.is_empty()).then(|| *self.rng.pick(&places))
    }

    fn incoming(&mut self, ripe: impl Fn(&Incoming) -> bool) -> Option<usize> {
        self.place(self.twin.incoming.len(), |twin, at| ripe(&twin.incoming[at]))
    }

    fn outgoing(&mut self, ripe: fn(&Outgoing) -> bool) -> Option<usize> {
        let sent = |one: &Outgoing| one.lock == LockState::Sent;
        self.place(self.twin.outgoing.len(), |twin, at| sent(&twin.outgoing[at]) && ripe(&twin.outgoing[at]))
    }

    /// One random event on both sides: its name and both verdicts.
    async fn event(&mut self) -> Option<(&'static str, Verdict, Verdict)> {
        let named = |name, (chain, twin): (Verdict, Verdict)| Some((name, chain, twin));
        // Nobody stays shut out for long.
        let shut = self.twin.paused || !self.twin.suspended.is_empty();
        if self.rng.one_in(if shut { 8 } else { 40 }) {
            self.control().await;
            return None;
        }
        let open = |one: &Incoming| one.hold == Some(HoldState::Open);
        match self.rng.below(22) {
            0..=2 => self.send_in(),
            3..=6 => {
                let now = self.chain.now;
                let at = self.incoming(|one| one.receipt.is_none() && one.packet.timeout.0 > now)?;
                return named("recv", self.recv(at).await);
            }
            7..=10 => {
                let at = self.incoming(open)?;
                return named("claim", self.claim(at).await);
            }
            11..=12 => {
                let at = self.incoming(open)?;
                return named("void", self.void(at).await);
            }
            13..=14 => return named("lock", self.lock().await),
            15..=17 => {
                let at = self.outgoing(|one| one.ack.is_none())?;
                self.native_acts(at);
            }
            18..=19 => {
                let at = self.outgoing(|one| one.ack.is_some())?;
                return named("ack", self.ack(at).await?);
            }
            20 => {
                let at = self.outgoing(|one| !one.received)?;
                return named("timeout", self.time_out(at).await?);
            }
            _ => return named("withdraw", self.withdraw().await),
        }
        None
    }

    async fn stored(&self, path: &Path) -> Option<[u8; 32]> {
        let call = commitmentsCall { pathHash: keccak256(path.to_bytes()) };
        let value = self.chain.read(self.chain.world.gateway(), &call).await;
        (!value.is_zero()).then_some(value.0)
    }

    /// Books, accounts and what is stored of the newest packets.
    async fn compare(&self) {
        let registry = self.chain.world.chain.registry();
        let call = ICrosspointRegistry::supplyOfCall { client: word(), denom: VOUCHER.into() };
        let row = self.chain.read(registry, &call).await;
        let (book, owed) = (&self.twin.book, self.twin.owed_in_all());
        assert_eq!(to_u128(row.owed), owed, "owed");
        // What is owed is not minted until it is withdrawn; the book counts it as paid.
        assert_eq!(to_u128(row.circulating) + owed, book.circulating.get(), "circulating");
        assert_eq!(to_u128(row.returning), book.returning.get(), "returning");
        assert_eq!(to_u128(row.held), book.held.get(), "held");
        for who in PEOPLE {
            let expected = self.twin.accounts.get(&who).copied().unwrap_or_default().get();
            assert_eq!(self.chain.balance(self.token, key(who).address()).await, expected, "account {who}");
        }
        for one in self.twin.incoming.iter().rev().take(4) {
            assert_eq!(self.stored(&one.packet.receipt_path()).await, one.receipt, "receipt");
            assert_eq!(self.stored(&one.packet.ack_path()).await, one.ack, "ack");
        }
        for one in self.twin.outgoing.iter().rev().take(4) {
            let standing = (one.lock == LockState::Sent).then(|| one.packet.commitment());
            assert_eq!(self.stored(&one.packet.commitment_path()).await, standing, "commitment");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_contract_and_the_state_machines_agree_after_every_event() {
    let (rng, steps) = run("gateway", STEPS);
    let mut pair = Pair::start(rng).await;
    for step in 0..steps {
        if let Some((name, chain, twin)) = pair.event().await {
            assert_eq!(chain, twin, "event {step}, {name} at {}: the contract and the state machines", pair.chain.now);
            *pair.seen.entry((name, chain)).or_default() += 1;
            pair.compare().await;
        }
    }
    println!("verdicts: {:?}", pair.seen);
    // A run of this length that never got to an end would compare nothing.
    for name in ["recv", "claim", "void", "lock", "ack", "timeout"] {
        assert!(steps < STEPS || pair.seen.contains_key(&(name, Verdict::Done)), "no {name} took effect");
    }
}
