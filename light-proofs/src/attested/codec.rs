//! The bounded binary form (protobuf) in which ledger transactions carry updates and proofs. Decoding
//! is strict: the bytes must be what encoding the result gives.

use alloy_primitives::{Address, B256, Bytes};
use crosspoint_protocol::ids::Height;
use prost::Message;

use super::rotation::{Rotation, SignedRotation};
use super::set::{Attestors, AttestorsError, MAX_ATTESTORS};
use super::statement::{Header, Statement};
use crate::evm::MAX_HEADER_RLP;
use crate::mpt::{MAX_NODE_LEN, MAX_NODES};

/// Most bytes of an encoded [`Header`].
pub const MAX_HEADER_BYTES: usize = MAX_HEADER_RLP + MAX_ATTESTORS * 67 + 512;
/// Most bytes of an encoded list of proof nodes.
pub const MAX_PROOF_BYTES: usize = MAX_NODES * (MAX_NODE_LEN + 3);
/// Most bytes of an encoded [`SignedRotation`].
pub const MAX_ROTATION_BYTES: usize = MAX_ATTESTORS * (67 + 22) + 512;

/// Why bytes are not the encoding of what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Longer than any valid encoding.
    #[error("{len} bytes are more than the {max} that are allowed")]
    TooLong {
        /// The bytes given.
        len: usize,
        /// The bound.
        max: usize,
    },
    /// Not protobuf of this message.
    #[error("the bytes are not protobuf of this message")]
    Protobuf,
    /// Decodes, but encodes to other bytes.
    #[error("the bytes are not the canonical encoding of what they decode to")]
    NotCanonical,
    /// A field has a wrong length or is missing.
    #[error("the field {0} is missing or has a wrong length")]
    Field(&'static str),
    /// A list has too many items.
    #[error("the list {0} is too long")]
    TooMany(&'static str),
    /// The attestors are no set.
    #[error(transparent)]
    Attestors(#[from] AttestorsError),
}

#[derive(Clone, PartialEq, Message)]
struct RawStatement {
    #[prost(uint64, tag = "1")]
    chain_id: u64,
    #[prost(bytes = "vec", tag = "2")]
    genesis_hash: Vec<u8>,
    #[prost(uint64, tag = "3")]
    epoch: u64,
    #[prost(uint64, tag = "4")]
    prev_number: u64,
    #[prost(bytes = "vec", tag = "5")]
    prev_hash: Vec<u8>,
    #[prost(uint64, tag = "6")]
    number: u64,
    #[prost(bytes = "vec", tag = "7")]
    hash: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RawHeader {
    #[prost(message, optional, tag = "1")]
    statement: Option<RawStatement>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    signatures: Vec<Vec<u8>>,
    #[prost(bytes = "vec", tag = "3")]
    header_rlp: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RawRotation {
    #[prost(uint64, tag = "1")]
    chain_id: u64,
    #[prost(bytes = "vec", tag = "2")]
    genesis_hash: Vec<u8>,
    #[prost(uint64, tag = "3")]
    epoch: u64,
    #[prost(bytes = "vec", repeated, tag = "4")]
    attestors: Vec<Vec<u8>>,
    #[prost(uint32, tag = "5")]
    threshold: u32,
    #[prost(bytes = "vec", repeated, tag = "6")]
    signatures: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct RawNodes {
    #[prost(bytes = "vec", repeated, tag = "1")]
    nodes: Vec<Vec<u8>>,
}

fn decode_strict<M: Message + Default>(bytes: &[u8], max: usize) -> Result<M, CodecError> {
    if bytes.len() > max {
        return Err(CodecError::TooLong { len: bytes.len(), max });
    }
    let message = M::decode(bytes).map_err(|_| CodecError::Protobuf)?;
    if message.encode_to_vec() == bytes { Ok(message) } else { Err(CodecError::NotCanonical) }
}

fn word(bytes: &[u8], name: &'static str) -> Result<B256, CodecError> {
    B256::try_from(bytes).map_err(|_| CodecError::Field(name))
}

fn signatures(raw: Vec<Vec<u8>>) -> Result<Vec<[u8; 65]>, CodecError> {
    if raw.len() > MAX_ATTESTORS {
        return Err(CodecError::TooMany("signatures"));
    }
    raw.iter().map(|bytes| bytes.as_slice().try_into().map_err(|_| CodecError::Field("signatures"))).collect()
}

impl Header {
    /// The header as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let s = &self.statement;
        let statement = RawStatement {
            chain_id: s.chain_id,
            genesis_hash: s.genesis_hash.to_vec(),
            epoch: s.epoch,
            prev_number: s.prev_number.0,
            prev_hash: s.prev_hash.to_vec(),
            number: s.number.0,
            hash: s.hash.to_vec(),
        };
        RawHeader {
            statement: Some(statement),
            signatures: self.signatures.iter().map(|signature| signature.to_vec()).collect(),
            header_rlp: self.header_rlp.to_vec(),
        }
        .encode_to_vec()
    }

    /// Reads a header from bytes, strictly.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let raw: RawHeader = decode_strict(bytes, MAX_HEADER_BYTES)?;
        let s = raw.statement.ok_or(CodecError::Field("statement"))?;
        if raw.header_rlp.len() > MAX_HEADER_RLP {
            return Err(CodecError::TooLong { len: raw.header_rlp.len(), max: MAX_HEADER_RLP });
        }
        Ok(Self {
            statement: Statement {
                chain_id: s.chain_id,
                genesis_hash: word(&s.genesis_hash, "genesis_hash")?,
                epoch: s.epoch,
                prev_number: Height(s.prev_number),
                prev_hash: word(&s.prev_hash, "prev_hash")?,
                number: Height(s.number),
                hash: word(&s.hash, "hash")?,
            },
            signatures: signatures(raw.signatures)?,
            header_rlp: raw.header_rlp.into(),
        })
    }
}

impl SignedRotation {
    /// The rotation as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let rotation = &self.rotation;
        RawRotation {
            chain_id: rotation.chain_id,
            genesis_hash: rotation.genesis_hash.to_vec(),
            epoch: rotation.epoch,
            attestors: rotation.attestors.addresses().iter().map(|address| address.to_vec()).collect(),
            threshold: u32::try_from(rotation.attestors.threshold()).unwrap_or(u32::MAX),
            signatures: self.signatures.iter().map(|signature| signature.to_vec()).collect(),
        }
        .encode_to_vec()
    }

    /// Reads a rotation from bytes, strictly.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let raw: RawRotation = decode_strict(bytes, MAX_ROTATION_BYTES)?;
        let addresses = raw
            .attestors
            .iter()
            .map(|bytes| Address::try_from(bytes.as_slice()).map_err(|_| CodecError::Field("attestors")))
            .collect::<Result<_, _>>()?;
        let threshold = usize::try_from(raw.threshold).map_err(|_| CodecError::Field("threshold"))?;
        Ok(Self {
            rotation: Rotation {
                chain_id: raw.chain_id,
                genesis_hash: word(&raw.genesis_hash, "genesis_hash")?,
                epoch: raw.epoch,
                attestors: Attestors::new(addresses, threshold)?,
            },
            signatures: signatures(raw.signatures)?,
        })
    }
}

/// What moves an `attested` client on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// To a header.
    Header(Header),
    /// To another attestor set.
    Rotation(SignedRotation),
}

impl Update {
    /// Reads an update from bytes, strictly. A header begins with its statement, a message; a rotation with a number.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        const STATEMENT: u8 = 0x0a;
        if bytes.first() == Some(&STATEMENT) {
            Header::decode(bytes).map(Self::Header)
        } else {
            SignedRotation::decode(bytes).map(Self::Rotation)
        }
    }
}

/// An account's or a slot's proof nodes as bytes.
#[must_use]
pub fn encode_nodes(nodes: &[Bytes]) -> Vec<u8> {
    RawNodes { nodes: nodes.iter().map(|node| node.to_vec()).collect() }.encode_to_vec()
}

/// Reads proof nodes from bytes, strictly.
pub fn decode_nodes(bytes: &[u8]) -> Result<Vec<Bytes>, CodecError> {
    let raw: RawNodes = decode_strict(bytes, MAX_PROOF_BYTES)?;
    if raw.nodes.len() > MAX_NODES || raw.nodes.iter().any(|node| node.len() > MAX_NODE_LEN) {
        return Err(CodecError::TooMany("nodes"));
    }
    Ok(raw.nodes.into_iter().map(Bytes::from).collect())
}
