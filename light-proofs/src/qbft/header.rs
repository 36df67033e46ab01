//! A sealed header: what its validators signed, and what its hash is.

use alloy_primitives::{Address, B256, b256, keccak256};
use alloy_rlp::Header as RlpHeader;
use crosspoint_protocol::ids::{Height, Timestamp};

use super::extra::{Encoding, ExtraData, ExtraError, SEAL_LEN, list, raw_items, string};
use crate::evm::{ExecutionHeader, HeaderError};
use crate::signature::{SignatureError, recover};

/// Most bytes of a header's RLP: room for the seals of [`super::MAX_VALIDATORS`].
pub const MAX_HEADER_RLP: usize = 48 * 1024;
// Where a header keeps what is checked here.
const DIFFICULTY: usize = 7;
const EXTRA_DATA: usize = 12;
const MIX_HASH: usize = 13;
/// Most fields of a header; Prague has 21.
const MAX_FIELDS: usize = 40;
/// The mix hash of every header sealed by a Byzantine-fault-tolerant engine: no other engine's header has it.
const BFT_MIX_HASH: B256 = b256!("63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365");
/// What IBFT 1 appends to the block hash for a commit.
const IBFT1_COMMIT: u8 = 2;

/// Why bytes are not a sealed header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealedHeaderError {
    /// Not an execution header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Its extra data is not that of the encoding.
    #[error(transparent)]
    Extra(#[from] ExtraError),
    /// Its mix hash or difficulty is that of another engine.
    #[error("the header's {0} is not that of a sealed header")]
    NotSealed(&'static str),
}

/// A header with its seals, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedHeader {
    /// The block's hash: over the header without the committed seals (and, from IBFT 2.0 on, without the round).
    pub hash: B256,
    /// The block before.
    pub parent_hash: B256,
    /// The state after the block.
    pub state_root: B256,
    /// The block's number.
    pub number: Height,
    /// Its time in seconds.
    pub time: Timestamp,
    /// The set that sealed it, the round, and the seals.
    pub extra: ExtraData,
    /// What the seals sign.
    pub digest: B256,
}

impl SealedHeader {
    /// Reads a header's RLP. Fields that forks appended after the nonce are kept as they are.
    pub fn decode(encoding: Encoding, rlp: &[u8]) -> Result<Self, SealedHeaderError> {
        let plain = ExecutionHeader::decode_up_to(rlp, MAX_HEADER_RLP)?;
        let mut payload = rlp;
        RlpHeader::decode(&mut payload).map_err(|_| HeaderError::Rlp)?;
        let fields = raw_items(payload, MAX_FIELDS, "fields").map_err(|_| HeaderError::Rlp)?;
        let field = |at: usize, name| {
            let mut item = *fields.get(at).ok_or(HeaderError::Missing(name))?;
            RlpHeader::decode_bytes(&mut item, false).map_err(|_| HeaderError::Field(name))
        };
        if field(MIX_HASH, "mixHash")? != BFT_MIX_HASH.as_slice() {
            return Err(SealedHeaderError::NotSealed("mix hash"));
        }
        if field(DIFFICULTY, "difficulty")? != [1] {
            return Err(SealedHeaderError::NotSealed("difficulty"));
        }
        let extra = ExtraData::decode(encoding, field(EXTRA_DATA, "extraData")?)?;
        let with = |data: &[u8]| {
            let replaced = string(data);
            let items = fields.iter().enumerate().map(|(at, item)| if at == EXTRA_DATA { &replaced } else { *item });
            keccak256(list(&items.collect::<Vec<_>>()))
        };
        let hash = with(&extra.hashed);
        let digest = match encoding {
            Encoding::Qbft | Encoding::Ibft2 => with(&extra.signed),
            Encoding::Ibft1 => keccak256([hash.as_slice(), &[IBFT1_COMMIT]].concat()),
        };
        Ok(Self {
            hash,
            parent_hash: plain.parent_hash,
            state_root: plain.state_root,
            number: plain.number,
            time: plain.time,
            extra,
            digest,
        })
    }

    /// Who made the seals, in their order.
    pub fn signers(&self) -> Result<Vec<Address>, SignatureError> {
        let signer = |(index, seal): (usize, &[u8; SEAL_LEN])| {
            let mut signature = *seal;
            // A seal's `v` is the recovery id itself; signatures elsewhere add 27.
            if let [.., v @ (0 | 1)] = &mut signature {
                *v = v.saturating_add(27);
                recover(&self.digest, &signature, index)
            } else {
                Err(SignatureError::RecoveryId { index, v: seal.last().copied().unwrap_or_default() })
            }
        };
        self.extra.seals.iter().enumerate().map(signer).collect()
    }
}
