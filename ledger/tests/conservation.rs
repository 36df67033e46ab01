//! Random sequences of valid and invalid events between the native chain and a simulated EVM gateway that runs the protocol's
//! pure machines, over real proofs: invariants I1 to I6 of `docs/protocol.md` hold after every step.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::evm::{Evm, inbound};
use common::{Chain, attested, outcomes, preimage, sfs};
use crosspoint_ledger::events::Outcome;
use crosspoint_ledger::tx::action::Action;
use crosspoint_ledger::tx::message::{ClaimItem, Message, ProvenClaim, VoidItem};
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::book::VoucherBook;
use crosspoint_protocol::htlc::{HoldEvent, HoldState, HoldTerms};
use crosspoint_protocol::ids::Timestamp;
use crosspoint_protocol::packet::Packet;
use proptest::prelude::*;

/// A packet as an observer of both chains sees it.
struct Seen {
    packet: Packet,
    amount: u128,
    secret: u8,
    hold: Option<HoldState>,
    ack: Option<Vec<u8>>,
    /// Its lock's end, once the source knows: true is settled.
    ended: Option<bool>,
    /// How often its points were paid to the receiver.
    paid: u32,
}

impl Seen {
    fn new(packet: Packet, amount: u128, secret: u8) -> Self {
        Self { packet, amount, secret, hold: None, ack: None, ended: None, paid: 0 }
    }
}

