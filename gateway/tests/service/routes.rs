//! A brand's own chain joins: its route to the native chain is opened by both consortiums, and points cross.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crosspoint_gateway::keys::v3::Cost;
use crosspoint_gateway::keys::{KeyKind, KeyStore, Passphrase, Secret};
use crosspoint_ledger::demo;
use crosspoint_ledger::engine::{BlockTiming, Seed, Solo, SoloConfig, SoloHandle, Validators};
use crosspoint_protocol::ids::Height;
use serde_json::Value;
use url::Url;

use crate::process::{Ran, run};
use crate::stand::{EVM, NATIVE, PASSPHRASE, Stand, mall, merchant};

const BRAND: &str = "brand-1";

/// The brand's chain: the same members, other validators.
async fn brand(stand: &Stand) -> Result<SoloHandle> {
    let mut genesis = demo::genesis(4)?;
    genesis.chain_id = BRAND.parse()?;
    genesis.params.min_hold = 3;
    let mut config = SoloConfig::new(stand.path("brand"), genesis);
    config.validators = Validators::Derived { count: 4, seed: Some(Seed::new(demo::SEED)) };
    let interval = Duration::from_millis(500);
    config.timing = BlockTiming { interval, when_waiting: Some(Duration::from_millis(200)), when_idle: None };
    let solo = Solo::start(config).await?;
    solo.wait_height(Height(2), Duration::from_secs(30)).await?;
    Ok(solo)
}

/// Settings of a service for all three chains.
fn configure(stand: &Stand, brand: &SoloHandle) -> Result<()> {
    let urls: Vec<String> = stand.net.attestors.urls().iter().map(Url::to_string).collect();
    stand.configure(stand.net.anvil.url(), &stand.attested(&urls))?;
    let settings = std::fs::read_to_string(stand.config())?;
    let section = format!(
        "[chains.brand]\nid = \"{BRAND}\"\nkind = \"native\"\nendpoints = [\"{}\"]\nrelayer_key = \"relayer-native\"\npayer_keys = [\"mall\"]\nblock_ms = 500\n",
        brand.rpc_url()
    );
    Ok(std::fs::write(stand.config(), format!("{settings}{section}"))?)
}

async fn with_config(stand: &Stand, args: &[&str]) -> Result<Ran> {
    let config = stand.config();
    run(&[args, &["--config", config.to_str().context("no path")?]].concat()).await
}

async fn open(stand: &Stand, more: &[&str]) -> Result<Ran> {
    with_config(stand, &[&["route", "open", BRAND, NATIVE, "--json"], more].concat()).await
}

