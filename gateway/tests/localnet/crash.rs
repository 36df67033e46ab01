//! An application that is killed after it executed a block and before it was told to commit it: what the node sends is
//! watched on its way, and the kill comes between the two.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use crosspoint_gateway::nodes::run::Binaries;
use crosspoint_gateway::nodes::{Nodes, Plan};
use crosspoint_ledger::demo;
use crosspoint_ledger::engine::cometbft::{binary, certificate};
use crosspoint_ledger::engine::keys::SEED_FILE;
use crosspoint_ledger::engine::{Seed, ValidatorKeys, testing};
use crosspoint_ledger::tx::TxBuilder;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::process::until;
use crate::support::{ask, free_base, header, height, transfer};

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(program: &Path, args: &[&str], home: &Path, log: &str) -> Result<Running> {
    let log = std::fs::File::options().create(true).append(true).open(home.join(log))?;
    let mut command = Command::new(program);
    command.args(args).arg("--home").arg(home).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(Running(command.spawn()?))
}

/// One message of ABCI with its length before it; nothing at the end of the stream.
async fn message(from: &mut (impl AsyncReadExt + Unpin)) -> Option<Vec<u8>> {
    let (mut head, mut len) = (vec![], 0_usize);
    loop {
        let byte = from.read_u8().await.ok()?;
        len |= usize::from(byte & 0x7f) << (7 * head.len());
        head.push(byte);
        if byte < 0x80 {
            break;
        }
    }
    let mut body = vec![0; len];
    from.read_exact(&mut body).await.ok()?;
    head.extend(body);
    Some(head)
}

/// `Request.commit`, field 11, empty: what a node sends after it has the results of the block.
const COMMIT: [u8; 3] = [2, 0x5a, 0];

/// Carries what node and application say to each other. Once `armed`, a request to commit does not arrive: the
/// application is killed instead.
async fn carry(listener: TcpListener, to: SocketAddr, armed: Arc<AtomicBool>, app: u32) {
    while let Ok((node, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(to).await else { return };
        let armed = Arc::clone(&armed);
        tokio::spawn(async move {
            let (mut from_node, mut to_node) = node.into_split();
            let (mut from_app, mut to_app) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_app, &mut to_node).await });
            while let Some(bytes) = message(&mut from_node).await {
                if bytes == COMMIT && armed.swap(false, Ordering::SeqCst) {
                    let _ = Command::new("kill").args(["-9", &app.to_string()]).status();
                    return;
                }
                if to_app.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn send(rpc: &str, nonce: u64, to: &str, amount: u128) -> Result<()> {
    use base64::Engine as _;
    let builder = TxBuilder::new(demo::CHAIN_ID.parse()?, nonce).message(transfer(to, amount));
    let tx = base64::engine::general_purpose::STANDARD.encode(builder.sign(&demo::member_key("mall")));
    let answer = ask(rpc, "broadcast_tx_sync", json!({ "tx": tx })).await?;
    ensure!(answer["code"] == 0, "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_killed_between_execution_and_commit_has_the_same_state_after() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let plan = Plan { validators: 1, base_port: free_base(), block_ms: 200, snapshot_every: 0 };
    let nodes = Nodes::create(&dir.path().join("net"), plan.clone(), demo::genesis(1)?)?;
    let home = nodes.home(0);
    let rpc = format!("http://{}", plan.rpc(0));
    let binaries = Binaries { node: binary::find()?, app: env!("CARGO_BIN_EXE_crosspoint").into() };

    // The node talks to the application through us.
    let proxy = TcpListener::bind(("127.0.0.1", 0)).await?;
    let config = home.dir().join("config/config.toml");
    let text = std::fs::read_to_string(&config)?;
    let ours = text.replace(&plan.app(0).to_string(), &proxy.local_addr()?.to_string());
    ensure!(ours != text, "the application's address is not in the settings");
    std::fs::write(&config, ours)?;
    let armed = Arc::new(AtomicBool::new(false));
    let listen = plan.app(0).to_string();
    let mut app = run(&binaries.app, &["node", "--listen", &listen], home.dir(), "app.log")?;
    until("the application", async || Ok(TcpStream::connect(plan.app(0)).await.ok())).await?;
    let carrier = tokio::spawn(carry(proxy, plan.app(0), Arc::clone(&armed), app.0.id()));
    let node = run(&binaries.node, &["start"], home.dir(), "node.log")?;
    until("block 2", async || Ok((height(&rpc).await? >= 2).then_some(()))).await?;

    send(&rpc, 1, "alice", 10).await?;
    until("the first transfer", async || {
        let found = ask(&rpc, "tx_search", json!({ "query": "tx.height>0" })).await?;
        // Certificates have no events, so they are not found.
        Ok((found["total_count"] != "0").then_some(()))
    })
    .await?;
    send(&rpc, 2, "bob", 20).await?;
    armed.store(true, Ordering::SeqCst);
    until("the application's end", async || Ok(app.0.try_wait()?.map(|_| ()))).await?;
    // The node ends by itself: an application that is gone decides nothing.
    drop((app, node));
    carrier.abort();
    ensure!(!armed.load(Ordering::SeqCst), "the kill did not come before a commit");

    nodes.write_settings(0, None)?;
    nodes.start(&binaries, &[0]).await?;
    let stop = stop_at_the_end(nodes.clone());
    nodes.wait_blocks(&[0], None).await?;
    let before = height(&rpc).await?;
    send(&rpc, 3, "alice", 30).await?;
    until("more blocks", async || Ok((height(&rpc).await? > before + 3).then_some(()))).await?;

    // The same blocks under solo: the same roots, before, at and after the kill.
    let (mut blocks, mut roots, mut users) = (vec![], vec![], 0);
    let last = height(&rpc).await?;
    for at in 1..=last {
        let block = ask(&rpc, "block", json!({ "height": at.to_string() })).await?["block"].clone();
        let txs: Vec<Vec<u8>> = block["data"]["txs"].as_array().map_or_else(Vec::new, |txs| {
            use base64::Engine as _;
            let decode = |tx: &serde_json::Value| {
                base64::engine::general_purpose::STANDARD.decode(tx.as_str().unwrap()).unwrap()
            };
            txs.iter().map(decode).collect()
        });
        let txs = certificate::split(&txs).1.to_vec();
        users += txs.len();
        let header = header(&rpc, at).await?;
        roots.push(header["app_hash"].as_str().context("no app hash")?.to_lowercase());
        blocks.push((tendermint::Time::parse_from_rfc3339(header["time"].as_str().context("no time")?)?, txs));
    }
    ensure!(users == 3, "{users} transactions in blocks");
    let seed = Seed::load_or_create(&nodes.dir().join(SEED_FILE))?;
    let keys = ValidatorKeys::derive_all(&seed, 1)?;
    let solo = testing::solo_blocks(&dir.path().join("solo"), &home.genesis()?, keys, blocks)?;
    for (block, root) in solo.iter().zip(roots.iter().skip(1)) {
        ensure!(
            hex::encode(&block.app_hash) == *root,
            "solo has {} where the header says {root}",
            hex::encode(&block.app_hash)
        );
    }
    drop(stop);
    Ok(())
}

/// Ends a network's processes when it is dropped.
fn stop_at_the_end(nodes: Nodes) -> impl Drop {
    struct Stop(Nodes);
    impl Drop for Stop {
        fn drop(&mut self) {
            let _ = self.0.stop(&[0], crosspoint_gateway::nodes::process::Signal::Kill);
        }
    }
    Stop(nodes)
}
