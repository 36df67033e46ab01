//! The validator set: its hashes, and whose turn it is to propose.

use std::cmp::Reverse;

use alloy_primitives::Address;
use crosspoint_protocol::sha256;
use tendermint::{PublicKey, account, validator, vote};

/// Most validators in a set: their checkpoints count them in one byte.
pub const MAX_VALIDATORS: usize = 255;
/// Most power of one validator and of a whole set, so that no sum here or in a client overflows.
pub const MAX_TOTAL_POWER: u64 = 1 << 40;

/// Why validators do not make a set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidatorSetError {
    /// None, or too many.
    #[error("a set has 1 to {MAX_VALIDATORS} validators, not {0}")]
    Count(usize),
    /// A consensus key is no ed25519 public key.
    #[error("validator {0} has no valid ed25519 consensus key")]
    ConsensusKey(usize),
    /// Power 0, or a sum above [`MAX_TOTAL_POWER`].
    #[error("each validator needs power above 0, all together at most {MAX_TOTAL_POWER}")]
    Power,
    /// Two validators share a consensus key or a bridge address.
    #[error("two validators share the {0}")]
    Duplicate(&'static str),
    /// A bridge address is zero.
    #[error("validator {0} has the zero bridge address")]
    ZeroBridge(usize),
}

/// The address of a consensus key: the first 20 bytes of its SHA-256.
pub(crate) fn consensus_address(public: &[u8; 32]) -> account::Id {
    let digest = sha256(&[public]);
    let mut bytes = [0; 20];
    bytes.copy_from_slice(digest.first_chunk::<20>().unwrap_or(&[0; 20]));
    account::Id::new(bytes)
}

/// One validator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validator {
    /// The raw ed25519 consensus key.
    pub consensus: [u8; 32],
    /// Voting power, in consensus and over the bridge alike.
    pub power: u64,
    /// The address of the secp256k1 bridge key.
    pub bridge: Address,
    /// What the proposer rotation owes this validator.
    pub priority: i64,
}

impl Validator {
    /// A validator that has not yet taken part in the rotation.
    #[must_use]
    pub const fn new(consensus: [u8; 32], power: u64, bridge: Address) -> Self {
        Self { consensus, power, bridge, priority: 0 }
    }

    /// The consensus address.
    #[must_use]
    pub fn address(&self) -> account::Id {
        consensus_address(&self.consensus)
    }
}

/// Validators by descending power, then ascending address: the order of commits (CometBFT spec).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatorSet {
    validators: Vec<Validator>,
    total: u64,
    proposer: account::Id,
}

impl ValidatorSet {
    /// A set after the first round of its rotation.
    ///
    /// # Errors
    /// [`ValidatorSetError`] says what is wrong with the validators.
    pub fn new(mut validators: Vec<Validator>) -> Result<Self, ValidatorSetError> {
        if validators.is_empty() || validators.len() > MAX_VALIDATORS {
            return Err(ValidatorSetError::Count(validators.len()));
        }
        let mut total = 0_u64;
        for (index, validator) in validators.iter().enumerate() {
            if PublicKey::from_raw_ed25519(&validator.consensus).is_none() {
                return Err(ValidatorSetError::ConsensusKey(index));
            }
            if validator.bridge.is_zero() {
                return Err(ValidatorSetError::ZeroBridge(index));
            }
            total = total
                .checked_add(validator.power)
                .filter(|sum| *sum <= MAX_TOTAL_POWER)
                .ok_or(ValidatorSetError::Power)?;
            if validator.power == 0 {
                return Err(ValidatorSetError::Power);
            }
        }
        let distinct = |mut keys: Vec<Vec<u8>>| {
            keys.sort_unstable();
            keys.dedup();
            keys.len() == validators.len()
        };
        if !distinct(validators.iter().map(|v| v.consensus.to_vec()).collect()) {
            return Err(ValidatorSetError::Duplicate("consensus key"));
        }
        if !distinct(validators.iter().map(|v| v.bridge.to_vec()).collect()) {
            return Err(ValidatorSetError::Duplicate("bridge address"));
        }
        validators.sort_by_key(|v| (Reverse(v.power), v.address()));
        let mut set = Self { validators, total, proposer: account::Id::new([0; 20]) };
        set.rotate();
        Ok(set)
    }

    /// A set as it was stored: nothing rotates. Members are checked as in [`ValidatorSet::new`].
    ///
    /// # Errors
    /// As [`ValidatorSet::new`].
    pub(crate) fn restore(validators: Vec<Validator>, proposer: account::Id) -> Result<Self, ValidatorSetError> {
        let priorities: Vec<(account::Id, i64)> = validators.iter().map(|v| (v.address(), v.priority)).collect();
        let mut set = Self::new(validators)?;
        for validator in &mut set.validators {
            let address = validator.address();
            validator.priority = priorities.iter().find(|(id, _)| *id == address).map_or(0, |(_, priority)| *priority);
        }
        set.proposer = proposer;
        Ok(set)
    }

    /// The validators in the order of commits.
    #[must_use]
    pub fn validators(&self) -> &[Validator] {
        &self.validators
    }

    /// The sum of all power.
    #[must_use]
    pub const fn total_power(&self) -> u64 {
        self.total
    }

