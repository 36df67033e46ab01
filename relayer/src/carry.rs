//! One task per route: proves on the route's source and submits to the client on its destination.
//!
//! That is where recvs of the route's own packets go, and acks and timeouts of the packets of the route back;
//! one client update serves them all. Acks go first: a return draws on a vault that only settled acks fill.

use crate::journal::JournalError;
use crate::journal::step::now_ms;
use crate::life::{Action, Life};
use crate::metrics::{TxOutcome, proof_op};
use crate::outcome::{Failure, Job, Whole, classify};
use crate::probe::Point;
use crate::retry::RetryReason;
use crate::route::Route;
use crate::shared::{Halt, RelayError, Shared, lock};
use crate::watch::tick;
use crate::witness::{Verdict, Witnesses};
use crosspoint_adapters::chain::{Chain, ClientStatus, RelayItem};
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::proven::Proven;
use crosspoint_protocol::ids::Timestamp;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Carries one route until the relayer stops.
pub(crate) async fn run(shared: Arc<Shared>, route: Route) {
    let (Ok(prover), Ok(target)) = (shared.chain(&route.source_chain), shared.chain(&route.dest_chain)) else { return };
    let witnesses = Witnesses::new(Arc::clone(&shared), route.clone(), Arc::clone(&prover), Arc::clone(&target));
    let (client, checked_pair) = (Mutex::default(), AtomicBool::default());
    let carrier = Carrier { shared, route, prover, target, witnesses, client, checked_pair };
    let mut failures: u32 = 0;
    loop {
        // A turn is not cut short by a stop: what was submitted is still written down.
        match carrier.turn().await {
            Ok(true) => {
                failures = 0;
                if carrier.shared.stop.is_cancelled() {
                    return;
                }
            }
            Ok(false) => {
                failures = 0;
                if !carrier.shared.idle(&carrier.route).await {
                    return;
                }
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                tracing::warn!(route = %carrier.route, %error, failures, "carrying failed");
                carrier.shared.update_route(&carrier.route, |state| state.last_error = Some(error.to_string()));
                let wait = carrier.shared.config.backoff.wait(RetryReason::NotYet, failures);
                if !carrier.shared.rest(wait).await {
                    return;
                }
            }
        }
    }
}

impl Shared {
    /// Waits until one of a route's chains moved, somebody made work, or a tick passed. `false`: stop.
    pub(crate) async fn idle(&self, route: &Route) -> bool {
        let mut nudge = self.nudge.subscribe();
        let views = [self.views.get(&route.source_chain), self.views.get(&route.dest_chain)];
        let [Some(mut a), Some(mut b)] = views.map(|view| view.map(tokio::sync::watch::Sender::subscribe)) else {
            return false;
        };
        tokio::select! {
            () = self.stop.cancelled() => false,
            _ = a.changed() => true,
            _ = b.changed() => true,
            _ = nudge.changed() => true,
            () = tokio::time::sleep(tick(self)) => true,
        }
    }
}

struct Carrier {
    shared: Arc<Shared>,
    route: Route,
    prover: Arc<dyn Chain>,
    target: Arc<dyn Chain>,
    witnesses: Witnesses,
    client: Mutex<Option<(ClientStatus, Instant)>>,
    checked_pair: AtomicBool,
}

/// Items to be proven together.
type Batch = Vec<(Job, RelayItem)>;

/// What there is to carry.
enum Choice {
    /// Nothing that can be done now.
    Nothing,
    /// A small batch, which should wait this long for company.
    Wait(Duration),
    /// Batches, to be on their way at once.
    Go(Vec<Batch>),
}

impl Carrier {
    /// A few batches at once. `true`: there may be more to do at once.
    async fn turn(&self) -> Result<bool, RelayError> {
        let client = self.client(false).await?;
        if self.halted(&client).await? {
            return Ok(false);
        }
        if !self.prover.moves(client.client_type) {
            let (id, kind, chain) = (&client.client, client.client_type.as_str(), &self.route.source_chain);
            let why = format!(
                "client {id} is of type {kind}, the settings of {chain} name another header_source: nothing is carried to it from here"
            );
            self.shared.update_route(&self.route, |state| state.last_error = Some(why));
            return Ok(false);
        }
        if self.needs_refresh(&client) {
            return self.refresh(&client).await.map(|()| true);
        }
        let batches = match self.choose().await? {
            Choice::Nothing => return Ok(false),
            // After a stop the batch is left for the next start.
            Choice::Wait(time) => return Ok(self.shared.rest(time).await),
            Choice::Go(batches) => batches,
        };
        let full = batches.iter().any(|batch| batch.len() >= self.shared.config.max_batch);
        self.shared.at(Point::BatchChosen).await;
        // All are waited for, also when one fails: what was submitted is written down.
        let ended = futures::future::join_all(batches.into_iter().map(|batch| self.relay(batch))).await;
        ended.into_iter().collect::<Result<(), RelayError>>()?;
        Ok(full)
    }

