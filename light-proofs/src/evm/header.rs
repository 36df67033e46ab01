//! The parts of an execution header that matter here, read from its RLP.
//!
//! Forks append fields (base fee, withdrawals root, blob gas, beacon root, requests hash, …), so the
//! list may be longer than any known today; the fields read here have kept their places since genesis.

use alloy_primitives::{B256, U256, keccak256};
use alloy_rlp::Header as RlpHeader;
use crosspoint_protocol::ids::{Height, Timestamp};

/// Most bytes of a header's RLP. Mainnet's are about 600; consortium chains put seals into extra data.
pub const MAX_HEADER_RLP: usize = 16 * 1024;
/// Most fields of a header; Prague has 21.
const MAX_FIELDS: usize = 40;

/// What is read from a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecutionHeader {
    /// `keccak256` over the RLP: the block hash.
    pub hash: B256,
    /// The block before (field 0).
    pub parent_hash: B256,
    /// The state after the block (field 3).
    pub state_root: B256,
    /// The block's number (field 8).
    pub number: Height,
    /// Its time in seconds (field 11).
    pub time: Timestamp,
}

/// Why bytes are not an execution header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Longer than [`MAX_HEADER_RLP`].
    #[error("a header of {0} bytes is longer than {MAX_HEADER_RLP}")]
    TooLong(usize),
    /// Not one RLP list of byte strings, exactly as long as it says.
    #[error("the header is not one RLP list of byte strings")]
    Rlp,
    /// More fields than any fork may add.
    #[error("the header has more than {MAX_FIELDS} fields")]
    TooManyFields,
    /// Fewer fields than the first headers had.
    #[error("the header ends before its field {0}")]
    Missing(&'static str),
    /// A field does not hold what it must.
    #[error("the header's field {0} is malformed")]
    Field(&'static str),
}

/// A field's big-endian integer without leading zeros, at most 8 bytes.
fn number(bytes: &[u8], name: &'static str) -> Result<u64, HeaderError> {
    if bytes.first() == Some(&0) || bytes.len() > 8 {
        return Err(HeaderError::Field(name));
    }
    u64::try_from(U256::from_be_slice(bytes)).map_err(|_| HeaderError::Field(name))
}

impl ExecutionHeader {
    /// Decodes a header's RLP.
    pub fn decode(rlp: &[u8]) -> Result<Self, HeaderError> {
        Self::decode_up_to(rlp, MAX_HEADER_RLP)
    }

    /// Decodes a header's RLP of at most `max` bytes.
    pub(crate) fn decode_up_to(rlp: &[u8], max: usize) -> Result<Self, HeaderError> {
        if rlp.len() > max {
            return Err(HeaderError::TooLong(rlp.len()));
        }
        let mut rest = rlp;
        let list = RlpHeader::decode(&mut rest).map_err(|_| HeaderError::Rlp)?;
        if !list.list || list.payload_length != rest.len() {
            return Err(HeaderError::Rlp);
        }
        let mut fields = Vec::with_capacity(24);
        while !rest.is_empty() {
            if fields.len() == MAX_FIELDS {
                return Err(HeaderError::TooManyFields);
            }
            fields.push(RlpHeader::decode_bytes(&mut rest, false).map_err(|_| HeaderError::Rlp)?);
        }
        let field = |at: usize, name| fields.get(at).copied().ok_or(HeaderError::Missing(name));
        let word = |at, name| B256::try_from(field(at, name)?).map_err(|_| HeaderError::Field(name));
        Ok(Self {
            hash: keccak256(rlp),
            parent_hash: word(0, "parentHash")?,
            state_root: word(3, "stateRoot")?,
            number: Height(number(field(8, "number")?, "number")?),
            time: Timestamp(number(field(11, "timestamp")?, "timestamp")?),
        })
    }
}
