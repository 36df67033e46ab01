//! From a chain's final events to the journal: what each event teaches about its packet.

use crate::journal::JournalError;
use crate::journal::keys::ClockKind;
use crate::journal::step::{Cause, Step};
use crate::life::{Action, Anomaly, Life, Stage, Terms};
use crate::metrics::PacketCount;
use crate::retry::RetryReason;
use crate::route::{PacketId, Route};
use crate::tower;
use crosspoint_adapters::chain::{ChainEvent, PacketEvent};
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::htlc::{AckCause, LockEnd};
use crosspoint_protocol::ids::{ChainId, ClientId, Height, Sequence, Timestamp};
use std::collections::BTreeMap;

/// Most packets moved by a clock in one step.
const CLOCK_BATCH: usize = 1_000;
/// Most characters kept of a chain's reason to refuse a packet.
const MAX_REFUSAL: usize = 200;

/// Why events were not taken in. Nothing of them is in the journal, and the cursor has not moved.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A packet's number follows on one that was never shown: an endpoint withholds events.
    #[error("packet {sequence} of client {client} was shown, but not the one before it")]
    Gap {
        /// The client.
        client: ClientId,
        /// The packet that was shown.
        sequence: Sequence,
    },
    /// The client is not known yet.
    #[error("an event speaks of client {0}, which the chain did not list")]
    UnknownClient(ClientId),
    /// An event is not what the chain could say.
    #[error("an event is malformed: {0}")]
    Malformed(String),
}

/// What was learned, for the metrics.
#[derive(Debug)]
pub(crate) struct Learned {
    pub(crate) route: Route,
    pub(crate) count: PacketCount,
    pub(crate) settled_after: Option<u64>,
}

/// The chain's clients: which route comes in through each; `None`: not ours to relay.
pub(crate) type Clients = BTreeMap<ClientId, Option<Route>>;

/// Takes in the events of blocks `from..=to` and moves the cursor to `to`.
pub(crate) fn take_in(
    step: &mut Step<'_>,
    chain: &ChainId,
    clients: &Clients,
    (from, to): (Height, Height),
    events: &[ChainEvent],
) -> Result<Vec<Learned>, IntakeError> {
    let mut learned = vec![];
    for event in events {
        if event.block.height < from || event.block.height > to {
            let height = event.block.height;
            return Err(IntakeError::Malformed(format!(
                "block {height} is not among {from} to {to}, which were asked for"
            )));
        }
        let client = client_of(&event.event);
        let into = clients.get(client).ok_or_else(|| IntakeError::UnknownClient(client.clone()))?;
        if let Some(into) = into {
            take_one(step, chain, into, event, &mut learned)?;
        }
    }
    step.put_cursor(chain, to)?;
    Ok(learned)
}

const fn client_of(event: &PacketEvent) -> &ClientId {
    match event {
        PacketEvent::Sent { packet } => &packet.source_client,
        PacketEvent::Received { dest_client, .. } | PacketEvent::AckWritten { dest_client, .. } => dest_client,
        PacketEvent::Ended { source_client, .. } => source_client,
    }
}

/// `into` is the route that comes in through the event's client; packets sent through it go the other way.
fn take_one(
    step: &mut Step<'_>,
    chain: &ChainId,
    into: &Route,
    event: &ChainEvent,
    learned: &mut Vec<Learned>,
) -> Result<(), IntakeError> {
    let (route, sequence) = match &event.event {
        PacketEvent::Sent { packet } => (into.reversed(), packet.sequence),
        PacketEvent::Received { sequence, .. } | PacketEvent::AckWritten { sequence, .. } => (into.clone(), *sequence),
        PacketEvent::Ended { sequence, .. } => (into.reversed(), *sequence),
    };
    let id = route.packet(sequence);
    let known = step.life(&id)?;
    let mut life = known.unwrap_or_else(|| Life::new(id.clone(), route.clone(), event.block.time, step.now_ms));
    match life.facts.learn(event) {
        Ok(true) => {}
        Ok(false) => return Ok(()),
        Err(anomaly) => {
            note_anomaly(&mut life, anomaly, learned);
            return Ok(step.put(life)?);
        }
    }
    if let PacketEvent::Sent { packet } = &event.event {
        if packet.dest_client != route.dest_client {
            let found = &packet.dest_client;
            return Err(IntakeError::Malformed(format!(
                "packet {id} is for client {found}, not {}",
                route.dest_client
            )));
        }
        check_no_gap(step, &id)?;
        step.put_packet(&id, packet)?;
        life.terms = Terms::of(packet);
        if life.terms.is_none() {
            note_anomaly(&mut life, Anomaly::NotPoints, learned);
        }
    }
    if let PacketEvent::Received { refusal: Some(why), .. } = &event.event {
        life.refusal = Some(why.chars().filter(|c| !c.is_control()).take(MAX_REFUSAL).collect());
    }
    if let Some(anomaly) = life.facts.anomaly().or_else(|| ack_anomaly(&life)) {
        note_anomaly(&mut life, anomaly, learned);
    }
    learned.push(learn_count(&life, event));
    life.submission = None;
    tower::consider(step, &mut life)?;
    let stage = life.resting_stage();
    let at = Some((chain.clone(), event.block, event.tx.clone()));
    let note =
        life.refusal.as_ref().filter(|_| stage == Stage::Refused).map(|why| format!("{chain} refused it: {why}"));
    step.enter(&mut life, stage, Cause { at, note, ..Cause::default() })?;
    let revealed = life.facts.acked.as_ref().is_some_and(|acked| acked.cause == AckCause::Claimed);
    step.put(life.clone())?;
    if revealed {
        tower::spread(step, &life)?;
    }
    Ok(())
}

