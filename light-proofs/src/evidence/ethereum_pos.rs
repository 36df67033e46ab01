//! Ethereum's part: headers that its sync committees say are final, by the `ethereum-pos` client, from an anchor.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolValue;
use crosspoint_protocol::ids::{ChainId, Height, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::error::{EvidenceError, Fault};
use super::evm::{Contract, EvmHeader, EvmProof};
use super::findings::{AnchorFindings, HeaderFindings};
use super::verify::{NO_EXPIRY, VerifiedSide};
use crate::ethereum_pos::{
    self, Bootstrap, ClientState, ConsensusState, Header, Latest, Network, PosError, SyncCommittee, SyncError, Update,
    verify_committee, verify_update,
};

const DOMAIN: &str = "crosspoint/evidence-anchor/ethereum-pos/v1";

/// Ethereum's part of the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EthereumPosSide {
    /// What trust begins with.
    pub anchor: EthereumPosAnchor,
    /// Updates, each believed from what was trusted before it, the first from the anchor.
    pub headers: Vec<EthereumPosHeader>,
}

/// A beacon block to begin with, its committee and its network, and the contract whose storage is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EthereumPosAnchor {
    /// The hash over what follows, with the block's root in place of the bootstrap.
    pub hash: B256,
    /// The EIP-155 id of the chain.
    pub chain_id: u64,
    /// The beacon chain's sizes, clock and forks.
    pub network: Network,
    /// The block's header and the committee of its period, as the beacon API writes them.
    pub bootstrap: Bootstrap,
    /// The gateway contract.
    pub gateway: Address,
    /// The slot of its mapping of commitments.
    pub base_slot: B256,
}

/// An update, and what is proven from the newest final block that is trusted with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EthereumPosHeader {
    /// The update, as the beacon API writes it, and as [`written`] fixes what that leaves open.
    pub update: Update,
    /// The gateway contract's account: nodes from the state root. Empty where nothing is proven.
    pub account: Vec<Bytes>,
    /// What its storage shows. Empty for an update that only leads to the next one.
    pub proofs: Vec<EvmProof>,
}

impl EvmHeader for EthereumPosHeader {
    fn storage(&self) -> (&[Bytes], &[EvmProof]) {
        (&self.account, &self.proofs)
    }
}

/// An update as files have it: in the form that SSZ has one of, and with the lowest slot of signature that changes
/// nothing. Which block carried the signatures is not signed; only the committee and the fork follow from it.
///
/// `None`: it has no such form.
#[must_use]
pub fn written(network: &Network, update: &Update) -> Option<Update> {
    let fork = network.fork(update.attested_header.beacon.slot)?;
    let mut update = Update::from_ssz(network.preset(), fork, &update.to_ssz(network.preset(), fork)).ok()?;
    for _ in 0..network.slots_per_period() {
        if has_lowest_slot(network, &update) {
            return Some(update);
        }
        update.signature_slot = update.signature_slot.saturating_sub(1);
    }
    None
}

fn has_lowest_slot(network: &Network, update: &Update) -> bool {
    let (attested, slot) = (&update.attested_header.beacon, update.signature_slot);
    let Some(before) = slot.checked_sub(1).filter(|before| *before > attested.slot) else { return true };
    let root = attested.root();
    network.period(before) != network.period(slot)
        || network.signing_root(root, before) != network.signing_root(root, slot)
}

/// Whether an update is as [`written`] writes it.
fn check_written(network: &Network, update: &Update) -> Result<(), Fault> {
    let slot = update.attested_header.beacon.slot;
    let fork = network.fork(slot).ok_or(PosError::Sync(SyncError::NoFork(slot)))?;
    if Update::from_ssz(network.preset(), fork, &update.to_ssz(network.preset(), fork)).as_ref() != Ok(update) {
        return Err(Fault::NotCanonical);
    }
    if has_lowest_slot(network, update) { Ok(()) } else { Err(Fault::SignatureSlot) }
}

impl EthereumPosAnchor {
    /// The same with its hash.
    #[must_use]
    pub fn sealed(self) -> Self {
        Self { hash: self.computed_hash(), ..self }
    }

