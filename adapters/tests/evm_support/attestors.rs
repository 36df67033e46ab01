//! Attestors beside the world's node.

use super::World;
use alloy::primitives::B256;
use crosspoint_adapters::attestor::http::routes;
use crosspoint_adapters::attestor::service::{AttestorService, AttestorSettings};
use crosspoint_adapters::attestor::{AttestorPool, PoolSettings};
use crosspoint_adapters::chain::{ClientStatus, ClientType, Tip};
use crosspoint_adapters::evm::{EvmChain, Finality, HeaderSource};
use crosspoint_light_proofs::attested::{Attestors, Latest};
use crosspoint_light_proofs::signature::SigningKey;
use std::path::Path;
use url::Url;

/// Attestors that a quorum of this many is made of.
pub fn set(keys: &[SigningKey], threshold: usize) -> Attestors {
    Attestors::from_unsorted(keys.iter().map(SigningKey::address).collect(), threshold).unwrap()
}

/// Where attestors with these keys answer, who would hand over to `next`.
pub async fn serve(
    world: &World,
    genesis_hash: B256,
    keys: &[SigningKey],
    next: Option<&Attestors>,
    dir: &Path,
) -> Vec<Url> {
    let mut endpoints = vec![];
    for (at, key) in keys.iter().enumerate() {
        let settings = AttestorSettings {
            chain: world.anvil.chain().clone(),
            chain_number: world.anvil.chain_number(),
            genesis_hash,
            epoch: 0,
            next: next.cloned(),
            endpoint: world.anvil.url().clone(),
            finality: Finality::Tag,
            journal: dir.join(format!("attestor-{at}")),
            timeout_ms: 5_000,
        };
        let service = AttestorService::start(settings, key.clone()).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        endpoints.push(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
        tokio::spawn(warp::serve(routes(service)).incoming(listener).run());
    }
    endpoints
}

/// What a pool of them is told.
pub fn pool(world: &World, genesis_hash: B256, attestors: Attestors, endpoints: Vec<Url>) -> PoolSettings {
    PoolSettings {
        chain: world.anvil.chain().clone(),
        chain_number: world.anvil.chain_number(),
        genesis_hash,
        epoch: 0,
        attestors,
        endpoints,
        timeout_ms: 5_000,
    }
}

/// A client on the native chain that trusts this block.
pub fn follower(world: &World, latest: &Latest) -> ClientStatus {
    ClientStatus {
        client: super::client("attested-0"),
        client_type: ClientType::Attested,
        counterparty_chain: world.anvil.chain().clone(),
        counterparty_client: super::client("checkpoint-0"),
        trusted: Tip { height: latest.number, time: latest.time },
        trusted_hash: latest.hash.to_vec(),
        signers: Default::default(),
        trusting_period: 14 * 24 * 3600,
        frozen: false,
        generation: 0,
    }
}

/// The world's chain by these nodes and these attestors.
pub async fn connect(world: &World, node: Url, attestors: AttestorPool) -> EvmChain {
    let mut settings = super::settings(&world.anvil, &world.manifest);
    settings.endpoints = vec![node];
    EvmChain::connect(settings, super::key(1), Some(HeaderSource::Attested(attestors)), None).await.unwrap()
}
