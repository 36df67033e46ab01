//! A client of this chain, for another chain's governance to decide on.

use super::block::{self, BlockId};
use super::gateway::{BASE_SLOT, EvmChain};
use super::source::HeaderSource;
use crate::error::ChainError;
use crosspoint_ledger::tx::action::{AttestedSpec, ClientSpec, QbftSpec};
use crosspoint_protocol::ids::Height;

impl EvmChain {
    /// A client that trusts the newest final block, believed by this chain's source of headers. Attestors must vouch for
    /// the block; of a sealed chain its own seals do.
    ///
    /// # Errors
    /// [`ChainError::NotYet`] while the block of the gateway's deployment is not final: an absent account proves nothing.
    /// [`ChainError::InvalidRequest`] for sync committees: which network it is, with its forks, is for people to say.
    pub async fn client_spec(&self, trusting_period: u64) -> Result<ClientSpec, ChainError> {
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
}
