//! Ending a hold: by its preimage in time, or by giving it up after its deadline; a bound one, by the end of its onward packet.

use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::denom::{Denom, Received};
use crosspoint_protocol::htlc::{AckCause, HoldEffect, HoldEvent, HoldState, HoldTerms, LockEffect};
use crosspoint_protocol::ids::{ClientId, Sequence};

use super::account::{change_supply, check_active, pay_out};
use super::error::HandlerError;
use super::limits::{self, Moved};
use super::{BlockEnv, Done};
use crate::address::AccountId;
use crate::events::{Event, HexBytes};
use crate::query::{HexView, OutboxList, PacketRef};
use crate::state::access::{ReadRecords, WriteRecords};
use crate::state::keys::{self, Direction};
use crate::state::records::{Hold, Supply};
use crate::state::{OutboxEntry, Space, StateError, WriteState};
use crate::tx::message::{ClaimItem, VoidItem};

/// Pays a hold to its receiver, if the secret opens it in time and the receiver is not suspended.
pub fn claim(state: &mut impl WriteState, env: &BlockEnv<'_>, item: &ClaimItem) -> Result<Done, HandlerError> {
    let (mut hold, at) = open(state, &item.client, item.sequence)?;
    let event = HoldEvent::Claim { secret: &item.secret, now: env.now };
    match at.apply(&terms(&hold)?, &event) {
        Ok((next, effect)) => {
            let (receiver, received) = parties(&hold)?;
            check_active(state, &receiver)?;
            end(state, &item.client, &mut hold, next, &effect, &receiver, &received)
        }
        // The same claim again.
        Err(_)
            if at == HoldState::Claimed
                && hold.ack.as_ref().is_some_and(|ack| ack.0.get(1..) == Some(&item.secret)) =>
        {
            Ok(Done::Duplicate)
        }
        Err(error) => Err(error.into()),
    }
}

/// Gives a hold up once its deadline has passed.
pub fn void(state: &mut impl WriteState, env: &BlockEnv<'_>, item: &VoidItem) -> Result<Done, HandlerError> {
    let (mut hold, at) = open(state, &item.client, item.sequence)?;
    if at == HoldState::Void {
        return Ok(Done::Duplicate);
    }
    let (next, effect) = at.apply(&terms(&hold)?, &HoldEvent::Void { now: env.now })?;
    let (receiver, received) = parties(&hold)?;
    end(state, &item.client, &mut hold, next, &effect, &receiver, &received)
}

/// Ends the bound hold of a packet that was forwarded, in the step that ends the onward packet.
pub fn release(state: &mut impl WriteState, at: &PacketRef, onward: &LockEffect) -> Result<(), HandlerError> {
    let (mut hold, was) = open(state, &at.client, at.sequence)?;
    let (next, effect) = was.release(&terms(&hold)?.hashlock, onward)?;
    let (party, received) = parties(&hold)?;
    let amount = lock_of(&hold)?.amount;
    change_supply(state, received.denom(), |s| Some(Supply { bound: s.bound.checked_sub(amount)?, ..*s }))?;
    end(state, &at.client, &mut hold, next, &effect, &party, &received)?;
    Ok(())
}

/// Whose budgets the packet of a hold is charged to.
pub fn party(state: &impl WriteState, at: &PacketRef) -> Result<AccountId, HandlerError> {
    Ok(parties(&open(state, &at.client, at.sequence)?.0)?.0)
}

fn open(state: &impl WriteState, id: &ClientId, sequence: Sequence) -> Result<(Hold, HoldState), HandlerError> {
    let unknown = || HandlerError::UnknownPacket { client: id.clone(), sequence };
    let hold = state.hold(id, sequence)?.ok_or_else(unknown)?;
    let at = hold.state.ok_or_else(|| HandlerError::NoHold { client: id.clone(), sequence })?;
    Ok((hold, at))
}

/// A hold was made of a packet that decoded; that it no longer does is a fault of the store.
fn lock_of(hold: &Hold) -> Result<crosspoint_protocol::lock::PointsLock, StateError> {
    hold.packet.points_lock().map_err(|error| StateError::Books(format!("a hold's packet does not decode: {error}")))
}

