//! Four validators: one is killed, one joins anew by a snapshot, points go to another chain and are settled.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use crosspoint_adapters::chain::{Chain, ClientStatus, ClientType, LockRequest, Tip};
use crosspoint_adapters::native::{NativeChain, NativeSettings};
use crosspoint_adapters::proven::Evidence;
use crosspoint_ledger::demo;
use crosspoint_ledger::engine::{BlockTiming, Seed, Solo, SoloConfig, SoloHandle, Validators};
use crosspoint_ledger::events::Event;
use crosspoint_ledger::tx::action::{Action, ClientSpec};
use crosspoint_ledger::tx::message::Message;
use crosspoint_light_proofs::checkpoint::{self, SignedCheckpoint};
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::ids::{Address, ClientId, Height, Timestamp};
use crosspoint_protocol::lock::Terms;
use crosspoint_protocol::secret::Preimage;
use crosspoint_relayer::life::Stage;
use crosspoint_relayer::metrics::Metrics;
use crosspoint_relayer::route::PacketId;
use crosspoint_relayer::{Relayer, RelayerConfig};
use serde_json::{Value, json};

use crate::process::{run, until};
use crate::support::{BLOCK_MS, Localnet, account, ask, free_base, header, height, native, signer, transfer};

const TRUSTING_PERIOD: u64 = 14 * 24 * 3_600;

fn rpcs(status: &Value) -> Vec<String> {
    let rpc = |validator: &Value| validator["rpc"].as_str().unwrap().to_owned();
    status["validators"].as_array().unwrap().iter().map(rpc).collect()
}

/// Waits until all nodes have a block, and compares its header.
async fn same_header(rpcs: &[String], at: u64) -> Result<Value> {
    let mut first: Option<Value> = None;
    for rpc in rpcs {
        until(&format!("block {at} at {rpc}"), async || Ok((height(rpc).await? >= at).then_some(()))).await?;
        let found = header(rpc, at).await?;
        ensure!(first.as_ref().is_none_or(|first| *first == found), "{rpc} has another header {at}: {found}");
        first = Some(found);
    }
    first.context("no node")
}

async fn balance(chain: &NativeChain, name: &str) -> Result<u128> {
    let address: Address = account(name).to_string().parse()?;
    Ok(chain.balance(&address, &"sfs".parse()?).await?.get())
}

