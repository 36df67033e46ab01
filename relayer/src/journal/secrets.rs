//! Preimages of invoices, kept until their holds come. Sealed by a cipher that the owner hands in.

use super::keys::Cf;
use super::{Journal, JournalError};
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{Address, ChainId};
use crosspoint_protocol::secret::{Hashlock, Preimage};
use serde::{Deserialize, Serialize};

/// A cipher with authentication, such as an AEAD under a key from a keystore.
pub trait SecretBox: Send + Sync + 'static {
    /// Encrypts. `context` is authenticated, not hidden: the same must be given to open.
    fn seal(&self, plain: &[u8], context: &[u8]) -> Result<Vec<u8>, SecretBoxError>;
    /// Decrypts what [`SecretBox::seal`] returned.
    fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Vec<u8>, SecretBoxError>;
}

/// A preimage could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretBoxError {
    /// Encryption failed.
    #[error("a preimage could not be encrypted: {0}")]
    Seal(String),
    /// Decryption failed: another key, or the entry was changed.
    #[error("a preimage in the journal could not be decrypted; was the keystore exchanged?")]
    Open,
}

/// What a hold must be for the watch-tower to show an invoice's preimage for it (`docs/protocol.md`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    /// The chain the receiver is paid on.
    pub chain: ChainId,
    /// What, as that chain names it.
    pub denom: Denom,
    /// How much, in base units; exactly.
    pub amount: Amount,
    /// Who is paid.
    pub receiver: Address,
}

/// A preimage on disk.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Secret {
    pub(crate) invoice: Invoice,
    #[serde(with = "crosspoint_protocol::packet::hex_bytes")]
    sealed: Vec<u8>,
}

impl Journal {
    pub(crate) fn secret(&self, hashlock: &Hashlock) -> Result<Option<Secret>, JournalError> {
        self.read(Cf::Secrets, &hashlock.0)
    }

    pub(crate) fn seal(&self, preimage: &Preimage, invoice: Invoice) -> Result<Secret, JournalError> {
        let cipher = self.secret_box.as_ref().ok_or(JournalError::NoCipher)?;
        let sealed = cipher.seal(preimage.reveal(), &preimage.hashlock().0)?;
        Ok(Secret { invoice, sealed })
    }

    /// The preimage of a registered invoice.
    pub(crate) fn unseal(&self, hashlock: &Hashlock, secret: &Secret) -> Result<Preimage, JournalError> {
        let cipher = self.secret_box.as_ref().ok_or(JournalError::NoCipher)?;
        let plain = cipher.open(&secret.sealed, &hashlock.0)?;
        let preimage = Preimage::from_slice(&plain).map_err(|_| SecretBoxError::Open)?;
        if preimage.opens(hashlock) { Ok(preimage) } else { Err(SecretBoxError::Open.into()) }
    }

    /// The invoice that was registered under a hashlock.
    pub fn invoice(&self, hashlock: &Hashlock) -> Result<Option<Invoice>, JournalError> {
        Ok(self.secret(hashlock)?.map(|secret| secret.invoice))
    }
}