/// Approves all that waits on a chain by the second governor.
async fn second(stand: &Stand, chain: &str) -> Result<()> {
    let waiting: Value = with_config(stand, &["govern", "list", "--chain", chain, "--json"]).await?.json()?;
    for proposal in waiting.as_array().context("no list")? {
        let number = proposal["proposal"].to_string();
        let approve = ["govern", "approve", "--chain", chain, "--proposal", &number, "--key", "marketing"];
        let told = with_config(stand, &approve).await?.good()?;
        ensure!(told.contains("it took effect"), "{told}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_is_opened_by_the_governors_of_both_chains_and_carries_points() -> Result<()> {
    let mut stand = Stand::without_attestors().await?;
    let brand = brand(&stand).await?;
    configure(&stand, &brand)?;
    let store = KeyStore::new(stand.path("keys")).with_cost(Cost::Light);
    let key = Secret::new(demo::member_key("marketing").to_bytes());
    store.add(&"marketing".parse()?, KeyKind::Native, &key, &Passphrase::new(PASSPHRASE.into()))?;

    // Who decides nothing, and what is no route.
    let stranger = open(&stand, &["--key", "relayer-native"]).await?.refused(3)?;
    ensure!(stranger.contains("none of the keys given is a governor of brand-1"), "{stranger}");
    let nowhere = with_config(&stand, &["route", "open", BRAND, "brand-2", "--key", "mall"]).await?.refused(3)?;
    ensure!(nowhere.contains("the settings name no chain brand-2"), "{nowhere}");
    let none: Value = with_config(&stand, &["govern", "list", "--chain", BRAND, "--json"]).await?.json()?;
    ensure!(none == serde_json::json!([]), "{none}");

    let doctor = ["doctor", BRAND, NATIVE];
    let told = with_config(&stand, &doctor).await?;
    ensure!(
        told.out.contains("no client of crosspoint-1 is open: crosspoint route open brand-1 crosspoint-1"),
        "{told:?}"
    );
    told.refused(1)?;

    // One governor of each chain is not enough; another run proposes nothing twice.
    for _ in 0..2 {
        let ran = open(&stand, &["--key", "mall"]).await?;
        ensure!(ran.code == Some(6) && ran.out.contains("has 1 of 2 approvals"), "{ran:?}");
    }
    for chain in [BRAND, NATIVE] {
        let waiting: Value = with_config(&stand, &["govern", "list", "--chain", chain, "--json"]).await?.json()?;
        ensure!(waiting.as_array().is_some_and(|all| all.len() == 1), "{waiting}");
        second(&stand, chain).await?;
    }
    let gone = ["govern", "approve", "--chain", BRAND, "--proposal", "1", "--key", "marketing"];
    ensure!(with_config(&stand, &gone).await?.refused(3)?.contains("has no proposal 1 that waits"));

    // With both keys the rest goes through at once, and then nothing is left to do.
    let voucher = format!("{NATIVE}:sfs:BRAND:1000");
    let all = ["--key", "mall", "--key", "marketing", "--voucher", &voucher];
    for _ in 0..2 {
        let told: Value = open(&stand, &all).await?.json()?;
        ensure!(told["open"] == true && told["steps"].as_array().is_some_and(|s| s.len() == 5), "{told}");
        ensure!(told.to_string().contains("points/tendermint-0/sfs, at most 1000"), "{told}");
    }
    let other = format!("{NATIVE}:sfs:BRAND:7");
    let ran = open(&stand, &["--key", "mall", "--key", "marketing", "--voucher", &other]).await?;
    ensure!(ran.code == Some(6) && ran.out.contains("has the cap 1000, not 7"), "{ran:?}");
    // The route that the network has already is found, and left as it is.
    let known = ["route", "open", NATIVE, EVM, "--json", "--key", "mall"];
    let told: Value = with_config(&stand, &known).await?.json()?;
    ensure!(told["open"] == true && told.to_string().contains("attested-0 is there"), "{told}");

    let well = with_config(&stand, &["doctor"]).await?.good()?;
    for line in ["key mall is mall", "2 of 3 attest up to block", "crosspoint-1/tendermint-0", "for 13 days more"] {
        ensure!(well.contains(line), "`{line}` is not in:\n{well}");
    }

    // The service finds both routes by itself.
    stand.routes = 4;
    stand.start_service().await?;
    stand.ready().await?;
    let to = mall().to_string();
    let send = ["transfer", "send", "--payer", "mall", "--from", BRAND, "--to", NATIVE, "--denom", "sfs"];
    let sent = stand.json(&[&send[..], &["--amount", "40", "--receiver", &to]].concat()).await?;
    ensure!(sent["stage"] == "settled", "{sent}");
    let home = ["transfer", "send", "--payer", "mall", "--from", NATIVE, "--to", BRAND];
    let denom = ["--denom", "points/tendermint-0/sfs", "--amount", "15", "--receiver", &to];
    let back = stand.json(&[&home[..], &denom].concat()).await?;
    ensure!(back["stage"] == "settled", "{back}");
    // Beside the route that was there before.
    let out = ["transfer", "send", "--payer", "mall", "--from", NATIVE, "--to", EVM, "--denom", "sfs"];
    let paid = stand.json(&[&out[..], &["--amount", "5", "--receiver", &merchant().to_string()]].concat()).await?;
    ensure!(paid["stage"] == "settled" && stand.merchant_holds().await? == 5, "{paid}");
    stand.audited().await?;
    brand.stop().await?;
    let told = with_config(&stand, &[&doctor[..], &["--json"]].concat()).await?;
    let checks: Value = serde_json::from_str(&told.out)?;
    let down = |check: &Value| check["of"] == BRAND && check["what"] == "node" && check["verdict"] == "fail";
    ensure!(checks["ok"] == false && checks["checks"].as_array().is_some_and(|all| all.iter().any(down)), "{checks}");
    stand.end().await
}
