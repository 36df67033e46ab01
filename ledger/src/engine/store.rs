//! What the engine keeps of each block, in the application's engine column family and in the very batch
//! that commits the block's state: after a crash both are there or neither is.
//!
//! | key | value |
//! |---|---|
//! | `b/` u64be(height) | [`BlockRecord`] |
//! | `r/` u64be(height) | results: `ResponseFinalizeBlock` of CometBFT 0.38 |
//! | `c/` u64be(height) | [`CheckpointRecord`] |
//! | `v/` digest | [`SetRecord`]: the members of a validator set |
//! | `h/` block hash | u64be(height) |
//! | `t/` transaction hash | u64be(height) u32be(index) |
//! | `tip` | [`TipRecord`]: what the next block builds on |

use crosspoint_light_proofs::checkpoint::{BridgeSet, BridgeValidator, Checkpoint, SignedCheckpoint};
use crosspoint_protocol::ids::{ChainId, Height, Timestamp};
use crosspoint_protocol::sha256;
use prost::Message;
use tendermint::account;
use tendermint_proto::v0_38::{abci, types};

use super::validators::{Validator, ValidatorSet};
use crate::app::{AppError, EngineRecord, Reader};

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database.
    #[error(transparent)]
    App(#[from] AppError),
    /// A record is not what was written: the database is damaged.
    #[error("the {0} record of the block store is damaged")]
    Damaged(&'static str),
}

/// A block as stored.
#[derive(Clone, PartialEq, Message)]
pub struct BlockRecord {
    /// The block.
    #[prost(message, optional, tag = "1")]
    pub block: Option<types::Block>,
    /// Its id.
    #[prost(message, optional, tag = "2")]
    pub id: Option<types::BlockId>,
    /// Its encoded size in bytes.
    #[prost(uint64, tag = "3")]
    pub size: u64,
    /// The signatures over it.
    #[prost(message, optional, tag = "4")]
    pub commit: Option<types::Commit>,
    /// The set that signed it.
    #[prost(message, optional, tag = "5")]
    pub validators: Option<TurnRecord>,
}

/// A set at one point of its rotation.
#[derive(Clone, PartialEq, Message)]
pub struct TurnRecord {
    /// The digest under which the members are stored.
    #[prost(bytes = "vec", tag = "1")]
    pub set: Vec<u8>,
    /// Who proposes.
    #[prost(bytes = "vec", tag = "2")]
    pub proposer: Vec<u8>,
    /// The priorities, in the order of the set.
    #[prost(sint64, repeated, tag = "3")]
    pub priorities: Vec<i64>,
}

/// The members of a set.
#[derive(Clone, PartialEq, Message)]
pub struct SetRecord {
    /// In the order of the set.
    #[prost(message, repeated, tag = "1")]
    pub members: Vec<MemberRecord>,
}

/// A member of a set.
#[derive(Clone, PartialEq, Message)]
pub struct MemberRecord {
    /// The ed25519 key.
    #[prost(bytes = "vec", tag = "1")]
    pub consensus: Vec<u8>,
    /// The power.
    #[prost(uint64, tag = "2")]
    pub power: u64,
    /// The bridge address.
    #[prost(bytes = "vec", tag = "3")]
    pub bridge: Vec<u8>,
}

/// The bridge keys' signatures over one header.
#[derive(Clone, PartialEq, Message)]
pub struct CheckpointRecord {
    /// The digest under which the signing set is stored.
    #[prost(bytes = "vec", tag = "1")]
    pub set: Vec<u8>,
    /// The digest under which the next set is stored.
    #[prost(bytes = "vec", tag = "2")]
    pub next_set: Vec<u8>,
    /// `r ‖ s ‖ v` each, ascending by the signer's address.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub signatures: Vec<Vec<u8>>,
}

/// What the next block builds on, beside the last block itself.
#[derive(Clone, PartialEq, Message)]
pub struct TipRecord {
    /// The last block's height.
    #[prost(uint64, tag = "1")]
    pub height: u64,
    /// The root of its results.
    #[prost(bytes = "vec", tag = "2")]
    pub results_hash: Vec<u8>,
    /// The set that signs the next block.
    #[prost(message, optional, tag = "3")]
    pub validators: Option<TurnRecord>,
    /// The set that signs the block after the next.
    #[prost(message, optional, tag = "4")]
    pub next_validators: Option<TurnRecord>,
}

/// Where a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TxPosition {
    /// The block.
    pub height: u64,
    /// Its place in the block, from 0.
    pub index: u32,
}

const TIP: &[u8] = b"tip";

