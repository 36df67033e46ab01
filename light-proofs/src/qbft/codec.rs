//! The bounded binary form (protobuf) in which ledger transactions carry updates. Decoding is strict: the bytes must
//! be what encoding the result gives.

use crosspoint_protocol::ids::Height;
use prost::Message;

use super::header::MAX_HEADER_RLP;
use super::state::Header;

/// Most bytes of an encoded [`Header`].
pub const MAX_HEADER_BYTES: usize = MAX_HEADER_RLP + 32;

/// Why bytes are not an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Longer than [`MAX_HEADER_BYTES`].
    #[error("an update of {0} bytes is longer than {MAX_HEADER_BYTES}")]
    TooLong(usize),
    /// Not protobuf of this message.
    #[error("the bytes are not protobuf of an update")]
    Protobuf,
    /// Decodes, but encodes to other bytes.
    #[error("the bytes are not the canonical encoding of what they decode to")]
    NotCanonical,
}

#[derive(Clone, PartialEq, Message)]
struct RawHeader {
    #[prost(uint64, tag = "1")]
    trusted_height: u64,
    #[prost(bytes = "vec", tag = "2")]
    rlp: Vec<u8>,
}

impl Header {
    /// The update as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        RawHeader { trusted_height: self.trusted_height.0, rlp: self.rlp.to_vec() }.encode_to_vec()
    }

    /// Reads an update from bytes, strictly.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        if bytes.len() > MAX_HEADER_BYTES {
            return Err(CodecError::TooLong(bytes.len()));
        }
        let raw = RawHeader::decode(bytes).map_err(|_| CodecError::Protobuf)?;
        if raw.encode_to_vec() != bytes {
            return Err(CodecError::NotCanonical);
        }
        Ok(Self { trusted_height: Height(raw.trusted_height), rlp: raw.rlp.into() })
    }
}
