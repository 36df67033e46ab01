//! Receiving a packet: a receipt, and a hold or an error ack. Points to be forwarded are sent on in the same step.

use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::denom::Received;
use crosspoint_protocol::gate::{Arrival, ArrivalError};
use crosspoint_protocol::htlc::{AckCause, HoldState};
use crosspoint_protocol::ids::ClientId;
use crosspoint_protocol::lock::PointsLock;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Hashlock;

use super::account::{change_supply, check_receiver};
use super::client::{self, Verifier};
use super::error::HandlerError;
use super::hold::write_ack;
use super::limits::{self, Moved};
use super::{BlockEnv, Done, forward};
use crate::address::AccountId;
use crate::events::Event;
use crate::state::access::{ReadRecords, WriteRecords};
use crate::state::keys::{self, Direction};
use crate::state::overlay::Overlay;
use crate::state::records::{Client, Hold, Supply};
use crate::state::{ReadState, Space, WriteState};

/// A packet that passed all checks: what to hold, and for whom.
struct Accepted {
    received: Received,
    /// Whose budget it is charged to.
    party: AccountId,
    lock: PointsLock,
}

/// Why a packet does not become a hold.
enum Refusal {
    /// By its own content: a receipt and an error ack.
    Packet(String),
    /// Not now: nothing stays. Or the node failed.
    Later(HandlerError),
}

impl<E: Into<HandlerError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Later(error.into())
    }
}

/// Receives a packet proven by `verifier`. Limits, pause and a short vault leave no state.
pub fn recv(
    state: &mut impl WriteState,
    env: &BlockEnv<'_>,
    id: &ClientId,
    client: &Client,
    verifier: Result<&Verifier, &HandlerError>,
    packet: &Packet,
    proof: &[Vec<u8>],
) -> Result<Done, HandlerError> {
    let counterparty = client::counterparty(client, id)?;
    if packet.dest_client != *id || packet.source_client != *counterparty {
        return Err(HandlerError::WrongRoute {
            source_client: packet.source_client.clone(),
            dest_client: packet.dest_client.clone(),
        });
    }
    let commitment = packet.commitment();
    let receipt = state.get(Space::Provable, &packet.receipt_path().to_bytes())?;
    let gate = client.gate(state.governance()?.paused);
    match gate.arrive(receipt.as_deref(), &commitment, packet.timeout, env.now) {
        Ok(Arrival::New) => {}
        Ok(Arrival::Duplicate) => return Ok(Done::Duplicate),
        Err(ArrivalError::OtherPacket) => {
            return Err(HandlerError::OtherPacket { client: id.clone(), sequence: packet.sequence });
        }
        Err(ArrivalError::Gate(error)) => return Err(client::shut(id)(error)),
        Err(ArrivalError::TimedOut { timeout, now }) => return Err(HandlerError::TimedOut { timeout, now }),
    }
    verifier.map_err(Clone::clone)?.member(id, &packet.commitment_path(), &commitment, proof)?;

    let made = match accept(state, env, id, client, packet) {
        Ok(accepted) => state.attempt(|inner| make(inner, env, id, packet, &accepted)),
        Err(refusal) => Err(refusal),
    };
    match made {
        Ok(()) => Ok(Done::Done),
        Err(Refusal::Later(error)) => Err(error),
        Err(Refusal::Packet(reason)) => {
            put_receipt(state, id, packet, None, Some(reason));
            let mut none = record(env, packet, None);
            write_ack(state, id, &mut none, &Acknowledgement::Error, AckCause::Refused)?;
            Ok(Done::Done)
        }
    }
}

/// Makes the hold, and sends its points on if the packet says so.
fn make(
    state: &mut Overlay<'_>,
    env: &BlockEnv<'_>,
    id: &ClientId,
    packet: &Packet,
    accepted: &Accepted,
) -> Result<(), Refusal> {
    let lock = &accepted.lock;
    let mut hold = record(env, packet, Some(HoldState::made_under(&lock.terms)));
    hold.charged_day = make_hold(state, env, id, accepted)?;
    put_receipt(state, id, packet, Some(lock.hashlock), None);
    if let Some(onward) = lock.terms.forward() {
        let sent = forward::send_on(state, env, packet, lock, onward, accepted.received.denom());
        hold.onward = Some(sent.map_err(|error| match forward::may_wait(&error) {
            true => Refusal::Later(error),
            false => Refusal::Packet(format!("it cannot be forwarded through {}: {error}", onward.first().client)),
        })?);
    }
    Ok(state.put_json(Space::Plain, keys::hold(id, packet.sequence), &hold)?)
}

