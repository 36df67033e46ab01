//! What one adapter proves and another submits.

use alloy::primitives::Bytes;
use crosspoint_light_proofs::{attested, checkpoint, qbft};
use crosspoint_protocol::ids::{Height, Sequence, Timestamp};
use crosspoint_protocol::outbox::Hash;

use crate::chain::RelayItem;

/// Items with all that a light client needs to believe them.
#[derive(Debug, Clone)]
pub struct Proven {
    /// The items proven, in the order of their proofs.
    pub items: Vec<RelayItem>,
    /// The block of the proving chain whose header the proofs are checked against.
    pub height: Height,
    /// The time in that header.
    pub time: Timestamp,
    /// The header and the proofs, in the form of the client type.
    pub evidence: Evidence,
}

impl Proven {
    /// Whether it moves the client on. Without items too it may have to: a client follows each change of validators.
    #[must_use]
    pub const fn has_update(&self) -> bool {
        match &self.evidence {
            Evidence::Checkpoint(evidence) => evidence.update.is_some(),
            Evidence::Tendermint(evidence) => evidence.update.is_some(),
            Evidence::Attested(evidence) => evidence.update.is_some(),
            Evidence::Qbft(evidence) => evidence.update.is_some(),
            Evidence::EthereumPos(evidence) => evidence.update.is_some(),
        }
    }
}

/// Headers and proofs by client type.
#[derive(Debug, Clone)]
pub enum Evidence {
    /// For a `checkpoint` client: a native chain to EVM.
    Checkpoint(Box<CheckpointEvidence>),
    /// For a `tendermint` client: a native chain to a native chain.
    Tendermint(Box<TendermintEvidence>),
    /// For an `attested` client: an EVM chain to a native chain.
    Attested(Box<AttestedEvidence>),
    /// For a `qbft` client: a consortium EVM chain to a native chain.
    Qbft(Box<StateEvidence<qbft::Header>>),
    /// For an `ethereum-pos` client: Ethereum to a native chain. The update is encoded as the network's forks ask for.
    EthereumPos(Box<StateEvidence<Vec<u8>>>),
}

impl Evidence {
    /// The update as a client on a native chain takes it; `None`: there is none, or it is for a client on EVM.
    pub(crate) fn update_bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Tendermint(evidence) => evidence.update.as_ref().map(|header| header.encode()),
            Self::Attested(evidence) => evidence.update.as_ref().map(|header| header.encode()),
            Self::Qbft(evidence) => evidence.update.as_ref().map(|header| header.encode()),
            Self::EthereumPos(evidence) => evidence.update.clone(),
            Self::Checkpoint(_) => None,
        }
    }
}

/// A checkpoint of a native chain, the outbox heads it proves, and single absences.
#[derive(Debug, Clone)]
pub struct CheckpointEvidence {
    /// The signed statement about the header, with the set that signed. `None`: the client already
    /// trusts `height` and its state is stored there.
    pub update: Option<checkpoint::SignedCheckpoint>,
    /// Without an update, the header at `height`: the contract keeps its digest alone.
    pub trusted: Option<checkpoint::Checkpoint>,
    /// Proof of the list of packets sent, if there are recv items.
    pub sent: Option<OutboxEvidence>,
    /// Proof of the list of acks written, if there are ack items.
    pub acked: Option<OutboxEvidence>,
    /// For each timeout item in order: the JMT non-membership proof of the receipt path, as an
    /// encoded ICS-23 `CommitmentProof`.
    pub absences: Vec<Vec<u8>>,
}

/// One outbox list from some block on to its head.
#[derive(Debug, Clone)]
pub struct OutboxEvidence {
    /// The head in the proven state.
    pub head: Hash,
    /// The JMT membership proof of the head, as an encoded ICS-23 `CommitmentProof`.
    pub membership: Vec<u8>,
    /// The list's head before the first of `blocks`.
    pub previous_head: Hash,
    /// Every block from the first that holds an item up to the newest in `head`, oldest first.
    pub blocks: Vec<OutboxBlock>,
}

/// One block's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxBlock {
    /// The block's height on the native chain.
    pub height: Height,
    /// The list in the order it was written: packet number and commitment (of the packet, or of the ack).
    pub entries: Vec<(Sequence, Hash)>,
}

/// A signed header of a CometBFT chain and one ICS-23 proof per item.
#[derive(Debug, Clone)]
pub struct TendermintEvidence {
    /// The update, if the client needs one.
    pub update: Option<crosspoint_light_proofs::tendermint::Header>,
    /// One encoded ICS-23 `CommitmentProof` per item: membership for recv and ack, non-membership for timeout.
    pub proofs: Vec<Vec<u8>>,
}

/// An attested EVM header and EIP-1186 proofs.
pub type AttestedEvidence = StateEvidence<attested::Header>;

/// An EVM header, as its source makes clients believe it, and EIP-1186 proofs.
#[derive(Debug, Clone)]
pub struct StateEvidence<H> {
    /// The update, if the client needs one.
    pub update: Option<H>,
    /// The gateway contract's account proof: MPT nodes from the state root.
    pub account_proof: Vec<Bytes>,
    /// One storage proof per item: MPT nodes from the storage root; membership for recv and ack, absence for timeout.
    pub storage_proofs: Vec<Vec<Bytes>>,
}
