//! Which way packets go, and how one packet is named.

use crosspoint_adapters::chain::ClientStatus;
use crosspoint_protocol::ids::{ChainId, ClientId, IdError, Sequence};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An ordered pair of clients: packets go from `source_client` on `source_chain` to `dest_client` on `dest_chain`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Route {
    /// The chain packets are sent on.
    pub source_chain: ChainId,
    /// The client they are sent through.
    pub source_client: ClientId,
    /// The chain packets are received on.
    pub dest_chain: ChainId,
    /// The client they come in through.
    pub dest_client: ClientId,
}

impl Route {
    /// The route whose packets come in through `client`, a client stored on `chain`.
    #[must_use]
    pub fn into_client(chain: &ChainId, client: &ClientStatus) -> Self {
        Self {
            source_chain: client.counterparty_chain.clone(),
            source_client: client.counterparty_client.clone(),
            dest_chain: chain.clone(),
            dest_client: client.client.clone(),
        }
    }

    /// The same pair of clients, the other way.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            source_chain: self.dest_chain.clone(),
            source_client: self.dest_client.clone(),
            dest_chain: self.source_chain.clone(),
            dest_client: self.source_client.clone(),
        }
    }

    /// The name of the packet with this number on this route.
    #[must_use]
    pub fn packet(&self, sequence: Sequence) -> PacketId {
        PacketId { chain: self.source_chain.clone(), client: self.source_client.clone(), sequence }
    }
}

/// As in the metric label `route`: `CHAIN/CLIENT->CHAIN/CLIENT`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}->{}/{}", self.source_chain, self.source_client, self.dest_chain, self.dest_client)
    }
}

/// A packet's name: the chain and the client it was sent through, and its number there.
/// As text: `CHAIN/CLIENT/SEQUENCE`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PacketId {
    /// The chain it was sent on.
    pub chain: ChainId,
    /// The client it was sent through.
    pub client: ClientId,
    /// Its number on that client.
    pub sequence: Sequence,
}

/// Why a text names no packet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PacketIdError {
    /// Not three parts with `/` between them.
    #[error("`{0}` is not CHAIN/CLIENT/SEQUENCE")]
    Form(String),
    /// Chain or client is invalid.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The sequence is no number.
    #[error("`{0}` is not a packet's sequence number")]
    Sequence(String),
}

impl fmt::Display for PacketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.chain, self.client, self.sequence)
    }
}

impl FromStr for PacketId {
    type Err = PacketIdError;
    fn from_str(text: &str) -> Result<Self, PacketIdError> {
        let short = |text: &str| text.chars().take(128).collect::<String>();
        let mut parts = text.split('/');
        let (Some(chain), Some(client), Some(sequence), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(PacketIdError::Form(short(text)));
        };
        let number = sequence.parse().map_err(|_| PacketIdError::Sequence(short(sequence)))?;
        Ok(Self { chain: chain.parse()?, client: client.parse()?, sequence: Sequence(number) })
    }
}

impl TryFrom<String> for PacketId {
    type Error = PacketIdError;
    fn try_from(text: String) -> Result<Self, PacketIdError> {
        text.parse()
    }
}

impl From<PacketId> for String {
    fn from(id: PacketId) -> String {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packets_name_reads_back() {
        let id: PacketId = "crosspoint-1/attested-0/7".parse().unwrap();
        assert_eq!(id.to_string(), "crosspoint-1/attested-0/7");
        for bad in ["", "a/b", "crosspoint-1/attested-0/x", "crosspoint-1/attested-0/7/8", "CROSS/attested-0/7"] {
            assert!(bad.parse::<PacketId>().is_err(), "{bad}");
        }
    }
}
