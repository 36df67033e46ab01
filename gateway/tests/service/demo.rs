//! `crosspoint demo` leaves nothing behind, and its JSON is JSON.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process::{Service, children, command, is_alive, run, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_story_comes_out_as_one_json_value() -> Result<()> {
    let ran = run(&["demo", "--exit", "--batch", "3", "--json"]).await?;
    ensure!(ran.err.contains("8. The supply audit"), "the story is not told on standard error: {}", ran.err);
    let story = ran.json()?;
    ensure!(story["supply"]["balanced"] == true, "{story}");
    let events = story["events"].as_array().context("no events")?;
    let what: Vec<_> = events.iter().filter_map(|event| event["what"].as_str()).collect();
    for step in ["invoice: locked", "invoice: settled", "return: settled", "unclaimed: voided", "unclaimed: refunded"] {
        ensure!(what.contains(&step), "`{step}` is not among {what:?}");
    }
    Ok(())
}

/// A demo in a temporary folder of its own, at the moment when its Ethereum chain runs.
async fn begun(folder: &tempfile::TempDir) -> Result<(Service, Vec<u32>)> {
    let mut demo = command(&["demo", "--exit", "--batch", "3"]);
    demo.env("TMPDIR", folder.path());
    let demo = Service::start(demo, &folder.path().join("out"))?;
    let id = demo.id()?;
    let children = until("anvil to run", async || Ok(Some(children(id)).filter(|found| !found.is_empty()))).await?;
    Ok((demo, children))
}

async fn nothing_is_left(folder: &tempfile::TempDir, children: &[u32]) -> Result<()> {
    until("every child to be gone", async || Ok((!children.iter().any(|id| is_alive(*id))).then_some(()))).await?;
    let left: Vec<String> = std::fs::read_dir(folder.path())?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into()))
        .collect::<Result<_>>()?;
    ensure!(left == ["out"], "files are left: {left:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_signal_stops_the_demo_in_order_and_two_at_once_and_no_child_is_left() -> Result<()> {
    for signals in [&["TERM"][..], &["INT", "INT"], &["TERM", "TERM"]] {
        let folder = tempfile::tempdir()?;
        let (mut demo, children) = begun(&folder).await?;
        for (count, name) in signals.iter().enumerate() {
            demo.signal(name)?;
            if count == 0 && signals.len() > 1 {
                demo.says("once more ends at once").await?;
            }
            if !demo.runs() {
                break;
            }
        }
        let status = demo.ended().await?;
        ensure!(status.code() == Some(130), "{signals:?}: it ended with {status}: {}", demo.log());
        nothing_is_left(&folder, &children).await.with_context(|| format!("after {signals:?}"))?;
        let log = demo.log();
        ensure!(!log.contains("panicked"), "{log}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_that_is_killed_takes_its_chain_with_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut demo, children) = begun(&folder).await?;
    demo.says("contracts: gateway").await?;
    demo.signal("KILL")?;
    demo.ended().await?;
    until("every child to be gone", async || Ok((!children.iter().any(|id| is_alive(*id))).then_some(()))).await?;
    Ok(())
}

#[tokio::test]
async fn a_demo_without_anvil_says_how_to_get_it() -> Result<()> {
    let mut demo = command(&["demo", "--exit"]);
    demo.env("CROSSPOINT_ANVIL", "/nowhere/anvil");
    let said = crate::process::finish(demo).await?.refused(1)?;
    ensure!(said.contains("CROSSPOINT_ANVIL names /nowhere/anvil"), "{said}");
    let json: Value = {
        let mut demo = command(&["demo", "--exit", "--json"]);
        demo.env("CROSSPOINT_ANVIL", "/nowhere/anvil");
        let ran = crate::process::finish(demo).await?;
        serde_json::from_str(ran.err.lines().last().context("nothing was said")?)?
    };
    ensure!(json["class"] == "failed" && json["exit_code"] == 1, "{json}");
    Ok(())
}
