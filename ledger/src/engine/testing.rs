//! For tests. Forged headers and checkpoints for those who must refuse them: whoever holds validators' keys can sign
//! anything; nothing here reaches into a running chain. And the blocks of another engine under `solo`, to compare.

use crosspoint_light_proofs::checkpoint::{Checkpoint, SignedCheckpoint};
use tendermint::block::signed_header::SignedHeader;
use tendermint::block::{self, Header};

use std::path::Path;

use super::block::{BlockError, sign_commit};
use super::keys::ValidatorKeys;
use super::mempool::{Mempool, MempoolLimits};
use super::producer::{ProduceError, Producer};
use super::validators::ValidatorSet;
use crate::app::App;
use crate::genesis::Genesis;

/// A block under `solo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoloBlock {
    /// The root of the state after it.
    pub app_hash: Vec<u8>,
    /// The codes of its transactions, in order.
    pub codes: Vec<u32>,
}

/// Runs a new chain under `solo` in a directory, with blocks of these times and transactions.
///
/// # Errors
/// [`ProduceError`] when a block cannot be made.
pub fn solo_blocks(
    dir: &Path,
    genesis: &Genesis,
    keys: Vec<ValidatorKeys>,
    blocks: Vec<(tendermint::Time, Vec<Vec<u8>>)>,
) -> Result<Vec<SoloBlock>, ProduceError> {
    let app = App::open(dir, genesis)?;
    let (mut producer, node, _clock) = Producer::open(app, genesis, keys, Mempool::new(MempoolLimits::default()))?;
    let mut made = vec![];
    for (time, txs) in blocks {
        let height = producer.produce_of(time, txs)?;
        let results = node.store.results(height)?.unwrap_or_default();
        made.push(SoloBlock {
            app_hash: node.latest().app_hash.as_bytes().to_vec(),
            codes: results.tx_results.iter().map(|result| result.code).collect(),
        });
    }
    Ok(made)
}

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
