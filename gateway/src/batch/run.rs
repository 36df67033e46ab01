//! Sends the rows of a batch, many at a time, and sees them through.

use super::rows::{BadRow, Row, Rows};
use super::state::{BatchState, RowState, StateError};
use crate::api::service::IdempotencyKey;
use crate::api::types::{SendRequest, TransferView};
use crate::client::{Client, ClientError};
use crate::keys::KeyName;
use crosspoint_protocol::ids::{ChainId, ClientId};
use crosspoint_relayer::life::Stage;
use crosspoint_relayer::route::PacketId;
use futures::StreamExt;
use futures::stream;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How often a row is tried again after a failure that may pass.
const ATTEMPTS: u32 = 8;
/// How often the service is asked how far transfers are.
const POLL: Duration = Duration::from_millis(500);
/// Most transfers on one page while waiting.
const PAGE: u16 = 200;
/// Most transfers asked for by name in one round, when newer ones have pushed them off the pages.
const BY_NAME: usize = 16;

/// What is the same for all rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchOptions {
    /// The service's key that pays.
    pub payer: KeyName,
    /// The payer's chain.
    pub from: ChainId,
    /// The receiver's chain.
    pub to: ChainId,
    /// The client on the payer's chain to send through; needed only if several lead to the receiver's.
    pub client: Option<ClientId>,
    /// Seconds to the timeout.
    pub timeout_seconds: Option<u64>,
    /// Seconds from the timeout to the claim deadline.
    pub hold_seconds: Option<u64>,
    /// Most requests at a time.
    pub parallel: usize,
    /// Wait until each transfer has ended.
    pub wait: bool,
}

impl BatchOptions {
    /// Binds the state file to the CSV's content and to all that decides what is paid by whom.
    #[must_use]
    pub fn digest(&self, rows: &Rows) -> String {
        let fields = [self.payer.as_str(), self.from.as_str(), self.to.as_str()].map(str::as_bytes);
        let [payer, from, to] = fields.map(|f| crosspoint_protocol::sha256(&[f]));
        let client = self.client.as_ref().map_or("", ClientId::as_str);
        hex::encode(crosspoint_protocol::sha256(&[&rows.digest, &payer, &from, &to, client.as_bytes()]))
    }
}

/// How one row ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum RowResult {
    /// Locked; `stage` is the last that was seen.
    Sent {
        /// The transfer.
        id: PacketId,
        /// Its stage.
        stage: String,
    },
    /// Not sent.
    Failed {
        /// Why.
        reason: String,
    },
    /// Not tried, or its fate is not known: run the command again.
    Open,
}

/// How a batch ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BatchReport {
    /// The batch's id.
    pub batch: String,
    /// Every good row by its line.
    pub rows: BTreeMap<u64, RowResult>,
    /// Rows that were left out.
    pub skipped: Vec<BadRow>,
    /// Seconds it took.
    pub seconds: f64,
    /// The result file.
    pub result_file: PathBuf,
    /// Whether it was interrupted.
    pub interrupted: bool,
}

impl BatchReport {
    /// How many rows are sent, failed and open.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        self.rows.values().fold((0, 0, 0), |(sent, failed, open), row| match row {
            RowResult::Sent { .. } => (sent.saturating_add(1), failed, open),
            RowResult::Failed { .. } => (sent, failed.saturating_add(1), open),
            RowResult::Open => (sent, failed, open.saturating_add(1)),
        })
    }

    /// How many transfers have this stage.
    #[must_use]
    pub fn at_stage(&self, wanted: &str) -> usize {
        self.rows.values().filter(|row| matches!(row, RowResult::Sent { stage, .. } if stage == wanted)).count()
    }
}

/// Sees how a batch goes on.
pub trait Progress: Send + Sync {
    /// So many of all rows are locked, and so many have ended.
    fn update(&self, locked: usize, ended: usize, failed: usize, all: usize);
}

/// Why a batch cannot go on at all.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The state cannot be kept.
    #[error(transparent)]
    State(#[from] StateError),
    /// The result file cannot be written.
    #[error("cannot write the result file {path}: {reason}")]
    Result {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
}

struct Counts<'a> {
    progress: &'a dyn Progress,
    all: usize,
    now: Mutex<(usize, usize, usize)>,
}

