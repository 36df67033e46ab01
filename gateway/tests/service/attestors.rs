//! Attestors that die and come back: two of three are enough, one is not.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::process::{run, until};
use crate::stand::{EVM, NATIVE, Stand, merchant};

async fn send(stand: &Stand, amount: &str) -> Result<String> {
    let body =
        json!({"payer": "mall", "from": NATIVE, "to": EVM, "denom": "sfs", "amount": amount, "receiver": merchant()});
    let (status, view) = stand.post("/v1/transfers", &body).await?;
    ensure!(status == 201, "{view}");
    Ok(view["id"].as_str().context("no id")?.to_owned())
}

const WAITS: &str = concat!(
    "crosspoint_oldest_pending_age_seconds",
    "{route=\"crosspoint-1/attested-0->eip155-31337/checkpoint-0\",stage=\"claimed\"}"
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_attestors_carry_acks_and_one_does_not() -> Result<()> {
    let mut stand = Stand::start().await?;
    stand.kill_attestor(0).await?;
    let first = send(&stand, "1").await?;
    stand.at_stage(&first, &["settled"]).await?;

    // Paid over there, but the proof of it needs a quorum.
    stand.kill_attestor(1).await?;
    let second = send(&stand, "2").await?;
    stand.at_stage(&second, &["claimed"]).await?;
    let told = until("the service to say that it lacks a quorum", async || {
        let (status, ready) = stand.get("/readyz").await?;
        ensure!(status == 503, "it is ready");
        let (_, view) = stand.get(&format!("/v1/transfers/{second}")).await?;
        ensure!(view["stage"] == "claimed", "it moved: {view}");
        let (_, routes) = stand.get("/v1/routes").await?;
        let said = format!("{ready} {}", routes);
        Ok(said.contains("1 of 3 attestors answered as one, 2 are needed").then_some((ready, view)))
    });
    let (ready, _) = told.await.map_err(|e| stand.story(e))?;
    let failing: Vec<_> =
        ready["checks"].as_array().context("no checks")?.iter().filter(|c| c["ok"] == false).collect();
    ensure!(failing.len() == 1 && failing[0]["name"].to_string().contains("eip155-31337"), "{ready}");
    // The age of what waits for its ack is what alerts are made of.
    until("the age of what waits to grow", async || {
        let (_, metrics) = stand.get("/metrics").await?;
        let metrics = metrics.as_str().context("no text")?;
        let line = metrics.lines().find(|line| line.starts_with(WAITS)).context("no age")?;
        let age: f64 = line.rsplit(' ').next().unwrap_or_default().parse()?;
        Ok((age > 1.0).then_some(()))
    })
    .await?;
    ensure!(stand.service.as_ref().context("none")?.log().contains("2 are needed"), "the log does not say it");
    let supply = stand.json(&["audit"]).await?;
    ensure!(supply["balanced"] == true, "{supply}");

    // One comes back, on its own journal: that is a quorum again.
    stand.start_attestor(0).await?;
    stand.at_stage(&second, &["settled"]).await?;
    stand.ready().await?;
    stand.start_attestor(1).await?;
    stand.audited().await?;
    stand.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attestors_hand_over_to_others_and_what_was_under_way_settles() -> Result<()> {
    let mut stand = Stand::start().await?;
    let addresses: Vec<_> =
        stand.net.attestors.keys().iter().skip(1).map(|key| format!("{:#x}", key.address())).collect();
    let next = addresses.join(",");
    let naming = ["--next-attestors", next.as_str(), "--next-quorum", "2"];
    let config = stand.config().display().to_string();
    let rotate = ["rotate-attestors", "--config", config.as_str(), "--chain", EVM, "--json"];
    let no_set = run(&rotate).await?.refused(1)?;
    ensure!(no_set.contains("0 of 3 attestors") && no_set.contains("named no set"), "{no_set}");
    for index in 0..2 {
        stand.kill_attestor(index).await?;
        stand.start_attestor_with(index, &naming).await?;
    }
    // Until it is brought to the chain, the hand-over changes nothing.
    let first = send(&stand, "1").await?;
    stand.at_stage(&first, &["settled"]).await?;
    let told = run(&rotate).await?.json()?;
    ensure!(told["epoch"] == 1 && told["quorum"] == 2 && told["rotated"][0]["client"] == "attested-0", "{told}");
    let again = run(&rotate).await?.refused(1)?;
    ensure!(again.contains("at attestor epoch 0"), "{again}");

    // The old set's word counts no more, and the service says why it waits.
    let second = send(&stand, "2").await?;
    stand.at_stage(&second, &["claimed"]).await?;
    until("the service to say that the attestors are others now", async || {
        let (_, routes) = stand.get("/v1/routes").await?;
        Ok(routes.to_string().contains("is at attestor epoch 1, the settings say 0").then_some(()))
    })
    .await
    .map_err(|e| stand.story(e))?;
    stand.stop_service().await?;
    for index in 0..3 {
        stand.kill_attestor(index).await?;
    }
    for index in 1..3 {
        stand.start_attestor_with(index, &["--epoch", "1"]).await?;
    }
    let settings = std::fs::read_to_string(&config)?;
    let set = settings.lines().map(|line| match line.split(" = ").next() {
        Some("attestor_addresses") => format!("attestor_addresses = {addresses:?}\nattestor_epoch = 1"),
        _ => line.to_owned(),
    });
    std::fs::write(&config, set.collect::<Vec<_>>().join("\n"))?;
    stand.start_service().await?;
    stand.at_stage(&second, &["settled"]).await?;
    stand.audited().await?;
    stand.end().await
}
