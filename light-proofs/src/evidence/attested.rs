//! An EVM chain's part when attestors vouch for its headers.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolValue;
use crosspoint_protocol::ids::{ChainId, Height, Timestamp};
use serde::{Deserialize, Serialize};

use super::error::{EvidenceError, Fault};
use super::evm::{Contract, EvmHeader, EvmProof};
use super::findings::{AnchorFindings, HeaderFindings};
use super::verify::VerifiedSide;
use crate::attested::{AttestedError, Attestors, Statement};
use crate::evm::ExecutionHeader;
use crate::serde_hex;

const DOMAIN: &str = "crosspoint/evidence-anchor/v1";

/// An EVM chain's part of the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttestedSide {
    /// What trust begins with.
    pub anchor: AttestedAnchor,
    /// Headers, each attested by itself, in rising order.
    pub headers: Vec<AttestedHeader>,
}

/// Who attests, which chain, and the contract whose storage is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestedAnchor {
    /// The hash over all that follows.
    pub hash: B256,
    /// The EIP-155 id of the chain.
    pub chain_id: u64,
    /// The hash of its block 0.
    pub genesis_hash: B256,
    /// How often the attestor set has changed.
    pub epoch: u64,
    /// Who attests, and how many must.
    pub attestors: Attestors,
    /// The gateway contract.
    pub gateway: Address,
    /// The slot of its mapping of commitments.
    pub base_slot: B256,
}

impl AttestedAnchor {
    /// The same with its hash: `keccak256(abi.encode(keccak256(DOMAIN), chainId, genesisHash, epoch, keccak256(one
    /// word per attestor), threshold, gateway, baseSlot))`.
    #[must_use]
    pub fn sealed(self) -> Self {
        Self { hash: self.computed_hash(), ..self }
    }

    /// The hash of all but [`AttestedAnchor::hash`].
    #[must_use]
    pub fn computed_hash(&self) -> B256 {
        let addresses: Vec<u8> = self.attestors.addresses().iter().flat_map(|address| address.into_word().0).collect();
        let words = (
            keccak256(DOMAIN),
            U256::from(self.chain_id),
            self.genesis_hash,
            U256::from(self.epoch),
            keccak256(addresses),
            U256::from(self.attestors.threshold()),
            self.gateway,
            self.base_slot,
        );
        keccak256(words.abi_encode())
    }

    /// The chain's name.
    ///
    /// # Errors
    /// None that occurs: every number gives one.
    pub fn chain(&self) -> Result<ChainId, EvidenceError> {
        self.contract().chain()
    }

    /// The contract that is looked at.
    #[must_use]
    pub const fn contract(&self) -> Contract {
        Contract { chain_id: self.chain_id, gateway: self.gateway, base_slot: self.base_slot }
    }

    fn check(&self, at: &str) -> Result<(), EvidenceError> {
        let found = self.computed_hash();
        if found == self.hash { Ok(()) } else { Err(EvidenceError::new(at, Fault::AnchorHash { found })) }
    }

    /// What attestors sign of a header in an evidence file: that it follows block 0.
    #[must_use]
    pub const fn statement(&self, number: Height, hash: B256) -> Statement {
        Statement {
            chain_id: self.chain_id,
            genesis_hash: self.genesis_hash,
            epoch: self.epoch,
            prev_number: Height(0),
            prev_hash: self.genesis_hash,
            number,
            hash,
        }
    }
}

/// A header, a quorum's signatures under the statement that it follows block 0, and what is proven from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestedHeader {
    /// The header's RLP.
    pub rlp: Bytes,
    /// `r ‖ s ‖ v` each, ascending by the signer's address.
    #[serde(with = "serde_hex::arrays")]
    pub signatures: Vec<[u8; 65]>,
    /// The gateway contract's account: nodes from the state root.
    pub account: Vec<Bytes>,
    /// What its storage shows.
    pub proofs: Vec<EvmProof>,
}

impl EvmHeader for AttestedHeader {
    fn storage(&self) -> (&[Bytes], &[EvmProof]) {
        (&self.account, &self.proofs)
    }
}

impl AttestedSide {
    pub(super) fn verify(&self, own: Option<&AttestedAnchor>, at: &str) -> Result<VerifiedSide, EvidenceError> {
        self.anchor.check(&format!("{at}.anchor"))?;
        let anchor = own.unwrap_or(&self.anchor);
        anchor.check("your anchor")?;
        let mut before: Option<(Height, Timestamp)> = None;
        let findings = AnchorFindings::Attested { anchor: anchor.clone(), in_file: own.is_none() };
        anchor.contract().verify(&self.headers, at, findings, |header, at| {
            let (found, state_root) = header.believe(anchor, at)?;
            if let Some((height, time)) = before {
                if found.height <= height {
                    return Err(EvidenceError::new(at, Fault::Order { found: found.height, before: height }));
                }
                if found.time < time {
                    return Err(EvidenceError::new(at, Fault::Time));
                }
            }
            // Each is attested by itself: none is needed to lead to another.
            if header.proofs.is_empty() {
                return Err(EvidenceError::new(at, Fault::Idle));
            }
            before = Some((found.height, found.time));
            Ok((found, state_root))
        })
    }
}

impl AttestedHeader {
    /// The header, if a quorum of the anchor's attestors signed it, and its state root.
    fn believe(&self, anchor: &AttestedAnchor, at: &str) -> Result<(HeaderFindings, B256), EvidenceError> {
        let header = ExecutionHeader::decode(&self.rlp).map_err(|e| EvidenceError::new(format!("{at}.rlp"), e))?;
        if header.number == Height(0) {
            let why = AttestedError::NumberNotAbove { number: header.number, prev_number: Height(0) };
            return Err(EvidenceError::new(at, why));
        }
        let digest = anchor.statement(header.number, header.hash).digest();
        anchor.attestors.verify_quorum(&digest, &self.signatures).map_err(|e| EvidenceError::new(at, e))?;
        let found = HeaderFindings {
            height: header.number,
            time: header.time,
            hash: header.hash,
            signed: self.signatures.len(),
            of: anchor.attestors.addresses().len(),
        };
        Ok((found, header.state_root))
    }
}
