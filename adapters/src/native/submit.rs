//! Proven batches, claims, voids and locks as transactions of the ledger.

use crosspoint_ledger::events::{Event, Outcome};
use crosspoint_ledger::tx::message::{self, ClaimItem, LockMsg, Message, ProvenClaim, RelayBatch, VoidItem};
use crosspoint_ledger::tx::{MAX_ITEMS, MAX_TX_BYTES};
use crosspoint_protocol::ids::{ChainId, ClientId};
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Preimage;

use super::account::Included;
use crate::chain::{ItemOutcome, LockRequest, RelayItem, Submitted};
use crate::error::ChainError;
use crate::proven::{Evidence, Proven, StateEvidence};

/// Bytes of a transaction that items may fill; the rest is for the update and the envelope.
const ITEM_BYTES: usize = MAX_TX_BYTES / 2;
/// What an item weighs beside its proof, acknowledgement and value.
const ITEM_OVERHEAD: usize = 512;

/// The messages that carry a batch, and for each of their items its place in the batch.
pub(crate) struct Relay {
    pub(crate) messages: Vec<(Message, Vec<usize>)>,
}

/// A batch as messages, the update in the first. Acks come first: they fill the vaults that returns draw on.
pub(crate) fn relay(chain: &ChainId, client: &ClientId, proven: &Proven) -> Result<Relay, ChainError> {
    let invalid = |what: &str| ChainError::InvalidRequest(format!("{chain}: {what}"));
    let (shared_proof, proofs) = match &proven.evidence {
        Evidence::Attested(evidence) => state_proofs(evidence),
        Evidence::Qbft(evidence) => state_proofs(evidence),
        Evidence::EthereumPos(evidence) => state_proofs(evidence),
        Evidence::Tendermint(evidence) => (vec![], evidence.proofs.iter().map(|proof| vec![proof.clone()]).collect()),
        Evidence::Checkpoint(_) => return Err(invalid("a native chain takes no checkpoints")),
    };
    if proofs.len() != proven.items.len() {
        return Err(invalid(&format!("{} items come with {} proofs", proven.items.len(), proofs.len())));
    }
    let mut items: Vec<(usize, message::RelayItem)> =
        proven.items.iter().zip(proofs).map(|(item, proof)| relay_item(item, proof)).enumerate().collect();
    items.sort_by_key(|(_, item)| !matches!(item.claim, ProvenClaim::Acknowledged(_)));

    let mut chunks: Vec<Vec<(usize, message::RelayItem)>> = vec![vec![]];
    let mut bytes = 0_usize;
    for (place, item) in items {
        let weight = weight(&item);
        bytes = bytes.saturating_add(weight);
        let full =
            chunks.last().is_some_and(|chunk| !chunk.is_empty() && (chunk.len() >= MAX_ITEMS || bytes > ITEM_BYTES));
        if full {
            chunks.push(vec![]);
            bytes = weight;
        }
        if let Some(chunk) = chunks.last_mut() {
            chunk.push((place, item));
        }
    }
    let mut update = proven.evidence.update_bytes();
    let message = |chunk: Vec<(usize, message::RelayItem)>| {
        let (places, items) = chunk.into_iter().unzip();
        let (client, height, shared_proof) = (client.clone(), proven.height, shared_proof.clone());
        (Message::Relay(RelayBatch { client, height, update: update.take(), shared_proof, items }), places)
    };
    Ok(Relay { messages: chunks.into_iter().map(message).collect() })
}

/// The proof that all items share, and one per item.
type Proofs = (Vec<Vec<u8>>, Vec<Vec<Vec<u8>>>);

fn state_proofs<H>(evidence: &StateEvidence<H>) -> Proofs {
    let nodes = |nodes: &[alloy::primitives::Bytes]| nodes.iter().map(|node| node.to_vec()).collect::<Vec<_>>();
    (nodes(&evidence.account_proof), evidence.storage_proofs.iter().map(|proof| nodes(proof)).collect())
}

fn weight(item: &message::RelayItem) -> usize {
    let proof: usize = item.proof.iter().map(Vec::len).sum();
    let ack = match &item.claim {
        ProvenClaim::Acknowledged(ack) => ack.len(),
        ProvenClaim::Sent | ProvenClaim::NotReceived => 0,
    };
    [proof, ack, item.packet.payload.value.len()].into_iter().fold(ITEM_OVERHEAD, usize::saturating_add)
}

fn relay_item(item: &RelayItem, proof: Vec<Vec<u8>>) -> message::RelayItem {
    let claim = match item {
        RelayItem::Recv { .. } => ProvenClaim::Sent,
        RelayItem::Ack { ack, .. } => ProvenClaim::Acknowledged(ack.clone()),
        RelayItem::Timeout { .. } => ProvenClaim::NotReceived,
    };
    message::RelayItem { packet: item.packet().clone(), claim, proof }
}

