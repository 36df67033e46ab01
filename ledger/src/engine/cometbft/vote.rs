//! Vote extensions: with its precommit for block H a validator signs the checkpoint of header H.
//!
//! An extension is `u64be(header time in seconds) ‖ signature(65)`, or empty: a validator without a bridge key at hand
//! still votes. The time is carried because a node may get a vote before the proposal; a vote for another round's block,
//! with another time, is a good vote too, and is left out when the certificate is made.

use alloy_primitives::Address;
use crosspoint_light_proofs::checkpoint::{BridgeSet, Checkpoint};
use crosspoint_light_proofs::signature::{SignatureError, SigningKey, recover};
use crosspoint_protocol::ids::{ChainId, Height, Timestamp};
use tendermint::account;

use super::super::validators::{ValidatorSet, ValidatorSetError};
use crate::genesis::Genesis;

/// Bytes of an extension that is not empty.
pub const EXTENSION_BYTES: usize = 73;

/// Why a vote extension is refused, and the vote with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VoteError {
    /// Not empty, and not of the one length.
    #[error("a vote extension has {EXTENSION_BYTES} bytes or none, not {0}")]
    Length(usize),
    /// No validator of the set.
    #[error("{0} is no validator")]
    Stranger(account::Id),
    /// The signature is malformed.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Signed by another key, or over another statement.
    #[error("the extension is signed by {found}; the bridge key of validator {validator} is {expected}")]
    Signer {
        /// Whose vote it is.
        validator: account::Id,
        /// Whose signature it is, if the statement is the one expected.
        found: Address,
        /// The validator's bridge key.
        expected: Address,
    },
}

/// Who signs checkpoints, and what of a checkpoint is the same for every header.
#[derive(Debug, Clone)]
pub struct Signers {
    chain_id: ChainId,
    validators: ValidatorSet,
    set: BridgeSet,
}

/// An extension that is signed by its validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedVote {
    /// The header's time that was signed.
    pub time: Timestamp,
    /// The signer.
    pub signer: Address,
    /// `r ‖ s ‖ v`.
    pub signature: [u8; 65],
}

impl Signers {
    /// Those of a chain. Its set is that of the genesis: nothing changes it yet.
    ///
    /// # Errors
    /// When the genesis has no usable set.
    pub fn of(genesis: &Genesis) -> Result<Self, ValidatorSetError> {
        let validators = super::super::params::validator_set(&genesis.validators)?;
        let set = super::super::store::bridge_set(validators.validators()).ok_or(ValidatorSetError::Power)?;
        Ok(Self { chain_id: genesis.chain_id.clone(), validators, set })
    }

    /// The bridge keys and their power.
    #[must_use]
    pub const fn set(&self) -> &BridgeSet {
        &self.set
    }

    /// The chain.
    #[must_use]
    pub const fn chain_id(&self) -> &ChainId {
        &self.chain_id
    }

    /// The consensus set.
    #[must_use]
    pub const fn validators(&self) -> &ValidatorSet {
        &self.validators
    }

    /// What is signed of a header: `app_hash` is the one that stands in it, the root after the block before.
    #[must_use]
    pub fn statement(&self, height: Height, time: Timestamp, app_hash: [u8; 32]) -> Checkpoint {
        Checkpoint {
            chain_id: self.chain_id.clone(),
            height,
            time,
            app_hash,
            set_hash: self.set.hash(),
            next_set_hash: self.set.hash(),
        }
    }

    /// The extension of a validator's vote. Without a key, or with one that is no member's, it is empty.
    #[must_use]
    pub fn extend(&self, key: Option<&SigningKey>, height: Height, time: Timestamp, app_hash: [u8; 32]) -> Vec<u8> {
        let Some(key) = key.filter(|key| self.set.power_of(&key.address()).is_some()) else { return vec![] };
        let signature = self.statement(height, time, app_hash).sign(key);
        [time.0.to_be_bytes().as_slice(), &signature].concat()
    }

    /// Reads an extension of `validator`'s vote; nothing of an empty one.
    ///
    /// # Errors
    /// [`VoteError`] when no honest validator could have sent it.
    pub fn read(
        &self,
        validator: account::Id,
        height: Height,
        app_hash: [u8; 32],
        extension: &[u8],
    ) -> Result<Option<SignedVote>, VoteError> {
        if extension.is_empty() {
            return Ok(None);
        }
        let length = || VoteError::Length(extension.len());
        let (time, signature) = extension.split_first_chunk::<8>().ok_or_else(length)?;
        let signature: [u8; 65] = signature.try_into().map_err(|_| length())?;
        let time = Timestamp(u64::from_be_bytes(*time));
        let member = self.validators.validators().iter().find(|member| member.address() == validator);
        let expected = member.ok_or(VoteError::Stranger(validator))?.bridge;
        let found = recover(&self.statement(height, time, app_hash).digest(), &signature, 0)?;
        if found != expected {
            return Err(VoteError::Signer { validator, found, expected });
        }
        Ok(Some(SignedVote { time, signer: found, signature }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo;

    const APP_HASH: [u8; 32] = [7; 32];

    fn signers() -> (Signers, Vec<(account::Id, SigningKey)>) {
        let signers = Signers::of(&demo::genesis(4).unwrap()).unwrap();
        let keys = (0..4).map(|index| demo::validator_keys(index).unwrap()).map(|(consensus, bridge)| {
            let address = super::super::super::validators::consensus_address(&consensus.verifying_key().to_bytes());
            (address, bridge)
        });
        (signers, keys.collect())
    }

    #[test]
    fn a_validators_extension_is_read_back_and_anothers_is_refused() {
        let (signers, keys) = signers();
        let (height, time) = (Height(9), Timestamp(1_800_000_000));
        let extension = signers.extend(Some(&keys[0].1), height, time, APP_HASH);
        let vote = signers.read(keys[0].0, height, APP_HASH, &extension).unwrap().unwrap();
        assert_eq!((vote.time, vote.signer), (time, keys[0].1.address()));
        let another = signers.read(keys[1].0, height, APP_HASH, &extension);
        assert!(matches!(another, Err(VoteError::Signer { .. })), "{another:?}");
        for (height, app_hash) in [(Height(10), APP_HASH), (height, [8; 32])] {
            assert!(signers.read(keys[0].0, height, app_hash, &extension).is_err());
        }
        let stranger = account::Id::new([9; 20]);
        assert_eq!(signers.read(stranger, height, APP_HASH, &extension), Err(VoteError::Stranger(stranger)));
    }

    #[test]
    fn a_vote_without_a_bridge_key_is_a_vote() {
        let (signers, keys) = signers();
        let stranger = SigningKey::from_bytes([5; 32]).unwrap();
        assert!(signers.extend(None, Height(1), Timestamp(1), APP_HASH).is_empty());
        assert!(signers.extend(Some(&stranger), Height(1), Timestamp(1), APP_HASH).is_empty());
        assert_eq!(signers.read(keys[0].0, Height(1), APP_HASH, &[]), Ok(None));
    }

    #[test]
    fn extensions_of_any_other_length_are_refused() {
        let (signers, keys) = signers();
        let good = signers.extend(Some(&keys[0].1), Height(1), Timestamp(1), APP_HASH);
        for bytes in [&good[..1], &good[..72], &[good.as_slice(), &[0]].concat()] {
            assert_eq!(signers.read(keys[0].0, Height(1), APP_HASH, bytes), Err(VoteError::Length(bytes.len())));
        }
    }
}
