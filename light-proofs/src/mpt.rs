//! Merkle-Patricia proofs of Ethereum state (EIP-1186): an account in a state root, a slot in its
//! storage root, present or absent.
//!
//! Nodes are decoded by `alloy-trie`; the walk is ours, because a state root signed by a hostile quorum
//! may commit to nodes that no honest trie has (paths longer than a key, nodes inside nodes), and
//! those must be refused, not panicked at.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::{Decodable, Header};
use alloy_trie::nodes::TrieNode;
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};

/// Most nodes of a proof: one per nibble of a key and the root.
pub const MAX_NODES: usize = 65;
/// Most bytes of one node: a branch of sixteen hashes has 532, a leaf with an account about 110.
pub const MAX_NODE_LEN: usize = 1024;
/// What an RLP string of 32 bytes begins with.
const HASH_CODE: u8 = alloy_rlp::EMPTY_STRING_CODE + 32;

/// Why a proof does not prove what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MptError {
    /// More than [`MAX_NODES`].
    #[error("a proof of {0} nodes is longer than {MAX_NODES}")]
    TooManyNodes(usize),
    /// A node is longer than [`MAX_NODE_LEN`].
    #[error("proof node {index} of {len} bytes is longer than {MAX_NODE_LEN}")]
    NodeTooLong {
        /// Which node, from the root.
        index: usize,
        /// Its length.
        len: usize,
    },
    /// A node is not the one its parent (or the root) names.
    #[error("proof node {index} is not the one its parent names")]
    HashMismatch {
        /// Which node, from the root.
        index: usize,
    },
    /// A node is no RLP trie node.
    #[error("proof node {index} is not a trie node")]
    Malformed {
        /// Which node, from the root.
        index: usize,
    },
    /// A node's path goes past the end of the key.
    #[error("proof node {index} leads past the end of the key")]
    PathTooLong {
        /// Which node, from the root.
        index: usize,
    },
    /// The nodes end before the key's place is reached.
    #[error("the proof ends after {0} nodes, before the key's place")]
    Truncated(usize),
    /// Nodes follow after the key's place was reached.
    #[error("the key's place is reached at node {index}, but more nodes follow")]
    TrailingNodes {
        /// The last node needed.
        index: usize,
    },
    /// There is no such account: its storage says nothing.
    #[error("the account {0} does not exist in this state")]
    AbsentAccount(Address),
    /// The account's value is not an account.
    #[error("the account's value is not the RLP of an account")]
    Account,
    /// Nothing is stored in the slot.
    #[error("nothing is stored in slot {slot}")]
    AbsentSlot {
        /// The slot.
        slot: B256,
    },
    /// Something is stored in the slot that should be empty.
    #[error("slot {slot} is not empty: it holds {found}")]
    PresentSlot {
        /// The slot.
        slot: B256,
        /// What it holds.
        found: B256,
    },
    /// The slot holds something else.
    #[error("slot {slot} holds {found}, not {expected}")]
    ValueMismatch {
        /// The slot.
        slot: B256,
        /// What it holds.
        found: B256,
        /// What was to be proven.
        expected: B256,
    },
    /// The slot's value is not a canonical RLP integer of at most 32 bytes.
    #[error("the value in slot {slot} is not an RLP integer of at most 32 bytes")]
    SlotValue {
        /// The slot.
        slot: B256,
    },
    /// Zero was to be proven as a value; in EVM storage zero means absent.
    #[error("zero is no value: an empty slot is proven as absent")]
    ZeroValue,
}

/// An account as the state commits to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Transactions sent, or contracts created.
    pub nonce: u64,
    /// Its balance in wei.
    pub balance: U256,
    /// The root of its storage.
    pub storage_root: B256,
    /// The hash of its code.
    pub code_hash: B256,
}

/// The value at `key` in the trie with this root, as the proof shows; `None` if it shows that there is none.
pub fn lookup(root: &B256, key: &B256, proof: &[Bytes]) -> Result<Option<Vec<u8>>, MptError> {
    if proof.len() > MAX_NODES {
        return Err(MptError::TooManyNodes(proof.len()));
    }
    let empty_proof = match proof {
        [] => true,
        [only] => only.as_ref() == [alloy_rlp::EMPTY_STRING_CODE],
        _ => false,
    };
    if *root == EMPTY_ROOT_HASH && empty_proof {
        return Ok(None);
    }
    let mut walk = Walk { key: Nibbles::unpack_array(&key.0), depth: 0 };
    let mut expected = *root;
    for (index, node) in proof.iter().enumerate() {
        if node.len() > MAX_NODE_LEN {
            return Err(MptError::NodeTooLong { index, len: node.len() });
        }
        if keccak256(node) != expected {
            return Err(MptError::HashMismatch { index });
        }
        match walk.step(index, node)? {
            Step::Into(next) => expected = next,
            Step::End(_) if index.saturating_add(1) < proof.len() => return Err(MptError::TrailingNodes { index }),
            Step::End(value) => return Ok(value),
        }
    }
    Err(MptError::Truncated(proof.len()))
}

/// Where one proof node leads.
enum Step {
    /// To the node with this hash.
    Into(B256),
    /// To the key's place, with the value there or nothing.
    End(Option<Vec<u8>>),
}

