//! A client of this chain, for another chain's governance to decide on.

use super::block::{self, BlockId};
use super::gateway::{BASE_SLOT, EvmChain};
use super::source::HeaderSource;
use crate::error::ChainError;
use alloy::primitives::{Address as EvmAddress, U256};
use crosspoint_ledger::tx::action::{AttestedSpec, ClientSpec, QbftSpec};
use crosspoint_protocol::ids::Height;
use serde_json::json;
use std::time::{Duration, Instant};

impl EvmChain {
    /// A client that trusts the newest final block, believed by this chain's source of headers. Attestors must vouch for
    /// the block; of a sealed chain its own seals do. Waits for a block that will do for as long as `patience`.
    ///
    /// # Errors
    /// [`ChainError::NotYet`] while the block of the gateway's deployment is not final: an absent account proves nothing.
    /// [`ChainError::InvalidRequest`] for sync committees: which network it is, with its forks, is for people to say.
    pub async fn client_spec(&self, trusting_period: u64, patience: Duration) -> Result<ClientSpec, ChainError> {
        let started = Instant::now();
        loop {
            match self.newest_spec(trusting_period).await {
                Err(ChainError::NotYet(_)) if started.elapsed() < patience => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                done => return done,
            }
        }
    }

    async fn newest_spec(&self, trusting_period: u64) -> Result<ClientSpec, ChainError> {
        let (settings, chain_id) = (self.settings(), self.settings().chain_number);
        let finality = settings.finality;
        let (_, newest) = self.rpc().each(|session| block::head(session, finality)).await?;
        let height = newest.tip().height;
        if height < settings.deployed_at {
            return Err(ChainError::NotYet(format!(
                "{}: the gateway stands since block {}, and block {height} is the newest final one",
                settings.chain, settings.deployed_at
            )));
        }
        match &self.source {
            Some(HeaderSource::Attested(pool)) => {
                let told = pool.settings();
                let genesis = self.rpc().each(|session| block::existing(session, BlockId::Number(Height(0)))).await?;
                if genesis.hash != told.genesis_hash {
                    return Err(ChainError::InvalidRequest(format!(
                        "{}: block 0 is {}, the settings say {}",
                        settings.chain, genesis.hash, told.genesis_hash
                    )));
                }
                let attested = pool.gather_for((Height(0), told.genesis_hash), height, newest.hash).await?;
                Ok(ClientSpec::Attested(AttestedSpec {
                    chain_id,
                    genesis_hash: told.genesis_hash,
                    epoch: told.epoch,
                    attestors: told.attestors.addresses().to_vec(),
                    threshold: u32::try_from(told.attestors.threshold()).unwrap_or(u32::MAX),
                    gateway: settings.gateway,
                    base_slot: BASE_SLOT,
                    header: attested.header_rlp,
                    trusting_period,
                }))
            }
            Some(HeaderSource::Qbft(encoding)) => Ok(ClientSpec::Qbft(QbftSpec {
                chain_id,
                encoding: *encoding,
                gateway: settings.gateway,
                base_slot: BASE_SLOT,
                header: newest.rlp(),
                trusting_period,
            })),
            Some(HeaderSource::EthereumPos(_)) | None => Err(ChainError::InvalidRequest(format!(
                "{}: a client by sync committees needs the description of the network; write it as an action and propose that",
                settings.chain
            ))),
        }
    }

    /// The block up to which a quorum of the attestors attests; `None` if the chain is followed otherwise.
    pub async fn attested(&self) -> Option<Result<Height, ChainError>> {
        match &self.source {
            Some(HeaderSource::Attested(pool)) => Some(pool.finalized().await),
            _ => None,
        }
    }

    /// What an account can pay gas with, in wei, at the newest block.
    pub async fn native_balance(&self, account: &str) -> Result<u128, ChainError> {
        let account: EvmAddress = account
            .parse()
            .map_err(|_| ChainError::InvalidRequest(format!("{}: {account} is no address", self.settings().chain)))?;
        let wei: U256 = self.rpc().call("eth_getBalance", json!([account, "latest"])).await?;
        Ok(u128::try_from(wei).unwrap_or(u128::MAX))
    }
}
