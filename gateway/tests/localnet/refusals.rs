//! What is refused, in words that say what to do.

use std::net::TcpListener;

use anyhow::{Result, ensure};

use crate::process::{command, finish};
use crate::support::{Localnet, free_base};

#[tokio::test]
async fn what_cannot_be_is_refused_and_leaves_nothing() -> Result<()> {
    let net = Localnet::new();
    for args in [["status"].as_slice(), &["down"], &["logs", "0"], &["restart", "0"]] {
        let said = net.run(args).await?.refused(3)?;
        ensure!(said.contains("there is no localnet in") && said.contains("localnet up"), "{args:?}: {said}");
    }
    let mut up = command(&["localnet", "up"]);
    up.arg("--home").arg(&net.dir).env("CROSSPOINT_COMETBFT", "/nowhere/cometbft");
    let said = finish(up).await?.refused(3)?;
    ensure!(said.contains("/nowhere/cometbft") && said.contains("make setup"), "{said}");
    ensure!(!net.dir.exists(), "a folder was made");
    for bad in [["--validators", "0"], ["--validators", "17"], ["--block-ms", "1"]] {
        ensure!(net.run(&[&["up"], bad.as_slice()].concat()).await?.code == Some(2), "{bad:?}");
    }
    let said = net.run(&["up", "--base-port", "80"]).await?.refused(3)?;
    ensure!(said.contains("--base-port"), "{said}");

    // A port is taken: the network is there, nothing of it runs, and it starts once the port is free.
    let base = free_base();
    let taken = TcpListener::bind(("127.0.0.1", base + 1))?;
    let port = base.to_string();
    let args = ["up", "--validators", "1", "--base-port", &port, "--block-ms", "200"];
    let said = net.run(&args).await?.refused(1)?;
    ensure!(said.contains(&format!("127.0.0.1:{}", base + 1)) && said.contains("taken"), "{said}");
    let status = net.json(&["status"]).await?;
    ensure!(status["validators"][0]["app_pid"].is_null(), "{status}");
    drop(taken);
    let status = net.json(&args).await?;
    ensure!(status["validators"][0]["chain"]["height"].as_u64() >= Some(1), "{status}");

    let said = net.run(&["up", "--validators", "2"]).await?.refused(3)?;
    ensure!(said.contains("was made with 1") && said.contains("--wipe"), "{said}");
    let said = net.run(&["restart", "1"]).await?.refused(3)?;
    ensure!(said.contains("there is no validator 1"), "{said}");
    let said = net.run(&["restart", "0", "--resync"]).await?.refused(1)?;
    ensure!(said.contains("no other validator answers"), "{said}");
    let status = net.json(&["status"]).await?;
    ensure!(!status["validators"][0]["app_pid"].is_null(), "it was stopped for nothing: {status}");

    // The application: keys that others can read, another genesis, an address that others can reach.
    net.json(&["down"]).await?;
    let home = net.dir.join("node0");
    let node = |listen: &str| {
        let mut node = command(&["node", "--listen", listen]);
        node.arg("--home").arg(&home);
        node
    };
    let said = finish(node("0.0.0.0:26658")).await?.refused(1)?;
    ensure!(said.contains("not a loopback address"), "{said}");
    let key = home.join("app/bridge.key");
    use std::os::unix::fs::PermissionsExt as _;
    ensure!(std::fs::metadata(&key)?.permissions().mode() & 0o777 == 0o600, "the bridge key can be read by others");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644))?;
    let said = finish(node("127.0.0.1:0")).await?.refused(3)?;
    ensure!(said.contains("bridge.key") && said.contains("600"), "{said}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
    let genesis = home.join("config/genesis.json");
    let text = std::fs::read_to_string(&genesis)?;
    std::fs::write(&genesis, text.replace("\"SFS\"", "\"SFT\""))?;
    let said = finish(node("127.0.0.1:0")).await?.refused(3)?;
    ensure!(said.contains("another genesis"), "{said}");
    Ok(())
}
