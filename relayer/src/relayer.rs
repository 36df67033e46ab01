//! Starting and stopping the relayer, and asking it how it is.

use crate::audit::{AuditError, AuditReport, audit_journal};
use crate::journal::step::now_ms;
use crate::journal::{Invoice, Journal, JournalError, SecretBox, StageCount};
use crate::life::Life;
use crate::metrics::Metrics;
use crate::probe::Probe;
use crate::route::{PacketId, Route};
use crate::settings::RelayerConfig;
use crate::shared::{ChainView, Halt, Shared, lock};
use crate::{stuck, watch};
use crosspoint_adapters::chain::{Chain, ClientStatus, Head};
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{ChainId, Height};
use crosspoint_protocol::secret::Preimage;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// Why the relayer did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Settings are wrong.
    #[error("the relayer's settings are wrong: {}", .0.join("; "))]
    Settings(Vec<String>),
    /// The journal could not be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A relayer that is not started yet.
pub struct Relayer {
    config: RelayerConfig,
    chains: Vec<Arc<dyn Chain>>,
    metrics: Arc<Metrics>,
    secret_box: Option<Arc<dyn SecretBox>>,
    probe: Option<Arc<dyn Probe>>,
}

/// A running relayer. Dropping it stops it without waiting; [`RelayerHandle::stop`] waits.
pub struct RelayerHandle {
    shared: Arc<Shared>,
    /// Yields `None` when every task has ended.
    ended: mpsc::Receiver<()>,
}

/// How one chain is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChainStatus {
    /// The chain.
    pub chain: ChainId,
    /// Whether it answers.
    pub up: bool,
    /// Its newest and its newest final block, as last seen.
    pub head: Option<Head>,
    /// All events up to this block are in the journal. Far behind the final block while an empty journal is filled.
    pub journaled: Option<Height>,
    /// The last failure since it last answered.
    pub last_error: Option<String>,
}

/// A chain whose journal is this many blocks behind counts as read: the newest ones are always on their way.
const NEARLY: u64 = 5;

impl ChainStatus {
    /// Whether the journal is up to its newest final block, or nearly.
    #[must_use]
    pub fn is_read(&self) -> bool {
        let reached =
            |head: Head| self.journaled.is_some_and(|at| at.0.saturating_add(NEARLY) >= head.finalized.height.0);
        self.head.is_some_and(reached)
    }
}

/// How one route is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteStatus {
    /// The route.
    pub route: Route,
    /// Why it carries nothing, if so.
    pub halt: Option<Halt>,
    /// The client on its destination, as last seen.
    pub client: Option<ClientStatus>,
    /// Seconds until that client expires, by its chain's newest block; negative once expired.
    pub client_expires_in: Option<i64>,
    /// Its packets by stage.
    pub stages: Vec<StageCount>,
    /// The last failure since the last batch that went through.
    pub last_error: Option<String>,
    /// When the last batch went through, in milliseconds since 1970.
    pub last_success_ms: Option<u64>,
}

/// How the relayer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Each chain.
    pub chains: Vec<ChainStatus>,
    /// Each route, both ways of each pair of clients.
    pub routes: Vec<RouteStatus>,
    /// The last supply audit.
    pub audit: Option<AuditReport>,
    /// Denoms that the audit has stopped.
    pub halted_denoms: BTreeSet<(ChainId, Denom)>,
}

impl Status {
    /// Whether every chain answers and is read up to its newest final block or nearly, no route is halted and no
    /// denom is stopped.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.chains.iter().all(|chain| chain.up && chain.is_read())
            && self.routes.iter().all(|route| route.halt.is_none())
            && self.halted_denoms.is_empty()
    }
}

impl Relayer {
    /// A relayer between these chains.
    #[must_use]
    pub fn new(config: RelayerConfig, chains: Vec<Arc<dyn Chain>>, metrics: Arc<Metrics>) -> Self {
        Self { config, chains, metrics, secret_box: None, probe: None }
    }

    /// The cipher that seals the preimages of invoices.
    #[must_use]
    pub fn with_secret_box(mut self, secret_box: Arc<dyn SecretBox>) -> Self {
        self.secret_box = Some(secret_box);
        self
    }

    /// Tells a test of each point the pipelines reach.
    #[must_use]
    pub fn with_probe(mut self, probe: Arc<dyn Probe>) -> Self {
        self.probe = Some(probe);
        self
    }

