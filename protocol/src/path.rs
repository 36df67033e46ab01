//! The provable paths of IBC v2 (ICS-24 v2): `clientId ‖ kind ‖ u64be(sequence)`.

use crate::ids::{ClientId, Sequence};
use serde::{Deserialize, Serialize};

/// What is stored under a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum PathKind {
    /// A packet commitment, under the source client, until the packet is acknowledged or timed out.
    Commitment = 1,
    /// A packet receipt, under the destination client, for ever.
    Receipt = 2,
    /// An acknowledgement commitment, under the destination client, for ever.
    Ack = 3,
}

/// A provable path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Path {
    /// The client on the chain that stores the value.
    pub client: ClientId,
    /// What is stored.
    pub kind: PathKind,
    /// The packet's number on its source client.
    pub sequence: Sequence,
}

impl Path {
    /// The path of a packet commitment on the source chain.
    #[must_use]
    pub const fn commitment(source_client: ClientId, sequence: Sequence) -> Self {
        Self { client: source_client, kind: PathKind::Commitment, sequence }
    }

    /// The path of a receipt on the destination chain.
    #[must_use]
    pub const fn receipt(dest_client: ClientId, sequence: Sequence) -> Self {
        Self { client: dest_client, kind: PathKind::Receipt, sequence }
    }

    /// The path of an acknowledgement on the destination chain.
    #[must_use]
    pub const fn ack(dest_client: ClientId, sequence: Sequence) -> Self {
        Self { client: dest_client, kind: PathKind::Ack, sequence }
    }

    /// The path's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.client.as_bytes(), &[self.kind as u8], &self.sequence.0.to_be_bytes()].concat()
    }
}
