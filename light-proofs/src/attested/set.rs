//! Who attests.

use alloy_primitives::Address;
use crosspoint_protocol::ids::Timestamp;
use serde::{Deserialize, Serialize};

use super::verify::AttestedError;
use crate::signature::recover_ascending;

/// Most attestors of a set.
pub const MAX_ATTESTORS: usize = 64;
/// Most sets of the past whose word may still count.
pub const MAX_PAST: usize = 8;

/// Why a list of attestors with a threshold is not a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttestorsError {
    /// None, or more than [`MAX_ATTESTORS`].
    #[error("{0} attestors; there must be 1 to {MAX_ATTESTORS}")]
    Count(usize),
    /// An attestor is the zero address.
    #[error("an attestor is the zero address")]
    ZeroAddress,
    /// Not strictly ascending.
    #[error("attestor {0} is not above the one before; the list ascends strictly")]
    NotAscending(Address),
    /// Two quorums could have no attestor in common, or no quorum could ever be.
    #[error("a threshold of {threshold} of {of} is not more than half and at most all")]
    Threshold {
        /// The threshold given.
        threshold: usize,
        /// The number of attestors.
        of: usize,
    },
}

/// A set of attestors, strictly ascending by address, and how many must sign: more than half, so
/// that two quorums share one. A value that exists is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawAttestors", into = "RawAttestors")]
pub struct Attestors {
    addresses: Vec<Address>,
    threshold: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAttestors {
    addresses: Vec<Address>,
    threshold: usize,
}

impl TryFrom<RawAttestors> for Attestors {
    type Error = AttestorsError;
    fn try_from(raw: RawAttestors) -> Result<Self, AttestorsError> {
        Self::new(raw.addresses, raw.threshold)
    }
}

impl From<Attestors> for RawAttestors {
    fn from(set: Attestors) -> Self {
        Self { addresses: set.addresses, threshold: set.threshold }
    }
}

impl Attestors {
    /// The set of these addresses, given in strictly ascending order, of which `threshold` must sign.
    pub fn new(addresses: Vec<Address>, threshold: usize) -> Result<Self, AttestorsError> {
        let of = addresses.len();
        if of == 0 || of > MAX_ATTESTORS {
            return Err(AttestorsError::Count(of));
        }
        if addresses.first().is_some_and(|address| address.is_zero()) {
            return Err(AttestorsError::ZeroAddress);
        }
        for pair in addresses.windows(2) {
            if let [before, after] = pair
                && before >= after
            {
                return Err(AttestorsError::NotAscending(*after));
            }
        }
        if threshold > of || threshold.saturating_mul(2) <= of {
            return Err(AttestorsError::Threshold { threshold, of });
        }
        Ok(Self { addresses, threshold })
    }

    /// Sorts first.
    pub fn from_unsorted(mut addresses: Vec<Address>, threshold: usize) -> Result<Self, AttestorsError> {
        addresses.sort_unstable();
        Self::new(addresses, threshold)
    }

    /// The addresses, ascending.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// How many must sign.
    #[must_use]
    pub const fn threshold(&self) -> usize {
        self.threshold
    }

    /// Whether this address is an attestor.
    #[must_use]
    pub fn contains(&self, address: &Address) -> bool {
        self.addresses.binary_search(address).is_ok()
    }

    /// Proves that at least `threshold` attestors signed a digest, in strictly ascending order, and nobody else did.
    pub fn verify_quorum(&self, digest: &[u8; 32], signatures: &[[u8; 65]]) -> Result<(), AttestedError> {
        let of = self.addresses.len();
        if signatures.len() > of {
            return Err(AttestedError::TooManySignatures { found: signatures.len(), attestors: of });
        }
        let signers = recover_ascending(digest, signatures, |signer| {
            if self.contains(signer) { Ok(()) } else { Err(AttestedError::UnknownSigner(*signer)) }
        })?;
        if signers.len() < self.threshold {
            return Err(AttestedError::QuorumNotReached { signed: signers.len(), needed: self.threshold, of });
        }
        Ok(())
    }
}

/// A set that signed before the present one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastAttestors {
    /// Its epoch.
    pub epoch: u64,
    /// Who they were.
    pub attestors: Attestors,
    /// The time of the newest header that was trusted on their word.
    pub last_time: Timestamp,
}
