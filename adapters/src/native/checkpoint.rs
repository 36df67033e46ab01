//! Proofs for a `checkpoint` client, on EVM: one signed checkpoint, the outboxes' heads in its state, and the
//! absence of receipts. Everything is verified here before it is handed on: a lying node costs a question to
//! another, never gas.

use crosspoint_ledger::query::{HoldView, OutboxList, PacketQuery, PacketView};
use crosspoint_light_proofs::checkpoint::{ClientState, SignedCheckpoint, verify_update};
use crosspoint_light_proofs::jmt;
use crosspoint_protocol::ids::{ClientId, Height, Sequence, Timestamp};
use crosspoint_protocol::outbox::Hash;
use crosspoint_protocol::{ack, packet::Packet};
use futures::{StreamExt, TryStreamExt};

use super::outbox::List;
use super::places::Places;
use super::rpc::Endpoint;
use crate::chain::{ClientStatus, RelayItem, Tip};
use crate::error::ChainError;
use crate::proven::{CheckpointEvidence, Evidence, OutboxEvidence, Proven};

/// How many questions are asked at once.
const CONCURRENCY: usize = 8;

/// Most headers in a row without a checkpoint that are passed over.
const MAX_GAP: usize = 64;

/// What the client trusts, with the set that signs next.
struct Anchor {
    state: ClientState,
    signed: SignedCheckpoint,
}

/// A header that proofs can be checked against.
struct Anchored {
    signed: SignedCheckpoint,
    is_update: bool,
}

impl Anchored {
    const fn height(&self) -> Height {
        self.signed.checkpoint.height
    }

    /// The block after which the state is the one in the header.
    const fn state(&self) -> Height {
        Height(self.signed.checkpoint.height.0.saturating_sub(1))
    }
}

/// Proves items, or with none of them moves the client on.
pub(crate) async fn prove(
    endpoint: &Endpoint,
    places: &Places,
    client: &ClientStatus,
    items: &[RelayItem],
) -> Result<Proven, ChainError> {
    endpoint.status().await?;
    let newest = newest_tip(endpoint).await?;
    let anchor = anchor(endpoint, client, newest).await?;
    let here = &client.counterparty_client;
    let newest_state = Height(newest.height.0.saturating_sub(1));
    let sent = Part::load(endpoint, places, here, OutboxList::Sent, items, newest_state).await?;
    let acked = Part::load(endpoint, places, here, OutboxList::Acked, items, newest_state).await?;
    let timeouts = items.iter().filter(|item| is_timeout_here(item, here));
    let last_timeout = timeouts.map(|item| item.packet().timeout).filter(|timeout| *timeout <= newest.time).max();

    // The lowest header that proves all that can be proven; the newest serves for longest.
    let needed = [sent.needed(), acked.needed()].into_iter().flatten().max();
    let trusted = client.trusted;
    let known_serves = needed.is_none_or(|height| height <= trusted.height)
        && last_timeout.is_none_or(|timeout| timeout <= trusted.time)
        && (needed.is_some() || last_timeout.is_some());
    let request = Request { client, here, items, sent: &sent, acked: &acked };
    if known_serves {
        let known = Anchored { signed: anchor.signed.clone(), is_update: false };
        match request.at(endpoint, known).await {
            // The state is no longer kept there: an update to a newer one does it.
            Err(ChainError::Pruned { .. }) => {}
            done => return done,
        }
    }
    let whole_to = newest.height.min(sent.whole_to().next()).min(acked.whole_to().next());
    let target = if whole_to > trusted.height { whole_to } else { newest.height };
    request.at(endpoint, advance(endpoint, &anchor, target).await?).await
}

/// What is to be proven, and the lists it is in.
struct Request<'a> {
    client: &'a ClientStatus,
    here: &'a ClientId,
    items: &'a [RelayItem],
    sent: &'a Part<'a>,
    acked: &'a Part<'a>,
}

