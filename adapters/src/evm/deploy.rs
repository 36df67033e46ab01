//! Deploys the contracts and opens clients and denoms, as often as asked with the same end.
//!
//! What stands is looked at before anything is sent: a contract of the manifest must have the code of
//! its artifact, and what is open already must be as planned, else the deployment stops with nothing changed.

mod denoms;
mod governance;

pub use denoms::{LimitsPlan, TokenPlan, VoucherPlan};
pub use governance::GovernancePlan;

use super::artifacts::{ArtifactError, Contract};
use super::block::{self, BlockId};
use super::contracts::{IBindings, ICrosspointGateway, ICrosspointRegistry};
use super::gateway::read;
use super::record::{client_word, parse_client};
use super::rpc::Rpc;
use super::sender::{Call, Sender};
use super::settings::{EvmSettings, FeeSettings};
use crate::error::ChainError;
use alloy::primitives::{Address, B256, Bytes, U64};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolValue};
use crosspoint_light_proofs::checkpoint::Checkpoint;
use crosspoint_protocol::ids::{ChainId, ClientId, Height};
use crosspoint_protocol::window::WindowRules;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// What is to stand.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployPlan {
    /// The chain's id.
    pub chain: ChainId,
    /// Its EIP-155 number.
    pub chain_number: u64,
    /// JSON-RPC endpoints over HTTP.
    pub endpoints: Vec<Url>,
    /// Light clients of native chains, with the denoms open to each.
    pub clients: Vec<ClientPlan>,
    /// Who governs once all that stands; `None`: the deployer, without delay, as on a development chain.
    #[serde(default)]
    pub governance: Option<GovernancePlan>,
    /// Bounds on gas and fees.
    #[serde(default)]
    pub fees: FeeSettings,
}

/// A light client and its counterparty.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientPlan {
    /// The client's id here.
    pub client: ClientId,
    /// The client on the other chain that follows this one.
    pub counterparty: ClientId,
    /// The state to start from, trusted from outside.
    pub anchor: Checkpoint,
    /// Bounds on deadlines.
    pub rules: WindowRules,
    /// Only accounts with standing Member may lock and claim.
    #[serde(default)]
    pub members_only: bool,
    /// Denoms of the other chain to be received as vouchers.
    #[serde(default)]
    pub vouchers: Vec<VoucherPlan>,
    /// ERC-20 tokens of this chain that may leave through the client.
    #[serde(default)]
    pub tokens: Vec<TokenPlan>,
}

/// A contract that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployed {
    /// Its address.
    pub address: Address,
    /// The block it was made in.
    pub block: Height,
}

/// What stands, to be kept in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The chain's id.
    pub chain: ChainId,
    /// Its EIP-155 number.
    pub chain_number: u64,
    /// The hash of its block 0: two development chains may share a number.
    pub genesis_hash: B256,
    /// The contracts, as they were made. Complete after a deployment that succeeded.
    pub contracts: BTreeMap<Contract, Deployed>,
}

impl Manifest {
    /// A contract's address; `None` if it does not stand yet.
    #[must_use]
    pub fn address(&self, contract: Contract) -> Option<Address> {
        self.contracts.get(&contract).map(|deployed| deployed.address)
    }

    /// Settings for the adapter of this chain; `None` if the gateway does not stand yet.
    #[must_use]
    pub fn settings(&self, endpoints: Vec<Url>) -> Option<EvmSettings> {
        let gateway = self.contracts.get(&Contract::Gateway)?;
        Some(EvmSettings::new(self.chain.clone(), self.chain_number, endpoints, gateway.address, gateway.block))
    }
}

/// Why a deployment stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeployError {
    /// A call failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// An embedded artifact is broken.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The endpoint serves another chain than the plan or the manifest names.
    #[error("the endpoint serves {found}, not {expected}")]
    WrongChain {
        /// What it serves.
        found: String,
        /// What it should.
        expected: String,
    },
    /// Other code, or none, stands at an address of the manifest.
    #[error("what stands at {address} is not the {contract} of this version; use a new manifest to deploy beside it")]
    OtherCode {
        /// The contract of the manifest.
        contract: Contract,
        /// Its address.
        address: Address,
    },
    /// Something is set already, and otherwise than planned. A deployment changes nothing that is set: the plan is wrong,
    /// or governance has decided otherwise since.
    #[error("{what} is {found}, the plan says {planned}")]
    Differs {
        /// What.
        what: String,
        /// What is set.
        found: String,
        /// What was planned.
        planned: String,
    },
    /// A contract was made, but its receipt names no address.
    #[error("the receipt of the transaction that made {0} names no contract")]
    NoAddress(Contract),
    /// Looked at only, and something is not there yet.
    #[error("{0} is not there yet; deploy without --check to make it")]
    Missing(String),
    /// Governance could do anything at once.
    #[error("governance needs a council that is an account, and a delay of at least 1 s")]
    NoDelay,
    /// A number of the plan does not fit.
    #[error("{0} is too large")]
    TooLarge(&'static str),
}

