//! The client: which checkpoints it believes, and which evidence freezes it.

use crosspoint_protocol::ids::{ChainId, Height, Timestamp};
use serde::{Deserialize, Serialize};

use super::set::BridgeSet;
use super::statement::{Checkpoint, SignedCheckpoint};
use crate::serde_hex;
use crate::signature::{SignatureError, recover_ascending};
use alloy_primitives::Address;

/// How far ahead of `now` a header's time may be, in seconds; as in the contract.
pub const MAX_CLOCK_DRIFT: u64 = 600;

/// The newest header the client trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latest {
    /// Its height.
    pub height: Height,
    /// Its time, in seconds.
    pub time: Timestamp,
    /// Its app hash.
    #[serde(with = "serde_hex::array")]
    pub app_hash: [u8; 32],
    /// The hash of the set that signed it.
    #[serde(with = "serde_hex::array")]
    pub signed_by: [u8; 32],
}

impl From<&Checkpoint> for Latest {
    fn from(checkpoint: &Checkpoint) -> Self {
        let Checkpoint { height, time, app_hash, set_hash: signed_by, .. } = *checkpoint;
        Self { height, time, app_hash, signed_by }
    }
}

/// What the client knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientState {
    /// The chain it follows.
    pub chain_id: ChainId,
    /// The hash of the set that signs the next header.
    #[serde(with = "serde_hex::array")]
    pub set_hash: [u8; 32],
    /// The newest header it trusts.
    pub latest: Latest,
    /// For how many seconds after `latest.time` it trusts its set.
    pub trusting_period: u64,
    /// Whether the chain was seen to contradict itself; then nothing is believed.
    pub frozen: bool,
    /// Counts re-anchorings by governance.
    pub generation: u64,
}

impl ClientState {
    /// The newest header it trusts, whole.
    #[must_use]
    pub fn newest(&self) -> Checkpoint {
        let Latest { height, time, app_hash, signed_by } = self.latest;
        let (chain_id, next_set_hash) = (self.chain_id.clone(), self.set_hash);
        Checkpoint { chain_id, height, time, app_hash, set_hash: signed_by, next_set_hash }
    }
}

/// One side of a contradiction.
#[derive(Debug, Clone, Copy)]
pub enum Side<'a> {
    /// The newest header that the client trusts.
    Newest,
    /// A header that the client trusts. That it does is for the caller to know: the client keeps the newest alone.
    Trusted(&'a Checkpoint),
    /// A header that a quorum signed.
    Signed(&'a SignedCheckpoint),
}

/// Why a checkpoint is not believed, or is not evidence of misbehaviour.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The client is frozen.
    #[error("the client is frozen")]
    Frozen,
    /// The client's newest header is older than its trusting period.
    #[error("the client expired at {expiry}; it is {now}")]
    Expired {
        /// From this second on it is expired.
        expiry: Timestamp,
        /// The time given.
        now: Timestamp,
    },
    /// Another chain's checkpoint.
    #[error("the checkpoint is of chain {found}, the client follows {expected}")]
    WrongChain {
        /// The checkpoint's chain.
        found: ChainId,
        /// The client's chain.
        expected: ChainId,
    },
    /// The set given is not the one the checkpoint names.
    #[error("the set given is not the one whose hash the checkpoint names")]
    SetMismatch,
    /// The set that signed is not the client's current one.
    #[error("the set that signed is not the client's current one; a rotation must be relayed first")]
    NotCurrentSet,
    /// The set that signed is neither the client's current one nor one that the evidence's root names.
    #[error("the set that signed is neither the client's current one nor one of the trusted header's")]
    UntrustedSet,
    /// Evidence is about a height below the trusted header that it begins with.
    #[error("the evidence is about height {found}, below the trusted header {root}")]
    BelowRoot {
        /// The height it is about.
        found: Height,
        /// The trusted header's.
        root: Height,
    },
    /// The next set given is not the one the checkpoint names.
    #[error("the next set given is not the one whose hash the checkpoint names")]
    NextSetMismatch,
    /// The height does not rise.
    #[error("the checkpoint's height {found} is not above the trusted {trusted}")]
    HeightNotAbove {
        /// The checkpoint's.
        found: Height,
        /// The client's.
        trusted: Height,
    },
    /// The time decreases: evidence of misbehaviour, if signed by a quorum.
    #[error("the checkpoint's time {found} is before the trusted {trusted}")]
    TimeDecreases {
        /// The checkpoint's.
        found: Timestamp,
        /// The client's.
        trusted: Timestamp,
    },
    /// The header's time is further ahead of `now` than clocks may drift.
    #[error("the checkpoint's time {time} is too far ahead of {now}")]
    FromTheFuture {
        /// The checkpoint's.
        time: Timestamp,
        /// The time given.
        now: Timestamp,
    },
    /// More signatures than validators.
    #[error("{found} signatures by a set of {validators}")]
    TooManySignatures {
        /// The signatures given.
        found: usize,
        /// The set's size.
        validators: usize,
    },
    /// A signature is malformed or out of order.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Somebody signed who is not in the set (or the digest is another one).
    #[error("{0} signed, who is not in the set")]
    UnknownSigner(Address),
    /// Not more than two thirds of the power.
    #[error("power {signed} of {total} signed; more than two thirds are needed")]
    QuorumNotReached {
        /// The power that signed.
        signed: u64,
        /// The set's.
        total: u64,
    },
    /// The evidence given contradicts neither itself nor what the client trusts.
    #[error("the evidence shows no conflict")]
    NoConflict,
}

