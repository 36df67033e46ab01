//! `crosspoint demo`: a whole network on this machine, and a story told on it. Every step goes the way of production:
//! the HTTP API, real locks, real light-client proofs both ways.
//!
//! - `story`: what happens, in order. `stage`: the network and the service it happens on.
//! - `ledger`: what happened, for the table at the end.

mod folder;
mod ledger;
mod stage;
mod story;

use crate::cli::args::DemoArgs;
use crate::cli::failure::{Class, Failure};
use crate::cli::{output, remove_at_the_end, stop_on_signal};
use anyhow::{Context, Result};
use folder::Folder;
use stage::Stage;
use std::time::Instant;

/// Tells people what happens: on standard output, or on standard error if that is for JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Narrator {
    json: bool,
    started: Instant,
}

impl Narrator {
    fn say(&self, text: &str) {
        if self.json {
            output::notice(text);
        } else if output::line(text).is_err() {
            // Standard output is gone; the story goes on for the exit code.
            tracing::warn!("standard output cannot be written");
        }
    }

    /// A new part of the story.
    pub(super) fn chapter(&self, number: usize, title: &str) {
        self.say(&format!("\n{number}. {title}"));
    }

    /// One thing that happened.
    pub(super) fn tell(&self, text: &str) {
        self.say(&format!("   {:>5.1} s  {text}", self.started.elapsed().as_secs_f64()));
    }

    /// Text as it is.
    pub(super) fn show(&self, text: &str) {
        for line in text.lines() {
            self.say(&format!("   {line}"));
        }
    }
}

/// Runs the demo.
///
/// # Errors
/// The step that failed, and why. Children are stopped and the folder is removed in any case.
pub async fn run(args: &DemoArgs, json: bool) -> Result<(), Failure> {
    let narrator = Narrator { json, started: Instant::now() };
    let stop = stop_on_signal();
    let folder = Folder::new(&std::env::temp_dir(), args.keep)
        .map_err(|e| Failure::new(Class::Failed, format!("cannot make a folder for the demo: {e}")))?;
    remove_at_the_end((!args.keep).then(|| folder.path().to_owned()));
    let log = folder.path().join("demo.log");
    log_to(&log).map_err(Failure::from)?;
    narrator.say("Crosspoint demo: loyalty points across two chains, on proofs. Everything runs on this machine.");
    let stage = match stop.run_until_cancelled(Stage::build(folder.path(), narrator)).await {
        Some(Ok(stage)) => stage,
        Some(Err(error)) => return Err(failed(&error, args, folder, &log)),
        None => return Err(Failure::new(Class::Interrupted, "interrupted while the network was starting")),
    };
    let told = stop.run_until_cancelled(told(&stage, args, json, narrator)).await;
    let outcome = match told {
        Some(Ok(())) => {
            if !args.exit {
                narrator.say(&stage.invitation());
                stop.cancelled().await;
            }
            Ok(())
        }
        Some(Err(error)) => Err(error),
        None => {
            stage.end().await;
            return Err(Failure::new(Class::Interrupted, "interrupted; everything was stopped and removed"));
        }
    };
    stage.end().await;
    match outcome {
        Ok(()) => {
            if args.keep {
                narrator.say(&format!("The data is kept in {}.", folder.keep().display()));
            }
            Ok(())
        }
        Err(error) => Err(failed(&error, args, folder, &log)),
    }
}

async fn told(stage: &Stage, args: &DemoArgs, json: bool, narrator: Narrator) -> Result<()> {
    let happened = story::tell(stage, args, narrator).await?;
    let supply = stage.client.supply().await.context("the final supply audit")?;
    if json {
        output::json(&serde_json::json!({ "events": happened.entries(), "supply": supply }))?;
    } else {
        narrator.say(&format!("\nWhat happened:\n\n{}", happened.table()));
    }
    Ok(())
}

fn failed(error: &anyhow::Error, args: &DemoArgs, folder: Folder, log: &std::path::Path) -> Failure {
    let tail: Vec<String> = std::fs::read_to_string(log)
        .map(|text| {
            let lines: Vec<_> = text.lines().map(output::printable).collect();
            lines.into_iter().rev().take(8).collect::<Vec<_>>().into_iter().rev().collect()
        })
        .unwrap_or_default();
    let kept = if args.keep {
        format!("\nThe data is kept in {}.", folder.keep().display())
    } else {
        "\nRun again with --keep to look at its data.".into()
    };
    let log =
        if tail.is_empty() { String::new() } else { format!("\nThe last lines of its log:\n  {}", tail.join("\n  ")) };
    Failure::new(Class::Failed, format!("the demo failed: {error:#}{log}{kept}"))
}

/// The log goes to a file, so that the story can be read.
fn log_to(path: &std::path::Path) -> Result<()> {
    let file = std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(std::sync::Mutex::new(file));
    logs.try_init().map_err(|e| anyhow::anyhow!("logging does not start: {e}"))
}
