//! The auditor's product at the command line: exported from a running service, verified when nothing runs any more.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process::run;
use crate::stand::{EVM, NATIVE, Stand, merchant};
use crate::transfers::send;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_is_exported_from_a_service_and_verified_when_nothing_runs() -> Result<()> {
    let mut stand = Stand::start().await?;
    let receiver = merchant().to_string();
    let sent = stand.json(&send(&receiver, "1250", &["--memo", "order 4711"])).await?;
    let id = sent["id"].as_str().context("no id")?.to_owned();
    let file = stand.path("evidence.json").display().to_string();
    let export = ["evidence", "export", id.as_str(), "--out", file.as_str()];
    let said = stand.cli(&export).await?.good()?;
    ensure!(said.contains("paid on") && said.contains(&format!("crosspoint evidence verify {file}")), "{said}");
    let said = stand.cli(&export).await?.refused(3)?;
    ensure!(said.contains("--force"), "a file that is there was replaced: {said}");
    let exported = stand.json(&[&export[..], &["--force"]].concat()).await?;
    ensure!(exported["verdict"]["outcome"] == "settled", "{exported}");
    // What the API serves is the file itself.
    let (status, served) = stand.get(&format!("/v1/transfers/{id}/evidence")).await?;
    ensure!(status == 200 && served["format"] == "crosspoint-evidence/1", "{served}");
    let missing = format!("{NATIVE}/attested-0/4242");
    let said = stand.cli(&["evidence", "export", &missing]).await?.refused(1)?;
    ensure!(said.contains("there is no transfer"), "{said}");

    stand.stop_service().await?;
    let verify = ["evidence", "verify", file.as_str()];
    let text = run(&verify).await?.good()?;
    for words in
        ["HOLDS: paid on", "settled on", "1,250 sfs", "order 4711", "preimage 0x", "file's own word", "itself trusts"]
    {
        ensure!(text.contains(words), "`{words}` is not in:\n{text}");
    }
    let report = run(&[&verify[..], &["--json"]].concat()).await?.json()?;
    ensure!(report["holds"] == true && report["outcome"] == "settled" && report["transfer"] == id, "{report}");
    auditors_anchors(&stand, &verify, &report).await?;
    changed(&stand, &file).await?;
    stand.end().await
}

/// The auditor names the anchors, or brings them.
async fn auditors_anchors(stand: &Stand, verify: &[&str], report: &Value) -> Result<()> {
    let hash = |chain: &str| -> Result<String> {
        let all = report["trust"].as_array().context("no trust")?;
        let found = all.iter().find(|trust| trust["chain"] == chain).context("no such chain")?;
        Ok(format!("{chain}={}", found["anchor"].as_str().context("no hash")?))
    };
    let (native, evm) = (hash(NATIVE)?, hash(EVM)?);
    let text = run(&[verify, &["--pin", &native, "--pin", &evm]].concat()).await?.good()?;
    ensure!(text.contains("that you named") && !text.contains("file's own word"), "{text}");
    let wrong = format!("{NATIVE}=0x{}", "11".repeat(32));
    let said = run(&[verify, &["--pin", &wrong]].concat()).await?.refused(7)?;
    ensure!(said.contains("source.anchor") && said.contains("that you named"), "{said}");
    let stray = format!("elsewhere-1=0x{}", "11".repeat(32));
    let said = run(&[verify, &["--pin", &stray]].concat()).await?.refused(3)?;
    ensure!(said.contains("not elsewhere-1"), "{said}");

    let kept = run(&["evidence", "anchors", verify[2]]).await?.good()?;
    let mine = stand.path("anchors.json").display().to_string();
    std::fs::write(&mine, &kept)?;
    let text = run(&[verify, &["--anchor", &mine]].concat()).await?.good()?;
    ensure!(text.contains("is yours") && !text.contains("file's own word"), "{text}");
    // An auditor who has other attestors from the chain itself.
    let mut other: Value = serde_json::from_str(&kept)?;
    other[1]["epoch"] = Value::from(9);
    std::fs::write(&mine, other.to_string())?;
    let said = run(&[verify, &["--anchor", &mine]].concat()).await?.refused(7)?;
    ensure!(said.contains("your anchor"), "{said}");
    // Years later it still holds, and says so.
    let text = run(&[verify, &["--at", "2049-01-01T00:00:00Z"]].concat()).await?.good()?;
    ensure!(text.contains("days old at 2049-01-01"), "{text}");
    Ok(())
}

/// Whoever changes a file is found, and what was changed is named.
async fn changed(stand: &Stand, file: &str) -> Result<()> {
    let text = std::fs::read_to_string(file)?;
    let forged = stand.path("forged.json").display().to_string();
    for (from, to, named) in [
        ("\"amount\": \"1250\"", "\"amount\": \"9250\"", "packet"),
        ("\"preimage\": \"0x", "\"preimage\": \"0x00", "ack"),
        ("order 4711", "order 4712", "packet"),
        ("\"threshold\": 2", "\"threshold\": 3", "destination.anchor"),
        ("\"chain_id\": \"crosspoint-1\"", "\"chain_id\": \"crosspoint-2\"", "source.anchor"),
        ("{\n  \"format\"", "{\n\n  \"format\"", "line 2"),
    ] {
        ensure!(text.contains(from), "`{from}` is not in the file");
        std::fs::write(&forged, text.replacen(from, to, 1))?;
        let said = run(&["evidence", "verify", &forged]).await?.refused(7)?;
        ensure!(said.contains(named), "`{named}` is not named after {from} became {to}: {said}");
        let ran = run(&["evidence", "verify", &forged, "--json"]).await?;
        let verdict: Value = serde_json::from_str(&ran.out)?;
        ensure!(verdict["holds"] == false && verdict["at"].as_str().is_some_and(|at| at.starts_with(named)), "{ran:?}");
    }
    let said = run(&["evidence", "verify", "/nowhere"]).await?.refused(3)?;
    ensure!(said.contains("/nowhere"), "{said}");
    Ok(())
}
