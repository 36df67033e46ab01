//! A native chain's part: headers by the `tendermint` client, proofs in the Jellyfish Merkle Tree.

use alloy_primitives::{B256, Bytes};
use crosspoint_protocol::ids::{ChainId, Height};
use crosspoint_protocol::outbox;
use serde::{Deserialize, Serialize};
use tendermint::block::CommitSig;
use tendermint::block::signed_header::SignedHeader;
use tendermint::validator::{Info, Set};
use tendermint::{Hash, PublicKey, block};
use tendermint_proto::v0_38::types::ValidatorSet as RawValidatorSet;

use super::error::{EvidenceError, Fault};
use super::file::Claim;
use super::findings::{AnchorFindings, HeaderFindings};
use super::verify::{NO_EXPIRY, Proven, VerifiedSide};
use crate::jmt::{JmtError, Siblings};
use crate::serde_hex;
use crate::tendermint::verify_evidence;
use crate::tendermint::{
    ClientState, ConsensusState, Header, Latest, MAX_VALIDATORS, PacketStore, TendermintError, TrustLevel,
};

/// Most blocks of an outbox that one path goes through.
const MAX_LATER_ROOTS: usize = 100_000;
/// The bytes of a path after its client: the kind and the sequence.
const PATH_TAIL: usize = 9;

/// A native chain's part of the evidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TendermintSide {
    /// What trust begins with.
    pub anchor: TendermintAnchor,
    /// Headers, each believed from the one before it, the first from the anchor.
    pub headers: Vec<TendermintHeader>,
}

/// A validator as a set's hash commits to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorRecord {
    /// Its ed25519 key.
    #[serde(with = "serde_hex::array")]
    pub pub_key: [u8; 32],
    /// Its voting power.
    pub power: u64,
}

impl ValidatorRecord {
    /// A set's validators in its order. Keys of other kinds than ed25519 are no part of it.
    #[must_use]
    pub fn of(set: &Set) -> Vec<Self> {
        let keys = set.validators().iter().filter_map(|info| match info.pub_key {
            PublicKey::Ed25519(key) => Some(Self { pub_key: key.as_bytes().try_into().ok()?, power: info.power() }),
            _ => None,
        });
        keys.collect()
    }
}

/// A header to begin with, and the validators that it names as the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TendermintAnchor {
    /// The header's hash: the block hash that every node of the chain shows.
    pub hash: B256,
    /// The header, as CometBFT's RPC writes it.
    pub header: block::Header,
    /// Who signs the next header.
    pub next_validators: Vec<ValidatorRecord>,
}

impl TendermintAnchor {
    /// The anchor at a header.
    #[must_use]
    pub fn new(header: block::Header, next: &Set) -> Self {
        Self { hash: header_hash(&header), next_validators: ValidatorRecord::of(next), header }
    }

    /// The hash of the header given.
    #[must_use]
    pub fn computed_hash(&self) -> B256 {
        header_hash(&self.header)
    }

    /// The chain's name.
    ///
    /// # Errors
    /// No chain has such a name.
    pub fn chain(&self) -> Result<ChainId, EvidenceError> {
        self.header
            .chain_id
            .as_str()
            .parse()
            .map_err(|e: crosspoint_protocol::ids::IdError| EvidenceError::new("anchor.header.chain_id", e))
    }

    fn trusted(&self, at: &str) -> Result<Trusted, EvidenceError> {
        let found = self.computed_hash();
        if found != self.hash {
            return Err(EvidenceError::new(at, Fault::AnchorHash { found }));
        }
        let next_at = format!("{at}.next_validators");
        let next = set(&self.next_validators).ok_or_else(|| EvidenceError::new(&next_at, Fault::Validators))?;
        if next.hash() != self.header.next_validators_hash {
            return Err(EvidenceError::new(next_at, Fault::NextValidators));
        }
        let state = ConsensusState::of(&self.header).map_err(|e| EvidenceError::new(at, e))?;
        Ok(Trusted { height: Height(self.header.height.value()), state, next })
    }
}

/// A header with its commit, the validators who signed it, and what is proven from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TendermintHeader {
    /// Header and commit, as CometBFT's RPC writes them in `/commit`.
    pub signed_header: SignedHeader,
    /// Who signed.
    pub validators: Vec<ValidatorRecord>,
    /// Who signs the next header, if that is another set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_validators: Option<Vec<ValidatorRecord>>,
    /// What the state under this header shows. Empty for a header that only leads to the next one.
    pub proofs: Vec<NativeProof>,
}

