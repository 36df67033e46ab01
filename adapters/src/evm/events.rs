//! Reads the gateway's logs as packet events, and checks what can be checked about them.
//!
//! A node may withhold logs or make some up. What it withholds is in the blocks' receipts (`complete`). A withheld
//! `Sent` also breaks the chain of sequences and of block numbers that each `Sent` carries, or disagrees with the
//! client's counters in the state. A made-up packet, receipt, ack or end disagrees with what the state is proven to
//! hold. Each is answered with [`ChainError::Untrustworthy`] and the next endpoint is asked.

use super::block::{self, Block, BlockId};
use super::complete;
use super::contracts::ICheckpointClient::Updated;
use super::contracts::ICrosspointGateway::{
    Claimed, Ended, ICrosspointGatewayEvents as Event, LockEnd as ContractEnd, Received, RefusalReason, Refused, Sent,
    Voided,
};
use super::contracts::ICrosspointRegistry::{self, ClientInfo};
use super::gateway::{BASE_SLOT, EvmChain, state_error};
use super::prove;
use super::record::{decode_sent, parse_client};
use super::rpc::{RpcError, Session};
use crate::chain::{ChainEvent, PacketEvent, TxId};
use crate::error::ChainError;
use crate::witness::{Brought, Mark};
use alloy::primitives::{Address, B256, Bytes, FixedBytes, U256};
use alloy::rpc::types::Log;
use alloy::sol_types::{SolCall, SolEvent, SolEventInterface};
use crosspoint_light_proofs::evm::storage_slot;
use crosspoint_protocol::ack::{self, Acknowledgement, UNIVERSAL_ERROR_ACK};
use crosspoint_protocol::htlc::{AckCause, LockEnd};
use crosspoint_protocol::ids::{ClientId, Height, Sequence, Timestamp};
use crosspoint_protocol::path::Path;
use crosspoint_protocol::secret::Preimage;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Most logs that are read at once; where there are more, fewer blocks are.
const MAX_LOGS: usize = 50_000;
/// Most events of one range that are compared with what is proven to be stored.
const MAX_CHECKED: usize = 2_000;

/// The events that say something of a packet. The others are not asked for: anybody can have the gateway write them,
/// without a lock, by the thousand.
pub(super) const PACKET_EVENTS: [B256; 6] = [
    Sent::SIGNATURE_HASH,
    Received::SIGNATURE_HASH,
    Refused::SIGNATURE_HASH,
    Claimed::SIGNATURE_HASH,
    Voided::SIGNATURE_HASH,
    Ended::SIGNATURE_HASH,
];

/// A log with its place, decoded.
struct Decoded {
    block: u64,
    index: u64,
    tx: B256,
    event: Event,
}

impl EvmChain {
    pub(super) async fn read_events(&self, from: Height, to: Height) -> Result<Vec<ChainEvent>, ChainError> {
        let mut events = vec![];
        let mut start = from.max(self.settings.deployed_at);
        let mut blocks = self.settings.log_range;
        while start <= to {
            let end = Height(start.0.saturating_add(blocks.saturating_sub(1))).min(to);
            let read = match self.rpc.each(|session| self.read_range(session, start, end, true)).await {
                // Nobody shows receipts. What logs leave out shows in the chain of packets, or when nothing comes of it.
                Err(ChainError::NotFound { what, .. }) => {
                    tracing::debug!(chain = %self.settings.chain, what, "logs are not compared with receipts");
                    self.rpc.each(|session| self.read_range(session, start, end, false)).await
                }
                other => other,
            };
            match read {
                // Too many for one range: whoever fills blocks with logs must not stop the reading for good.
                Err(ChainError::InvalidRequest(_)) if end > start => blocks = end.0.saturating_sub(start.0).div_ceil(2),
                read => {
                    events.extend(read?);
                    start = end.next();
                }
            }
        }
        Ok(events)
    }