fn note_anomaly(life: &mut Life, anomaly: Anomaly, learned: &mut Vec<Learned>) {
    if life.anomaly.is_none() {
        tracing::error!(packet = %life.id, ?anomaly, "facts of a packet contradict each other; look at both chains");
        life.anomaly = Some(anomaly);
        learned.push(Learned { route: life.route.clone(), count: PacketCount::Anomaly, settled_after: None });
    }
}

/// Numbers run from 1 without a gap on each client, so a gap means that an event was withheld.
fn check_no_gap(step: &Step<'_>, id: &PacketId) -> Result<(), IntakeError> {
    let Some(before) = id.sequence.0.checked_sub(1).filter(|n| *n > 0) else { return Ok(()) };
    let before = PacketId { sequence: Sequence(before), ..id.clone() };
    let sent = step.life(&before)?.is_some_and(|life| life.facts.sent.is_some());
    if sent { Ok(()) } else { Err(IntakeError::Gap { client: id.client.clone(), sequence: id.sequence }) }
}

fn ack_anomaly(life: &Life) -> Option<Anomaly> {
    let (acked, terms) = (life.facts.acked.as_ref()?, life.terms.as_ref()?);
    let fits = match (Acknowledgement::decode(&acked.ack, &terms.hashlock), acked.cause) {
        (Ok(Acknowledgement::Success(_)), AckCause::Claimed)
        | (Ok(Acknowledgement::Error), AckCause::Voided | AckCause::Refused) => true,
        (Ok(Acknowledgement::Success(_)), AckCause::Voided | AckCause::Refused)
        | (Ok(Acknowledgement::Error), AckCause::Claimed)
        | (Err(_), AckCause::Claimed | AckCause::Voided | AckCause::Refused) => false,
    };
    (!fits).then_some(Anomaly::AckUnknown)
}

fn learn_count(life: &Life, event: &ChainEvent) -> Learned {
    let mut settled_after = None;
    let count = match &event.event {
        PacketEvent::Sent { .. } => PacketCount::Sent,
        PacketEvent::Received { .. } => PacketCount::Received,
        PacketEvent::AckWritten { cause, .. } => match cause {
            AckCause::Claimed => PacketCount::Claimed,
            AckCause::Voided => PacketCount::Voided,
            AckCause::Refused => PacketCount::Refused,
        },
        PacketEvent::Ended { end, .. } => match end {
            LockEnd::Settled => {
                settled_after = life.facts.sent.as_ref().map(|sent| event.block.time.since(sent.block.time));
                PacketCount::Settled
            }
            LockEnd::Refunded => PacketCount::Refunded,
            LockEnd::TimedOut => PacketCount::TimedOut,
        },
    };
    Learned { route: life.route.clone(), count, settled_after }
}

/// Takes back what did not become final: transactions of ours on `chain` in blocks up to `read`, all of whose
/// events are in the journal, that had no effect there. Returns the lowest height at which an event must
/// be that the chain says has happened but that was never shown.
pub(crate) fn confirm(step: &mut Step<'_>, chain: &ChainId, read: Height) -> Result<Option<Height>, JournalError> {
    let due = step.journal().due(chain, ClockKind::Confirm, read.0, CLOCK_BATCH)?;
    let mut withheld: Option<Height> = None;
    for id in due {
        let Some(mut life) = step.life(&id)? else { continue };
        let Some(submission) = life.submission.clone() else { continue };
        if life.stage != submission.action.submitted() {
            continue;
        }
        if submission.duplicate {
            let from = shown_from(&life, submission.action);
            withheld = Some(withheld.map_or(from, |height| height.min(from)));
        }
        let stage = life.ready_stage();
        step.enter(&mut life, stage, Cause::default())?;
        life.submission = None;
        let next = step.now_ms;
        step.fail(&mut life, RetryReason::NotFinal, "the transaction's effect is not in the final blocks", |_| {
            Some(next)
        })?;
        step.put(life)?;
    }
    Ok(withheld)
}

/// The lowest block in which the effect of an action on this packet can be.
fn shown_from(life: &Life, action: Action) -> Height {
    let of = |seen: &Option<crate::life::Seen>| seen.as_ref().map_or(Height(0), |seen| seen.block.height);
    match action {
        Action::Recv => Height(0),
        Action::Claim | Action::Void => of(&life.facts.received),
        Action::Ack | Action::Timeout => of(&life.facts.sent),
    }
}

/// Moves packets whose time has come on `chain`: those that can no longer be received, by the time of the
/// newest final block whose events are all read; and, if `void`, holds past their claim deadline, by the
/// newest block. `true` if there may be more.
pub(crate) fn pass_deadlines(
    step: &mut Step<'_>,
    chain: &ChainId,
    read: Timestamp,
    latest: Timestamp,
    void: bool,
) -> Result<bool, JournalError> {
    let timed_out = step.journal().due(chain, ClockKind::Timeout, read.0, CLOCK_BATCH)?;
    let unclaimed = if void { step.journal().due(chain, ClockKind::Claim, latest.0, CLOCK_BATCH)? } else { vec![] };
    let more = timed_out.len() >= CLOCK_BATCH || unclaimed.len() >= CLOCK_BATCH;
    for (ids, stage, note) in [
        (timed_out, Stage::TimeoutReady, "the timeout passed without a receipt"),
        (unclaimed, Stage::VoidReady, "the claim deadline passed without a claim"),
    ] {
        for id in ids {
            let Some(mut life) = step.life(&id)? else { continue };
            step.enter(&mut life, stage, Cause { note: Some(note.to_owned()), ..Cause::default() })?;
            step.put(life)?;
        }
    }
    Ok(more)
}