#[tokio::test(flavor = "multi_thread")]
async fn four_validators_lose_one_take_one_back_by_a_snapshot_and_pay_another_chain() -> Result<()> {
    let net = Localnet::new();
    let base = free_base().to_string();
    let up =
        ["up", "--validators", "4", "--base-port", &base, "--block-ms", &BLOCK_MS.to_string(), "--snapshot-every", "5"];
    let status = net.json(&up).await?;
    let rpcs = rpcs(&status);
    let all: Vec<&str> = rpcs.iter().map(String::as_str).collect();
    ensure!(rpcs.len() == 4 && status["validators"][3]["chain"]["height"].as_u64() >= Some(1), "{status}");
    // Once more changes nothing.
    let again = net.json(&["up"]).await?;
    for validator in 0..4 {
        for pid in ["node_pid", "app_pid"] {
            ensure!(status["validators"][validator][pid] == again["validators"][validator][pid], "{again}");
        }
    }
    let text = net.run(&["status"]).await?.good()?;
    ensure!(text.contains("running") && text.contains("chain crosspoint-1"), "{text}");

    let chain = native(&all);
    chain.execute(&signer("mall"), transfer("alice", 1_000)).await?;
    chain.execute(&signer("alice"), transfer("bob", 300)).await?;
    ensure!(balance(&chain, "alice").await? == 700, "alice has something else");

    // One validator's application is killed; its node ends with it, the other three go on.
    let pid = net.pid(3, "app");
    ensure!(std::process::Command::new("kill").args(["-9", &pid]).status()?.success(), "kill -9 {pid}");
    let three = native(&all[..3]);
    three.execute(&signer("alice"), transfer("bob", 1)).await?;
    let at = height(&rpcs[0]).await?;
    until("three validators' blocks", async || Ok((height(&rpcs[0]).await? > at + 2).then_some(()))).await?;
    until("the end of its node", async || {
        let status = net.json(&["status"]).await?;
        Ok(status["validators"][3]["node_pid"].is_null().then_some(()))
    })
    .await?;
    // It catches up by replay.
    net.json(&["restart", "3"]).await?;
    same_header(&rpcs, at + 3).await?;
    ensure!(balance(&native(&all[3..]), "bob").await? == 301, "validator 3 has another state");

    // Another one loses its disk, and joins by a snapshot: what was before it is not there.
    net.json(&["restart", "2", "--resync"]).await?;
    let status = ask(&rpcs[2], "status", json!({})).await?;
    let earliest: u64 = status["sync_info"]["earliest_block_height"].as_str().unwrap().parse()?;
    ensure!(earliest > 1, "validator 2 has all blocks: {status}");
    let newest = height(&rpcs[0]).await?;
    same_header(&rpcs, newest + 2).await?;
    let second = native(&all[2..3]);
    second.execute(&signer("bob"), transfer("alice", 1)).await?;
    ensure!(balance(&second, "bob").await? == 300, "validator 2 has another state");
    // It signs again, checkpoints included: a certificate with all four signatures.
    until("a checkpoint signed by all four", async || {
        let signed = checkpoint_at(&rpcs[2], 0).await?;
        Ok((signed.signatures.len() == 4).then_some(()))
    })
    .await?;

    // What a deployment on an EVM chain begins with: a header that two nodes know.
    let (chain_id, one, other) = (demo::CHAIN_ID, rpcs[0].as_str(), rpcs[2].as_str());
    let anchor =
        run(&["chain", "anchor", "--json", "--chain", chain_id, "--endpoint", one, "--endpoint", other]).await?;
    ensure!(anchor.json()?["height"].as_u64() > Some(at), "an old header");

    pays_another_chain(&rpcs[0]).await?;

    let log = net.run(&["logs", "1", "--lines", "5"]).await?.good()?;
    ensure!(log.contains("node.log") && log.contains("committed state"), "{log}");
    // Down keeps the data; up goes on with it.
    let before = height(&rpcs[0]).await?;
    let down = net.json(&["down"]).await?;
    ensure!(down["stopped"] == 8, "{down}");
    let status = net.json(&["status"]).await?;
    ensure!(
        status["validators"].as_array().unwrap().iter().all(|v| v["node_pid"].is_null() && v["chain"].is_null()),
        "{status}"
    );
    net.json(&["up"]).await?;
    same_header(&rpcs, before + 1).await?;
    net.json(&["down", "--wipe"]).await?;
    ensure!(!net.dir.exists(), "the folder is still there");
    net.run(&["status"]).await?.refused(3)?;
    Ok(())
}

/// The checkpoint of a header; of the newest that has one for height 0.
async fn checkpoint_at(rpc: &str, height: u64) -> Result<SignedCheckpoint> {
    use base64::Engine as _;
    let params = json!({ "path": "/checkpoint", "data": hex::encode(height.to_be_bytes()) });
    let answer = ask(rpc, "abci_query", params).await?;
    let value = answer["response"]["value"].as_str().with_context(|| answer.to_string())?;
    Ok(serde_json::from_slice(&base64::engine::general_purpose::STANDARD.decode(value)?)?)
}

/// A chain under `solo` that follows this one, and is followed.
async fn brand(dir: &std::path::Path) -> Result<(SoloHandle, Arc<NativeChain>)> {
    let mut genesis = demo::genesis_of("brand-1", 4)?;
    genesis.params.min_hold = 3;
    genesis.denoms[0].denom = "latte".parse()?;
    let mut config = SoloConfig::new(dir.join("brand"), genesis);
    config.validators = Validators::Derived { count: 4, seed: Some(Seed::new(demo::SEED)) };
    config.timing = BlockTiming::every(Duration::from_millis(BLOCK_MS));
    let solo = Solo::start(config).await?;
    let mut settings = NativeSettings::new("brand-1".parse()?, vec![solo.rpc_url().parse()?]);
    (settings.block_ms, settings.claim_margin_secs) = (BLOCK_MS, 1);
    let chain = Arc::new(NativeChain::new(settings, demo::member_key("relayer"))?);
    Ok((solo, chain))
}

async fn decide(chain: &NativeChain, action: Action) -> Result<()> {
    let proposed = chain.execute(&signer("mall"), Message::Propose { action: Box::new(action) }).await?;
    let proposal = proposed.events.iter().find_map(|event| match event {
        Event::ProposalCreated { proposal, .. } => Some(*proposal),
        _ => None,
    });
    let proposal = proposal.context("no proposal")?;
    chain.execute(&signer("marketing"), Message::Approve { proposal }).await?;
    Ok(())
}

