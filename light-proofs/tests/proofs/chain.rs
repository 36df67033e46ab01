//! Headers and commits of a CometBFT chain, signed by our own ed25519 keys. Tests of other crates include this file by
//! its path.
#![allow(dead_code)]

use crosspoint_light_proofs::tendermint::{ClientState, ConsensusState, Header, Latest, PacketStore, TrustLevel};
use crosspoint_protocol::ids::{Height, Timestamp};
use ed25519_dalek::{Signer, SigningKey};
use tendermint::block::header::{Header as Inner, Version};
use tendermint::block::parts::Header as Parts;
use tendermint::block::signed_header::SignedHeader;
use tendermint::block::{Commit, CommitSig, Id, Round};
use tendermint::validator::{Info, Set};
use tendermint::vote::{Type, ValidatorIndex, Vote};
use tendermint::{Hash, PublicKey, Signature, Time, account};

pub(crate) const CHAIN: &str = "crosspoint-1";

/// A key and its voting power.
#[derive(Clone)]
pub(crate) struct Validator(pub(crate) SigningKey, pub(crate) u64);

impl Validator {
    fn info(&self) -> Info {
        let key = PublicKey::from_raw_ed25519(self.0.verifying_key().as_bytes()).unwrap();
        Info::new(key, self.1.try_into().unwrap())
    }
}

/// Validators `from..to` of power 10 each.
pub(crate) fn validators(range: std::ops::Range<u8>) -> Vec<Validator> {
    range.map(|i| Validator(SigningKey::from_bytes(&[i; 32]), 10)).collect()
}

pub(crate) fn set(validators: &[Validator]) -> Set {
    Set::without_proposer(validators.iter().map(Validator::info).collect())
}

/// A block to be signed.
#[derive(Clone)]
pub(crate) struct Block {
    pub(crate) chain_id: &'static str,
    pub(crate) height: u64,
    pub(crate) secs: u64,
    pub(crate) app_hash: [u8; 32],
    pub(crate) validators: Vec<Validator>,
    pub(crate) next: Vec<Validator>,
    /// How many of the set, in its order, sign; the others are absent.
    pub(crate) signers: usize,
    /// Members of both sets whose signature is given, not made.
    pub(crate) crafted: Vec<(Info, [u8; 64])>,
}

impl Block {
    /// A block of this set, signed by all of it, followed by the same set.
    pub(crate) fn new(height: u64, secs: u64, validators: &[Validator]) -> Self {
        Self {
            chain_id: CHAIN,
            height,
            secs,
            app_hash: [height as u8; 32],
            validators: validators.to_vec(),
            next: validators.to_vec(),
            signers: validators.len(),
            crafted: vec![],
        }
    }

    /// These validators and the crafted ones.
    pub(crate) fn set(&self, validators: &[Validator]) -> Set {
        let crafted = self.crafted.iter().map(|(info, _)| info.clone());
        Set::without_proposer(validators.iter().map(Validator::info).chain(crafted).collect())
    }

    pub(crate) fn inner(&self) -> Inner {
        let set = self.set(&self.validators);
        Inner {
            version: Version { block: 11, app: 0 },
            chain_id: self.chain_id.parse().unwrap(),
            height: self.height.try_into().unwrap(),
            time: Time::from_unix_timestamp(self.secs.try_into().unwrap(), 500_000_000).unwrap(),
            last_block_id: None,
            last_commit_hash: None,
            data_hash: None,
            validators_hash: set.hash(),
            next_validators_hash: self.set(&self.next).hash(),
            consensus_hash: Hash::Sha256([1; 32]),
            app_hash: self.app_hash.to_vec().try_into().unwrap(),
            last_results_hash: None,
            evidence_hash: None,
            proposer_address: set.validators()[0].address,
        }
    }

    pub(crate) fn signed(&self) -> SignedHeader {
        let header = self.inner();
        let part_set_header = Parts::new(1, Hash::Sha256([2; 32])).unwrap();
        let block_id = Id { hash: header.hash(), part_set_header };
        let set = self.set(&self.validators);
        let signatures = set.validators().iter().enumerate().map(|(index, info)| {
            if index >= self.signers {
                return CommitSig::BlockIdFlagAbsent;
            }
            if let Some((_, signature)) = self.crafted.iter().find(|(crafted, _)| crafted == info) {
                return CommitSig::BlockIdFlagCommit {
                    validator_address: info.address,
                    timestamp: header.time,
                    signature: Signature::new(*signature).unwrap(),
                };
            }
            let validator = self.validators.iter().find(|v| v.info().address == info.address).unwrap();
            let vote = Vote {
                vote_type: Type::Precommit,
                height: header.height,
                round: Round::default(),
                block_id: Some(block_id),
                timestamp: Some(header.time),
                validator_address: info.address,
                validator_index: ValidatorIndex::try_from(index as u32).unwrap(),
                signature: None,
                extension: vec![],
                extension_signature: None,
            };
            let signature = validator.0.sign(&vote.into_signable_vec(header.chain_id.clone())).to_bytes();
            CommitSig::BlockIdFlagCommit {
                validator_address: account::Id::new(info.address.as_bytes().try_into().unwrap()),
                timestamp: header.time,
                signature: Signature::new(signature).unwrap(),
            }
        });
        let commit =
            Commit { height: header.height, round: Round::default(), block_id, signatures: signatures.collect() };
        SignedHeader::new(header, commit).unwrap()
    }

    /// The update that brings this block to a client that trusts `trusted`.
    pub(crate) fn update(&self, trusted: &Self) -> Header {
        Header {
            signed_header: self.signed(),
            validators: self.set(&self.validators),
            trusted_height: Height(trusted.height),
            trusted_next_validators: trusted.set(&trusted.next),
        }
    }

    pub(crate) fn consensus(&self) -> ConsensusState {
        let Hash::Sha256(next_validators_hash) = self.set(&self.next).hash() else { panic!("no hash") };
        ConsensusState { root: self.app_hash, time: Timestamp(self.secs), nanos: 500_000_000, next_validators_hash }
    }

    /// The block as a client's newest header.
    pub(crate) fn latest(&self) -> Latest {
        let Hash::Sha256(hash) = self.inner().hash() else { panic!("no hash") };
        Latest { height: Height(self.height), time: Timestamp(self.secs), hash }
    }

    /// A client whose newest header is this block.
    pub(crate) fn client(&self) -> ClientState {
        ClientState {
            chain_id: CHAIN.parse().unwrap(),
            store: PacketStore::Jmt,
            trust_level: TrustLevel::ONE_THIRD,
            trusting_period: 1_000,
            max_clock_drift: 10,
            latest: self.latest(),
            frozen: false,
            generation: 0,
        }
    }
}
