//! `kill -9` at the worst moments: everybody is paid, and nobody twice.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::process::{Service, command, until};
use crate::stand::{EVM, NATIVE, Stand, merchant};

/// All transfers as the service lists them.
async fn all(stand: &Stand) -> Result<Vec<Value>> {
    let (_, page) = stand.get("/v1/transfers?limit=200").await?;
    Ok(page["items"].as_array().context("no items")?.clone())
}

/// Waits until exactly `count` transfers have settled, and no other is there.
async fn settled(stand: &Stand, count: usize) -> Result<()> {
    let settled = until("all transfers to settle", async || {
        let all = all(stand).await?;
        let done = all.iter().filter(|view| view["stage"] == "settled").count();
        let open = all.iter().find(|view| view["stage"] != "settled").map(Value::to_string).unwrap_or_default();
        ensure!(done == count, "{done} of {count} have settled, {} are there; {open}", all.len());
        Ok(Some(all.len()))
    });
    let there = settled.await.map_err(|e| stand.story(e))?;
    ensure!(there == count, "{there} transfers, not {count}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_service_goes_on_and_an_empty_journal_is_rebuilt() -> Result<()> {
    let mut stand = Stand::start().await?;
    let body = |i: usize| {
        let amount = (100 + i).to_string();
        json!({"payer": "mall", "from": NATIVE, "to": EVM, "denom": "sfs", "amount": amount, "receiver": merchant()})
    };
    // Two crashes: when all are locked and some are under way, and when some are settled.
    let mut sum = 0;
    for i in 0..8 {
        let (status, view) = stand.post("/v1/transfers", &body(i)).await?;
        ensure!(status == 201, "{view}");
        sum += 100 + i as u128;
    }
    stand.kill_service().await?;
    stand.start_service().await?;
    until("the first claims", async || {
        Ok(all(&stand).await?.iter().any(|view| view["stage"] != "recv_ready").then_some(()))
    })
    .await?;
    stand.kill_service().await?;
    stand.start_service().await?;
    settled(&stand, 8).await?;
    ensure!(stand.merchant_holds().await? == sum);

    // The journal is lost; the chains know all.
    stand.stop_service().await?;
    std::fs::remove_dir_all(stand.path("data"))?;
    stand.start_service().await?;
    stand.ready().await?;
    settled(&stand, 8).await?;
    let view = stand.at_stage(all(&stand).await?[0]["id"].as_str().context("no id")?, &["settled"]).await?;
    ensure!(view["receipt"]["preimage"].is_string() && view["history"].as_array().is_some_and(|h| !h.is_empty()));
    ensure!(stand.merchant_holds().await? == sum);
    stand.audited().await?;
    stand.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_batch_is_resumed_and_pays_nobody_twice() -> Result<()> {
    const ROWS: usize = 40;
    let mut stand = Stand::start().await?;
    let file = stand.path("t.csv");
    let rows: String = (1..=ROWS).map(|i| format!("{},{i},row {i}\n", merchant())).collect();
    std::fs::write(&file, format!("receiver,amount,memo\n{rows}"))?;
    let sum = (1..=ROWS as u128).sum::<u128>();
    let path = file.display().to_string();
    let send = ["transfer", "send", "--payer", "mall", "--from", NATIVE, "--to", EVM, "--denom", "sfs", "--file"];
    let send = [&send[..], &[&path, "--parallel", "4"]].concat();
    let state = stand.path("t.csv.state");
    let sent = || std::fs::read_to_string(&state).unwrap_or_default().matches("\"sent\"").count();

    // The command dies first, then the service under the next command.
    for (kill_at, victim) in [(5, "the command"), (15, "the service")] {
        let mut child = command(&send);
        child.args(["--url", &stand.url()]);
        let mut child = Service::start(child, &stand.path("batch.log"))?;
        until(&format!("{kill_at} rows to be sent"), async || {
            ensure!(child.runs(), "the command ended by itself: {}", child.log());
            Ok((sent() >= kill_at).then_some(()))
        })
        .await?;
        ensure!(sent() < ROWS, "too late to kill {victim}");
        if victim == "the command" {
            child.kill().await?;
            continue;
        }
        stand.kill_service().await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        stand.start_service().await?;
        // It waits for the service, and comes to its end.
        let status = child.ended().await?;
        ensure!(status.success(), "it ended with {status}: {}", child.log());
        ensure!(child.log().contains(&format!("{ROWS} sent ({ROWS} settled")), "{}", child.log());
    }
    settled(&stand, ROWS).await?;
    let report = stand.json(&send).await?;
    ensure!(report["rows"].as_object().is_some_and(|rows| rows.len() == ROWS), "{report}");
    settled(&stand, ROWS).await?;
    ensure!(stand.merchant_holds().await? == sum);
    stand.audited().await?;
    stand.end().await
}
