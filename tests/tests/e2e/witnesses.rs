//! Witnesses: other nodes whose headers are compared with what clients believe. Two signed headers freeze the client; word
//! against word stops the route until both tell the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use alloy::rpc::types::Header as EvmHeader;
use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crosspoint_adapters::chain::{Chain, ClientStatus};
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::native::{NativeChain, NativeSettings};
use crosspoint_adapters::proven::{Evidence, Proven};
use crosspoint_ledger::demo;
use crosspoint_ledger::engine::testing::{conflicting_checkpoint, sign_header};
use crosspoint_light_proofs::checkpoint::SignedCheckpoint;
use crosspoint_protocol::ids::Height;
use crosspoint_relayer::life::Stage;
use crosspoint_relayer::metrics::Metrics;
use crosspoint_relayer::{Halt, Relayer, RelayerConfig, RelayerHandle};
use crosspoint_tests::proxy::Proxy;
use crosspoint_tests::{From, LONG, World, done, secret};
use serde_json::Value;
use tendermint::block::signed_header::SignedHeader;

use super::pair::{Pair, client, latte};

/// What a witness does.
#[derive(Clone, Default)]
struct Role(Arc<(AtomicU8, AtomicU64)>);

impl Role {
    const HONEST: u8 = 0;
    const MUTE: u8 = 1;
    const FORKED: u8 = 2;

    /// From this height on; below it is honest.
    fn play(&self, role: u8, from: Height) {
        self.0.1.store(from.0, Ordering::SeqCst);
        self.0.0.store(role, Ordering::SeqCst);
    }

    fn at(&self, height: u64) -> u8 {
        if height >= self.0.1.load(Ordering::SeqCst) { self.0.0.load(Ordering::SeqCst) } else { Self::HONEST }
    }
}

/// A node of the brand's chain that shows another chain, signed by the brand's validators.
async fn brand_witness(pair: &Pair) -> Result<(Proxy, Role)> {
    let proxy = Proxy::start(pair.brand.solo.rpc_url().parse()?).await?;
    let role = Role::default();
    let (told, keys) = (role.clone(), pair.brand.solo.keys().to_vec());
    let set = pair.brand.solo.node().validators(1)?.context("a validator set")?;
    proxy.tell(move |method, _, result| {
        if method != "commit" {
            return;
        }
        let Ok(signed) = serde_json::from_value::<SignedHeader>(result["signed_header"].clone()) else { return };
        match told.at(signed.header.height.value()) {
            Role::MUTE => *result = Value::Null,
            Role::FORKED => {
                let mut header = signed.header;
                header.app_hash = vec![7; 32].try_into().unwrap();
                result["signed_header"] = serde_json::to_value(sign_header(header, &set, &keys).unwrap()).unwrap();
            }
            _ => {}
        }
    });
    Ok((proxy, role))
}

fn relayer(pair: &Pair, witnesses: Vec<url::Url>) -> Result<(RelayerHandle, Arc<Metrics>)> {
    let mut settings = NativeSettings::new("latte-1".parse()?, vec![pair.brand.solo.rpc_url().parse()?]);
    (settings.block_ms, settings.witnesses) = (500, witnesses);
    let brand = NativeChain::new(settings, demo::member_key("relayer"))?;
    let mut config = RelayerConfig::new(pair.dir.path().join("witnessed"));
    (config.max_wait_ms, config.tick_ms, config.discovery_ms, config.client_poll_ms) = (100, 100, 500, 500);
    (config.recv_margin_s, config.claim_margin_s) = (1, 1);
    let chains = vec![Arc::clone(&pair.hub.chain) as Arc<dyn Chain>, Arc::new(brand) as Arc<dyn Chain>];
    let metrics = Arc::new(Metrics::new()?);
    Ok((Relayer::new(config, chains, Arc::clone(&metrics)).start()?, metrics))
}

fn halts(relayer: &RelayerHandle) -> Vec<Halt> {
    relayer.status().unwrap().routes.into_iter().filter_map(|route| route.halt).collect()
}

