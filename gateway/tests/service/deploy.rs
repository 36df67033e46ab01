//! `crosspoint deploy` on a real chain: killed in the middle, run again, checked, and refused.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use tokio::process::Command;

use crate::process::{Ran, Service, command, finish, run};
use crate::stand::{EVM, NATIVE, PASSPHRASE, Stand};
use crosspoint_gateway::localnet::evm_key;

const DEPLOYER: usize = 1;
const COUNCIL: usize = 5;

fn deploy(stand: &Stand, more: &[&str]) -> Command {
    let mut command = command(&["deploy", "--chain", EVM]);
    command.arg("--plan").arg(stand.path("deploy.toml"));
    command.arg("--manifest").arg(stand.path("manifest.json"));
    command.arg("--keystore").arg(stand.path("keys")).env("CROSSPOINT_PASSPHRASE", PASSPHRASE);
    command.args(more);
    command
}

/// With the key that pays.
async fn pay(stand: &Stand) -> Result<Ran> {
    finish(deploy(stand, &["--key", "merchant"])).await
}

async fn check(stand: &Stand) -> Result<Ran> {
    finish(deploy(stand, &["--check", "--json"])).await
}

async fn sent(stand: &Stand) -> Result<String> {
    let account = format!("{:#x}", evm_key(DEPLOYER)?.address());
    Ok(stand.net.anvil.rpc().call("eth_getTransactionCount", serde_json::json!([account, "latest"])).await?)
}

fn manifest(path: &Path) -> Result<Value> {
    Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
}

/// The commented example, for these chains, with the anchor that the command printed.
async fn plan(stand: &Stand) -> Result<String> {
    let node = stand.net.solo.rpc_url();
    let anchor =
        run(&["chain", "anchor", "--chain", NATIVE, "--endpoint", &node, "--endpoint", &node]).await?.good()?;
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../config/deploy.toml"))?;
    let (before, after) = text.split_once("[clients.anchor]").context("no anchor")?;
    let (_, after) = after.split_once("# Bounds").context("no bounds")?;
    let council = format!("{:#x}", evm_key(COUNCIL)?.address());
    Ok(format!("{before}{anchor}# Bounds{after}")
        .replace("chain_number = 1337", "chain_number = 31337")
        .replace("eip155-1337", EVM)
        .replace("http://127.0.0.1:8545", stand.net.anvil.url().as_str())
        .replace("0x1111111111111111111111111111111111111111", &council))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_killed_in_the_middle_is_finished_by_the_same_command_and_then_changes_nothing() -> Result<()> {
    let stand = Stand::without_attestors().await?;
    let good = plan(&stand).await?;
    let write = |text: &str| std::fs::write(stand.path("deploy.toml"), text);
    write(&good)?;
    let none = check(&stand).await?.refused(3)?;
    ensure!(none.contains("nothing was deployed with it yet"), "{none}");

    let mut first = Service::start(deploy(&stand, &["--key", "merchant"]), &stand.path("deploy.log"))?;
    first.says("CrosspointRegistry stands at").await?;
    first.kill().await?;
    let made = manifest(&stand.path("manifest.json"))?;
    ensure!(made["contracts"]["gateway"].is_null(), "killed too late: {made}");
    let missing = check(&stand).await?.refused(1)?;
    ensure!(missing.contains("is not there yet; deploy without --check"), "{missing}");

    let done = pay(&stand).await?.good()?;
    ensure!(done.contains("All stands as planned. clients: checkpoint-0"), "{done}");
    let stands = manifest(&stand.path("manifest.json"))?;
    ensure!(stands["contracts"]["registry"] == made["contracts"]["registry"], "{made} {stands}");
    let count = sent(&stand).await?;
    pay(&stand).await?.good()?;
    let checked = check(&stand).await?.json()?;
    ensure!(checked["checked"] == true && checked["manifest"] == stands, "{checked}");
    ensure!(sent(&stand).await? == count && manifest(&stand.path("manifest.json"))? == stands, "something was sent");

    // What is otherwise is named, and nothing is sent.
    for (from, to, said) in [
        ("cap = \"910000000\"", "cap = \"910000001\"", "the cap of points/checkpoint-0/sfs is 910000000"),
        ("max_amount = \"1000000\"", "max_amount = \"7\"", "the most at once of points/checkpoint-0/sfs is 1000000"),
        ("delay = 172800", "delay = 60", "held, delay 172800 s"),
        ("counterparty = \"attested-0\"", "counterparty = \"attested-1\"", "the counterparty of client checkpoint-0"),
        ("client = \"checkpoint-0\"", "client = \"checkpoint-1\"", "client checkpoint-1 is not there yet"),
    ] {
        write(&good.replace(from, to))?;
        let told = check(&stand).await?.refused(1)?;
        ensure!(told.contains(said), "{told}");
    }
    ensure!(pay(&stand).await?.refused(1)?.contains("may not do this"), "the deployer could still open a client");
    for (from, to, said) in [
        ("chain_number = 31337", "chain_number = 5", "serves chain 31337, not chain 5"),
        ("delay = 172800", "delay = 0", "a delay of at least 1 s"),
        (EVM, "eip155-5", "is a plan for eip155-5, not eip155-31337"),
        ("decimals", "decimal", "unknown field `decimal`"),
    ] {
        write(&good.replace(from, to))?;
        let told = pay(&stand).await?.refused(3)?;
        ensure!(told.contains(said), "{told}");
    }
    write(&good)?;
    let mut swapped = stands.clone();
    swapped["contracts"]["gateway"] = stands["contracts"]["registry"].clone();
    std::fs::write(stand.path("manifest.json"), swapped.to_string())?;
    let other = check(&stand).await?.refused(1)?;
    ensure!(other.contains("is not the CrosspointGateway of this version"), "{other}");
    // The network's own gateway has the same code, but belongs to another registry.
    swapped["contracts"]["gateway"] = serde_json::to_value(&stand.net.manifest)?["contracts"]["gateway"].clone();
    std::fs::write(stand.path("manifest.json"), swapped.to_string())?;
    let other = check(&stand).await?.refused(1)?;
    ensure!(other.contains("the gateway's registry is"), "{other}");
    ensure!(sent(&stand).await? == count, "something was sent");
    stand.end().await
}