    async fn read_range(
        &self,
        session: Session<'_>,
        from: Height,
        to: Height,
        by_receipts: bool,
    ) -> Result<Vec<ChainEvent>, ChainError> {
        let logs = self.logs(session, self.settings.gateway, &json!([PACKET_EVENTS]), from, to).await?;
        let last = block::existing(session, BlockId::Number(to)).await?;
        if by_receipts {
            complete::check(session, self.settings.gateway, (from, to), &last, &logs).await?;
        }
        let mut blocks: BTreeMap<u64, Block> = BTreeMap::new();
        let mut decoded = vec![];
        for log in logs {
            if let Some(log) = self.decode(session, &mut blocks, &last, from, to, log).await? {
                decoded.push(log);
            }
        }
        decoded.sort_by_key(|log| (log.block, log.index));
        let infos = self.client_infos_at(session, &last).await?;
        check_links(session, from, to, &infos, &decoded)?;
        let counterparties = counterparties(session, &infos)?;
        let events = to_events(session, &blocks, &counterparties, &decoded)?;
        self.check_commitments(session, &last, &events).await?;
        Ok(events)
    }

    /// The headers that a client came to trust in blocks `from..=to`, as one endpoint tells them.
    pub(super) async fn client_updates(
        &self,
        client: &ClientId,
        from: Height,
        to: Height,
    ) -> Result<Vec<Brought>, ChainError> {
        let info = self.client_info(client).await?;
        let topics = json!([Updated::SIGNATURE_HASH, info.client]);
        let logs = self.rpc.each(|session| self.logs(session, info.lightClient, &topics, from, to)).await?;
        let brought = |log: Log| {
            let update = log.log_decode_validate::<Updated>().ok().filter(|update| update.inner.client == info.client);
            let update = update.ok_or_else(|| self.malformed("eth_getLogs", "not an update of the client"))?.inner.data;
            let mark = Mark { height: Height(update.height), hash: update.digest.to_vec() };
            Ok(Brought { mark, time: Timestamp(update.time) })
        };
        logs.into_iter().map(brought).collect()
    }

    /// A contract's logs with these topics. A range that a node finds too large is halved.
    async fn logs(
        &self,
        session: Session<'_>,
        contract: Address,
        topics: &Value,
        from: Height,
        to: Height,
    ) -> Result<Vec<Log>, ChainError> {
        const METHOD: &str = "eth_getLogs";
        let mut logs: Vec<Log> = vec![];
        let mut ranges = vec![(from, to)];
        while let Some((from, to)) = ranges.pop() {
            let filter = json!([{
                "address": contract,
                "fromBlock": BlockId::Number(from).to_param(),
                "toBlock": BlockId::Number(to).to_param(),
                "topics": topics,
            }]);
            match session.request::<Vec<Log>>(METHOD, &filter).await {
                Ok(found) => logs.extend(found),
                Err(RpcError::Node(_) | RpcError::Malformed { .. }) if from < to => {
                    let middle = Height(from.0.saturating_add(to.0.saturating_sub(from.0) / 2));
                    ranges.push((middle.next(), to));
                    ranges.push((from, middle));
                }
                Err(error) => return Err(error.into_chain_error(session.chain(), METHOD)),
            }
            if logs.len() > MAX_LOGS {
                return Err(ChainError::InvalidRequest(format!(
                    "{}: more than {MAX_LOGS} logs in one range of blocks; ask for fewer",
                    session.chain()
                )));
            }
        }
        Ok(logs)
    }

