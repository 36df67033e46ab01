//! IBC v2 packets and their commitments (ICS-04 v2 as deployed by ibc-go v10).

use crate::ids::{ClientId, Sequence, Timestamp};
use crate::lock::{LockError, PointsLock};
use crate::path::Path;
use crate::sha256;
use serde::{Deserialize, Serialize};

/// The application part of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// The port that sent it.
    pub source_port: String,
    /// The port it is for.
    pub dest_port: String,
    /// The application's version.
    pub version: String,
    /// How `value` is encoded.
    pub encoding: String,
    /// The application's bytes.
    #[serde(with = "crate::packet::hex_bytes")]
    pub value: Vec<u8>,
}

impl Payload {
    /// The payload of a points transfer.
    #[must_use]
    pub fn points(lock: &PointsLock) -> Self {
        Self {
            source_port: crate::PORT.into(),
            dest_port: crate::PORT.into(),
            version: crate::VERSION.into(),
            encoding: crate::ENCODING.into(),
            value: lock.abi_encode(),
        }
    }

    /// The payload's hash: SHA-256 over the SHA-256 of each field in turn.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        sha256(&[
            &sha256(&[self.source_port.as_bytes()]),
            &sha256(&[self.dest_port.as_bytes()]),
            &sha256(&[self.version.as_bytes()]),
            &sha256(&[self.encoding.as_bytes()]),
            &sha256(&[&self.value]),
        ])
    }
}

/// Why a packet's payload is not a points transfer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// A field that routes the payload has another value than points transfers have.
    #[error("payload {field} is `{found}`, not `{expected}`")]
    Route {
        /// The field's name.
        field: &'static str,
        /// Its value, cut to 64 characters.
        found: String,
        /// The value of points transfers.
        expected: &'static str,
    },
    /// The value is not a valid lock.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// A packet from a client on one chain to its counterparty on another. It has exactly one payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// Its number on the source client, from 1.
    pub sequence: Sequence,
    /// The client on the source chain.
    pub source_client: ClientId,
    /// The counterparty of that client, on the destination chain.
    pub dest_client: ClientId,
    /// The destination's time from which on it can no longer be received, in seconds.
    pub timeout: Timestamp,
    /// The application part.
    pub payload: Payload,
}

impl Packet {
    /// The packet's commitment. It binds neither sequence nor source client: only its path does.
    #[must_use]
    pub fn commitment(&self) -> [u8; 32] {
        sha256(&[
            &[2],
            &sha256(&[self.dest_client.as_bytes()]),
            &sha256(&[&self.timeout.0.to_be_bytes()]),
            &sha256(&[&self.payload.hash()]),
        ])
    }

    /// The points transfer in this packet, strictly decoded.
    pub fn points_lock(&self) -> Result<PointsLock, PayloadError> {
        let expect = |field, found: &str, expected: &'static str| {
            if found == expected {
                return Ok(());
            }
            Err(PayloadError::Route { field, found: found.chars().take(64).collect(), expected })
        };
        expect("source port", &self.payload.source_port, crate::PORT)?;
        expect("destination port", &self.payload.dest_port, crate::PORT)?;
        expect("version", &self.payload.version, crate::VERSION)?;
        expect("encoding", &self.payload.encoding, crate::ENCODING)?;
        Ok(PointsLock::abi_decode(&self.payload.value)?)
    }

    /// Where the source chain keeps the commitment.
    #[must_use]
    pub fn commitment_path(&self) -> Path {
        Path::commitment(self.source_client.clone(), self.sequence)
    }

    /// Where the destination chain keeps the receipt.
    #[must_use]
    pub fn receipt_path(&self) -> Path {
        Path::receipt(self.dest_client.clone(), self.sequence)
    }

    /// Where the destination chain keeps the acknowledgement.
    #[must_use]
    pub fn ack_path(&self) -> Path {
        Path::ack(self.dest_client.clone(), self.sequence)
    }
}

/// Bytes as `0x…` hex in JSON.
pub mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes `0x` and the hex digits.
    pub fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&format!("0x{}", hex::encode(bytes)))
    }

    /// Reads hex digits, with or without `0x`.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(d)?;
        hex::decode(text.strip_prefix("0x").unwrap_or(&text)).map_err(D::Error::custom)
    }
}
