//! The records of the state. Provable ones are JSON, so that an auditor can read what is proven; counters are
//! big-endian integers.

use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::gate::Gate;
use crosspoint_protocol::htlc::{HoldState, LockState};
use crosspoint_protocol::ids::{ClientId, Sequence, Timestamp};
use crosspoint_protocol::packet::{Packet, hex_bytes};
use serde::{Deserialize, Serialize};

use crate::address::AccountId;
use crate::query::{HexView, PacketRef, TipView};
use crate::tx::action::{Action, Role};

pub use super::light_client::{Consensus, LightClient};

/// The newest block.
pub type ChainTip = TipView;

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its unique name.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Whether it is suspended.
    pub suspended: bool,
}

/// What never changes about a denom, but the cap of vouchers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenomInfo {
    /// A short name for people.
    pub symbol: String,
    /// Digits after the point when shown to people.
    pub decimals: u8,
    /// Home denoms: who may issue.
    pub issuer: Option<AccountId>,
    /// Most there may ever be; of vouchers, most that may be out through their client.
    pub cap: Amount,
    /// Whether issuing has ended for good.
    pub closed: bool,
}

/// Running totals of one denom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Supply {
    /// Home denoms: issued and not burned. Vouchers: 0.
    pub issued: Amount,
    /// In accounts.
    pub circulating: Amount,
    /// Owed.
    pub owed: Amount,
    /// In holds of returns.
    pub return_holds: Amount,
    /// In bound holds, and in onward locks at the same time.
    #[serde(default)]
    pub bound: Amount,
}

/// Who decides, and the switch of the whole chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Governance {
    /// Who may propose and approve.
    pub governors: Vec<AccountId>,
    /// Approvals needed.
    pub quorum: u32,
    /// Seconds between the quorum and the effect.
    pub delay: u64,
    /// Who may pause.
    pub operators: Vec<AccountId>,
    /// Whether the whole chain is paused.
    pub paused: bool,
}

/// A light client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// What it knows, by type.
    pub state: LightClient,
    /// The client over there that follows us; set once.
    pub counterparty: Option<ClientId>,
    /// Whether operators paused it.
    pub paused: bool,
    /// Whether governance closed it for good; the state it is closed at is the newest.
    pub closed: bool,
}

impl Client {
    /// Which steps of a packet it lets through, on a chain that is paused as a whole or not.
    #[must_use]
    pub const fn gate(&self, chain_paused: bool) -> Gate {
        Gate { paused: self.paused || chain_paused, closed: self.closed }
    }
}

/// A packet sent from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentPacket {
    /// The packet.
    pub packet: Packet,
    /// How far its lock is.
    pub state: LockState,
    /// The block it was sent in.
    pub sent: TipView,
    /// The day whose budget of its sender it was charged to, if there was a daily limit.
    pub charged_day: Option<u64>,
    /// The packet received here that it forwards, if it does.
    #[serde(default)]
    pub forwards: Option<PacketRef>,
}

/// A packet received here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The packet.
    pub packet: Packet,
    /// How far its hold is; `None` if it was refused.
    pub state: Option<HoldState>,
    /// The acknowledgement, once it is written.
    pub ack: Option<HexView>,
    /// The block it was received in.
    pub received: TipView,
    /// The day whose budget of its receiver it was charged to, if there was a daily limit.
    pub charged_day: Option<u64>,
    /// The packet sent from here that it is bound to, or was.
    #[serde(default)]
    pub onward: Option<PacketRef>,
}

/// A proposal of governance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// What it would do.
    pub action: Action,
    /// Who approved, in order.
    pub approvals: Vec<AccountId>,
    /// When it was proposed.
    pub created: Timestamp,
    /// When it takes effect, once the quorum approved.
    pub ready_at: Option<Timestamp>,
}

/// A block's part of an outbox list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxBlock {
    /// The list's head before this block.
    #[serde(with = "hex_bytes")]
    pub previous: Vec<u8>,
    /// The list's head after this block.
    #[serde(with = "hex_bytes")]
    pub head: Vec<u8>,
    /// Packet number and commitment, in the order written.
    pub entries: Vec<(Sequence, HexView)>,
}