impl Counts<'_> {
    fn change(&self, change: impl FnOnce(&mut (usize, usize, usize))) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut now);
        self.progress.update(now.0, now.1, now.2, self.all);
    }
}

/// Sends every good row that was not sent before, waits for their ends if asked, and writes the result file.
/// `stop` makes it finish the requests that are out and return.
///
/// # Errors
/// The state or result file cannot be written. Failures of single rows are in the report.
pub async fn run(
    client: &Client,
    options: &BatchOptions,
    csv: &Path,
    rows: Rows,
    progress: &dyn Progress,
    stop: &CancellationToken,
) -> Result<BatchReport, BatchError> {
    let started = Instant::now();
    let state = BatchState::open(BatchState::path_for(csv), &options.digest(&rows))?;
    let batch = state.batch().to_owned();
    let counts = Counts { progress, all: rows.good.len(), now: Mutex::new((0, 0, 0)) };
    let state = Arc::new(Mutex::new(state));
    let sent: Vec<(u64, Result<RowResult, StateError>)> = stream::iter(&rows.good)
        .map(|row| {
            let (state, batch, counts) = (Arc::clone(&state), &batch, &counts);
            async move { (row.line, send_row(client, options, batch, row, &state, counts, stop).await) }
        })
        .buffer_unordered(options.parallel.max(1))
        .collect()
        .await;
    let mut results = BTreeMap::new();
    for (line, result) in sent {
        results.insert(line, result?);
    }
    if options.wait && !stop.is_cancelled() {
        wait_for_ends(client, &mut results, &counts, stop).await;
    }
    let result_file = result_path(csv);
    let report = BatchReport {
        batch,
        interrupted: stop.is_cancelled(),
        skipped: rows.bad.clone(),
        seconds: started.elapsed().as_secs_f64(),
        result_file: result_file.clone(),
        rows: results,
    };
    write_results(&result_file, &rows, &report)
        .map_err(|e| BatchError::Result { path: result_file, reason: e.to_string() })?;
    Ok(report)
}

/// The result file of a CSV: `transfers.csv` gives `transfers.results.csv`.
#[must_use]
pub fn result_path(csv: &Path) -> PathBuf {
    csv.with_extension("results.csv")
}

async fn send_row(
    client: &Client,
    options: &BatchOptions,
    batch: &str,
    row: &Row,
    state: &Mutex<BatchState>,
    counts: &Counts<'_>,
    stop: &CancellationToken,
) -> Result<RowResult, StateError> {
    let known = lock(state).row(row.line).cloned();
    if let Some(RowState::Sent { id }) = known {
        counts.change(|c| c.0 = c.0.saturating_add(1));
        return Ok(RowResult::Sent { id, stage: Stage::RecvReady.to_string() });
    }
    if stop.is_cancelled() {
        return Ok(RowResult::Open);
    }
    // A row that failed before is tried again: what it lacked may be there now. Its secret is the same.
    let Ok(key) = format!("{batch}-{}", row.line).parse::<IdempotencyKey>() else { return Ok(RowResult::Open) };
    let request = SendRequest {
        payer: options.payer.clone(),
        from: options.from.clone(),
        to: options.to.clone(),
        client: options.client.clone(),
        denom: row.denom.clone(),
        amount: row.amount,
        receiver: row.receiver.clone(),
        hashlock: row.hashlock,
        memo: row.memo.clone(),
        timeout_seconds: options.timeout_seconds,
        hold_seconds: options.hold_seconds,
    };
    lock(state).note(row.line, RowState::Sending)?;
    match send_with_retries(client, &request, &key, stop).await {
        Ok(view) => {
            lock(state).note(row.line, RowState::Sent { id: view.id.clone() })?;
            counts.change(|c| c.0 = c.0.saturating_add(1));
            Ok(RowResult::Sent { id: view.id, stage: view.stage })
        }
        Err(e) if e.is_transient() || matches!(e, ClientError::Interrupted) => Ok(RowResult::Open),
        Err(e) => {
            let reason = e.to_string();
            lock(state).note(row.line, RowState::Failed { reason: reason.clone() })?;
            counts.change(|c| c.2 = c.2.saturating_add(1));
            Ok(RowResult::Failed { reason })
        }
    }
}

