//! Keys that sign for an account. Their secrets never show in `Debug` output.

use alloy::signers::local::PrivateKeySigner;
use std::fmt;

/// A key of one chain family.
#[derive(Clone)]
pub enum Signer {
    /// An ed25519 key of a native chain.
    Native(Box<ed25519_dalek::SigningKey>),
    /// A secp256k1 key of an EVM chain.
    Evm(Box<PrivateKeySigner>),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native(_) => "Signer::Native(..)",
            Self::Evm(_) => "Signer::Evm(..)",
        })
    }
}
