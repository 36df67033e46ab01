//! The bounded binary form in which ledger transactions carry updates: protobuf around the SSZ of the update and the
//! keys of the committee that signed it. Decoding is strict: the bytes must be what encoding the result gives.

use alloy_primitives::FixedBytes;
use crosspoint_protocol::ids::Height;
use prost::Message;

use super::client::Header;
use super::network::{Fork, Preset};
use super::ssz::{MAX_UPDATE_BYTES, SszError};
use super::types::{SyncCommittee, Update};

/// Bytes of a compressed public key.
const KEY_LEN: usize = 48;
/// Most bytes of an encoded [`Header`]: an update, and a committee that fits into one.
pub const MAX_HEADER_BYTES: usize = 2 * MAX_UPDATE_BYTES;

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
    /// No form that is known.
    #[error("{0} names no form of updates")]
    Form(u32),
    /// The committee has not the network's size.
    #[error("{0} bytes are not the keys of a committee of this network")]
    Committee(usize),
    /// The update is not SSZ of its fork.
    #[error(transparent)]
    Ssz(#[from] SszError),
}

#[derive(Clone, PartialEq, Message)]
struct RawHeader {
    #[prost(uint64, tag = "1")]
    trusted_height: u64,
    /// The keys of the members, then the sum of them.
    #[prost(bytes = "vec", tag = "2")]
    signers: Vec<u8>,
    /// The update's form: its place in [`FORMS`].
    #[prost(uint32, tag = "3")]
    form: u32,
    #[prost(bytes = "vec", tag = "4")]
    update: Vec<u8>,
}

/// The forks that changed the form of updates; each later one keeps the form of the last of these.
const FORMS: [Fork; 4] = [Fork::Altair, Fork::Capella, Fork::Deneb, Fork::Electra];

impl Header {
    /// The update as bytes, in the form of a fork: that of the attested header's slot.
    #[must_use]
    pub fn encode(&self, preset: Preset, fork: Fork) -> Vec<u8> {
        let form = FORMS.iter().rposition(|first| *first <= fork).unwrap_or_default();
        let keys = self.signers.pubkeys.iter().chain([&self.signers.aggregate_pubkey]);
        RawHeader {
            trusted_height: self.trusted_height.0,
            signers: keys.flat_map(|key| key.0).collect(),
            form: u32::try_from(form).unwrap_or(u32::MAX),
            update: self.update.to_ssz(preset, fork),
        }
        .encode_to_vec()
    }

    /// Reads an update of a network with these sizes from bytes, strictly.
    pub fn decode(preset: Preset, bytes: &[u8]) -> Result<Self, CodecError> {
        if bytes.len() > MAX_HEADER_BYTES {
            return Err(CodecError::TooLong(bytes.len()));
        }
        let raw = RawHeader::decode(bytes).map_err(|_| CodecError::Protobuf)?;
        let fork = usize::try_from(raw.form).ok().and_then(|at| FORMS.get(at)).ok_or(CodecError::Form(raw.form))?;
        let header = Self {
            trusted_height: Height(raw.trusted_height),
            signers: committee(preset, &raw.signers)?,
            update: Update::from_ssz(preset, *fork, &raw.update)?,
        };
        // Also what SSZ leaves open: a part of zeros that is read as none.
        if header.encode(preset, *fork) == bytes { Ok(header) } else { Err(CodecError::NotCanonical) }
    }
}

fn committee(preset: Preset, bytes: &[u8]) -> Result<SyncCommittee, CodecError> {
    let wrong = CodecError::Committee(bytes.len());
    if bytes.len() != preset.sync_committee_size.saturating_add(1).saturating_mul(KEY_LEN) {
        return Err(wrong);
    }
    let mut keys: Vec<_> = bytes.chunks_exact(KEY_LEN).map(FixedBytes::from_slice).collect();
    let aggregate_pubkey = keys.pop().ok_or(wrong)?;
    Ok(SyncCommittee { pubkeys: keys, aggregate_pubkey })
}
