//! Locking a member's points and sending the packet.

use super::BlockEnv;
use super::account::withdraw;
use super::error::HandlerError;
use super::send::{self, Payer};
use crate::address::AccountId;
use crate::state::{Space, WriteState, keys};
use crate::tx::message::LockMsg;

/// Locks points of `sender` and sends the packet.
pub fn lock(
    state: &mut impl WriteState,
    env: &BlockEnv<'_>,
    sender: &AccountId,
    msg: LockMsg,
) -> Result<(), HandlerError> {
    let counterparty = send::check(state, env, &msg)?;
    let used = keys::hashlock(sender, &msg.hashlock);
    if state.get(Space::Plain, &used)?.is_some() {
        return Err(HandlerError::HashlockUsed { sender: *sender, hashlock: msg.hashlock });
    }
    state.put(Space::Plain, used, vec![]);
    let (denom, amount) = (msg.denom.clone(), msg.amount);
    send::send(state, env, msg, counterparty, Payer { sender: *sender, charged: *sender, forwards: None })?;
    withdraw(state, sender, &denom, amount)
}