    /// The client on the destination, not older than the settings say.
    async fn client(&self, fresh: bool) -> Result<ClientStatus, RelayError> {
        // With witnesses each state of the client is to be compared, not only those that we bring.
        let watched = !self.prover.witnesses().is_empty();
        let limit = if watched { tick(&self.shared) } else { Duration::from_millis(self.shared.config.client_poll_ms) };
        if let Some((status, _)) = lock(&self.client).as_ref().filter(|(_, at)| !fresh && at.elapsed() < limit) {
            return Ok(status.clone());
        }
        let (chain, id) = (&self.route.dest_chain, &self.route.dest_client);
        let status = self.shared.call(chain, "client", self.target.client(id)).await?;
        self.shared.metrics.client_frozen(chain, id, status.frozen);
        if let Some(now) = self.now() {
            self.shared.metrics.client(chain, &status, now);
        }
        self.shared.update_route(&self.route, |state| state.client = Some(status.clone()));
        *lock(&self.client) = Some((status.clone(), Instant::now()));
        Ok(status)
    }

    /// The destination's clock, as of its newest block.
    fn now(&self) -> Option<Timestamp> {
        self.shared.view(&self.route.dest_chain).head.map(|head| head.latest.time)
    }

    /// Whether the route may carry nothing; says so once.
    async fn halted(&self, client: &ClientStatus) -> Result<bool, RelayError> {
        if !self.checked_pair.load(Ordering::Relaxed) {
            let (chain, id) = (&self.route.source_chain, &self.route.source_client);
            let other = self.shared.call(chain, "client", self.prover.client(id)).await?;
            let paired = Route::into_client(chain, &other) == self.route.reversed()
                && Route::into_client(&self.route.dest_chain, client) == self.route;
            if !paired {
                self.halt(Some(Halt::NotCounterparties));
                return Ok(true);
            }
            self.checked_pair.store(true, Ordering::Relaxed);
        }
        let expires = client.trusted.time.checked_add(client.trusting_period);
        let expired = self.now().zip(expires).is_some_and(|(now, expires)| now >= expires);
        let halt = match (client.frozen, expired) {
            (true, _) => Some(Halt::Frozen),
            (false, true) => Some(Halt::Expired),
            // Witnesses are for the source in the settings: of another one's headers they know nothing.
            (false, false) if !self.prover.moves(client.client_type) => None,
            (false, false) => self.witnesses.dispute(client).await?.map(|why| Halt::Disputed { why }),
        };
        let halted = halt.is_some();
        self.halt(halt);
        if halted && !client.frozen && !expired {
            // By evidence it may be frozen now.
            lock(&self.client).take();
        }
        Ok(halted)
    }

    /// Compares what is about to be brought with what the witnesses have. If one has another, nothing is brought.
    async fn check_update(&self, client: &ClientStatus, proven: &Proven) -> Result<(), RelayError> {
        let Verdict::Disputed(why) = self.witnesses.check(client, proven).await? else { return Ok(()) };
        self.halt(Some(Halt::Disputed { why: why.clone() }));
        lock(&self.client).take();
        Err(RelayError::Disputed(why))
    }

    fn halt(&self, halt: Option<Halt>) {
        let mut routes = lock(&self.shared.routes);
        let state = routes.entry(self.route.clone()).or_default();
        if state.halt != halt {
            match &halt {
                Some(why) => tracing::error!(route = %self.route, ?why, "the route carries nothing any more"),
                None => tracing::info!(route = %self.route, "the route carries again"),
            }
            state.halt = halt;
        }
    }

    /// Whether half of the trusting period has passed since the newest state the client trusts.
    fn needs_refresh(&self, client: &ClientStatus) -> bool {
        let half = client.trusting_period.saturating_div(2);
        self.now().is_some_and(|now| now.since(client.trusted.time) >= half)
    }

