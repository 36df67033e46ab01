//! What a file proves.

use alloy_primitives::B256;
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::ids::{ChainId, ClientId, Height, Timestamp};
use crosspoint_protocol::lock::PointsLock;
use crosspoint_protocol::packet::Packet;
use std::collections::BTreeMap;

use super::attested::AttestedAnchor;
use super::evm::Contract;
use super::file::Claim;
use crate::ethereum_pos::{self, Network};
use crate::qbft::{self, Encoding};

/// What a file proves. All of it was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// The packet.
    pub packet: Packet,
    /// What was locked.
    pub lock: PointsLock,
    /// The acknowledgement that was proven.
    pub ack: Option<Acknowledgement>,
    /// What the chain shows that the packet was sent on.
    pub source: SideFindings,
    /// What the chain shows that it was sent to.
    pub destination: SideFindings,
    /// What follows from it all.
    pub outcome: Outcome,
}

/// What follows for the transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A success acknowledgement is proven, and the source has ended the lock.
    Settled,
    /// A success acknowledgement is proven: the receiver was paid.
    Paid,
    /// An error acknowledgement or final non-receipt is proven, and the source has ended the lock.
    Refunded,
    /// An error acknowledgement or final non-receipt is proven: the sender is to get the points back.
    Refundable,
    /// Received, not acknowledged.
    Held,
    /// Sent, not received, but it may be yet.
    UnderWay,
    /// Less than any of these.
    Unclear,
}

/// What one chain shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideFindings {
    /// The chain.
    pub chain: ChainId,
    /// What trust in it begins with.
    pub anchor: AnchorFindings,
    /// Its headers, in rising order.
    pub headers: Vec<HeaderFindings>,
    /// What is shown.
    pub shown: BTreeMap<Claim, Shown>,
    /// How the client is registered there that the packet goes through.
    pub registered: Option<Registered>,
}

impl SideFindings {
    /// The header that shows this.
    #[must_use]
    pub fn header(&self, claim: Claim) -> Option<&HeaderFindings> {
        self.headers.get(self.shown.get(&claim)?.header)
    }

    /// Whether this is shown.
    #[must_use]
    pub fn shows(&self, claim: Claim) -> bool {
        self.shown.contains_key(&claim)
    }
}

/// Something shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// By which of the headers.
    pub header: usize,
    /// In the list of packets sent, which is never cut, not under the packet's own key.
    pub listed: bool,
}

/// What trust in a chain begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnchorFindings {
    /// A header.
    Tendermint {
        /// Its hash.
        hash: B256,
        /// Its height.
        height: Height,
        /// Its time.
        time: Timestamp,
        /// How many validators it names as the next.
        validators: usize,
        /// It was taken from the file itself.
        in_file: bool,
    },
    /// A set of attestors.
    Attested {
        /// The anchor.
        anchor: AttestedAnchor,
        /// It was taken from the file itself.
        in_file: bool,
    },
    /// A sealed header, and the validators that it names.
    Qbft {
        /// The anchor's hash.
        hash: B256,
        /// What is looked at.
        contract: Contract,
        /// How the chain writes its extra data.
        encoding: Encoding,
        /// The block.
        block: qbft::Latest,
        /// How many validators it names.
        validators: usize,
        /// It was taken from the file itself.
        in_file: bool,
    },
    /// A final beacon block, and the committee of its period.
    EthereumPos {
        /// The anchor's hash.
        hash: B256,
        /// What is looked at.
        contract: Contract,
        /// The beacon chain's sizes, clock and forks.
        network: Network,
        /// The block.
        block: ethereum_pos::Latest,
        /// It was taken from the file itself.
        in_file: bool,
    },
}

impl AnchorFindings {
    /// The anchor's hash.
    #[must_use]
    pub const fn hash(&self) -> B256 {
        match self {
            Self::Tendermint { hash, .. } | Self::Qbft { hash, .. } | Self::EthereumPos { hash, .. } => *hash,
            Self::Attested { anchor, .. } => anchor.hash,
        }
    }

    /// Whether it was taken from the file itself.
    #[must_use]
    pub const fn in_file(&self) -> bool {
        match self {
            Self::Tendermint { in_file, .. }
            | Self::Attested { in_file, .. }
            | Self::Qbft { in_file, .. }
            | Self::EthereumPos { in_file, .. } => *in_file,
        }
    }

    /// The time of the header it is; attestors are none.
    #[must_use]
    pub const fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Tendermint { time, .. } => Some(*time),
            Self::Attested { .. } => None,
            Self::Qbft { block, .. } => Some(block.time),
            Self::EthereumPos { block, .. } => Some(block.time),
        }
    }
}

/// A header that is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderFindings {
    /// Its height.
    pub height: Height,
    /// Its time.
    pub time: Timestamp,
    /// Its hash. Of Ethereum: the beacon block's root.
    pub hash: B256,
    /// How many signed it.
    pub signed: usize,
    /// Of how many.
    pub of: usize,
}

/// What the state of a native chain says of the client that the packet goes through. That it fits the other side
/// was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The client.
    pub client: ClientId,
    /// The client over there that it belongs to.
    pub counterparty: ClientId,
    /// The client is not frozen and trusts what the other side begins with: the very attestors of its anchor, or the
    /// block from which its headers and proofs lead. Of a tendermint client that is not compared: `false`.
    pub vouches: bool,
}
