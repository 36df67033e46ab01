//! Members and their points: the only place where balances and totals change.

use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::book::Payout;
use crosspoint_protocol::denom::Denom;

use super::error::HandlerError;
use crate::address::AccountId;
use crate::events::Event;
use crate::state::access::{ReadRecords, WriteRecords};
use crate::state::records::{DenomInfo, Supply};
use crate::state::{ReadState, Space, StateError, WriteState, keys};

/// Fails unless the account is a member's and not suspended.
pub fn check_active(state: &impl ReadState, account: &AccountId) -> Result<(), HandlerError> {
    match state.member(account)? {
        None => Err(HandlerError::NotMember(*account)),
        Some(member) if member.suspended => Err(HandlerError::Suspended(*account)),
        Some(_) => Ok(()),
    }
}

/// Fails unless the account may own points: a member, suspended or not.
pub fn check_receiver(state: &impl ReadState, account: &AccountId) -> Result<(), HandlerError> {
    if account.is_reserved() {
        return Err(HandlerError::ReservedReceiver(*account));
    }
    state.member(account)?.map(|_| ()).ok_or(HandlerError::NotMember(*account))
}

/// A denom this chain knows.
pub fn known_denom(state: &impl ReadState, denom: &Denom) -> Result<DenomInfo, HandlerError> {
    state.denom_info(denom)?.ok_or_else(|| HandlerError::UnknownDenom(denom.clone()))
}

/// Takes points from an account. The caller says where they go.
pub fn debit(
    state: &mut impl WriteState,
    account: &AccountId,
    denom: &Denom,
    amount: Amount,
) -> Result<(), HandlerError> {
    let key = keys::balance(account, denom);
    let balance = state.amount(&key)?;
    let left = balance.checked_sub(amount).ok_or_else(|| HandlerError::Insufficient {
        account: *account,
        denom: denom.clone(),
        balance,
        amount,
    })?;
    state.put_amount(key, left);
    Ok(())
}

/// Gives points to an account. The caller says where they come from.
pub fn credit(
    state: &mut impl WriteState,
    account: &AccountId,
    denom: &Denom,
    amount: Amount,
) -> Result<(), HandlerError> {
    let key = keys::balance(account, denom);
    let sum = state.amount(&key)?.checked_add(amount).ok_or_else(|| HandlerError::Overflow(denom.clone()))?;
    state.put_amount(key, sum);
    Ok(())
}

/// Changes the totals of a denom. Totals that leave their range are a fault of the ledger.
pub fn change_supply(
    state: &mut impl WriteState,
    denom: &Denom,
    change: impl FnOnce(&Supply) -> Option<Supply>,
) -> Result<(), StateError> {
    let next = change(&state.supply(denom)?)
        .ok_or_else(|| StateError::Books(format!("the totals of {denom} would leave their range")))?;
    state.put_json(Space::Provable, keys::supply(denom), &next)
}

/// Takes points out of circulation, from an account.
pub fn withdraw(
    state: &mut impl WriteState,
    account: &AccountId,
    denom: &Denom,
    amount: Amount,
) -> Result<(), HandlerError> {
    debit(state, account, denom, amount)?;
    Ok(change_supply(state, denom, |s| Some(Supply { circulating: s.circulating.checked_sub(amount)?, ..*s }))?)
}

/// Puts points into circulation: pays a member, or credits them as owed to a suspended one. Never fails for the
/// member's sake: no transition depends on a payout.
pub fn pay_out(
    state: &mut impl WriteState,
    account: &AccountId,
    denom: &Denom,
    amount: Amount,
) -> Result<(), HandlerError> {
    let may_receive = state.member(account)?.is_some_and(|member| !member.suspended);
    if Payout::to(may_receive) == Payout::Paid {
        credit(state, account, denom, amount)?;
        change_supply(state, denom, |s| Some(Supply { circulating: s.circulating.checked_add(amount)?, ..*s }))?;
        return Ok(());
    }
    let key = keys::owed(account, denom);
    let sum = state.amount(&key)?.checked_add(amount).ok_or_else(|| HandlerError::Overflow(denom.clone()))?;
    state.put_amount(key, sum);
    change_supply(state, denom, |s| Some(Supply { owed: s.owed.checked_add(amount)?, ..*s }))?;
    state.emit(Event::PayoutOwed { account: *account, denom: denom.clone(), amount });
    Ok(())
}