    async fn refresh(&self, client: &ClientStatus) -> Result<(), RelayError> {
        let start = Instant::now();
        let source = &self.route.source_chain;
        let proven = self.shared.call(source, "prove_update", self.prover.prove_update(client)).await?;
        self.shared.metrics.proof(client, proof_op(None), start.elapsed());
        self.check_update(client, &proven).await?;
        let (chain, id) = (&self.route.dest_chain, &self.route.dest_client);
        let sent = self.shared.send(chain, "submit", self.target.submit(id, &proven)).await;
        let outcome = if sent.is_ok() { TxOutcome::Done } else { TxOutcome::Failed };
        self.shared.metrics.transaction(chain, outcome);
        let submitted = sent?;
        tracing::info!(route = %self.route, tx = %submitted.tx.0, "client refreshed");
        // It may have learned who signs next before it can go on.
        if self.client(true).await? != *client {
            return Ok(());
        }
        let detail = "the refresh did not move the client; a newer final block is needed".to_owned();
        Err(ChainError::NotYet(detail).into())
    }

    /// The next batches: acks and timeouts first, then recvs, each nearest deadline first.
    async fn choose(&self) -> Result<Choice, RelayError> {
        let (chain, client) = (&self.route.dest_chain, &self.route.dest_client);
        let max = self.shared.config.max_batch;
        let most = max.saturating_mul(self.shared.config.batches_at_once);
        let now = now_ms();
        let mut batch: Batch = vec![];
        let mut oldest = now;
        let (mut late, mut stopped, mut doubtful) = (vec![], vec![], vec![]);
        let other_way = self.other_way_is_doubtful();
        for action in [Action::Ack, Action::Timeout, Action::Recv] {
            let room = most.saturating_sub(batch.len());
            if room == 0 {
                break;
            }
            for id in self.shared.journal.work(chain, client, action, now, room)? {
                let Some(life) = self.shared.journal.life(&id)?.filter(|life| life.action() == Some(action)) else {
                    continue;
                };
                let job = (id, action);
                if self.is_stopped(&life) {
                    stopped.push(job);
                } else if action == Action::Recv && other_way {
                    doubtful.push(job);
                } else if action == Action::Recv && self.too_late(&life) {
                    late.push(job);
                } else if let Some(item) = self.item(&life, action)? {
                    oldest = oldest.min(life.since_ms);
                    batch.push((job, item));
                }
            }
        }
        let why = "too near the timeout to be received; waiting for proof that it was not";
        self.shared.fail_all(&late, Failure::later(RetryReason::TooLate, why)).await?;
        let why = "the supply audit found an imbalance in this denom; it moves on when the books balance";
        self.shared.fail_all(&stopped, Failure::later(RetryReason::DenomStopped, why)).await?;
        let why = "the client of the way back is frozen or in dispute: what its chain sent may be forged, so no points follow it";
        self.shared.fail_all(&doubtful, Failure::later(RetryReason::CounterpartyStopped, why)).await?;
        if batch.is_empty() {
            return Ok(Choice::Nothing);
        }
        let left = self.shared.config.max_wait_ms.saturating_sub(now.saturating_sub(oldest));
        if batch.len() < max && left > 0 {
            return Ok(Choice::Wait(Duration::from_millis(left)));
        }
        Ok(Choice::Go(batch.chunks(max).map(<[_]>::to_vec).collect()))
    }

    fn item(&self, life: &Life, action: Action) -> Result<Option<RelayItem>, JournalError> {
        let Some(packet) = self.shared.journal.packet(&life.id)? else { return Ok(None) };
        Ok(match (action, &life.facts.acked) {
            (Action::Ack, Some(acked)) => Some(RelayItem::Ack { packet, ack: acked.ack.clone() }),
            (Action::Timeout, _) => Some(RelayItem::Timeout { packet }),
            (Action::Recv, _) => Some(RelayItem::Recv { packet }),
            (Action::Ack, None) | (Action::Claim | Action::Void, _) => None,
        })
    }

    /// Whether headers of the destination are in doubt on the source. Points that a forged header made there could drain the
    /// vault here, so nothing new is received; what was sent from here is still acknowledged and timed out.
    fn other_way_is_doubtful(&self) -> bool {
        let routes = lock(&self.shared.routes);
        let halt = routes.get(&self.route.reversed()).and_then(|state| state.halt.as_ref());
        matches!(halt, Some(Halt::Frozen | Halt::Disputed { .. }))
    }

