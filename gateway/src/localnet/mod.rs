//! A whole network on one machine, with real proofs: the native chain on the `solo` engine, anvil, attestors, the
//! contracts deployed, and both light clients opened by governance. `crosspoint demo` and the end-to-end tests run on it.
//!
//! [`LocalNet::start`] does the steps in order; each is a function of [`LocalNet`] or of `setup`.

mod attestors;
mod setup;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alloy::signers::local::PrivateKeySigner;
use anyhow::{Context, Result};
use crosspoint_adapters::attestor::AttestorPool;
use crosspoint_adapters::chain::Chain;
use crosspoint_adapters::evm::anvil::{Anvil, AnvilOptions, development_key};
use crosspoint_adapters::evm::deploy::{Manifest, TokenPlan};
use crosspoint_adapters::evm::{EvmChain, EvmSettings, HeaderSource};
use crosspoint_adapters::native::{NativeChain, NativeSettings};
use crosspoint_adapters::observer::RpcObserver;
use crosspoint_adapters::signer::Signer;
use crosspoint_ledger::demo;
use crosspoint_ledger::engine::{BlockTiming, Seed, Solo, SoloConfig, SoloHandle, Validators};
use crosspoint_ledger::tx::action::{Action, ClientSpec};
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{Address, ClientId};
use crosspoint_protocol::window::WindowRules;
use url::Url;

pub use attestors::Attestors;

/// The EVM account that owns the contracts.
pub const ADMIN: usize = 0;
/// The EVM account that pays for relaying.
pub const RELAYER: usize = 9;

/// What the network is made of.
#[derive(Debug, Clone)]
pub struct LocalNetConfig {
    /// Where chains and journals are kept.
    pub dir: PathBuf,
    /// When the native chain makes blocks.
    pub native_timing: BlockTiming,
    /// How many validators the native chain has.
    pub validators: u32,
    /// Of how many blocks the native chain keeps the state.
    pub native_history: u64,
    /// The time between blocks of anvil.
    pub evm_block_time: Duration,
    /// How many attestors there are.
    pub attestors: usize,
    /// How many of them must sign.
    pub quorum: usize,
    /// The shortest time from timeout to claim deadline, in seconds. Short, so that a refund can be watched.
    pub min_hold: u64,
    /// The trusting period of both clients, in seconds.
    pub trusting_period: u64,
}

impl LocalNetConfig {
    /// Four validators, three attestors of whom two must sign, a block each second on both chains.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            native_timing: BlockTiming {
                interval: Duration::from_secs(1),
                when_waiting: Some(Duration::from_millis(250)),
                when_idle: None,
            },
            validators: 4,
            native_history: 10_000,
            evm_block_time: Duration::from_secs(1),
            attestors: 3,
            quorum: 2,
            min_hold: 5,
            trusting_period: 14 * 24 * 3600,
        }
    }

    /// The bounds on deadlines that both chains enforce.
    #[must_use]
    pub fn window_rules(&self) -> WindowRules {
        WindowRules { min_hold: self.min_hold, trusting_period: self.trusting_period, ..WindowRules::default() }
    }
}

/// The network, running. Everything stops when it is dropped; [`LocalNet::stop`] waits for it.
pub struct LocalNet {
    /// What it was started with.
    pub config: LocalNetConfig,
    /// The native chain's engine.
    pub solo: SoloHandle,
    /// The EVM chain's process.
    pub anvil: Anvil,
    /// The attestors.
    pub attestors: Attestors,
    /// What stands on the EVM chain.
    pub manifest: Manifest,
    /// The client on the native chain that follows the EVM chain.
    pub native_client: ClientId,
    /// The client on the EVM chain that follows the native chain.
    pub evm_client: ClientId,
    /// The native chain, its transactions paid by the relayer's account.
    pub native: Arc<NativeChain>,
    /// The EVM chain, its transactions paid by the relayer's account.
    pub evm: Arc<EvmChain>,
}

impl LocalNet {
    /// Starts everything. `progress` is told in words what is being done.
    pub async fn start(config: LocalNetConfig, progress: impl FnMut(&str)) -> Result<Self> {
        Self::start_observed(config, None, progress).await
    }

