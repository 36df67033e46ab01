//! Proofs of a native chain in the contracts' byte formats (`contracts/README.md`, "Byte formats").

use super::record::{Batch, Direction, RecordError};
use crate::chain::RelayItem;
use crate::proven::{CheckpointEvidence, OutboxBlock, OutboxEvidence};
use alloy::primitives::Address;
use crosspoint_light_proofs::checkpoint::{Checkpoint, SignedCheckpoint};
use crosspoint_light_proofs::jmt::{PLACEHOLDER, Siblings};
use crosspoint_light_proofs::signature::{SignatureError, recover_ascending};
use crosspoint_protocol::ids::Sequence;
use crosspoint_protocol::outbox::{self, Hash};
use crosspoint_protocol::path::Path;
use crosspoint_protocol::{ack, sha256};
use ics23::commitment_proof::Proof;
use prost::Message;
use std::collections::BTreeMap;

/// The prefix of an inner JMT node; an ICS-23 step has it before the left sibling.
const INNER_PREFIX_LEN: usize = 16;
/// Most siblings of a proof: one per bit of a key's hash.
const MAX_DEPTH: usize = 256;
/// Most bytes of an ICS-23 proof: two paths of the greatest depth.
const MAX_ICS23_LEN: usize = 64 * 1024;

