//! Forged headers and checkpoints, for tests of those who must refuse them. Whoever holds validators' keys can
//! sign anything; nothing here reaches into a running chain.

use crosspoint_light_proofs::checkpoint::{Checkpoint, SignedCheckpoint};
use tendermint::block::signed_header::SignedHeader;
use tendermint::block::{self, Header};

use super::block::{BlockError, sign_commit};
use super::keys::ValidatorKeys;
use super::validators::ValidatorSet;

/// The same checkpoint signed only by `keys`: too few of them make no quorum.
#[must_use]
pub fn checkpoint_signed_by(signed: &SignedCheckpoint, keys: &[ValidatorKeys]) -> SignedCheckpoint {
    resign(signed, signed.checkpoint.clone(), keys)
}

/// Another checkpoint for the same height, with another app hash, signed by `keys`: a quorum of them is
/// evidence of misbehaviour.
#[must_use]
pub fn conflicting_checkpoint(
    signed: &SignedCheckpoint,
    app_hash: [u8; 32],
    keys: &[ValidatorKeys],
) -> SignedCheckpoint {
    resign(signed, Checkpoint { app_hash, ..signed.checkpoint.clone() }, keys)
}

fn resign(signed: &SignedCheckpoint, checkpoint: Checkpoint, keys: &[ValidatorKeys]) -> SignedCheckpoint {
    let keys: Vec<_> = keys.iter().map(|k| k.bridge().clone()).collect();
    SignedCheckpoint::sign(checkpoint, signed.set.clone(), signed.next_set.clone(), &keys)
}

/// A header signed by the members of `validators` whose keys are in `keys`; the others are absent. Change the
/// header first to make a conflicting one.
///
/// # Errors
/// When the header cannot be signed at all.
pub fn sign_header(
    header: Header,
    validators: &ValidatorSet,
    keys: &[ValidatorKeys],
) -> Result<SignedHeader, BlockError> {
    let parts = block::parts::Header::new(1, tendermint::Hash::Sha256([7; 32]))?;
    let id = block::Id { hash: header.hash(), part_set_header: parts };
    let commit = sign_commit(&header, id, header.time, validators, keys)?;
    Ok(SignedHeader::new(header, commit)?)
}
