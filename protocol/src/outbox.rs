//! Outboxes: one list of packets sent and one of acks written per client, so that one proof serves
//! all of a block (the fast path from the native chain to EVM).
//!
//! - leaf: `sha256(0x00 ‖ client ‖ kind ‖ u64be(sequence) ‖ commitment)`, that is `0x00`, the path, the value
//! - node: `sha256(0x01 ‖ left ‖ right)`; a last node without a partner moves up unchanged
//! - block root: `sha256(0x02 ‖ u64be(number of leaves) ‖ top node)`
//! - head: `sha256(previous head ‖ block root)`; before the first block it is 32 zero bytes
//!
//! A block with nothing in a list leaves that list's head as it was.

use crate::path::Path;
use crate::sha256;

/// A SHA-256 hash in a tree.
pub type Hash = [u8; 32];

/// The head of a list before its first block.
pub const EMPTY_HEAD: Hash = [0; 32];

/// The leaf of a packet sent (commitment path) or an ack written (ack path).
#[must_use]
pub fn leaf(path: &Path, commitment: &Hash) -> Hash {
    sha256(&[&[0], &path.to_bytes(), commitment])
}

/// An inner node.
#[must_use]
pub fn node(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// The head after a block with this root.
#[must_use]
pub fn next_head(previous: &Hash, block_root: &Hash) -> Hash {
    sha256(&[previous, block_root])
}

/// The block root over a tree with `count` leaves and this top node.
#[must_use]
pub fn block_root(count: u64, top: &Hash) -> Hash {
    sha256(&[&[2], &count.to_be_bytes(), top])
}

/// One level up: pairs are hashed, an odd last node moves up unchanged.
#[must_use]
pub fn next_level(level: &[Hash]) -> Vec<Hash> {
    level
        .chunks(2)
        .map(|pair| match pair {
            [left, right] => node(left, right),
            [only] => *only,
            _ => EMPTY_HEAD, // chunks(2) yields one or two
        })
        .collect()
}

/// The root over one block's leaves, in the order they were written; `None` if there are none.
#[must_use]
pub fn root(leaves: &[Hash]) -> Option<Hash> {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = next_level(&level);
    }
    Some(block_root(leaves.len() as u64, level.first()?))
}

/// Proves which leaves stand in a tree of `count` leaves: the top node rebuilt from the leaves at
/// strictly rising `indices` and, level by level from the left, the nodes that cannot be derived.
///
/// Returns `None` if the leaves and nodes given are too few, too many or out of order.
#[must_use]
pub fn root_from_proof(count: u64, leaves: &[(u64, Hash)], proof: &[Hash]) -> Option<Hash> {
    let ascending = leaves.windows(2).all(|pair| matches!(pair, [(a, _), (b, _)] if a < b));
    if leaves.is_empty() || !ascending || leaves.last().is_some_and(|(index, _)| *index >= count) {
        return None;
    }
    let mut rest = proof.iter();
    let mut width = count;
    let mut known = leaves.to_vec();
    while width > 1 {
        let mut up = Vec::with_capacity(known.len());
        let mut nodes = known.iter().peekable();
        while let Some((index, hash)) = nodes.next() {
            let parent = index >> 1;
            if index & 1 == 1 {
                up.push((parent, node(rest.next()?, hash)));
            } else if index.checked_add(1)? == width {
                up.push((parent, *hash));
            } else if let Some((_, right)) = nodes.next_if(|(next, _)| *next == index | 1) {
                up.push((parent, node(hash, right)));
            } else {
                up.push((parent, node(hash, rest.next()?)));
            }
        }
        known = up;
        width = width.div_ceil(2);
    }
    match (known.as_slice(), rest.next()) {
        ([(0, top)], None) => Some(block_root(count, top)),
        _ => None,
    }
}

/// The nodes that [`root_from_proof`] needs beside the leaves at `indices` (strictly rising).
#[must_use]
pub fn prove(leaves: &[Hash], indices: &[u64]) -> Vec<Hash> {
    let mut proof = vec![];
    let mut level = leaves.to_vec();
    let mut known = indices.to_vec();
    while level.len() > 1 {
        let mut up = Vec::with_capacity(known.len());
        for index in &known {
            let sibling = index ^ 1;
            up.push(index >> 1);
            if known.binary_search(&sibling).is_err()
                && let Some(hash) = usize::try_from(sibling).ok().and_then(|at| level.get(at))
            {
                proof.push(*hash);
            }
        }
        up.dedup();
        known = up;
        level = next_level(&level);
    }
    proof
}
