//! Ending a lock by proof: settle, refund, time out.

use crosspoint_protocol::ack;
use crosspoint_protocol::htlc::{LockEffect, LockEnd, LockEvent, LockState, LockTerms};
use crosspoint_protocol::ids::ClientId;
use crosspoint_protocol::packet::Packet;

use super::Done;
use super::account::pay_out;
use super::client::{self, Verifier};
use super::error::HandlerError;
use super::hold;
use super::limits::{self, Moved};
use crate::address::AccountId;
use crate::events::{Event, HexBytes};
use crate::state::access::{ReadRecords, WriteRecords};
use crate::state::keys::{self, Direction};
use crate::state::records::{Client, SentPacket};
use crate::state::{Space, StateError, WriteState};

/// Delivers a packet's acknowledgement.
pub fn acknowledge(
    state: &mut impl WriteState,
    id: &ClientId,
    client: &Client,
    verifier: Result<&Verifier, &HandlerError>,
    packet: &Packet,
    acknowledgement: &[u8],
    proof: &[Vec<u8>],
) -> Result<Done, HandlerError> {
    let sent = match open(state, id, client, packet)? {
        Some(sent) => sent,
        None => return Ok(Done::Duplicate),
    };
    let commitment = ack::commitment(acknowledgement);
    verifier.map_err(Clone::clone)?.member(id, &packet.ack_path(), &commitment, proof)?;
    let event = LockEvent::AckProven(acknowledgement);
    end(state, id, sent, &event)
}

/// Times a packet out by its proven non-receipt. Through a client that is closed for good, by the absence of its
/// acknowledgement in the final state.
pub fn time_out(
    state: &mut impl WriteState,
    id: &ClientId,
    client: &Client,
    verifier: Result<&Verifier, &HandlerError>,
    packet: &Packet,
    proof: &[Vec<u8>],
) -> Result<Done, HandlerError> {
    let sent = match open(state, id, client, packet)? {
        Some(sent) => sent,
        None => return Ok(Done::Duplicate),
    };
    let verifier = verifier.map_err(Clone::clone)?;
    // No pause stands in the way of an end.
    verifier.absent(id, &client.gate(false).timeout_path(packet), proof)?;
    let event = LockEvent::NonReceiptProven { consensus_time: verifier.time };
    end(state, id, sent, &event)
}

/// The packet if it was sent from here and its lock has not ended; `None` if it has.
fn open(
    state: &impl WriteState,
    id: &ClientId,
    client: &Client,
    packet: &Packet,
) -> Result<Option<SentPacket>, HandlerError> {
    let counterparty = client::counterparty(client, id)?;
    if packet.source_client != *id || packet.dest_client != *counterparty {
        return Err(HandlerError::WrongRoute {
            source_client: packet.source_client.clone(),
            dest_client: packet.dest_client.clone(),
        });
    }
    let unknown = || HandlerError::UnknownPacket { client: id.clone(), sequence: packet.sequence };
    let sent = state.sent(id, packet.sequence)?.ok_or_else(unknown)?;
    if sent.packet != *packet {
        return Err(HandlerError::OtherPacket { client: id.clone(), sequence: packet.sequence });
    }
    Ok((sent.state == LockState::Sent).then_some(sent))
}

/// Writes the end before any point moves. The end of an onward packet is the end of the hold that it forwards.
fn end(
    state: &mut impl WriteState,
    id: &ClientId,
    mut sent: SentPacket,
    event: &LockEvent<'_>,
) -> Result<Done, HandlerError> {
    let books = |error: &dyn std::fmt::Display| StateError::Books(format!("a packet sent from here: {error}"));
    let lock = sent.packet.points_lock().map_err(|error| books(&error))?;
    let payer = match &sent.forwards {
        None => AccountId::try_from(&lock.sender).map_err(|error| books(&error))?,
        Some(origin) => hold::party(state, origin)?,
    };
    let terms = LockTerms { hashlock: lock.hashlock, timeout: sent.packet.timeout };
    let (next, effect) = sent.state.apply(&terms, event)?;
    sent.state = next;
    let sequence = sent.packet.sequence;
    state.delete(Space::Provable, sent.packet.commitment_path().to_bytes());
    state.put_json(Space::Plain, keys::sent(id, sequence), &sent)?;

    let (denom, amount) = (&lock.denom, lock.amount);
    let moved = Moved { client: id, direction: Direction::Out, account: &payer, denom, amount };
    let returning = denom.came_through() == Some(id);
    let settled = matches!(effect, LockEffect::Settle(_));
    if returning {
        let mut book = state.voucher_book(denom)?;
        if settled {
            book.settle_return(amount)?
        } else {
            book.refund_return(amount)?
        }
        state.put_json(Space::Provable, keys::voucher_book(denom), &book)?;
    } else {
        let mut book = state.home_book(id, denom)?;
        if settled {
            book.settle(amount)?
        } else {
            book.refund(amount)?
        }
        state.put_home_book(id, denom, &book)?;
    }
    let preimage = match &effect {
        LockEffect::Settle(preimage) => {
            limits::land(state, &moved)?;
            Some(HexBytes(preimage.reveal().to_vec()))
        }
        LockEffect::Refund => {
            limits::give_back(state, &moved, sent.charged_day)?;
            if sent.forwards.is_none() {
                pay_out(state, &payer, denom, amount)?;
            }
            None
        }
    };
    let end = match (event, settled) {
        (LockEvent::AckProven(_), true) => LockEnd::Settled,
        (LockEvent::AckProven(_), false) => LockEnd::Refunded,
        (LockEvent::NonReceiptProven { .. }, _) => LockEnd::TimedOut,
    };
    state.emit(Event::PacketEnded { source_client: id.clone(), sequence, end, preimage });
    if let Some(origin) = &sent.forwards {
        hold::release(state, origin, &effect)?;
    }
    Ok(Done::Done)
}
