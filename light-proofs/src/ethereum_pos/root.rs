//! SSZ hash tree roots (consensus specifications, ssz/simple-serialize) of what light clients handle.

use alloy_primitives::{B256, FixedBytes, U256};
use crosspoint_protocol::sha256;

use super::network::{Fork, Place};
use super::types::{BeaconHeader, ExecutionPayloadHeader, SyncCommittee};

fn pair(left: &B256, right: &B256) -> B256 {
    sha256(&[left.as_slice(), right.as_slice()]).into()
}

/// The root of a vector of chunks, padded with zero chunks to the next power of two.
pub(super) fn merkle_root(chunks: &[B256]) -> B256 {
    let mut level = chunks.to_vec();
    level.resize(chunks.len().max(1).next_power_of_two(), B256::ZERO);
    while level.len() > 1 {
        level = level.chunks(2).map(|two| pair(&word(two, 0), &word(two, 1))).collect();
    }
    word(&level, 0)
}

fn word(words: &[B256], at: usize) -> B256 {
    words.get(at).copied().unwrap_or_default()
}

/// At most 32 bytes as a chunk, padded on the right.
pub(super) fn pad(bytes: &[u8]) -> B256 {
    B256::right_padding_from(bytes)
}

fn number(n: u64) -> B256 {
    pad(&n.to_le_bytes())
}

/// A public key: 48 bytes in two chunks.
fn key_root(key: &FixedBytes<48>) -> B256 {
    let (first, second) = key.split_at(32);
    pair(&pad(first), &pad(second))
}

/// Whether `leaf` stands at `place` under `root`. A branch longer than the place is deep must begin with zeros: so a
/// later fork writes the branch of an earlier one (`is_valid_normalized_merkle_branch`).
pub(super) fn is_member(leaf: B256, branch: &[B256], place: Place, root: B256) -> bool {
    let Some(extra) = branch.len().checked_sub(place.depth) else { return false };
    let (padding, branch) = branch.split_at(extra);
    if padding.iter().any(|word| !word.is_zero()) {
        return false;
    }
    let climbed = branch.iter().enumerate().fold(leaf, |node, (level, sibling)| {
        let right = place.index.checked_shr(u32::try_from(level).unwrap_or(u32::MAX)).unwrap_or_default() & 1 == 1;
        if right { pair(sibling, &node) } else { pair(&node, sibling) }
    });
    climbed == root
}

impl BeaconHeader {
    /// The header's root: the block's name.
    #[must_use]
    pub fn root(&self) -> B256 {
        let numbers = [number(self.slot), number(self.proposer_index)];
        merkle_root(&[numbers.as_slice(), &[self.parent_root, self.state_root, self.body_root]].concat())
    }
}

impl SyncCommittee {
    /// The committee's root.
    #[must_use]
    pub fn root(&self) -> B256 {
        let keys: Vec<B256> = self.pubkeys.iter().map(key_root).collect();
        pair(&merkle_root(&keys), &key_root(&self.aggregate_pubkey))
    }
}

impl ExecutionPayloadHeader {
    /// The root, with the fields that a fork has; `None` before Capella.
    #[must_use]
    pub fn root(&self, fork: Fork) -> Option<B256> {
        if fork < Fork::Capella {
            return None;
        }
        let bloom: Vec<B256> = self.logs_bloom.chunks(32).map(pad).collect();
        // A list of at most 32 bytes: one chunk, and the length mixed in.
        let length = number(u64::try_from(self.extra_data.len()).ok()?);
        let extra_data = pair(&pad(&self.extra_data), &length);
        let mut fields = vec![
            self.parent_hash,
            pad(self.fee_recipient.as_slice()),
            self.state_root,
            self.receipts_root,
            merkle_root(&bloom),
            self.prev_randao,
            number(self.block_number),
            number(self.gas_limit),
            number(self.gas_used),
            number(self.timestamp),
            extra_data,
            pad(&self.base_fee_per_gas.to_le_bytes::<{ U256::BYTES }>()),
            self.block_hash,
            self.transactions_root,
            self.withdrawals_root,
        ];
        if fork >= Fork::Deneb {
            fields.extend([number(self.blob_gas_used), number(self.excess_blob_gas)]);
        }
        Some(merkle_root(&fields))
    }
}
