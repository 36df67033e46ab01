//! What a file proves.

use alloy_primitives::B256;
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::ids::{ChainId, ClientId, Height, Timestamp};
use crosspoint_protocol::lock::PointsLock;
use crosspoint_protocol::packet::Packet;
use std::collections::BTreeMap;

use super::evm::AttestedAnchor;
use super::file::Claim;

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
}

impl AnchorFindings {
    /// The anchor's hash.
    #[must_use]
    pub const fn hash(&self) -> B256 {
        match self {
            Self::Tendermint { hash, .. } => *hash,
            Self::Attested { anchor, .. } => anchor.hash,
        }
    }

    /// Whether it was taken from the file itself.
    #[must_use]
    pub const fn in_file(&self) -> bool {
        match self {
            Self::Tendermint { in_file, .. } | Self::Attested { in_file, .. } => *in_file,
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
    /// Its hash.
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
    /// For an attested client: it trusts the very attestors of the other side's anchor. For a tendermint client,
    /// whose trust is in headers, `false`.
    pub same_attestors: bool,
}
