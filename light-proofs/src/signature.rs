//! Recoverable secp256k1 signatures in the form `ecrecover` takes: `r ‖ s ‖ v`, 65 bytes, `s` in the
//! lower half of the group order, `v` 27 or 28, over a 32-byte digest without any prefix.

use alloy_primitives::{Address, keccak256};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey, SecretKey};
use std::fmt;

/// Half the order of secp256k1, big-endian: the largest `s` that is accepted (EIP-2).
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, //
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// Why a list of signatures is not one of distinct signers in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The last byte is neither 27 nor 28.
    #[error("signature {index}: v is {v}, not 27 or 28")]
    RecoveryId {
        /// Which signature, from 0.
        index: usize,
        /// The byte found.
        v: u8,
    },
    /// `s` is in the upper half: the same signature exists in a second form.
    #[error("signature {index}: s is in the upper half of the group order")]
    HighS {
        /// Which signature, from 0.
        index: usize,
    },
    /// No key can have made it.
    #[error("signature {index}: no key can be recovered from it")]
    Unrecoverable {
        /// Which signature, from 0.
        index: usize,
    },
    /// The signer has signed before in the list.
    #[error("signature {index}: {signer} signed twice")]
    Duplicate {
        /// Which signature, from 0.
        index: usize,
        /// The signer.
        signer: Address,
    },
    /// The signer's address is below that of the signature before.
    #[error("signature {index}: {signer} is below the signer before; signatures ascend by address")]
    NotAscending {
        /// Which signature, from 0.
        index: usize,
        /// The signer.
        signer: Address,
    },
}

/// Bytes that are no secp256k1 secret key: zero or not below the group order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these 32 bytes are not a secp256k1 secret key: zero, or not below the group order")]
pub struct KeyError;

/// A secp256k1 key that signs digests: a bridge key or an attestor's. `Debug` shows its address only.
#[derive(Clone)]
pub struct SigningKey {
    secret: SecretKey,
    address: Address,
}

impl SigningKey {
    /// The key of these secret bytes, big-endian.
    pub fn from_bytes(secret: [u8; 32]) -> Result<Self, KeyError> {
        let secret = SecretKey::from_secret_bytes(secret).map_err(|_| KeyError)?;
        Ok(Self { secret, address: address_of(&PublicKey::from_secret_key(&secret)) })
    }

    /// The key's address: the last 20 bytes of keccak256 over its uncompressed point.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Signs a digest. Deterministic (RFC 6979), low `s`, `v` 27 or 28.
    #[must_use]
    pub fn sign(&self, digest: &[u8; 32]) -> [u8; 65] {
        let signature = RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(*digest), &self.secret);
        let (id, compact) = signature.serialize_compact();
        let mut bytes = [0; 65];
        let (rs, v) = bytes.split_at_mut(64);
        rs.copy_from_slice(&compact);
        v.fill(id.to_u8().saturating_add(27));
        bytes
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("address", &self.address).finish_non_exhaustive()
    }
}

fn address_of(key: &PublicKey) -> Address {
    let point = key.serialize_uncompressed();
    let hash = keccak256(point.get(1..).unwrap_or_default());
    Address::from_word(hash)
}

/// The address that signed `digest`. `index` names the signature in errors.
pub fn recover(digest: &[u8; 32], signature: &[u8; 65], index: usize) -> Result<Address, SignatureError> {
    let unrecoverable = SignatureError::Unrecoverable { index };
    let (rs, v) = signature.split_at(64);
    let id = match v {
        [27] => RecoveryId::Zero,
        [28] => RecoveryId::One,
        other => return Err(SignatureError::RecoveryId { index, v: other.first().copied().unwrap_or_default() }),
    };
    if rs.get(32..).is_none_or(|s| s > HALF_ORDER.as_slice()) {
        return Err(SignatureError::HighS { index });
    }
    let signature = RecoverableSignature::from_compact(rs, id).map_err(|_| unrecoverable)?;
    let key = signature.recover_ecdsa(Message::from_digest(*digest)).map_err(|_| unrecoverable)?;
    Ok(address_of(&key))
}

/// The signers of `digest`, which must be in strictly ascending order of address. `member` judges each before its place
/// is looked at: under another digest than was signed every signer is a stranger, and is to be called so.
pub fn recover_ascending<E: From<SignatureError>>(
    digest: &[u8; 32],
    signatures: &[[u8; 65]],
    member: impl Fn(&Address) -> Result<(), E>,
) -> Result<Vec<Address>, E> {
    let mut signers: Vec<Address> = Vec::with_capacity(signatures.len());
    for (index, signature) in signatures.iter().enumerate() {
        let signer = recover(digest, signature, index)?;
        member(&signer)?;
        match signers.last() {
            Some(last) if *last >= signer => {
                return Err(if signers.contains(&signer) {
                    SignatureError::Duplicate { index, signer }
                } else {
                    SignatureError::NotAscending { index, signer }
                }
                .into());
            }
            _ => signers.push(signer),
        }
    }
    Ok(signers)
}
