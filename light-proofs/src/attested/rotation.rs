//! Changing the attestor set: the old set signs the new one.

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::SolValue;
use crosspoint_protocol::ids::Timestamp;
use serde::{Deserialize, Serialize};

use super::set::{Attestors, MAX_PAST, PastAttestors};
use super::verify::{AttestedError, ClientState};
use crate::serde_hex;
use crate::signature::SigningKey;

const DOMAIN: &str = "crosspoint/attestor-rotation/v1";

/// A statement that the attestors of an epoch hand over to another set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// The EIP-155 chain id.
    pub chain_id: u64,
    /// The hash of the chain's block 0.
    pub genesis_hash: B256,
    /// The epoch that ends; the new set's is the next.
    pub epoch: u64,
    /// The new set.
    pub attestors: Attestors,
}

impl Rotation {
    /// What is signed: `keccak256(abi.encode(DOMAIN, chainId, genesisHash, epoch, keccak256(one word per
    /// new attestor), threshold))`.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let addresses: Vec<u8> = self.attestors.addresses().iter().flat_map(|address| address.into_word().0).collect();
        let words = (
            keccak256(DOMAIN),
            U256::from(self.chain_id),
            self.genesis_hash,
            U256::from(self.epoch),
            keccak256(addresses),
            U256::from(self.attestors.threshold()),
        );
        keccak256(words.abi_encode()).0
    }
}

/// A rotation with a quorum's signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedRotation {
    /// What was signed.
    pub rotation: Rotation,
    /// `r ‖ s ‖ v` each, ascending by the signer's address.
    #[serde(with = "serde_hex::arrays")]
    pub signatures: Vec<[u8; 65]>,
}

impl SignedRotation {
    /// Puts signatures with their signers' addresses into the order the client wants.
    #[must_use]
    pub fn assemble(rotation: Rotation, mut signed: Vec<(Address, [u8; 65])>) -> Self {
        signed.sort_by_key(|(address, _)| *address);
        signed.dedup_by_key(|(address, _)| *address);
        Self { rotation, signatures: signed.into_iter().map(|(_, signature)| signature).collect() }
    }

    /// Signs with all of these keys.
    #[must_use]
    pub fn sign(rotation: Rotation, keys: &[SigningKey]) -> Self {
        let digest = rotation.digest();
        Self::assemble(rotation, keys.iter().map(|key| (key.address(), key.sign(&digest))).collect())
    }
}

/// Checks a rotation against the client: signed by a quorum of its current attestors, for its chain
/// and its current epoch. The client's next state, one epoch on; it remembers the old set for evidence.
pub fn verify_rotation(
    client: &ClientState,
    signed: &SignedRotation,
    now: Timestamp,
) -> Result<ClientState, AttestedError> {
    client.check_usable(now)?;
    let rotation = &signed.rotation;
    client.check_domain(rotation.chain_id, rotation.genesis_hash, rotation.epoch)?;
    client.attestors.verify_quorum(&rotation.digest(), &signed.signatures)?;
    let mut past = client.past_at(now);
    if past.len() >= MAX_PAST {
        return Err(AttestedError::TooManyRotations);
    }
    let (epoch, attestors) = (client.epoch, client.attestors.clone());
    past.push(PastAttestors { epoch, attestors, last_time: client.latest.time });
    let (attestors, epoch) = (rotation.attestors.clone(), epoch.saturating_add(1));
    Ok(ClientState { attestors, epoch, past, ..client.clone() })
}
