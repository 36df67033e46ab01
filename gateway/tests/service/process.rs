//! Child processes: commands that end by themselves, and services that run until they are told.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::process::{Child, Command};

/// The longest a test waits for what must come. Generous: machines are slow and shared.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Waits for a condition, at most [`PATIENCE`]; then fails with the last reason.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let started = Instant::now();
    let mut last = String::new();
    while started.elapsed() < PATIENCE {
        match look().await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(error) => last = format!(" ({error:#})"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("waited for {what} in vain{last}")
}

/// The binary with these arguments and none of the caller's settings.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosspoint"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CROSSPOINT_")) {
        if !["CROSSPOINT_ANVIL", "CROSSPOINT_COMETBFT", "CROSSPOINT_CACHE"].contains(&name.as_str()) {
            command.env_remove(name);
        }
    }
    command.env_remove("RUST_LOG").args(args).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Its standard output, if it succeeded.
    pub fn good(self) -> Result<String> {
        ensure!(self.code == Some(0), "it failed: {self:?}");
        Ok(self.out)
    }

    /// Its one JSON value, if it succeeded.
    pub fn json(self) -> Result<Value> {
        let out = self.good()?;
        serde_json::from_str(&out).with_context(|| format!("no JSON: {out}"))
    }

    /// Its words on standard error, if it failed with this code, without a panic and without Rust's own debug print.
    pub fn refused(self, code: i32) -> Result<String> {
        ensure!(self.code == Some(code), "not the exit code {code}: {self:?}");
        ensure!(!self.err.contains("panicked") && !self.err.contains(" { "), "no words for people: {}", self.err);
        Ok(self.err)
    }
}

/// Runs a command to its end.
pub async fn run(args: &[&str]) -> Result<Ran> {
    finish(command(args)).await
}

/// The same, of a command that was prepared.
pub async fn finish(mut command: Command) -> Result<Ran> {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output());
    let output = ended.await.with_context(|| format!("it does not end: {command:?}"))??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) })
}

/// A process that runs until it is told to end. All it prints goes into one file.
pub struct Service {
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts it. The log is appended to, so that a restarted service has one story.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        let child = command.stdout(file.try_clone()?).stderr(file).spawn()?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits for words in its log; fails at once if the process ends before.
    pub async fn says(&mut self, words: &str) -> Result<()> {
        let log = self.log.clone();
        until(&format!("`{words}` in {}", log.display()), async || {
            let found = self.log().contains(words);
            if let (false, Some(status)) = (found, self.child.try_wait()?) {
                panic!("it ended ({status}) without saying `{words}`:\n{}", self.log());
            }
            Ok(found.then_some(()))
        })
        .await
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub fn id(&self) -> Result<u32> {
        self.child.id().context("it has ended")
    }

    /// `kill -9`
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    pub fn signal(&self, name: &str) -> Result<()> {
        signal(self.id()?, name)
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        Ok(ended.with_context(|| format!("it does not end:\n{}", tail(&self.log())))??)
    }
}

/// Sends a signal to one process.
pub fn signal(id: u32, name: &str) -> Result<()> {
    let status = std::process::Command::new("kill").args([format!("-{name}"), id.to_string()]).status()?;
    ensure!(status.success(), "kill -{name} {id} failed");
    Ok(())
}

/// The children of a process, by `/proc`.
pub fn children(id: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{id}/task")) else { return vec![] };
    let lists = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect()
}

/// Whether a process is there and no zombie.
pub fn is_alive(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

pub fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
