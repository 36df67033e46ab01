//! The solo engine: headers that light clients believe, time, restarts, crashes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod engine_support;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crosspoint_ledger::app::{App, BlockContext};
use crosspoint_ledger::demo;
use crosspoint_ledger::engine::{BlockTiming, Seed, Solo, SoloError, SoloHandle, ValidatorKeys, Validators, testing};
use crosspoint_light_proofs::checkpoint::{self, ClientState, Side, SignedCheckpoint};
use crosspoint_protocol::ids::{Height, Timestamp};
use engine_support::{Client, PATIENCE, by_hand, config, on_demand, start, transfer};
use serde_json::json;
use tendermint::block::signed_header::SignedHeader;
use tendermint::validator::Set;
use tendermint::{Hash, Time, trust_threshold::TrustThresholdFraction};
use tendermint_light_client_verifier::options::Options;
use tendermint_light_client_verifier::types::{TrustedBlockState, UntrustedBlockState};
use tendermint_light_client_verifier::{ProdVerifier, Verdict, Verifier};
use tendermint_rpc::endpoint;

/// A header with the sets a light client needs.
struct Light {
    signed: SignedHeader,
    validators: Set,
    next_validators: Set,
}

async fn light(client: &Client, height: u64) -> Light {
    let height = tendermint::block::Height::try_from(height).unwrap();
    let signed = client.ask(endpoint::commit::Request::new(height)).await.signed_header;
    let set = async |height| {
        let answer = client.ask(endpoint::validators::Request::new(Some(height), None, None)).await;
        Set::without_proposer(answer.validators)
    };
    Light { signed, validators: set(height).await, next_validators: set(height.increment()).await }
}

fn verify(trusted: &Light, new: &Light, now: Time) -> Verdict {
    let options = Options {
        trust_threshold: TrustThresholdFraction::ONE_THIRD,
        trusting_period: Duration::from_secs(3_600 * 24),
        clock_drift: Duration::from_secs(5),
    };
    let header = &trusted.signed.header;
    ProdVerifier::default().verify_update_header(
        UntrustedBlockState {
            signed_header: &new.signed,
            validators: &new.validators,
            next_validators: Some(&new.next_validators),
        },
        TrustedBlockState {
            chain_id: &header.chain_id,
            header_time: header.time,
            height: header.height,
            next_validators: &trusted.next_validators,
            next_validators_hash: header.next_validators_hash,
        },
        &options,
        now,
    )
}

async fn blocks(chain: &SoloHandle, count: u64) {
    for _ in 0..count {
        chain.make_block().await.unwrap();
    }
}

#[tokio::test]
async fn a_light_client_believes_every_header_adjacent_and_skipping() {
    let dir = tempfile::tempdir().unwrap();
    let chain = start(dir.path(), by_hand()).await;
    let client = Client::new(&chain);
    blocks(&chain, 12).await;
    let mut lights = Vec::new();
    for height in 1..=12 {
        lights.push(light(&client, height).await);
    }
    for (index, trusted) in lights.iter().enumerate() {
        for new in &lights[index + 1..] {
            assert_eq!(verify(trusted, new, Time::now()), Verdict::Success);
        }
    }
    let mut forged = light(&client, 12).await;
    forged.signed.header.time = (forged.signed.header.time + Duration::from_secs(1)).unwrap();
    assert!(matches!(verify(&lights[0], &forged, Time::now()), Verdict::Invalid(_)));
    chain.stop().await.unwrap();
}