/// Checks a checkpoint against the client; the client's next state.
///
/// Believed iff the client is neither frozen nor expired, nor the checkpoint itself as old as that; the chain is the
/// client's, the set is the current one, the height rises, the time does not decrease and is at most
/// [`MAX_CLOCK_DRIFT`] ahead of `now`, and `3 * signed power > 2 * total power` by strictly ascending signers.
pub fn verify_update(
    client: &ClientState,
    signed: &SignedCheckpoint,
    now: Timestamp,
) -> Result<ClientState, CheckpointError> {
    check_usable(client, now)?;
    let checkpoint = &signed.checkpoint;
    check_age(client, checkpoint.time, now)?;
    check_statement(client, signed)?;
    if checkpoint.height <= client.latest.height {
        return Err(CheckpointError::HeightNotAbove { found: checkpoint.height, trusted: client.latest.height });
    }
    check_quorum(signed)?;
    if checkpoint.time < client.latest.time {
        return Err(CheckpointError::TimeDecreases { found: checkpoint.time, trusted: client.latest.time });
    }
    if checkpoint.time.0 > now.0.saturating_add(MAX_CLOCK_DRIFT) {
        return Err(CheckpointError::FromTheFuture { time: checkpoint.time, now });
    }
    Ok(ClientState { set_hash: checkpoint.next_set_hash, latest: checkpoint.into(), ..client.clone() })
}

/// Whether two headers prove that the chain contradicts itself: they are for one height with different contents, or
/// with a time that decreases as the height rises. Each is one that the client trusts, or signed by a quorum of the
/// client's current set, or of a set that `root` names. `root` is a header that the client trusts in this generation, not
/// above those that are signed, so that what was signed before a re-anchoring says nothing; like
/// [`Side::Trusted`] it is for the caller to look up. `Ok` means proven: freeze.
pub fn check_misbehaviour(
    client: &ClientState,
    root: &Checkpoint,
    one: Side<'_>,
    other: Side<'_>,
    now: Timestamp,
) -> Result<(), CheckpointError> {
    check_not_frozen(client)?;
    check_trusted(client, root, now)?;
    let [a, b] = [one, other].map(|side| match side {
        Side::Newest => Ok(client.newest()),
        Side::Trusted(known) => check_trusted(client, known, now).map(|()| known.clone()),
        Side::Signed(signed) => check_evidence(client, root, signed).map(|()| signed.checkpoint.clone()),
    });
    let (a, b) = (a?, b?);
    let (low, high) = if a.height <= b.height { (a, b) } else { (b, a) };
    let conflict = if low.height == high.height { low != high } else { high.time < low.time };
    if conflict { Ok(()) } else { Err(CheckpointError::NoConflict) }
}

/// Whether one checkpoint, signed by a quorum of the client's current set, contradicts the header the
/// client trusts: another content at its height, or a time on the wrong side of it. `Ok` means proven: freeze.
pub fn check_conflict(client: &ClientState, signed: &SignedCheckpoint) -> Result<(), CheckpointError> {
    check_not_frozen(client)?;
    check_statement(client, signed)?;
    check_quorum(signed)?;
    let (new, old) = (&signed.checkpoint, &client.latest);
    let conflict = match new.height.cmp(&old.height) {
        std::cmp::Ordering::Equal => *new != client.newest(),
        std::cmp::Ordering::Greater => new.time < old.time,
        std::cmp::Ordering::Less => new.time > old.time,
    };
    if conflict { Ok(()) } else { Err(CheckpointError::NoConflict) }
}