    /// Opens the journal and starts all tasks, on the current tokio runtime.
    pub fn start(self) -> Result<RelayerHandle, StartError> {
        let problems = self.config.problems();
        if !problems.is_empty() {
            return Err(StartError::Settings(problems));
        }
        let journal = Arc::new(Journal::open(&self.config.journal, self.secret_box)?);
        let halted = journal.halted()?;
        let (alive, ended) = mpsc::channel(1);
        let chains: std::collections::BTreeMap<_, _> =
            self.chains.into_iter().map(|chain| (chain.id().clone(), chain)).collect();
        let views =
            chains.keys().map(|id| (id.clone(), tokio::sync::watch::Sender::new(ChainView::default()))).collect();
        let shared = Arc::new(Shared {
            config: self.config,
            chains,
            journal,
            metrics: self.metrics,
            views,
            routes: Mutex::default(),
            halted_denoms: Mutex::new(halted),
            last_audit: Mutex::default(),
            probe: self.probe,
            stop: tokio_util::sync::CancellationToken::new(),
            nudge: tokio::sync::watch::Sender::new(0),
            tasks: Mutex::default(),
            alive: Mutex::new(Some(alive)),
        });
        for id in shared.chains.keys() {
            shared.metrics.init_chain(id);
            shared.spawn(watch::run(Arc::clone(&shared), id.clone()));
            shared.spawn(keep_wallet(Arc::clone(&shared), id.clone()));
        }
        shared.spawn(keep_gauges(Arc::clone(&shared)));
        shared.spawn(stuck::run(Arc::clone(&shared)));
        if shared.config.audit_interval_ms > 0 {
            shared.spawn(keep_auditing(Arc::clone(&shared)));
        }
        Ok(RelayerHandle { shared, ended })
    }
}

impl RelayerHandle {
    /// The journal, for lists and histories.
    #[must_use]
    pub fn journal(&self) -> Arc<Journal> {
        Arc::clone(&self.shared.journal)
    }

    /// How everything is right now.
    pub fn status(&self) -> Result<Status, JournalError> {
        let chains = self.shared.views.iter().map(|(id, view)| {
            let view = view.borrow().clone();
            let (up, head, journaled, last_error) = (view.up, view.head, view.cursor, view.last_error);
            ChainStatus { chain: id.clone(), up, head, journaled, last_error }
        });
        let states = lock(&self.shared.routes).clone();
        let route = |(route, state): (Route, crate::shared::RouteState)| {
            let now = self.shared.view(&route.dest_chain).head.map(|head| head.latest.time);
            let expires_in = now.zip(state.client.as_ref()).map(|(now, client)| {
                let expiry = client.trusted.time.0.saturating_add(client.trusting_period);
                i64::try_from(i128::from(expiry).saturating_sub(now.0.into())).unwrap_or(i64::MAX)
            });
            Ok(RouteStatus {
                stages: self.shared.journal.stage_counts(&route)?,
                route,
                halt: state.halt,
                client: state.client,
                client_expires_in: expires_in,
                last_error: state.last_error,
                last_success_ms: state.last_success_ms,
            })
        };
        Ok(Status {
            chains: chains.collect(),
            routes: states.into_iter().map(route).collect::<Result<_, JournalError>>()?,
            audit: lock(&self.shared.last_audit).clone(),
            halted_denoms: lock(&self.shared.halted_denoms).clone(),
        })
    }

    /// Keeps an invoice's preimage, sealed, and claims every hold that pays it. See [`Journal::register_preimage`].
    pub async fn register_preimage(&self, preimage: &Preimage, invoice: Invoice) -> Result<(), JournalError> {
        self.shared.journal.register_preimage(preimage, invoice).await?;
        self.nudge();
        Ok(())
    }

    /// Tries a packet again now, also one that is stuck.
    pub async fn retry(&self, id: &PacketId) -> Result<Life, JournalError> {
        let id = id.clone();
        let write =
            self.shared.journal.step::<_, JournalError>(move |step| stuck::free(step, &id, "tried again by hand"));
        let life = write.await?;
        self.nudge();
        Ok(life)
    }

    /// Audits the supply now, on what the journal has read.
    pub async fn audit(&self) -> Result<AuditReport, AuditError> {
        run_audit(&self.shared).await
    }

