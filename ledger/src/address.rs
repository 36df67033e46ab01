//! Account addresses: bech32 with the prefix `point` over 20 bytes, the first 20 of
//! `sha256(ed25519 public key)` (docs/protocol.md).

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use crosspoint_protocol::ids::{Address, ClientId, Sequence};
use crosspoint_protocol::sha256;
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The human-readable prefix of every account address.
pub const PREFIX: &str = "point";

/// Addresses that belong to the ledger itself. They hold no balance (escrow is counted in books), nobody
/// can sign for them, and nobody may send to them.
const MODULES: [&str; 4] = ["escrow", "governance", "forward", "swap"];

/// An account of the native chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId([u8; 20]);

/// Why a text is not an account address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not lower-case bech32 with a good checksum.
    #[error("`{0}` is not a bech32 address (BIP-173, lower case)")]
    Encoding(String),
    /// Another prefix than `point`.
    #[error("address `{text}` has the prefix `{found}`, not `point`")]
    Prefix {
        /// The text, cut to 64 characters.
        text: String,
        /// Its prefix.
        found: String,
    },
    /// Not 20 bytes.
    #[error("an account is 20 bytes, not {0}")]
    Length(usize),
}

impl AccountId {
    /// The account that this public key signs for.
    #[must_use]
    pub fn of_key(key: &VerifyingKey) -> Self {
        Self::from_hash(sha256(&[key.as_bytes()]))
    }

    /// The account of these exact 20 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, AddressError> {
        bytes.try_into().map(Self).map_err(|_| AddressError::Length(bytes.len()))
    }

    /// The account's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The ledger's own address of this name. The text hashed is no 32-byte key, so no key leads here.
    #[must_use]
    pub fn module(name: &str) -> Self {
        Self::from_hash(sha256(&[b"crosspoint/module/", name.as_bytes()]))
    }

    /// The address that packets with forward terms name as their receiver.
    #[must_use]
    pub fn forwarder() -> Self {
        Self::module("forward")
    }

    /// The sender of the packet that forwards the one received through `client` under this number. It signs nothing and
    /// owns nothing; no other packet has it.
    #[must_use]
    pub fn forwarding(client: &ClientId, sequence: Sequence) -> Self {
        let number = sequence.0.to_be_bytes();
        Self::from_hash(sha256(&[b"crosspoint/module/forward/", client.as_bytes(), &[0], &number]))
    }

    /// Whose budget a foreign sender's forwarded points are charged to.
    #[must_use]
    pub fn foreign(client: &ClientId, sender: &Address) -> Self {
        Self::from_hash(sha256(&[b"crosspoint/module/foreign/", client.as_bytes(), &[0], sender.as_bytes()]))
    }

    /// Whether nobody may own points here: the zero address or one of the ledger's own.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        static RESERVED: std::sync::LazyLock<[AccountId; 4]> =
            std::sync::LazyLock::new(|| MODULES.map(AccountId::module));
        self.0 == [0; 20] || RESERVED.contains(self)
    }

    /// The address as packets carry it.
    #[must_use]
    pub fn to_address(self) -> Option<Address> {
        self.to_string().parse().ok()
    }

    fn from_hash(hash: [u8; 32]) -> Self {
        let mut id = [0; 20];
        id.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Self(id)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = bech32::encode::<Bech32>(Hrp::parse_unchecked(PREFIX), &self.0).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AccountId {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let cut = || text.chars().take(64).collect::<String>();
        // One account has one text: BIP-173 also allows upper case, we do not.
        if text.len() > 90 || text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(AddressError::Encoding(cut()));
        }
        let checked = CheckedHrpstring::new::<Bech32>(text).map_err(|_| AddressError::Encoding(cut()))?;
        let found = checked.hrp().to_string();
        if found != PREFIX {
            return Err(AddressError::Prefix { text: cut(), found });
        }
        let id = Self::from_slice(&checked.byte_iter().collect::<Vec<u8>>())?;
        if id.to_string() == text { Ok(id) } else { Err(AddressError::Encoding(cut())) }
    }
}

impl TryFrom<&Address> for AccountId {
    type Error = AddressError;
    fn try_from(address: &Address) -> Result<Self, AddressError> {
        address.as_str().parse()
    }
}

impl TryFrom<String> for AccountId {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<AccountId> for String {
    fn from(id: AccountId) -> String {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_has_one_text() {
        let id = AccountId([7; 20]);
        let text = id.to_string();
        assert!(text.starts_with("point1"), "{text}");
        assert_eq!(text.parse(), Ok(id));
        let flipped = text.replace(&text[8..9], if &text[8..9] == "q" { "p" } else { "q" });
        for bad in [text.to_uppercase(), flipped, text[..text.len() - 1].into(), String::new(), "point1".into()] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad}");
        }
        let other = bech32::encode::<Bech32>(Hrp::parse_unchecked("cosmos"), &[7; 20]).unwrap();
        assert!(matches!(other.parse::<AccountId>(), Err(AddressError::Prefix { .. })));
        let modern = bech32::encode::<bech32::Bech32m>(Hrp::parse_unchecked(PREFIX), &[7; 20]).unwrap();
        assert!(modern.parse::<AccountId>().is_err());
        let short = bech32::encode::<Bech32>(Hrp::parse_unchecked(PREFIX), &[7; 19]).unwrap();
        assert_eq!(short.parse::<AccountId>(), Err(AddressError::Length(19)));
    }

    #[test]
    fn nobody_may_own_points_at_the_ledgers_own_addresses() {
        assert!(AccountId([0; 20]).is_reserved());
        assert!(AccountId::module("escrow").is_reserved());
        assert!(!AccountId([7; 20]).is_reserved());
    }
}