fn check_not_frozen(client: &ClientState) -> Result<(), CheckpointError> {
    if client.frozen { Err(CheckpointError::Frozen) } else { Ok(()) }
}

fn check_usable(client: &ClientState, now: Timestamp) -> Result<(), CheckpointError> {
    check_not_frozen(client)?;
    check_age(client, client.latest.time, now)
}

fn check_age(client: &ClientState, time: Timestamp, now: Timestamp) -> Result<(), CheckpointError> {
    let expiry = Timestamp(time.0.saturating_add(client.trusting_period));
    if now >= expiry { Err(CheckpointError::Expired { expiry, now }) } else { Ok(()) }
}

fn check_chain(client: &ClientState, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
    if checkpoint.chain_id == client.chain_id {
        return Ok(());
    }
    let (found, expected) = (checkpoint.chain_id.clone(), client.chain_id.clone());
    Err(CheckpointError::WrongChain { found, expected })
}

/// A header that the client trusted once: whether it still may.
fn check_trusted(client: &ClientState, known: &Checkpoint, now: Timestamp) -> Result<(), CheckpointError> {
    check_chain(client, known)?;
    check_age(client, known.time, now)
}

/// Whether a quorum signed a header, of a set that is or was trusted, and not below the root.
fn check_evidence(client: &ClientState, root: &Checkpoint, signed: &SignedCheckpoint) -> Result<(), CheckpointError> {
    let checkpoint = &signed.checkpoint;
    check_chain(client, checkpoint)?;
    if checkpoint.height < root.height {
        return Err(CheckpointError::BelowRoot { found: checkpoint.height, root: root.height });
    }
    if ![client.set_hash, root.set_hash, root.next_set_hash].contains(&checkpoint.set_hash) {
        return Err(CheckpointError::UntrustedSet);
    }
    check_sets(signed)?;
    check_quorum(signed)
}

fn check_statement(client: &ClientState, signed: &SignedCheckpoint) -> Result<(), CheckpointError> {
    check_chain(client, &signed.checkpoint)?;
    if signed.checkpoint.set_hash != client.set_hash {
        return Err(CheckpointError::NotCurrentSet);
    }
    check_sets(signed)
}

/// Whether the sets given are those that the checkpoint names.
fn check_sets(signed: &SignedCheckpoint) -> Result<(), CheckpointError> {
    let checkpoint = &signed.checkpoint;
    if signed.set.hash() != checkpoint.set_hash {
        return Err(CheckpointError::SetMismatch);
    }
    match &signed.next_set {
        Some(next) if next.hash() != checkpoint.next_set_hash => Err(CheckpointError::NextSetMismatch),
        _ => Ok(()),
    }
}

fn check_quorum(signed: &SignedCheckpoint) -> Result<(), CheckpointError> {
    signed.set.verify_quorum(&signed.checkpoint.digest(), &signed.signatures)
}

impl BridgeSet {
    /// Proves that more than two thirds of the set's power signed a digest, in strictly ascending order, and nobody
    /// else did.
    pub fn verify_quorum(&self, digest: &[u8; 32], signatures: &[[u8; 65]]) -> Result<(), CheckpointError> {
        let (found, validators) = (signatures.len(), self.validators().len());
        if found > validators {
            return Err(CheckpointError::TooManySignatures { found, validators });
        }
        let mut power = 0u64;
        let stranger = |signer: &Address| CheckpointError::UnknownSigner(*signer);
        let member = |signer: &Address| self.power_of(signer).map(drop).ok_or_else(|| stranger(signer));
        for signer in recover_ascending(digest, signatures, member)? {
            // Distinct members of the set: their sum is at most the set's, which fits.
            power = power.saturating_add(self.power_of(&signer).ok_or_else(|| stranger(&signer))?);
        }
        let total = self.total_power();
        if u128::from(power).saturating_mul(3) > u128::from(total).saturating_mul(2) {
            Ok(())
        } else {
            Err(CheckpointError::QuorumNotReached { signed: power, total })
        }
    }
}