#[tokio::test]
async fn each_header_hashes_what_cometbft_says_it_hashes() {
    let dir = tempfile::tempdir().unwrap();
    let chain = start(dir.path(), on_demand()).await;
    let client = Client::new(&chain);
    client.commit(transfer("mall", 1, "alice", 5)).await;
    let height = client.commit(transfer("mall", 2, "alice", 7)).await;
    chain.wait_height(Height(height + 1), PATIENCE).await.unwrap();

    let empty = Hash::Sha256(crosspoint_protocol::sha256(&[]));
    let at = |height: u64| endpoint::block::Request::new(height.try_into().unwrap());
    let first = client.ask(at(1)).await.block.header;
    assert_eq!(first.last_block_id, None);
    assert_eq!(
        (first.last_commit_hash, first.last_results_hash, first.evidence_hash),
        (Some(empty), Some(empty), Some(empty))
    );
    let mut proposers = std::collections::BTreeSet::new();
    for h in 2..=height + 1 {
        let (previous, this) = (client.ask(at(h - 1)).await, client.ask(at(h)).await);
        let header = this.block.header;
        assert_eq!(header.last_block_id, Some(previous.block_id));
        assert_eq!(previous.block_id.hash, previous.block.header.hash());
        let commit = client.ask(endpoint::commit::Request::new((h - 1).try_into().unwrap())).await;
        assert_eq!(this.block.last_commit.as_ref(), Some(&commit.signed_header.commit));
        assert_eq!(header.validators_hash, previous.block.header.next_validators_hash);
        assert!(header.time > previous.block.header.time);
        let results = client.ask(endpoint::block_results::Request::new((h - 1).try_into().unwrap())).await;
        assert_eq!(results.app_hash, header.app_hash);
        proposers.insert(header.proposer_address.to_string());
    }
    assert!(proposers.len() > 1, "the proposer rotates");
    chain.stop().await.unwrap();
}

async fn signed_checkpoint(client: &Client, height: u64) -> SignedCheckpoint {
    let request =
        endpoint::abci_query::Request::new(Some("checkpoint".into()), height.to_be_bytes().to_vec(), None, false);
    let answer = client.ask(request).await.response;
    assert!(answer.code.is_ok(), "{}", answer.log);
    serde_json::from_slice(&answer.value).unwrap()
}

#[tokio::test]
async fn checkpoints_are_those_of_the_headers_and_a_client_believes_them() {
    let dir = tempfile::tempdir().unwrap();
    let chain = start(dir.path(), by_hand()).await;
    let client = Client::new(&chain);
    blocks(&chain, 3).await;
    let mut state: Option<ClientState> = None;
    for height in 1..=3 {
        let signed = signed_checkpoint(&client, height).await;
        let header = light(&client, height).await.signed.header;
        assert_eq!(signed.checkpoint.app_hash.as_slice(), header.app_hash.as_bytes());
        assert_eq!(signed.checkpoint.time.0, u64::try_from(header.time.unix_timestamp()).unwrap());
        assert_eq!(signed.signatures.len(), 4);
        let now = signed.checkpoint.time;
        if let Some(trusted) = &state {
            checkpoint::verify_update(trusted, &signed, now).unwrap();
            let keys = chain.keys();
            assert!(
                checkpoint::verify_update(trusted, &testing::checkpoint_signed_by(&signed, &keys[..2]), now).is_err()
            );
            let other = testing::conflicting_checkpoint(&signed, [9; 32], keys);
            let (one, other) = (Side::Signed(&signed), Side::Signed(&other));
            checkpoint::check_misbehaviour(trusted, &trusted.newest(), one, other, now).unwrap();
        }
        state = Some(ClientState {
            chain_id: signed.checkpoint.chain_id.clone(),
            set_hash: signed.checkpoint.next_set_hash,
            latest: (&signed.checkpoint).into(),
            trusting_period: 3_600,
            frozen: false,
            generation: 0,
        });
    }
    chain.stop().await.unwrap();
}

#[tokio::test]
async fn time_moves_only_forward_and_by_as_much_as_it_is_moved() {
    let dir = tempfile::tempdir().unwrap();
    let chain = start(dir.path(), by_hand()).await;
    chain.make_block().await.unwrap();
    let before = chain.time().unwrap();
    chain.advance_time(Duration::from_secs(7_200)).await.unwrap();
    let after = chain.time().unwrap();
    assert!((7_200..7_260).contains(&after.since(before)), "{before} {after}");
    chain.stop().await.unwrap();
    // A restart does not take it back.
    let chain = start(dir.path(), by_hand()).await;
    chain.make_block().await.unwrap();
    assert!(chain.time().unwrap() >= after);
    chain.stop().await.unwrap();
}

