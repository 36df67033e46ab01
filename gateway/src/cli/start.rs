//! `crosspoint start`

use super::args::ConfigArgs;
use super::failure::{Class, Failure};
use super::stop_on_signal;
use crate::batch::rows::AddressForm;
use crate::desk::{DeskChain, Payer};
use crate::keys::{KeyKind, KeyName, KeyStore, Passphrase, PassphraseSource, signer_address};
use crate::secrets::Secrets;
use crate::service::{CountRequests, RunningService, ServiceParts};
use crate::settings::{
    self, ChainKind, ChainSettings, Endpoint, EvmChain as EvmChainSettings, EvmFinality, Log, LogFormat, Settings,
};
use anyhow::anyhow;
use crosspoint_adapters::attestor::{AttestorPool, PoolSettings};
use crosspoint_adapters::chain::Chain;
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::evm::beacon::BeaconApi;
use crosspoint_adapters::evm::settings::Finality;
use crosspoint_adapters::evm::{EvmChain, EvmSettings, HeaderSource};
use crosspoint_adapters::native::{NativeChain, NativeSettings};
use crosspoint_adapters::observer::RpcObserver;
use crosspoint_adapters::signer::Signer;
use crosspoint_light_proofs::attested::Attestors;
use crosspoint_relayer::RelayerConfig;
use crosspoint_relayer::metrics::Metrics;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use url::Url;

pub(super) async fn run(args: &ConfigArgs) -> Result<(), Failure> {
    let settings = Settings::load(&args.config)?;
    init_logs(&settings.log)?;
    let source = PassphraseSource { file: settings.keystore.passphrase_file.clone(), prompt: true };
    // Before signals are caught: Ctrl-C at the prompt ends the program.
    let passphrase = source.existing()?;
    let stop = stop_on_signal();
    let parts = parts(&settings, &passphrase).await?;
    drop(passphrase);
    let service = RunningService::start(parts).await?;
    tracing::info!(address = %service.address(), "the service is up");
    stop.cancelled().await;
    tracing::info!("stopping");
    service.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// Logs to standard error, so that standard output stays for answers.
pub(crate) fn init_logs(log: &Log) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&log.filter).map_err(|e| Failure::new(Class::Input, format!("log.filter: {e}")))?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::People => logs.try_init(),
        LogFormat::Json => logs.json().try_init(),
    };
    started.map_err(|e| Failure::new(Class::Failed, format!("logging does not start: {e}")))
}

async fn parts(settings: &Settings, passphrase: &Passphrase) -> anyhow::Result<ServiceParts> {
    let store = KeyStore::new(settings.keystore.dir.clone());
    let metrics = Arc::new(Metrics::new()?);
    let secrets = match &settings.keystore.seed {
        Some(name) => {
            let name: KeyName = name.parse()?;
            Some(Arc::new(Secrets::new(store.secret(&name, KeyKind::Seed, passphrase)?)))
        }
        None => None,
    };
    let (mut chains, mut attestors) = (vec![], vec![]);
    for chain in settings.chains.values() {
        let connected = connect(chain, settings, &store, passphrase, &metrics).await;
        // What a chain itself says names it already.
        let (chain, pool) = connected.map_err(|e| match e.is::<ChainError>() {
            true => e,
            false => e.context(format!("chain {}", chain.id)),
        })?;
        chains.push(chain);
        attestors.extend(pool);
    }
    let mut relayer = RelayerConfig::new(settings.data_dir.join("journal"));
    relayer.max_batch = usize::try_from(settings.relayer.batch_items)?;
    relayer.batches_at_once = usize::try_from(settings.relayer.batches_at_once)?;
    relayer.max_wait_ms = settings.relayer.batch_wait_ms;
    relayer.claim_margin_s = settings.relayer.claim_margin_seconds;
    relayer.audit_interval_ms = settings.relayer.audit_seconds.saturating_mul(1000);
    Ok(ServiceParts {
        chains,
        attestors,
        relayer,
        metrics,
        secrets,
        windows: settings.windows,
        listen: settings.http.listen,
        auth: settings.http.auth.clone(),
        max_body_bytes: usize::try_from(settings.http.max_body_bytes)?,
    })
}

