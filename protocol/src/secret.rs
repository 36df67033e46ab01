//! Hashlocks and the preimages that open them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A text that is not 32 bytes of hex, or bytes of another length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The text is not 64 hex digits, with or without `0x`.
    #[error("a {0} is 64 hex digits, with or without 0x")]
    Hex(&'static str),
    /// The bytes are not 32.
    #[error("a {what} is exactly 32 bytes, not {len}")]
    Length {
        /// Hashlock or preimage.
        what: &'static str,
        /// The bytes given.
        len: usize,
    },
}

fn from_hex(what: &'static str, text: &str) -> Result<[u8; 32], SecretError> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| SecretError::Hex(what))?;
    Ok(bytes)
}

/// The SHA-256 hash of a [`Preimage`]: who shows the preimage gets the points.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hashlock(pub [u8; 32]);

impl Hashlock {
    /// The hashlock of these exact 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, SecretError> {
        let len = bytes.len();
        bytes.try_into().map(Self).map_err(|_| SecretError::Length { what: "hashlock", len })
    }
}

impl FromStr for Hashlock {
    type Err = SecretError;
    fn from_str(text: &str) -> Result<Self, SecretError> {
        from_hex("hashlock", text).map(Self)
    }
}

impl TryFrom<String> for Hashlock {
    type Error = SecretError;
    fn try_from(text: String) -> Result<Self, SecretError> {
        text.parse()
    }
}

impl From<Hashlock> for String {
    fn from(hashlock: Hashlock) -> String {
        hashlock.to_string()
    }
}

impl fmt::Display for Hashlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Hashlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The 32 secret bytes that open a hashlock. Secret until claimed: `Debug` does not show them;
/// [`Preimage::reveal`] does.
#[derive(Clone, PartialEq, Eq)]
pub struct Preimage([u8; 32]);

impl Preimage {
    /// These 32 bytes as a preimage.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// These bytes as a preimage, if there are exactly 32.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, SecretError> {
        let len = bytes.len();
        bytes.try_into().map(Self).map_err(|_| SecretError::Length { what: "preimage", len })
    }

    /// The hashlock that this preimage opens: its SHA-256.
    #[must_use]
    pub fn hashlock(&self) -> Hashlock {
        Hashlock(crate::sha256(&[&self.0]))
    }

    /// Whether this preimage opens `hashlock`.
    #[must_use]
    pub fn opens(&self, hashlock: &Hashlock) -> bool {
        self.hashlock() == *hashlock
    }

    /// The secret bytes, to be sent in a claim or an ack.
    #[must_use]
    pub const fn reveal(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Preimage {
    type Err = SecretError;
    fn from_str(text: &str) -> Result<Self, SecretError> {
        from_hex("preimage", text).map(Self)
    }
}

impl fmt::Debug for Preimage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Preimage(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preimage_is_exactly_32_bytes_and_stays_out_of_debug_output() {
        assert!(Preimage::from_slice(&[7; 31]).is_err());
        assert!(Preimage::from_slice(&[7; 33]).is_err());
        let preimage = Preimage::new([0xab; 32]);
        assert!(preimage.opens(&preimage.hashlock()));
        assert!(!Preimage::new([0xac; 32]).opens(&preimage.hashlock()));
        assert!(!format!("{preimage:?}").contains("ab"));
    }
}
