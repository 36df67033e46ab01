//! What bridge validators sign.

use alloy_primitives::{Address, U256, keccak256};
use alloy_sol_types::SolValue;
use crosspoint_protocol::ids::{ChainId, Height, Timestamp};
use serde::{Deserialize, Serialize};

use super::set::BridgeSet;
use crate::serde_hex;
use crate::signature::SigningKey;

const DOMAIN: &str = "crosspoint/checkpoint/v1";

/// A statement about one header of a native chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The native chain.
    pub chain_id: ChainId,
    /// The header's height H.
    pub height: Height,
    /// The header's time, floored to whole seconds.
    pub time: Timestamp,
    /// The app hash in header H: the root of the state after block H - 1.
    #[serde(with = "serde_hex::array")]
    pub app_hash: [u8; 32],
    /// The hash of the set that signs H.
    #[serde(with = "serde_hex::array")]
    pub set_hash: [u8; 32],
    /// The hash of the set that signs H + 1.
    #[serde(with = "serde_hex::array")]
    pub next_set_hash: [u8; 32],
}

impl Checkpoint {
    /// What is signed: `keccak256(abi.encode(DOMAIN, keccak256(chainId), height, time, appHash, setHash, nextSetHash))`.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let words = (
            keccak256(DOMAIN),
            keccak256(self.chain_id.as_bytes()),
            U256::from(self.height.0),
            U256::from(self.time.0),
            alloy_primitives::B256::from(self.app_hash),
            alloy_primitives::B256::from(self.set_hash),
            alloy_primitives::B256::from(self.next_set_hash),
        );
        keccak256(words.abi_encode()).0
    }

    /// This validator's signature.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> [u8; 65] {
        key.sign(&self.digest())
    }
}

/// A checkpoint with the set that signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedCheckpoint {
    /// The statement.
    pub checkpoint: Checkpoint,
    /// The set that signs the header; its hash is `checkpoint.set_hash`.
    pub set: BridgeSet,
    /// The next set, when it is another one and the sender has it; its hash is `checkpoint.next_set_hash`.
    pub next_set: Option<BridgeSet>,
    /// `r ‖ s ‖ v` each, ascending by the signer's address.
    #[serde(with = "serde_hex::arrays")]
    pub signatures: Vec<[u8; 65]>,
}

impl SignedCheckpoint {
    /// Puts signatures with their signers' addresses into the order the client wants.
    #[must_use]
    pub fn assemble(
        checkpoint: Checkpoint,
        set: BridgeSet,
        next_set: Option<BridgeSet>,
        mut signed: Vec<(Address, [u8; 65])>,
    ) -> Self {
        signed.sort_by_key(|(address, _)| *address);
        signed.dedup_by_key(|(address, _)| *address);
        Self { checkpoint, set, next_set, signatures: signed.into_iter().map(|(_, signature)| signature).collect() }
    }

    /// Signs with all of these keys.
    #[must_use]
    pub fn sign(checkpoint: Checkpoint, set: BridgeSet, next_set: Option<BridgeSet>, keys: &[SigningKey]) -> Self {
        let signed = keys.iter().map(|key| (key.address(), checkpoint.sign(key))).collect();
        Self::assemble(checkpoint, set, next_set, signed)
    }
}
