//! What one endpoint says about the chain's state, height and blocks.

use crosspoint_ledger::code;
use crosspoint_light_proofs::checkpoint::SignedCheckpoint;
use crosspoint_protocol::ids::{Height, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tendermint::block::signed_header::SignedHeader;
use tendermint::{Time, block, validator};
use tendermint_proto::v0_38::types::ValidatorSet as RawValidatorSet;
use tendermint_rpc::endpoint::{abci_query, commit, status, validators};

use super::rpc::{Endpoint, RpcError};
use crate::chain::Tip;
use crate::error::ChainError;

/// Most pages of validators that are read: as many as a light client handles.
const MAX_VALIDATOR_PAGES: usize = 6;
const VALIDATORS_PER_PAGE: u8 = 100;

/// The value under a provable key, with the proof if one was asked for.
#[derive(Debug)]
pub(crate) struct Stored {
    /// The value; empty if the key is absent.
    pub(crate) value: Vec<u8>,
    /// An encoded ICS-23 `CommitmentProof`; empty if none was asked for.
    pub(crate) proof: Vec<u8>,
}

/// How far a node is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeStatus {
    /// Its newest block.
    pub(crate) latest: Tip,
    /// Its oldest block.
    pub(crate) earliest: Height,
}

/// A header's time floored to whole seconds, as the chain's `now`.
pub(crate) fn seconds(time: Time) -> Option<Timestamp> {
    u64::try_from(time.unix_timestamp()).ok().map(Timestamp)
}

impl Endpoint {
    /// How far the node is. A node of another chain, or one that is still catching up, is an error.
    pub(crate) async fn status(&self) -> Result<NodeStatus, ChainError> {
        let status = self.ask(status::Request).await?;
        let network = status.node_info.network.as_str();
        if network != self.chain().as_str() {
            return Err(self.untrustworthy(format!("it serves chain {network:?}")));
        }
        if status.sync_info.catching_up {
            return Err(ChainError::NotYet(format!("{}: {} is still catching up", self.chain(), self.label())));
        }
        let time = seconds(status.sync_info.latest_block_time)
            .ok_or_else(|| self.malformed("status", "the newest block is from before 1970"))?;
        Ok(NodeStatus {
            latest: Tip { height: Height(status.sync_info.latest_block_height.value()), time },
            earliest: Height(status.sync_info.earliest_block_height.value()),
        })
    }

    /// A height as the RPC takes it.
    pub(crate) fn height(&self, height: Height) -> Result<block::Height, ChainError> {
        block::Height::try_from(height.0)
            .map_err(|_| ChainError::InvalidRequest(format!("{}: height {height} is out of range", self.chain())))
    }

    /// Why the node refused a question about a height: it is not there yet, gone, or the node is at fault.
    pub(crate) async fn explain(&self, method: &'static str, height: Height, error: RpcError) -> ChainError {
        if !matches!(error, RpcError::Refused(_)) {
            return self.failure(method, error);
        }
        match self.status().await {
            Ok(status) if height > status.latest.height => {
                ChainError::NotYet(format!("{}: block {height} is not there yet", self.chain()))
            }
            Ok(status) if height < status.earliest => ChainError::Pruned { chain: self.chain().clone(), height },
            Ok(_) => self.failure(method, error),
            Err(failed) => failed,
        }
    }

    /// A question to the application whose answer is JSON. `height` 0 asks the newest state.
    pub(crate) async fn view<T: DeserializeOwned>(
        &self,
        path: &'static str,
        data: &(impl Serialize + ?Sized),
        height: Height,
    ) -> Result<T, ChainError> {
        let data = serde_json::to_vec(data)
            .map_err(|error| ChainError::InvalidRequest(format!("{}: {path}: {error}", self.chain())))?;
        self.view_of(path, data, height).await
    }

    /// A question to the application about one thing named by text.
    pub(crate) async fn view_named<T: DeserializeOwned>(
        &self,
        path: &'static str,
        name: &str,
    ) -> Result<T, ChainError> {
        self.view_of(path, name.as_bytes().to_vec(), Height(0)).await
    }

    /// A question to the application that takes no data. `height` 0 asks the newest state.
    pub(crate) async fn view_all<T: DeserializeOwned>(
        &self,
        path: &'static str,
        height: Height,
    ) -> Result<T, ChainError> {
        self.view_of(path, vec![], height).await
    }

    async fn view_of<T: DeserializeOwned>(
        &self,
        path: &'static str,
        data: Vec<u8>,
        height: Height,
    ) -> Result<T, ChainError> {
        let answer = self.abci_query(path, data, height, false).await?;
        serde_json::from_slice(&answer.value).map_err(|error| self.malformed(path, error.to_string()))
    }

    /// The value under a provable key in the state after block `at`; 0 asks the newest state.
    pub(crate) async fn stored(&self, key: &[u8], at: Height, prove: bool) -> Result<Stored, ChainError> {
        let answer = self.abci_query("/store", key.to_vec(), at, prove).await?;
        if !answer.key.is_empty() && answer.key != key {
            return Err(self.untrustworthy("it answered about another key"));
        }
        let mut ops = answer.proof.map(|proof| proof.ops).unwrap_or_default();
        let proof = match (prove, ops.pop()) {
            (false, _) => vec![],
            (true, Some(op)) if ops.is_empty() => op.data,
            (true, _) => return Err(self.malformed("abci_query", "there is no single proof in the answer")),
        };
        Ok(Stored { value: answer.value, proof })
    }