/// A whole transfer from this chain to another and back by proof, and what an EVM client is shown.
async fn pays_another_chain(rpc: &str) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (solo, brand) = brand(dir.path()).await?;
    let hub = Arc::new(native(&[rpc]));
    let client: ClientId = "tendermint-0".parse()?;
    for (here, there) in [(&hub, &brand), (&brand, &hub)] {
        let spec = ClientSpec::Tendermint(there.client_spec(TRUSTING_PERIOD).await?);
        decide(here, Action::CreateClient { spec: Box::new(spec) }).await?;
        let (client, counterparty_client) = (client.clone(), client.clone());
        decide(here, Action::RegisterCounterparty { client, counterparty_client }).await?;
    }
    let denom = "sfs".parse::<crosspoint_protocol::denom::Denom>()?.received(&client, &client)?.denom().clone();
    let cap = Amount::new(1_000_000);
    decide(&brand, Action::SetVoucherCap { denom: denom.clone(), symbol: "SFS".into(), cap }).await?;

    let mut config = RelayerConfig::new(dir.path().join("journal"));
    (config.max_wait_ms, config.tick_ms, config.discovery_ms, config.client_poll_ms) = (100, 100, 500, 500);
    (config.recv_margin_s, config.claim_margin_s) = (1, 1);
    let chains = vec![Arc::clone(&hub) as Arc<dyn Chain>, Arc::clone(&brand) as Arc<dyn Chain>];
    let relayer = Relayer::new(config, chains.clone(), Arc::new(Metrics::new()?)).start()?;

    let secret = Preimage::new(rand::random());
    let timeout = Timestamp(brand.head().await?.latest.time.0 + 600);
    let receiver: Address = account("coffee").to_string().parse()?;
    let request = LockRequest {
        client: client.clone(),
        denom: "sfs".parse()?,
        amount: Amount::new(500),
        receiver: receiver.clone(),
        hashlock: secret.hashlock(),
        timeout,
        claim_deadline: Timestamp(timeout.0 + 600),
        terms: Terms::Plain,
        memo: String::new(),
    };
    let started = Instant::now();
    let (_, packet) = hub.lock(&signer("mall"), &request).await?;
    let id = PacketId { chain: hub.id().clone(), client: client.clone(), sequence: packet.sequence };
    let reaches = async |stage: Stage| {
        until(&format!("{id} {stage}"), async || {
            let life = relayer.journal().transfer(&id).ok().map(|transfer| transfer.life);
            ensure!(life.as_ref().is_none_or(|life| life.stage == stage || !life.stage.is_final()), "{life:?}");
            Ok(life.is_some_and(|life| life.stage == stage).then_some(()))
        })
        .await
    };
    reaches(Stage::Held).await?;
    brand.claim(&[(packet.clone(), secret)]).await?;
    reaches(Stage::Settled).await?;
    eprintln!("from lock to settled: {:?} with blocks of {BLOCK_MS} ms", started.elapsed());
    ensure!(brand.balance(&receiver, &denom).await? == Amount::new(500), "coffee was not paid");
    let report = crosspoint_relayer::audit::audit_once(&chains, &|_, _, _| {}).await?;
    ensure!(report.is_balanced(), "the supply does not add up: {report:#?}");
    relayer.stop(Duration::from_secs(20)).await;

    // A client on EVM would be shown a checkpoint that the validators signed in their votes.
    let trusted = checkpoint_at(rpc, 2).await?;
    let state = checkpoint::ClientState {
        chain_id: hub.id().clone(),
        set_hash: trusted.checkpoint.next_set_hash,
        latest: (&trusted.checkpoint).into(),
        trusting_period: TRUSTING_PERIOD,
        frozen: false,
        generation: 0,
    };
    let status = ClientStatus {
        client: "checkpoint-0".parse()?,
        client_type: ClientType::Checkpoint,
        trusted: Tip { height: Height(2), time: trusted.checkpoint.time },
        trusted_hash: trusted.checkpoint.digest().to_vec(),
        trusting_period: TRUSTING_PERIOD,
        ..brand.client(&client).await?
    };
    let proven = hub.prove_update(&status).await?;
    let Evidence::Checkpoint(evidence) = &proven.evidence else { panic!("{proven:?}") };
    let update = evidence.update.as_ref().context("no update")?;
    let next = checkpoint::verify_update(&state, update, update.checkpoint.time)?;
    ensure!(next.latest.height == proven.height && proven.height > Height(2), "{next:?}");
    let header = header(rpc, proven.height.0).await?;
    let app_hash = header["app_hash"].as_str().unwrap_or_default().to_lowercase();
    ensure!(app_hash == hex::encode(next.latest.app_hash), "{header}");
    Ok(solo.stop().await?)
}