/// A way down the trie along a key.
struct Walk {
    key: Nibbles,
    depth: usize,
}

impl Walk {
    /// Follows one hashed node and all nodes embedded in it.
    fn step(&mut self, index: usize, node: &[u8]) -> Result<Step, MptError> {
        let mut node = decode(index, node)?;
        loop {
            let child = match node {
                TrieNode::Branch(branch) => {
                    let nibble = self.key.get(self.depth).ok_or(MptError::PathTooLong { index })?;
                    self.depth = self.depth.saturating_add(1);
                    let branch = branch.as_ref();
                    let child = branch.children().find_map(|(at, child)| child.filter(|_| at == nibble));
                    match child {
                        Some(child) => child.clone(),
                        None => return Ok(Step::End(None)),
                    }
                }
                TrieNode::Extension(extension) => {
                    if !self.follows(&extension.key, index)? {
                        return Ok(Step::End(None));
                    }
                    self.depth = self.depth.saturating_add(extension.key.len());
                    extension.child
                }
                TrieNode::Leaf(leaf) => {
                    let here = self.follows(&leaf.key, index)?;
                    if self.depth.saturating_add(leaf.key.len()) != self.key.len() {
                        return Err(MptError::PathTooLong { index });
                    }
                    return Ok(Step::End(here.then_some(leaf.value)));
                }
                TrieNode::EmptyRoot => return Err(MptError::Malformed { index }),
            };
            match child.as_hash() {
                Some(hash) if child.first() == Some(&HASH_CODE) => return Ok(Step::Into(hash)),
                // As long as a hash, but a list: no node that long stands within another.
                Some(_) => return Err(MptError::Malformed { index }),
                // Each embedded node is shorter than the one around it, so this ends.
                None => node = decode(index, &child)?,
            }
        }
    }

    /// Whether the rest of the key starts with this path; an error if the path is longer than the rest.
    fn follows(&self, path: &Nibbles, index: usize) -> Result<bool, MptError> {
        let end = self.depth.saturating_add(path.len());
        if end > self.key.len() {
            return Err(MptError::PathTooLong { index });
        }
        Ok(self.key.slice(self.depth..end) == *path)
    }
}

fn decode(index: usize, rlp: &[u8]) -> Result<TrieNode, MptError> {
    let mut rest = rlp;
    let node = TrieNode::decode(&mut rest).map_err(|_| MptError::Malformed { index })?;
    if rest.is_empty() { Ok(node) } else { Err(MptError::Malformed { index }) }
}

/// Proves an account in a state. An absent account is an error.
pub fn verify_account(state_root: &B256, address: &Address, proof: &[Bytes]) -> Result<Account, MptError> {
    let value = lookup(state_root, &keccak256(address), proof)?.ok_or(MptError::AbsentAccount(*address))?;
    decode_account(&value).map_err(|_| MptError::Account)
}

/// `rlp([nonce, balance, storageRoot, codeHash])`, and nothing else.
fn decode_account(value: &[u8]) -> alloy_rlp::Result<Account> {
    let mut rest = value;
    let list = Header::decode(&mut rest)?;
    if !list.list || list.payload_length != rest.len() {
        return Err(alloy_rlp::Error::UnexpectedLength);
    }
    let account = Account {
        nonce: u64::decode(&mut rest)?,
        balance: U256::decode(&mut rest)?,
        storage_root: B256::decode(&mut rest)?,
        code_hash: B256::decode(&mut rest)?,
    };
    if rest.is_empty() { Ok(account) } else { Err(alloy_rlp::Error::UnexpectedLength) }
}

/// What a slot holds, as the proof shows; `None` if it shows that the slot is empty.
///
/// Empty is what the EVM reads as zero. Ethereum's tries have no leaf for it; anvil's keep one, of the RLP
/// of zero, for every slot that was read or deleted. Both are bound to the same root, so both prove it.
///
/// # Errors
/// The proof does not lead from `storage_root`, or the value is no canonical RLP integer of 32 bytes at most.
pub fn read_storage(storage_root: &B256, slot: &B256, proof: &[Bytes]) -> Result<Option<B256>, MptError> {
    let Some(value) = lookup(storage_root, &keccak256(slot), proof)? else { return Ok(None) };
    let malformed = MptError::SlotValue { slot: *slot };
    let number = U256::decode(&mut value.as_slice()).map_err(|_| malformed)?;
    if alloy_rlp::encode(number) != value {
        return Err(malformed);
    }
    Ok((!number.is_zero()).then(|| number.into()))
}

/// Proves that a slot holds exactly this value.
pub fn verify_storage(storage_root: &B256, slot: &B256, expected: &B256, proof: &[Bytes]) -> Result<(), MptError> {
    match read_storage(storage_root, slot, proof)? {
        None => Err(MptError::AbsentSlot { slot: *slot }),
        Some(found) if found == *expected => Ok(()),
        Some(found) => Err(MptError::ValueMismatch { slot: *slot, found, expected: *expected }),
    }
}

/// Proves that a slot is empty.
pub fn verify_storage_absence(storage_root: &B256, slot: &B256, proof: &[Bytes]) -> Result<(), MptError> {
    match read_storage(storage_root, slot, proof)? {
        None => Ok(()),
        Some(found) => Err(MptError::PresentSlot { slot: *slot, found }),
    }
}
