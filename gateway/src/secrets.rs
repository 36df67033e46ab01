//! Preimages the service makes, and the cipher that keeps those of invoices on disk.
//!
//! Both come from one seed in the keystore. A preimage is `HMAC-SHA256(seed, purpose ‖ scope ‖ label)` with every part
//! length-prefixed, so that the same request always has the same secret: a repeated request is the same
//! transfer to the chain, which takes a hashlock once. What is not in the seed is public or chosen by callers,
//! so nobody without the seed learns a preimage from knowing others.

use crate::keys::Secret;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use crosspoint_protocol::secret::Preimage;
use crosspoint_relayer::journal::{SecretBox, SecretBoxError};
use hmac::{Hmac, Mac};
use rand::TryRng;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Length of the nonce in front of a sealed preimage.
const NONCE: usize = 24;

/// What a preimage is for. Keeps the labels of one use apart from those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A transfer sent without a hashlock.
    Push,
    /// An invoice.
    Invoice,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Push => "crosspoint/preimage/push/v1",
            Self::Invoice => "crosspoint/preimage/invoice/v1",
        }
    }
}

/// The secrets that the seed gives.
pub struct Secrets {
    seed: Secret,
    cipher: XChaCha20Poly1305,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(..)")
    }
}

fn derive(seed: &Secret, parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    // HMAC pads a key to its block of 64 bytes with zeros (RFC 2104); done here, it cannot fail on length.
    let mut block = Zeroizing::new([0_u8; 64]);
    for (to, from) in block.iter_mut().zip(seed.iter()) {
        *to = *from;
    }
    let mut mac = <Hmac<Sha256> as Mac>::new((&*block).into());
    for part in parts {
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

impl Secrets {
    /// The secrets of this seed.
    #[must_use]
    pub fn new(seed: Secret) -> Self {
        let key = derive(&seed, &[b"crosspoint/preimage-box/v1"]);
        let cipher = XChaCha20Poly1305::new((&*key).into());
        Self { seed, cipher }
    }

    /// The preimage for a label. `scope` is whom the label belongs to, such as the payer and its chain.
    #[must_use]
    pub fn preimage(&self, purpose: Purpose, scope: &[&str], label: &str) -> Preimage {
        let mut parts = vec![purpose.as_str().as_bytes()];
        parts.extend(scope.iter().map(|part| part.as_bytes()));
        parts.push(label.as_bytes());
        Preimage::new(*derive(&self.seed, &parts))
    }
}

impl SecretBox for Secrets {
    fn seal(&self, plain: &[u8], context: &[u8]) -> Result<Vec<u8>, SecretBoxError> {
        let mut nonce = [0_u8; NONCE];
        let failed = |what: &str| SecretBoxError::Seal(what.to_owned());
        rand::rngs::SysRng
            .try_fill_bytes(&mut nonce)
            .map_err(|_| failed("the operating system gave no random bytes"))?;
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: context })
            .map_err(|_| failed("the cipher refused"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Vec<u8>, SecretBoxError> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE).ok_or(SecretBoxError::Open)?;
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| SecretBoxError::Open)?;
        self.cipher
            .decrypt(&XNonce::from(nonce), Payload { msg: sealed, aad: context })
            .map_err(|_| SecretBoxError::Open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A padded key is the same key, as RFC 2104 says.
    #[test]
    fn derivation_is_hmac_sha256() {
        let mut seed = Secret::default();
        seed[..4].copy_from_slice(b"Jefe");
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(b"Jefe").unwrap();
        mac.update(&[0, 0, 0, 0, 0, 0, 0, 1, b'x']);
        assert_eq!(derive(&seed, &[b"x"]).as_slice(), mac.finalize().into_bytes().as_slice());
    }

    #[test]
    fn the_same_request_has_the_same_preimage_and_no_other_has() {
        let secrets = Secrets::new(Secret::new([1; 32]));
        let push = |scope: &[&str], label: &str| secrets.preimage(Purpose::Push, scope, label).hashlock();
        assert_eq!(push(&["mall"], "k"), push(&["mall"], "k"));
        let others = [
            push(&["mall"], "l"),
            push(&["mal"], "lk"),
            push(&["mall", "k"], ""),
            push(&["other"], "k"),
            secrets.preimage(Purpose::Invoice, &["mall"], "k").hashlock(),
            Secrets::new(Secret::new([2; 32])).preimage(Purpose::Push, &["mall"], "k").hashlock(),
        ];
        assert!(others.iter().all(|other| *other != push(&["mall"], "k")));
    }

    #[test]
    fn a_sealed_preimage_opens_under_its_own_hashlock_and_seed_only() {
        let secrets = Secrets::new(Secret::new([1; 32]));
        let sealed = secrets.seal(&[7; 32], b"hashlock").unwrap();
        assert_eq!(secrets.open(&sealed, b"hashlock").unwrap(), [7; 32]);
        assert_eq!(secrets.open(&sealed, b"other"), Err(SecretBoxError::Open));
        assert_eq!(Secrets::new(Secret::new([2; 32])).open(&sealed, b"hashlock"), Err(SecretBoxError::Open));
        assert_eq!(secrets.open(&[0; 10], b"hashlock"), Err(SecretBoxError::Open));
    }
}