fn record(env: &BlockEnv<'_>, packet: &Packet, state: Option<HoldState>) -> Hold {
    Hold { packet: packet.clone(), state, ack: None, received: env.tip(), charged_day: None, onward: None }
}

/// Writes that the packet was received, once and for ever.
fn put_receipt(
    state: &mut impl WriteState,
    id: &ClientId,
    packet: &Packet,
    hashlock: Option<Hashlock>,
    refusal: Option<String>,
) {
    state.put(Space::Provable, packet.receipt_path().to_bytes(), packet.commitment().to_vec());
    state.emit(Event::PacketReceived {
        dest_client: id.clone(),
        sequence: packet.sequence,
        hashlock,
        held: refusal.is_none(),
        refusal,
        packet: packet.clone(),
    });
}

/// Explicit, deterministic validation of the packet: the only source of error acks.
fn accept(
    state: &impl ReadState,
    env: &BlockEnv<'_>,
    id: &ClientId,
    client: &Client,
    packet: &Packet,
) -> Result<Accepted, Refusal> {
    let refuse = |reason: &dyn std::fmt::Display| Refusal::Packet(reason.to_string());
    let lock = packet.points_lock().map_err(|error| refuse(&error))?;
    env.window(client.state.trusting_period())
        .check(env.now, packet.timeout, lock.claim_deadline)
        .map_err(|error| refuse(&error))?;
    let party = match lock.terms.forward() {
        None => {
            let receiver = AccountId::try_from(&lock.receiver).map_err(|error| refuse(&error))?;
            match check_receiver(state, &receiver) {
                Ok(()) => receiver,
                Err(error @ HandlerError::State(_)) => return Err(error.into()),
                Err(error) => return Err(refuse(&error)),
            }
        }
        Some(onward) => {
            forward::check(id, &lock, onward).map_err(|error| refuse(&error))?;
            AccountId::foreign(id, &lock.sender)
        }
    };
    let received = lock.denom.received(&packet.source_client, &packet.dest_client).map_err(|error| refuse(&error))?;
    let denom = received.denom();
    if state.denom_info(denom)?.is_none() {
        return Err(refuse(&format!("denom {denom} is not admitted here")));
    }
    // What returns must have gone out through this very client; else there is no vault it could come from.
    if matches!(received, Received::Returned(_)) && state.get(Space::Plain, &keys::home_index(denom, id))?.is_none() {
        return Err(refuse(&format!("no {denom} ever left through {id}")));
    }
    Ok(Accepted { received, party, lock })
}

/// Takes the points from the vault, or mints them, into the hold. The day they are charged to.
fn make_hold(
    state: &mut impl WriteState,
    env: &BlockEnv<'_>,
    id: &ClientId,
    accepted: &Accepted,
) -> Result<Option<u64>, HandlerError> {
    let (denom, amount) = (accepted.received.denom(), accepted.lock.amount);
    let moved = Moved { client: id, direction: Direction::In, account: &accepted.party, denom, amount };
    let day = limits::charge(state, &moved, env.now)?;
    match &accepted.received {
        Received::Returned(_) => {
            let mut book = state.home_book(id, denom)?;
            book.hold_return(amount)?;
            state.put_home_book(id, denom, &book)?;
            change_supply(state, denom, |s| Some(Supply { return_holds: s.return_holds.checked_add(amount)?, ..*s }))?;
        }
        Received::Voucher(_) => {
            let cap = state.denom_info(denom)?.map(|info| info.cap).unwrap_or_default();
            let mut book = state.voucher_book(denom)?;
            book.hold(amount, cap)?;
            state.put_json(Space::Provable, keys::voucher_book(denom), &book)?;
        }
    }
    Ok(day)
}
