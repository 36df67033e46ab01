//! Limits of one denom on one client. What is in flight and what a member moved in a day is counted by direction;
//! a void or refund gives the day's budget back.

use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{ClientId, Timestamp};

use super::error::HandlerError;
use crate::address::AccountId;
use crate::state::access::{ReadRecords, WriteRecords};
use crate::state::keys::{self, Direction};
use crate::state::{StateError, WriteState};

const SECONDS_PER_DAY: u64 = 86_400;

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// One transfer is too small or too large.
    #[error("{amount} is not within the limits of one transfer, {min} to {max}")]
    PerTransfer {
        /// The amount.
        amount: Amount,
        /// The smallest allowed.
        min: Amount,
        /// The largest allowed.
        max: Amount,
    },
    /// A member moved too much today.
    #[error("{used} moved today and {amount} more would exceed the member's {max} per day")]
    Daily {
        /// Moved so far.
        used: Amount,
        /// The amount.
        amount: Amount,
        /// The limit.
        max: Amount,
    },
    /// Too much is in flight.
    #[error("{in_flight} in flight and {amount} more would exceed {max}")]
    InFlight {
        /// In flight so far.
        in_flight: Amount,
        /// The amount.
        amount: Amount,
        /// The limit.
        max: Amount,
    },
}

/// Whose transfer of what through which client.
#[derive(Debug, Clone, Copy)]
pub struct Moved<'a> {
    /// The client.
    pub client: &'a ClientId,
    /// Which way.
    pub direction: Direction,
    /// The member on this chain.
    pub account: &'a AccountId,
    /// The denom as this chain names it.
    pub denom: &'a Denom,
    /// How much.
    pub amount: Amount,
}

/// Checks every limit and counts the transfer. The day it is charged to, if there is a daily limit.
pub fn charge(state: &mut impl WriteState, moved: &Moved<'_>, now: Timestamp) -> Result<Option<u64>, HandlerError> {
    let Moved { client, direction, account, denom, amount } = *moved;
    let limits = state.limits(client, denom)?;
    if amount < limits.min || amount > limits.max {
        return Err(LimitError::PerTransfer { amount, min: limits.min, max: limits.max }.into());
    }
    let key = keys::in_flight(client, direction, denom);
    let in_flight = state.amount(&key)?;
    match in_flight.checked_add(amount) {
        Some(sum) if sum <= limits.in_flight => state.put_amount(key, sum),
        _ => return Err(LimitError::InFlight { in_flight, amount, max: limits.in_flight }.into()),
    }
    if limits.daily_per_member == Amount::new(u128::MAX) {
        return Ok(None);
    }
    let day = now.0.checked_div(SECONDS_PER_DAY).unwrap_or_default();
    let key = keys::daily(client, direction, day, account, denom);
    let used = state.amount(&key)?;
    match used.checked_add(amount) {
        Some(sum) if sum <= limits.daily_per_member => state.put_amount(key, sum),
        _ => return Err(LimitError::Daily { used, amount, max: limits.daily_per_member }.into()),
    }
    Ok(Some(day))
}

/// The transfer is no longer in flight.
pub fn land(state: &mut impl WriteState, moved: &Moved<'_>) -> Result<(), StateError> {
    let key = keys::in_flight(moved.client, moved.direction, moved.denom);
    let left = state.amount(&key)?.checked_sub(moved.amount);
    let left = left.ok_or_else(|| StateError::Books(format!("{} in flight below zero", moved.denom)))?;
    state.put_amount(key, left);
    Ok(())
}

/// The transfer came to nothing: no longer in flight, and the day's budget is given back.
pub fn give_back(state: &mut impl WriteState, moved: &Moved<'_>, charged_day: Option<u64>) -> Result<(), StateError> {
    land(state, moved)?;
    let Some(day) = charged_day else { return Ok(()) };
    let key = keys::daily(moved.client, moved.direction, day, moved.account, moved.denom);
    let left = state.amount(&key)?.checked_sub(moved.amount);
    let left = left.ok_or_else(|| StateError::Books(format!("daily budget of {} below zero", moved.denom)))?;
    state.put_amount(key, left);
    Ok(())
}