    fn nudge(&self) {
        self.shared.nudge.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Stops: no new work is begun, what was submitted is written down, then every task ends. Gives up waiting
    /// after `limit`, which harms nothing: what was not written down is read from the chains at the next start.
    pub async fn stop(mut self, limit: Duration) {
        self.shared.stop.cancel();
        lock(&self.shared.alive).take();
        if tokio::time::timeout(limit, self.ended.recv()).await.is_err() {
            tracing::warn!("tasks did not end in time; ending them");
            self.shared.abort_tasks();
            let _ = tokio::time::timeout(Duration::from_secs(5), self.ended.recv()).await;
        }
    }

    /// Ends every task where it stands and finishes nothing, as `kill -9` would.
    pub async fn kill(mut self) {
        self.shared.abort_tasks();
        let _ = self.ended.recv().await;
    }
}

impl Drop for RelayerHandle {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

async fn keep_wallet(shared: Arc<Shared>, id: ChainId) {
    let Ok(chain) = shared.chain(&id) else { return };
    loop {
        match shared.call(&id, "wallet", chain.wallet()).await {
            Ok((account, Some(balance))) => shared.metrics.wallet(&id, account.as_str(), balance),
            Ok((_, None)) => {}
            Err(error) => tracing::debug!(chain = %id, %error, "the wallet could not be looked at"),
        }
        if !shared.rest(Duration::from_millis(shared.config.discovery_ms)).await {
            return;
        }
    }
}

async fn keep_gauges(shared: Arc<Shared>) {
    loop {
        let routes: Vec<Route> = lock(&shared.routes).keys().cloned().collect();
        for route in routes {
            match shared.journal.stage_counts(&route) {
                Ok(counts) => show(&shared.metrics, &counts),
                Err(error) => tracing::error!(%error, "counting packets failed"),
            }
        }
        if !shared.rest(Duration::from_millis(shared.config.tick_ms.max(1_000))).await {
            return;
        }
    }
}

fn show(metrics: &Metrics, counts: &[StageCount]) {
    let now = now_ms();
    for count in counts.iter().filter(|count| !count.stage.is_final()) {
        let oldest = count.oldest_since_ms.map_or(0, |since| now.saturating_sub(since));
        metrics.pending(&count.route, count.stage, count.count, Duration::from_millis(oldest));
    }
}

async fn keep_auditing(shared: Arc<Shared>) {
    while shared.rest(Duration::from_millis(shared.config.audit_interval_ms)).await {
        if let Err(error) = run_audit(&shared).await {
            tracing::warn!(%error, "the supply audit failed");
        }
    }
}

/// Audits, publishes the result, and stops or frees denoms by it.
async fn run_audit(shared: &Arc<Shared>) -> Result<AuditReport, AuditError> {
    let report = match audit_journal(shared).await {
        Ok(report) => report,
        Err(error) => {
            shared.metrics.audit("failed");
            return Err(error);
        }
    };
    shared.metrics.audit(if report.is_balanced() { "balanced" } else { "imbalanced" });
    let mut halted = BTreeSet::new();
    for denom in &report.denoms {
        let name = denom.denom.to_string();
        let points = [
            ("cap", denom.cap),
            ("issued", denom.issued),
            ("vault", Some(denom.vault)),
            ("locked", Some(denom.locked)),
            ("held", Some(denom.held)),
            ("vouchers", Some(denom.vouchers)),
            ("in_flight", Some(denom.in_flight)),
        ];
        for (kind, amount) in points {
            if let Some(amount) = amount {
                shared.metrics.supply(&name, &denom.chain, kind, amount.get());
            }
        }
        shared.metrics.imbalance(&name, denom.imbalance);
        if !denom.is_balanced() {
            tracing::error!(chain = %denom.chain, denom = %name, imbalance = %denom.imbalance, broken = ?denom.broken,
                "the books do not balance; relaying of this denom stops until they do");
            halted.insert((denom.chain.clone(), denom.denom.clone()));
            halted.extend(denom.pairs.iter().map(|pair| (pair.other_chain.clone(), pair.voucher.clone())));
        }
    }
    if report.anomalies > 0 {
        tracing::error!(packets = report.anomalies, "packets whose facts contradict each other; look at both chains");
    }
    let changed = *lock(&shared.halted_denoms) != halted;
    if changed {
        let write = halted.clone();
        shared.journal.step::<(), JournalError>(move |step| step.put_halted(&write)).await?;
        *lock(&shared.halted_denoms) = halted;
    }
    *lock(&shared.last_audit) = Some(report.clone());
    Ok(report)
}
