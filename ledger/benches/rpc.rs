//! Signed transfers per second through the RPC, from `broadcast_tx_sync` to committed, and how long each waits: first as fast
//! as the node takes them, then at a steady rate.
//!
//! `make bench ARGS=rpc`; `CROSSPOINT_BENCH_TXS` sets how many (50,000 by default), `CROSSPOINT_BENCH_BATCH` how many go
//! into one HTTP request (50 by default; 1 sends each alone), `CROSSPOINT_BENCH_RATE` the steady rate (10,000 a second).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use crosspoint_ledger::address::AccountId;
use crosspoint_ledger::demo;
use crosspoint_ledger::engine::mempool::{MempoolLimits, TxHash};
use crosspoint_ledger::engine::{BlockTiming, Seed, Solo, SoloConfig, Validators};
use crosspoint_ledger::genesis::{Genesis, Member};
use crosspoint_ledger::tx::action::Role;
use crosspoint_ledger::tx::message::Message;
use crosspoint_ledger::tx::{self, TxBuilder};
use crosspoint_protocol::amount::Amount;
use ed25519_dalek::SigningKey;

const SENDERS: usize = 64;
const CONNECTIONS: usize = 16;

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn key(index: usize) -> SigningKey {
    SigningKey::from_bytes(&crosspoint_protocol::sha256(&[b"bench", &index.to_be_bytes()]))
}

/// The demo's genesis with [`SENDERS`] more members, who hold what `marketing` held.
fn genesis() -> Genesis {
    let mut genesis = demo::genesis(4).unwrap();
    let denom = &mut genesis.denoms[0];
    denom.balances.remove("marketing");
    for index in 0..SENDERS {
        let name = format!("sender-{index}");
        genesis.members.push(Member {
            name: name.clone(),
            account: AccountId::of_key(&key(index).verifying_key()),
            role: Role::Customer,
        });
        denom.balances.insert(name, Amount::new(1_000_000));
    }
    genesis
}

/// The transfers of one connection: whole senders, each sender's in the order of nonces.
fn signed(genesis: &Genesis, connection: usize, per_sender: usize) -> Vec<Vec<u8>> {
    let mut txs = Vec::new();
    for nonce in 1..=per_sender {
        for sender in (connection..SENDERS).step_by(CONNECTIONS) {
            let to = AccountId::of_key(&key((sender + nonce) % SENDERS).verifying_key());
            let message =
                Message::Transfer { to, denom: "sfs".parse().unwrap(), amount: Amount::new(1), memo: String::new() };
            txs.push(TxBuilder::new(genesis.chain_id.clone(), nonce as u64).message(message).sign(&key(sender)));
        }
    }
    txs
}

fn body(txs: &[Vec<u8>]) -> String {
    let request = |tx: &Vec<u8>| {
        let tx = base64::engine::general_purpose::STANDARD.encode(tx);
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"broadcast_tx_sync","params":{{"tx":"{tx}"}}}}"#)
    };
    format!("[{}]", txs.iter().map(request).collect::<Vec<_>>().join(","))
}

#[tokio::main]
async fn main() {
    let (count, batch) = (setting("CROSSPOINT_BENCH_TXS", 50_000), setting("CROSSPOINT_BENCH_BATCH", 50));
    run(count, batch, None).await;
    run(count, batch, Some(setting("CROSSPOINT_BENCH_RATE", 10_000))).await;
}

/// Sends `count` transfers, `rate` a second if one is given.
async fn run(count: usize, batch: usize, rate: Option<usize>) {
    let per_sender = count.div_ceil(SENDERS);
    let genesis = genesis();
    let connections: Vec<Vec<Vec<u8>>> = (0..CONNECTIONS).map(|c| signed(&genesis, c, per_sender)).collect();
    let total: usize = connections.iter().map(Vec::len).sum();

    let dir = tempfile::tempdir().unwrap();
    let chain = Solo::start(SoloConfig {
        validators: Validators::Derived { count: 4, seed: Some(Seed::new(demo::SEED)) },
        timing: BlockTiming { when_waiting: Some(Duration::from_millis(200)), ..BlockTiming::default() },
        mempool: MempoolLimits { max_txs: total + 1, ..MempoolLimits::default() },
        ..SoloConfig::new(dir.path(), genesis)
    })
    .await
    .unwrap();

    let sent: Arc<Mutex<HashMap<TxHash, Instant>>> = Arc::default();
    let mut feed = chain.node().feed();
    let waits = Arc::clone(&sent);
    let committed = tokio::spawn(async move {
        let (mut latencies, mut blocks) = (Vec::with_capacity(total), 0_u32);
        while latencies.len() < total {
            let block = feed.recv().await.expect("the bench keeps up with the blocks");
            let now = Instant::now();
            blocks += u32::from(!block.tx_hashes.is_empty());
            assert!(block.results.tx_results.iter().all(|result| result.code == 0), "every transfer succeeds");
            let waits = waits.lock().unwrap();
            latencies.extend(block.tx_hashes.iter().map(|hash| now - waits[hash]));
        }
        (latencies, blocks)
    });

    let start = Instant::now();
    let url = chain.rpc_url();
    let mut senders = Vec::new();
    for txs in connections {
        let (url, sent) = (url.clone(), Arc::clone(&sent));
        senders.push(tokio::spawn(async move {
            let http = reqwest::Client::new();
            for (number, chunk) in txs.chunks(batch).enumerate() {
                if let Some(rate) = rate {
                    let due = (number * batch * CONNECTIONS) as f64 / rate as f64;
                    tokio::time::sleep_until((start + Duration::from_secs_f64(due)).into()).await;
                }
                let now = Instant::now();
                sent.lock().unwrap().extend(chunk.iter().map(|tx| (tx::hash(tx), now)));
                let answer = http.post(&url).body(body(chunk)).send().await.unwrap().text().await.unwrap();
                assert_eq!(answer.matches(r#""code":0"#).count(), chunk.len(), "{answer}");
            }
        }));
    }
    for sender in senders {
        sender.await.unwrap();
    }
    let accepted = start.elapsed();
    let (mut latencies, blocks) = committed.await.unwrap();
    let done = start.elapsed();
    latencies.sort_unstable();
    let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
    let per_second = |took: Duration| (total as f64 / took.as_secs_f64()).round();
    let pace = rate.map_or_else(|| "as fast as they are taken".into(), |rate| format!("{rate} a second"));
    println!(
        "\n{total} signed transfers of {SENDERS} senders over {CONNECTIONS} connections, {batch} to a request, {pace}"
    );
    println!("accepted  {:>8.2} s  {:>7} tx/s", accepted.as_secs_f64(), per_second(accepted));
    println!("committed {:>8.2} s  {:>7} tx/s  in {blocks} blocks", done.as_secs_f64(), per_second(done));
    println!("from sent to committed: p50 {:?}, p99 {:?}, worst {:?}", at(50), at(99), at(100));
    chain.stop().await.unwrap();
}
