//! Packet events of blocks, in order, and updates of clients. No header binds the bytes of events: `complete` compares them with what is
//! proven to be in the state.

use crosspoint_ledger::events::{Event, EventError};
use crosspoint_protocol::ids::{ChainId, Height};
use futures::{StreamExt, TryStreamExt};
use tendermint::abci::types::ExecTxResult;
use tendermint::crypto::default::Sha256;
use tendermint::merkle::simple_hash_from_byte_vectors;
use tendermint::{Block, Hash, abci};
use tendermint_rpc::endpoint::{block, block_results};

use super::query::seconds;
use super::rpc::Endpoint;
use crate::chain::{ChainEvent, ClientStatus, PacketEvent, SignersView, Tip, TxId};
use crate::error::ChainError;
use crate::witness::{Brought, Mark};

/// How many blocks are asked for at once.
const CONCURRENCY: usize = 8;
/// Most events taken in at once: some hundred megabytes. Where blocks hold more, fewer blocks are asked for.
pub(crate) const MAX_EVENTS: usize = 100_000;

/// The packet events of blocks `from..=to` as one endpoint tells them.
pub(crate) async fn range(endpoint: &Endpoint, from: Height, to: Height) -> Result<Vec<ChainEvent>, ChainError> {
    let mut blocks =
        futures::stream::iter(from.0..=to.0).map(|height| of_block(endpoint, Height(height))).buffered(CONCURRENCY);
    let mut events = Vec::new();
    while let Some(block) = blocks.try_next().await? {
        events.extend(block);
        if events.len() > MAX_EVENTS && from < to {
            return Err(too_many(endpoint.chain(), from, to));
        }
    }
    Ok(events)
}

/// More events than are taken in at once. Fewer blocks have fewer.
pub(crate) fn too_many(chain: &ChainId, from: Height, to: Height) -> ChainError {
    ChainError::InvalidRequest(format!(
        "{chain}: more than {MAX_EVENTS} events in blocks {from} to {to}; ask for fewer"
    ))
}

/// The headers that a client came to trust in blocks `from..=to`, as one endpoint tells them.
pub(crate) async fn updates(
    endpoint: &Endpoint,
    client: &ClientStatus,
    from: Height,
    to: Height,
) -> Result<Vec<Brought>, ChainError> {
    let blocks = futures::stream::iter(from.0..=to.0).map(|height| results_of(endpoint, Height(height)));
    let blocks: Vec<Vec<ExecTxResult>> = blocks.buffered(CONCURRENCY).try_collect().await?;
    let mut updates = vec![];
    for result in blocks.iter().flatten().filter(|result| result.code.is_ok()) {
        let events = ledger_events(endpoint, &result.events)?;
        updates.extend(events.into_iter().filter_map(|event| brought(client, event)));
    }
    Ok(updates)
}

/// What an event says was brought to this client, if anything.
fn brought(client: &ClientStatus, event: Event) -> Option<Brought> {
    match event {
        Event::ClientUpdated { client: updated, height, time, hash } if updated == client.client => {
            let height = match &client.signers {
                SignersView::SyncCommittees { network, .. } => Height(network.slot_at(time.0)),
                _ => height,
            };
            Some(Brought { mark: Mark { height, hash: hash.0 }, time })
        }
        _ => None,
    }
}

async fn results_of(endpoint: &Endpoint, height: Height) -> Result<Vec<ExecTxResult>, ChainError> {
    let number = endpoint.height(height)?;
    let results = match endpoint.call(block_results::Request::new(number)).await {
        Ok(results) => results,
        Err(error) => return Err(endpoint.explain("block_results", height, error).await),
    };
    if results.height != number {
        return Err(endpoint.untrustworthy(format!("asked for results of block {height}, got {}", results.height)));
    }
    Ok(results.txs_results.unwrap_or_default())
}

