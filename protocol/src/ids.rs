//! Identifiers. Each is a type of its own, so that one is never taken for another.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is shorter or longer than the identifier allows.
    #[error("{what} `{text}` has {len} characters; it must have {min} to {max}")]
    Length {
        /// Which identifier.
        what: &'static str,
        /// The text, cut to 64 characters.
        text: String,
        /// Its length in bytes.
        len: usize,
        /// Fewest bytes allowed.
        min: usize,
        /// Most bytes allowed.
        max: usize,
    },
    /// The text has a character the identifier does not allow.
    #[error("{what} `{text}` has the character `{found}`; allowed are {allowed}")]
    Character {
        /// Which identifier.
        what: &'static str,
        /// The text.
        text: String,
        /// The first character that is not allowed, escaped.
        found: String,
        /// The allowed characters, in words.
        allowed: &'static str,
    },
}

fn check(
    what: &'static str,
    text: &str,
    min: usize,
    max: usize,
    ok: fn(char) -> bool,
    allowed: &'static str,
) -> Result<(), IdError> {
    if text.len() < min || text.len() > max {
        let cut = text.chars().take(64).collect();
        return Err(IdError::Length { what, text: cut, len: text.len(), min, max });
    }
    match text.chars().find(|c| !ok(*c)) {
        None => Ok(()),
        Some(c) => Err(IdError::Character { what, text: text.into(), found: c.escape_default().to_string(), allowed }),
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $min:literal..=$max:literal, $ok:expr, $allowed:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The identifier's bytes, as they stand in paths and hashes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                check($what, text, $min, $max, $ok, $allowed)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

text_id!(
    /// A light client on the chain that stores it, such as `attested-0`: 4 to 32 characters of
    /// `a`–`z`, `0`–`9` and `-`. At most 32 bytes, so that EVM storage keeps it in one word.
    ClientId, "client id", 4..=32,
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
    "a-z, 0-9 and -"
);

text_id!(
    /// A chain, such as `crosspoint-1` or `eip155-31337`: 3 to 48 characters of `a`–`z`, `0`–`9`, `-`, `_` and `.`.
    ChainId, "chain id", 3..=48,
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.'),
    "a-z, 0-9, -, _ and ."
);

/// Most bytes of a party's address on any chain.
pub const MAX_ADDRESS_LEN: usize = 128;

text_id!(
    /// A party's address as its own chain writes it: 1 to 128 printable ASCII characters. Whether
    /// it names anybody is for its chain to say.
    Address, "address", 1..=128,
    |c| c.is_ascii_graphic() || c == ' ',
    "printable ASCII"
);

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl $name {
            /// The value plus `n`, or `None` past `u64::MAX`.
            #[must_use]
            pub fn checked_add(self, n: u64) -> Option<Self> {
                self.0.checked_add(n).map(Self)
            }

            /// The next value; stays at `u64::MAX`.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }
    };
}

number_id!(
    /// The number of a packet on its source client, from 1.
    Sequence
);
number_id!(
    /// A block number on one chain.
    Height
);
number_id!(
    /// Whole seconds since 1970-01-01 UTC, as in a block header.
    Timestamp
);

impl Timestamp {
    /// Seconds from `earlier` to `self`, 0 when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_ids_fit_one_word_and_hold_no_separator() {
        assert!("checkpoint-0".parse::<ClientId>().is_ok());
        assert!("abc".parse::<ClientId>().is_err());
        assert!("a".repeat(33).parse::<ClientId>().is_err());
        assert!("points/attested-0".parse::<ClientId>().is_err());
        assert!("attested-0\u{1}".parse::<ClientId>().is_err());
    }

    #[test]
    fn deserialising_checks_too() {
        assert!(serde_json::from_str::<ClientId>("\"UPPER\"").is_err());
        assert!(serde_json::from_str::<Address>("\"\"").is_err());
    }
}
