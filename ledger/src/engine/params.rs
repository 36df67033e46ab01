//! What every engine's chain runs by: limits of a block, consensus parameters, the genesis document, and the forms in
//! which CometBFT takes validators and results.

use tendermint::{AppHash, Time, block, consensus, evidence, public_key};
use tendermint_proto::v0_38::abci;

use super::validators::{Validator, ValidatorSet, ValidatorSetError};
use crate::app::TxResult;
use crate::genesis::{self, Genesis};

/// Most bytes of transactions in a block.
pub const MAX_BLOCK_BYTES: usize = 8 * 1024 * 1024;
/// Most that a block's results and the signatures in it may take, by the weight of its transactions.
pub const MAX_BLOCK_WEIGHT: usize = crate::tx::MAX_WEIGHT;
/// Most transactions in a block.
pub const MAX_BLOCK_TXS: usize = 20_000;

/// Why a genesis has no form that CometBFT takes.
#[derive(Debug, thiserror::Error)]
pub enum ParamsError {
    /// The validator set.
    #[error(transparent)]
    Validators(#[from] ValidatorSetError),
    /// The chain id or the time.
    #[error("the CometBFT types refuse the genesis: {0}")]
    Tendermint(#[from] tendermint::Error),
    /// The time.
    #[error("the genesis time is beyond what a header can hold")]
    Time,
    /// It cannot be written as JSON.
    #[error("the genesis cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// The consensus parameters of a chain.
pub(super) fn consensus_params() -> consensus::Params {
    consensus::Params {
        block: block::Size {
            max_bytes: u64::try_from(MAX_BLOCK_BYTES).unwrap_or(u64::MAX),
            max_gas: -1,
            time_iota_ms: block::Size::default_time_iota_ms(),
        },
        evidence: evidence::Params {
            max_age_num_blocks: 100_000,
            max_age_duration: evidence::Duration(std::time::Duration::from_secs(48 * 3_600)),
            max_bytes: 1_048_576,
        },
        validator: consensus::params::ValidatorParams { pub_key_types: vec![public_key::Algorithm::Ed25519] },
        version: Some(consensus::params::VersionParams { app: super::block::APP_VERSION }),
        abci: consensus::params::AbciParams::default(),
    }
}

/// The set of a genesis, before any block.
pub(super) fn validator_set(validators: &[genesis::Validator]) -> Result<ValidatorSet, ValidatorSetError> {
    let each = |v: &genesis::Validator| Validator::new(v.binding.consensus_key, v.power, v.binding.bridge_address);
    ValidatorSet::new(validators.iter().map(each).collect())
}

/// A root as headers carry it.
pub(super) fn app_hash(root: [u8; 32]) -> Result<AppHash, tendermint::Error> {
    AppHash::try_from(root.to_vec())
}

/// A transaction's result in the form CometBFT stores and hashes.
pub(super) fn exec_result(result: &TxResult) -> abci::ExecTxResult {
    abci::ExecTxResult {
        code: result.code,
        log: result.log.clone(),
        codespace: codespace(result.code).into(),
        events: result.events.iter().map(|e| e.to_abci().into()).collect(),
        ..abci::ExecTxResult::default()
    }
}

/// The name space of a code, as CometBFT wants it.
pub(crate) const fn codespace(code: u32) -> &'static str {
    if code == crate::code::OK { "" } else { "crosspoint" }
}

/// The genesis in CometBFT's form, the application's own part under `app_state`.
pub(super) fn genesis_document(
    genesis: &Genesis,
    params: &consensus::Params,
    validators: &ValidatorSet,
) -> Result<serde_json::Value, ParamsError> {
    let seconds = genesis.start_time().ok_or(ParamsError::Time)?.0;
    let time = Time::from_unix_timestamp(i64::try_from(seconds).map_err(|_| ParamsError::Time)?, 0)?;
    let document = tendermint::Genesis {
        genesis_time: time,
        chain_id: genesis.chain_id.as_str().parse()?,
        initial_height: 1,
        consensus_params: params.clone(),
        validators: validators.to_infos()?,
        app_hash: AppHash::default(),
        app_state: genesis,
    };
    Ok(serde_json::to_value(document)?)
}
