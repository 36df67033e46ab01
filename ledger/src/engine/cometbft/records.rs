//! What the application keeps of headers beside the state: written in the batch of the block, outside the app hash.
//!
//! | key | value |
//! |---|---|
//! | `header` | [`HeaderRecord`] of the newest block, on which the next block's certificate is |
//! | `certificate/` u64be(height) | the certificate of a header, as it stands in the next block |

use crosspoint_light_proofs::checkpoint::SignedCheckpoint;
use crosspoint_protocol::ids::{Height, Timestamp};
use prost::Message;

use super::certificate::Certificate;
use super::vote::Signers;
use crate::app::{AppError, EngineRecord, Reader};
use crate::engine::store::StoreError;

const HEADER: &[u8] = b"header";
const CERTIFICATE: &[u8] = b"certificate/";

/// What is signed of a header.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct HeaderRecord {
    /// Its height.
    #[prost(uint64, tag = "1")]
    pub height: u64,
    /// Its time in seconds.
    #[prost(uint64, tag = "2")]
    pub time: u64,
    /// The app hash in it.
    #[prost(bytes = "vec", tag = "3")]
    pub app_hash: Vec<u8>,
}

impl HeaderRecord {
    /// Whether a certificate is of this header.
    #[must_use]
    pub fn is_of(&self, certificate: &Certificate) -> bool {
        self.height == certificate.height.0
            && Timestamp(self.time) == certificate.time
            && self.app_hash == certificate.app_hash
    }

    /// The record, for the batch of the header's block.
    #[must_use]
    pub fn write(&self) -> EngineRecord {
        EngineRecord { key: HEADER.to_vec(), value: Some(self.encode_to_vec()) }
    }
}

fn certificate_key(height: Height) -> Vec<u8> {
    [CERTIFICATE, &height.0.to_be_bytes()].concat()
}

/// A certificate's record, for the batch of the block that carries it.
#[must_use]
pub fn write_certificate(certificate: &Certificate) -> EngineRecord {
    EngineRecord { key: certificate_key(certificate.height), value: Some(certificate.encode()) }
}

/// The newest block's header, if it was executed here: after a state sync the next block's is the first.
///
/// # Errors
/// When the database fails or is damaged.
pub fn header(reader: &Reader, height: Height) -> Result<Option<HeaderRecord>, StoreError> {
    let Some(bytes) = reader.engine_get(HEADER)? else { return Ok(None) };
    let record = HeaderRecord::decode(bytes.as_slice()).map_err(|_| StoreError::Damaged("header"))?;
    Ok(Some(record).filter(|record| record.height == height.0))
}

/// The signed checkpoint of a header.
///
/// # Errors
/// When the database fails or is damaged.
pub fn checkpoint(reader: &Reader, signers: &Signers, height: Height) -> Result<Option<SignedCheckpoint>, StoreError> {
    let Some(bytes) = reader.engine_get(&certificate_key(height))? else { return Ok(None) };
    let certificate = Certificate::decode(&bytes).map_err(|_| StoreError::Damaged("certificate"))?;
    Ok(Some(certificate.signed(signers)))
}

/// The newest header up to `height` whose certificate is here.
///
/// # Errors
/// When the database fails.
pub fn newest_certified(reader: &Reader, height: Height) -> Result<Option<Height>, AppError> {
    // Quorums are missed seldom, so the answer is a step or two away.
    for at in (height.0.saturating_sub(63)..=height.0).rev() {
        if reader.engine_get(&certificate_key(Height(at)))?.is_some() {
            return Ok(Some(Height(at)));
        }
    }
    Ok(None)
}