fn numbered(prefix: &[u8; 2], height: u64) -> Vec<u8> {
    [prefix.as_slice(), &height.to_be_bytes()].concat()
}

fn hashed(prefix: &[u8; 2], hash: &[u8]) -> Vec<u8> {
    [prefix.as_slice(), hash].concat()
}

/// The record of a set's members, and the digest it is stored under.
fn set_record(set: &ValidatorSet) -> ([u8; 32], Vec<u8>) {
    let member =
        |v: &Validator| MemberRecord { consensus: v.consensus.to_vec(), power: v.power, bridge: v.bridge.to_vec() };
    let bytes = SetRecord { members: set.validators().iter().map(member).collect() }.encode_to_vec();
    (sha256(&[&bytes]), bytes)
}

fn turn_record(set: &ValidatorSet) -> TurnRecord {
    TurnRecord {
        set: set_record(set).0.to_vec(),
        proposer: set.proposer().as_bytes().to_vec(),
        priorities: set.validators().iter().map(|v| v.priority).collect(),
    }
}

/// All that one block adds.
#[derive(Debug)]
pub struct BlockWrites<'a> {
    /// Its height.
    pub height: u64,
    /// The block, its id, and its encoded size.
    pub built: &'a super::block::Built,
    /// The signatures over it.
    pub commit: types::Commit,
    /// The results.
    pub results: &'a abci::ResponseFinalizeBlock,
    /// The root of the results.
    pub results_hash: Vec<u8>,
    /// The hashes of its transactions, in order.
    pub tx_hashes: &'a [[u8; 32]],
    /// The signed checkpoint.
    pub checkpoint: &'a SignedCheckpoint,
    /// The set that signed this block.
    pub validators: &'a ValidatorSet,
    /// The set that signs the next block.
    pub next: &'a ValidatorSet,
    /// The set that signs the block after the next.
    pub after_next: &'a ValidatorSet,
}

impl BlockWrites<'_> {
    /// The records, for the batch that commits the block's state. `known` says of each transaction whether it
    /// is in an earlier block already: its first place stays.
    #[must_use]
    pub fn records(self, known: &[bool]) -> Vec<EngineRecord> {
        let block = BlockRecord {
            block: Some(self.built.raw.clone()),
            id: Some(self.built.id.into()),
            size: u64::try_from(self.built.size).unwrap_or(u64::MAX),
            commit: Some(self.commit),
            validators: Some(turn_record(self.validators)),
        };
        let checkpoint = CheckpointRecord {
            set: set_record(self.validators).0.to_vec(),
            next_set: set_record(self.next).0.to_vec(),
            signatures: self.checkpoint.signatures.iter().map(|s| s.to_vec()).collect(),
        };
        let tip = TipRecord {
            height: self.height,
            results_hash: self.results_hash,
            validators: Some(turn_record(self.next)),
            next_validators: Some(turn_record(self.after_next)),
        };
        let mut records = vec![
            (numbered(b"b/", self.height), block.encode_to_vec()),
            (numbered(b"r/", self.height), self.results.encode_to_vec()),
            (numbered(b"c/", self.height), checkpoint.encode_to_vec()),
            (hashed(b"h/", self.built.id.hash.as_bytes()), self.height.to_be_bytes().to_vec()),
            (TIP.to_vec(), tip.encode_to_vec()),
        ];
        for set in [self.validators, self.next, self.after_next] {
            let (digest, bytes) = set_record(set);
            records.push((hashed(b"v/", &digest), bytes));
        }
        for ((index, hash), known) in (0_u32..).zip(self.tx_hashes).zip(known) {
            if !known {
                let position = [self.height.to_be_bytes().as_slice(), &index.to_be_bytes()].concat();
                records.push((hashed(b"t/", hash), position));
            }
        }
        records.into_iter().map(|(key, value)| EngineRecord { key, value: Some(value) }).collect()
    }
}

/// Reads what earlier blocks left.
#[derive(Debug, Clone)]
pub struct BlockStore {
    reader: Reader,
}

impl BlockStore {
    /// A store over the application's database.
    #[must_use]
    pub const fn new(reader: Reader) -> Self {
        Self { reader }
    }

    fn read<M: Message + Default>(&self, key: &[u8], what: &'static str) -> Result<Option<M>, StoreError> {
        let Some(bytes) = self.reader.engine_get(key)? else { return Ok(None) };
        M::decode(bytes.as_slice()).map(Some).map_err(|_| StoreError::Damaged(what))
    }

    /// What the next block builds on; `None` before the first.
    ///
    /// # Errors
    /// [`StoreError`], as for every read below.
    pub fn tip(&self) -> Result<Option<TipRecord>, StoreError> {
        self.read(TIP, "tip")
    }

