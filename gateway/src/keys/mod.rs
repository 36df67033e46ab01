//! Keys: one encrypted file each, opened by a passphrase.
//!
//! - [`KeyStore`]: the folder of key files.
//! - [`v3`]: the encryption, Web3 secret storage version 3.
//! - [`Passphrase`] and where it comes from: a prompt, a file, or the environment.
//!
//! A secret lives in zeroized memory, is compared in constant time, and is never printed.

mod passphrase;
mod store;
pub mod v3;

pub use passphrase::{PASSPHRASE_VARIABLE, Passphrase, PassphraseError, PassphraseSource};
pub(crate) use store::others_may_read;
pub use store::{KeyInfo, KeyStore, KeyStoreError};

use alloy::signers::local::PrivateKeySigner;
use crosspoint_adapters::signer::Signer;
use crosspoint_protocol::ids::Address;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// A key's 32 secret bytes.
pub type Secret = Zeroizing<[u8; 32]>;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// An ed25519 key of a member of a native chain.
    Native,
    /// A secp256k1 key of an account on an EVM chain, or of an attestor.
    Evm,
    /// 32 random bytes from which the gateway derives preimages. It has no address.
    Seed,
}

impl KeyKind {
    /// The kind's name in files and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Evm => "evm",
            Self::Seed => "seed",
        }
    }
}

/// A key's name: 1 to 32 of `a-z`, `0-9`, `-` and `_`. It names the file, so it can hold no path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyName(String);

/// A text that cannot name a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot name a key: use 1 to 32 of a-z, 0-9, - and _")]
pub struct KeyNameError(String);

impl KeyName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = KeyNameError;
    fn from_str(text: &str) -> Result<Self, KeyNameError> {
        let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if (1..=32).contains(&text.len()) && text.bytes().all(ok) {
            Ok(Self(text.to_owned()))
        } else {
            Err(KeyNameError(text.chars().take(40).collect()))
        }
    }
}

impl TryFrom<String> for KeyName {
    type Error = KeyNameError;
    fn try_from(text: String) -> Result<Self, KeyNameError> {
        text.parse()
    }
}

impl From<KeyName> for String {
    fn from(name: KeyName) -> String {
        name.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes that are no secret key of their kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// secp256k1 has no such key (zero, or past the group's order).
    #[error("these 32 bytes are no secp256k1 key")]
    NotOnCurve,
    /// A seed signs nothing.
    #[error("a key of kind seed signs nothing; name a key of kind native or evm")]
    SeedSigns,
    /// The system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
    /// The public key has no address.
    #[error("the public key has no address")]
    Address,
}

/// A key's signer.
///
/// # Errors
/// The bytes are no key of this kind, or the kind signs nothing.
pub fn signer(kind: KeyKind, secret: &Secret) -> Result<Signer, KeyError> {
    match kind {
        KeyKind::Native => Ok(Signer::Native(Box::new(ed25519_dalek::SigningKey::from_bytes(secret)))),
        KeyKind::Evm => {
            let key = PrivateKeySigner::from_slice(secret.as_slice()).map_err(|_| KeyError::NotOnCurve)?;
            Ok(Signer::Evm(Box::new(key)))
        }
        KeyKind::Seed => Err(KeyError::SeedSigns),
    }
}

/// A key's address as its chain writes it; `None` for a seed.
///
/// # Errors
/// The bytes are no key of this kind.
pub fn address(kind: KeyKind, secret: &Secret) -> Result<Option<String>, KeyError> {
    match kind {
        KeyKind::Seed => Ok(None),
        KeyKind::Native | KeyKind::Evm => signer_address(&signer(kind, secret)?).map(|a| Some(a.to_string())),
    }
}

/// The address of a signer as its chain writes it: bech32 (BIP-173) with prefix `point` over the first 20
/// bytes of `sha256(public key)`, or `0x` and the 40 lower-case hex digits of an EVM account.
///
/// # Errors
/// None in practice: 20 bytes always encode.
pub fn signer_address(signer: &Signer) -> Result<Address, KeyError> {
    let text = match signer {
        Signer::Native(key) => {
            let hash = crosspoint_protocol::sha256(&[key.verifying_key().as_bytes()]);
            let prefix = bech32::Hrp::parse("point").map_err(|_| KeyError::Address)?;
            let body = hash.get(..20).ok_or(KeyError::Address)?;
            bech32::encode::<bech32::Bech32>(prefix, body).map_err(|_| KeyError::Address)?
        }
        Signer::Evm(key) => format!("{:#x}", key.address()),
    };
    text.parse().map_err(|_| KeyError::Address)
}

/// A new key of this kind from the system's randomness.
///
/// # Errors
/// The system gave none.
pub fn generate(kind: KeyKind) -> Result<Secret, KeyError> {
    use rand::TryRng;
    // One try in 2^128 is no secp256k1 key; the loop is for form's sake.
    for _ in 0..8 {
        let mut secret = Secret::default();
        rand::rngs::SysRng.try_fill_bytes(secret.as_mut_slice()).map_err(|_| KeyError::NoRandomness)?;
        if address(kind, &secret).is_ok() {
            return Ok(secret);
        }
    }
    Err(KeyError::NoRandomness)
}
