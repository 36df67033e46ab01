//! The equations of the supply audit (invariants I1 to I4 of `docs/protocol.md`), over the books of two chains and
//! where their packets stand, all at one consistent cut.
//!
//! They are equations, not bounds: with a packet under way there is more behind the vouchers than there are vouchers,
//! and a bound would let as many be made out of nothing.

use crate::amount::Amount;
use crate::book::{HomeBook, VoucherBook};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Points of one denom sent through one client, by where they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StandingTotals {
    /// Sent, not received.
    pub sent: Amount,
    /// In holds.
    pub held: Amount,
    /// Claimed, not settled yet.
    pub claimed: Amount,
    /// Voided or refused, not refunded yet.
    pub voided: Amount,
    /// Settled.
    pub settled: Amount,
    /// Refunded.
    pub refunded: Amount,
}

impl StandingTotals {
    /// Sent and not received, or given up and not refunded: on no chain's side.
    #[must_use]
    pub fn in_flight(&self) -> Amount {
        plus(self.sent, self.voided)
    }
}

/// Which equation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// I1: all that was issued is somewhere.
    Issue,
    /// I2: the vouchers in accounts, owed, passed on and in the holds of returns are those that circulate.
    VouchersHeldByPeople,
    /// I2: the vouchers on their way back.
    VouchersReturning,
    /// I2: the vouchers in holds.
    VouchersInHolds,
    /// I3: vouchers and points on their way are what vault and locks hold.
    Backing,
    /// I4: the vault.
    Vault,
    /// I4: the locks.
    Locks,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Issue => "I1: the parts are not what was issued",
            Self::VouchersHeldByPeople => "I2: the vouchers in accounts are not those in the book",
            Self::VouchersReturning => {
                "I2: the vouchers on their way back are not those of the packets that have not ended"
            }
            Self::VouchersInHolds => "I2: the vouchers held are not those of open holds",
            Self::Backing => "I3: vouchers and points on their way are not what vault and locks hold",
            Self::Vault => "I4: the vault is not what settled less what returned",
            Self::Locks => "I4: the locks are not those of the packets that have not ended",
        })
    }
}

/// An equation with its two sides, which stop at the ends of their range: an imbalance that large is still one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Equation {
    /// Which.
    pub rule: Rule,
    /// What there is.
    pub left: i128,
    /// What there should be.
    pub right: i128,
}

impl Equation {
    /// Left less right; 0 if it holds.
    #[must_use]
    pub const fn off(&self) -> i128 {
        self.left.saturating_sub(self.right)
    }
}

/// A sum that stops at the ends of its range.
#[must_use]
pub fn sum(amounts: impl IntoIterator<Item = Amount>) -> i128 {
    amounts.into_iter().map(|amount| i128::try_from(amount.get()).unwrap_or(i128::MAX)).fold(0, i128::saturating_add)
}

/// A sum of two that stops at the end of its range.
#[must_use]
pub const fn plus(a: Amount, b: Amount) -> Amount {
    Amount::new(a.get().saturating_add(b.get()))
}

/// Where the points of one denom are on one chain, beside its voucher book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holdings {
    /// In accounts.
    pub circulating: Amount,
    /// Owed to parties whose payout failed.
    pub owed: Amount,
    /// In holds of points that came back.
    pub return_holds: Amount,
    /// Locked and vaulted, over all clients they were sent out through.
    pub out: HomeBook,
    /// In bound holds: the same points are in an onward lock too, and counted once.
    pub bound: Amount,
}

impl Holdings {
    fn total(&self) -> i128 {
        let all = sum([self.circulating, self.owed, self.return_holds, self.out.vault, self.out.locked]);
        all.saturating_sub(sum([self.bound]))
    }

    /// I1, on the denom's home chain.
    #[must_use]
    pub fn issue(&self, issued: Amount) -> Equation {
        Equation { rule: Rule::Issue, left: self.total(), right: sum([issued]) }
    }

