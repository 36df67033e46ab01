//! Sets of bridge validators.

use alloy_primitives::{Address, keccak256};
use serde::{Deserialize, Serialize};

/// Most validators of a set: a certificate on EVM counts them in one byte.
pub const MAX_VALIDATORS: usize = 255;

/// One validator's bridge key and weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BridgeValidator {
    /// The address of its secp256k1 bridge key.
    pub address: Address,
    /// Its voting power, never 0; the same as in consensus.
    pub power: u64,
}

/// Why a list of validators is not a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// No validators.
    #[error("a bridge set has no validators")]
    Empty,
    /// More than [`MAX_VALIDATORS`].
    #[error("a bridge set of {0} validators is above the limit of {MAX_VALIDATORS}")]
    TooMany(usize),
    /// A validator has the zero address.
    #[error("bridge validator {0} has the zero address")]
    ZeroAddress(usize),
    /// A validator has no power.
    #[error("bridge validator {0} has no power")]
    ZeroPower(Address),
    /// Two validators have one address.
    #[error("bridge validator {0} stands in the set twice")]
    Duplicate(Address),
    /// The addresses do not rise.
    #[error("bridge validator {0} is below the one before; a set ascends by address")]
    NotAscending(Address),
    /// The powers' sum is above 2^64 - 1.
    #[error("the powers of the bridge set sum to more than 2^64 - 1")]
    PowerOverflow,
}

/// Validators in strictly ascending order of address. A value that exists is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<BridgeValidator>", into = "Vec<BridgeValidator>")]
pub struct BridgeSet {
    validators: Vec<BridgeValidator>,
    total_power: u64,
}

impl BridgeSet {
    /// The set of these validators, which must be given in strictly ascending order of address.
    pub fn new(validators: Vec<BridgeValidator>) -> Result<Self, SetError> {
        if validators.is_empty() {
            return Err(SetError::Empty);
        }
        if validators.len() > MAX_VALIDATORS {
            return Err(SetError::TooMany(validators.len()));
        }
        let mut total_power = 0u64;
        let mut last = None;
        for (index, validator) in validators.iter().enumerate() {
            if validator.address.is_zero() {
                return Err(SetError::ZeroAddress(index));
            }
            if validator.power == 0 {
                return Err(SetError::ZeroPower(validator.address));
            }
            match last.replace(validator.address) {
                Some(before) if before == validator.address => return Err(SetError::Duplicate(validator.address)),
                Some(before) if before > validator.address => return Err(SetError::NotAscending(validator.address)),
                _ => {}
            }
            total_power = total_power.checked_add(validator.power).ok_or(SetError::PowerOverflow)?;
        }
        Ok(Self { validators, total_power })
    }

    /// Sorts by address first.
    pub fn from_unsorted(mut validators: Vec<BridgeValidator>) -> Result<Self, SetError> {
        validators.sort_by_key(|validator| validator.address);
        Self::new(validators)
    }

    /// `keccak256` over one word `address(20) ‖ power(12, big-endian)` per validator.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut words = Vec::with_capacity(self.validators.len().saturating_mul(32));
        for validator in &self.validators {
            words.extend_from_slice(validator.address.as_slice());
            words.extend_from_slice(&[0; 4]);
            words.extend_from_slice(&validator.power.to_be_bytes());
        }
        keccak256(words).0
    }

    /// The sum of all powers.
    #[must_use]
    pub const fn total_power(&self) -> u64 {
        self.total_power
    }

    /// The validators, ascending by address.
    #[must_use]
    pub fn validators(&self) -> &[BridgeValidator] {
        &self.validators
    }

    /// The power of the validator at this address; `None` if it is not in the set.
    #[must_use]
    pub fn power_of(&self, address: &Address) -> Option<u64> {
        let at = self.validators.binary_search_by_key(address, |validator| validator.address).ok()?;
        self.validators.get(at).map(|validator| validator.power)
    }
}

impl TryFrom<Vec<BridgeValidator>> for BridgeSet {
    type Error = SetError;
    fn try_from(validators: Vec<BridgeValidator>) -> Result<Self, SetError> {
        Self::new(validators)
    }
}

impl From<BridgeSet> for Vec<BridgeValidator> {
    fn from(set: BridgeSet) -> Self {
        set.validators
    }
}