/// Why evidence cannot be written in the contracts' formats.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A packet has no compact form.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The checkpoint's signatures are malformed.
    #[error("the checkpoint's signatures: {0}")]
    Signature(#[from] SignatureError),
    /// The signers given are not a quorum.
    #[error("power {signed} of {total} signed the checkpoint; more than two thirds are needed")]
    QuorumNotReached {
        /// The power that signed.
        signed: u64,
        /// The set's power.
        total: u64,
    },
    /// A proof is no ICS-23 proof of a Jellyfish Merkle Tree of the kind needed.
    #[error("the {0} proof is not an ICS-23 proof of a Jellyfish Merkle Tree")]
    Proof(&'static str),
    /// The blocks given do not lead to the head.
    #[error("the outbox blocks given do not lead to the head that is proven")]
    OutboxHead,
    /// The evidence for the items is missing.
    #[error("there are {0} items and no proof for them")]
    Missing(&'static str),
    /// Something is too long for its length field.
    #[error("{0} do not fit the format")]
    TooMany(&'static str),
}

fn count16(count: usize, what: &'static str) -> Result<[u8; 2], EncodeError> {
    Ok(u16::try_from(count).map_err(|_| EncodeError::TooMany(what))?.to_be_bytes())
}

/// The 112-byte header of a checkpoint.
#[must_use]
pub fn header(c: &Checkpoint) -> Vec<u8> {
    [&c.height.0.to_be_bytes()[..], &c.time.0.to_be_bytes(), &c.app_hash, &c.set_hash, &c.next_set_hash].concat()
}

/// `at`, form 0: the state is stored already.
#[must_use]
pub fn stored_state(header: &[u8]) -> Vec<u8> {
    [&[0], header].concat()
}

/// `at`, form 1 or 2: an update, with as few signatures as make a quorum.
pub fn update(signed: &SignedCheckpoint) -> Result<Vec<u8>, EncodeError> {
    let c = &signed.checkpoint;
    let rotates = c.set_hash != c.next_set_hash;
    let mut at = vec![if rotates { 2 } else { 1 }];
    at.extend_from_slice(&c.height.0.to_be_bytes());
    at.extend_from_slice(&c.time.0.to_be_bytes());
    at.extend_from_slice(&c.app_hash);
    if rotates {
        at.extend_from_slice(&c.next_set_hash);
    }
    at.extend_from_slice(&certificate(signed)?);
    Ok(at)
}

fn certificate(signed: &SignedCheckpoint) -> Result<Vec<u8>, EncodeError> {
    let validators = signed.set.validators();
    let chosen = lightest_quorum(signed)?;
    let n = u8::try_from(validators.len()).map_err(|_| EncodeError::TooMany("validators"))?;
    let mut bytes = vec![n];
    let mut bitmap = vec![0_u8; validators.len().div_ceil(8)];
    let mut signatures = vec![];
    for (at, validator) in validators.iter().enumerate() {
        bytes.extend_from_slice(validator.address.as_slice());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&validator.power.to_be_bytes());
        if let Some(signature) = chosen.get(&validator.address)
            && let Some(byte) = bitmap.get_mut(at / 8)
        {
            *byte |= 1 << (at % 8);
            signatures.extend_from_slice(&compact_signature(signature));
        }
    }
    bytes.extend_from_slice(&bitmap);
    bytes.extend_from_slice(&signatures);
    Ok(bytes)
}

/// EIP-2098: the parity of the point stands in the highest bit of `s`.
fn compact_signature(signature: &[u8; 65]) -> [u8; 64] {
    let (rs, v) = signature.split_at(64);
    let mut compact = [0; 64];
    compact.copy_from_slice(rs);
    if let Some(byte) = compact.get_mut(32)
        && v == [28]
    {
        *byte |= 0x80;
    }
    compact
}

/// The heaviest signers, just enough for a quorum: each signature costs gas.
fn lightest_quorum(signed: &SignedCheckpoint) -> Result<BTreeMap<Address, [u8; 65]>, EncodeError> {
    let anybody = |_: &Address| Ok::<(), SignatureError>(());
    let signers = recover_ascending(&signed.checkpoint.digest(), &signed.signatures, anybody)?;
    let mut weighted: Vec<(u64, Address, [u8; 65])> = signers
        .into_iter()
        .zip(&signed.signatures)
        .filter_map(|(signer, signature)| Some((signed.set.power_of(&signer)?, signer, *signature)))
        .collect();
    weighted.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let total = signed.set.total_power();
    let reached = |power: u64| u128::from(power).saturating_mul(3) > u128::from(total).saturating_mul(2);
    let mut power = 0_u64;
    let mut chosen = BTreeMap::new();
    for (weight, signer, signature) in weighted {
        if reached(power) {
            break;
        }
        power = power.saturating_add(weight);
        chosen.insert(signer, signature);
    }
    if reached(power) { Ok(chosen) } else { Err(EncodeError::QuorumNotReached { signed: power, total }) }
}

fn decode_ics23(proof: &[u8], what: &'static str) -> Result<Proof, EncodeError> {
    if proof.len() > MAX_ICS23_LEN {
        return Err(EncodeError::Proof(what));
    }
    let decoded = ics23::CommitmentProof::decode(proof).map_err(|_| EncodeError::Proof(what))?;
    decoded.proof.ok_or(EncodeError::Proof(what))
}

/// The siblings of an existence proof, from the leaf up.
fn siblings(proof: &ics23::ExistenceProof, what: &'static str) -> Result<Vec<[u8; 32]>, EncodeError> {
    if proof.path.len() > MAX_DEPTH {
        return Err(EncodeError::Proof(what));
    }
    let sibling = |step: &ics23::InnerOp| match (step.prefix.get(INNER_PREFIX_LEN..)?, step.suffix.as_slice()) {
        (left, []) => left.try_into().ok(),
        ([], right) => right.try_into().ok(),
        _ => None,
    };
    proof.path.iter().map(|step| sibling(step).ok_or(EncodeError::Proof(what))).collect()
}

fn membership(proof: &[u8]) -> Result<Vec<[u8; 32]>, EncodeError> {
    Ok(Siblings::membership(proof).map_err(|_| EncodeError::Proof("outbox"))?.siblings)
}

/// A JMT absence proof: the one leaf that shows that the key has no place of its own.
pub fn absence(proof: &[u8]) -> Result<Vec<u8>, EncodeError> {
    const WHAT: &str = "absence";
    let Proof::Nonexist(absent) = decode_ics23(proof, WHAT)? else { return Err(EncodeError::Proof(WHAT)) };
    let wanted = sha256(&[&absent.key]);
    for neighbour in [absent.left, absent.right].into_iter().flatten() {
        let siblings = siblings(&neighbour, WHAT)?;
        let key_hash = sha256(&[&neighbour.key]);
        let shared = shared_bits(&wanted, &key_hash);
        let above = siblings.len().checked_sub(shared).and_then(|n| n.checked_sub(1));
        // From the leaf up, the sibling at bit `shared` is number `depth - 1 - shared`.
        let shows = match above {
            None => true,
            Some(at) => siblings.get(at).is_some_and(|sibling| *sibling == PLACEHOLDER),
        };
        if shows && wanted != key_hash {
            return Ok([&key_hash[..], &sha256(&[&neighbour.value]), siblings.as_flattened()].concat());
        }
    }
    Err(EncodeError::Proof(WHAT))
}

/// How many leading bits two hashes share.
fn shared_bits(a: &[u8; 32], b: &[u8; 32]) -> usize {
    let mut bits = 0_usize;
    for (x, y) in a.iter().zip(b) {
        let same = (x ^ y).leading_zeros();
        bits = bits.saturating_add(usize::try_from(same).unwrap_or_default());
        if same < 8 {
            break;
        }
    }
    bits
}

/// Which list of a native chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Packets sent: recv items.
    Sent,
    /// Acks written: ack items.
    Acked,
}

/// One item's place in the list: the path its leaf is under, and the value.
fn leaf_of(item: &RelayItem) -> Option<(List, Path, Hash)> {
    match item {
        RelayItem::Recv { packet } => Some((List::Sent, packet.commitment_path(), packet.commitment())),
        RelayItem::Ack { packet, ack } => Some((List::Acked, packet.ack_path(), ack::commitment(ack))),
        RelayItem::Timeout { .. } => None,
    }
}

/// A batch with its proof, ready to be a call's arguments.
#[derive(Debug)]
pub struct ProvenBatch {
    /// The outbox proof; empty for timeouts, whose proofs stand beside their records.
    pub outbox: Vec<u8>,
    /// The batch.
    pub items: Vec<u8>,
    /// For each item of the batch its place in the list that was given.
    pub places: Vec<usize>,
}

/// Items of one list with one outbox proof. Items that the evidence does not hold are left out.
pub fn outbox_batch(
    list: List,
    evidence: &OutboxEvidence,
    items: &[(usize, &RelayItem)],
) -> Result<ProvenBatch, EncodeError> {
    // Which item stands where: path and value decide, not the order given.
    let mut wanted: BTreeMap<(Sequence, Hash), (usize, &RelayItem, Path)> = BTreeMap::new();
    for (place, item) in items {
        if let Some((of, path, value)) = leaf_of(item)
            && of == list
        {
            wanted.insert((path.sequence, value), (*place, item, path));
        }
    }
    let path_of = |sequence: Sequence| wanted.values().next().map(|(_, _, path)| Path { sequence, ..path.clone() });
    let membership = membership(&evidence.membership)?;
    let mut bytes = count16(membership.len(), "siblings")?.to_vec();
    bytes.extend_from_slice(membership.as_flattened());
    bytes.extend_from_slice(&evidence.previous_head);
    bytes.extend_from_slice(&count16(evidence.blocks.len(), "outbox blocks")?);
    let mut batch = Batch::new(match list {
        List::Sent => Direction::In,
        List::Acked => Direction::Out,
    });
    let mut places = vec![];
    let mut head = evidence.previous_head;
    for block in &evidence.blocks {
        let leaves = block_leaves(block, &path_of).ok_or(EncodeError::Missing("recv or ack"))?;
        let root = outbox::root(&leaves).ok_or(EncodeError::OutboxHead)?;
        head = outbox::next_head(&head, &root);
        let mut indices: Vec<u64> = vec![];
        for (at, entry) in block.entries.iter().enumerate() {
            let Some((place, item, _)) = wanted.get(entry) else { continue };
            let at = u32::try_from(at).map_err(|_| EncodeError::TooMany("outbox entries"))?;
            push(&mut batch, item)?;
            indices.push(at.into());
            places.push(*place);
        }
        bytes.extend_from_slice(&count16(indices.len(), "items")?);
        if indices.is_empty() {
            bytes.extend_from_slice(&root);
            continue;
        }
        let count = u32::try_from(leaves.len()).map_err(|_| EncodeError::TooMany("outbox entries"))?;
        bytes.extend_from_slice(&count.to_be_bytes());
        for index in &indices {
            let index = u32::try_from(*index).map_err(|_| EncodeError::TooMany("outbox entries"))?;
            bytes.extend_from_slice(&index.to_be_bytes());
        }
        let nodes = outbox::prove(&leaves, &indices);
        bytes.extend_from_slice(&count16(nodes.len(), "proof nodes")?);
        bytes.extend_from_slice(nodes.as_flattened());
    }
    if head != evidence.head {
        return Err(EncodeError::OutboxHead);
    }
    Ok(ProvenBatch { outbox: bytes, items: batch.into_bytes(), places })
}

fn block_leaves(block: &OutboxBlock, path_of: &impl Fn(Sequence) -> Option<Path>) -> Option<Vec<Hash>> {
    block.entries.iter().map(|(sequence, value)| Some(outbox::leaf(&path_of(*sequence)?, value))).collect()
}

fn push(batch: &mut Batch, item: &RelayItem) -> Result<(), EncodeError> {
    let before = match item {
        RelayItem::Recv { .. } | RelayItem::Timeout { .. } => vec![],
        // Kind 1 is a success, its preimage after it; kind 0 the universal error. Anything else is for the
        // contract to refuse: the source must never settle or refund on it.
        RelayItem::Ack { ack, .. } if ack.len() == 33 && ack.first() == Some(&1) => ack.clone(),
        RelayItem::Ack { ack, .. } if *ack == ack::UNIVERSAL_ERROR_ACK => vec![0],
        RelayItem::Ack { .. } => return Err(RecordError::Field("acknowledgement").into()),
    };
    Ok(batch.push(&before, item.packet())?)
}

/// Timeout items, each with its absence proof before its record.
pub fn timeout_batch(
    evidence: &CheckpointEvidence,
    items: &[(usize, usize, &RelayItem)],
) -> Result<ProvenBatch, EncodeError> {
    let mut batch = Batch::new(Direction::Out);
    let mut places = vec![];
    for (place, number, item) in items {
        let proof = evidence.absences.get(*number).ok_or(EncodeError::Missing("timeout"))?;
        let proof = absence(proof)?;
        let mut before = count16(proof.len(), "absence proof bytes")?.to_vec();
        before.extend_from_slice(&proof);
        batch.push(&before, item.packet())?;
        places.push(*place);
    }
    Ok(ProvenBatch { outbox: vec![], items: batch.into_bytes(), places })
}