fn lock(state: &Mutex<BatchState>) -> std::sync::MutexGuard<'_, BatchState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn send_with_retries(
    client: &Client,
    request: &SendRequest,
    key: &IdempotencyKey,
    stop: &CancellationToken,
) -> Result<TransferView, ClientError> {
    let mut wait = Duration::from_millis(250);
    let mut attempt = 1_u32;
    loop {
        match client.send(request, key).await {
            Err(e) if e.is_transient() && attempt < ATTEMPTS => {
                if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                    return Err(ClientError::Interrupted);
                }
                wait = wait.saturating_mul(2).min(Duration::from_secs(10));
                attempt = attempt.saturating_add(1);
            }
            other => return other,
        }
    }
}

/// Asks for pages of the newest transfers until all of ours have ended.
async fn wait_for_ends(
    client: &Client,
    results: &mut BTreeMap<u64, RowResult>,
    counts: &Counts<'_>,
    stop: &CancellationToken,
) {
    let mut open: HashMap<PacketId, u64> = results
        .iter()
        .filter_map(|(line, result)| match result {
            RowResult::Sent { id, .. } => Some((id.clone(), *line)),
            RowResult::Failed { .. } | RowResult::Open => None,
        })
        .collect();
    while !open.is_empty() {
        // The service may be restarted meanwhile; nothing is lost by asking again.
        if let Ok(mut views) = newest(client, open.len()).await {
            let seen: HashSet<_> = views.iter().map(|view| view.id.clone()).collect();
            for id in open.keys().filter(|id| !seen.contains(id)).take(BY_NAME) {
                views.extend(client.transfer(id).await.ok());
            }
            for view in views {
                let Some(line) = open.get(&view.id).copied() else { continue };
                if view.ended {
                    open.remove(&view.id);
                    counts.change(|c| c.1 = c.1.saturating_add(1));
                }
                results.insert(line, RowResult::Sent { id: view.id, stage: view.stage });
            }
        }
        if open.is_empty() || stop.run_until_cancelled(tokio::time::sleep(POLL)).await.is_none() {
            return;
        }
    }
}

/// Enough of the newest transfers to see all that are open, if no one else sends many meanwhile.
async fn newest(client: &Client, open: usize) -> Result<Vec<TransferView>, ClientError> {
    let mut views = vec![];
    let mut cursor: Option<String> = None;
    loop {
        let page = client.transfers(PAGE, cursor.as_deref(), &[]).await?;
        views.extend(page.items);
        match page.next_cursor {
            Some(next) if views.len() < open.saturating_mul(2).saturating_add(usize::from(PAGE)) => cursor = Some(next),
            _ => return Ok(views),
        }
    }
}

fn write_results(path: &Path, rows: &Rows, report: &BatchReport) -> std::io::Result<()> {
    let mut writer = csv::Writer::from_writer(vec![]);
    writer.write_record(["line", "receiver", "amount", "denom", "status", "stage", "transfer", "reason"])?;
    for row in &rows.good {
        let (status, stage, id, reason) = match report.rows.get(&row.line) {
            Some(RowResult::Sent { id, stage }) => ("sent", stage.as_str(), id.to_string(), ""),
            Some(RowResult::Failed { reason }) => ("failed", "", String::new(), reason.as_str()),
            Some(RowResult::Open) | None => ("open", "", String::new(), "run the same command again"),
        };
        let (line, amount) = (row.line.to_string(), row.amount.to_string());
        let (receiver, denom) = (row.receiver.to_string(), row.denom.to_string());
        writer.write_record([&line, &receiver, &amount, &denom, status, stage, &id, reason])?;
    }
    for bad in &report.skipped {
        writer.write_record([&bad.line.to_string(), "", "", "", "invalid", "", "", &bad.reasons.join("; ")])?;
    }
    let bytes = writer.into_inner().map_err(|e| std::io::Error::other(e.to_string()))?;
    // Beside, then into place: a reader never sees half a file.
    let unfinished = path.with_extension("csv.tmp");
    let mut file = std::fs::File::create(&unfinished)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)
}
