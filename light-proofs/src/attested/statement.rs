//! What attestors sign, and the update that carries it.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolValue;
use crosspoint_protocol::ids::Height;
use serde::{Deserialize, Serialize};

use crate::serde_hex;
use crate::signature::SigningKey;

const DOMAIN: &str = "crosspoint/attestation/v1";

/// A statement about one finalized header of an EVM chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The EIP-155 chain id.
    pub chain_id: u64,
    /// The hash of the chain's block 0.
    pub genesis_hash: B256,
    /// How often the attestor set has changed.
    pub epoch: u64,
    /// The number of the newest header the client trusts.
    pub prev_number: Height,
    /// Its hash.
    pub prev_hash: B256,
    /// The number of the header attested, above `prev_number`.
    pub number: Height,
    /// Its hash.
    pub hash: B256,
}

impl Statement {
    /// What is signed: `keccak256(abi.encode(DOMAIN, chainId, genesisHash, epoch, prevNumber, prevHash, number, hash))`.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let words = (
            keccak256(DOMAIN),
            U256::from(self.chain_id),
            self.genesis_hash,
            U256::from(self.epoch),
            U256::from(self.prev_number.0),
            self.prev_hash,
            U256::from(self.number.0),
            self.hash,
        );
        keccak256(words.abi_encode()).0
    }

    /// This attestor's signature.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> [u8; 65] {
        key.sign(&self.digest())
    }
}

/// A client update: the statement, a quorum's signatures, and the header itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// What was signed.
    pub statement: Statement,
    /// `r ‖ s ‖ v` each, ascending by the signer's address.
    #[serde(with = "serde_hex::arrays")]
    pub signatures: Vec<[u8; 65]>,
    /// The header's RLP; its keccak256 is `statement.hash`.
    pub header_rlp: Bytes,
}

impl Header {
    /// Puts signatures with their signers' addresses into the order the client wants.
    #[must_use]
    pub fn assemble(statement: Statement, mut signed: Vec<(Address, [u8; 65])>, header_rlp: Bytes) -> Self {
        signed.sort_by_key(|(address, _)| *address);
        signed.dedup_by_key(|(address, _)| *address);
        let signatures = signed.into_iter().map(|(_, signature)| signature).collect();
        Self { statement, signatures, header_rlp }
    }

    /// Signs with all of these keys.
    #[must_use]
    pub fn sign(statement: Statement, header_rlp: Bytes, keys: &[SigningKey]) -> Self {
        let signed = keys.iter().map(|key| (key.address(), statement.sign(key))).collect();
        Self::assemble(statement, signed, header_rlp)
    }
}