async fn of_block(endpoint: &Endpoint, height: Height) -> Result<Vec<ChainEvent>, ChainError> {
    let results = results_of(endpoint, height).await?;
    let mut found = Vec::new();
    for (index, result) in results.iter().enumerate() {
        for event in packet_events(endpoint, &result.events)? {
            if !result.code.is_ok() {
                return Err(endpoint.untrustworthy(format!("block {height}: a failed transaction has packet events")));
            }
            found.push((index, event));
        }
    }
    // Most blocks move no packet, and their bodies are not fetched.
    if found.is_empty() {
        return Ok(vec![]);
    }
    let block = block_at(endpoint, height).await?;
    if block.data.len() != results.len() {
        let (txs, results) = (block.data.len(), results.len());
        return Err(endpoint.untrustworthy(format!("block {height} has {txs} transactions and {results} results")));
    }
    let time = seconds(block.header.time).ok_or_else(|| endpoint.malformed("block", "a time before 1970"))?;
    let tip = Tip { height, time };
    let with_tx = |(number, (index, event)): (usize, (usize, PacketEvent))| {
        let tx = block.data.get(index).map(|bytes| tx_id(bytes))?;
        Some(ChainEvent { block: tip, index: u32::try_from(number).ok()?, tx, event })
    };
    let events: Option<Vec<_>> = found.into_iter().enumerate().map(with_tx).collect();
    events.ok_or_else(|| endpoint.malformed("block_results", format!("block {height} has too many events")))
}

/// A block whose header names its transactions.
async fn block_at(endpoint: &Endpoint, height: Height) -> Result<Block, ChainError> {
    let block: block::Response = match endpoint.call(block::Request::new(endpoint.height(height)?)).await {
        Ok(block) => block.into(),
        Err(error) => return Err(endpoint.explain("block", height, error).await),
    };
    let (id, block) = (block.block_id, block.block);
    if block.header.height.value() != height.0 || block.header.chain_id.as_str() != endpoint.chain().as_str() {
        return Err(endpoint.untrustworthy(format!("asked for block {height}, got another")));
    }
    if id.hash != block.header.hash() {
        return Err(endpoint.untrustworthy(format!("block {height} does not hash to its id")));
    }
    let hashes: Vec<[u8; 32]> = block.data.iter().map(|tx| crosspoint_ledger::tx::hash(tx)).collect();
    let data_hash = Hash::Sha256(simple_hash_from_byte_vectors::<Sha256>(&hashes));
    if block.header.data_hash.is_some_and(|named| named != data_hash) {
        return Err(endpoint.untrustworthy(format!("block {height} has other transactions than its header names")));
    }
    Ok(block)
}

/// A transaction's hash as CometBFT writes it.
pub(crate) fn tx_id(bytes: &[u8]) -> TxId {
    TxId(hex::encode_upper(crosspoint_ledger::tx::hash(bytes)))
}

/// The chain's own events among those of a transaction, decoded.
pub(crate) fn ledger_events(endpoint: &Endpoint, events: &[abci::Event]) -> Result<Vec<Event>, ChainError> {
    let decode = |event: &abci::Event| match Event::from_abci(event) {
        Ok(event) => Some(Ok(event)),
        // CometBFT and later versions of the ledger may add events; they are none of a packet's.
        Err(EventError::Kind(_)) => None,
        Err(error @ (EventError::Missing { .. } | EventError::Value { .. })) => {
            Some(Err(endpoint.malformed("block_results", error.to_string())))
        }
    };
    events.iter().filter_map(decode).collect()
}

fn packet_events(endpoint: &Endpoint, events: &[abci::Event]) -> Result<Vec<PacketEvent>, ChainError> {
    Ok(ledger_events(endpoint, events)?.into_iter().filter_map(packet_event).collect())
}

/// What an event means for a packet, if anything.
fn packet_event(event: Event) -> Option<PacketEvent> {
    match event {
        Event::PacketSent { packet, .. } => Some(PacketEvent::Sent { packet }),
        Event::PacketReceived { dest_client, sequence, refusal, .. } => {
            Some(PacketEvent::Received { dest_client, sequence, refusal })
        }
        Event::AckWritten { dest_client, sequence, ack, cause } => {
            Some(PacketEvent::AckWritten { dest_client, sequence, ack: ack.0, cause })
        }
        Event::PacketEnded { source_client, sequence, end, .. } => {
            Some(PacketEvent::Ended { source_client, sequence, end })
        }
        // The ledger's own: they move no packet.
        Event::Transferred { .. }
        | Event::Issued { .. }
        | Event::Burned { .. }
        | Event::ItemOutcome { .. }
        | Event::ClientCreated { .. }
        | Event::CounterpartyRegistered { .. }
        | Event::ClientUpdated { .. }
        | Event::AttestorsRotated { .. }
        | Event::ClientFrozen { .. }
        | Event::ClientReanchored { .. }
        | Event::ClientClosed { .. }
        | Event::PayoutOwed { .. }
        | Event::OwedWithdrawn { .. }
        | Event::Paused { .. }
        | Event::Unpaused { .. }
        | Event::ProposalCreated { .. }
        | Event::ProposalApproved { .. }
        | Event::ProposalExecuted { .. } => None,
    }
}
