//! The application behind the node's four connections.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crosspoint_light_proofs::signature::SigningKey;
use crosspoint_protocol::ids::{Height, Timestamp};
use tendermint::abci::request::{self, CheckTxKind};
use tendermint::abci::{response, types};
use tendermint::{Time, consensus, merkle};

use super::certificate::{self, Certificate};
use super::records::{self, HeaderRecord};
use super::snapshot::{SnapshotError, Snapshots};
use super::vote::Signers;
use super::{CHECKPOINT_PATH, proposal};
use crate::app::{App, AppError, BlockContext, EngineRecord, LastBlock, Reader, TxResult};
use crate::code;
use crate::engine::block::APP_VERSION;
use crate::engine::mempool::{Candidate, Mempool, MempoolError, MempoolLimits, SenderId};
use crate::engine::params::{app_hash, codespace, exec_result};
use crate::engine::store::StoreError;
use crate::engine::validators::ValidatorSetError;
use crate::genesis::Genesis;
use crate::rpc::state::PROOF_TYPE;
use crate::tx::weight;

/// What an application is started with.
#[derive(Debug, Clone)]
pub struct ApplicationConfig {
    /// Where its database and snapshots are.
    pub dir: PathBuf,
    /// What the chain starts from; the same as in the node's genesis file.
    pub genesis: Genesis,
    /// The bridge key of this validator; `None` where the node is no validator.
    pub bridge: Option<SigningKey>,
    /// A snapshot of the state is made every so many blocks; 0: never.
    pub snapshot_interval: u64,
    /// How many of the newest snapshots are kept.
    pub snapshot_keep: usize,
    /// What may wait for a block.
    pub mempool: MempoolLimits,
}