impl Request<'_> {
    /// The proofs against one header.
    async fn at(&self, endpoint: &Endpoint, at: Anchored) -> Result<Proven, ChainError> {
        let root = at.signed.checkpoint.app_hash;
        let tip = Tip { height: at.height(), time: at.signed.checkpoint.time };
        let (sent_items, sent) = self.sent.evidence(endpoint, at.state(), &root).await?;
        let (acked_items, acked) = self.acked.evidence(endpoint, at.state(), &root).await?;
        let is_due = |item: &&RelayItem| is_timeout_here(item, self.here) && item.packet().timeout <= tip.time;
        let due: Vec<RelayItem> = self.items.iter().filter(is_due).cloned().collect();
        let absences: Vec<Option<(RelayItem, Vec<u8>)>> = futures::stream::iter(due)
            .map(|item| absence(endpoint, item, at.state(), &root))
            .buffered(CONCURRENCY)
            .try_collect()
            .await?;
        let (timed_out, absences): (Vec<RelayItem>, Vec<Vec<u8>>) = absences.into_iter().flatten().unzip();
        let proven: Vec<RelayItem> = [acked_items, sent_items, timed_out].concat();
        // An update alone is worth a transaction when it was asked for, or when validators changed on the way.
        let rotates = at.signed.checkpoint.set_hash != at.signed.checkpoint.next_set_hash;
        if proven.is_empty() && !(at.is_update && (self.items.is_empty() || rotates)) {
            return Err(ChainError::NotYet(format!(
                "{}: none of {} items can be proven to client {} at block {}",
                endpoint.chain(),
                self.items.len(),
                self.client.client,
                tip.height
            )));
        }
        let trusted = (!at.is_update).then(|| at.signed.checkpoint.clone());
        let update = at.is_update.then_some(at.signed);
        let evidence = CheckpointEvidence { update, trusted, sent, acked, absences };
        Ok(Proven {
            items: proven,
            height: tip.height,
            time: tip.time,
            evidence: Evidence::Checkpoint(Box::new(evidence)),
        })
    }
}

fn is_timeout_here(item: &RelayItem, here: &ClientId) -> bool {
    matches!(item, RelayItem::Timeout { packet } if packet.dest_client == *here)
}

/// The absence of a packet's receipt; nothing if it was received.
async fn absence(
    endpoint: &Endpoint,
    item: RelayItem,
    state: Height,
    root: &Hash,
) -> Result<Option<(RelayItem, Vec<u8>)>, ChainError> {
    let key = item.packet().receipt_path().to_bytes();
    let stored = endpoint.stored(&key, state, true).await?;
    if !stored.value.is_empty() {
        // A node that makes up a receipt delays a refund, so it must prove that too.
        jmt::verify_membership(root, &key, &stored.value, &stored.proof)
            .map_err(|error| endpoint.untrustworthy(error))?;
        return Ok(None);
    }
    jmt::verify_absence(root, &key, &stored.proof).map_err(|error| endpoint.untrustworthy(error))?;
    Ok(Some((item, stored.proof)))
}

/// The items of one list, and the list as far back as they go.
struct Part<'a> {
    items: Vec<(&'a RelayItem, Height)>,
    list: Option<List>,
}

/// An item's entry in a list, if it belongs there.
fn entry(item: &RelayItem, list: OutboxList, here: &ClientId) -> Option<(Sequence, Hash)> {
    match (item, list) {
        (RelayItem::Recv { packet }, OutboxList::Sent) if packet.source_client == *here => {
            Some((packet.sequence, packet.commitment()))
        }
        (RelayItem::Ack { packet, ack }, OutboxList::Acked) if packet.dest_client == *here => {
            Some((packet.sequence, ack::commitment(ack)))
        }
        (RelayItem::Recv { .. } | RelayItem::Ack { .. } | RelayItem::Timeout { .. }, _) => None,
    }
}

