//! The supply audit: do the points of every denom add up, on both chains at once?
//!
//! Two chains cannot be read at one instant, so the audit cuts each at a final height such that no event before
//! one cut rests on an event after the other. Up to there every packet's standing is known, and the books
//! of both chains must fit it exactly:
//!
//! - I1 `circulating + Σ (locked + vault) + return holds + owed = issued <= cap`, for points the chain itself counts
//! - I2 `supply of vouchers = circulating + locked for return + in holds`
//! - I3 `vault + locked = circulating + voucher holds + Σ p{sent, voided} + Σ q{sent, voided}`
//! - I4 `vault = Σ p{settled} - Σ q{held, claimed, settled}` and `locked = Σ p{sent, held, claimed, voided}`
//! - I5, I6 no packet's facts contradict each other
//!
//! with p the packets of home points from their home, q those that bring vouchers back.

mod books;
mod cut;

pub use cut::{AuditError, audit_once};

use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{ChainId, ClientId, Height};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(crate) use books::audit_books;
pub(crate) use cut::audit_journal;

/// The result of one audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditReport {
    /// The height each chain was cut at.
    pub cut: BTreeMap<ChainId, Height>,
    /// One entry per chain and denom at home there, and one per voucher without a home that backs it.
    pub denoms: Vec<DenomAudit>,
    /// Packets whose facts contradict each other, by chain and client they were sent through.
    pub anomalies: u64,
}

impl AuditReport {
    /// Whether every denom balances and no packet's facts contradict each other.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.anomalies == 0 && self.denoms.iter().all(DenomAudit::is_balanced)
    }
}

/// One denom's books. All amounts in base units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenomAudit {
    /// The chain it is at home on (or, for vouchers passed on, the chain they are passed on from).
    pub chain: ChainId,
    /// As that chain names it.
    pub denom: Denom,
    /// A short name for people.
    pub symbol: String,
    /// The cap on issue, where the chain has one.
    pub cap: Option<Amount>,
    /// All that was ever issued and not burned, where the chain counts it.
    pub issued: Option<Amount>,
    /// In accounts at home, where the chain counts them.
    pub circulating: Amount,
    /// Owed at home to parties whose payout failed.
    pub owed: Amount,
    /// In the holds of returns.
    pub return_holds: Amount,
    /// Backing for vouchers, over all clients.
    pub vault: Amount,
    /// Locked in packets that have not ended, over all clients.
    pub locked: Amount,
    /// In voucher holds on other chains.
    pub held: Amount,
    /// Vouchers on other chains: circulating and on their way back; those in holds not counted.
    pub vouchers: Amount,
    /// Sent and not received, or given up and not refunded, both ways.
    pub in_flight: Amount,
    /// Points too many on the far side (above 0: unbacked) or too few, over all invariants that were broken; the
    /// one that is farthest off. 0 if all hold.
    pub imbalance: i128,
    /// Each pair of clients by itself.
    pub pairs: Vec<PairAudit>,
    /// Each invariant that is broken, in words.
    pub broken: Vec<String>,
}

impl DenomAudit {
    /// Whether every invariant holds.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.imbalance == 0 && self.broken.is_empty()
    }
}

/// One denom through one pair of clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairAudit {
    /// The client at home.
    pub client: ClientId,
    /// The other chain.
    pub other_chain: ChainId,
    /// The client there.
    pub other_client: ClientId,
    /// The denom there.
    pub voucher: Denom,
    /// Backing for vouchers.
    pub vault: Amount,
    /// Locked in packets that have not ended.
    pub locked: Amount,
    /// In voucher holds.
    pub held: Amount,
    /// Vouchers circulating or on their way back.
    pub vouchers: Amount,
    /// Sent and not received, or given up and not refunded, both ways.
    pub in_flight: Amount,
    /// `vouchers' side - home side` of I3; above 0: vouchers without backing.
    pub imbalance: i128,
}
