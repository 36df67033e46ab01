//! What the parts of all EVM chains have in common, whatever believes their headers: the gateway contract's storage,
//! proven by its tries (EIP-1186).

use alloy_primitives::{Address, B256, Bytes, keccak256};
use crosspoint_protocol::ids::ChainId;
use serde::{Deserialize, Serialize};

use super::error::{EvidenceError, Fault};
use super::file::Claim;
use super::findings::{AnchorFindings, HeaderFindings};
use super::verify::{Proven, VerifiedSide};
use crate::mpt::{self, MptError};

/// Most headers of a chain's part.
pub const MAX_HEADERS: usize = 1_024;
/// Most proofs of a header. Fewer can be shown, each once.
const MAX_PROOFS: usize = 8;

/// The contract that is looked at, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contract {
    /// The EIP-155 id of its chain.
    pub chain_id: u64,
    /// Its address.
    pub gateway: Address,
    /// The slot of its mapping of commitments.
    pub base_slot: B256,
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

/// A header of an EVM chain in a file.
pub(super) trait EvmHeader {
    /// The contract's account, nodes from the state root, and what its storage shows. Both are empty for a header
    /// that only leads to the next one.
    fn storage(&self) -> (&[Bytes], &[EvmProof]);
}

impl Contract {
    /// The chain's name.
    pub(super) fn chain(&self) -> Result<ChainId, EvidenceError> {
        let name: Result<ChainId, _> = format!("eip155-{}", self.chain_id).parse();
        name.map_err(|e| EvidenceError::new("anchor.chain_id", e))
    }

    /// Believes headers one after another by `believe`, which gives the state root too, and checks what is proven from
    /// each.
    pub(super) fn verify<H: EvmHeader>(
        &self,
        headers: &[H],
        at: &str,
        anchor: AnchorFindings,
        mut believe: impl FnMut(&H, &str) -> Result<(HeaderFindings, B256), EvidenceError>,
    ) -> Result<VerifiedSide, EvidenceError> {
        if headers.len() > MAX_HEADERS {
            return Err(EvidenceError::new(format!("{at}.headers"), Fault::TooMany(MAX_HEADERS)));
        }
        let (mut believed, mut proven) = (vec![], vec![]);
        for (index, header) in headers.iter().enumerate() {
            let at = format!("{at}.headers[{index}]");
            let (found, state_root) = believe(header, &at)?;
            believed.push(found);
            let is_last = index.saturating_add(1) == headers.len();
            match header.storage() {
                ([], []) if !is_last => {}
                (_, []) => return Err(EvidenceError::new(at, Fault::Idle)),
                (account, proofs) => proven.extend(self.show(&state_root, account, proofs, index, &at)?),
            }
        }
        Ok(VerifiedSide { chain: self.chain()?, anchor, headers: believed, proven })
    }

    /// What the contract's storage shows under a header.
    fn show(
        &self,
        state_root: &B256,
        account: &[Bytes],
        proofs: &[EvmProof],
        header: usize,
        at: &str,
    ) -> Result<Vec<Proven>, EvidenceError> {
        let account = mpt::verify_account(state_root, &self.gateway, account)
            .map_err(|e| EvidenceError::new(format!("{at}.account"), e))?;
        if proofs.len() > MAX_PROOFS {
            return Err(EvidenceError::new(format!("{at}.proofs"), Fault::TooMany(MAX_PROOFS)));
        }
        let proven = proofs.iter().enumerate().map(|(place, proof)| {
            let at = format!("{at}.proofs[{place}]");
            proof.verify(&account.storage_root, &self.base_slot).map_err(|e| EvidenceError::new(&at, e))?;
            let value = proof.value.map(|value| Bytes::copy_from_slice(value.as_slice()));
            Ok(Proven { shows: proof.shows, key: proof.key.clone(), value, listed: false, header, at })
        });
        proven.collect()
    }
}