    async fn decode(
        &self,
        session: Session<'_>,
        blocks: &mut BTreeMap<u64, Block>,
        last: &Block,
        from: Height,
        to: Height,
        log: Log,
    ) -> Result<Option<Decoded>, ChainError> {
        const METHOD: &str = "eth_getLogs";
        let (Some(number), Some(hash), Some(index), Some(tx)) =
            (log.block_number, log.block_hash, log.log_index, log.transaction_hash)
        else {
            return Err(session.malformed(METHOD, "a log without its place"));
        };
        if log.inner.address != self.settings.gateway || number < from.0 || number > to.0 || log.removed {
            return Err(session.lie("a log that was not asked for"));
        }
        if let Entry::Vacant(place) = blocks.entry(number) {
            place.insert(if number == last.header.number {
                last.clone()
            } else {
                block::existing(session, BlockId::Number(Height(number))).await?
            });
        }
        if blocks.get(&number).is_none_or(|block| block.hash != hash) {
            return Err(session.lie(format!("a log of block {number} is not of that block")));
        }
        // Events that the interface does not name say nothing about packets.
        let event = Event::decode_log(&log.inner).ok().map(|event| event.data);
        Ok(event.map(|event| Decoded { block: number, index, tx, event }))
    }

    /// The clients in the state after `block`; where the node has no such state any more, in the newest.
    async fn client_infos_at(&self, session: Session<'_>, block: &Block) -> Result<Vec<ClientInfo>, ChainError> {
        match self.client_infos_in(session, BlockId::Number(Height(block.header.number))).await {
            Err(ChainError::Pruned { .. }) => self.client_infos_in(session, BlockId::Latest).await,
            other => other,
        }
    }

    async fn client_infos_in(&self, session: Session<'_>, at: BlockId) -> Result<Vec<ClientInfo>, ChainError> {
        let count = self.read_in(session, &ICrosspointRegistry::clientCountCall {}, at).await?;
        let mut infos = vec![];
        for index in 0..self.bounded(count, "clients")? {
            infos.push(
                self.read_in(session, &ICrosspointRegistry::clientAtCall { index: U256::from(index) }, at).await?,
            );
        }
        Ok(infos)
    }

    async fn read_in<C: SolCall>(&self, session: Session<'_>, call: &C, at: BlockId) -> Result<C::Return, ChainError> {
        const METHOD: &str = "eth_call";
        let height = match at {
            BlockId::Number(height) => height,
            BlockId::Latest | BlockId::Finalized => Height(0),
        };
        let params = json!([{ "to": self.registry, "data": Bytes::from(call.abi_encode()) }, at.to_param()]);
        let answer: Bytes =
            session.request(METHOD, &params).await.map_err(|e| state_error(session, e, METHOD, height))?;
        C::abi_decode_returns_validate(&answer)
            .map_err(|_| session.malformed(METHOD, format!("not an answer of {}", C::SIGNATURE)))
    }

    /// What each event says is stored, or gone, must be so in the state.
    async fn check_commitments(
        &self,
        session: Session<'_>,
        block: &Block,
        events: &[ChainEvent],
    ) -> Result<(), ChainError> {
        let told: Vec<Told> = events.iter().map(Told::of).take(MAX_CHECKED).collect();
        if told.is_empty() {
            return Ok(());
        }
        let keys: Vec<B256> = told.iter().map(|told| storage_slot(&told.path, &BASE_SLOT)).collect();
        let gateway = self.settings.gateway;
        let slots = match prove::slots(session, block, gateway, &keys).await {
            Err(ChainError::Pruned { .. }) => {
                let latest = block::existing(session, BlockId::Latest).await?;
                prove::slots(session, &latest, gateway, &keys).await?.1
            }
            other => other?.1,
        };
        for (told, slot) in told.iter().zip(slots) {
            let holds = match (told.stored, slot.value) {
                (Stored::Exactly(told) | Stored::ExactlyOrNothing(told), Some(value)) => told == value.0,
                (Stored::Something, Some(_)) | (Stored::ExactlyOrNothing(_) | Stored::Nothing, None) => true,
                (Stored::Nothing, Some(_)) | (Stored::Exactly(_) | Stored::Something, None) => false,
            };
            if !holds {
                let Path { client, sequence, .. } = &told.path;
                return Err(
                    session.lie(format!("what is logged of packet {sequence} of client {client} is not stored"))
                );
            }
        }
        Ok(())
    }
}

/// What an event says is stored, and where.
struct Told {
    path: Path,
    stored: Stored,
}

