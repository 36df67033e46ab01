//! Whose signatures a commit has, and whether they verify: all that count, in one batch.
//!
//! CometBFT takes ed25519 signatures by the rules of ZIP-215. Under these, and under no others in use, a batch is
//! accepted exactly when each of its signatures is, however they were crafted; so checking in a batch can neither let a
//! bad signature in nor refuse a commit that the chain itself took. What a batch is weighed with must not be known
//! before its signatures are fixed. Here it is derived from all that is checked, keys, signatures and messages, so that
//! the outcome is a function of the input; whoever forges one has a chance of 2^-128 per try.

#![allow(clippy::result_large_err)] // the error is the public verifier's own, as its trait asks for

use ed25519_zebra::{Signature, VerificationKeyBytes, batch};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::HashSet;
use tendermint::block::CommitSig;
use tendermint::block::signed_header::SignedHeader;
use tendermint::trust_threshold::TrustThreshold as _;
use tendermint::validator::{Info, Set};
use tendermint::vote::{SignedVote, Type, ValidatorIndex, Vote};
use tendermint::{PublicKey, account};
use tendermint_light_client_verifier::errors::VerificationError;
use tendermint_light_client_verifier::operations::VotingPowerCalculator;
use tendermint_light_client_verifier::operations::voting_power::VotingPowerTally;
use tendermint_light_client_verifier::types::TrustThreshold;

/// Tallies who signed as `ProdVotingPowerCalculator` does, signatures up to the threshold only, but checks them together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BatchCalculator;

impl VotingPowerCalculator for BatchCalculator {
    fn voting_power_in(
        &self,
        header: &SignedHeader,
        set: &Set,
        threshold: TrustThreshold,
    ) -> Result<VotingPowerTally, VerificationError> {
        let votes = Votes::new(header)?;
        let (tally, signers) = votes.tally(set, threshold, self.total_power_of(set))?;
        votes.verify(&signers)?;
        Ok(tally)
    }

    fn voting_power_in_sets(
        &self,
        header: &SignedHeader,
        (one, one_threshold): (&Set, TrustThreshold),
        (other, other_threshold): (&Set, TrustThreshold),
    ) -> Result<(VotingPowerTally, VotingPowerTally), VerificationError> {
        let votes = Votes::new(header)?;
        let (one_tally, mut signers) = votes.tally(one, one_threshold, self.total_power_of(one))?;
        let (other_tally, more) = votes.tally(other, other_threshold, self.total_power_of(other))?;
        // Who counts in both sets is checked once; under another key it would be another signer.
        let mut known = vec![None; votes.0.len()];
        for (at, info) in &signers {
            known.get_mut(*at).map(|key| key.replace(info.pub_key));
        }
        signers.extend(more.into_iter().filter(|(at, info)| known.get(*at) != Some(&Some(info.pub_key))));
        votes.verify(&signers)?;
        Ok((one_tally, other_tally))
    }
}

/// A vote by its place in the list, and who it is of.
type Signer<'a> = (usize, &'a Info);

/// The votes for the block in a commit, ascending by the voter's address, each voter once.
pub(super) struct Votes(Vec<SignedVote>);

impl Votes {
    /// The votes of a commit. Those for no block, and absent ones, do not count.
    pub(super) fn new(header: &SignedHeader) -> Result<Self, VerificationError> {
        let votes = header.commit.signatures.iter().enumerate();
        let votes = votes.filter_map(|(index, entry)| {
            Some(signed_vote(header, index, entry)?.ok_or_else(VerificationError::missing_signature))
        });
        let mut votes = votes.collect::<Result<Vec<_>, _>>()?;
        votes.sort_unstable_by_key(SignedVote::validator_id);
        let ids: Vec<account::Id> = votes.iter().map(SignedVote::validator_id).collect();
        match ids.windows(2).find(|pair| pair.first() == pair.last()).and_then(<[_]>::first) {
            Some(twice) => Err(VerificationError::duplicate_validator(*twice)),
            None => Ok(Self(votes)),
        }
    }

