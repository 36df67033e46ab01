//! The application under a real CometBFT node: the same chain as under `solo`, and checkpoints from votes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod comet_support;
mod engine_support;

use crosspoint_ledger::demo;
use crosspoint_ledger::engine::cometbft::certificate;
use crosspoint_ledger::engine::{Seed, ValidatorKeys, testing};
use crosspoint_light_proofs::checkpoint::{ClientState, Latest, SignedCheckpoint, verify_update};
use crosspoint_protocol::ids::Height;
use engine_support::{Client, transfer};
use serde_json::json;
use tendermint_rpc::endpoint;

/// The checkpoint of a header, as anybody gets it from the node.
async fn checkpoint(client: &Client, height: u64) -> SignedCheckpoint {
    let params = json!({ "path": "/checkpoint", "data": hex::encode(height.to_be_bytes()) });
    let answer = client.call("abci_query", params).await;
    use base64::Engine as _;
    let value = answer["result"]["response"]["value"].as_str().unwrap_or_else(|| panic!("{answer}"));
    serde_json::from_slice(&base64::engine::general_purpose::STANDARD.decode(value).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_blocks_give_the_same_app_hashes_as_under_solo() {
    let dir = tempfile::tempdir().unwrap();
    let seed = Seed::new(demo::SEED);
    let genesis = demo::genesis(1).unwrap();
    let nodes = comet_support::start(dir.path(), &genesis, &seed, 1).await;
    let (node, client) = (&nodes[0], nodes[0].client());
    node.height(2).await;

    // Transfers, one of them beyond what the sender has: it fails in its block, and both engines must agree on that.
    client.commit(transfer("mall", 1, "alice", 1_000)).await;
    for (nonce, amount) in [(1, 300), (2, 5_000), (3, 200)] {
        let request = endpoint::broadcast::tx_sync::Request::new(transfer("alice", nonce, "bob", amount));
        assert!(client.ask(request).await.code.is_ok());
    }
    let refused = client.ask(endpoint::broadcast::tx_sync::Request::new(transfer("alice", 1, "bob", 1))).await;
    assert_eq!(refused.code.value(), crosspoint_ledger::code::NONCE_USED, "{}", refused.log);
    let last = client.commit(transfer("mall", 2, "bob", 7)).await;
    node.height(last + 2).await;
    assert_eq!((client.balance("alice").await, client.balance("bob").await), (500, 507));

    let (mut blocks, mut codes, mut certificates) = (vec![], vec![], 0);
    let mut headers = vec![];
    for height in 1..=last + 2 {
        let at = tendermint::block::Height::try_from(height).unwrap();
        let block = client.ask(endpoint::block::Request::new(at)).await.block;
        let results = client.ask(endpoint::block_results::Request::new(at)).await.txs_results.unwrap_or_default();
        let (carried, users) = certificate::split(&block.data);
        certificates += u64::from(carried.is_some());
        assert_eq!(results.len(), block.data.len());
        codes.push(results[usize::from(carried.is_some())..].iter().map(|r| r.code.value()).collect::<Vec<_>>());
        blocks.push((block.header.time, users.to_vec()));
        headers.push(block.header);
    }
    // Every header but the newest has its certificate in the next block.
    assert_eq!(certificates, last + 1);
    assert!(codes.concat().iter().any(|code| *code != 0), "no transaction failed: {codes:?}");

    let solo_dir = tempfile::tempdir().unwrap();
    let keys = ValidatorKeys::derive_all(&seed, 1).unwrap();
    let solo = testing::solo_blocks(solo_dir.path(), &genesis, keys, blocks).unwrap();
    for (height, block) in solo.iter().enumerate().take(solo.len() - 1) {
        assert_eq!(block.app_hash, headers[height + 1].app_hash.as_bytes(), "after block {}", height + 1);
        assert_eq!(block.codes, codes[height], "of block {}", height + 1);
    }

    // The checkpoint of each header says what the header says, and the light client believes it.
    for header in headers.iter().rev().skip(1).take(3) {
        let height = header.height.value();
        let signed = checkpoint(&client, height).await;
        assert_eq!(signed.checkpoint.app_hash, header.app_hash.as_bytes());
        assert_eq!(signed.checkpoint.time.0, header.time.unix_timestamp() as u64);
        let client_state = ClientState {
            chain_id: genesis.chain_id.clone(),
            set_hash: signed.set.hash(),
            latest: Latest { height: Height(height - 1), ..Latest::from(&signed.checkpoint) },
            trusting_period: 3_600,
            frozen: false,
            generation: 0,
        };
        let next = verify_update(&client_state, &signed, signed.checkpoint.time).unwrap();
        assert_eq!(next.latest.height, Height(height));
    }
}