    /// A block.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn block(&self, height: u64) -> Result<Option<BlockRecord>, StoreError> {
        self.read(&numbered(b"b/", height), "block")
    }

    /// The results of a block.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn results(&self, height: u64) -> Result<Option<abci::ResponseFinalizeBlock>, StoreError> {
        self.read(&numbered(b"r/", height), "results")
    }

    /// The height of the block with this hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn height_of(&self, hash: &[u8]) -> Result<Option<u64>, StoreError> {
        let Some(bytes) = self.reader.engine_get(&hashed(b"h/", hash))? else { return Ok(None) };
        let bytes = bytes.try_into().map_err(|_| StoreError::Damaged("block hash"))?;
        Ok(Some(u64::from_be_bytes(bytes)))
    }

    /// Where a transaction is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn position(&self, hash: &[u8; 32]) -> Result<Option<TxPosition>, StoreError> {
        let Some(bytes) = self.reader.engine_get(&hashed(b"t/", hash))? else { return Ok(None) };
        let damaged = || StoreError::Damaged("transaction");
        let (height, index) = bytes.split_first_chunk::<8>().ok_or_else(damaged)?;
        let index = index.try_into().map_err(|_| damaged())?;
        Ok(Some(TxPosition { height: u64::from_be_bytes(*height), index: u32::from_be_bytes(index) }))
    }

    /// A set as it stood in a record.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set(&self, turn: Option<&TurnRecord>) -> Result<ValidatorSet, StoreError> {
        let damaged = || StoreError::Damaged("validator set");
        let turn = turn.ok_or_else(damaged)?;
        let members = self.members(&turn.set)?;
        if members.len() != turn.priorities.len() {
            return Err(damaged());
        }
        let proposer = account::Id::try_from(turn.proposer.clone()).map_err(|_| damaged())?;
        let validators = members
            .into_iter()
            .zip(&turn.priorities)
            .map(|(v, priority)| Validator { priority: *priority, ..v })
            .collect();
        ValidatorSet::restore(validators, proposer).map_err(|_| damaged())
    }

    fn members(&self, digest: &[u8]) -> Result<Vec<Validator>, StoreError> {
        let damaged = || StoreError::Damaged("validator set");
        let record: SetRecord = self.read(&hashed(b"v/", digest), "validator set")?.ok_or_else(damaged)?;
        record
            .members
            .into_iter()
            .map(|m| {
                let consensus = m.consensus.try_into().map_err(|_| damaged())?;
                let bridge = m.bridge.as_slice().try_into().map_err(|_| damaged())?;
                Ok(Validator::new(consensus, m.power, bridge))
            })
            .collect()
    }

    fn bridge_set(&self, digest: &[u8]) -> Result<BridgeSet, StoreError> {
        let members = self.members(digest)?;
        bridge_set(&members).ok_or(StoreError::Damaged("validator set"))
    }

    /// The signed checkpoint of a header.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn checkpoint(&self, chain_id: &ChainId, height: u64) -> Result<Option<SignedCheckpoint>, StoreError> {
        let Some(record) = self.read::<CheckpointRecord>(&numbered(b"c/", height), "checkpoint")? else {
            return Ok(None);
        };
        let header = self.block(height)?.and_then(|b| b.block).and_then(|b| b.header);
        let damaged = || StoreError::Damaged("checkpoint");
        let header = header.ok_or_else(damaged)?;
        let seconds = header.time.map_or(0, |time| time.seconds);
        let set = self.bridge_set(&record.set)?;
        let next_set = self.bridge_set(&record.next_set)?;
        let signatures = record.signatures.into_iter().map(<[u8; 65]>::try_from).collect::<Result<Vec<_>, _>>();
        Ok(Some(SignedCheckpoint {
            checkpoint: Checkpoint {
                chain_id: chain_id.clone(),
                height: Height(height),
                time: Timestamp(u64::try_from(seconds).map_err(|_| damaged())?),
                app_hash: header.app_hash.try_into().map_err(|_| damaged())?,
                set_hash: set.hash(),
                next_set_hash: next_set.hash(),
            },
            next_set: (next_set != set).then_some(next_set),
            set,
            signatures: signatures.map_err(|_| damaged())?,
        }))
    }
}

/// The bridge keys of a set. `None` if they make no set, which [`ValidatorSet::new`] rules out.
pub(crate) fn bridge_set(validators: &[Validator]) -> Option<BridgeSet> {
    let members = validators.iter().map(|v| BridgeValidator { address: v.bridge, power: v.power }).collect();
    BridgeSet::from_unsorted(members).ok()
}
