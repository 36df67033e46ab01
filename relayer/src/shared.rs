//! What all tasks of the relayer share.

use crate::audit::AuditReport;
use crate::journal::{Journal, JournalError};
use crate::metrics::Metrics;
use crate::probe::{Point, Probe};
use crate::route::Route;
use crate::settings::RelayerConfig;
use crosspoint_adapters::chain::{Chain, ClientStatus, Head, Tip};
use crosspoint_adapters::error::ChainError;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{ChainId, Height};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// Why a turn of a task failed.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// A chain failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A chain's headers are in dispute: nothing is brought.
    #[error("{0}")]
    Disputed(String),
    /// A chain's events could not be taken in.
    #[error(transparent)]
    Intake(#[from] crate::intake::IntakeError),
}

/// What is known of a chain right now.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChainView {
    pub(crate) head: Option<Head>,
    /// The newest final block, once all events up to it are in the journal.
    pub(crate) read: Option<Tip>,
    pub(crate) cursor: Option<Height>,
    pub(crate) up: bool,
    pub(crate) last_error: Option<String>,
    /// Seconds between blocks, the longest seen lately.
    pub(crate) block_time: u64,
}

/// Why a route carries nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Halt {
    /// The client on the destination is frozen; governance must look at the evidence.
    Frozen,
    /// The client on the destination has expired; governance must re-anchor it.
    Expired,
    /// A witness of the source has another header than the client trusts or is about to be brought.
    Disputed {
        /// Who has which, and whether evidence was submitted.
        why: String,
    },
    /// The two clients do not name each other as counterparties.
    NotCounterparties,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct RouteState {
    pub(crate) halt: Option<Halt>,
    pub(crate) client: Option<ClientStatus>,
    pub(crate) last_error: Option<String>,
    pub(crate) last_success_ms: Option<u64>,
}

pub(crate) struct Shared {
    pub(crate) config: RelayerConfig,
    pub(crate) chains: BTreeMap<ChainId, Arc<dyn Chain>>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) views: BTreeMap<ChainId, watch::Sender<ChainView>>,
    pub(crate) routes: Mutex<BTreeMap<Route, RouteState>>,
    pub(crate) halted_denoms: Mutex<BTreeSet<(ChainId, Denom)>>,
    pub(crate) last_audit: Mutex<Option<AuditReport>>,
    pub(crate) probe: Option<Arc<dyn Probe>>,
    pub(crate) stop: CancellationToken,
    /// Changes when somebody outside the pipelines made work.
    pub(crate) nudge: watch::Sender<u64>,
    pub(crate) tasks: Mutex<Vec<AbortHandle>>,
    /// Closed when the last task has dropped its guard.
    pub(crate) alive: Mutex<Option<tokio::sync::mpsc::Sender<()>>>,
}

/// A poisoned lock holds plain data that is whole after any panic, so it is used on.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Starts a task that ends by itself after `stop`; the relayer waits for it when it stops.
    pub(crate) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        // Locked throughout: a task is either ended with the others or never started.
        let mut tasks = lock(&self.tasks);
        let Some(guard) = lock(&self.alive).clone() else { return };
        let handle = tokio::spawn(async move {
            task.await;
            drop(guard);
        });
        tasks.push(handle.abort_handle());
    }

    /// Ends all tasks where they stand; none is started any more.
    pub(crate) fn abort_tasks(&self) {
        let mut tasks = lock(&self.tasks);
        lock(&self.alive).take();
        tasks.drain(..).for_each(|task| task.abort());
    }

    pub(crate) fn chain(&self, id: &ChainId) -> Result<Arc<dyn Chain>, ChainError> {
        let missing = || ChainError::NotFound { chain: id.clone(), what: "the chain in the settings".into() };
        self.chains.get(id).cloned().ok_or_else(missing)
    }

    pub(crate) fn view(&self, id: &ChainId) -> ChainView {
        self.views.get(id).map(|view| view.borrow().clone()).unwrap_or_default()
    }

    pub(crate) fn update_view(&self, id: &ChainId, change: impl FnOnce(&mut ChainView)) {
        if let Some(view) = self.views.get(id) {
            view.send_modify(change);
        }
    }

    pub(crate) fn update_route(&self, route: &Route, change: impl FnOnce(&mut RouteState)) {
        change(lock(&self.routes).entry(route.clone()).or_default());
    }

    /// Calls a chain, for at most the time in the settings, and counts the call.
    pub(crate) async fn call<T>(
        &self,
        chain: &ChainId,
        method: &'static str,
        call: impl Future<Output = Result<T, ChainError>>,
    ) -> Result<T, ChainError> {
        let late = |detail| ChainError::Unreachable { chain: chain.clone(), detail };
        self.timed(chain, method, call, late).await
    }

    /// As [`Shared::call`], for calls that send a transaction: when the time is up, its fate is unknown.
    pub(crate) async fn send<T>(
        &self,
        chain: &ChainId,
        method: &'static str,
        call: impl Future<Output = Result<T, ChainError>>,
    ) -> Result<T, ChainError> {
        let late = |detail| ChainError::OutcomeUnknown { chain: chain.clone(), tx: detail };
        self.timed(chain, method, call, late).await
    }

    async fn timed<T>(
        &self,
        chain: &ChainId,
        method: &'static str,
        call: impl Future<Output = Result<T, ChainError>>,
        late: impl FnOnce(String) -> ChainError,
    ) -> Result<T, ChainError> {
        let limit = Duration::from_millis(self.config.call_timeout_ms);
        let start = Instant::now();
        let answer = tokio::time::timeout(limit, call).await;
        let result =
            answer.unwrap_or_else(|_| Err(late(format!("({method} took longer than {} ms)", limit.as_millis()))));
        let outcome = match &result {
            Ok(_) => "ok",
            Err(error) => error.kind(),
        };
        self.metrics.rpc(chain, method, outcome, start.elapsed());
        result
    }

    /// A place where tests may end the process.
    pub(crate) async fn at(&self, point: Point) {
        if let Some(probe) = &self.probe {
            probe.reached(point).await;
        }
    }

    /// Sleeps, or wakes early to stop. `false`: stop.
    pub(crate) async fn rest(&self, time: Duration) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(time) => true,
        }
    }
}