impl<'a> Part<'a> {
    async fn load(
        endpoint: &Endpoint,
        places: &Places,
        here: &ClientId,
        list: OutboxList,
        items: &'a [RelayItem],
        to: Height,
    ) -> Result<Self, ChainError> {
        let wanted: Vec<(&RelayItem, (Sequence, Hash))> =
            items.iter().filter_map(|item| Some((item, entry(item, list, here)?))).collect();
        let entries: Vec<(Sequence, Hash)> = wanted.iter().map(|(_, entry)| *entry).collect();
        let hint = |packet: &Packet| {
            let path = match list {
                OutboxList::Sent => packet.commitment_path(),
                OutboxList::Acked => packet.ack_path(),
            };
            places.hint(&path).filter(|height| *height <= to)
        };
        let mut loaded: Option<List> = None;
        let mut found: Vec<Option<Height>> = vec![None; entries.len()];
        for trust_hints in [true, false] {
            let missing: Vec<(RelayItem, Option<Height>)> = wanted
                .iter()
                .zip(&found)
                .filter(|(_, found)| found.is_none())
                .map(|((item, _), _)| ((*item).clone(), hint(item.packet()).filter(|_| trust_hints)))
                .collect();
            if missing.is_empty() {
                break;
            }
            let lowest: Vec<Option<Height>> = futures::stream::iter(missing)
                .map(|(item, hint)| async move {
                    match hint {
                        Some(height) => Ok(Some(height)),
                        None => not_before(endpoint, here, &item).await,
                    }
                })
                .buffered(CONCURRENCY)
                .try_collect()
                .await?;
            let Some(from) = lowest.into_iter().flatten().min().filter(|from| *from <= to) else { break };
            let part = List::load(endpoint, here, list, from, to).await?;
            let places = part.places(&entries);
            // A second reading goes back further than the first, so it has all of it.
            if places.iter().flatten().count() >= found.iter().flatten().count() {
                found = places;
                loaded = Some(part);
            }
        }
        let items = wanted.into_iter().zip(found).filter_map(|((item, _), found)| Some((item, found?))).collect();
        Ok(Self { items, list: loaded })
    }

    /// The lowest header in whose state all the items are.
    fn needed(&self) -> Option<Height> {
        self.items.iter().map(|(_, height)| height.next()).max()
    }

    fn whole_to(&self) -> Height {
        self.list.as_ref().map_or(Height(u64::MAX), |list| list.whole_to)
    }

    /// The items in the state, and the evidence for them.
    async fn evidence(
        &self,
        endpoint: &Endpoint,
        state: Height,
        root: &Hash,
    ) -> Result<(Vec<RelayItem>, Option<OutboxEvidence>), ChainError> {
        let inside: Vec<&(&RelayItem, Height)> = self.items.iter().filter(|(_, height)| *height <= state).collect();
        let first = inside.iter().map(|(_, height)| *height).min();
        let (Some(first), Some(list)) = (first, &self.list) else { return Ok((vec![], None)) };
        let evidence = list.evidence(endpoint, first, state, root).await?;
        Ok((inside.into_iter().map(|(item, _)| (*item).clone()).collect(), Some(evidence)))
    }
}