    /// The same, telling `observer` of every RPC request of the two chains' adapters.
    pub async fn start_observed(
        config: LocalNetConfig,
        observer: Option<Arc<dyn RpcObserver>>,
        mut progress: impl FnMut(&str),
    ) -> Result<Self> {
        progress(&format!("native chain: {} validators on the solo engine", config.validators));
        let solo = start_native(&config).await?;
        progress("Ethereum chain: anvil");
        let anvil = start_anvil(&config).await?;
        let native = native_adapter(&solo, &config, observer.clone())?;

        progress("contracts: gateway, light client, registry, voucher of SFS");
        // Ids are given in order, so the first client of each chain is known before it is there.
        let native_client: ClientId = "attested-0".parse()?;
        let evm_client: ClientId = "checkpoint-0".parse()?;
        let manifest = setup::deploy(&config, &solo, &anvil, &native_client, &evm_client).await?;

        progress(&format!("attestors: {}, of whom {} must sign", config.attestors, config.quorum));
        let attestors = Attestors::start(&config, &anvil, manifest.genesis_hash).await?;
        let evm = Arc::new(
            EvmChain::connect(
                evm_settings(&config, &manifest, vec![anvil.url().clone()])?,
                evm_key(RELAYER)?,
                Some(HeaderSource::Attested(attestors.pool(&config)?)),
                observer,
            )
            .await?,
        );

        progress("governance of the native chain: light client of the Ethereum chain");
        setup::open_native_client(&config, &native, &evm, (&native_client, &evm_client)).await?;
        Ok(Self { config, solo, anvil, attestors, manifest, native_client, evm_client, native, evm })
    }

    /// Both chains, as the relayer takes them.
    #[must_use]
    pub fn chains(&self) -> Vec<Arc<dyn Chain>> {
        vec![Arc::clone(&self.native) as Arc<dyn Chain>, Arc::clone(&self.evm) as Arc<dyn Chain>]
    }

    /// Another adapter of the EVM chain, over other endpoints: for tests of lying nodes.
    pub async fn evm_over(&self, endpoints: Vec<Url>, pool: Option<AttestorPool>) -> Result<EvmChain> {
        self.connect_evm(evm_settings(&self.config, &self.manifest, endpoints)?, pool).await
    }

    /// The same, over the chain's own endpoint, with witnesses.
    pub async fn evm_beside(&self, witnesses: Vec<Url>, pool: Option<AttestorPool>) -> Result<EvmChain> {
        let settings = evm_settings(&self.config, &self.manifest, vec![self.anvil.url().clone()])?;
        self.connect_evm(EvmSettings { witnesses, ..settings }, pool).await
    }

    async fn connect_evm(&self, settings: EvmSettings, pool: Option<AttestorPool>) -> Result<EvmChain> {
        let pool = pool.map_or_else(|| self.attestors.pool(&self.config), Ok)?;
        Ok(EvmChain::connect(settings, evm_key(RELAYER)?, Some(HeaderSource::Attested(pool)), None).await?)
    }

    /// Another adapter of the native chain, over other endpoints.
    pub fn native_over(&self, endpoints: Vec<Url>) -> Result<NativeChain> {
        let settings = native_settings(&self.solo, &self.config, endpoints);
        Ok(NativeChain::new(settings, demo::member_key("relayer"))?)
    }

    /// The same, over the chain's own endpoint, with witnesses.
    pub fn native_beside(&self, witnesses: Vec<Url>) -> Result<NativeChain> {
        let settings = native_settings(&self.solo, &self.config, vec![self.solo.rpc_url().parse()?]);
        Ok(NativeChain::new(NativeSettings { witnesses, ..settings }, demo::member_key("relayer"))?)
    }

    /// Decides an action on the native chain, as the governors of the demo's genesis do: one proposes, another approves.
    pub async fn govern(&self, action: Action) -> Result<()> {
        setup::govern(&self.native, action).await.map(drop)
    }

    /// Opens another pair of clients beside the first, with a voucher of SFS of its own: on the native chain the client of
    /// `spec`, which must get the id `native`, and on the EVM chain its counterpart `evm`.
    pub async fn open_pair(&self, spec: ClientSpec, native: &ClientId, evm: &ClientId) -> Result<()> {
        setup::open_pair(self, spec, native, evm).await
    }

