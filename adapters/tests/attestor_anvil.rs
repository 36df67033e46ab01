//! Attestors beside a real anvil: what they sign, what they refuse, and what a quorum makes of liars.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::path::Path;

use alloy::primitives::{Address, B256};
use crosspoint_adapters::attestor::{
    Attestation, AttestationRequest, AttestorPool, AttestorService, AttestorSettings, PoolSettings, Problem, http,
};
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::evm::anvil::{Anvil, AnvilError, AnvilOptions};
use crosspoint_adapters::evm::block::{self, BlockId};
use crosspoint_adapters::evm::rpc::{Bounds, Rpc};
use crosspoint_adapters::evm::settings::Finality;
use crosspoint_light_proofs::attested::{Attestors, ClientState, Latest, verify_rotation, verify_update};
use crosspoint_light_proofs::signature::SigningKey;
use crosspoint_protocol::ids::Height;
use url::Url;
use warp::Filter;

const CHAIN: u64 = 31_337;

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes([n; 32]).unwrap()
}

/// Anvil, or nothing when it is not installed.
async fn anvil() -> Option<Anvil> {
    match Anvil::start(&AnvilOptions { chain_number: CHAIN, ..AnvilOptions::default() }).await {
        Ok(anvil) => Some(anvil),
        Err(AnvilError::NotFound(_)) => {
            println!("SKIPPED: anvil is not installed");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

async fn block(anvil: &Anvil, number: u64) -> block::Block {
    let bounds = Bounds { timeout: std::time::Duration::from_secs(10), max_response: 1 << 20 };
    let rpc = Rpc::new(anvil.chain().clone(), std::slice::from_ref(anvil.url()), bounds).unwrap();
    rpc.each(|session| block::existing(session, BlockId::Number(Height(number)))).await.unwrap()
}

fn settings(anvil: &Anvil, genesis_hash: B256, journal: &Path) -> AttestorSettings {
    AttestorSettings {
        chain: anvil.chain().clone(),
        chain_number: CHAIN,
        genesis_hash,
        epoch: 0,
        next: None,
        endpoint: anvil.url().clone(),
        finality: Finality::Depth(2),
        journal: journal.to_owned(),
        timeout_ms: 5_000,
    }
}

async fn serve<F>(routes: F) -> Url
where
    F: Filter<Error = std::convert::Infallible> + Clone + Send + Sync + 'static,
    F::Extract: warp::Reply,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(warp::serve(routes).incoming(listener).run());
    url
}

/// An attestor's HTTP server that answers every request with these bytes.
async fn answering(body: Vec<u8>) -> Url {
    serve(warp::any().map(move || body.clone())).await
}

fn pool(anvil: &Anvil, genesis_hash: B256, endpoints: Vec<Url>) -> AttestorPool {
    let addresses: Vec<Address> = (1..=3).map(|n| key(n).address()).collect();
    AttestorPool::new(PoolSettings {
        chain: anvil.chain().clone(),
        chain_number: CHAIN,
        genesis_hash,
        epoch: 0,
        attestors: Attestors::from_unsorted(addresses, 2).unwrap(),
        endpoints,
        timeout_ms: 2_000,
    })
    .unwrap()
}

async fn attestor(anvil: &Anvil, genesis: B256, dir: &Path, n: u8) -> Url {
    let journal = dir.join(format!("journal-{n}"));
    let service = AttestorService::start(settings(anvil, genesis, &journal), key(n)).await.unwrap();
    serve(http::routes(service)).await
}

fn request(prev: (u64, B256), number: u64) -> AttestationRequest {
    AttestationRequest { prev_number: Height(prev.0), prev_hash: prev.1, number: Some(Height(number)) }
}

#[tokio::test]
async fn a_quorum_signs_a_final_header_and_the_light_client_believes_it() {
    let Some(anvil) = anvil().await else { return };
    let dir = tempfile::tempdir().unwrap();
    anvil.mine(10).await.unwrap();
    let genesis = block(&anvil, 0).await;
    let mut urls = vec![];
    for n in 1..=3 {
        urls.push(attestor(&anvil, genesis.hash, dir.path(), n).await);
    }
    let pool = pool(&anvil, genesis.hash, urls);

    assert_eq!(pool.finalized().await.unwrap(), Height(8));
    let prev = (Height(0), genesis.hash);
    let header = pool.gather(prev, Height(8)).await.unwrap();
    assert_eq!(header.statement.hash, block(&anvil, 8).await.hash);
    assert_eq!(header.signatures.len(), 2, "a quorum is enough");

    let client = ClientState {
        evm_chain_id: CHAIN,
        genesis_hash: genesis.hash,
        attestors: pool.settings().attestors.clone(),
        epoch: 0,
        past: vec![],
        latest: Latest {
            number: Height(0),
            hash: genesis.hash,
            time: genesis.tip().time,
            state_root: genesis.header.state_root,
        },
        trusting_period: 1_000_000,
        anchor: Height(0),
        store_address: Address::ZERO,
        base_slot: B256::ZERO,
        frozen: false,
        generation: 0,
    };
    let now = block(&anvil, 8).await.tip().time;
    let (client, state) = verify_update(&client, &header, now).unwrap();
    assert_eq!(client.latest.number, Height(8));
    assert_eq!(state.root, block(&anvil, 8).await.header.state_root);

    // A block that is not final yet, and one that does not follow.
    assert!(matches!(pool.gather(prev, Height(9)).await, Err(ChainError::NotYet(_))));
    let eight = (Height(8), header.statement.hash);
    assert!(matches!(pool.gather(eight, Height(8)).await, Err(ChainError::InvalidRequest(_))));
    anvil.stop().await;
}

#[tokio::test]
async fn after_a_reorganisation_no_second_hash_is_signed_not_even_after_a_restart() {
    let Some(anvil) = anvil().await else { return };
    let dir = tempfile::tempdir().unwrap();
    anvil.mine(10).await.unwrap();
    let genesis = block(&anvil, 0).await.hash;
    let journal = dir.path().join("journal");
    let service = AttestorService::start(settings(&anvil, genesis, &journal), key(1)).await.unwrap();
    let before = service.attest(request((0, genesis), 8)).await.unwrap().statement.hash;

    anvil.reorg(5).await.unwrap();
    anvil.mine(1).await.unwrap();
    let after = block(&anvil, 8).await.hash;
    assert_ne!(before, after, "the reorganisation replaced block 8");

    let refused = service.attest(request((0, genesis), 8)).await.unwrap_err();
    assert_eq!(refused.reason().as_str(), "conflict", "{refused}");
    // The client trusts the old block 8: its chain is gone, and that is a conflict too.
    let refused = service.attest(request((8, before), 9)).await.unwrap_err();
    assert_eq!(refused.reason().as_str(), "conflict", "{refused}");
    // And the new block 8 is not a block to build on either: it was signed as another.
    let refused = service.attest(request((8, after), 9)).await.unwrap_err();
    assert_eq!(refused.reason().as_str(), "conflict", "{refused}");

    drop(service);
    let service = AttestorService::start(settings(&anvil, genesis, &journal), key(1)).await.unwrap();
    let refused = service.attest(request((0, genesis), 8)).await.unwrap_err();
    assert_eq!(refused.reason().as_str(), "conflict", "{refused}");
    // Blocks that nothing was said about are signed still.
    service.attest(request((0, genesis), 4)).await.unwrap();
    anvil.stop().await;
}

#[tokio::test]
async fn liars_cost_a_quorum_nothing_and_make_none() {
    let Some(anvil) = anvil().await else { return };
    let dir = tempfile::tempdir().unwrap();
    anvil.mine(10).await.unwrap();
    let genesis = block(&anvil, 0).await.hash;
    let prev = (Height(0), genesis);
    let journal = dir.path().join("journal-honest");
    let service = AttestorService::start(settings(&anvil, genesis, &journal), key(1)).await.unwrap();
    let honest: Attestation = service.attest(request((0, genesis), 8)).await.unwrap();

    let json = |attestation: &Attestation| serde_json::to_vec(attestation).unwrap();
    let mut stranger = honest.clone();
    stranger.signature = stranger.statement.sign(&key(9));
    let mut other_block = honest.clone();
    other_block.statement.hash = B256::repeat_byte(7);
    other_block.signature = other_block.statement.sign(&key(2));
    let mut other_chain = honest.clone();
    other_chain.statement.chain_id = 1;
    other_chain.signature = other_chain.statement.sign(&key(2));
    let mut other_epoch = honest.clone();
    other_epoch.statement.epoch = 7;
    other_epoch.signature = other_epoch.statement.sign(&key(2));
    let mut flipped = honest.clone();
    flipped.signature[5] ^= 1;
    let mut other_header = honest.clone();
    other_header.signature = other_header.statement.sign(&key(2));
    other_header.header_rlp = block(&anvil, 7).await.rlp();
    let lies = [
        json(&stranger),
        json(&other_block),
        json(&other_chain),
        json(&other_epoch),
        json(&flipped),
        json(&other_header),
        json(&honest), // a copy of another's signature does not count twice
        b"garbage".to_vec(),
        vec![b' '; 1 << 20],
    ];
    let good = serve(http::routes(service)).await;
    let second = attestor(&anvil, genesis, dir.path(), 2).await;
    for (number, lie) in lies.into_iter().enumerate() {
        let liar = answering(lie).await;
        let with_quorum = pool(&anvil, genesis, vec![liar.clone(), good.clone(), second.clone()]);
        assert!(with_quorum.gather(prev, Height(8)).await.is_ok(), "lie {number}");
        let without = pool(&anvil, genesis, vec![good.clone(), liar]);
        let gathered = without.gather(prev, Height(8)).await;
        assert!(matches!(gathered, Err(ChainError::NotYet(_))), "lie {number}: {gathered:?}");
    }
    anvil.stop().await;
}

#[tokio::test]
async fn refusals_are_problem_details_that_say_why() {
    let Some(anvil) = anvil().await else { return };
    let dir = tempfile::tempdir().unwrap();
    anvil.mine(10).await.unwrap();
    let genesis = block(&anvil, 0).await.hash;
    let url = attestor(&anvil, genesis, dir.path(), 1).await;
    let http = reqwest::Client::new();
    let post = |body: String| http.post(format!("{url}v1/attestations")).body(body).send();
    let refusal = async |body: String| {
        let answer = post(body).await.unwrap();
        let status = answer.status().as_u16();
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let problem: Problem = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(problem.status, status);
        (status, problem.reason)
    };
    let ask = |prev: (u64, B256), number| serde_json::to_string(&request(prev, number)).unwrap();
    assert_eq!(refusal(ask((0, genesis), 9)).await, (425, "not-final".into()));
    assert_eq!(refusal(ask((0, B256::repeat_byte(1)), 8)).await, (409, "conflict".into()));
    assert_eq!(refusal(ask((5, genesis), 5)).await, (400, "bad-request".into()));
    assert_eq!(refusal("{}".into()).await, (400, "bad-request".into()));
    assert_eq!(refusal(" ".repeat(2_000)).await, (413, "too-large".into()));
    let health = http.get(format!("{url}healthz")).send().await.unwrap();
    assert!(health.status().is_success());
    anvil.stop().await;
    assert_eq!(refusal(ask((0, genesis), 8)).await, (503, "node-unavailable".into()));
}

#[tokio::test]
async fn it_does_not_start_beside_a_node_of_another_chain() {
    let Some(anvil) = anvil().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let wrong = settings(&anvil, B256::repeat_byte(3), &dir.path().join("journal"));
    let refused = AttestorService::start(wrong, key(1)).await.unwrap_err();
    assert!(refused.to_string().contains("genesis"), "{refused}");
    anvil.stop().await;
}

#[tokio::test]
async fn a_quorum_signs_one_hand_over_and_the_light_client_follows_it() {
    let Some(anvil) = anvil().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let genesis = block(&anvil, 0).await;
    let next: Vec<Address> = (11..=13).map(|n| key(n).address()).collect();
    let (next, other) =
        (Attestors::from_unsorted(next.clone(), 2).unwrap(), Attestors::from_unsorted(next, 3).unwrap());
    let serving = async |n: u8, epoch: u64, next: Option<&Attestors>| {
        let journal = dir.path().join(format!("hand-over-{n}-{epoch}-{}", next.map_or(0, Attestors::threshold)));
        let next = next.cloned();
        let settings = AttestorSettings { next, epoch, ..settings(&anvil, genesis.hash, &journal) };
        serve(http::routes(AttestorService::start(settings, key(n)).await.unwrap())).await
    };
    let gather = async |urls: Vec<Url>| pool(&anvil, genesis.hash, urls).gather_rotation().await;
    let good = [serving(1, 0, Some(&next)).await, serving(2, 0, Some(&next)).await];
    let [silent, dissenter] = [serving(3, 0, None).await, serving(3, 0, Some(&other)).await];
    let stranger = serving(9, 0, Some(&next)).await;
    let elsewhere = serving(3, 7, Some(&next)).await;
    for third in [&silent, &dissenter, &stranger, &elsewhere] {
        let signed = gather(vec![good[0].clone(), third.clone(), good[1].clone()]).await.unwrap();
        assert_eq!((&signed.rotation.attestors, signed.signatures.len()), (&next, 2));
        // One of the quorum alone, whatever the others say: no hand-over.
        let error = gather(vec![good[0].clone(), third.clone(), good[0].clone()]).await.unwrap_err();
        assert!(matches!(&error, ChainError::NotYet(text) if text.contains("1 of 3 attestors")), "{error}");
    }
    let signed = gather([silent, good[0].clone(), good[1].clone()].to_vec()).await.unwrap();
    let client = ClientState {
        evm_chain_id: CHAIN,
        genesis_hash: genesis.hash,
        attestors: Attestors::from_unsorted((1..=3).map(|n| key(n).address()).collect(), 2).unwrap(),
        epoch: 0,
        past: vec![],
        latest: Latest {
            number: Height(0),
            hash: genesis.hash,
            time: genesis.tip().time,
            state_root: genesis.header.state_root,
        },
        trusting_period: 1_000_000,
        anchor: Height(0),
        store_address: Address::ZERO,
        base_slot: B256::ZERO,
        frozen: false,
        generation: 0,
    };
    let handed_over = verify_rotation(&client, &signed, genesis.tip().time).unwrap();
    assert_eq!((handed_over.epoch, handed_over.attestors), (1, next));
    anvil.stop().await;
}
