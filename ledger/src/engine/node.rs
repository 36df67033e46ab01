//! What the block loop and the RPC share: the application's reader, the block store, the mempool, the newest
//! block, and the feed of committed blocks.

use std::sync::Arc;
use std::time::Duration;

use crosspoint_protocol::ids::ChainId;
use tendermint::block::{self, Header};
use tendermint::{AppHash, consensus};
use tendermint_proto::v0_38::{abci, types};
use tokio::sync::{broadcast, watch};

use super::mempool::{Candidate, Mempool, MempoolError, TxHash};
use super::store::{BlockStore, StoreError};
use super::validators::{ValidatorSet, ValidatorSetError};
use crate::app::{AppError, Reader, TxResult};
use crate::code;

/// How many blocks a slow reader of the feed may be behind before it loses some.
const FEED_BLOCKS: usize = 64;

/// The newest block.
#[derive(Debug, Clone)]
pub struct Latest {
    /// Its height; 0 before the first.
    pub height: u64,
    /// The root of the state after it. It stands in the next header.
    pub app_hash: AppHash,
    /// Its header; `None` before the first.
    pub header: Option<Header>,
}

/// A block that was committed just now.
#[derive(Debug)]
pub struct CommittedBlock {
    /// The block.
    pub block: types::Block,
    /// Its header.
    pub header: Header,
    /// Its id.
    pub id: block::Id,
    /// What its transactions did, and what happened beside them.
    pub results: abci::ResponseFinalizeBlock,
    /// The hashes of its transactions, in order.
    pub tx_hashes: Vec<TxHash>,
}

/// Why a transaction was not taken into the mempool.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The mempool.
    #[error(transparent)]
    Mempool(#[from] MempoolError),
    /// The state could not be read.
    #[error(transparent)]
    App(#[from] AppError),
}

/// The parts of a node that many tasks use at once.
#[derive(Debug)]
pub struct Node {
    /// The chain.
    pub chain_id: ChainId,
    /// Reads of the application's state.
    pub app: Reader,
    /// Blocks, results, validator sets, checkpoints.
    pub store: BlockStore,
    /// Transactions waiting.
    pub mempool: Mempool,
    /// The genesis document, as CometBFT serves it.
    pub genesis: serde_json::Value,
    /// The consensus parameters.
    pub params: consensus::Params,
    /// The first validator of the set this process runs, as `status` names it.
    pub validator: tendermint::validator::Info,
    latest: watch::Sender<Latest>,
    feed: broadcast::Sender<Arc<CommittedBlock>>,
}

/// What a [`Node`] is made of.
#[derive(Debug)]
pub(crate) struct NodeParts<'a> {
    pub(crate) chain_id: ChainId,
    pub(crate) app: Reader,
    pub(crate) mempool: Mempool,
    pub(crate) genesis: serde_json::Value,
    pub(crate) params: consensus::Params,
    pub(crate) validators: &'a ValidatorSet,
    pub(crate) latest: Latest,
}

impl Node {
    pub(crate) fn new(parts: NodeParts<'_>) -> Result<Self, ValidatorSetError> {
        let validator = parts.validators.to_infos()?.into_iter().next().ok_or(ValidatorSetError::Count(0))?;
        Ok(Self {
            chain_id: parts.chain_id,
            store: BlockStore::new(parts.app.clone()),
            app: parts.app,
            mempool: parts.mempool,
            genesis: parts.genesis,
            params: parts.params,
            validator,
            latest: watch::Sender::new(parts.latest),
            feed: broadcast::Sender::new(FEED_BLOCKS),
        })
    }

    /// The newest block.
    #[must_use]
    pub fn latest(&self) -> Latest {
        self.latest.borrow().clone()
    }

    /// Tells of each new newest block.
    #[must_use]
    pub fn watch_latest(&self) -> watch::Receiver<Latest> {
        self.latest.subscribe()
    }

    /// Every block committed from now on. A reader that falls too far behind is told so and loses blocks.
    #[must_use]
    pub fn feed(&self) -> broadcast::Receiver<Arc<CommittedBlock>> {
        self.feed.subscribe()
    }

    pub(crate) fn publish(&self, app_hash: AppHash, block: CommittedBlock) {
        let header = Some(block.header.clone());
        self.latest.send_replace(Latest { height: block.header.height.value(), app_hash, header });
        // Nobody listening is no failure.
        let _ = self.feed.send(Arc::new(block));
    }

    /// The set at a height: that of a block, or of the next one or two.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn validators(&self, height: u64) -> Result<Option<ValidatorSet>, StoreError> {
        if let Some(block) = self.store.block(height)? {
            return self.store.set(block.validators.as_ref()).map(Some);
        }
        let Some(tip) = self.store.tip()? else { return Ok(None) };
        match height.checked_sub(tip.height) {
            Some(1) => self.store.set(tip.validators.as_ref()).map(Some),
            Some(2) => self.store.set(tip.next_validators.as_ref()).map(Some),
            _ => Ok(None),
        }
    }

    /// Checks a transaction and takes it into the mempool if the application finds it good.
    ///
    /// # Errors
    /// [`SubmitError`] when the mempool does not take it. A transaction that the application refuses is no
    /// error: its code says so.
    pub fn submit(&self, tx: Vec<u8>) -> Result<(TxHash, TxResult), SubmitError> {
        let hash = crate::tx::hash(&tx);
        self.mempool.precheck(tx.len(), &hash)?;
        let checked = self.app.check_tx(&tx);
        if let (code::OK, Some(sender)) = (checked.code, checked.sender) {
            let (next_nonce, weight) = (self.app.next_nonce(&sender)?, crate::tx::weight::weight(&tx));
            self.mempool.insert(Candidate {
                tx,
                hash,
                sender: *sender.as_bytes(),
                nonce: checked.nonce,
                next_nonce,
                weight,
            })?;
        }
        Ok((hash, checked))
    }

    /// The nonce of an account's next transaction, by the newest committed state; 0 where it cannot be read,
    /// which makes nothing in the mempool ready or impossible.
    pub(crate) fn next_nonce(&self, sender: &super::mempool::SenderId) -> u64 {
        let account = crate::address::AccountId::from_slice(sender).ok();
        account.and_then(|account| self.app.next_nonce(&account).ok()).unwrap_or(0)
    }

    /// Waits until there is a block at `height`, at most `within`. Gives the newest height then.
    ///
    /// # Errors
    /// The newest height, when it is below `height` still.
    pub async fn wait_height(&self, height: u64, within: Duration) -> Result<u64, u64> {
        let mut latest = self.watch_latest();
        let reached = tokio::time::timeout(within, latest.wait_for(|latest| latest.height >= height)).await;
        match reached {
            Ok(Ok(latest)) => Ok(latest.height),
            Ok(Err(_)) | Err(_) => Err(self.latest().height),
        }
    }
}