    /// The hash of all but [`EthereumPosAnchor::hash`]: `keccak256(abi.encode(keccak256(DOMAIN), chainId,
    /// keccak256(network as JSON without spaces), blockRoot, gateway, baseSlot))`.
    #[must_use]
    pub fn computed_hash(&self) -> B256 {
        // Settings of a network can always be written.
        let network = keccak256(serde_json::to_vec(&self.network).unwrap_or_default());
        let root = self.bootstrap.header.beacon.root();
        let words = (keccak256(DOMAIN), U256::from(self.chain_id), network, root, self.gateway, self.base_slot);
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

    /// Trust as it begins: in the anchor's block and its committee.
    ///
    /// # Errors
    /// The parts of the bootstrap do not belong together, or are not written in their one form.
    pub fn start(&self) -> Result<SyncWalk, Fault> {
        let (network, bootstrap) = (&self.network, &self.bootstrap);
        let latest = Latest { slot: 0, root: B256::ZERO, number: Height(0), time: Timestamp(0) };
        let client = ClientState {
            evm_chain_id: self.chain_id,
            network: network.clone(),
            latest,
            trusting_period: NO_EXPIRY,
            store_address: self.gateway,
            base_slot: self.base_slot,
            frozen: false,
            generation: 0,
        };
        let (client, state) = ethereum_pos::anchor(client, bootstrap)?;
        let slot = client.latest.slot;
        let fork = network.fork(slot).ok_or(PosError::Sync(SyncError::NoFork(slot)))?;
        if Bootstrap::from_ssz(network.preset(), fork, &bootstrap.to_ssz(fork)).as_ref() != Ok(bootstrap) {
            return Err(Fault::NotCanonical);
        }
        let committees = BTreeMap::from([(state.current_committee, bootstrap.current_sync_committee.clone())]);
        Ok(SyncWalk { client, state, committees })
    }

    fn check(&self, at: &str) -> Result<SyncWalk, EvidenceError> {
        let found = self.computed_hash();
        if found != self.hash {
            return Err(EvidenceError::new(at, Fault::AnchorHash { found }));
        }
        self.start().map_err(|why| EvidenceError::new(format!("{at}.bootstrap"), why))
    }
}

/// Updates followed one after another, as an `ethereum-pos` client does that never expires.
#[derive(Debug, Clone)]
pub struct SyncWalk {
    client: ClientState,
    state: ConsensusState,
    /// Those of the trusted state, by their roots.
    committees: BTreeMap<B256, SyncCommittee>,
}

impl SyncWalk {
    /// The final block that is trusted by now.
    #[must_use]
    pub const fn latest(&self) -> Latest {
        self.client.latest
    }

    /// The state that is trusted by now.
    #[must_use]
    pub const fn state(&self) -> &ConsensusState {
        &self.state
    }

    /// Goes on by an update. It need not lead to a newer block: it may show the committee of the next period, or
    /// finalize the block that is trusted by now.
    ///
    /// # Errors
    /// It is not believed, or not written in its one form.
    pub fn step(&mut self, update: &Update) -> Result<(), Fault> {
        let network = &self.client.network;
        check_written(network, update)?;
        let here = network.period(update.signature_slot) == network.period(self.state.slot);
        let next = self.state.next_committee.filter(|_| !here);
        // Where the next one is not known, the error is about the period.
        let signers = self.committees.get(&next.unwrap_or(self.state.current_committee));
        let signers = signers.ok_or(PosError::Sync(SyncError::SigningCommittee))?.clone();
        // No clock is read: each update is judged at the time of its signatures.
        let now = Timestamp(network.time_of(update.signature_slot));
        let header = Header { trusted_height: self.client.latest.number, signers, update: update.clone() };
        match verify_update(&self.client, &self.state, &header, now) {
            Ok(next) => (self.client, self.state) = next,
            Err(error) => match verify_committee(&self.client, &self.state, &header, now) {
                Ok(state) => self.state = state,
                // What it finalizes is compared with what is trusted after all else was verified.
                Err(_) if matches!(error, PosError::NotAbove { .. }) && self.finalized_by(update) => {}
                Err(_) => return Err(error.into()),
            },
        }
        if let Some(shown) = &update.next_sync_committee {
            self.committees.insert(shown.root(), shown.clone());
        }
        let known = [Some(self.state.current_committee), self.state.next_committee];
        self.committees.retain(|root, _| known.contains(&Some(*root)));
        Ok(())
    }

    /// Whether an update finalizes the block that is trusted by now.
    fn finalized_by(&self, update: &Update) -> bool {
        update.finalized_header.as_ref().is_some_and(|header| header.beacon.root() == self.client.latest.root)
    }
}

impl EthereumPosSide {
    pub(super) fn verify(&self, own: Option<&EthereumPosAnchor>, at: &str) -> Result<VerifiedSide, EvidenceError> {
        let in_file = self.anchor.check(&format!("{at}.anchor"))?;
        let (anchor, mut walk) = match own {
            None => (&self.anchor, in_file),
            Some(own) => (own, own.check("your anchor")?),
        };
        let findings = AnchorFindings::EthereumPos {
            hash: anchor.hash,
            contract: anchor.contract(),
            network: anchor.network.clone(),
            block: walk.latest(),
            in_file: own.is_none(),
        };
        anchor.contract().verify(&self.headers, at, findings, |header, at| {
            let update = &header.update;
            walk.step(update).map_err(|why| EvidenceError::new(format!("{at}.update"), why))?;
            let Latest { number, time, root, .. } = walk.latest();
            let signed = usize::try_from(update.sync_aggregate.participants()).unwrap_or(usize::MAX);
            let of = anchor.network.preset().sync_committee_size;
            Ok((HeaderFindings { height: number, time, hash: root, signed, of }, walk.state().root))
        })
    }
}
