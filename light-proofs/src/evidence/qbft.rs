//! An EVM chain's part when its validators seal the headers: by the `qbft` client, from an anchor.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolValue;
use crosspoint_protocol::ids::{ChainId, Height, Timestamp};
use serde::{Deserialize, Serialize};

use super::error::{EvidenceError, Fault};
use super::evm::{Contract, EvmHeader, EvmProof};
use super::findings::{AnchorFindings, HeaderFindings};
use super::verify::{NO_EXPIRY, VerifiedSide};
use crate::qbft::{
    self, ClientState, ConsensusState, Encoding, Header, Latest, QbftError, SealedHeader, SealedHeaderError,
    verify_update,
};

const DOMAIN: &str = "crosspoint/evidence-anchor/qbft/v1";

/// The part of an EVM chain whose validators seal its headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QbftSide {
    /// What trust begins with.
    pub anchor: QbftAnchor,
    /// Headers, each believed from the one before it, the first from the anchor. The first may be the anchor's own.
    pub headers: Vec<QbftHeader>,
}

/// A sealed header to begin with, and the contract whose storage is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QbftAnchor {
    /// The hash over what follows, with the block's hash in place of its RLP: that does not depend on who sealed.
    pub hash: B256,
    /// The EIP-155 id of the chain. Seals do not contain it.
    pub chain_id: u64,
    /// How the chain writes its extra data.
    pub encoding: Encoding,
    /// The header's RLP with its seals. It names the validators.
    pub rlp: Bytes,
    /// The gateway contract.
    pub gateway: Address,
    /// The slot of its mapping of commitments.
    pub base_slot: B256,
}

/// A sealed header, and what is proven from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QbftHeader {
    /// The header's RLP with its seals.
    pub rlp: Bytes,
    /// The gateway contract's account: nodes from the state root. Empty where nothing is proven.
    pub account: Vec<Bytes>,
    /// What its storage shows. Empty for a header that only leads to the next one.
    pub proofs: Vec<EvmProof>,
}

impl EvmHeader for QbftHeader {
    fn storage(&self) -> (&[Bytes], &[EvmProof]) {
        (&self.account, &self.proofs)
    }
}

impl QbftAnchor {
    /// The same with its hash.
    ///
    /// # Errors
    /// The RLP is no sealed header.
    pub fn sealed(self) -> Result<Self, SealedHeaderError> {
        Ok(Self { hash: self.computed_hash()?, ..self })
    }

    /// The hash of all but [`QbftAnchor::hash`]: `keccak256(abi.encode(keccak256(DOMAIN), chainId,
    /// keccak256(encoding), blockHash, gateway, baseSlot))`.
    ///
    /// # Errors
    /// The RLP is no sealed header.
    pub fn computed_hash(&self) -> Result<B256, SealedHeaderError> {
        let block = SealedHeader::decode(self.encoding, &self.rlp)?;
        let encoding = keccak256(self.encoding.as_str());
        let words = (keccak256(DOMAIN), U256::from(self.chain_id), encoding, block.hash, self.gateway, self.base_slot);
        Ok(keccak256(words.abi_encode()))
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

    /// Trust as it begins: in the anchor's block alone.
    ///
    /// # Errors
    /// A quorum of its own set did not seal it.
    pub fn start(&self) -> Result<SealedWalk, QbftError> {
        let client = ClientState {
            evm_chain_id: self.chain_id,
            encoding: self.encoding,
            latest: Latest { number: Height(0), hash: B256::ZERO, time: Timestamp(0) },
            trusting_period: NO_EXPIRY,
            max_clock_drift: 0,
            store_address: self.gateway,
            base_slot: self.base_slot,
            frozen: false,
            generation: 0,
        };
        let time = SealedHeader::decode(self.encoding, &self.rlp)?.time;
        let (client, state) = qbft::anchor(client, &self.rlp, time)?;
        Ok(SealedWalk { client, state })
    }

    fn check(&self, at: &str) -> Result<SealedWalk, EvidenceError> {
        let fault = |why: QbftError| EvidenceError::new(format!("{at}.rlp"), why);
        let found = self.computed_hash().map_err(|why| fault(why.into()))?;
        if found != self.hash {
            return Err(EvidenceError::new(at, Fault::AnchorHash { found }));
        }
        self.start().map_err(fault)
    }
}

/// Sealed headers followed one after another, as a `qbft` client does that never expires.
#[derive(Debug, Clone)]
pub struct SealedWalk {
    client: ClientState,
    state: ConsensusState,
}

impl SealedWalk {
    /// The block that is trusted by now.
    #[must_use]
    pub const fn latest(&self) -> Latest {
        self.client.latest
    }

    /// Goes on to a block; or stays, if it is the one trusted by now.
    ///
    /// # Errors
    /// It is not believed from there.
    pub fn step(&mut self, rlp: &Bytes) -> Result<SealedHeader, QbftError> {
        let block = SealedHeader::decode(self.client.encoding, rlp)?;
        // No clock is read: each header is judged at its own time.
        let next = if block.hash == self.client.latest.hash {
            qbft::anchor(self.client.clone(), rlp, block.time)?
        } else {
            let update = Header { trusted_height: self.client.latest.number, rlp: rlp.clone() };
            verify_update(&self.client, &self.state, &update, block.time)?
        };
        (self.client, self.state) = next;
        Ok(block)
    }
}

impl QbftSide {
    pub(super) fn verify(&self, own: Option<&QbftAnchor>, at: &str) -> Result<VerifiedSide, EvidenceError> {
        let in_file = self.anchor.check(&format!("{at}.anchor"))?;
        let (anchor, mut walk) = match own {
            None => (&self.anchor, in_file),
            Some(own) => (own, own.check("your anchor")?),
        };
        let findings = AnchorFindings::Qbft {
            hash: anchor.hash,
            contract: anchor.contract(),
            encoding: anchor.encoding,
            block: walk.latest(),
            validators: walk.state.validators.addresses().len(),
            in_file: own.is_none(),
        };
        anchor.contract().verify(&self.headers, at, findings, |header, at| {
            let block = walk.step(&header.rlp).map_err(|why| EvidenceError::new(format!("{at}.rlp"), why))?;
            let found = HeaderFindings {
                height: block.number,
                time: block.time,
                hash: block.hash,
                signed: block.extra.seals.len(),
                of: block.extra.validators.len(),
            };
            Ok((found, block.state_root))
        })
    }
}
