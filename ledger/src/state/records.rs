//! The records of the state. Provable ones are JSON, so that an auditor can read what is proven; counters are
//! big-endian integers.

use alloy_primitives::B256;
use crosspoint_light_proofs::{attested, tendermint};
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::gate::Gate;
use crosspoint_protocol::htlc::{HoldState, LockState};
use crosspoint_protocol::ids::{ChainId, ClientId, Height, Sequence, Timestamp};
use crosspoint_protocol::packet::{Packet, hex_bytes};
use serde::{Deserialize, Serialize};

use crate::address::AccountId;
use crate::query::{HexView, TipView};
use crate::tx::action::{Action, Role};

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

/// A light client's own state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum LightClient {
    /// m-of-n statements about an EVM chain.
    Attested(attested::ClientState),
    /// Commits of a CometBFT chain.
    Tendermint(tendermint::ClientState),
}

/// A state a client trusts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Consensus {
    /// Of an EVM chain.
    Attested {
        /// Root and time.
        state: attested::ConsensusState,
        /// The block's hash, to see conflicts by.
        hash: B256,
    },
    /// Of a CometBFT chain.
    Tendermint {
        /// Root, time and who signs next.
        state: tendermint::ConsensusState,
        /// The header's hash, to see conflicts by.
        hash: B256,
    },
}

impl Consensus {
    /// The time of the state.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        match self {
            Self::Attested { state, .. } => state.time,
            Self::Tendermint { state, .. } => state.time,
        }
    }

    /// Sets the time: of a final state, which comes after every timeout.
    pub const fn set_time(&mut self, time: Timestamp) {
        match self {
            Self::Attested { state, .. } => state.time = time,
            Self::Tendermint { state, .. } => state.time = time,
        }
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

impl LightClient {
    /// The type's name in client ids and answers.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Attested(_) => "attested",
            Self::Tendermint(_) => "tendermint",
        }
    }

    /// The chain it follows, by our name for it.
    pub fn chain(&self) -> Result<ChainId, crosspoint_protocol::ids::IdError> {
        match self {
            Self::Attested(state) => format!("eip155-{}", state.evm_chain_id).parse(),
            Self::Tendermint(state) => Ok(state.chain_id.clone()),
        }
    }

    /// The newest state it trusts.
    #[must_use]
    pub const fn trusted(&self) -> (Height, Timestamp) {
        match self {
            Self::Attested(state) => (state.latest.number, state.latest.time),
            Self::Tendermint(state) => (state.latest.height, state.latest.time),
        }
    }

    /// The hash of the newest header it trusts.
    #[must_use]
    pub fn trusted_hash(&self) -> B256 {
        match self {
            Self::Attested(state) => state.latest.hash,
            Self::Tendermint(state) => state.latest.hash.into(),
        }
    }

    /// For how many seconds after its header's time a state may be used.
    #[must_use]
    pub const fn trusting_period(&self) -> u64 {
        match self {
            Self::Attested(state) => state.trusting_period,
            Self::Tendermint(state) => state.trusting_period,
        }
    }

    /// Counts re-anchorings.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        match self {
            Self::Attested(state) => state.generation,
            Self::Tendermint(state) => state.generation,
        }
    }

    /// Whether evidence froze it.
    #[must_use]
    pub const fn frozen(&self) -> bool {
        match self {
            Self::Attested(state) => state.frozen,
            Self::Tendermint(state) => state.frozen,
        }
    }

    /// Whether the chain it follows keeps its side in EVM contracts, with compact records.
    #[must_use]
    pub const fn is_evm(&self) -> bool {
        match self {
            Self::Attested(_) => true,
            Self::Tendermint(_) => false,
        }
    }

    /// Sets the newest header's time: of a final state, which comes after every timeout.
    pub const fn set_time(&mut self, time: Timestamp) {
        match self {
            Self::Attested(state) => state.latest.time = time,
            Self::Tendermint(state) => state.latest.time = time,
        }
    }

    /// From now on it believes nothing.
    pub const fn freeze(&mut self) {
        match self {
            Self::Attested(state) => state.frozen = true,
            Self::Tendermint(state) => state.frozen = true,
        }
    }

    /// Whether `other` follows the same chain and the same store on it.
    #[must_use]
    pub fn same_counterparty(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Attested(old), Self::Attested(new)) => old.same_counterparty(new),
            (Self::Tendermint(old), Self::Tendermint(new)) => old.chain_id == new.chain_id,
            (Self::Attested(_), Self::Tendermint(_)) | (Self::Tendermint(_), Self::Attested(_)) => false,
        }
    }
}
