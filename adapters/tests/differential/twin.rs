//! An EVM chain as the protocol's state machines have it: the gates, windows, holds, locks and books of
//! `crosspoint-protocol`, with accounts. Every step answers as the contract should.

use crosspoint_protocol::ack::AckError;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::book::{Payout, VoucherBook};
use crosspoint_protocol::gate::{Arrival, ArrivalError, Gate};
use crosspoint_protocol::htlc::{
    HoldEffect, HoldEvent, HoldEventError, HoldState, HoldTerms, LockEffect, LockEvent, LockEventError, LockState,
    LockTerms,
};
use crosspoint_protocol::ids::Timestamp;
use crosspoint_protocol::lock::PointsLock;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::{Hashlock, Preimage};
use crosspoint_protocol::window::WindowRules;
use std::collections::{BTreeMap, BTreeSet};

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Done,
    /// Received, and answered with the error ack.
    Refused,
    Duplicate,
    /// After its timeout or deadline.
    TooLate,
    TooEarly,
    Unknown,
    WrongPreimage,
    Suspended,
    CapExceeded,
    Paused,
    Window,
    HashlockUsed,
    Insufficient,
    NothingOwed,
}

/// A packet to this chain.
pub(crate) struct Incoming {
    pub(crate) packet: Packet,
    pub(crate) preimage: Preimage,
    pub(crate) receiver: Option<usize>,
    pub(crate) receipt: Option<[u8; 32]>,
    pub(crate) hold: Option<HoldState>,
    pub(crate) ack: Option<[u8; 32]>,
}

/// A packet from this chain, and what the other one did with it.
pub(crate) struct Outgoing {
    pub(crate) packet: Packet,
    pub(crate) preimage: Preimage,
    pub(crate) payer: usize,
    pub(crate) lock: LockState,
    pub(crate) received: bool,
    pub(crate) ack: Option<Vec<u8>>,
}

pub(crate) struct Twin {
    pub(crate) rules: WindowRules,
    pub(crate) cap: Amount,
    pub(crate) paused: bool,
    pub(crate) suspended: BTreeSet<usize>,
    pub(crate) book: VoucherBook,
    pub(crate) accounts: BTreeMap<usize, Amount>,
    pub(crate) owed: BTreeMap<usize, Amount>,
    pub(crate) hashlocks: BTreeSet<(usize, Hashlock)>,
    pub(crate) incoming: Vec<Incoming>,
    pub(crate) outgoing: Vec<Outgoing>,
}

fn add(to: &mut BTreeMap<usize, Amount>, who: usize, amount: Amount) {
    let had = to.entry(who).or_default();
    *had = had.checked_add(amount).unwrap();
}

impl Twin {
    fn gate(&self) -> Gate {
        Gate { paused: self.paused, closed: false }
    }

    fn pay(&mut self, who: usize, amount: Amount) {
        match Payout::to(!self.suspended.contains(&who)) {
            Payout::Paid => add(&mut self.accounts, who, amount),
            Payout::Owed => add(&mut self.owed, who, amount),
        }
    }

    pub(crate) fn owed_in_all(&self) -> u128 {
        self.owed.values().map(|amount| amount.get()).sum()
    }

    pub(crate) fn recv(&mut self, at: usize, now: u64) -> Verdict {
        // The contract asks for the pause once per batch, before it looks at any item.
        if self.gate().check_open().is_err() {
            return Verdict::Paused;
        }
        let (gate, now) = (self.gate(), Timestamp(now));
        let one = &mut self.incoming[at];
        let commitment = one.packet.commitment();
        let lock = one.packet.points_lock().unwrap();
        match gate.arrive(one.receipt.as_ref().map(<[u8; 32]>::as_slice), &commitment, one.packet.timeout, now) {
            Ok(Arrival::New) => {}
            Ok(Arrival::Duplicate) => return Verdict::Duplicate,
            Err(ArrivalError::TimedOut { .. }) => return Verdict::TooLate,
            Err(ArrivalError::OtherPacket) => return Verdict::Unknown,
            Err(ArrivalError::Gate(_)) => return Verdict::Paused,
        }
        let window = self.rules.check(now, one.packet.timeout, lock.claim_deadline);
        if window.is_err() || one.receiver.is_none() {
            one.receipt = Some(commitment);
            one.ack = Some(crosspoint_protocol::ack::Acknowledgement::Error.commitment());
            return Verdict::Refused;
        }
        if self.book.hold(lock.amount, self.cap).is_err() {
            return Verdict::CapExceeded;
        }
        (one.receipt, one.hold) = (Some(commitment), Some(HoldState::Open));
        Verdict::Done
    }

