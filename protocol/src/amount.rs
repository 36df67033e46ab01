//! Amounts of points.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A number of points in base units. Arithmetic is checked: it returns `None` instead of wrapping.
/// As text and in JSON it is a decimal string, for programs whose numbers end at 2^53.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Amount(u128);

/// A text that is not a whole number of base units from 0 to 2^128 - 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an amount: a whole number of base units in digits, at most 2^128 - 1, no sign, no point")]
pub struct AmountError(String);

impl Amount {
    /// No points.
    pub const ZERO: Self = Self(0);
    /// The largest amount that the compact records of the EVM contracts express (2^96 - 1).
    pub const MAX_COMPACT: Self = Self((1 << 96) - 1);

    /// `n` base units.
    #[must_use]
    pub const fn new(n: u128) -> Self {
        Self(n)
    }

    /// The number of base units.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }

    /// Whether this is no points at all.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or `None` past 2^128 - 1.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` below 0.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

impl From<u64> for Amount {
    fn from(n: u64) -> Self {
        Self(n.into())
    }
}

impl FromStr for Amount {
    type Err = AmountError;
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let canonical = !text.is_empty()
            && text.len() <= 39
            && text.bytes().all(|b| b.is_ascii_digit())
            && (text == "0" || !text.starts_with('0'));
        let refused = || AmountError(text.chars().take(48).collect());
        if !canonical {
            return Err(refused());
        }
        text.parse().map(Self).map_err(|_| refused())
    }
}

impl TryFrom<String> for Amount {
    type Error = AmountError;
    fn try_from(text: String) -> Result<Self, AmountError> {
        text.parse()
    }
}

impl From<Amount> for String {
    fn from(amount: Amount) -> String {
        amount.0.to_string()
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_digits_are_an_amount() {
        assert_eq!("1250".parse(), Ok(Amount::new(1250)));
        for bad in ["", "-1", "+1", "1.5", "1e3", " 1", "01", "0x10", "１２", "340282366920938463463374607431768211456"]
        {
            assert!(bad.parse::<Amount>().is_err(), "{bad}");
        }
        assert_eq!(u128::MAX.to_string().parse(), Ok(Amount::new(u128::MAX)));
    }
}