impl TendermintHeader {
    /// A header as the file has it: votes for nothing are left out, they say nothing about the block.
    #[must_use]
    pub fn new(mut signed_header: SignedHeader, validators: &Set, next: &Set, proofs: Vec<NativeProof>) -> Self {
        for vote in &mut signed_header.commit.signatures {
            if vote.is_nil() {
                *vote = CommitSig::BlockIdFlagAbsent;
            }
        }
        let changed = next.hash() != validators.hash();
        Self {
            signed_header,
            validators: ValidatorRecord::of(validators),
            next_validators: changed.then(|| ValidatorRecord::of(next)),
            proofs,
        }
    }
}

/// A key of the state with its value, or without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NativeProof {
    /// What this shows.
    pub shows: Claim,
    /// The key's bytes.
    pub key: Bytes,
    /// What stands there. Without it: nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Bytes>,
    /// The way from key and value to the head of the list of packets sent, where they stand in that list. The state
    /// then shows the head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbox: Option<OutboxPath>,
    /// The way to the app hash in the header.
    pub proof: Siblings,
}

/// From an entry of an outbox list to the list's head (`docs/protocol.md`, Outboxes).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboxPath {
    /// The list's head before the block of the entry.
    #[serde(with = "serde_hex::array")]
    pub previous_head: outbox::Hash,
    /// How many entries that block has.
    pub count: u64,
    /// Which of them it is, from 0.
    pub index: u64,
    /// The nodes beside its path in the block's tree.
    #[serde(with = "serde_hex::arrays")]
    pub siblings: Vec<outbox::Hash>,
    /// The roots of all blocks with entries from then on.
    #[serde(with = "serde_hex::arrays")]
    pub later_roots: Vec<outbox::Hash>,
}

impl OutboxPath {
    /// The list's head, if the entry with this path and value is where this says.
    fn head(&self, path: &[u8], value: &[u8]) -> Option<outbox::Hash> {
        if self.later_roots.len() > MAX_LATER_ROOTS {
            return None;
        }
        let leaf = crosspoint_protocol::sha256(&[&[0], path, value]);
        let root = outbox::root_from_proof(self.count, &[(self.index, leaf)], &self.siblings)?;
        let first = outbox::next_head(&self.previous_head, &root);
        Some(self.later_roots.iter().fold(first, |head, root| outbox::next_head(&head, root)))
    }
}

impl NativeProof {
    fn verify(&self, root: &[u8; 32], at: &str) -> Result<(), EvidenceError> {
        let failed = |error: JmtError| EvidenceError::new(at, error);
        match (&self.outbox, &self.value) {
            (None, Some(value)) => self.proof.verify_membership(root, &self.key, value).map_err(failed),
            (None, None) => self.proof.verify_absence(root, &self.key).map_err(failed),
            (Some(path), value) => {
                let outbox_fault = || EvidenceError::new(at, Fault::Outbox);
                let value = value.as_ref().filter(|_| self.shows == Claim::Sent).ok_or_else(outbox_fault)?;
                let head = path.head(&self.key, value).ok_or_else(outbox_fault)?;
                let client = self.key.len().checked_sub(PATH_TAIL).and_then(|len| self.key.get(..len));
                let key = [b"outbox/", client.ok_or_else(outbox_fault)?, b"/sent"].concat();
                self.proof.verify_membership(root, &key, &head).map_err(failed)
            }
        }
    }
}

/// What the next header is believed from.
struct Trusted {
    height: Height,
    state: ConsensusState,
    next: Set,
}

impl TendermintSide {
    pub(super) fn verify(&self, own: Option<&TendermintAnchor>, at: &str) -> Result<VerifiedSide, EvidenceError> {
        let chain = self.anchor.chain().map_err(|e| EvidenceError::new(format!("{at}.{}", e.at), *e.why))?;
        let in_file = self.anchor.trusted(&format!("{at}.anchor"))?;
        let (anchor, mut trusted) = match own {
            None => (&self.anchor, in_file),
            Some(own) => (own, own.trusted("your anchor")?),
        };
        let anchor = AnchorFindings::Tendermint {
            hash: anchor.hash,
            height: trusted.height,
            time: trusted.state.time,
            validators: trusted.next.validators().len(),
            in_file: own.is_none(),
        };
        let (mut headers, mut proven) = (vec![], vec![]);
        for (index, header) in self.headers.iter().enumerate() {
            let at = format!("{at}.headers[{index}]");
            let is_last = index.saturating_add(1) == self.headers.len();
            let (found, state) = header.verify(&chain, &trusted, &at)?;
            let next = header.next(is_last, &at)?;
            for (place, proof) in header.proofs.iter().enumerate() {
                let at = format!("{at}.proofs[{place}]");
                proof.verify(&state.root, &at)?;
                proven.push(Proven {
                    shows: proof.shows,
                    key: proof.key.clone(),
                    value: proof.value.clone(),
                    listed: proof.outbox.is_some(),
                    header: index,
                    at,
                });
            }
            if is_last && header.proofs.is_empty() {
                return Err(EvidenceError::new(at, Fault::Idle));
            }
            trusted = Trusted { height: found.height, state, next };
            headers.push(found);
        }
        Ok(VerifiedSide { chain, anchor, headers, proven })
    }
}

