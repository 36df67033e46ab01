//! Attestors that die and come back: two of three are enough, one is not.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::process::until;
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