fn terms(hold: &Hold) -> Result<HoldTerms, StateError> {
    let lock = lock_of(hold)?;
    Ok(HoldTerms { hashlock: lock.hashlock, claim_deadline: lock.claim_deadline })
}

/// Who the hold is for and charged to (the foreign sender, if it is forwarded), and what it holds.
fn parties(hold: &Hold) -> Result<(AccountId, Received), StateError> {
    let lock = lock_of(hold)?;
    let books = |error: &dyn std::fmt::Display| StateError::Books(format!("a hold's packet: {error}"));
    let party = match lock.terms.forward() {
        None => AccountId::try_from(&lock.receiver).map_err(|error| books(&error))?,
        Some(_) => AccountId::foreign(&hold.packet.dest_client, &lock.sender),
    };
    let received =
        lock.denom.received(&hold.packet.source_client, &hold.packet.dest_client).map_err(|error| books(&error))?;
    Ok((party, received))
}

/// Writes the end before any point moves.
fn end(
    state: &mut impl WriteState,
    id: &ClientId,
    hold: &mut Hold,
    next: HoldState,
    effect: &HoldEffect,
    receiver: &AccountId,
    received: &Received,
) -> Result<Done, HandlerError> {
    let (denom, amount) = (received.denom(), lock_of(hold)?.amount);
    hold.state = Some(next);
    let moved = Moved { client: id, direction: Direction::In, account: receiver, denom, amount };
    match effect {
        HoldEffect::Pay(_) => {
            limits::land(state, &moved)?;
            write_ack(state, id, hold, &effect.acknowledgement(), AckCause::Claimed)?;
            leave(state, id, received, amount, true)?;
            pay_out(state, receiver, denom, amount)?;
        }
        HoldEffect::PassOn(_) => {
            limits::land(state, &moved)?;
            write_ack(state, id, hold, &effect.acknowledgement(), AckCause::Claimed)?;
            leave(state, id, received, amount, true)?;
        }
        HoldEffect::GiveUp => {
            limits::give_back(state, &moved, hold.charged_day)?;
            write_ack(state, id, hold, &effect.acknowledgement(), AckCause::Voided)?;
            leave(state, id, received, amount, false)?;
        }
    }
    Ok(Done::Done)
}

/// The points leave the hold: to be paid or passed on, or burned or back into the vault.
fn leave(
    state: &mut impl WriteState,
    id: &ClientId,
    received: &Received,
    amount: crosspoint_protocol::amount::Amount,
    paid: bool,
) -> Result<(), HandlerError> {
    let denom: &Denom = received.denom();
    match received {
        Received::Voucher(_) => {
            let mut book = state.voucher_book(denom)?;
            if paid {
                book.claim(amount)?
            } else {
                book.void(amount)?
            }
            state.put_json(Space::Provable, keys::voucher_book(denom), &book)?;
        }
        Received::Returned(_) => {
            change_supply(state, denom, |s| Some(Supply { return_holds: s.return_holds.checked_sub(amount)?, ..*s }))?;
            if !paid {
                let mut book = state.home_book(id, denom)?;
                book.void_return(amount)?;
                state.put_home_book(id, denom, &book)?;
            }
        }
    }
    Ok(())
}

/// Writes a packet's acknowledgement, once and for ever.
pub fn write_ack(
    state: &mut impl WriteState,
    id: &ClientId,
    hold: &mut Hold,
    ack: &Acknowledgement,
    cause: AckCause,
) -> Result<(), HandlerError> {
    let (sequence, commitment, path) = (hold.packet.sequence, ack.commitment(), hold.packet.ack_path().to_bytes());
    if state.get(Space::Provable, &path)?.is_some() {
        return Err(StateError::Books(format!("packet {id}/{sequence} would be acknowledged twice")).into());
    }
    state.put(Space::Provable, path, commitment.to_vec());
    state.append_outbox(OutboxEntry { client: id.clone(), list: OutboxList::Acked, sequence, commitment });
    hold.ack = Some(HexView(ack.encode()));
    state.put_json(Space::Plain, keys::hold(id, sequence), hold)?;
    state.emit(Event::AckWritten { dest_client: id.clone(), sequence, ack: HexBytes(ack.encode()), cause });
    Ok(())
}