    /// The set as CometBFT clients see it.
    ///
    /// # Errors
    /// Never for a set that exists: its keys and powers were checked.
    pub fn to_infos(&self) -> Result<Vec<validator::Info>, ValidatorSetError> {
        self.validators
            .iter()
            .enumerate()
            .map(|(index, v)| {
                let key = PublicKey::from_raw_ed25519(&v.consensus).ok_or(ValidatorSetError::ConsensusKey(index))?;
                let power = vote::Power::try_from(v.power).map_err(|_| ValidatorSetError::Power)?;
                Ok(validator::Info { proposer_priority: v.priority.into(), ..validator::Info::new(key, power) })
            })
            .collect()
    }

    /// The Merkle root of the set, as it stands in headers.
    ///
    /// # Errors
    /// As [`ValidatorSet::to_infos`].
    pub fn hash(&self) -> Result<tendermint::Hash, ValidatorSetError> {
        Ok(validator::Set::without_proposer(self.to_infos()?).hash())
    }

    /// Whose turn it is: who was chosen in the last round.
    #[must_use]
    pub const fn proposer(&self) -> account::Id {
        self.proposer
    }

    /// One round of the rotation (CometBFT spec, proposer selection): priorities are kept within twice the
    /// total power and centred on 0, each gains its power, and the highest (of equals the lowest address)
    /// proposes and pays the total.
    pub fn rotate(&mut self) {
        self.rescale();
        for validator in &mut self.validators {
            validator.priority = validator.priority.saturating_add_unsigned(validator.power);
        }
        let chosen = self.validators.iter_mut().max_by_key(|v| (v.priority, Reverse(v.address())));
        if let Some(validator) = chosen {
            validator.priority = validator.priority.saturating_sub_unsigned(self.total);
            self.proposer = validator.address();
        }
    }

    fn rescale(&mut self) {
        let total = i64::try_from(self.total).unwrap_or(i64::MAX);
        let window = total.saturating_mul(2);
        let highest = self.validators.iter().map(|v| v.priority).max().unwrap_or(0);
        let lowest = self.validators.iter().map(|v| v.priority).min().unwrap_or(0);
        let spread = highest.saturating_sub(lowest);
        let ratio = spread.saturating_add(window).saturating_sub(1).checked_div(window).unwrap_or(1);
        if ratio > 1 {
            for validator in &mut self.validators {
                validator.priority = validator.priority.checked_div(ratio).unwrap_or(0);
            }
        }
        let count = i64::try_from(self.validators.len()).unwrap_or(i64::MAX);
        let sum = self.validators.iter().fold(0_i64, |sum, v| sum.saturating_add(v.priority));
        // Euclidean division, as the specification's big integers do it.
        let average = sum.checked_div_euclid(count).unwrap_or(0);
        for validator in &mut self.validators {
            validator.priority = validator.priority.saturating_sub(average);
        }
    }

    /// The same rotation continued with other members: who stays keeps the priority, who is new starts at
    /// -1.125 times the total, so that leaving and joining again wins no turn (CometBFT spec).
    #[must_use]
    pub fn succeeded_by(&self, mut next: Self) -> Self {
        let newcomer = i64::try_from(next.total).unwrap_or(i64::MAX);
        let newcomer = newcomer.saturating_add(newcomer >> 3).saturating_neg();
        for validator in &mut next.validators {
            let known = self.validators.iter().find(|v| v.consensus == validator.consensus);
            validator.priority = known.map_or(newcomer, |v| v.priority);
        }
        next.rescale();
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::keys::{Seed, ValidatorKeys};

    fn set(powers: &[u64]) -> ValidatorSet {
        let seed = Seed::new([1; 32]);
        let validators = powers.iter().enumerate().map(|(i, power)| {
            let keys = ValidatorKeys::derive(&seed, u32::try_from(i).unwrap()).unwrap();
            Validator::new(keys.consensus_public(), *power, keys.bridge_address())
        });
        ValidatorSet::new(validators.collect()).unwrap()
    }

    #[test]
    fn each_proposes_in_proportion_to_its_power() {
        let mut set = set(&[1, 2, 3, 4]);
        let mut turns = std::collections::BTreeMap::new();
        for _ in 0..1_000 {
            set.rotate();
            *turns.entry(set.proposer()).or_insert(0_u64) += 1;
        }
        let mut counts: Vec<u64> = turns.into_values().collect();
        counts.sort_unstable();
        assert_eq!(counts, [100, 200, 300, 400]);
    }

    #[test]
    fn sets_that_no_client_could_count_are_refused() {
        let good = set(&[1, 1]);
        let mut twice = good.validators().to_vec();
        twice[1].bridge = twice[0].bridge;
        assert_eq!(ValidatorSet::new(twice), Err(ValidatorSetError::Duplicate("bridge address")));
        let mut heavy = good.validators().to_vec();
        heavy[0].power = MAX_TOTAL_POWER;
        assert_eq!(ValidatorSet::new(heavy), Err(ValidatorSetError::Power));
        assert_eq!(ValidatorSet::new(Vec::new()), Err(ValidatorSetError::Count(0)));
    }

    #[test]
    fn a_newcomer_waits_its_turn() {
        let mut old = set(&[5, 5, 5]);
        old.rotate();
        let next = old.succeeded_by(set(&[5, 5, 5, 5]));
        let newcomer = next.validators().iter().find(|v| !old.validators().iter().any(|o| o.consensus == v.consensus));
        assert!(next.validators().iter().all(|v| v.priority >= newcomer.unwrap().priority));
    }
}
