//! Whether a node told every log of a packet in a range of blocks. A header's bloom filter names all who logged in
//! its block, and its receipts root binds what they logged.
//!
//! The header's hash is computed, not believed; that the chain agreed on it shows when a proof at a later block is
//! compared with what attestors signed.

use super::block::{self, Block, BlockId};
use super::events::PACKET_EVENTS;
use super::rpc::{RpcError, Session};
use crate::error::ChainError;
use alloy::consensus::proofs::calculate_receipt_root;
use alloy::primitives::{Address, BloomInput, Log as PlainLog};
use alloy::rpc::types::{Log, TransactionReceipt};
use crosspoint_protocol::ids::Height;
use futures::{StreamExt, TryStreamExt};
use serde_json::json;
use std::collections::BTreeMap;

/// Most blocks of a range that is checked. Longer ones are asked for only when a long way is caught up with, where a
/// question per block would take too long; what is left out there shows later, and the range is read again.
const MAX_BLOCKS: u64 = 256;
/// How many headers are asked for at once.
const CONCURRENCY: usize = 8;

/// Fails if the gateway logged something of a packet in blocks `from..=to` that is not among `logs`, or the reverse. `last` is block `to`.
pub(super) async fn check(
    session: Session<'_>,
    gateway: Address,
    (from, to): (Height, Height),
    last: &Block,
    logs: &[Log],
) -> Result<(), ChainError> {
    if to.0.saturating_sub(from.0) >= MAX_BLOCKS {
        return Ok(());
    }
    let mut told: BTreeMap<u64, Vec<(u64, &PlainLog)>> = BTreeMap::new();
    for log in logs {
        if let (Some(block), Some(index)) = (log.block_number, log.log_index) {
            told.entry(block).or_default().push((index, &log.inner));
        }
    }
    let below = futures::stream::iter(from.0..to.0)
        .map(|number| block::existing(session, BlockId::Number(Height(number))))
        .buffered(CONCURRENCY);
    let blocks: Vec<Block> = below.try_collect().await?;
    for block in blocks.iter().chain([last]) {
        let may_hold = |bytes: &[u8]| block.header.logs_bloom.contains_input(BloomInput::Raw(bytes));
        let named = may_hold(gateway.as_slice()) && PACKET_EVENTS.iter().any(|topic| may_hold(topic.as_slice()));
        let logged = if named { logs_of(session, gateway, block).await? } else { vec![] };
        let mut told = told.remove(&block.header.number).unwrap_or_default();
        told.sort_by_key(|(index, _)| *index);
        if !logged.iter().eq(told.into_iter().map(|(_, log)| log)) {
            return Err(session.lie(format!("the logs told of block {} are not those in it", block.header.number)));
        }
    }
    Ok(())
}

/// What the gateway logged of packets in a block, by its receipts, in order.
async fn logs_of(session: Session<'_>, gateway: Address, block: &Block) -> Result<Vec<PlainLog>, ChainError> {
    const METHOD: &str = "eth_getBlockReceipts";
    let number = block.header.number;
    let params = json!([BlockId::Number(Height(number)).to_param()]);
    let answer: Result<Option<Vec<TransactionReceipt>>, RpcError> = session.request(METHOD, &params).await;
    let missing =
        || ChainError::NotFound { chain: session.chain().clone(), what: format!("receipts of block {number}") };
    let receipts = match answer {
        Ok(receipts) => receipts.ok_or_else(missing)?,
        Err(RpcError::Node(_)) => return Err(missing()),
        Err(error) => return Err(error.into_chain_error(session.chain(), METHOD)),
    };
    let receipts: Vec<_> = receipts.into_iter().map(|receipt| receipt.into_primitives_receipt().inner).collect();
    if calculate_receipt_root(&receipts) != block.header.receipts_root {
        return Err(session.lie(format!("the receipts of block {number} are not those in its header")));
    }
    let of_packets = |log: &&PlainLog| {
        log.address == gateway && log.topics().first().is_some_and(|topic| PACKET_EVENTS.contains(topic))
    };
    Ok(receipts.iter().flat_map(|receipt| receipt.logs()).filter(of_packets).cloned().collect())
}