    /// The power of a set that voted, as far as it is needed, and whose signatures that rests on.
    fn tally<'a>(
        &self,
        set: &'a Set,
        trust_threshold: TrustThreshold,
        total: u64,
    ) -> Result<(VotingPowerTally, Vec<Signer<'a>>), VerificationError> {
        let mut tally = VotingPowerTally { total, tallied: 0, trust_threshold };
        let mut signers = vec![];
        let mut seen = vec![false; self.0.len()];
        for info in set.validators() {
            let Ok(at) = self.0.binary_search_by_key(&info.address, SignedVote::validator_id) else { continue };
            if seen.get_mut(at).is_some_and(|seen| std::mem::replace(seen, true)) {
                return Err(VerificationError::duplicate_validator(info.address));
            }
            signers.push((at, info));
            tally.tallied = tally.tallied.saturating_add(info.power());
            if trust_threshold.is_enough_power(tally.tallied, total) {
                break;
            }
        }
        Ok((tally, signers))
    }

    /// Fails unless every vote is of a member of the set, and verifies.
    pub(super) fn verify_all(&self, set: &Set) -> Result<(), VerificationError> {
        let member = |vote: &SignedVote| set.validators().iter().find(|info| info.address == vote.validator_id());
        let signers = self.0.iter().enumerate().map(|(at, vote)| {
            let stranger = || VerificationError::faulty_signer(vote.validator_id(), set.clone());
            member(vote).map(|info| (at, info)).ok_or_else(stranger)
        });
        self.verify(&signers.collect::<Result<Vec<_>, _>>()?)
    }

    /// Fails with the first signature that does not verify.
    fn verify(&self, signers: &[Signer<'_>]) -> Result<(), VerificationError> {
        let mut checks = Vec::with_capacity(signers.len());
        let mut transcript = vec![];
        for (at, info) in signers {
            let Some(vote) = self.0.get(*at) else { continue };
            let message = vote.sign_bytes();
            let Some((key, signature)) = ed25519(info, vote) else { return Err(invalid(info, vote, message)) };
            for part in [key.as_ref(), &signature.to_bytes(), &message] {
                transcript.extend_from_slice(part);
            }
            checks.push((batch::Item::from((key, signature, &message)), info, vote, message));
        }
        let mut batch = batch::Verifier::new();
        checks.iter().for_each(|(item, ..)| batch.queue(item.clone()));
        let seed = crosspoint_protocol::sha256(&[&transcript]);
        if batch.verify(StdRng::from_seed(seed)).is_ok() {
            return Ok(());
        }
        // Judged one by one, the first that fails is named.
        let mut bad = checks.into_iter().filter(|(item, ..)| item.clone().verify_single().is_err());
        bad.next().map_or(Ok(()), |(_, info, vote, message)| Err(invalid(info, vote, message)))
    }
}

/// The vote for the block that an entry of the commit is, if it is one; `Some(None)` if its signature is missing.
fn signed_vote(header: &SignedHeader, index: usize, entry: &CommitSig) -> Option<Option<SignedVote>> {
    let CommitSig::BlockIdFlagCommit { validator_address, timestamp, signature } = entry else { return None };
    let vote = Vote {
        vote_type: Type::Precommit,
        height: header.commit.height,
        round: header.commit.round,
        block_id: Some(header.commit.block_id),
        timestamp: Some(*timestamp),
        validator_address: *validator_address,
        // Not among what is signed. A commit has at most `MAX_VALIDATORS`.
        validator_index: ValidatorIndex::try_from(index).ok()?,
        signature: signature.clone(),
        extension: vec![],
        extension_signature: None,
    };
    Some(SignedVote::from_vote(vote, header.header.chain_id.clone()))
}

/// The commit without the votes that spoil it as evidence: those that do not verify, are of nobody in the set, or stand
/// there twice. Their places stay, as of validators who did not vote.
pub(super) fn without_spoilt_votes(header: &SignedHeader, set: &Set) -> Vec<CommitSig> {
    let mut kept = HashSet::new();
    let mut good = |index: usize, entry: &CommitSig| {
        let vote = signed_vote(header, index, entry)??;
        let info = set.validators().iter().find(|info| info.address == vote.validator_id())?;
        let (key, signature) = ed25519(info, &vote)?;
        batch::Item::from((key, signature, &vote.sign_bytes())).verify_single().ok()?;
        kept.insert(vote.validator_id()).then_some(())
    };
    let entries = header.commit.signatures.iter().enumerate();
    let clean = entries.map(|(index, entry)| match entry {
        CommitSig::BlockIdFlagCommit { .. } if good(index, entry).is_none() => CommitSig::BlockIdFlagAbsent,
        _ => entry.clone(),
    });
    clean.collect()
}

/// The key and the signature; nothing if either is not of ed25519's form.
fn ed25519(info: &Info, vote: &SignedVote) -> Option<(VerificationKeyBytes, Signature)> {
    let PublicKey::Ed25519(key) = info.pub_key else { return None };
    let signature = Signature::from_slice(vote.signature().as_bytes()).ok()?;
    Some((VerificationKeyBytes::try_from(key.as_bytes()).ok()?, signature))
}

fn invalid(info: &Info, vote: &SignedVote, message: Vec<u8>) -> VerificationError {
    VerificationError::invalid_signature(vote.signature().as_bytes().to_vec(), Box::new(info.clone()), message)
}