/// Why headers are in dispute, if they are.
fn disputed(relayer: &RelayerHandle) -> Option<String> {
    halts(relayer).into_iter().find_map(|halt| match halt {
        Halt::Disputed { why } => Some(why),
        _ => None,
    })
}

/// The value of a counter or gauge whose line begins so.
fn value(metrics: &Metrics, line: &str) -> f64 {
    let text = metrics.encode().unwrap();
    let found = text.lines().find_map(|text| text.strip_prefix(line)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("no {line} in\n{text}"))
}

async fn until(what: &str, mut met: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let started = std::time::Instant::now();
    while !met().await? {
        anyhow::ensure!(started.elapsed() < crosspoint_tests::PATIENCE, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

const DISPUTED: &str = "crosspoint_client_disputed{chain=\"crosspoint-1\",client=\"tendermint-0\"}";

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signed_header_at_a_witness_freezes_the_client_before_the_first_is_brought() -> Result<()> {
    let mut pair = Pair::start().await?;
    pair.stop_relayer().await;
    let (witness, role) = brand_witness(&pair).await?;
    let (relayer, metrics) = relayer(&pair, vec![witness.url.clone()])?;
    pair.relayer = Some(relayer);
    let agrees = format!(
        "crosspoint_witness_checks_total{{route=\"latte-1/tendermint-0->crosspoint-1/tendermint-0\",testimony=\"agrees\",witness=\"127.0.0.1:{}\"}}",
        witness.url.port().context("a port")?
    );

    // While both tell the same, points cross.
    let invoice = secret();
    let packet = Pair::pay(&pair.brand, &pair.hub, "mall", &latte(), 500, &invoice, LONG).await?;
    pair.until(&pair.brand, &packet, Stage::Held).await?;
    done(&pair.hub.chain.claim(&[(packet.clone(), invoice)]).await?)?;
    pair.until(&pair.brand, &packet, Stage::Settled).await?;
    until("agreement", async || Ok(value(&metrics, &agrees) >= 2.0)).await?;
    assert_eq!(value(&metrics, DISPUTED), 0.0);
    assert!(
        value(
            &metrics,
            "crosspoint_client_witnessed_timestamp_seconds{chain=\"crosspoint-1\",client=\"tendermint-0\"}"
        ) > 0.0
    );
    assert!(halts(pair.relayer.as_ref().unwrap()).is_empty());

    // From the next block on the validators sign two chains.
    role.play(Role::FORKED, pair.brand.solo.height().next());
    let trusted = pair.hub.chain.client(&client()).await?.trusted;
    let packet = Pair::pay(&pair.brand, &pair.hub, "mall", &latte(), 30, &secret(), LONG).await?;
    until("the freeze", async || Ok(pair.hub.chain.client(&client()).await?.frozen)).await?;
    assert!(witness.changed() > 0);
    assert_eq!(pair.hub.chain.client(&client()).await?.trusted, trusted, "neither of the two headers was believed");
    until("the halt", async || Ok(halts(pair.relayer.as_ref().unwrap()).contains(&Halt::Frozen))).await?;
    let at = pair.hub.chain.head().await?.latest.height;
    assert_eq!(pair.hub.chain.stored(&packet.receipt_path(), at).await?.value, None);
    assert_eq!(value(&metrics, "crosspoint_client_frozen{chain=\"crosspoint-1\",client=\"tendermint-0\"}"), 1.0);
    let done = "crosspoint_misbehaviour_total{chain=\"crosspoint-1\",client=\"tendermint-0\",outcome=\"frozen\"}";
    assert_eq!(value(&metrics, done), 1.0);
    pair.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_comes_late_freezes_the_client_by_what_it_trusts_already() -> Result<()> {
    let mut pair = Pair::start().await?;
    pair.stop_relayer().await;
    let (witness, role) = brand_witness(&pair).await?;
    // One that never answers does not disarm the other.
    let (relayer, _) = relayer(&pair, vec!["http://127.0.0.1:1".parse()?, witness.url.clone()])?;
    pair.relayer = Some(relayer);
    let first = Pair::pay(&pair.brand, &pair.hub, "mall", &latte(), 500, &secret(), LONG).await?;
    pair.until(&pair.brand, &first, Stage::Held).await?;
    let root = pair.hub.chain.client(&client()).await?.trusted;
    tokio::time::sleep(Duration::from_secs(2)).await; // for the comparison of that state

    // It has nothing to say for a while; points go on crossing.
    role.play(Role::MUTE, pair.brand.solo.height().next());
    let second = Pair::pay(&pair.brand, &pair.hub, "mall", &latte(), 30, &secret(), LONG).await?;
    pair.until(&pair.brand, &second, Stage::Held).await?;
    let trusted = pair.hub.chain.client(&client()).await?;
    assert!(trusted.trusted.height > root.height && !trusted.frozen);
    role.play(Role::FORKED, root.height.next());
    until("the freeze", async || Ok(pair.hub.chain.client(&client()).await?.frozen)).await?;
    until("the halt", async || Ok(halts(pair.relayer.as_ref().unwrap()).contains(&Halt::Frozen))).await?;
    pair.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_header_does_not_hide_behind_the_next_one() -> Result<()> {
    let mut pair = Pair::start().await?;
    pair.stop_relayer().await;
    let (witness, role) = brand_witness(&pair).await?;
    let (relayer, _) = relayer(&pair, vec![witness.url.clone()])?;
    pair.relayer = Some(relayer);
    let packet = Pair::pay(&pair.brand, &pair.hub, "mall", &latte(), 500, &secret(), LONG).await?;
    pair.until(&pair.brand, &packet, Stage::Held).await?;
    tokio::time::sleep(Duration::from_secs(2)).await; // for the comparison of that state

    // While the witness has nothing to say, somebody brings a header that the validators forged, and then a true one.
    let height = pair.brand.solo.height();
    role.play(Role::MUTE, height.next());
    let before = pair.hub.chain.client(&client()).await?;
    let mut forged = newer(pair.brand.chain.as_ref(), &before, height).await?;
    let Evidence::Tendermint(evidence) = &mut forged.evidence else { anyhow::bail!("no header") };
    let update = evidence.update.as_mut().context("an update")?;
    let mut header = update.signed_header.header.clone();
    header.app_hash = vec![7; 32].try_into()?;
    let set = pair.brand.solo.node().validators(1)?.context("a validator set")?;
    update.signed_header = sign_header(header, &set, pair.brand.solo.keys())?;
    let next = newer(pair.brand.chain.as_ref(), &before, forged.height).await?;
    pair.hub.chain.submit(&client(), &forged).await?;
    pair.hub.chain.submit(&client(), &next).await?;
    let trusted = pair.hub.chain.client(&client()).await?;
    assert!(trusted.trusted.height == next.height && !trusted.frozen);
    role.play(Role::HONEST, Height(0));
    until("the freeze", async || Ok(pair.hub.chain.client(&client()).await?.frozen)).await?;
    until("the halt", async || Ok(halts(pair.relayer.as_ref().unwrap()).contains(&Halt::Frozen))).await?;
    pair.finish().await
}

/// An update for a client to a header above this height.
async fn newer(chain: &dyn Chain, client: &ClientStatus, above: Height) -> Result<Proven> {
    let started = std::time::Instant::now();
    loop {
        match chain.prove_update(client).await {
            Ok(proven) if proven.height > above => return Ok(proven),
            Ok(_) | Err(ChainError::NotYet(_)) => {}
            Err(error) => return Err(error.into()),
        }
        anyhow::ensure!(started.elapsed() < crosspoint_tests::PATIENCE, "no header above {above}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A node of the native chain that shows another checkpoint, signed by its validators.
async fn native_witness(world: &World) -> Result<(Proxy, Role)> {
    let proxy = Proxy::start(world.net.solo.rpc_url().parse()?).await?;
    let role = Role::default();
    let (told, keys) = (role.clone(), world.net.solo.keys().to_vec());
    proxy.tell(move |_, params, result| {
        if params["path"] != "/checkpoint" {
            return;
        }
        let Some(value) = result.pointer_mut("/response/value") else { return };
        let Ok(bytes) = BASE64_STANDARD.decode(value.as_str().unwrap_or_default()) else { return };
        let Ok(signed) = serde_json::from_slice::<SignedCheckpoint>(&bytes) else { return };
        match told.at(signed.checkpoint.height.0) {
            Role::MUTE => *value = Value::Null,
            Role::FORKED => {
                let other = conflicting_checkpoint(&signed, [9; 32], &keys);
                *value = BASE64_STANDARD.encode(serde_json::to_vec(&other).unwrap()).into();
            }
            _ => {}
        }
    });
    Ok((proxy, role))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_checkpoints_of_a_height_freeze_the_evm_client_before_and_after_one_is_trusted() -> Result<()> {
    for late in [false, true] {
        let mut world = World::without_relayer().await?;
        let (witness, role) = native_witness(&world).await?;
        let native = Arc::new(world.net.native_beside(vec![witness.url.clone()])?) as Arc<dyn Chain>;
        world.start_relayer_over(vec![native, world.chain(From::Evm)], None).await?;
        let merchant = world.merchant_vouchers().await?;
        world.paid_merchant(500).await?;
        let root = world.client_status(From::Native).await?.trusted;
        tokio::time::sleep(Duration::from_secs(2)).await; // for the comparison of that state
        let from = world.net.solo.height().next();
        if late {
            role.play(Role::MUTE, from);
            let held = world.pay_merchant(10, &secret(), LONG).await?;
            world.until(&world.id(From::Native, &held), Stage::Held).await?;
            role.play(Role::FORKED, root.height.next());
        } else {
            role.play(Role::FORKED, from);
            let lost = world.pay_merchant(40, &secret(), LONG).await?;
            world.eventually("the freeze", async || Ok(world.client_status(From::Native).await?.frozen)).await?;
            assert!(!world.was_received(From::Native, &lost).await?);
        }
        world.eventually("the freeze", async || Ok(world.client_status(From::Native).await?.frozen)).await?;
        assert!(witness.changed() > 0);
        let relayer = world.relayer.as_ref().context("a relayer")?;
        world.eventually("the halt", async || Ok(halts(relayer).contains(&Halt::Frozen))).await?;
        assert_eq!(world.merchant_vouchers().await?, merchant + 500);
        world.finish().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_checkpoint_that_another_followed_stops_the_route() -> Result<()> {
    let mut world = World::without_relayer().await?;
    let (witness, role) = native_witness(&world).await?;
    let native = Arc::new(world.net.native_beside(vec![witness.url.clone()])?) as Arc<dyn Chain>;
    world.start_relayer_over(vec![Arc::clone(&native), world.chain(From::Evm)], None).await?;
    world.paid_merchant(500).await?;
    tokio::time::sleep(Duration::from_secs(2)).await; // for the comparison of that state

    let height = world.net.solo.height();
    role.play(Role::MUTE, height.next());
    let before = world.client_status(From::Native).await?;
    let mut forged = newer(native.as_ref(), &before, height).await?;
    let Evidence::Checkpoint(evidence) = &mut forged.evidence else { anyhow::bail!("no checkpoint") };
    let signed = evidence.update.as_mut().context("an update")?;
    *signed = conflicting_checkpoint(signed, [9; 32], world.net.solo.keys());
    let next = newer(native.as_ref(), &before, forged.height).await?;
    let evm = world.chain(From::Evm);
    evm.submit(&before.client, &forged).await?;
    evm.submit(&before.client, &next).await?;
    assert_eq!(world.client_status(From::Native).await?.trusted.height, next.height);
    role.play(Role::HONEST, Height(0));
    let relayer = world.relayer.as_ref().context("a relayer")?;
    let disputed = || disputed(relayer);
    world.eventually("the dispute", async || Ok(disputed().is_some())).await?;
    let why = disputed().context("a dispute")?;
    assert!(why.contains("was brought another one"), "{why}");
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_with_another_block_that_nobody_attests_stops_the_route_until_it_agrees() -> Result<()> {
    let mut world = World::without_relayer().await?;
    let witness = Proxy::start(world.net.anvil.url().clone()).await?;
    let role = Role::default();
    let told = role.clone();
    witness.tell(move |method, _, result| {
        if method != "eth_getBlockByNumber" || result["number"].as_str().is_none() {
            return;
        }
        let mut header: EvmHeader = serde_json::from_value(result.clone()).unwrap();
        if told.at(header.number) == Role::FORKED {
            header.inner.state_root.0[0] ^= 1;
            result["stateRoot"] = header.inner.state_root.to_string().into();
            result["hash"] = header.inner.hash_slow().to_string().into();
        }
    });
    let evm = Arc::new(world.net.evm_beside(vec![witness.url.clone()], None).await?) as Arc<dyn Chain>;
    world.start_relayer_over(vec![world.chain(From::Native), evm], None).await?;
    world.paid_merchant(500).await?;

    role.play(Role::FORKED, Height(world.net.evm.head().await?.latest.height.0 + 1));
    let back = secret();
    let home = world.send_back(20, "coffee", &back, LONG).await?;
    let relayer = world.relayer.as_ref().context("a relayer")?;
    let disputed = || disputed(relayer);
    world.eventually("the dispute", async || Ok(disputed().is_some())).await?;
    // The route stops first; whether the witness can prove what it says is asked then.
    let cannot = async || Ok(disputed().is_some_and(|why| why.contains("cannot prove")));
    world.eventually("word against word", cannot).await?;
    let why = disputed().context("a dispute")?;
    let port = witness.url.port().context("a port")?;
    assert!(why.contains(&format!("127.0.0.1:{port}")), "{why}");
    assert!(!world.was_received(From::Evm, &home).await?);
    assert!(!world.client_status(From::Evm).await?.frozen, "nothing is proven");

    // Nor do points go there: what is there by now may be forged, and would be sent home for these.
    let out = world.pay_merchant(40, &secret(), LONG).await?;
    let id = world.id(From::Native, &out);
    let stopped = async || {
        let retry = world.transfer(&id).and_then(|transfer| transfer.life.retry);
        Ok(retry.is_some_and(|retry| retry.reason.as_str() == "counterparty_stopped"))
    };
    world.eventually("the refusal to carry", stopped).await?;
    assert!(!world.was_received(From::Native, &out).await?);

    // Both tell the same again.
    role.play(Role::HONEST, Height(0));
    world.until(&id, Stage::Held).await?;
    let id = world.id(From::Evm, &home);
    world.until(&id, Stage::Held).await?;
    done(&world.claim(From::Evm, &home, &back).await?)?;
    world.until(&id, Stage::Settled).await?;
    assert!(disputed().is_none());
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_does_not_answer_stops_nothing() -> Result<()> {
    let mut world = World::without_relayer().await?;
    let nobody: url::Url = "http://127.0.0.1:1".parse()?;
    let native = Arc::new(world.net.native_beside(vec![nobody.clone()])?) as Arc<dyn Chain>;
    let evm = Arc::new(world.net.evm_beside(vec![nobody], None).await?) as Arc<dyn Chain>;
    world.start_relayer_over(vec![native, evm], None).await?;
    world.paid_merchant(500).await?;
    let back = secret();
    let home = world.send_back(20, "coffee", &back, LONG).await?;
    let id = world.id(From::Evm, &home);
    world.until(&id, Stage::Held).await?;
    done(&world.claim(From::Evm, &home, &back).await?)?;
    world.until(&id, Stage::Settled).await?;
    assert!(halts(world.relayer.as_ref().context("a relayer")?).is_empty());
    world.finish().await
}
