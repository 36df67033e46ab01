//! Batches: each item takes effect, is a duplicate, or is skipped with a reason. One bad item never fails its batch.

use crosspoint_protocol::ids::{ClientId, Sequence};

use super::client::{self, Verifier};
use super::error::HandlerError;
use super::{BlockEnv, Done, end, hold, recv};
use crate::events::{Event, ItemKind, Outcome};
use crate::state::WriteState;
use crate::state::overlay::Overlay;
use crate::tx::message::{ClaimItem, ProvenClaim, RelayBatch, VoidItem};

/// An item's place, for its outcome's event.
struct Place<'a> {
    message: u32,
    item: usize,
    kind: ItemKind,
    client: &'a ClientId,
    sequence: Sequence,
}

/// Runs one item so that it leaves its effect or nothing, and says which.
fn run(
    state: &mut impl WriteState,
    place: &Place<'_>,
    step: impl FnOnce(&mut Overlay<'_>) -> Result<Done, HandlerError>,
) -> Result<(), HandlerError> {
    let (outcome, reason, retryable) = match state.attempt(step) {
        Ok(Done::Done) => (Outcome::Done, None, false),
        Ok(Done::Duplicate) => (Outcome::Duplicate, None, false),
        // Not the item's fault: stop.
        Err(error @ HandlerError::State(_)) => return Err(error),
        Err(error) => (Outcome::Skipped, Some(error.to_string()), error.is_retryable()),
    };
    state.emit(Event::ItemOutcome {
        message: place.message,
        item: u32::try_from(place.item).unwrap_or(u32::MAX),
        item_kind: place.kind,
        client: place.client.clone(),
        sequence: place.sequence,
        outcome,
        reason,
        retryable,
    });
    Ok(())
}

/// One client update and a batch of proven packets.
pub fn relay(
    state: &mut impl WriteState,
    env: &BlockEnv<'_>,
    message: u32,
    batch: &RelayBatch,
) -> Result<(), HandlerError> {
    let id = &batch.client;
    if let Some(header) = &batch.update {
        let updated = state.attempt(|inner| client::update(inner, id, header, env.now));
        match updated {
            Ok(()) => {}
            Err(error @ HandlerError::State(_)) => return Err(error),
            Err(error) => {
                // Another relayer may have moved the client past this update; the items' height may be trusted all the same.
                let generation = client::known(state, id)?.state.generation();
                if batch.items.is_empty()
                    || crate::state::access::ReadRecords::consensus(state, id, generation, batch.height)?.is_none()
                {
                    return Err(error);
                }
            }
        }
    }
    if batch.items.is_empty() {
        return Ok(());
    }
    let client = client::known(state, id)?;
    let verifier = Verifier::new(state, id, &client, batch.height, &batch.shared_proof, env.now);
    if let Err(error @ HandlerError::State(_)) = verifier {
        return Err(error);
    }
    for (item, entry) in batch.items.iter().enumerate() {
        let (packet, proof, verifier) = (&entry.packet, &entry.proof, verifier.as_ref());
        let kind = match &entry.claim {
            ProvenClaim::Sent => ItemKind::Recv,
            ProvenClaim::Acknowledged(_) => ItemKind::Ack,
            ProvenClaim::NotReceived => ItemKind::Timeout,
        };
        let place = Place { message, item, kind, client: id, sequence: packet.sequence };
        run(state, &place, |inner| match &entry.claim {
            ProvenClaim::Sent => recv::recv(inner, env, id, &client, verifier, packet, proof),
            ProvenClaim::Acknowledged(ack) => end::acknowledge(inner, id, &client, verifier, packet, ack, proof),
            ProvenClaim::NotReceived => end::time_out(inner, id, &client, verifier, packet, proof),
        })?;
    }
    Ok(())
}

/// A batch of claims.
pub fn claims(
    state: &mut impl WriteState,
    env: &BlockEnv<'_>,
    message: u32,
    items: &[ClaimItem],
) -> Result<(), HandlerError> {
    for (at, item) in items.iter().enumerate() {
        let place = Place { message, item: at, kind: ItemKind::Claim, client: &item.client, sequence: item.sequence };
        run(state, &place, |inner| hold::claim(inner, env, item))?;
    }
    Ok(())
}

/// A batch of voids.
pub fn voids(
    state: &mut impl WriteState,
    env: &BlockEnv<'_>,
    message: u32,
    items: &[VoidItem],
) -> Result<(), HandlerError> {
    for (at, item) in items.iter().enumerate() {
        let place = Place { message, item: at, kind: ItemKind::Void, client: &item.client, sequence: item.sequence };
        run(state, &place, |inner| hold::void(inner, env, item))?;
    }
    Ok(())
}