#[tokio::test]
async fn a_stopped_chain_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let chain = start(dir.path(), on_demand()).await;
    let client = Client::new(&chain);
    client.commit(transfer("mall", 1, "alice", 100)).await;
    let (height, app_hash) = (chain.height(), chain.node().latest().app_hash);
    let trusted = light(&client, 1).await;
    chain.stop().await.unwrap();

    let chain = start(dir.path(), by_hand()).await;
    let client = Client::new(&chain);
    assert!(chain.height() >= height);
    if chain.height() == height {
        assert_eq!(chain.node().latest().app_hash, app_hash);
    }
    assert_eq!(client.balance("alice").await, 100);
    let next = chain.make_block().await.unwrap();
    assert_eq!(verify(&trusted, &light(&client, next.0).await, Time::now()), Verdict::Success);
    chain.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_node_fed_the_same_blocks_has_the_same_app_hashes() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let chain = start(dir.path(), by_hand()).await;
    for nonce in 1..=20 {
        chain.node().submit(transfer("mall", nonce, "alice", u128::from(nonce))).unwrap();
        if nonce % 5 == 0 {
            chain.make_block().await.unwrap();
        }
    }
    chain.make_block().await.unwrap();
    let client = Client::new(&chain);
    let mut replica = App::open(other.path(), chain.genesis()).unwrap();
    for height in 1..=chain.height().0 {
        let block = client.ask(endpoint::block::Request::new(height.try_into().unwrap())).await.block;
        assert_eq!(block.header.app_hash.as_bytes(), replica.last_block().app_hash);
        let context = BlockContext {
            height: Height(height),
            time: Timestamp(u64::try_from(block.header.time.unix_timestamp()).unwrap()),
            proposer: block.header.proposer_address.as_bytes().try_into().unwrap(),
        };
        let outcome = replica.execute_block(&context, &block.data).unwrap();
        assert!(outcome.results.iter().all(|result| result.code == 0));
        replica.commit(Vec::new()).unwrap();
    }
    assert_eq!(chain.node().latest().app_hash.as_bytes(), replica.last_block().app_hash);
    chain.stop().await.unwrap();
}

#[tokio::test]
async fn keys_that_are_not_the_validators_do_not_start_a_chain() {
    let dir = tempfile::tempdir().unwrap();
    let stranger = Seed::new([5; 32]);
    let mut keys = ValidatorKeys::derive_all(&Seed::new(demo::SEED), 2).unwrap();
    keys.extend(ValidatorKeys::derive_all(&stranger, 2).unwrap());
    let mut wrong = config(dir.path(), by_hand());
    wrong.validators = Validators::Given(keys);
    assert!(matches!(Solo::start(wrong).await, Err(SoloError::Produce(_))));
    // Three of four are enough; the fourth is absent from every commit.
    let mut three = config(dir.path(), by_hand());
    three.validators = Validators::Given(ValidatorKeys::derive_all(&Seed::new(demo::SEED), 3).unwrap());
    let chain = Solo::start(three).await.unwrap();
    let client = Client::new(&chain);
    blocks(&chain, 2).await;
    assert_eq!(verify(&light(&client, 1).await, &light(&client, 2).await, Time::now()), Verdict::Success);
    chain.stop().await.unwrap();
}

#[tokio::test]
async fn an_idle_chain_makes_a_block_when_a_transaction_comes_and_one_more_to_prove_it() {
    let dir = tempfile::tempdir().unwrap();
    let chain = start(dir.path(), on_demand()).await;
    let height = Client::new(&chain).commit(transfer("mall", 1, "alice", 1)).await;
    chain.wait_height(Height(height + 1), PATIENCE).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(chain.height(), Height(height + 1), "an idle chain makes no more blocks");
    chain.stop().await.unwrap();
}

