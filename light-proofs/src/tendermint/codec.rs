//! The bounded binary form (protobuf) in which ledger transactions carry updates.

use crosspoint_protocol::ids::Height;
use prost::Message;
use tendermint_proto::v0_38::types::{SignedHeader as RawSignedHeader, ValidatorSet as RawValidatorSet};

use super::state::Header;

/// Most bytes of an encoded [`Header`].
pub const MAX_HEADER_BYTES: usize = 256 * 1024;
/// Most validators of a set, and most signatures of a commit.
pub const MAX_VALIDATORS: usize = 512;

/// Why bytes are not a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The text is not hex.
    #[error("the text is not hex digits")]
    Hex,
    /// Longer than [`MAX_HEADER_BYTES`].
    #[error("a header of {0} bytes is longer than {MAX_HEADER_BYTES}")]
    TooLong(usize),
    /// Not protobuf of this message.
    #[error("the bytes are not protobuf of a header")]
    Protobuf,
    /// A field is missing.
    #[error("the header has no {0}")]
    Missing(&'static str),
    /// A set or commit has more than [`MAX_VALIDATORS`].
    #[error("{what} has {len} entries; at most {MAX_VALIDATORS} are allowed")]
    TooMany {
        /// Which list.
        what: &'static str,
        /// Its length.
        len: usize,
    },
    /// A field has a value that no CometBFT chain gives it.
    #[error("the {field} is malformed: {detail}")]
    Malformed {
        /// Which field.
        field: &'static str,
        /// What is wrong.
        detail: String,
    },
}

#[derive(Clone, PartialEq, Message)]
struct RawHeader {
    #[prost(message, optional, tag = "1")]
    signed_header: Option<RawSignedHeader>,
    #[prost(message, optional, tag = "2")]
    validators: Option<RawValidatorSet>,
    #[prost(uint64, tag = "3")]
    trusted_height: u64,
    #[prost(message, optional, tag = "4")]
    trusted_next_validators: Option<RawValidatorSet>,
}

impl Header {
    /// The header as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        RawHeader {
            signed_header: Some(self.signed_header.clone().into()),
            validators: Some(self.validators.clone().into()),
            trusted_height: self.trusted_height.0,
            trusted_next_validators: Some(self.trusted_next_validators.clone().into()),
        }
        .encode_to_vec()
    }

    /// Reads a header from bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        if bytes.len() > MAX_HEADER_BYTES {
            return Err(CodecError::TooLong(bytes.len()));
        }
        let raw = RawHeader::decode(bytes).map_err(|_| CodecError::Protobuf)?;
        let signed_header = raw.signed_header.ok_or(CodecError::Missing("signed header"))?;
        let signatures = signed_header.commit.as_ref().map_or(0, |commit| commit.signatures.len());
        bounded("the commit", signatures)?;
        Ok(Self {
            signed_header: signed_header.try_into().map_err(malformed("signed header"))?,
            validators: set(raw.validators, "validator set")?,
            trusted_height: Height(raw.trusted_height),
            trusted_next_validators: set(raw.trusted_next_validators, "trusted validator set")?,
        })
    }
}

fn set(raw: Option<RawValidatorSet>, name: &'static str) -> Result<tendermint::validator::Set, CodecError> {
    let raw = raw.ok_or(CodecError::Missing(name))?;
    bounded(name, raw.validators.len())?;
    raw.try_into().map_err(malformed(name))
}

const fn bounded(what: &'static str, len: usize) -> Result<(), CodecError> {
    if len > MAX_VALIDATORS { Err(CodecError::TooMany { what, len }) } else { Ok(()) }
}

fn malformed(field: &'static str) -> impl Fn(tendermint::Error) -> CodecError {
    // The first line says what is wrong; the rest may be a backtrace.
    move |error| CodecError::Malformed {
        field,
        detail: error.to_string().lines().next().unwrap_or_default().chars().take(160).collect(),
    }
}