    /// Lists an ERC-20 of the EVM chain for transfers, and admits its voucher on the native chain.
    pub async fn list_token(&self, plan: TokenPlan, symbol: &str, cap: u128) -> Result<Denom> {
        setup::list_token(self, plan, symbol, cap).await
    }

    /// Opens a denom of the native chain on the EVM chain: its voucher there, up to `cap`.
    pub async fn open_voucher(&self, denom: &Denom, symbol: &str, cap: u128) -> Result<()> {
        setup::open_voucher(self, denom, symbol, cap).await
    }

    /// How the EVM chain names the voucher of a native denom.
    pub fn voucher_on_evm(&self, denom: &Denom) -> Result<Denom> {
        Ok(denom.received(&self.native_client, &self.evm_client)?.denom().clone())
    }

    /// Stops everything in order and waits for it.
    pub async fn stop(self) -> Result<()> {
        self.attestors.stop().await;
        self.anvil.stop().await;
        self.solo.stop().await.context("the native chain had stopped before")
    }
}

/// The signer of a member of the demo's genesis.
#[must_use]
pub fn member(name: &str) -> Signer {
    Signer::Native(Box::new(demo::member_key(name)))
}

/// The native address of a member of the demo's genesis.
pub fn member_address(name: &str) -> Result<Address> {
    let account = crosspoint_ledger::address::AccountId::of_key(&demo::member_key(name).verifying_key());
    Ok(account.to_string().parse()?)
}

/// One of anvil's funded keys.
pub fn evm_key(index: usize) -> Result<PrivateKeySigner> {
    development_key(index).with_context(|| format!("anvil has no funded account {index}"))
}

/// The signer of one of anvil's funded accounts.
pub fn evm_signer(index: usize) -> Result<Signer> {
    Ok(Signer::Evm(Box::new(evm_key(index)?)))
}

/// The address of one of anvil's funded accounts, as packets write it.
pub fn evm_address(index: usize) -> Result<Address> {
    Ok(crosspoint_adapters::evm::record::address_text(&evm_key(index)?.address()).parse()?)
}

async fn start_native(config: &LocalNetConfig) -> Result<SoloHandle> {
    let mut genesis = demo::genesis(config.validators)?;
    genesis.params.min_hold = config.min_hold;
    genesis.params.history = config.native_history;
    let mut solo = SoloConfig::new(config.dir.join("native"), genesis);
    solo.validators = Validators::Derived { count: config.validators, seed: Some(Seed::new(demo::SEED)) };
    solo.timing = config.native_timing;
    let handle = Solo::start(solo).await.context("the native chain does not start")?;
    handle.wait_height(crosspoint_protocol::ids::Height(2), Duration::from_secs(30)).await?;
    Ok(handle)
}

async fn start_anvil(config: &LocalNetConfig) -> Result<Anvil> {
    let options = AnvilOptions { block_time: Some(config.evm_block_time), ..AnvilOptions::default() };
    Anvil::start(&options).await.context("the Ethereum chain does not start")
}

fn native_settings(solo: &SoloHandle, config: &LocalNetConfig, endpoints: Vec<Url>) -> NativeSettings {
    let mut settings = NativeSettings::new(solo.genesis().chain_id.clone(), endpoints);
    settings.block_ms = u64::try_from(config.native_timing.interval.as_millis()).unwrap_or(u64::MAX);
    settings.claim_margin_secs = 1;
    settings
}

fn native_adapter(
    solo: &SoloHandle,
    config: &LocalNetConfig,
    observer: Option<Arc<dyn RpcObserver>>,
) -> Result<Arc<NativeChain>> {
    let settings = native_settings(solo, config, vec![solo.rpc_url().parse()?]);
    Ok(Arc::new(NativeChain::with_observer(settings, demo::member_key("relayer"), observer)?))
}

fn evm_settings(config: &LocalNetConfig, manifest: &Manifest, endpoints: Vec<Url>) -> Result<EvmSettings> {
    let mut settings = manifest.settings(endpoints).context("the manifest names no gateway")?;
    let block_ms = u64::try_from(config.evm_block_time.as_millis()).unwrap_or(u64::MAX);
    settings.block_ms = block_ms.max(1);
    settings.poll_ms = block_ms.checked_div(4).unwrap_or(1).clamp(25, 250);
    settings.claim_margin_secs = 1;
    Ok(settings)
}
