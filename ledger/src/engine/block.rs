//! Building a block as CometBFT does: every hash of its header, its parts, and the commit that signs it.
//!
//! Formats: CometBFT spec v0.38, core data structures and encoding.

use prost::Message;
use tendermint::block::header::Version;
use tendermint::block::{self, Commit, CommitSig, Header, Round, parts};
use tendermint::crypto::default::Sha256;
use tendermint::merkle::simple_hash_from_byte_vectors;
use tendermint::{AppHash, Hash, Signature, Time, chain, vote};
use tendermint_proto::v0_38::{abci, types};

use super::keys::ValidatorKeys;
use super::validators::{ValidatorSet, ValidatorSetError};

/// The block protocol of CometBFT 0.38.
pub const BLOCK_PROTOCOL: u64 = 11;
/// The version of this application's state machine, as it stands in headers.
pub const APP_VERSION: u64 = 1;
/// A block travels in parts of this many bytes.
const PART_SIZE: usize = 65_536;

/// Why a block could not be built or signed.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The height, or a count, is beyond what the format holds.
    #[error("{0} is beyond what a header can hold")]
    Range(&'static str),
    /// The validator set.
    #[error(transparent)]
    Validators(#[from] ValidatorSetError),
    /// A key or signature that the CometBFT types refuse.
    #[error("the CometBFT types refuse a value made here: {0}")]
    Tendermint(#[from] tendermint::Error),
    /// A validator of the set has no key here.
    #[error("no key for validator {0}")]
    NoKey(tendermint::account::Id),
}

/// What of the chain so far goes into the next header.
#[derive(Debug, Clone)]
pub struct Previous {
    /// The id of the last block; `None` before the first.
    pub block_id: Option<block::Id>,
    /// The signatures over the last block; `None` before the first.
    pub commit: Option<Commit>,
    /// The root of the last block's results.
    pub results_hash: Hash,
    /// The root of the state after the last block.
    pub app_hash: AppHash,
}

/// What the next header says of itself.
#[derive(Debug, Clone)]
pub struct Proposal<'a> {
    /// The chain.
    pub chain_id: chain::Id,
    /// The block's number.
    pub height: u64,
    /// The header's time.
    pub time: Time,
    /// The transactions in order.
    pub txs: Vec<Vec<u8>>,
    /// The set that signs this block; its turn says who proposes.
    pub validators: &'a ValidatorSet,
    /// The set that signs the next block.
    pub next_validators: &'a ValidatorSet,
    /// The root of the consensus parameters in force.
    pub consensus_hash: Hash,
}

/// A block and its id.
#[derive(Debug, Clone)]
pub struct Built {
    /// The block in its wire type.
    pub raw: types::Block,
    /// Its header.
    pub header: Header,
    /// The header's hash and the root of the block's parts.
    pub id: block::Id,
    /// The size of the encoded block in bytes.
    pub size: usize,
}

fn merkle(leaves: &[impl AsRef<[u8]>]) -> Hash {
    Hash::Sha256(simple_hash_from_byte_vectors::<Sha256>(leaves))
}

/// The Merkle root of the transactions: each leaf is the transaction's SHA-256.
#[must_use]
pub fn data_hash(txs: &[Vec<u8>]) -> Hash {
    let hashes: Vec<[u8; 32]> = txs.iter().map(|tx| crosspoint_protocol::sha256(&[tx])).collect();
    merkle(&hashes)
}

/// The Merkle root of a commit's signatures; of no leaves before the first block.
#[must_use]
pub fn commit_hash(commit: Option<&Commit>) -> Hash {
    let signatures = commit.map(|c| c.signatures.clone()).unwrap_or_default();
    let leaves: Vec<Vec<u8>> = signatures.into_iter().map(|s| types::CommitSig::from(s).encode_to_vec()).collect();
    merkle(&leaves)
}

/// The Merkle root of what every node must agree on of the results: code, data and gas.
#[must_use]
pub fn results_hash(results: &[abci::ExecTxResult]) -> Hash {
    let leaves: Vec<Vec<u8>> = results
        .iter()
        .map(|r| {
            abci::ExecTxResult {
                code: r.code,
                data: r.data.clone(),
                gas_wanted: r.gas_wanted,
                gas_used: r.gas_used,
                ..abci::ExecTxResult::default()
            }
            .encode_to_vec()
        })
        .collect();
    merkle(&leaves)
}

/// The hash of the consensus parameters that headers carry: block size and gas limits.
#[must_use]
pub fn consensus_hash(params: &tendermint::consensus::Params) -> Hash {
    let hashed = types::HashedParams {
        block_max_bytes: i64::try_from(params.block.max_bytes).unwrap_or(i64::MAX),
        block_max_gas: params.block.max_gas,
    };
    Hash::Sha256(crosspoint_protocol::sha256(&[&hashed.encode_to_vec()]))
}

/// Builds the block after `previous`.
///
/// # Errors
/// When a number does not fit the format.
pub fn build(proposal: Proposal<'_>, previous: &Previous) -> Result<Built, BlockError> {
    let header = Header {
        version: Version { block: BLOCK_PROTOCOL, app: APP_VERSION },
        chain_id: proposal.chain_id,
        height: block::Height::try_from(proposal.height).map_err(|_| BlockError::Range("the height"))?,
        time: proposal.time,
        last_block_id: previous.block_id,
        last_commit_hash: Some(commit_hash(previous.commit.as_ref())),
        data_hash: Some(data_hash(&proposal.txs)),
        validators_hash: proposal.validators.hash()?,
        next_validators_hash: proposal.next_validators.hash()?,
        consensus_hash: proposal.consensus_hash,
        app_hash: previous.app_hash.clone(),
        last_results_hash: Some(previous.results_hash),
        evidence_hash: Some(merkle(&[[0_u8; 0]; 0])),
        proposer_address: proposal.validators.proposer(),
    };
    // Before the first block the commit is empty, but the wire format still has it and its block id.
    let no_commit = types::Commit {
        block_id: Some(types::BlockId { hash: Vec::new(), part_set_header: Some(types::PartSetHeader::default()) }),
        ..types::Commit::default()
    };
    let raw = types::Block {
        header: Some(header.clone().into()),
        data: Some(types::Data { txs: proposal.txs }),
        evidence: Some(types::EvidenceList::default()),
        last_commit: Some(previous.commit.clone().map_or(no_commit, Into::into)),
    };
    let encoded = raw.encode_to_vec();
    let leaves: Vec<&[u8]> = encoded.chunks(PART_SIZE).collect();
    let total = u32::try_from(leaves.len()).map_err(|_| BlockError::Range("the number of parts"))?;
    let id = block::Id { hash: header.hash(), part_set_header: parts::Header::new(total, merkle(&leaves))? };
    Ok(Built { raw, header, id, size: encoded.len() })
}

/// Signs a block: one canonical precommit per key, in the order of the set. Validators without a key in
/// `keys` are absent.
///
/// # Errors
/// When a number does not fit the format.
pub fn sign_commit(
    header: &Header,
    id: block::Id,
    time: Time,
    validators: &ValidatorSet,
    keys: &[ValidatorKeys],
) -> Result<Commit, BlockError> {
    let mut signatures = Vec::with_capacity(validators.validators().len());
    for (index, validator) in validators.validators().iter().enumerate() {
        let Some(key) = keys.iter().find(|k| k.consensus_public() == validator.consensus) else {
            signatures.push(CommitSig::BlockIdFlagAbsent);
            continue;
        };
        let precommit = vote::Vote {
            vote_type: vote::Type::Precommit,
            height: header.height,
            round: Round::default(),
            block_id: Some(id),
            timestamp: Some(time),
            validator_address: validator.address(),
            validator_index: vote::ValidatorIndex::try_from(index)?,
            signature: None,
            extension: Vec::new(),
            extension_signature: None,
        };
        let signature = key.sign_vote(&precommit.into_signable_vec(header.chain_id.clone()));
        signatures.push(CommitSig::BlockIdFlagCommit {
            validator_address: validator.address(),
            timestamp: time,
            signature: Signature::new(signature)?,
        });
    }
    Ok(Commit { height: header.height, round: Round::default(), block_id: id, signatures })
}
