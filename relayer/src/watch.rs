//! One task per chain: reads its final blocks into the journal, finds its clients, passes its deadlines.

use crate::intake::{self, Clients, IntakeError, Learned};
use crate::journal::JournalError;
use crate::journal::step::now_ms;
use crate::metrics::PacketCount;
use crate::probe::Point;
use crate::retry::RetryReason;
use crate::route::Route;
use crate::shared::{RelayError, Shared, lock};
use crate::{carry, tend};
use crosspoint_adapters::chain::{Chain, Head, Tip};
use crosspoint_adapters::error::ChainError;
use crosspoint_protocol::ids::{ChainId, Height, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// Most events taken in at once: all are in memory, and in one write of the journal.
const MAX_EVENTS: usize = 200_000;
/// A chain whose blocks come slower than this is taken to have this block time.
const MAX_BLOCK_TIME: u64 = 600;

/// Reads one chain until the relayer stops.
pub(crate) async fn run(shared: Arc<Shared>, id: ChainId) {
    let Ok(chain) = shared.chain(&id) else { return };
    let span = shared.config.scan_blocks;
    let mut watcher = Watcher { shared, chain, clients: Clients::new(), discovered_ms: None, rewound_ms: 0, span };
    let mut failures: u32 = 0;
    let stop = watcher.shared.stop.clone();
    loop {
        let turn = tokio::select! {
            () = stop.cancelled() => return,
            turn = watcher.turn(&id) => turn,
        };
        match turn {
            Ok(()) => failures = 0,
            Err(error) => {
                failures = failures.saturating_add(1);
                tracing::warn!(chain = %id, %error, failures, "reading the chain failed");
                let up = !matches!(&error, RelayError::Chain(_));
                watcher.shared.metrics.chain_up(&id, up);
                watcher.shared.update_view(&id, |view| {
                    view.up = up;
                    view.last_error = Some(error.to_string());
                });
                let wait = watcher.shared.config.backoff.wait(RetryReason::NotYet, failures);
                if !watcher.shared.rest(wait).await {
                    return;
                }
            }
        }
    }
}

struct Watcher {
    shared: Arc<Shared>,
    chain: Arc<dyn Chain>,
    clients: Clients,
    discovered_ms: Option<u64>,
    rewound_ms: u64,
    /// How many blocks are asked for at once: fewer after a failure, so that blocks full of events are read one by one
    /// rather than never.
    span: u64,
}

impl Watcher {
    async fn turn(&mut self, id: &ChainId) -> Result<(), RelayError> {
        let stale = |at: u64| now_ms().saturating_sub(at) >= self.shared.config.discovery_ms;
        if self.discovered_ms.is_none_or(stale) {
            self.discover(id).await?;
        }
        let known = self.shared.view(id).head.map_or(Height(0), |head| head.latest.height);
        let head = self.shared.call(id, "next_head", self.chain.next_head(known)).await?;
        self.observe(id, head);
        let mut cursor = match self.shared.journal.cursor(id)? {
            Some(cursor) => cursor.height,
            None => {
                let first = self.shared.call(id, "first_height", self.chain.first_height()).await?;
                Height(first.0.saturating_sub(1))
            }
        };
        while cursor < head.finalized.height {
            let last = cursor.0.saturating_add(self.span).min(head.finalized.height.0);
            let read = self.read(id, (cursor.next(), Height(last))).await;
            self.span = match &read {
                Ok(_) => self.span.saturating_mul(2).min(self.shared.config.scan_blocks),
                Err(RelayError::Chain(_)) => last.saturating_sub(cursor.0).div_ceil(2).max(1),
                Err(RelayError::Journal(_) | RelayError::Intake(_) | RelayError::Disputed(_)) => self.span,
            };
            cursor = read?;
            self.show_cursor(id, cursor);
        }
        self.show_cursor(id, cursor);
        if cursor == head.finalized.height {
            self.shared.update_view(id, |view| view.read = Some(head.finalized));
        }
        self.confirm(id, cursor).await?;
        self.pass_deadlines(id).await?;
        self.shared.metrics.chain_up(id, true);
        self.shared.update_view(id, |view| {
            view.up = true;
            view.last_error = None;
        });
        Ok(())
    }

    fn show_cursor(&self, id: &ChainId, cursor: Height) {
        self.shared.metrics.journaled(id, cursor.0);
        self.shared.update_view(id, |view| view.cursor = Some(cursor));
    }

    fn observe(&self, id: &ChainId, head: Head) {
        self.shared.metrics.head(id, &head);
        self.shared.update_view(id, |view| {
            if let Some(before) = view.head {
                let blocks = head.latest.height.0.saturating_sub(before.latest.height.0);
                let spacing = head.latest.time.since(before.latest.time).checked_div(blocks);
                // Falls slowly, rises at once: the margin of a claim depends on it.
                let decayed = view.block_time.saturating_mul(9).div_ceil(10);
                if let Some(spacing) = spacing {
                    view.block_time = spacing.max(decayed).clamp(1, MAX_BLOCK_TIME);
                }
            }
            view.head = Some(head);
        });
    }

    /// Reads one span of final blocks into the journal; returns the new cursor.
    async fn read(&mut self, id: &ChainId, span: (Height, Height)) -> Result<Height, RelayError> {
        let events = self.shared.call(id, "events", self.chain.events(span.0, span.1)).await?;
        if events.len() > MAX_EVENTS && span.0 < span.1 {
            let count = events.len();
            return Err(ChainError::InvalidRequest(format!("{count} events in one answer; asking for fewer")).into());
        }
        self.shared.at(Point::EventsRead).await;
        let taken = self.take_in(id, span, events.clone()).await;
        let taken = match taken {
            Err(IntakeError::UnknownClient(client)) => {
                self.discover(id).await?;
                // A client that the chain still does not list leads to a chain that is not ours to relay.
                self.clients.entry(client).or_insert(None);
                self.take_in(id, span, events).await
            }
            other => other,
        };
        let learned = match taken {
            Ok(learned) => learned,
            Err(IntakeError::Gap { client, sequence }) => {
                let before = self.shared.journal.packet_before(id, &client, sequence)?;
                let life = before.map(|before| self.shared.journal.life(&before)).transpose()?.flatten();
                let from = life.and_then(|life| life.facts.sent).map_or(Height(0), |sent| sent.block.height);
                self.rewind(id, from).await?;
                return Err(IntakeError::Gap { client, sequence }.into());
            }
            Err(error) => return Err(error.into()),
        };
        self.shared.at(Point::EventsJournaled).await;
        for one in &learned {
            self.count(one);
        }
        Ok(self.shared.journal.cursor(id)?.map_or(span.1, |cursor| cursor.height))
    }

    async fn take_in(
        &self,
        id: &ChainId,
        span: (Height, Height),
        events: Vec<crosspoint_adapters::chain::ChainEvent>,
    ) -> Result<Vec<Learned>, IntakeError> {
        let (id, clients) = (id.clone(), self.clients.clone());
        self.shared.journal.step(move |step| intake::take_in(step, &id, &clients, span, &events)).await
    }

    /// Looks after transactions of ours in blocks that are final and read by now.
    async fn confirm(&mut self, id: &ChainId, read: Height) -> Result<(), RelayError> {
        let chain = id.clone();
        let step = self.shared.journal.step::<_, JournalError>(move |step| intake::confirm(step, &chain, read));
        match step.await? {
            Some(from) => self.rewind(id, from).await,
            None => Ok(()),
        }
    }

    fn count(&self, learned: &Learned) {
        self.shared.metrics.packet(&learned.route, learned.count);
        if let Some(secs) = learned.settled_after {
            self.shared.metrics.transfer(&learned.route, secs);
        }
        if learned.count == PacketCount::Anomaly {
            tracing::error!(route = %learned.route, "a packet's facts contradict each other");
        }
    }

    /// Events were withheld: reads again from `from` on, from another endpoint if there is one. At most once per longest backoff, so that a node
    /// that goes on withholding cannot keep us busy.
    async fn rewind(&mut self, id: &ChainId, from: Height) -> Result<(), RelayError> {
        let now = now_ms();
        if now.saturating_sub(self.rewound_ms) < self.shared.config.backoff.longest_ms {
            return Ok(());
        }
        self.rewound_ms = now;
        self.chain.doubt();
        let first = self.shared.call(id, "first_height", self.chain.first_height()).await?;
        let to = Height(from.max(first).0.saturating_sub(1));
        tracing::warn!(chain = %id, from = %to.next(), "an endpoint withheld events; reading again");
        let id = id.clone();
        Ok(self.shared.journal.step::<(), JournalError>(move |step| step.put_cursor(&id, to)).await?)
    }

    /// Learns the chain's clients and starts the pipelines into them.
    async fn discover(&mut self, id: &ChainId) -> Result<(), RelayError> {
        let clients = self.shared.call(id, "clients", self.chain.clients()).await?;
        for client in &clients {
            let ours = self.shared.chains.contains_key(&client.counterparty_chain);
            let into = ours.then(|| Route::into_client(id, client));
            self.clients.insert(client.client.clone(), into.clone());
            let Some(route) = into else { continue };
            if lock(&self.shared.routes).contains_key(&route) {
                continue;
            }
            self.open(id, &route).await?;
        }
        self.discovered_ms = Some(now_ms());
        Ok(())
    }

    async fn open(&mut self, id: &ChainId, route: &Route) -> Result<(), RelayError> {
        if self.shared.journal.route_into(id, &route.dest_client)?.is_none() {
            // Blocks read before this route was known may hold its events.
            let again = self.shared.journal.cursor(id)?.is_some();
            let first = self.shared.call(id, "first_height", self.chain.first_height()).await?;
            let (chain, new) = (id.clone(), route.clone());
            let write = self.shared.journal.step::<(), JournalError>(move |step| {
                step.put_route(&new)?;
                if again { step.put_cursor(&chain, Height(first.0.saturating_sub(1))) } else { Ok(()) }
            });
            write.await?;
        }
        tracing::info!(%route, "route found");
        self.shared.metrics.init_route(route);
        if let Ok(source) = self.shared.chain(&route.source_chain) {
            self.shared.metrics.init_witnesses(route, source.witnesses().iter().map(|witness| witness.name()));
        }
        self.shared.update_route(route, |_| {});
        self.shared.spawn(carry::run(Arc::clone(&self.shared), route.clone()));
        self.shared.spawn(tend::run(Arc::clone(&self.shared), route.clone()));
        Ok(())
    }

    /// Deadlines by this chain's clock: timeouts by what is final and read, claim deadlines by the newest block.
    async fn pass_deadlines(&self, id: &ChainId) -> Result<(), RelayError> {
        let view = self.shared.view(id);
        let time = |tip: Option<Tip>| tip.map_or(Timestamp(0), |tip| tip.time);
        let (read, latest) = (time(view.read), time(view.head.map(|head| head.latest)));
        loop {
            let (chain, void) = (id.clone(), self.shared.config.auto_void);
            let step = self
                .shared
                .journal
                .step::<bool, JournalError>(move |step| intake::pass_deadlines(step, &chain, read, latest, void));
            if !step.await? {
                return Ok(());
            }
        }
    }
}

/// The longest a task waits before it looks again.
pub(crate) fn tick(shared: &Shared) -> Duration {
    Duration::from_millis(shared.config.tick_ms)
}