    fn is_stopped(&self, life: &Life) -> bool {
        let halted = lock(&self.shared.halted_denoms);
        !halted.is_empty()
            && life
                .terms
                .as_ref()
                .is_some_and(|terms| halted.contains(&(life.route.source_chain.clone(), terms.denom.clone())))
    }

    fn too_late(&self, life: &Life) -> bool {
        let Some((now, terms)) = self.now().zip(life.terms.as_ref()) else { return false };
        terms.timeout.since(now) <= self.shared.config.recv_margin_s
    }

    /// Proves and submits; splits what fails as a whole until the item at fault is alone.
    async fn relay(&self, batch: Batch) -> Result<(), RelayError> {
        let mut stack = vec![batch];
        while let Some(batch) = stack.pop() {
            let Err(error) = self.try_batch(&batch).await? else { continue };
            self.shared.metrics.transaction(&self.route.dest_chain, TxOutcome::Failed);
            tracing::warn!(route = %self.route, items = batch.len(), %error, "a batch failed as a whole");
            self.shared.update_route(&self.route, |state| state.last_error = Some(error.to_string()));
            match classify(&error) {
                Whole::Stop => {
                    self.client(true).await?;
                    return Err(error.into());
                }
                Whole::Halve if batch.len() > 1 => {
                    let mut left = batch;
                    let right = left.split_off(left.len().div_ceil(2));
                    stack.extend([right, left]);
                }
                Whole::Halve | Whole::Later => {
                    let jobs: Vec<Job> = batch.into_iter().map(|(job, _)| job).collect();
                    self.shared.fail_all(&jobs, Failure::of(&error)).await?;
                }
            }
        }
        Ok(())
    }

    /// One proof and one transaction. The inner error is a chain's, about the batch as a whole.
    async fn try_batch(&self, batch: &Batch) -> Result<Result<(), ChainError>, RelayError> {
        let client = self.client(true).await?;
        let items: Vec<RelayItem> = batch.iter().map(|(_, item)| item.clone()).collect();
        let start = Instant::now();
        let source = &self.route.source_chain;
        let proven = match self.shared.call(source, "prove", self.prover.prove(&client, &items)).await {
            Ok(proven) => proven,
            Err(error) => return Ok(Err(error)),
        };
        let op = proof_op(batch.first().map(|((_, action), _)| *action));
        self.shared.metrics.proof(&client, op, start.elapsed());
        let (mut carried, mut left_out): (Vec<Job>, Vec<Job>) = (vec![], vec![]);
        for item in &proven.items {
            let Some((job, _)) = batch.iter().find(|(_, wanted)| wanted == item) else {
                let detail = "it proved an item that it was not asked for".to_owned();
                return Ok(Err(ChainError::Untrustworthy { chain: source.clone(), detail }));
            };
            carried.push(job.clone());
        }
        for (job, _) in batch {
            if !carried.contains(job) {
                left_out.push(job.clone());
            }
        }
        let why = "the chain could not prove it yet, or what was seen of it is not true";
        self.shared.fail_all(&left_out, Failure::later(RetryReason::NotProven, why)).await?;
        // Nothing of it could be proven; the client may have to follow a change of validators first.
        if carried.is_empty() && !proven.has_update() {
            return Ok(Ok(()));
        }
        self.check_update(&client, &proven).await?;
        self.shared.at(Point::BatchProven).await;
        let (chain, id) = (&self.route.dest_chain, &self.route.dest_client);
        let submitted = match self.shared.send(chain, "submit", self.target.submit(id, &proven)).await {
            Ok(submitted) => submitted,
            Err(error) => return Ok(Err(error)),
        };
        self.shared.at(Point::BatchSubmitted).await;
        if !carried.is_empty() {
            self.shared.metrics.batch(&self.route, carried.len());
        }
        if submitted.outcomes.len() != carried.len() {
            return Ok(Err(ChainError::OutcomeUnknown { chain: chain.clone(), tx: submitted.tx.0 }));
        }
        self.shared.record(chain, &carried, &submitted).await?;
        self.shared.update_route(&self.route, |state| {
            state.last_error = None;
            state.last_success_ms = Some(now_ms());
        });
        self.shared.at(Point::OutcomesJournaled).await;
        Ok(Ok(()))
    }
}