    /// I2, on a chain that has vouchers of the denom and may have passed some on.
    #[must_use]
    pub fn vouchers(&self, book: &VoucherBook) -> Equation {
        Equation { rule: Rule::VouchersHeldByPeople, left: self.total(), right: sum([book.circulating]) }
    }
}

/// One denom through one pair of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pair {
    /// At home: what is out through the client.
    pub home: HomeBook,
    /// On the other chain: where the vouchers are.
    pub away: VoucherBook,
    /// The packets from home.
    pub out: StandingTotals,
    /// The packets that bring vouchers back.
    pub back: StandingTotals,
}

impl Pair {
    /// I2 to I4.
    #[must_use]
    pub fn equations(&self) -> [Equation; 5] {
        let Self { home, away, out, back } = self;
        let equation = |rule, left, right| Equation { rule, left, right };
        let far = sum([away.circulating, away.held, out.sent, out.voided, back.sent, back.voided]);
        let drawn = sum([back.held, back.claimed, back.settled]);
        [
            equation(Rule::Backing, far, sum([home.vault, home.locked])),
            equation(Rule::Vault, sum([home.vault]), sum([out.settled]).saturating_sub(drawn)),
            equation(Rule::Locks, sum([home.locked]), sum([out.sent, out.held, out.claimed, out.voided])),
            equation(
                Rule::VouchersReturning,
                sum([away.returning]),
                sum([back.sent, back.held, back.claimed, back.voided]),
            ),
            equation(Rule::VouchersInHolds, sum([away.held]), sum([out.held])),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE: Amount = Amount::new(5);

    #[test]
    fn vouchers_passed_on_and_on_their_way_back_are_still_there() {
        let book = VoucherBook { circulating: FIVE, ..VoucherBook::default() };
        let in_return_holds = Holdings { return_holds: FIVE, ..Holdings::default() };
        let passed_on = Holdings { out: HomeBook { locked: Amount::ZERO, vault: FIVE }, ..Holdings::default() };
        for holdings in [in_return_holds, passed_on] {
            assert_eq!(holdings.vouchers(&book).off(), 0);
        }
        assert_eq!(Holdings::default().vouchers(&book).off(), -5);
    }

    /// (what came in, what it goes out as) → where the points are while the hold is bound.
    #[test]
    fn points_in_a_bound_hold_and_in_its_onward_lock_are_counted_once() {
        let bound = Holdings { bound: FIVE, ..Holdings::default() };
        let locked = HomeBook { locked: FIVE, vault: Amount::ZERO };
        // A voucher just minted into its hold goes on into a lock: none circulates yet.
        let minted = Holdings { out: locked, ..bound };
        assert_eq!(minted.vouchers(&VoucherBook { held: FIVE, ..VoucherBook::default() }).off(), 0);
        // A home point that returned goes out through another client.
        assert_eq!(Holdings { return_holds: FIVE, out: locked, ..bound }.issue(FIVE).off(), 0);
        // A voucher that was passed on returned and goes on to where it came from.
        let home = VoucherBook { returning: FIVE, ..VoucherBook::default() };
        assert_eq!(Holdings { return_holds: FIVE, ..bound }.vouchers(&home).off(), 0);
        // Uncounted, they would be points out of nothing.
        assert_eq!(Holdings { bound: Amount::ZERO, ..minted }.vouchers(&VoucherBook::default()).off(), 5);
    }

    #[test]
    fn a_voucher_too_many_is_seen_while_a_packet_is_under_way() {
        let home = HomeBook { locked: FIVE, vault: Amount::ZERO };
        let out = StandingTotals { sent: FIVE, ..StandingTotals::default() };
        let honest = Pair { home, out, ..Pair::default() };
        assert!(honest.equations().iter().all(|equation| equation.off() == 0));
        let away = VoucherBook { circulating: Amount::new(1), ..VoucherBook::default() };
        let forged = Pair { away, ..honest };
        let broken: Vec<Rule> =
            forged.equations().iter().filter(|equation| equation.off() != 0).map(|equation| equation.rule).collect();
        assert_eq!(broken, [Rule::Backing]);
    }
}