/// Claims, as many as one message holds.
pub(crate) fn claims(holds: &[(usize, &(Packet, Preimage))]) -> Vec<(Message, Vec<usize>)> {
    let claim = |(_, (packet, preimage)): &(usize, &(Packet, Preimage))| ClaimItem {
        client: packet.dest_client.clone(),
        sequence: packet.sequence,
        secret: preimage.reveal().to_vec(),
    };
    let message = |chunk: &[(usize, &(Packet, Preimage))]| {
        (Message::Claim(chunk.iter().map(claim).collect()), chunk.iter().map(|(place, _)| *place).collect())
    };
    holds.chunks(MAX_ITEMS).map(message).collect()
}

/// Voids, as many as one message holds.
pub(crate) fn voids(holds: &[Packet]) -> Vec<(Message, Vec<usize>)> {
    let places: Vec<(usize, &Packet)> = holds.iter().enumerate().collect();
    let void =
        |(_, packet): &(usize, &Packet)| VoidItem { client: packet.dest_client.clone(), sequence: packet.sequence };
    let message = |chunk: &[(usize, &Packet)]| {
        (Message::Void(chunk.iter().map(void).collect()), chunk.iter().map(|(place, _)| *place).collect())
    };
    places.chunks(MAX_ITEMS).map(message).collect()
}

/// A lock.
pub(crate) fn lock(request: &LockRequest) -> Message {
    Message::Lock(LockMsg {
        client: request.client.clone(),
        denom: request.denom.clone(),
        amount: request.amount,
        receiver: request.receiver.clone(),
        hashlock: request.hashlock,
        timeout: request.timeout,
        claim_deadline: request.claim_deadline,
        terms: request.terms.clone(),
        memo: request.memo.clone(),
    })
}

/// What became of the items of one or more transactions.
pub(crate) struct Tally {
    outcomes: Vec<ItemOutcome>,
    last: Option<Included>,
    gas_used: u64,
}

impl Tally {
    /// Of so many items, none of which was heard of yet.
    pub(crate) fn new(items: usize) -> Self {
        let unheard = ItemOutcome::Skipped { reason: "the transaction was not sent".into(), retryable: true };
        Self { outcomes: vec![unheard; items], last: None, gas_used: 0 }
    }

    /// Notes why an item was not sent.
    pub(crate) fn skip(&mut self, place: usize, reason: &str, retryable: bool) {
        self.set(place, ItemOutcome::Skipped { reason: reason.into(), retryable });
    }

    fn set(&mut self, place: usize, outcome: ItemOutcome) {
        if let Some(slot) = self.outcomes.get_mut(place) {
            *slot = outcome;
        }
    }

    /// Notes what a transaction with one message says of its items.
    pub(crate) fn record(&mut self, included: Included, places: &[usize]) {
        for place in places {
            self.skip(*place, "the node did not say what became of it", true);
        }
        for event in &included.events {
            let Event::ItemOutcome { item, outcome, reason, retryable, .. } = event else { continue };
            let Some(place) = usize::try_from(*item).ok().and_then(|item| places.get(item)) else { continue };
            let outcome = match outcome {
                Outcome::Done => ItemOutcome::Done,
                Outcome::Duplicate => ItemOutcome::Duplicate,
                Outcome::Skipped => {
                    ItemOutcome::Skipped { reason: reason.clone().unwrap_or_default(), retryable: *retryable }
                }
            };
            self.set(*place, outcome);
        }
        self.gas_used = self.gas_used.saturating_add(included.gas_used);
        self.last = Some(included);
    }

    /// Whether any transaction is in a block.
    pub(crate) const fn has_any(&self) -> bool {
        self.last.is_some()
    }

    /// The whole.
    pub(crate) fn finish(self, chain: &ChainId) -> Result<Submitted, ChainError> {
        let Some(last) = self.last else {
            let reason = match self.outcomes.first() {
                Some(ItemOutcome::Skipped { reason, .. }) => reason.clone(),
                Some(ItemOutcome::Done | ItemOutcome::Duplicate) | None => "there was nothing to send".into(),
            };
            return Err(ChainError::Rejected { chain: chain.clone(), reason, retryable: false });
        };
        Ok(Submitted { tx: last.tx, block: last.block, gas_used: self.gas_used, outcomes: self.outcomes })
    }
}

/// The packet that a lock's transaction sent.
pub(crate) fn sent_packet(chain: &ChainId, included: &Included) -> Result<Packet, ChainError> {
    let sent = included.events.iter().find_map(|event| match event {
        Event::PacketSent { packet, .. } => Some(packet.clone()),
        _ => None,
    });
    sent.ok_or_else(|| ChainError::OutcomeUnknown { chain: chain.clone(), tx: included.tx.0.clone() })
}
