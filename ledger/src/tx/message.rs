//! What a transaction can ask for, with every field parsed: a [`Message`] that exists is well formed.

use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{Address, ClientId, Height, Sequence, Timestamp};
use crosspoint_protocol::lock::Terms;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Hashlock;
use std::fmt;

use crate::address::AccountId;
use crate::tx::action::Action;

/// One step of a transaction. All steps take effect or none; items of a batch may be skipped one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Move points to another member.
    Transfer {
        /// Who gets them.
        to: AccountId,
        /// What.
        denom: Denom,
        /// How much, in base units.
        amount: Amount,
        /// A note for people: printable ASCII, at most 512 bytes.
        memo: String,
    },
    /// Create points of a home denom, up to its cap. Its issuer only.
    Issue {
        /// Who gets them.
        to: AccountId,
        /// What.
        denom: Denom,
        /// How much, in base units.
        amount: Amount,
    },
    /// Destroy own points of a home denom.
    Burn {
        /// What.
        denom: Denom,
        /// How much, in base units.
        amount: Amount,
    },
    /// Lock own points and send a packet.
    Lock(LockMsg),
    /// Show secrets for holds. Anyone may; the points go to the receiver each hold names. Bad items are skipped.
    Claim(Vec<ClaimItem>),
    /// Give up holds whose deadline has passed. Anyone may. Bad items are skipped.
    Void(Vec<VoidItem>),
    /// One client update and a batch of proven packets. Anyone may. Bad items are skipped.
    Relay(RelayBatch),
    /// Freeze a client by evidence.
    SubmitMisbehaviour {
        /// The client.
        client: ClientId,
        /// The evidence, in the form of the client's type.
        evidence: Vec<u8>,
    },
    /// Pay out what is owed to the signer of one denom.
    WithdrawOwed {
        /// What.
        denom: Denom,
    },
    /// Stop locks and receipts, of one client or (`None`) of the chain. Operators only.
    Pause {
        /// The client.
        client: Option<ClientId>,
    },
    /// Undo a pause. Operators only.
    Unpause {
        /// The client.
        client: Option<ClientId>,
    },
    /// Propose an action of governance; counts as the proposer's approval. Governors only.
    Propose {
        /// The action.
        action: Box<Action>,
    },
    /// Approve a proposal. Governors only.
    Approve {
        /// Its number.
        proposal: u64,
    },
}

/// What a payer locks, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockMsg {
    /// The client towards the receiver's chain.
    pub client: ClientId,
    /// What, as this chain names it.
    pub denom: Denom,
    /// How much, in base units.
    pub amount: Amount,
    /// Who gets it, on the other chain.
    pub receiver: Address,
    /// What the claim's preimage must hash to. Never used before by this sender.
    pub hashlock: Hashlock,
    /// The destination's time, in seconds, from which on the packet cannot be received.
    pub timeout: Timestamp,
    /// The destination's time, in seconds, from which on the hold cannot be claimed.
    pub claim_deadline: Timestamp,
    /// Conditions beyond the hashlock.
    pub terms: Terms,
    /// A note for people: printable ASCII, at most 512 bytes.
    pub memo: String,
}

/// A secret for one hold.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimItem {
    /// The client the packet came in through.
    pub client: ClientId,
    /// The packet's number.
    pub sequence: Sequence,
    /// The bytes shown; a wrong length is the item's failure, not the batch's.
    pub secret: Vec<u8>,
}

// Until it is in a block the secret is nobody's business.
impl fmt::Debug for ClaimItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClaimItem({}/{}, ..)", self.client, self.sequence)
    }
}

/// One hold to give up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoidItem {
    /// The client the packet came in through.
    pub client: ClientId,
    /// The packet's number.
    pub sequence: Sequence,
}

/// A client update (if there is one) and packets proven at one height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayBatch {
    /// The client on this chain that verifies.
    pub client: ClientId,
    /// The block of the other chain whose header the proofs are checked against. Ignored without items.
    pub height: Height,
    /// A header that moves the client on, in the form of its type. An update to a header that the client
    /// already trusts changes nothing.
    pub update: Option<Vec<u8>>,
    /// What all proofs have in common: the account proof's nodes for an EVM chain; else nothing.
    pub shared_proof: Vec<Vec<u8>>,
    /// The packets, handled in this order. Put acks first: they fill the vault that returns draw on.
    pub items: Vec<RelayItem>,
}

/// One packet of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayItem {
    /// The packet.
    pub packet: Packet,
    /// What is proven about it.
    pub claim: ProvenClaim,
    /// The proof: storage proof nodes for an EVM chain; one encoded ICS-23 `CommitmentProof` for a native one.
    pub proof: Vec<Vec<u8>>,
}

/// What is proven about a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProvenClaim {
    /// It was sent to this chain.
    Sent,
    /// This acknowledgement was written for it.
    Acknowledged(Vec<u8>),
    /// It was not received.
    NotReceived,
}

impl Message {
    /// The message's name, as in events and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Transfer { .. } => "transfer",
            Self::Issue { .. } => "issue",
            Self::Burn { .. } => "burn",
            Self::Lock(_) => "lock",
            Self::Claim(_) => "claim",
            Self::Void(_) => "void",
            Self::Relay(_) => "relay",
            Self::SubmitMisbehaviour { .. } => "submit_misbehaviour",
            Self::WithdrawOwed { .. } => "withdraw_owed",
            Self::Pause { .. } => "pause",
            Self::Unpause { .. } => "unpause",
            Self::Propose { .. } => "propose",
            Self::Approve { .. } => "approve",
        }
    }
}
