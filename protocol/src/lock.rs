//! What a payer locks: the value of a packet's payload.

use crate::amount::Amount;
use crate::denom::{Denom, DenomError};
use crate::ids::{Address, IdError, Timestamp};
use crate::secret::Hashlock;
use crate::terms::TermsError;
use alloy_primitives::U256;
use alloy_sol_types::SolValue;
use serde::{Deserialize, Serialize};

pub use crate::terms::{MAX_TERMS_LEN, Terms};

/// Most bytes of a memo.
pub const MAX_MEMO_LEN: usize = 512;
/// Most bytes of an encoded lock: all fields at their longest.
pub const MAX_ENCODED_LEN: usize = 4096;

/// The Solidity struct, field for field.
#[allow(missing_docs)]
pub mod abi {
    alloy_sol_types::sol! {
        struct PointsLock {
            string denom;
            uint256 amount;
            string sender;
            string receiver;
            bytes32 hashlock;
            uint64 claimDeadline;
            bytes terms;
            string memo;
        }
    }
}

/// Why bytes or fields are not a valid lock. A packet with such a value is answered with an error ack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Longer than any valid lock.
    #[error("an encoded lock of {0} bytes is longer than 4096")]
    TooLong(usize),
    /// Not the ABI encoding of the struct.
    #[error("the value is not the ABI encoding of a PointsLock")]
    Abi,
    /// Decodes, but re-encodes to other bytes.
    #[error("the value is not the canonical ABI encoding of the PointsLock it decodes to")]
    NotCanonical,
    /// The denom is invalid.
    #[error(transparent)]
    Denom(#[from] DenomError),
    /// The amount is zero.
    #[error("the amount is 0")]
    ZeroAmount,
    /// The amount is above 2^128 - 1.
    #[error("the amount is above 2^128 - 1")]
    AmountTooLarge,
    /// The sender is invalid.
    #[error("sender: {0}")]
    Sender(IdError),
    /// The receiver is invalid.
    #[error("receiver: {0}")]
    Receiver(IdError),
    /// The memo is too long or not printable ASCII.
    #[error("the memo is longer than 512 bytes or not printable ASCII")]
    Memo,
    /// The terms are none this version knows.
    #[error(transparent)]
    Terms(#[from] TermsError),
}

/// Points locked for a receiver under a hashlock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsLock {
    /// What is locked, as the source chain names it.
    pub denom: Denom,
    /// How much, in base units; never 0.
    pub amount: Amount,
    /// Who locked it, on the source chain; refunds go there.
    pub sender: Address,
    /// Who gets it, on the destination chain.
    pub receiver: Address,
    /// What the claim's preimage must hash to.
    pub hashlock: Hashlock,
    /// The destination's time, in seconds, from which on it cannot be claimed and can be voided.
    pub claim_deadline: Timestamp,
    /// Conditions beyond the hashlock.
    pub terms: Terms,
    /// A note for people: printable ASCII, at most 512 bytes.
    pub memo: String,
}

impl PointsLock {
    /// Checks what the field types do not: amount and memo.
    pub fn validate(&self) -> Result<(), LockError> {
        if self.amount.is_zero() {
            return Err(LockError::ZeroAmount);
        }
        if self.memo.len() > MAX_MEMO_LEN || !self.memo.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return Err(LockError::Memo);
        }
        Ok(())
    }

    /// `abi.encode(PointsLock)`.
    #[must_use]
    pub fn abi_encode(&self) -> Vec<u8> {
        abi::PointsLock {
            denom: self.denom.to_string(),
            amount: U256::from(self.amount.get()),
            sender: self.sender.to_string(),
            receiver: self.receiver.to_string(),
            hashlock: self.hashlock.0.into(),
            claimDeadline: self.claim_deadline.0,
            terms: self.terms.encode().into(),
            memo: self.memo.clone(),
        }
        .abi_encode()
    }

    /// Strict decoding: the value must re-encode to itself and every field must be valid.
    pub fn abi_decode(value: &[u8]) -> Result<Self, LockError> {
        if value.len() > MAX_ENCODED_LEN {
            return Err(LockError::TooLong(value.len()));
        }
        let raw = abi::PointsLock::abi_decode_validate(value).map_err(|_| LockError::Abi)?;
        if raw.abi_encode() != value {
            return Err(LockError::NotCanonical);
        }
        let lock = Self {
            denom: raw.denom.parse()?,
            amount: u128::try_from(raw.amount).map(Amount::new).map_err(|_| LockError::AmountTooLarge)?,
            sender: raw.sender.parse().map_err(LockError::Sender)?,
            receiver: raw.receiver.parse().map_err(LockError::Receiver)?,
            hashlock: Hashlock(raw.hashlock.into()),
            claim_deadline: Timestamp(raw.claimDeadline),
            terms: Terms::decode(&raw.terms)?,
            memo: raw.memo,
        };
        lock.validate()?;
        Ok(lock)
    }
}
