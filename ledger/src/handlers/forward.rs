//! Sending on the points of a packet that came in with forward terms.
//!
//! The hold of such a packet is bound: the onward packet is sent in the step that makes it, under the same hashlock, and
//! the step that ends the onward packet ends the hold ([`super::hold::release`]). While it is bound, its points are counted
//! in the hold and in the onward lock; `Supply::bound` says how many these are.
//!
//! A hashlock is used once per sender who signs. An onward packet has a sender of its own for each packet received, and a
//! packet is received once, so it uses no hashlock of anybody's up, and nobody can use up one that it needs.

use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::ClientId;
use crosspoint_protocol::lock::PointsLock;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::terms::Forward;

use super::BlockEnv;
use super::account::change_supply;
use super::error::HandlerError;
use super::send::{self, Payer};
use crate::address::AccountId;
use crate::query::PacketRef;
use crate::state::WriteState;
use crate::state::records::Supply;
use crate::tx::message::LockMsg;

/// What is decided about a packet by its own terms, before anything is held.
pub fn check(id: &ClientId, lock: &PointsLock, forward: &Forward) -> Result<(), HandlerError> {
    send::check_forwarder(&lock.receiver)?;
    let onward = &forward.first().client;
    // What has just come in through a client cannot go back through it: its vouchers are not in circulation yet.
    if onward == id { Err(HandlerError::ForwardBack(id.clone())) } else { Ok(()) }
}

/// Sends the points of the hold just made of `packet` on, as `denom` of this chain.
pub fn send_on(
    state: &mut impl WriteState,
    env: &BlockEnv<'_>,
    packet: &Packet,
    lock: &PointsLock,
    forward: &Forward,
    denom: &Denom,
) -> Result<PacketRef, HandlerError> {
    let hop = forward.first();
    let msg = LockMsg {
        client: hop.client.clone(),
        denom: denom.clone(),
        amount: lock.amount,
        receiver: hop.receiver.clone(),
        hashlock: lock.hashlock,
        timeout: hop.timeout,
        claim_deadline: hop.claim_deadline,
        terms: forward.onward(),
        memo: lock.memo.clone(),
    };
    let origin = PacketRef { client: packet.dest_client.clone(), sequence: packet.sequence };
    let payer = Payer {
        sender: AccountId::forwarding(&origin.client, origin.sequence),
        charged: AccountId::foreign(&origin.client, &lock.sender),
        forwards: Some(origin),
    };
    let counterparty = send::check(state, env, &msg)?;
    let sent = send::send(state, env, msg, counterparty, payer)?;
    change_supply(state, denom, |s| Some(Supply { bound: s.bound.checked_add(lock.amount)?, ..*s }))?;
    Ok(sent)
}

/// Whether a packet that cannot be sent on is left for later, or else refused for good. Operators may resume what they
/// paused; all else is answered with an error ack, so that a refund is on its way at once.
#[must_use]
pub const fn may_wait(error: &HandlerError) -> bool {
    matches!(error, HandlerError::Paused | HandlerError::State(_))
}
