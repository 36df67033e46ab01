//! Transfers, issues, burns, and what is owed.

use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;

use super::account::{change_supply, check_active, check_receiver, credit, debit, known_denom, withdraw};
use super::error::HandlerError;
use crate::address::AccountId;
use crate::events::Event;
use crate::state::access::{ReadRecords, WriteRecords};
use crate::state::records::Supply;
use crate::state::{WriteState, keys};

/// Moves points between members. Changes no total, so the tree is not touched.
pub fn transfer(
    state: &mut impl WriteState,
    from: &AccountId,
    to: &AccountId,
    denom: &Denom,
    amount: Amount,
    memo: &str,
) -> Result<(), HandlerError> {
    if to.is_reserved() {
        return Err(HandlerError::ReservedReceiver(*to));
    }
    check_active(state, to)?;
    debit(state, from, denom, amount)?;
    credit(state, to, denom, amount)?;
    state.emit(Event::Transferred { from: *from, to: *to, denom: denom.clone(), amount, memo: memo.into() });
    Ok(())
}

/// Creates points: the issuer alone, up to the cap, unless issuing has ended.
pub fn issue(
    state: &mut impl WriteState,
    issuer: &AccountId,
    to: &AccountId,
    denom: &Denom,
    amount: Amount,
) -> Result<(), HandlerError> {
    let info = known_denom(state, denom)?;
    let Some(only) = info.issuer else { return Err(HandlerError::NotHome(denom.clone())) };
    if only != *issuer {
        return Err(HandlerError::NotAllowed { account: *issuer, needed: "the issuer of this denom" });
    }
    if info.closed {
        return Err(HandlerError::IssueClosed(denom.clone()));
    }
    check_receiver(state, to)?;
    check_active(state, to)?;
    let issued = state.supply(denom)?.issued;
    if issued.checked_add(amount).is_none_or(|sum| sum > info.cap) {
        return Err(HandlerError::CapExceeded { denom: denom.clone(), issued, amount, cap: info.cap });
    }
    credit(state, to, denom, amount)?;
    change_supply(state, denom, |s| {
        let (issued, circulating) = (s.issued.checked_add(amount)?, s.circulating.checked_add(amount)?);
        Some(Supply { issued, circulating, ..*s })
    })?;
    state.emit(Event::Issued { to: *to, denom: denom.clone(), amount });
    Ok(())
}

/// Destroys own points of a home denom.
pub fn burn(state: &mut impl WriteState, owner: &AccountId, denom: &Denom, amount: Amount) -> Result<(), HandlerError> {
    if known_denom(state, denom)?.issuer.is_none() {
        return Err(HandlerError::NotHome(denom.clone()));
    }
    withdraw(state, owner, denom, amount)?;
    change_supply(state, denom, |s| Some(Supply { issued: s.issued.checked_sub(amount)?, ..*s }))?;
    state.emit(Event::Burned { from: *owner, denom: denom.clone(), amount });
    Ok(())
}

/// Pays a member what it is owed. It is not suspended any more, or it could not send this.
pub fn withdraw_owed(state: &mut impl WriteState, account: &AccountId, denom: &Denom) -> Result<(), HandlerError> {
    let key = keys::owed(account, denom);
    let amount = state.amount(&key)?;
    if amount.is_zero() {
        return Err(HandlerError::NothingOwed { account: *account, denom: denom.clone() });
    }
    state.put_amount(key, Amount::ZERO);
    credit(state, account, denom, amount)?;
    change_supply(state, denom, |s| {
        let (owed, circulating) = (s.owed.checked_sub(amount)?, s.circulating.checked_add(amount)?);
        Some(Supply { owed, circulating, ..*s })
    })?;
    state.emit(Event::OwedWithdrawn { account: *account, denom: denom.clone(), amount });
    Ok(())
}
