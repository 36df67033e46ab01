//! Block headers whose hash was computed here, not believed.

use super::rpc::Session;
use super::settings::Finality;
use crate::chain::{Head, Tip};
use crate::error::ChainError;
use alloy::consensus::Header as ConsensusHeader;
use alloy::primitives::{B256, Bytes};
use crosspoint_light_proofs::qbft::SealedHeader;
use crosspoint_protocol::ids::{Height, Timestamp};
use serde_json::{Value, json};

/// A header and its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The keccak256 of the header's RLP; of a sealed header, of what its validators leave of it.
    pub hash: B256,
    /// The header.
    pub header: ConsensusHeader,
}

impl Block {
    /// Number and time.
    #[must_use]
    pub const fn tip(&self) -> Tip {
        Tip { height: Height(self.header.number), time: Timestamp(self.header.timestamp) }
    }

    /// The header's RLP.
    #[must_use]
    pub fn rlp(&self) -> Bytes {
        alloy_rlp::encode(&self.header).into()
    }
}

/// Which block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockId {
    /// The newest.
    Latest,
    /// The newest that the chain calls final.
    Finalized,
    /// By number.
    Number(Height),
}

impl BlockId {
    /// As a JSON-RPC parameter.
    #[must_use]
    pub fn to_param(self) -> Value {
        match self {
            Self::Latest => json!("latest"),
            Self::Finalized => json!("finalized"),
            Self::Number(height) => json!(format!("0x{:x}", height.0)),
        }
    }
}

/// One block's header, its hash checked. `None`: the node has no such block.
pub async fn block(session: Session<'_>, id: BlockId) -> Result<Option<Block>, ChainError> {
    const METHOD: &str = "eth_getBlockByNumber";
    let answer: Option<alloy::rpc::types::Header> = session.call(METHOD, &json!([id.to_param(), false])).await?;
    let Some(answer) = answer else { return Ok(None) };
    let header = answer.inner;
    let hash = match session.sealing() {
        None => header.hash_slow(),
        Some(encoding) => {
            let sealed = SealedHeader::decode(encoding, &alloy_rlp::encode(&header));
            sealed.map_err(|error| session.malformed(METHOD, format!("block {}: {error}", header.number)))?.hash
        }
    };
    if hash != answer.hash {
        return Err(session.lie(format!("the header of block {} does not hash to {}", header.number, answer.hash)));
    }
    if let BlockId::Number(height) = id
        && header.number != height.0
    {
        return Err(session.malformed(METHOD, format!("asked for block {height}, got {}", header.number)));
    }
    Ok(Some(Block { hash, header }))
}

/// One block's header that must be there.
pub async fn existing(session: Session<'_>, id: BlockId) -> Result<Block, ChainError> {
    block(session, id).await?.ok_or_else(|| ChainError::NotFound {
        chain: session.chain().clone(),
        what: match id {
            BlockId::Latest => "the newest block".into(),
            BlockId::Finalized => "a finalized block".into(),
            BlockId::Number(height) => format!("block {height}"),
        },
    })
}

/// The newest and the newest final block. Before any block is final, the first block is.
pub async fn head(session: Session<'_>, finality: Finality) -> Result<(Block, Block), ChainError> {
    let latest = existing(session, BlockId::Latest).await?;
    let finalized = match finality {
        Finality::Tag => match block(session, BlockId::Finalized).await? {
            Some(finalized) => finalized,
            None => existing(session, BlockId::Number(Height(0))).await?,
        },
        Finality::Depth(0) => latest.clone(),
        Finality::Depth(depth) => {
            let number = latest.header.number.saturating_sub(depth);
            existing(session, BlockId::Number(Height(number))).await?
        }
    };
    Ok((latest, finalized))
}

/// Two blocks as the trait shows them.
#[must_use]
pub const fn to_head(latest: &Block, finalized: &Block) -> Head {
    Head { latest: latest.tip(), finalized: finalized.tip() }
}