    pub(crate) fn end_hold(&mut self, at: usize, event: &HoldEvent<'_>) -> Verdict {
        let one = &self.incoming[at];
        let lock = one.packet.points_lock().unwrap();
        let Some(hold) = one.hold else {
            return if one.receipt.is_some() { Verdict::Duplicate } else { Verdict::Unknown };
        };
        let terms = HoldTerms { hashlock: lock.hashlock, claim_deadline: lock.claim_deadline };
        let (next, effect) = match hold.apply(&terms, event) {
            Ok(done) => done,
            Err(HoldEventError::Ended(_)) => return Verdict::Duplicate,
            Err(HoldEventError::DeadlinePassed { .. }) => return Verdict::TooLate,
            Err(HoldEventError::DeadlineNotReached { .. }) => return Verdict::TooEarly,
            Err(error @ (HoldEventError::Bound | HoldEventError::NotBound)) => panic!("no EVM chain forwards: {error}"),
            Err(HoldEventError::WrongPreimage(_) | HoldEventError::Secret(_)) => return Verdict::WrongPreimage,
        };
        let receiver = one.receiver.unwrap();
        let paid = matches!(effect, HoldEffect::Pay(_));
        if paid && self.suspended.contains(&receiver) {
            return Verdict::Suspended;
        }
        let one = &mut self.incoming[at];
        (one.hold, one.ack) = (Some(next), Some(effect.acknowledgement().commitment()));
        if paid {
            self.book.claim(lock.amount).unwrap();
            self.pay(receiver, lock.amount);
        } else {
            self.book.void(lock.amount).unwrap();
        }
        Verdict::Done
    }

    pub(crate) fn lock(&mut self, payer: usize, lock: &PointsLock, timeout: Timestamp, now: u64) -> Verdict {
        if self.gate().check_open().is_err() {
            return Verdict::Paused;
        }
        if self.suspended.contains(&payer) {
            return Verdict::Suspended;
        }
        if self.rules.check(Timestamp(now), timeout, lock.claim_deadline).is_err() {
            return Verdict::Window;
        }
        if self.hashlocks.contains(&(payer, lock.hashlock)) {
            return Verdict::HashlockUsed;
        }
        let account = self.accounts.entry(payer).or_default();
        let Some(left) = account.checked_sub(lock.amount) else { return Verdict::Insufficient };
        *account = left;
        self.book.lock_return(lock.amount).unwrap();
        self.hashlocks.insert((payer, lock.hashlock));
        Verdict::Done
    }

    pub(crate) fn end_lock(&mut self, at: usize, event: &LockEvent<'_>) -> Verdict {
        let one = &mut self.outgoing[at];
        let lock = one.packet.points_lock().unwrap();
        let terms = LockTerms { hashlock: lock.hashlock, timeout: one.packet.timeout };
        let (next, effect) = match one.lock.apply(&terms, event) {
            Ok(done) => done,
            Err(LockEventError::Ended(_)) => return Verdict::Duplicate,
            Err(LockEventError::TooEarly { .. }) => return Verdict::TooEarly,
            Err(LockEventError::Ack(AckError::WrongPreimage { .. } | AckError::Unknown { .. })) => {
                return Verdict::WrongPreimage;
            }
        };
        one.lock = next;
        let payer = one.payer;
        match effect {
            LockEffect::Settle(_) => self.book.settle_return(lock.amount).unwrap(),
            LockEffect::Refund => {
                self.book.refund_return(lock.amount).unwrap();
                self.pay(payer, lock.amount);
            }
        }
        Verdict::Done
    }

    pub(crate) fn withdraw(&mut self, who: usize) -> Verdict {
        let amount = self.owed.get(&who).copied().unwrap_or_default();
        if amount.is_zero() {
            return Verdict::NothingOwed;
        }
        if self.suspended.contains(&who) {
            return Verdict::Suspended;
        }
        self.owed.remove(&who);
        add(&mut self.accounts, who, amount);
        Verdict::Done
    }
}
