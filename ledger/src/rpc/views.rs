//! JSON forms that CometBFT writes otherwise than the `tendermint-rpc` types do, and reads of blocks that several
//! methods share.

use serde_json::{Value, json};
use tendermint::abci::types::ExecTxResult;
use tendermint_proto::v0_38::abci;

use super::jsonrpc::RpcError;
use super::params::Params;
use crate::engine::node::Node;
use crate::engine::store::{BlockRecord, StoreError};
use crate::engine::validators::{ValidatorSet, ValidatorSetError};

impl From<StoreError> for RpcError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the block store could not be read");
        Self::Internal(error.to_string())
    }
}

impl From<ValidatorSetError> for RpcError {
    fn from(error: ValidatorSetError) -> Self {
        Self::Internal(error.to_string())
    }
}

/// A stored value that its own types refuse.
pub(super) fn damaged(error: impl std::fmt::Display) -> RpcError {
    tracing::error!(%error, "a stored value is damaged");
    RpcError::Internal("a stored value is damaged; see the node's log".into())
}

/// The height asked for, which must be there; the newest block's when none is asked for.
pub(super) fn asked_height(node: &Node, params: &Params) -> Result<u64, RpcError> {
    let newest = node.latest().height;
    match params.height("height")? {
        Some(height) if height > newest => Err(beyond(height, newest)),
        Some(height) => Ok(height),
        None if newest == 0 => Err(RpcError::Internal("there is no block yet".into())),
        None => Ok(newest),
    }
}

pub(super) fn beyond(height: u64, newest: u64) -> RpcError {
    RpcError::Internal(format!("height {height} must be less than or equal to the current blockchain height {newest}"))
}

pub(super) fn stored_block(node: &Node, height: u64) -> Result<BlockRecord, RpcError> {
    node.store.block(height)?.ok_or_else(|| RpcError::Internal(format!("there is no block at height {height}")))
}

pub(super) fn stored_results(node: &Node, height: u64) -> Result<abci::ResponseFinalizeBlock, RpcError> {
    node.store.results(height)?.ok_or_else(|| RpcError::Internal(format!("there are no results at height {height}")))
}

pub(super) fn exec_result(raw: abci::ExecTxResult) -> Result<ExecTxResult, RpcError> {
    raw.try_into().map_err(damaged)
}

pub(super) fn events(raw: Vec<abci::Event>) -> Result<Vec<tendermint::abci::Event>, RpcError> {
    raw.into_iter().map(|event| event.try_into().map_err(damaged)).collect()
}

/// Validators with `voting_power` and `proposer_priority`, as CometBFT writes them.
pub(super) fn validator_list(set: &ValidatorSet) -> Result<Vec<Value>, RpcError> {
    let view = |info: tendermint::validator::Info| {
        json!({
            "address": info.address,
            "pub_key": info.pub_key,
            "voting_power": info.power(),
            "proposer_priority": info.proposer_priority.value().to_string(),
        })
    };
    Ok(set.to_infos()?.into_iter().map(|info| with_text_power(view(info))).collect())
}

/// 64-bit numbers are texts in CometBFT's JSON.
pub(super) fn with_text_power(mut validator: Value) -> Value {
    if let Some(power) = validator.get_mut("voting_power") {
        *power = Value::from(power.to_string());
    }
    validator
}

/// Which part of a list a page is: the page asked for, the number per page, and the range of items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) range: std::ops::Range<usize>,
}

/// Reads `page` and `per_page` as CometBFT does: from 1, 30 per page unless told, 100 at most; a page beyond
/// the last is an error.
pub(super) fn page(params: &Params, total: usize) -> Result<Page, RpcError> {
    const DEFAULT: usize = 30;
    const MOST: usize = 100;
    let per_page = match params.number("per_page")? {
        None => DEFAULT,
        Some(n) if n < 1 => DEFAULT,
        Some(n) => usize::try_from(n).unwrap_or(MOST).min(MOST),
    };
    let pages = total.div_ceil(per_page).max(1);
    let number = params.number("page")?.unwrap_or(1);
    let number = usize::try_from(number)
        .ok()
        .filter(|n| (1..=pages).contains(n))
        .ok_or_else(|| RpcError::InvalidParams(format!("page should be within [1, {pages}] range, given {number}")))?;
    let start = number.saturating_sub(1).saturating_mul(per_page).min(total);
    Ok(Page { range: start..start.saturating_add(per_page).min(total) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        Params::from_query(query).unwrap()
    }

    #[test]
    fn pages_are_bounded() {
        assert_eq!(page(&params(""), 250).unwrap().range, 0..30);
        assert_eq!(page(&params("per_page=5000"), 250).unwrap().range, 0..100);
        assert_eq!(page(&params("per_page=100&page=3"), 250).unwrap().range, 200..250);
        assert_eq!(page(&params("page=1"), 0).unwrap().range, 0..0);
        for bad in ["page=0", "page=-1", "page=10", "page=x", "page=99999999999999999999"] {
            assert!(page(&params(bad), 250).is_err(), "{bad}");
        }
    }
}