struct World {
    chain: Chain,
    evm: Evm,
    book: VoucherBook,
    out: Vec<Seen>,
    back: Vec<Seen>,
    secrets: u8,
    suspended: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Lock { amount: u8 },
    EvmRecv { at: usize },
    EvmClaim { at: usize, right: bool },
    EvmVoid { at: usize },
    AckToNative { at: usize, lie: bool },
    TimeoutToNative { at: usize, back: bool },
    EvmLock { amount: u8 },
    NativeRecv { at: usize, forged: bool },
    NativeClaim { at: usize, right: bool },
    NativeVoid { at: usize },
    AckToEvm { at: usize },
    EvmTimeout { at: usize },
    Suspend,
    Withdraw,
    Wait { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let at = 0usize..4;
    prop_oneof![
        4 => (1u8..).prop_map(|amount| Step::Lock { amount }),
        4 => at.clone().prop_map(|at| Step::EvmRecv { at }),
        3 => (at.clone(), any::<bool>()).prop_map(|(at, right)| Step::EvmClaim { at, right }),
        2 => at.clone().prop_map(|at| Step::EvmVoid { at }),
        4 => (at.clone(), prop::bool::weighted(0.1)).prop_map(|(at, lie)| Step::AckToNative { at, lie }),
        2 => (at.clone(), any::<bool>()).prop_map(|(at, back)| Step::TimeoutToNative { at, back }),
        3 => (1u8..).prop_map(|amount| Step::EvmLock { amount }),
        4 => (at.clone(), prop::bool::weighted(0.1)).prop_map(|(at, forged)| Step::NativeRecv { at, forged }),
        4 => (at.clone(), any::<bool>()).prop_map(|(at, right)| Step::NativeClaim { at, right }),
        2 => at.clone().prop_map(|at| Step::NativeVoid { at }),
        3 => at.clone().prop_map(|at| Step::AckToEvm { at }),
        2 => at.prop_map(|at| Step::EvmTimeout { at }),
        1 => Just(Step::Suspend),
        1 => Just(Step::Withdraw),
        3 => (20u64..220).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

impl World {
    fn new() -> Self {
        let evm = Evm::new();
        let chain = Chain::linked(&evm);
        let (book, out, back) = (VoucherBook::default(), vec![], vec![]);
        Self { chain, evm, book, out, back, secrets: 0, suspended: false }
    }

    fn secret(&mut self) -> u8 {
        self.secrets += 1;
        self.secrets
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.chain.now)
    }

    fn relay(&mut self, packet: &Packet, claim: ProvenClaim) -> bool {
        self.evm.mine(self.chain.now);
        let done = self.chain.relay(&mut self.evm, vec![(packet.clone(), claim)]);
        done[0].0 == Outcome::Done
    }

    fn act(&mut self, step: &Step) {
        match *step {
            Step::Lock { amount } => {
                let secret = self.secret();
                let packet = self.chain.lock("marketing", amount.into(), preimage(secret).hashlock());
                self.out.push(Seen::new(packet, amount.into(), secret));
            }
            Step::EvmRecv { at } => {
                let now = self.now();
                let Some(seen) = self.out.get_mut(at) else { return };
                let fresh = seen.hold.is_none() && seen.ended.is_none();
                if fresh && now < seen.packet.timeout {
                    self.book.hold(Amount::new(seen.amount), Amount::new(u128::MAX)).unwrap();
                    seen.hold = Some(HoldState::Open);
                    self.evm.receive(&seen.packet);
                }
            }
            Step::EvmClaim { at, right } => self.end_on_evm(at, Some(right)),
            Step::EvmVoid { at } => self.end_on_evm(at, None),
            Step::AckToNative { at, lie } => {
                let Some(seen) = self.out.get(at) else { return };
                let (packet, secret) = (seen.packet.clone(), seen.secret);
                let real = seen.ack.clone();
                let ack = match (&real, lie) {
                    (Some(ack), false) => ack.clone(),
                    // What was not written over there cannot be proven.
                    _ => Acknowledgement::Success(preimage(secret)).encode(),
                };
                let open = seen.ended.is_none();
                let done = self.relay(&packet, ProvenClaim::Acknowledged(ack.clone()));
                assert_eq!(done, open && real.as_ref() == Some(&ack), "I5: only what was written ends a lock");
                if done {
                    self.out[at].ended = Some(ack.len() == 33);
                }
            }
            Step::TimeoutToNative { at, back } => {
                let seen = if back { self.back.get(at) } else { self.out.get(at) };
                let Some(seen) = seen else { return };
                let packet = seen.packet.clone();
                let received = self.evm.has(&packet.receipt_path());
                let possible = !back && seen.ended.is_none() && !received && self.now() >= packet.timeout;
                assert_eq!(
                    self.relay(&packet, ProvenClaim::NotReceived),
                    possible,
                    "I5: refunded means never received"
                );
                if possible {
                    self.out[at].ended = Some(false);
                }
            }
            Step::EvmLock { amount } => {
                let amount = Amount::new(amount.into());
                if self.book.lock_return(amount).is_err() {
                    return;
                }
                let (secret, now) = (self.secret(), self.chain.now);
                let lock =
                    inbound("points/checkpoint-0/sfs", amount.get(), "alice", preimage(secret).hashlock(), now + 120);
                let packet = self.evm.send(&lock, now + 60);
                self.back.push(Seen::new(packet, amount.get(), secret));
            }
            Step::NativeRecv { at, forged } => {
                let now = self.chain.now + 1;
                let Some(seen) = self.back.get(at) else { return };
                let mut packet = seen.packet.clone();
                let fresh = seen.hold.is_none() && seen.ended.is_none();
                if forged {
                    packet.sequence.0 += 100;
                }
                let vault = self.chain.check_books().denoms[0].home.get(&attested()).copied().unwrap_or_default().vault;
                let possible = fresh && !forged && now < packet.timeout.0 && vault.get() >= seen.amount;
                let known = self.chain.check_books().denoms[0].home.contains_key(&attested());
                let done = self.relay(&packet, ProvenClaim::Sent);
                assert_eq!(done, possible, "I6: one recv, only of what was sent; vault {vault}, known {known}");
                if done {
                    self.back[at].hold = Some(HoldState::Open);
                }
            }
            Step::NativeClaim { at, right } => {
                let Some(seen) = self.back.get(at) else { return };
                let secret = if right { seen.secret } else { 0 };
                let before = self.chain.balance("alice", &sfs());
                let item = ClaimItem {
                    client: attested(),
                    sequence: seen.packet.sequence,
                    secret: preimage(secret).reveal().to_vec(),
                };
                let deadline = seen.packet.points_lock().unwrap().claim_deadline.0;
                let open = seen.hold == Some(HoldState::Open);
                let possible = open && right && self.chain.now + 1 < deadline && !self.suspended;
                let done = outcomes(&self.chain.ok("relayer", Message::Claim(vec![item])))[0].0 == Outcome::Done;
                assert_eq!(done, possible);
                if done {
                    let seen = &mut self.back[at];
                    seen.hold = Some(HoldState::Claimed);
                    seen.ack = Some(Acknowledgement::Success(preimage(secret)).encode());
                    seen.paid += 1;
                    assert_eq!(self.chain.balance("alice", &sfs()), before + seen.amount);
                }
            }
            Step::NativeVoid { at } => {
                let Some(seen) = self.back.get(at) else { return };
                let item = VoidItem { client: attested(), sequence: seen.packet.sequence };
                let deadline = seen.packet.points_lock().unwrap().claim_deadline.0;
                let possible = seen.hold == Some(HoldState::Open) && self.chain.now + 1 >= deadline;
                let done = outcomes(&self.chain.ok("relayer", Message::Void(vec![item])))[0].0 == Outcome::Done;
                assert_eq!(done, possible);
                if done {
                    self.back[at].hold = Some(HoldState::Void);
                    self.back[at].ack = Some(Acknowledgement::Error.encode());
                }
            }
            Step::AckToEvm { at } => {
                let Some(seen) = self.back.get_mut(at) else { return };
                if let (None, Some(ack)) = (seen.ended, &seen.ack) {
                    let amount = Amount::new(seen.amount);
                    let settled = ack.len() == 33;
                    if settled { self.book.settle_return(amount) } else { self.book.refund_return(amount) }.unwrap();
                    seen.ended = Some(settled);
                }
            }
            Step::EvmTimeout { at } => {
                let now = self.now();
                let Some(seen) = self.back.get_mut(at) else { return };
                if seen.ended.is_none() && seen.hold.is_none() && now >= seen.packet.timeout {
                    self.book.refund_return(Amount::new(seen.amount)).unwrap();
                    seen.ended = Some(false);
                }
            }
            Step::Suspend => {
                let account = common::account("alice");
                self.suspended = !self.suspended;
                self.chain.decide(match self.suspended {
                    true => Action::SuspendMember { account },
                    false => Action::RestoreMember { account },
                });
            }
            Step::Withdraw => {
                self.chain.run("marketing", Message::WithdrawOwed { denom: sfs() });
            }
            Step::Wait { seconds } => self.chain.now += seconds,
        }
    }

    fn end_on_evm(&mut self, at: usize, claim: Option<bool>) {
        let now = self.now();
        let Some(seen) = self.out.get_mut(at) else { return };
        let Some(state) = seen.hold else { return };
        let lock = seen.packet.points_lock().unwrap();
        let secret = preimage(if claim == Some(true) { seen.secret } else { 0 });
        let event = match claim {
            Some(_) => HoldEvent::Claim { secret: secret.reveal(), now },
            None => HoldEvent::Void { now },
        };
        let terms = HoldTerms { hashlock: lock.hashlock, claim_deadline: lock.claim_deadline };
        let Ok((next, effect)) = state.apply(&terms, &event) else { return };
        match next {
            HoldState::Claimed => self.book.claim(lock.amount).unwrap(),
            HoldState::Void => self.book.void(lock.amount).unwrap(),
            HoldState::Open | HoldState::Bound => unreachable!(),
        }
        seen.hold = Some(next);
        seen.ack = Some(effect.acknowledgement().encode());
        self.evm.acknowledge(&seen.packet, &effect.acknowledgement());
    }

    fn check(&self) {
        let supply = self.chain.check_books();
        let book = supply.denoms[0].home.get(&attested()).copied().unwrap_or_default();
        let sum = |seen: &[Seen], of: &dyn Fn(&Seen) -> bool| -> u128 {
            seen.iter().filter(|seen| of(seen)).map(|seen| seen.amount).sum()
        };
        // I3, from both sides of the route.
        let void = |seen: &Seen| seen.ended.is_none() && matches!(seen.hold, None | Some(HoldState::Void));
        let total = book.vault.get() + book.locked.get();
        let there = self.book.circulating.get() + self.book.held.get();
        assert_eq!(total, there + sum(&self.out, &void) + sum(&self.back, &void));
        // I4.
        assert_eq!(book.locked.get(), sum(&self.out, &|seen| seen.ended.is_none()));
        let left = |seen: &Seen| matches!(seen.hold, Some(HoldState::Open | HoldState::Claimed));
        assert_eq!(book.vault.get(), sum(&self.out, &|seen| seen.ended == Some(true)) - sum(&self.back, &left));
        // I5 and I6.
        for seen in &self.out {
            match seen.ended {
                Some(true) => assert_eq!(seen.hold, Some(HoldState::Claimed)),
                Some(false) => assert!(matches!(seen.hold, None | Some(HoldState::Void))),
                None => {}
            }
        }
        assert!(self.back.iter().all(|seen| seen.paid <= 1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_events_creates_or_loses_points(steps in prop::collection::vec(step(), 20..120)) {
        let mut world = World::new();
        for step in &steps {
            world.act(step);
            world.check();
        }
    }
}