/// A block that an item's entry cannot be below; `None` if the chain does not know the packet.
async fn not_before(endpoint: &Endpoint, here: &ClientId, item: &RelayItem) -> Result<Option<Height>, ChainError> {
    let query = PacketQuery { client: here.clone(), sequence: item.packet().sequence };
    let found = match item {
        RelayItem::Recv { .. } => {
            endpoint.view::<PacketView>("/packet", &query, Height(0)).await.map(|view| view.sent.height)
        }
        RelayItem::Ack { .. } | RelayItem::Timeout { .. } => {
            endpoint.view::<HoldView>("/hold", &query, Height(0)).await.map(|view| view.received.height)
        }
    };
    match found {
        Ok(height) => Ok(Some(height)),
        Err(ChainError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The newest header that has a checkpoint. What it says is not verified.
pub(crate) async fn newest_tip(endpoint: &Endpoint) -> Result<Tip, ChainError> {
    let found = endpoint.checkpoint(Height(0)).await?.checkpoint;
    if found.chain_id != *endpoint.chain() {
        return Err(endpoint.untrustworthy(format!("its newest checkpoint is of chain {}", found.chain_id)));
    }
    Ok(Tip { height: found.height, time: found.time })
}

/// The newest checkpoint up to `height` and above `floor`: now and then too few validators sign one.
async fn at_most(endpoint: &Endpoint, height: Height, floor: Height) -> Result<SignedCheckpoint, ChainError> {
    let mut at = height;
    for _ in 0..MAX_GAP {
        match checkpoint(endpoint, at).await {
            Err(ChainError::NotFound { .. }) if at.0 > floor.0.saturating_add(1) => at = Height(at.0.saturating_sub(1)),
            found => return found,
        }
    }
    Err(ChainError::NotYet(format!("{}: no header from {at} to {height} has a checkpoint", endpoint.chain())))
}

/// The newest checkpoint, signed by a quorum of the set that it names.
pub(crate) async fn newest(endpoint: &Endpoint) -> Result<SignedCheckpoint, ChainError> {
    endpoint.status().await?;
    let signed = checkpoint(endpoint, newest_tip(endpoint).await?.height).await?;
    let quorum = signed.set.verify_quorum(&signed.checkpoint.digest(), &signed.signatures);
    quorum.map_err(|error| endpoint.untrustworthy(error))?;
    Ok(signed)
}

/// The checkpoint of a header with the set that it names. Its signatures are not verified.
pub(crate) async fn checkpoint(endpoint: &Endpoint, height: Height) -> Result<SignedCheckpoint, ChainError> {
    let signed: SignedCheckpoint = endpoint.checkpoint(height).await?;
    let found = &signed.checkpoint;
    if found.height != height || found.chain_id != *endpoint.chain() {
        return Err(endpoint.untrustworthy(format!("asked for the checkpoint of header {height}, got another")));
    }
    if signed.set.hash() != found.set_hash {
        return Err(endpoint.untrustworthy(format!("the checkpoint of header {height} comes with another set")));
    }
    Ok(signed)
}

/// What the client trusts. The node is asked for the header; that it is the one the client has shows in its time,
/// and in the end only the client itself can tell.
async fn anchor(endpoint: &Endpoint, client: &ClientStatus, newest: Tip) -> Result<Anchor, ChainError> {
    if client.frozen {
        return Err(ChainError::Frozen(client.client.clone()));
    }
    let expiry = client.trusted.time.0.saturating_add(client.trusting_period);
    if newest.time.0 >= expiry {
        return Err(ChainError::Expired(client.client.clone()));
    }
    if newest.height < client.trusted.height {
        return Err(ChainError::NotYet(format!(
            "{}: {} is at block {}, the client trusts {}",
            endpoint.chain(),
            endpoint.label(),
            newest.height,
            client.trusted.height
        )));
    }
    let signed = checkpoint(endpoint, client.trusted.height).await?;
    let header = &signed.checkpoint;
    if header.time != client.trusted.time {
        return Err(endpoint.untrustworthy(format!("header {} has another time than the client trusts", header.height)));
    }
    let state = ClientState {
        chain_id: endpoint.chain().clone(),
        set_hash: header.next_set_hash,
        latest: header.into(),
        trusting_period: client.trusting_period,
        frozen: false,
        generation: client.generation,
    };
    Ok(Anchor { state, signed })
}

/// The header nearest to `target` that the client can believe in one step: where validators change in between, the
/// last one that the set it trusts signs.
async fn advance(endpoint: &Endpoint, anchor: &Anchor, target: Height) -> Result<Anchored, ChainError> {
    if target <= anchor.state.latest.height {
        return Ok(Anchored { signed: anchor.signed.clone(), is_update: false });
    }
    let mut signed = at_most(endpoint, target, anchor.state.latest.height).await?;
    if signed.checkpoint.set_hash != anchor.state.set_hash {
        // The set of the header after the trusted one is the trusted one's next set.
        let (mut low, mut high) = (anchor.state.latest.height.next(), target);
        signed = checkpoint(endpoint, low).await?;
        while high.0.saturating_sub(low.0) > 1 {
            let middle = Height(low.0.midpoint(high.0));
            let candidate = checkpoint(endpoint, middle).await?;
            if candidate.checkpoint.set_hash == anchor.state.set_hash {
                (low, signed) = (middle, candidate);
            } else {
                high = middle;
            }
        }
    }
    let now = Timestamp(signed.checkpoint.time.0);
    verify_update(&anchor.state, &signed, now).map_err(|error| endpoint.untrustworthy(error))?;
    Ok(Anchored { signed, is_update: true })
}