#[tokio::test]
async fn the_block_interval_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let chain = start(dir.path(), BlockTiming::every(Duration::from_millis(50))).await;
    chain.wait_height(Height(10), PATIENCE).await.unwrap();
    chain.stop().await.unwrap();
}

const CHILD_DIR: &str = "CROSSPOINT_TEST_CHILD_DIR";

/// Not a test by itself: the process that the next test kills.
#[tokio::test]
async fn child_process_that_runs_a_chain() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let dir = std::path::PathBuf::from(dir);
    let timing =
        BlockTiming { when_waiting: Some(Duration::from_millis(1)), ..BlockTiming::every(Duration::from_millis(5)) };
    let chain = start(&dir, timing).await;
    std::fs::write(dir.join("rpc.tmp"), chain.rpc_url()).unwrap();
    std::fs::rename(dir.join("rpc.tmp"), dir.join("rpc")).unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
}

fn spawn_child(dir: &std::path::Path) -> Child {
    let _ = std::fs::remove_file(dir.join("rpc"));
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_process_that_runs_a_chain", "--nocapture"])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn child_client(dir: &std::path::Path) -> Client {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            match std::fs::read_to_string(dir.join("rpc")) {
                Ok(url) => return Client::at(url),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    });
    waited.await.unwrap()
}

#[tokio::test]
async fn kill_minus_nine_at_any_moment_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let (mut nonce, mut sent) = (1_u64, 0_u128);
    let mut heights: Vec<(u64, String)> = Vec::new();
    for round in 0_u64..6 {
        let mut child = spawn_child(dir.path());
        let client = child_client(dir.path()).await;
        // What was acknowledged before the kill is there; the transaction in flight then may be too.
        let balance = client.balance("alice").await;
        assert!(balance == sent || balance == sent + 1, "{balance} of {sent}");
        nonce += u64::try_from(balance - sent).unwrap();
        sent = balance;
        for (height, app_hash) in &heights {
            let header = client.call("header", json!({"height": height.to_string()})).await;
            assert_eq!(header["result"]["header"]["app_hash"].as_str(), Some(app_hash.as_str()));
        }
        // The killer strikes at another moment each round, in the middle of blocks as they come.
        let killer = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(150 + 37 * round)).await;
            child.kill().unwrap();
            child.wait().unwrap();
        });
        let http = reqwest::Client::new();
        while !killer.is_finished() {
            use base64::Engine as _;
            let tx = base64::engine::general_purpose::STANDARD.encode(transfer("mall", nonce, "alice", 1));
            let body =
                json!({"jsonrpc": "2.0", "id": 1, "method": "broadcast_tx_commit", "params": {"tx": tx}}).to_string();
            let Ok(answer) = http.post(&client.url).body(body).send().await else { break };
            let Ok(answer) = answer.json::<serde_json::Value>().await else { break };
            let Some(height) = answer["result"]["height"].as_str() else { break };
            assert_eq!(answer["result"]["tx_result"]["code"], 0, "{answer}");
            (nonce, sent) = (nonce + 1, sent + 1);
            let height: u64 = height.parse().unwrap();
            let Ok(answer) = http.get(format!("{}/header?height={height}", client.url)).send().await else { break };
            let Ok(answer) = answer.json::<serde_json::Value>().await else { break };
            heights.push((height, answer["result"]["header"]["app_hash"].as_str().unwrap().to_owned()));
        }
        killer.await.unwrap();
    }
    assert!(sent > 0, "something was acknowledged");
    // After all of it the chain still verifies from its first header on.
    let chain = start(dir.path(), by_hand()).await;
    let client = Client::new(&chain);
    let newest = chain.make_block().await.unwrap();
    let mut trusted = light(&client, 1).await;
    for height in (2..=newest.0).step_by(7).chain([newest.0]) {
        let new = light(&client, height).await;
        if new.signed.header.height > trusted.signed.header.height {
            assert_eq!(verify(&trusted, &new, Time::now()), Verdict::Success);
            trusted = new;
        }
    }
    assert!(chain.time().unwrap() > Timestamp(0));
    chain.stop().await.unwrap();
}