/// Brings a chain to what the plan says. `deployer` pays, and is the access manager's admin until the plan's council is.
/// `keep` is called after each contract, so that an interrupted deployment goes on where it stopped.
pub async fn deploy(
    plan: &DeployPlan,
    deployer: &PrivateKeySigner,
    previous: Option<Manifest>,
    keep: &mut (dyn FnMut(&Manifest) + Send),
) -> Result<Manifest, DeployError> {
    Deployment::new(plan, Some(deployer))?.run(previous, keep).await
}

/// Whether all that the plan says stands, as the manifest says: code, wiring, clients, denoms, governance. Sends nothing.
/// Fails at the first thing that is missing or otherwise.
pub async fn check(plan: &DeployPlan, manifest: Manifest) -> Result<(), DeployError> {
    Deployment::new(plan, None)?.run(Some(manifest), &mut |_| {}).await.map(drop)
}

struct Deployment<'a> {
    plan: &'a DeployPlan,
    /// `None`: nothing is sent.
    deployer: Option<&'a PrivateKeySigner>,
    rpc: Arc<Rpc>,
    sender: Sender,
}

impl<'a> Deployment<'a> {
    fn new(plan: &'a DeployPlan, deployer: Option<&'a PrivateKeySigner>) -> Result<Self, DeployError> {
        plan.governance.as_ref().map_or(Ok(()), GovernancePlan::check)?;
        let bounds = super::rpc::Bounds { timeout: Duration::from_secs(30), max_response: 32 << 20 };
        let rpc = Arc::new(Rpc::new(plan.chain.clone(), &plan.endpoints, bounds)?);
        let sender = Sender::new(Arc::clone(&rpc), plan.chain_number, plan.fees.clone(), Duration::from_millis(50));
        Ok(Self { plan, deployer, rpc, sender })
    }

    async fn run(
        &self,
        previous: Option<Manifest>,
        keep: &mut (dyn FnMut(&Manifest) + Send),
    ) -> Result<Manifest, DeployError> {
        let mut manifest = self.start(previous).await?;
        let admin = self.deployer.map(PrivateKeySigner::address).unwrap_or_default();
        let manager = self.contract(&mut manifest, keep, Contract::AccessManager, &(admin,)).await?;
        let registry = self.contract(&mut manifest, keep, Contract::Registry, &(manager,)).await?;
        let light_client = self.contract(&mut manifest, keep, Contract::CheckpointClient, &(registry,)).await?;
        let gateway = self.contract(&mut manifest, keep, Contract::Gateway, &(registry,)).await?;
        let intents = self.contract(&mut manifest, keep, Contract::LockIntents, &(gateway, registry)).await?;
        // The code was compared without what constructors wrote into it.
        same("the registry's authority", &self.read(registry, &IBindings::authorityCall {}).await?, &manager)?;
        for (contract, name) in [(light_client, "light client"), (gateway, "gateway"), (intents, "intents contract")] {
            let found = self.read(contract, &IBindings::registryCall {}).await?;
            same(&format!("the {name}'s registry"), &found, &registry)?;
        }
        let found = self.read(intents, &IBindings::gatewayCall {}).await?;
        same("the intents contract's gateway", &found, &gateway)?;
        self.bind(registry, gateway).await?;
        self.bind_intents(registry, gateway, intents).await?;
        for client in &self.plan.clients {
            self.open_client(registry, light_client, client).await?;
            for voucher in &client.vouchers {
                self.open_voucher(registry, gateway, client, voucher).await?;
            }
            for token in &client.tokens {
                self.list_token(registry, gateway, client, token).await?;
            }
        }
        if let Some(governance) = &self.plan.governance {
            self.hand_over(manager, registry, governance).await?;
        }
        Ok(manifest)
    }

    async fn start(&self, previous: Option<Manifest>) -> Result<Manifest, DeployError> {
        let number: U64 = self.rpc.call("eth_chainId", json!([])).await?;
        let wrong = |found: String, expected: String| DeployError::WrongChain { found, expected };
        if number.to::<u64>() != self.plan.chain_number {
            return Err(wrong(format!("chain {number}"), format!("chain {}", self.plan.chain_number)));
        }
        let genesis = self.rpc.each(|s| block::existing(s, BlockId::Number(Height(0)))).await?;
        let fresh = Manifest {
            chain: self.plan.chain.clone(),
            chain_number: self.plan.chain_number,
            genesis_hash: genesis.hash,
            contracts: BTreeMap::new(),
        };
        match previous {
            None => Ok(fresh),
            Some(kept) if kept.genesis_hash == genesis.hash && kept.chain_number == self.plan.chain_number => Ok(kept),
            Some(kept) => Err(wrong(
                format!("a chain with genesis {}", genesis.hash),
                format!("the manifest's, with genesis {}", kept.genesis_hash),
            )),
        }
    }