async fn connect(
    chain: &ChainSettings,
    settings: &Settings,
    store: &KeyStore,
    passphrase: &Passphrase,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<(DeskChain, Option<AttestorPool>)> {
    let observer: Option<Arc<dyn RpcObserver>> = Some(Arc::new(CountRequests(Arc::clone(metrics))));
    let kind = match chain.kind {
        ChainKind::Native(_) => KeyKind::Native,
        ChainKind::Evm(_) => KeyKind::Evm,
    };
    let relayer = store.signer(&chain.relayer_key, kind, passphrase)?;
    let margin = settings.relayer.claim_margin_seconds;
    let (adapter, form, pool): (Arc<dyn Chain>, _, _) = match (&chain.kind, relayer) {
        (ChainKind::Native(_), Signer::Native(key)) => {
            let mut native = NativeSettings::new(chain.id.clone(), urls(&chain.endpoints));
            native.witnesses = urls(&chain.witnesses);
            native.block_ms = chain.block_ms;
            native.claim_margin_secs = margin;
            (Arc::new(NativeChain::with_observer(native, *key, observer)?), AddressForm::Native, None)
        }
        (ChainKind::Evm(evm), Signer::Evm(key)) => {
            let source = header_source(chain, evm, observer.clone())?;
            let pool = match &source {
                HeaderSource::Attested(pool) => Some(pool.clone()),
                HeaderSource::Qbft(_) | HeaderSource::EthereumPos(_) => None,
            };
            let settings = evm_settings(chain, evm, margin);
            let connected = EvmChain::connect(settings, *key, Some(source), observer).await?;
            (Arc::new(connected), AddressForm::Evm, pool)
        }
        _ => return Err(anyhow!("key {} is not of this chain's kind", chain.relayer_key)),
    };
    let mut payers = BTreeMap::new();
    for name in &chain.payer_keys {
        let signer = store.signer(name, kind, passphrase)?;
        let address = signer_address(&signer)?;
        payers.insert(name.clone(), Payer { signer, address });
    }
    Ok((DeskChain { chain: adapter, form, payers }, pool))
}

pub(super) fn urls(endpoints: &[Endpoint]) -> Vec<Url> {
    endpoints.iter().map(|endpoint| endpoint.url().clone()).collect()
}

pub(super) fn evm_settings(chain: &ChainSettings, evm: &EvmChainSettings, margin: u64) -> EvmSettings {
    let endpoints = urls(&chain.endpoints);
    let mut settings = EvmSettings::new(chain.id.clone(), evm.number, endpoints, evm.gateway, evm.deployed_at);
    settings.witnesses = urls(&chain.witnesses);
    settings.finality = finality(evm.finality);
    settings.block_ms = chain.block_ms;
    settings.claim_margin_secs = margin;
    settings
}

pub(super) const fn finality(setting: EvmFinality) -> Finality {
    match setting {
        EvmFinality::Tag => Finality::Tag,
        EvmFinality::Depth(depth) => Finality::Depth(depth),
    }
}

/// The longest wait for an attestor or a beacon node.
const SOURCE_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn header_source(
    chain: &ChainSettings,
    evm: &EvmChainSettings,
    observer: Option<Arc<dyn RpcObserver>>,
) -> anyhow::Result<HeaderSource> {
    Ok(match &evm.header_source {
        settings::HeaderSource::Attested(attestors) => HeaderSource::Attested(pool(chain, evm.number, attestors)?),
        settings::HeaderSource::Qbft(encoding) => HeaderSource::Qbft(*encoding),
        settings::HeaderSource::EthereumPos(nodes) => {
            HeaderSource::EthereumPos(BeaconApi::new(chain.id.clone(), urls(nodes), SOURCE_TIMEOUT, observer)?)
        }
    })
}

pub(super) fn pool(
    chain: &ChainSettings,
    chain_number: u64,
    attestors: &settings::Attestors,
) -> anyhow::Result<AttestorPool> {
    let mut addresses = attestors.addresses.clone();
    addresses.sort_unstable();
    Ok(AttestorPool::new(PoolSettings {
        chain: chain.id.clone(),
        chain_number,
        genesis_hash: attestors.genesis_hash,
        epoch: attestors.epoch,
        attestors: Attestors::new(addresses, usize::try_from(attestors.quorum)?)?,
        endpoints: urls(&attestors.endpoints),
        timeout_ms: u64::try_from(SOURCE_TIMEOUT.as_millis())?,
    })?)
}
