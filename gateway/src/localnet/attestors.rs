//! The attestors of a local network: each with a key, a journal and an HTTP address of its own.

use std::net::{Ipv4Addr, SocketAddr};

use alloy::primitives::B256;
use anyhow::{Context, Result};
use crosspoint_adapters::attestor::http::routes;
use crosspoint_adapters::attestor::{AttestorPool, AttestorService, AttestorSettings, PoolSettings};
use crosspoint_adapters::evm::Finality;
use crosspoint_adapters::evm::anvil::Anvil;
use crosspoint_light_proofs::attested;
use crosspoint_light_proofs::signature::SigningKey;
use crosspoint_protocol::sha256;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::LocalNetConfig;

/// The attestors, running.
pub struct Attestors {
    chain: crosspoint_protocol::ids::ChainId,
    chain_number: u64,
    genesis_hash: B256,
    keys: Vec<SigningKey>,
    urls: Vec<Url>,
    stop: CancellationToken,
    servers: Vec<JoinHandle<()>>,
}

impl Attestors {
    pub(super) async fn start(config: &LocalNetConfig, anvil: &Anvil, genesis_hash: B256) -> Result<Self> {
        let stop = CancellationToken::new();
        let (mut keys, mut urls, mut servers) = (vec![], vec![], vec![]);
        for index in 0..config.attestors {
            let secret = sha256(&[b"crosspoint/demo/attestor/v1", &index.to_be_bytes()]);
            let settings = AttestorSettings {
                chain: anvil.chain().clone(),
                chain_number: anvil.chain_number(),
                genesis_hash,
                epoch: 0,
                next: None,
                endpoint: anvil.url().clone(),
                finality: Finality::Tag,
                journal: config.dir.join(format!("attestor-{index}.journal")),
                timeout_ms: 5_000,
            };
            let service = AttestorService::start(settings, SigningKey::from_bytes(secret)?)
                .await
                .with_context(|| format!("attestor {index} does not start"))?;
            let listener = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
            urls.push(format!("http://{}", listener.local_addr()?).parse()?);
            keys.push(SigningKey::from_bytes(secret)?);
            let server = warp::serve(routes(service)).incoming(listener).graceful(stop.clone().cancelled_owned());
            servers.push(tokio::spawn(server.run()));
        }
        let (chain, chain_number) = (anvil.chain().clone(), anvil.chain_number());
        Ok(Self { chain, chain_number, genesis_hash, keys, urls, stop, servers })
    }

    /// Their keys, for tests that sign what no attestor would.
    #[must_use]
    pub fn keys(&self) -> &[SigningKey] {
        &self.keys
    }

    /// Where they answer.
    #[must_use]
    pub fn urls(&self) -> &[Url] {
        &self.urls
    }

    /// The set that the native chain's client knows.
    pub fn set(&self, config: &LocalNetConfig) -> Result<attested::Attestors> {
        let addresses = self.keys.iter().map(SigningKey::address).collect();
        Ok(attested::Attestors::from_unsorted(addresses, config.quorum)?)
    }

    /// The pool that gathers their signatures.
    pub fn pool(&self, config: &LocalNetConfig) -> Result<AttestorPool> {
        Ok(AttestorPool::new(PoolSettings {
            chain: self.chain.clone(),
            chain_number: self.chain_number,
            genesis_hash: self.genesis_hash,
            epoch: 0,
            attestors: self.set(config)?,
            endpoints: self.urls.clone(),
            timeout_ms: 5_000,
        })?)
    }

    /// Lets them answer no longer, so that processes of their own can take their keys over.
    pub fn retire(&self) {
        self.stop.cancel();
    }

    pub(super) async fn stop(self) {
        self.retire();
        for server in self.servers {
            // A server that ended by itself has nothing left to stop.
            let _ = server.await;
        }
    }
}
