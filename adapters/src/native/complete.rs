//! Whether an endpoint told every packet sent and every ack written in a range of blocks. No header binds the bytes
//! of events, but each of these is also in an outbox, and the outboxes' heads are in the state that the validators
//! sign: the heads before the range, led on by what was told, must be the heads after it.
//!
//! A node is believed about its validators here. One that makes up a chain of its own, signatures and all, is found
//! out when the first thing it says is to be proven to a light client.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crosspoint_ledger::query::{ClientView, OutboxList};
use crosspoint_light_proofs::jmt;
use crosspoint_light_proofs::tendermint::{self, ClientState, Header, Latest, PacketStore, TrustLevel};
use crosspoint_protocol::ack;
use crosspoint_protocol::ids::{ClientId, Height, Sequence};
use crosspoint_protocol::outbox::{self, EMPTY_HEAD, Hash};

use super::query::seconds;
use super::rpc::Endpoint;
use super::{checkpoint, outbox as lists};
use crate::chain::{ChainEvent, PacketEvent};
use crate::error::ChainError;

/// The head of each list of each client.
type Heads = BTreeMap<(ClientId, &'static str), Hash>;

/// The heads that were proven last, so that each is proven once when one range follows another.
#[derive(Debug, Default)]
pub(crate) struct LastHeads(Mutex<Option<Known>>);

#[derive(Debug)]
struct Known {
    /// Who proved them. What one endpoint showed is not held against another.
    endpoint: String,
    after: Height,
    heads: Heads,
}

impl LastHeads {
    fn after(&self, endpoint: &Endpoint, block: Height, clients: &BTreeSet<ClientId>) -> Option<Heads> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref().filter(|known| known.after == block && known.endpoint == endpoint.label())?;
        let whole = clients.iter().all(|client| known.heads.contains_key(&(client.clone(), OutboxList::Sent.as_str())));
        whole.then(|| known.heads.clone())
    }

    fn keep(&self, endpoint: &Endpoint, after: Height, heads: Heads) {
        let known = Known { endpoint: endpoint.label(), after, heads };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }
}

/// Checks that `events` are all of blocks `from..=to`. The header after `to` must be there.
pub(crate) async fn check(
    endpoint: &Endpoint,
    last: &LastHeads,
    from: Height,
    to: Height,
    events: &[ChainEvent],
) -> Result<(), ChainError> {
    let entries: Vec<Entry> = events.iter().filter_map(Entry::of).collect();
    let views: Vec<ClientView> = endpoint.view_all("/clients", Height(0)).await?;
    let mut clients: BTreeSet<ClientId> = views.into_iter().map(|view| view.client).collect();
    clients.extend(entries.iter().map(|entry| entry.client.clone()));
    let before = Height(from.0.saturating_sub(1));
    let mut heads = match last.after(endpoint, before, &clients) {
        Some(heads) => heads,
        None => heads_after(endpoint, before, &clients).await?,
    };
    lead_on(&mut heads, &entries);
    let proven = heads_after(endpoint, to, &clients).await?;
    if let Some(((client, list), _)) = proven.iter().find(|(key, head)| heads.get(key) != Some(head)) {
        return Err(endpoint.untrustworthy(format!(
            "the events of blocks {from} to {to} are not those in the list `{list}` of client {client}"
        )));
    }
    last.keep(endpoint, to, proven);
    Ok(())
}

/// What an event puts into an outbox.
struct Entry {
    block: Height,
    client: ClientId,
    list: OutboxList,
    sequence: Sequence,
    value: Hash,
}

impl Entry {
    fn of(event: &ChainEvent) -> Option<Self> {
        let block = event.block.height;
        match &event.event {
            PacketEvent::Sent { packet } => Some(Self {
                block,
                client: packet.source_client.clone(),
                list: OutboxList::Sent,
                sequence: packet.sequence,
                value: packet.commitment(),
            }),
            PacketEvent::AckWritten { dest_client, sequence, ack, .. } => Some(Self {
                block,
                client: dest_client.clone(),
                list: OutboxList::Acked,
                sequence: *sequence,
                value: ack::commitment(ack),
            }),
            PacketEvent::Received { .. } | PacketEvent::Ended { .. } => None,
        }
    }
}