impl TendermintHeader {
    fn verify(
        &self,
        chain: &ChainId,
        trusted: &Trusted,
        at: &str,
    ) -> Result<(HeaderFindings, ConsensusState), EvidenceError> {
        let height = Height(self.signed_header.header.height.value());
        if height <= trusted.height {
            return Err(EvidenceError::new(at, Fault::Order { found: height, before: trusted.height }));
        }
        let fault = |part: &str, why: Fault| EvidenceError::new(format!("{at}.{part}"), why);
        let validators = set(&self.validators).ok_or_else(|| fault("validators", Fault::Validators))?;
        let update = Header {
            signed_header: self.signed_header.clone(),
            validators,
            trusted_height: trusted.height,
            trusted_next_validators: trusted.next.clone(),
        };
        let state = ConsensusState::of(&self.signed_header.header).map_err(|e| fault("signed_header", e.into()))?;
        let client = ClientState {
            chain_id: chain.clone(),
            store: PacketStore::Jmt,
            trust_level: TrustLevel::ONE_THIRD,
            trusting_period: NO_EXPIRY,
            max_clock_drift: 0,
            latest: Latest { height: trusted.height, time: trusted.state.time, hash: [0; 32] },
            frozen: false,
            generation: 0,
        };
        let believed = verify_evidence(&client, &trusted.state, &update, state.time);
        let state = believed.map_err(|error| match error {
            // The validators given are hashed first: if they fit no hash, they are what was changed.
            TendermintError::SetMismatch if update.trusted_next_validators.hash() == self.validators_hash() => {
                fault("validators", error.into())
            }
            error => fault("signed_header", error.into()),
        })?;
        let signed = self
            .check_votes(&update.validators)
            .map_err(|index| fault(&format!("signed_header.commit.signatures[{index}]"), Fault::Vote))?;
        let found = HeaderFindings {
            height,
            time: state.time,
            hash: header_hash(&self.signed_header.header),
            signed,
            of: update.validators.validators().len(),
        };
        Ok((found, state))
    }

    const fn validators_hash(&self) -> Hash {
        self.signed_header.header.validators_hash
    }

    /// Each vote is that of the validator in its place, or absent; how many there are. Else the place of the first
    /// that is not.
    fn check_votes(&self, validators: &Set) -> Result<usize, usize> {
        let votes = self.signed_header.commit.signatures.iter().enumerate();
        let mut signed = 0_usize;
        for (index, vote) in votes {
            match vote {
                CommitSig::BlockIdFlagAbsent => {}
                CommitSig::BlockIdFlagCommit { validator_address, .. }
                    if validators.validators().get(index).map(|info| info.address) == Some(*validator_address) =>
                {
                    signed = signed.saturating_add(1);
                }
                CommitSig::BlockIdFlagCommit { .. } | CommitSig::BlockIdFlagNil { .. } => return Err(index),
            }
        }
        Ok(signed)
    }

    /// Who signs the next header. It need not be said where nobody asks.
    fn next(&self, is_last: bool, at: &str) -> Result<Set, EvidenceError> {
        let fault = |why| EvidenceError::new(format!("{at}.next_validators"), why);
        let given = self.next_validators.as_ref().unwrap_or(&self.validators);
        let next = set(given).ok_or_else(|| fault(Fault::Validators))?;
        let asked = !is_last || self.next_validators.is_some();
        if asked && next.hash() != self.signed_header.header.next_validators_hash {
            return Err(fault(Fault::NextValidators));
        }
        Ok(next)
    }
}

/// The set of these validators, if they are given in its order.
fn set(records: &[ValidatorRecord]) -> Option<Set> {
    if records.is_empty() || records.len() > MAX_VALIDATORS {
        return None;
    }
    let infos = records.iter().map(|record| {
        let key = PublicKey::from_raw_ed25519(&record.pub_key)?;
        Some(Info::new(key, record.power.try_into().ok()?))
    });
    // Not by `Set::new`, which panics on powers that are too large.
    let raw = RawValidatorSet {
        validators: infos.map(|info| info.map(Into::into)).collect::<Option<_>>()?,
        proposer: None,
        total_voting_power: 0,
    };
    let set = Set::try_from(raw).ok()?;
    (ValidatorRecord::of(&set) == records).then_some(set)
}

fn header_hash(header: &block::Header) -> B256 {
    match header.hash() {
        Hash::Sha256(hash) => hash.into(),
        // What hashing a header never gives.
        Hash::None => B256::ZERO,
    }
}