#[derive(Clone, Copy)]
enum Stored {
    /// This value, for good.
    Exactly([u8; 32]),
    /// This value, until the packet has ended.
    ExactlyOrNothing([u8; 32]),
    /// Some value, for good.
    Something,
    /// Nothing any more.
    Nothing,
}

impl Told {
    fn of(event: &ChainEvent) -> Self {
        match &event.event {
            PacketEvent::Sent { packet } => {
                Self { path: packet.commitment_path(), stored: Stored::ExactlyOrNothing(packet.commitment()) }
            }
            PacketEvent::Received { dest_client, sequence, .. } => {
                Self { path: Path::receipt(dest_client.clone(), *sequence), stored: Stored::Something }
            }
            PacketEvent::AckWritten { dest_client, sequence, ack, .. } => {
                Self { path: Path::ack(dest_client.clone(), *sequence), stored: Stored::Exactly(ack::commitment(ack)) }
            }
            PacketEvent::Ended { source_client, sequence, .. } => {
                Self { path: Path::commitment(source_client.clone(), *sequence), stored: Stored::Nothing }
            }
        }
    }
}

fn client_id(session: Session<'_>, word: &FixedBytes<32>) -> Result<ClientId, ChainError> {
    parse_client(&word.0).map_err(|e| session.malformed("eth_getLogs", e))
}

fn counterparties(session: Session<'_>, infos: &[ClientInfo]) -> Result<BTreeMap<ClientId, ClientId>, ChainError> {
    infos.iter().map(|info| Ok((client_id(session, &info.client)?, client_id(session, &info.counterparty)?))).collect()
}

/// Every packet that a client sent in `from..=to` must be there: see the module's page.
fn check_links(
    session: Session<'_>,
    from: Height,
    to: Height,
    infos: &[ClientInfo],
    logs: &[Decoded],
) -> Result<(), ChainError> {
    let mut sent: BTreeMap<B256, Vec<(u64, &Sent)>> = BTreeMap::new();
    for log in logs {
        if let Event::Sent(event) = &log.event {
            sent.entry(topic(event.client)).or_default().push((log.block, event));
        }
    }
    for info in infos {
        let list = sent.remove(&topic(info.client)).unwrap_or_default();
        let client = client_id(session, &info.client)?;
        let lie = |what: String| session.lie(format!("Sent events of client {client} are missing: {what}"));
        for pair in list.windows(2) {
            if let [(block, one), (_, next)] = pair
                && (one.sequence.checked_add(1) != Some(next.sequence) || next.previousBlock != *block)
            {
                return Err(lie(format!("after {} comes {}", one.sequence, next.sequence)));
            }
        }
        if let Some((_, first)) = list.first()
            && first.previousBlock >= from.0
        {
            return Err(lie(format!("one before {} in block {}", first.sequence, first.previousBlock)));
        }
        // The counters may be of a later state than `to`; then they say nothing about this range's end.
        if info.lastSendBlock <= to.0 {
            let newest = list.last().map(|(block, event)| (*block, event.sequence));
            let expected = (info.lastSendBlock >= from.0 && info.lastSendBlock > 0)
                .then(|| (info.lastSendBlock, info.nextSequence.saturating_sub(1)));
            if newest != expected {
                return Err(lie(format!("the last in the state is of block {}", info.lastSendBlock)));
            }
        }
    }
    match sent.keys().next() {
        None => Ok(()),
        Some(client) => Err(session.lie(format!("a Sent event of {client}, which is no client"))),
    }
}

fn topic(client: FixedBytes<32>) -> B256 {
    client
}

fn to_events(
    session: Session<'_>,
    blocks: &BTreeMap<u64, Block>,
    counterparties: &BTreeMap<ClientId, ClientId>,
    logs: &[Decoded],
) -> Result<Vec<ChainEvent>, ChainError> {
    let mut events: Vec<ChainEvent> = vec![];
    let (mut at_block, mut next) = (None, 0_u32);
    for log in logs {
        let Some(block) = blocks.get(&log.block) else { continue };
        if at_block != Some(log.block) {
            (at_block, next) = (Some(log.block), 0);
        }
        for event in packet_events(session, counterparties, &log.event)? {
            events.push(ChainEvent { block: block.tip(), index: next, tx: TxId(log.tx.to_string()), event });
            next = next.saturating_add(1);
        }
    }
    Ok(events)
}