/// The heads after the blocks that hold these entries.
fn lead_on(heads: &mut Heads, entries: &[Entry]) {
    let mut blocks: BTreeMap<(Height, (ClientId, &str)), Vec<Hash>> = BTreeMap::new();
    for Entry { block, client, list, sequence, value } in entries {
        let leaf = outbox::leaf(&lists::path(client, *list, *sequence), value);
        blocks.entry((*block, (client.clone(), list.as_str()))).or_default().push(leaf);
    }
    for ((_, list), leaves) in blocks {
        if let Some(root) = outbox::root(&leaves) {
            let head = heads.entry(list).or_insert(EMPTY_HEAD);
            *head = outbox::next_head(head, &root);
        }
    }
}

/// The heads in the state after a block, proven by the header that follows it.
async fn heads_after(endpoint: &Endpoint, block: Height, clients: &BTreeSet<ClientId>) -> Result<Heads, ChainError> {
    let keys = clients.iter().flat_map(|client| [(client, OutboxList::Sent), (client, OutboxList::Acked)]);
    if block.0 == 0 {
        return Ok(keys.map(|(client, list)| ((client.clone(), list.as_str()), EMPTY_HEAD)).collect());
    }
    let root = app_hash(endpoint, block.next()).await?;
    let mut heads = Heads::new();
    for (client, list) in keys {
        let key = lists::key(client, list);
        let stored = endpoint.stored(&key, block, true).await?;
        let head = if stored.value.is_empty() {
            jmt::verify_absence(&root, &key, &stored.proof).map_err(|error| endpoint.untrustworthy(error))?;
            EMPTY_HEAD
        } else {
            jmt::verify_membership(&root, &key, &stored.value, &stored.proof)
                .map_err(|error| endpoint.untrustworthy(error))?;
            stored.value.try_into().map_err(|_| endpoint.malformed("/store", "a head is not 32 bytes"))?
        };
        heads.insert((client.clone(), list.as_str()), head);
    }
    Ok(heads)
}

/// The app hash in a header that a quorum of the set it names has signed: with bridge keys, or where too few did,
/// in its commit.
async fn app_hash(endpoint: &Endpoint, height: Height) -> Result<Hash, ChainError> {
    let signed = match checkpoint::checkpoint(endpoint, height).await {
        Err(ChainError::NotFound { .. }) => return committed_app_hash(endpoint, height).await,
        found => found?,
    };
    let header = &signed.checkpoint;
    signed.set.verify_quorum(&header.digest(), &signed.signatures).map_err(|error| endpoint.untrustworthy(error))?;
    Ok(header.app_hash)
}

async fn committed_app_hash(endpoint: &Endpoint, height: Height) -> Result<Hash, ChainError> {
    let header = Header {
        signed_header: endpoint.signed_header(height).await?,
        validators: endpoint.validators(height).await?,
        trusted_height: height,
        trusted_next_validators: endpoint.validators(height.next()).await?,
    };
    let now = seconds(header.signed_header.header.time);
    let now = now.ok_or_else(|| endpoint.malformed("commit", "a time before 1970"))?;
    let nobody = ClientState {
        chain_id: endpoint.chain().clone(),
        store: PacketStore::Jmt,
        trust_level: TrustLevel::ONE_THIRD,
        trusting_period: 1,
        max_clock_drift: 0,
        latest: Latest { height, time: now, hash: [0; 32] },
        frozen: false,
        generation: 0,
    };
    let (_, state) = tendermint::anchor(nobody, &header, now).map_err(|error| endpoint.untrustworthy(error))?;
    Ok(state.root)
}