    async fn abci_query(
        &self,
        path: &'static str,
        data: Vec<u8>,
        at: Height,
        prove: bool,
    ) -> Result<abci_query::AbciQuery, ChainError> {
        let height = if at.0 == 0 { None } else { Some(self.height(at)?) };
        let request = abci_query::Request::new(Some(path.to_owned()), data, height, prove);
        let answer = match self.call(request).await {
            Ok(answer) => answer.response,
            Err(error) => return Err(self.explain("abci_query", at, error).await),
        };
        if answer.code.is_ok() {
            if at.0 != 0 && answer.height.value() != at.0 {
                return Err(self.untrustworthy(format!("asked at height {at}, it answered at {}", answer.height)));
            }
            return Ok(answer);
        }
        let said: String = answer.log.chars().filter(|c| !c.is_control()).take(200).collect();
        Err(match answer.code.value() {
            code::NOT_FOUND => ChainError::NotFound { chain: self.chain().clone(), what: said },
            // The node has the block, and its application has not finished it.
            code::PRUNED if answer.height.value() < at.0 => {
                ChainError::NotYet(format!("{}: the state after block {at} is not there yet", self.chain()))
            }
            code::PRUNED => ChainError::Pruned { chain: self.chain().clone(), height: at },
            _ if self.is_ahead(at).await => {
                ChainError::NotYet(format!("{}: block {at} is not there yet", self.chain()))
            }
            code::MALFORMED | code::INVALID => ChainError::InvalidRequest(format!("{}: {path}: {said}", self.chain())),
            code => self.malformed("abci_query", format!("{path}: code {code}: {said}")),
        })
    }

    async fn is_ahead(&self, at: Height) -> bool {
        at.0 != 0 && self.status().await.is_ok_and(|status| at > status.latest.height)
    }
}

impl Endpoint {
    /// The signed checkpoint of a header, or for height 0 of the newest header that has one: where validators sign with
    /// their votes, it is in the block after the header.
    pub(crate) async fn checkpoint(&self, height: Height) -> Result<SignedCheckpoint, ChainError> {
        let data = height.0.to_be_bytes().to_vec();
        let answer = self.abci_query("/checkpoint", data, Height(0), false).await;
        match answer {
            Ok(answer) => {
                serde_json::from_slice(&answer.value).map_err(|error| self.malformed("/checkpoint", error.to_string()))
            }
            Err(ChainError::NotFound { .. }) if self.is_ahead(height.next()).await => {
                Err(ChainError::NotYet(format!("{}: the checkpoint of header {height} is not there yet", self.chain())))
            }
            Err(error) => Err(error),
        }
    }

    /// A header with its commit.
    pub(crate) async fn signed_header(&self, height: Height) -> Result<SignedHeader, ChainError> {
        let answer = match self.call(commit::Request::new(self.height(height)?)).await {
            Ok(answer) => answer.signed_header,
            Err(error) => return Err(self.explain("commit", height, error).await),
        };
        let header = &answer.header;
        if header.height.value() != height.0 || header.chain_id.as_str() != self.chain().as_str() {
            return Err(self.untrustworthy(format!("asked for header {height}, got another")));
        }
        Ok(answer)
    }

    /// A block's number and its header's time.
    pub(crate) async fn tip(&self, height: Height) -> Result<Tip, ChainError> {
        let signed = self.signed_header(height).await?;
        let time = seconds(signed.header.time).ok_or_else(|| self.malformed("commit", "a time before 1970"))?;
        Ok(Tip { height, time })
    }

    /// The validators that sign a header, the proposer marked.
    pub(crate) async fn validators(&self, height: Height) -> Result<validator::Set, ChainError> {
        let number = self.height(height)?;
        let mut all: Vec<validator::Info> = Vec::new();
        for page in 1..=MAX_VALIDATOR_PAGES {
            let request = validators::Request::new(Some(number), Some(page.into()), Some(VALIDATORS_PER_PAGE.into()));
            let answer = match self.call(request).await {
                Ok(answer) => answer,
                Err(error) => return Err(self.explain("validators", height, error).await),
            };
            if answer.block_height != number || answer.validators.is_empty() {
                return Err(self.malformed("validators", "the validators of another height, or none"));
            }
            all.extend(answer.validators);
            if usize::try_from(answer.total).is_ok_and(|total| all.len() >= total) {
                // Not by `Set::new`, which panics on powers that are too large.
                let raw = RawValidatorSet {
                    validators: all.into_iter().map(Into::into).collect(),
                    proposer: None,
                    total_voting_power: 0,
                };
                return raw.try_into().map_err(|_| self.malformed("validators", "they are no validator set"));
            }
        }
        Err(self.malformed("validators", "more validators than any client handles"))
    }
}