fn packet_events(
    session: Session<'_>,
    counterparties: &BTreeMap<ClientId, ClientId>,
    event: &Event,
) -> Result<Vec<PacketEvent>, ChainError> {
    Ok(match event {
        Event::Sent(sent) => {
            let client = client_id(session, &sent.client)?;
            let dest =
                counterparties.get(&client).ok_or_else(|| session.lie(format!("there is no client {client}")))?;
            let packet = decode_sent(&client, dest, &sent.denom, &sent.record)
                .map_err(|e| session.malformed("eth_getLogs", format!("Sent {} of {client}: {e}", sent.sequence)))?;
            if packet.sequence.0 != sent.sequence {
                return Err(session.lie("a Sent event whose record has another sequence"));
            }
            vec![PacketEvent::Sent { packet }]
        }
        Event::Received(received) => {
            let client = client_id(session, &received.client)?;
            if received.sequences.len() % 8 != 0 {
                return Err(session.malformed("eth_getLogs", "a Received event with a broken list"));
            }
            received
                .sequences
                .as_chunks::<8>()
                .0
                .iter()
                .map(|sequence| PacketEvent::Received {
                    dest_client: client.clone(),
                    sequence: Sequence(u64::from_be_bytes(*sequence)),
                    refusal: None,
                })
                .collect()
        }
        Event::Refused(refused) => {
            let (dest_client, sequence) = (client_id(session, &refused.client)?, Sequence(refused.sequence));
            vec![
                PacketEvent::Received {
                    dest_client: dest_client.clone(),
                    sequence,
                    refusal: Some(refusal(refused.reason).to_owned()),
                },
                PacketEvent::AckWritten {
                    dest_client,
                    sequence,
                    ack: UNIVERSAL_ERROR_ACK.to_vec(),
                    cause: AckCause::Refused,
                },
            ]
        }
        Event::Claimed(claimed) => vec![PacketEvent::AckWritten {
            dest_client: client_id(session, &claimed.client)?,
            sequence: Sequence(claimed.sequence),
            ack: Acknowledgement::Success(Preimage::new(claimed.preimage.0)).encode(),
            cause: AckCause::Claimed,
        }],
        Event::Voided(voided) => vec![PacketEvent::AckWritten {
            dest_client: client_id(session, &voided.client)?,
            sequence: Sequence(voided.sequence),
            ack: UNIVERSAL_ERROR_ACK.to_vec(),
            cause: AckCause::Voided,
        }],
        Event::Ended(ended) => {
            let end = match ended.end {
                ContractEnd::Settled => LockEnd::Settled,
                ContractEnd::Refunded => LockEnd::Refunded,
                ContractEnd::TimedOut => LockEnd::TimedOut,
                ContractEnd::None | ContractEnd::__Invalid => {
                    return Err(session.malformed("eth_getLogs", "an Ended event without an end"));
                }
            };
            let source_client = client_id(session, &ended.client)?;
            vec![PacketEvent::Ended { source_client, sequence: Sequence(ended.sequence), end }]
        }
        Event::Skipped(_) | Event::Owed(_) | Event::Withdrawn(_) => vec![],
    })
}

const fn refusal(reason: RefusalReason) -> &'static str {
    match reason {
        RefusalReason::UnknownDenom => "no such denom is open to its client",
        RefusalReason::ZeroAmount => "its amount is 0",
        RefusalReason::Receiver => "its receiver is the zero address, an escrow or a token",
        RefusalReason::Window => "its deadlines break the chain's rules",
        RefusalReason::Terms => "it carries conditions that the chain does not know",
        RefusalReason::None | RefusalReason::__Invalid => "the chain gave no reason that is known here",
    }
}