    /// The contract's address: that of the manifest, or of a new one.
    async fn contract<Arguments: SolValue>(
        &self,
        manifest: &mut Manifest,
        keep: &mut (dyn FnMut(&Manifest) + Send),
        contract: Contract,
        arguments: &Arguments,
    ) -> Result<Address, DeployError>
    where
        for<'t> <Arguments::SolType as alloy::sol_types::SolType>::Token<'t>: alloy::sol_types::abi::TokenSeq<'t>,
    {
        let artifact = contract.artifact()?;
        if let Some(address) = manifest.address(contract) {
            let code: Bytes = self.rpc.call("eth_getCode", json!([address, "latest"])).await?;
            return if artifact.matches(&code) {
                Ok(address)
            } else {
                Err(DeployError::OtherCode { contract, address })
            };
        }
        let data = artifact.creation(arguments);
        let deployer = self.deployer.ok_or_else(|| DeployError::Missing(format!("contract {contract}")))?;
        let receipt = self.sender.send(deployer, &Call { to: None, data, extra_gas: 0 }).await?;
        let address = receipt.contract_address.ok_or(DeployError::NoAddress(contract))?;
        let block = Height(receipt.block_number.to());
        manifest.contracts.insert(contract, Deployed { address, block });
        keep(manifest);
        Ok(address)
    }

    async fn read<C: SolCall>(&self, to: Address, call: &C) -> Result<C::Return, ChainError> {
        read(&self.rpc, &self.sender, to, call, BlockId::Latest).await
    }

    async fn send<C: SolCall>(&self, to: Address, what: impl FnOnce() -> String, call: &C) -> Result<(), DeployError> {
        let deployer = self.deployer.ok_or_else(|| DeployError::Missing(what()))?;
        let call = Call { to: Some(to), data: call.abi_encode().into(), extra_gas: 0 };
        Ok(self.sender.send(deployer, &call).await.map(drop)?)
    }

    async fn bind(&self, registry: Address, gateway: Address) -> Result<(), DeployError> {
        let bound = self.read(registry, &IBindings::gatewayCall {}).await?;
        if bound.is_zero() {
            let what = || "the registry's link to its gateway".into();
            return self.send(registry, what, &ICrosspointRegistry::bindCall { gateway }).await;
        }
        same("the registry's gateway", &bound, &gateway)
    }

    async fn bind_intents(&self, registry: Address, gateway: Address, intents: Address) -> Result<(), DeployError> {
        let bound = self.read(gateway, &ICrosspointGateway::intentsCall {}).await?;
        if bound.is_zero() {
            let what = || "the gateway's link to its intents contract".into();
            return self.send(registry, what, &IBindings::bindIntentsCall { intents }).await;
        }
        same("the gateway's intents contract", &bound, &intents)
    }

    async fn open_client(
        &self,
        registry: Address,
        light_client: Address,
        plan: &ClientPlan,
    ) -> Result<(), DeployError> {
        let client = B256::from(client_word(&plan.client));
        match self.read(registry, &ICrosspointRegistry::clientInfoCall { client }).await {
            Ok(info) => {
                let what = |field: &str| format!("the {field} of client {}", plan.client);
                let counterparty = parse_client(&info.counterparty.0).map_or_else(|e| e.to_string(), String::from);
                same(&what("counterparty"), &counterparty, &plan.counterparty.to_string())?;
                same(&what("chain"), &info.chainId, &plan.anchor.chain_id.to_string())?;
                same(&what("light client"), &info.lightClient, &light_client)?;
                same(&what("least hold time"), &u64::from(info.rules.minHold), &plan.rules.min_hold)?;
                same(&what("longest timeout"), &u64::from(info.rules.maxTimeout), &plan.rules.max_timeout)?;
                same(&what("trusting period"), &u64::from(info.rules.trustingPeriod), &plan.rules.trusting_period)?;
                return same(&what("rule for members only"), &info.membersOnly, &plan.members_only);
            }
            Err(ChainError::Rejected { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let seconds = |value: u64, what| u32::try_from(value).map_err(|_| DeployError::TooLarge(what));
        let config = ICrosspointRegistry::ClientConfig {
            client,
            counterparty: client_word(&plan.counterparty).into(),
            lightClient: light_client,
            chainId: plan.anchor.chain_id.to_string(),
            prefix: Bytes::new(),
            rules: ICrosspointRegistry::WindowRules {
                maxTimeout: seconds(plan.rules.max_timeout, "max_timeout")?,
                minHold: seconds(plan.rules.min_hold, "min_hold")?,
                trustingPeriod: seconds(plan.rules.trusting_period, "trusting_period")?,
            },
            membersOnly: plan.members_only,
        };
        let anchor = super::calldata::header(&plan.anchor).into();
        let what = || format!("client {}", plan.client);
        self.send(registry, what, &ICrosspointRegistry::openClientCall { config, anchor }).await
    }
}

fn same<T: PartialEq + ToString>(what: &str, found: &T, planned: &T) -> Result<(), DeployError> {
    if found == planned {
        return Ok(());
    }
    Err(DeployError::Differs { what: what.into(), found: found.to_string(), planned: planned.to_string() })
}