/// Why the application cannot answer. The connection ends with it, and the node stops: better than a wrong answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The application.
    #[error(transparent)]
    App(#[from] AppError),
    /// The records of headers.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The validator set.
    #[error(transparent)]
    Validators(#[from] ValidatorSetError),
    /// A value that the CometBFT types refuse.
    #[error("the CometBFT types refuse a value made here: {0}")]
    Tendermint(#[from] tendermint::Error),
    /// Snapshots.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The node's genesis file is another one.
    #[error("the node's genesis differs from the application's: {0}")]
    Genesis(&'static str),
    /// The node's time.
    #[error("the block's time is before 1970")]
    Time,
    /// A block was to be committed that was not executed.
    #[error("commit without an executed block")]
    NothingToCommit,
    /// The node asks about another block than the next one.
    #[error("the node asks about block {found}; the next one here is {next}")]
    Height {
        /// The block asked about.
        found: Height,
        /// The next one.
        next: Height,
    },
    /// The worker thread of a request ended without an answer.
    #[error("the request's thread ended unexpectedly")]
    Ended,
}

/// What is known of the executed block until it is committed.
#[derive(Debug)]
struct Executed {
    height: Height,
    records: Vec<EngineRecord>,
    hashes: Vec<[u8; 32]>,
    senders: Vec<SenderId>,
}

#[derive(Debug)]
pub(super) struct Chain {
    pub(super) app: App,
    executed: Option<Executed>,
}

/// The application. Requests about blocks are answered one after another; checks, queries and snapshots beside them.
#[derive(Debug)]
pub struct Application {
    chain: Mutex<Chain>,
    reader: Reader,
    signers: Signers,
    bridge: Option<SigningKey>,
    mempool: Mempool,
    pub(super) snapshots: Snapshots,
}

/// A time in whole seconds, as every part of the chain counts.
fn seconds(time: Time) -> Result<Timestamp, EngineError> {
    u64::try_from(time.unix_timestamp()).map(Timestamp).map_err(|_| EngineError::Time)
}

impl Application {
    /// Opens the database, or starts it from the genesis.
    ///
    /// # Errors
    /// [`EngineError`] says what of the genesis or the directory is in the way.
    pub fn open(config: ApplicationConfig) -> Result<Self, EngineError> {
        let ApplicationConfig { dir, genesis, bridge, snapshot_interval, snapshot_keep, mempool } = config;
        let app = App::open(&dir.join("db"), &genesis)?;
        let signers = Signers::of(&genesis)?;
        let is_member = |key: &SigningKey| signers.set().power_of(&key.address()).is_some();
        if let Some(key) = bridge.as_ref().filter(|key| !is_member(key)) {
            tracing::warn!(bridge = %key.address(), "this bridge key is no validator's; checkpoints are not signed with it");
        }
        Ok(Self {
            reader: app.reader(),
            chain: Mutex::new(Chain { app, executed: None }),
            signers,
            bridge,
            mempool: Mempool::new(mempool),
            snapshots: Snapshots::open(&dir, snapshot_interval, snapshot_keep)?,
        })
    }

    /// Reads of the state.
    #[must_use]
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    pub(super) fn chain(&self) -> MutexGuard<'_, Chain> {
        // Whoever panicked left an executed block at most, which the next execution replaces.
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the application is.
    ///
    /// # Errors
    /// [`EngineError`], as for every request below: the connection ends with it, and the node stops.
    pub fn info(&self) -> Result<response::Info, EngineError> {
        let last = self.reader.last_block()?;
        Ok(response::Info {
            data: "crosspoint".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            app_version: APP_VERSION,
            last_block_height: last.height.0.try_into()?,
            last_block_app_hash: app_hash(last.app_hash)?,
        })
    }

    /// Compares the node's genesis with the application's own, and gives the root of the state it starts from.
    pub fn init_chain(&self, request: &request::InitChain) -> Result<response::InitChain, EngineError> {
        let genesis = self.reader.genesis();
        if request.chain_id != genesis.chain_id.as_str() {
            return Err(EngineError::Genesis("chain_id"));
        }
        if request.initial_height.value() != 1 {
            return Err(EngineError::Genesis("initial_height; it must be 1"));
        }
        let state: Option<Genesis> = serde_json::from_slice(&request.app_state_bytes).ok();
        if state.is_none_or(|state| state.hash() != genesis.hash()) {
            return Err(EngineError::Genesis("app_state"));
        }
        check_params(&request.consensus_params)?;
        let members = self.signers.validators().validators();
        let is_member = |update: &tendermint::validator::Update| {
            members.iter().any(|v| update.pub_key.to_bytes() == v.consensus && update.power.value() == v.power)
        };
        if request.validators.len() != members.len() || !request.validators.iter().all(is_member) {
            return Err(EngineError::Genesis("validators"));
        }
        let last = self.reader.last_block()?;
        Ok(response::InitChain { app_hash: app_hash(last.app_hash)?, ..response::InitChain::default() })
    }

    /// Whether a transaction may wait. What the node checks anew after a block is judged by whether it still does.
    pub fn check_tx(&self, request: &request::CheckTx) -> Result<response::CheckTx, EngineError> {
        let hash = crate::tx::hash(&request.tx);
        let refuse = |code: u32, log: String| response::CheckTx {
            code: code.into(),
            log,
            codespace: codespace(code).into(),
            ..response::CheckTx::default()
        };
        if request.kind == CheckTxKind::Recheck {
            let waits = self.mempool.contains(&hash);
            return Ok(if waits {
                response::CheckTx::default()
            } else {
                refuse(code::NONCE_USED, "it is in a block, or waited too long".into())
            });
        }
        match self.admit(&request.tx, hash)? {
            Ok(()) => Ok(response::CheckTx::default()),
            Err((code, log)) => Ok(refuse(code, log)),
        }
    }

    fn admit(&self, tx: &[u8], hash: [u8; 32]) -> Result<Result<(), (u32, String)>, EngineError> {
        let refused = |error: MempoolError| (mempool_code(&error), error.to_string());
        match self.mempool.precheck(tx.len(), &hash) {
            // The node asks for it again, so it is to wait again.
            Err(MempoolError::Duplicate) => return Ok(Ok(())),
            Err(error) => return Ok(Err(refused(error))),
            Ok(()) => {}
        }
        let checked = self.reader.check_tx(tx);
        let (code::OK, Some(sender)) = (checked.code, checked.sender) else {
            return Ok(Err((checked.code, checked.log)));
        };
        let next_nonce = self.reader.next_nonce(&sender)?;
        let taken = self.mempool.insert(Candidate {
            tx: tx.to_vec(),
            hash,
            sender: *sender.as_bytes(),
            nonce: checked.nonce,
            next_nonce,
            weight: weight::weight(tx),
        });
        Ok(match taken {
            Ok(()) | Err(MempoolError::Duplicate) => Ok(()),
            Err(error) => Err(refused(error)),
        })
    }

    /// The next block's transactions.
    pub fn prepare_proposal(
        &self,
        request: &request::PrepareProposal,
    ) -> Result<response::PrepareProposal, EngineError> {
        let chain = self.chain();
        self.next_height(&chain, request.height)?;
        let certificate = match &request.local_last_commit {
            Some(commit) => self.certificate(chain.app.last_block(), commit)?,
            None => None,
        };
        let room = usize::try_from(request.max_tx_bytes).unwrap_or(0);
        let txs = proposal::prepare(&self.reader, &self.mempool, certificate.as_ref(), room);
        Ok(response::PrepareProposal { txs: txs.into_iter().map(Into::into).collect() })
    }

    /// The last header's certificate, from the extensions of the votes for its block.
    fn certificate(
        &self,
        last: LastBlock,
        commit: &types::ExtendedCommitInfo,
    ) -> Result<Option<Certificate>, EngineError> {
        let Some(header) = records::header(&self.reader, last.height)? else { return Ok(None) };
        let Ok(root) = <[u8; 32]>::try_from(header.app_hash.as_slice()) else {
            return Err(StoreError::Damaged("header").into());
        };
        let (height, time) = (last.height, Timestamp(header.time));
        let read = |vote: &types::ExtendedVoteInfo| {
            let validator = tendermint::account::Id::new(vote.validator.address);
            // The node refused votes with bad extensions when they came; what is bad here all the same is left out.
            self.signers.read(validator, height, root, &vote.vote_extension).ok().flatten()
        };
        let certificate = Certificate::gather(&self.signers, height, time, root, commit.votes.iter().filter_map(read));
        if certificate.is_none() && height.0 > 0 {
            tracing::warn!(%height, "too few validators signed the checkpoint of this header; it gets no certificate");
        }
        Ok(certificate)
    }

    /// Whether a block may be voted for.
    pub fn process_proposal(
        &self,
        request: &request::ProcessProposal,
    ) -> Result<response::ProcessProposal, EngineError> {
        let chain = self.chain();
        let height = self.next_height(&chain, request.height)?;
        let last = records::header(&self.reader, chain.app.last_block().height)?;
        match proposal::process(&self.reader, &self.signers, last.as_ref(), height, &request.txs) {
            Ok(()) => Ok(response::ProcessProposal::Accept),
            Err(proposal::BadBlock::App(error)) => Err(error.into()),
            Err(error) => {
                tracing::warn!(%height, proposer = %request.proposer_address, %error, "a proposed block is refused");
                Ok(response::ProcessProposal::Reject)
            }
        }
    }

    /// The signature over the block's header that goes with this validator's vote.
    pub fn extend_vote(&self, request: &request::ExtendVote) -> Result<response::ExtendVote, EngineError> {
        let chain = self.chain();
        let height = self.next_height(&chain, request.height)?;
        let root = chain.app.last_block().app_hash;
        let extension = self.signers.extend(self.bridge.as_ref(), height, seconds(request.time)?, root);
        Ok(response::ExtendVote { vote_extension: extension.into() })
    }

    /// Whether another validator's vote comes with what it should.
    pub fn verify_vote_extension(
        &self,
        request: &request::VerifyVoteExtension,
    ) -> Result<response::VerifyVoteExtension, EngineError> {
        let chain = self.chain();
        let height = self.next_height(&chain, request.height)?;
        let root = chain.app.last_block().app_hash;
        match self.signers.read(request.validator_address, height, root, &request.vote_extension) {
            Ok(_) => Ok(response::VerifyVoteExtension::Accept),
            Err(error) => {
                tracing::warn!(%height, validator = %request.validator_address, %error, "a vote extension is refused");
                Ok(response::VerifyVoteExtension::Reject)
            }
        }
    }

    fn next_height(&self, chain: &Chain, asked: tendermint::block::Height) -> Result<Height, EngineError> {
        let (found, next) = (Height(asked.value()), chain.app.last_block().height.next());
        if found == next { Ok(found) } else { Err(EngineError::Height { found, next }) }
    }

    /// Executes a block. Nothing is written before [`Application::commit`].
    pub fn finalize_block(&self, request: &request::FinalizeBlock) -> Result<response::FinalizeBlock, EngineError> {
        let mut chain = self.chain();
        chain.executed = None;
        let height = self.next_height(&chain, request.height)?;
        let last = chain.app.last_block();
        let time = seconds(request.time)?;
        for fault in &request.misbehavior {
            let validator = hex::encode_upper(fault.validator.address);
            tracing::error!(%height, validator, kind = ?fault.kind, at = %fault.height, "a validator signed twice");
        }

        let (certificate, users) = certificate::split(&request.txs);
        let header = HeaderRecord { height: height.0, time: time.0, app_hash: last.app_hash.to_vec() };
        let mut records = vec![header.write()];
        let mut tx_results = vec![];
        if let Some(bytes) = certificate {
            let (result, record) = self.certified(last.height, bytes)?;
            tx_results.push(exec_result(&result).try_into()?);
            records.extend(record);
        }

        let txs: Vec<Vec<u8>> = users.iter().map(|tx| tx.to_vec()).collect();
        let proposer = request.proposer_address.as_bytes().try_into().unwrap_or_default();
        let outcome = chain.app.execute_block(&BlockContext { height, time, proposer }, &txs)?;
        for result in &outcome.results {
            tx_results.push(exec_result(result).try_into()?);
        }
        chain.executed = Some(Executed {
            height,
            records,
            hashes: txs.iter().map(|tx| crate::tx::hash(tx)).collect(),
            senders: outcome.results.iter().filter_map(|result| Some(*result.sender?.as_bytes())).collect(),
        });
        Ok(response::FinalizeBlock {
            events: outcome.events.iter().map(crate::events::Event::to_abci).collect(),
            tx_results,
            // The set is that of the genesis: nothing changes it yet.
            validator_updates: vec![],
            consensus_param_updates: None,
            app_hash: app_hash(outcome.app_hash)?,
        })
    }

    /// The result of a block's certificate, and its record. What the result says depends on its bytes alone, so that all
    /// nodes say the same, whether they have seen the header or not.
    fn certified(&self, height: Height, bytes: &[u8]) -> Result<(TxResult, Option<EngineRecord>), EngineError> {
        let result = |code, log| TxResult { code, log, events: vec![], sender: None, nonce: 0 };
        let checked = Certificate::decode(bytes).and_then(|certificate| {
            certificate.verify(&self.signers, height)?;
            Ok(certificate)
        });
        Ok(match checked {
            Err(error) => (result(code::INVALID, error.to_string()), None),
            Ok(certificate) => {
                let other = records::header(&self.reader, height)?.is_some_and(|header| !header.is_of(&certificate));
                if other {
                    tracing::error!(%height, "a quorum of bridge keys signed another header than the one committed here");
                }
                (result(code::OK, String::new()), (!other).then(|| records::write_certificate(&certificate)))
            }
        })
    }

    /// Writes the executed block, and begins a snapshot when one is due.
    pub fn commit(self: &Arc<Self>) -> Result<response::Commit, EngineError> {
        let mut chain = self.chain();
        let executed = chain.executed.take().ok_or(EngineError::NothingToCommit)?;
        let last = chain.app.commit(executed.records)?;
        let next_nonce = |sender: &SenderId| {
            let account = crate::address::AccountId::from_slice(sender).ok();
            account.and_then(|account| self.reader.next_nonce(&account).ok()).unwrap_or(0)
        };
        self.mempool.committed(executed.height.0, &executed.hashes, &executed.senders, next_nonce);
        self.snapshots.after_block(last.height, &self.reader);
        Ok(response::Commit { data: Default::default(), retain_height: 0_u32.into() })
    }

    /// Answers a query, as `solo` does.
    pub fn query(&self, request: &request::Query) -> Result<response::Query, EngineError> {
        if request.path.trim_start_matches('/') == CHECKPOINT_PATH {
            return self.checkpoint(&request.data);
        }
        let height = Height(request.height.value());
        let found = self.reader.query(&request.path, &request.data, height, request.prove);
        let proof = found.proof.map(|data| merkle::proof::ProofOps {
            ops: vec![merkle::proof::ProofOp { field_type: PROOF_TYPE.into(), key: found.key.clone(), data }],
        });
        Ok(response::Query {
            code: found.code.into(),
            log: found.log,
            key: found.key.into(),
            value: found.value.into(),
            proof,
            height: found.height.0.try_into()?,
            codespace: codespace(found.code).into(),
            ..response::Query::default()
        })
    }

    /// The signed checkpoint of a header. It is there when the block after the header is.
    fn checkpoint(&self, data: &[u8]) -> Result<response::Query, EngineError> {
        let newest = self.reader.last_block()?.height;
        let refused = |code: u32, log: String, height: Height| -> Result<response::Query, EngineError> {
            Ok(response::Query {
                code: code.into(),
                log,
                height: height.0.try_into()?,
                codespace: codespace(code).into(),
                ..response::Query::default()
            })
        };
        let Ok(bytes) = <[u8; 8]>::try_from(data) else {
            let log = "data is the header's height in eight bytes, the highest first".into();
            return refused(code::MALFORMED, log, newest);
        };
        let asked = Height(u64::from_be_bytes(bytes));
        let nearest = records::newest_certified(&self.reader, if asked.0 == 0 { newest } else { asked.min(newest) })?;
        let height = if asked.0 == 0 { nearest.unwrap_or_default() } else { asked };
        if let Some(signed) = records::checkpoint(&self.reader, &self.signers, height)? {
            let value = serde_json::to_vec(&signed).map_err(|_| StoreError::Damaged("certificate"))?;
            return Ok(response::Query {
                key: data.to_vec().into(),
                value: value.into(),
                height: height.0.try_into()?,
                ..response::Query::default()
            });
        }
        let nearest =
            nearest.map_or_else(|| "none is near".into(), |nearest| format!("the nearest below is {nearest}"));
        refused(code::NOT_FOUND, format!("there is no certificate of header {height} here; {nearest}"), newest)
    }
}

/// What a refusal by the mempool means to a sender: sign anew, or send again later.
const fn mempool_code(error: &MempoolError) -> u32 {
    match error {
        MempoolError::NonceTaken { .. } | MempoolError::NonceUsed { .. } => code::NONCE_USED,
        MempoolError::NonceAhead { .. } => code::NONCE_AHEAD,
        MempoolError::TooLarge { .. } => code::MALFORMED,
        MempoolError::Full { .. } | MempoolError::SenderFull { .. } | MempoolError::SenderBytes { .. } => code::LIMIT,
        MempoolError::Duplicate => code::OK,
    }
}

/// What of the node's parameters the application relies on.
fn check_params(params: &consensus::Params) -> Result<(), EngineError> {
    if params.abci.vote_extensions_enable_height.is_none_or(|height| height.value() != 1) {
        return Err(EngineError::Genesis("consensus_params.abci.vote_extensions_enable_height; it must be 1"));
    }
    if params.block.max_bytes > crate::engine::params::consensus_params().block.max_bytes {
        return Err(EngineError::Genesis("consensus_params.block.max_bytes is too large"));
    }
    Ok(())
}
