//! An EVM chain's part: headers by statements of attestors, proofs in its tries (EIP-1186).

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolValue;
use crosspoint_protocol::ids::{ChainId, Height, Timestamp};
use serde::{Deserialize, Serialize};

use super::error::{EvidenceError, Fault};
use super::file::Claim;
use super::findings::{AnchorFindings, HeaderFindings};
use super::verify::{Proven, VerifiedSide};
use crate::attested::{AttestedError, Attestors, Statement};
use crate::evm::ExecutionHeader;
use crate::mpt::{self, MptError};
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
        let name: Result<ChainId, _> = format!("eip155-{}", self.chain_id).parse();
        name.map_err(|e| EvidenceError::new("anchor.chain_id", e))
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

/// A path with the value stored under it, or without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvmProof {
    /// What this shows.
    pub shows: Claim,
    /// The path's bytes. The slot is `keccak256(keccak256(key) ‖ baseSlot)`.
    pub key: Bytes,
    /// What the slot holds. Without it: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<B256>,
    /// Nodes from the storage root.
    pub nodes: Vec<Bytes>,
}

impl EvmProof {
    fn verify(&self, storage_root: &B256, base_slot: &B256) -> Result<(), MptError> {
        let slot = keccak256([keccak256(&self.key), *base_slot].concat());
        match &self.value {
            // Zero is how EVM storage says "nothing".
            Some(value) if value.is_zero() => Err(MptError::ZeroValue),
            Some(value) => mpt::verify_storage(storage_root, &slot, value, &self.nodes),
            None => mpt::verify_storage_absence(storage_root, &slot, &self.nodes),
        }
    }
}

impl AttestedSide {
    pub(super) fn verify(&self, own: Option<&AttestedAnchor>, at: &str) -> Result<VerifiedSide, EvidenceError> {
        self.anchor.check(&format!("{at}.anchor"))?;
        let anchor = own.unwrap_or(&self.anchor);
        anchor.check("your anchor")?;
        let (mut headers, mut proven) = (vec![], vec![]);
        let mut before: Option<(Height, Timestamp)> = None;
        for (index, header) in self.headers.iter().enumerate() {
            let at = format!("{at}.headers[{index}]");
            let (found, state_root) = header.believe(anchor, &at)?;
            if let Some((height, time)) = before {
                if found.height <= height {
                    return Err(EvidenceError::new(at, Fault::Order { found: found.height, before: height }));
                }
                if found.time < time {
                    return Err(EvidenceError::new(at, Fault::Time));
                }
            }
            before = Some((found.height, found.time));
            let account = mpt::verify_account(&state_root, &anchor.gateway, &header.account)
                .map_err(|e| EvidenceError::new(format!("{at}.account"), e))?;
            if header.proofs.is_empty() {
                return Err(EvidenceError::new(at, Fault::Idle));
            }
            for (place, proof) in header.proofs.iter().enumerate() {
                let at = format!("{at}.proofs[{place}]");
                proof.verify(&account.storage_root, &anchor.base_slot).map_err(|e| EvidenceError::new(&at, e))?;
                proven.push(Proven {
                    shows: proof.shows,
                    key: proof.key.clone(),
                    value: proof.value.map(|value| Bytes::copy_from_slice(value.as_slice())),
                    listed: false,
                    header: index,
                    at,
                });
            }
            headers.push(found);
        }
        let findings = AnchorFindings::Attested { anchor: anchor.clone(), in_file: own.is_none() };
        Ok(VerifiedSide { chain: anchor.chain()?, anchor: findings, headers, proven })
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
