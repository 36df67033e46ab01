//! Binding a bridge key to a consensus key: each signs that it belongs to the other, before the
//! bridge key joins the set. Without it a validator could claim another's bridge key as its own.

use alloy_primitives::{Address, keccak256};
use alloy_sol_types::SolValue;
use crosspoint_protocol::ids::ChainId;
use ed25519_dalek::{Signature, Signer, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::serde_hex;
use crate::signature::{SignatureError, SigningKey, recover};

const CONSENSUS_DOMAIN: &str = "crosspoint/bind-consensus-key/v1";
const BRIDGE_DOMAIN: &str = "crosspoint/bind-bridge-key/v1";

/// Why two keys are not bound to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// The consensus key is no ed25519 point, or a weak one.
    #[error("the consensus key is not a valid ed25519 public key")]
    ConsensusKey,
    /// The consensus key did not sign for this bridge key on this chain.
    #[error("the consensus key did not sign for bridge key {bridge}")]
    ConsensusSignature {
        /// The bridge key's address.
        bridge: Address,
    },
    /// The bridge key's signature is malformed.
    #[error(transparent)]
    BridgeSignature(#[from] SignatureError),
    /// Another key signed for this consensus key.
    #[error("{found} signed for the consensus key, not {expected}")]
    BridgeSigner {
        /// Who signed.
        found: Address,
        /// The bridge key named in the binding.
        expected: Address,
    },
}

/// Two keys with each one's signature over the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyBinding {
    /// The validator's ed25519 consensus public key.
    #[serde(with = "serde_hex::array")]
    pub consensus_key: [u8; 32],
    /// The address of its secp256k1 bridge key.
    pub bridge_address: Address,
    /// The consensus key's signature over the chain id and the bridge address.
    #[serde(with = "serde_hex::array")]
    pub consensus_signature: [u8; 64],
    /// The bridge key's signature over the chain id and the consensus key.
    #[serde(with = "serde_hex::array")]
    pub bridge_signature: [u8; 65],
}

impl KeyBinding {
    /// Signs with both keys.
    #[must_use]
    pub fn new(chain_id: &ChainId, consensus: &ed25519_dalek::SigningKey, bridge: &SigningKey) -> Self {
        let consensus_key = consensus.verifying_key().to_bytes();
        Self {
            consensus_key,
            bridge_address: bridge.address(),
            consensus_signature: consensus.sign(&consensus_statement(chain_id, &bridge.address())).to_bytes(),
            bridge_signature: bridge.sign(&bridge_statement(chain_id, &consensus_key)),
        }
    }

    /// Checks both signatures. That neither key is bound otherwise is for the chain to check.
    pub fn verify(&self, chain_id: &ChainId) -> Result<(), BindingError> {
        let key = VerifyingKey::from_bytes(&self.consensus_key).map_err(|_| BindingError::ConsensusKey)?;
        if key.is_weak() {
            return Err(BindingError::ConsensusKey);
        }
        let bridge = self.bridge_address;
        key.verify_strict(&consensus_statement(chain_id, &bridge), &Signature::from_bytes(&self.consensus_signature))
            .map_err(|_| BindingError::ConsensusSignature { bridge })?;
        let found = recover(&bridge_statement(chain_id, &self.consensus_key), &self.bridge_signature, 0)?;
        if found == bridge { Ok(()) } else { Err(BindingError::BridgeSigner { found, expected: bridge }) }
    }
}

/// What the consensus key signs: `keccak256(abi.encode(DOMAIN, keccak256(chainId), bridgeAddress))`.
fn consensus_statement(chain_id: &ChainId, bridge: &Address) -> [u8; 32] {
    let words = (keccak256(CONSENSUS_DOMAIN), keccak256(chain_id.as_bytes()), *bridge);
    keccak256(words.abi_encode()).0
}

/// What the bridge key signs: `keccak256(abi.encode(DOMAIN, keccak256(chainId), consensusKey))`.
fn bridge_statement(chain_id: &ChainId, consensus_key: &[u8; 32]) -> [u8; 32] {
    let words =
        (keccak256(BRIDGE_DOMAIN), keccak256(chain_id.as_bytes()), alloy_primitives::B256::from(*consensus_key));
    keccak256(words.abi_encode()).0
}
