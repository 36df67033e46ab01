//! The accounting of one client and one denom on each side of a route (invariants I1 to I4 of `docs/protocol.md`).
//!
//! On the points' home chain a [`HomeBook`] says how much is out; on the other chain a
//! [`VoucherBook`] says where the vouchers are. A failed step changes nothing.

use crate::amount::Amount;
use serde::{Deserialize, Serialize};

/// Why a step would break the books. Nothing changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// The vault holds less than a return asks for: a settle ack is still on its way, or the counterparty lies.
    #[error("the vault holds {vault}, less than the {amount} returned; settle acks may still be on their way")]
    VaultShort {
        /// What the vault holds.
        vault: Amount,
        /// What the return asks for.
        amount: Amount,
    },
    /// Vouchers would exceed the cap registered for the route.
    #[error("{outstanding} vouchers and {amount} more would exceed the cap of {cap}")]
    CapExceeded {
        /// Vouchers circulating, returning and held.
        outstanding: Amount,
        /// What would be added.
        amount: Amount,
        /// The cap.
        cap: Amount,
    },
    /// A counter would go below zero or past 2^128 - 1: the books are wrong, stop.
    #[error("the counter `{0}` would leave its range")]
    OutOfRange(&'static str),
}

fn add(counter: &mut Amount, amount: Amount, name: &'static str) -> Result<(), BookError> {
    *counter = counter.checked_add(amount).ok_or(BookError::OutOfRange(name))?;
    Ok(())
}

fn sub(counter: &mut Amount, amount: Amount, name: &'static str) -> Result<(), BookError> {
    *counter = counter.checked_sub(amount).ok_or(BookError::OutOfRange(name))?;
    Ok(())
}

fn shift(
    from: &mut Amount,
    from_name: &'static str,
    to: &mut Amount,
    to_name: &'static str,
    amount: Amount,
) -> Result<(), BookError> {
    let (mut new_from, mut new_to) = (*from, *to);
    sub(&mut new_from, amount, from_name)?;
    add(&mut new_to, amount, to_name)?;
    (*from, *to) = (new_from, new_to);
    Ok(())
}

/// How points leave a hold or a lock for the party they are due to. Never not at all: no step of a packet depends on
/// whether its party can be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Payout {
    /// Into its account.
    Paid,
    /// Credited as owed, to be withdrawn later.
    Owed,
}

impl Payout {
    /// The payout to a party that may or may not receive points now.
    #[must_use]
    pub const fn to(may_receive: bool) -> Self {
        if may_receive { Self::Paid } else { Self::Owed }
    }
}

/// Home points that are out through one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct HomeBook {
    /// Locked in packets whose end is not proven yet.
    pub locked: Amount,
    /// Backing for vouchers on the other chain.
    pub vault: Amount,
}

impl HomeBook {
    /// A payer locks points.
    pub fn lock(&mut self, amount: Amount) -> Result<(), BookError> {
        add(&mut self.locked, amount, "locked")
    }

    /// A lock was claimed: it becomes backing.
    pub fn settle(&mut self, amount: Amount) -> Result<(), BookError> {
        shift(&mut self.locked, "locked", &mut self.vault, "vault", amount)
    }

    /// A lock ended without a claim: the points leave the book, to the sender.
    pub fn refund(&mut self, amount: Amount) -> Result<(), BookError> {
        sub(&mut self.locked, amount, "locked")
    }

    /// Points return: they leave the vault, into a hold. Never drawn on what is locked.
    pub fn hold_return(&mut self, amount: Amount) -> Result<(), BookError> {
        let vault = self.vault;
        self.vault = vault.checked_sub(amount).ok_or(BookError::VaultShort { vault, amount })?;
        Ok(())
    }

    /// The hold of a return was given up: its points go back into the vault.
    pub fn void_return(&mut self, amount: Amount) -> Result<(), BookError> {
        add(&mut self.vault, amount, "vault")
    }

    /// All that is out: vault and locked. `None` past 2^128 - 1.
    #[must_use]
    pub fn total(&self) -> Option<Amount> {
        self.locked.checked_add(self.vault)
    }
}

/// Vouchers of one foreign denom that came through one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct VoucherBook {
    /// In the hands of holders.
    pub circulating: Amount,
    /// Locked in packets on their way home.
    pub returning: Amount,
    /// In holds that are neither claimed nor void.
    pub held: Amount,
}

impl VoucherBook {
    /// All vouchers there are: circulating, returning and held. `None` past 2^128 - 1.
    #[must_use]
    pub fn supply(&self) -> Option<Amount> {
        self.circulating.checked_add(self.returning)?.checked_add(self.held)
    }

    /// A packet came in: vouchers are minted into a hold, never past `cap`.
    pub fn hold(&mut self, amount: Amount, cap: Amount) -> Result<(), BookError> {
        let outstanding = self.supply().ok_or(BookError::OutOfRange("supply"))?;
        match outstanding.checked_add(amount) {
            Some(sum) if sum <= cap => add(&mut self.held, amount, "held"),
            _ => Err(BookError::CapExceeded { outstanding, amount, cap }),
        }
    }

    /// A hold was claimed: its vouchers go to the receiver.
    pub fn claim(&mut self, amount: Amount) -> Result<(), BookError> {
        shift(&mut self.held, "held", &mut self.circulating, "circulating", amount)
    }

    /// A hold was given up: its vouchers are burned.
    pub fn void(&mut self, amount: Amount) -> Result<(), BookError> {
        sub(&mut self.held, amount, "held")
    }

    /// A holder sends vouchers home.
    pub fn lock_return(&mut self, amount: Amount) -> Result<(), BookError> {
        shift(&mut self.circulating, "circulating", &mut self.returning, "returning", amount)
    }

    /// A return was claimed at home: its vouchers are burned.
    pub fn settle_return(&mut self, amount: Amount) -> Result<(), BookError> {
        sub(&mut self.returning, amount, "returning")
    }

    /// A return ended without a claim: its vouchers go back to the sender.
    pub fn refund_return(&mut self, amount: Amount) -> Result<(), BookError> {
        shift(&mut self.returning, "returning", &mut self.circulating, "circulating", amount)
    }
}
