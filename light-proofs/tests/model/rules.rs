//! The decisions that the worlds leave to the product, each a function that a mutant may swap.

use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::audit::{Holdings, Pair};
use crosspoint_protocol::book::{BookError, HomeBook, Payout, VoucherBook};
use crosspoint_protocol::gate::{Arrival, ArrivalError, Gate, GateError};
use crosspoint_protocol::htlc::{
    HoldEffect, HoldEvent, HoldEventError, HoldState, HoldTerms, LockEffect, LockEvent, LockEventError, LockState,
    LockTerms,
};
use crosspoint_protocol::ids::Timestamp;
use crosspoint_protocol::secret::Hashlock;

type Hold = fn(HoldState, &HoldTerms, &HoldEvent<'_>) -> Result<(HoldState, HoldEffect), HoldEventError>;
type Release = fn(HoldState, &Hashlock, &LockEffect) -> Result<(HoldState, HoldEffect), HoldEventError>;
type Lock = fn(LockState, &LockTerms, &LockEvent<'_>) -> Result<(LockState, LockEffect), LockEventError>;
type Arrive = fn(Gate, Option<&[u8]>, &[u8; 32], Timestamp, Timestamp) -> Result<Arrival, ArrivalError>;

/// What the world asks the product.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    /// The life of a hold.
    pub(crate) hold: Hold,
    /// The end of a bound hold.
    pub(crate) release: Release,
    /// The life of a lock.
    pub(crate) lock: Lock,
    /// Whether a lock is refunded by the time of its own chain, without proof: never.
    pub(crate) refund_by_clock: fn(&LockTerms, Timestamp) -> bool,
    /// What becomes of a packet at its destination.
    pub(crate) arrive: Arrive,
    /// Which gate an end (claim, void, ack, timeout) has to pass: none.
    pub(crate) end: fn(Gate) -> Result<(), GateError>,
    /// A return draws on the books.
    pub(crate) hold_return: fn(&mut HomeBook, Amount) -> Result<(), BookError>,
    /// How a party is paid. `None` would be: not at all, and the step fails.
    pub(crate) payout: fn(bool) -> Option<Payout>,
    /// Whether the audit finds the books of a pair true.
    pub(crate) audit_pair: fn(&Pair) -> bool,
    /// Whether the audit finds the vouchers of a chain true.
    pub(crate) audit_vouchers: fn(&Holdings, &VoucherBook) -> bool,
}

impl Rules {
    /// The product's.
    pub(crate) const REAL: Self = Self {
        hold: HoldState::apply,
        release: HoldState::release,
        lock: LockState::apply,
        refund_by_clock: |_, _| false,
        arrive: Gate::arrive,
        end: |_| Ok(()),
        hold_return: HomeBook::hold_return,
        payout: |may_receive| Some(Payout::to(may_receive)),
        audit_pair: |pair| pair.equations().iter().all(|equation| equation.off() == 0),
        audit_vouchers: |holdings, book| holdings.vouchers(book).off() == 0,
    };
}
