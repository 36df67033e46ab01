//! What the story is told on: the local network, and the service with its API.

use super::Narrator;
use crate::batch::rows::AddressForm;
use crate::client::Client;
use crate::desk::{DeskChain, Payer};
use crate::keys::{KeyKind, KeyName, generate, signer_address};
use crate::localnet::{LocalNet, LocalNetConfig, evm_signer, member};
use crate::secrets::Secrets;
use crate::service::{CountRequests, RunningService, ServiceParts};
use crate::settings::{Auth, Windows};
use anyhow::{Context, Result};
use crosspoint_adapters::chain::Chain;
use crosspoint_adapters::observer::RpcObserver;
use crosspoint_adapters::signer::Signer;
use crosspoint_protocol::ids::{Address, ChainId};
use crosspoint_relayer::RelayerConfig;
use crosspoint_relayer::metrics::Metrics;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Which of anvil's funded accounts is the merchant.
const MERCHANT: usize = 1;

/// The network and the service on it.
pub(super) struct Stage {
    /// Both chains, attestors and contracts.
    pub(super) net: LocalNet,
    service: RunningService,
    /// Talks to the service as the command line does.
    pub(super) client: Client,
    /// Where the service is.
    pub(super) url: Url,
    /// A folder for files.
    pub(super) folder: PathBuf,
    /// The native chain.
    pub(super) native: ChainId,
    /// The Ethereum chain.
    pub(super) evm: ChainId,
    /// The customer's account on the native chain.
    pub(super) customer: Address,
    /// The merchant's account on the Ethereum chain.
    pub(super) merchant: Address,
}

fn payer(name: &str, signer: Signer) -> Result<(KeyName, Payer)> {
    let address = signer_address(&signer)?;
    Ok((name.parse()?, Payer { signer, address }))
}

impl Stage {
    /// Starts everything.
    pub(super) async fn build(folder: &Path, narrator: Narrator) -> Result<Self> {
        narrator.chapter(0, "The network");
        let metrics = Arc::new(Metrics::new()?);
        let observer: Arc<dyn RpcObserver> = Arc::new(CountRequests(Arc::clone(&metrics)));
        let net = LocalNet::start_observed(LocalNetConfig::new(folder), Some(observer), |step| narrator.tell(step))
            .await
            .context("the network does not start")?;
        let (native, evm) = (net.native.id().clone(), net.evm.id().clone());
        let native_payers = BTreeMap::from([payer("customer", member("alice"))?, payer("mall", member("mall"))?]);
        let (merchant_key, merchant) = payer("merchant", evm_signer(MERCHANT)?)?;
        let merchant_address = merchant.address.clone();
        let customer =
            native_payers.values().next().map(|payer| payer.address.clone()).context("the customer has no key")?;
        let chains = vec![
            DeskChain {
                chain: Arc::clone(&net.native) as Arc<dyn Chain>,
                form: AddressForm::Native,
                payers: native_payers,
            },
            DeskChain {
                chain: Arc::clone(&net.evm) as Arc<dyn Chain>,
                form: AddressForm::Evm,
                payers: BTreeMap::from([(merchant_key, merchant)]),
            },
        ];
        let mut relayer = RelayerConfig::new(folder.join("journal"));
        relayer.tick_ms = 200;
        relayer.claim_margin_s = 2;
        relayer.recv_margin_s = 2;
        relayer.client_poll_ms = 1_000;
        relayer.discovery_ms = 1_000;
        relayer.audit_interval_ms = 5_000;
        let service = RunningService::start(ServiceParts {
            chains,
            attestors: vec![net.attestors.pool(&net.config)?],
            relayer,
            metrics,
            secrets: Some(Arc::new(Secrets::new(generate(KeyKind::Seed)?))),
            windows: Windows { timeout_seconds: 300, hold_seconds: 600 },
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            auth: Auth::Off,
            max_body_bytes: 64 * 1024,
        })
        .await
        .context("the service does not start")?;
        let url: Url = format!("http://{}", service.address()).parse()?;
        narrator.tell(&format!("relayer and HTTP API: {url}"));
        let client = Client::new(&url, None)?;
        Ok(Self {
            net,
            service,
            client,
            url,
            folder: folder.to_owned(),
            native,
            evm,
            customer,
            merchant: merchant_address,
        })
    }

    /// Waits until the service has found both routes.
    pub(super) async fn wait_for_routes(&self) -> Result<()> {
        super::story::until("the relayer to find both routes", Duration::from_secs(30), || async {
            let routes = self.client.routes().await?;
            Ok((routes.len() >= 2 && routes.iter().all(|route| route.halted.is_none())).then_some(()))
        })
        .await
    }

    /// What can be looked at while it stays up.
    pub(super) fn invitation(&self) -> String {
        let url = self.url.as_str().trim_end_matches('/');
        format!(
            "\nEverything stays up for a look:\n   transfers   {url}/v1/transfers\n   supply      {url}/v1/supply\n   metrics     {url}/metrics\n   health      {url}/readyz\n   native RPC  {}\n   Ethereum    {}\n\nTry:  crosspoint transfer list --url {url}\n      crosspoint audit --url {url}\nStop with Ctrl-C.",
            self.net.solo.rpc_url(),
            self.net.anvil.url()
        )
    }

    /// Stops everything and waits for it.
    pub(super) async fn end(self) {
        self.service.stop().await;
        if let Err(error) = self.net.stop().await {
            tracing::warn!("{error:#}");
        }
    }
}
