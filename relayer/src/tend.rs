//! One task per route: ends the holds of its packets on its destination. Claims those whose preimage is known,
//! voids those whose deadline has passed. It needs no proof, so a frozen client does not stop it.

use crate::journal::JournalError;
use crate::journal::step::{Cause, now_ms};
use crate::life::{Action, Life, Stage};
use crate::metrics::{PacketCount, TxOutcome};
use crate::outcome::{Failure, Job, Whole, classify};
use crate::probe::Point;
use crate::retry::RetryReason;
use crate::route::{PacketId, Route};
use crate::shared::{RelayError, Shared};
use crate::tower;
use crosspoint_adapters::chain::{Chain, ItemOutcome, Submitted};
use crosspoint_adapters::error::ChainError;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Preimage;
use std::sync::Arc;

/// Tends one route's holds until the relayer stops.
pub(crate) async fn run(shared: Arc<Shared>, route: Route) {
    let Ok(chain) = shared.chain(&route.dest_chain) else { return };
    let tender = Tender { shared, route, chain };
    let mut failures: u32 = 0;
    loop {
        match tender.turn().await {
            Ok(more) => {
                failures = 0;
                let go_on =
                    if more { !tender.shared.stop.is_cancelled() } else { tender.shared.idle(&tender.route).await };
                if !go_on {
                    return;
                }
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                tracing::warn!(route = %tender.route, %error, failures, "ending holds failed");
                let wait = tender.shared.config.backoff.wait(RetryReason::NotYet, failures);
                if !tender.shared.rest(wait).await {
                    return;
                }
            }
        }
    }
}

struct Tender {
    shared: Arc<Shared>,
    route: Route,
    chain: Arc<dyn Chain>,
}

/// A hold to be ended, with the preimage if it is a claim.
struct Hold {
    life: Life,
    packet: Packet,
    preimage: Option<Preimage>,
}

impl Tender {
    /// A few transactions of claims at once, then of voids. `true`: there may be more to do at once.
    async fn turn(&self) -> Result<bool, RelayError> {
        let max = self.shared.config.max_batch;
        let mut more = false;
        for action in [Action::Claim, Action::Void] {
            // Until the chain's clock is known, no claim is known to be in time, and none to be late for good.
            let blind = self.shared.view(&self.route.dest_chain).head.is_none();
            if action == Action::Claim && (blind || !self.shared.config.watch_tower) {
                continue;
            }
            let most = max.saturating_mul(self.shared.config.batches_at_once);
            let mut holds = self.choose(action, most).await?;
            more |= holds.len() >= max;
            let mut batches = vec![];
            while !holds.is_empty() {
                let rest = holds.split_off(max.min(holds.len()));
                batches.push(std::mem::replace(&mut holds, rest));
            }
            // All are waited for, also when one fails: what was submitted is written down.
            let ended = futures::future::join_all(batches.into_iter().map(|batch| self.end(action, batch))).await;
            ended.into_iter().collect::<Result<(), RelayError>>()?;
        }
        Ok(more)
    }

    async fn choose(&self, action: Action, max: usize) -> Result<Vec<Hold>, RelayError> {
        let (chain, client) = (&self.route.dest_chain, &self.route.dest_client);
        let mut holds = vec![];
        let (mut unknown, mut early) = (vec![], vec![]);
        for id in self.shared.journal.work(chain, client, action, now_ms(), max)? {
            let life = self.shared.journal.life(&id)?.filter(|life| life.action() == Some(action));
            let (Some(life), Some(packet)) = (life, self.shared.journal.packet(&id)?) else { continue };
            if action == Action::Void && !self.is_due(&life) {
                early.push(id);
                continue;
            }
            let preimage = if action == Action::Claim {
                match tower::preimage_for(&self.shared.journal, &life) {
                    Ok(Some(preimage)) => Some(preimage),
                    Ok(None) | Err(JournalError::Cipher(_) | JournalError::NoCipher) => {
                        unknown.push((id, action));
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            } else {
                None
            };
            holds.push(Hold { life, packet, preimage });
        }
        let why = "the invoice's preimage cannot be opened with the key that is set up";
        self.shared.fail_all(&unknown, Failure::later(RetryReason::NotFound, why)).await?;
        self.take_back(early).await?;
        Ok(holds)
    }

    /// Whether the claim deadline has passed by the destination's newest block.
    fn is_due(&self, life: &Life) -> bool {
        let head = self.shared.view(&self.route.dest_chain).head;
        head.zip(life.terms.as_ref()).is_none_or(|(head, terms)| head.latest.time >= terms.claim_deadline)
    }

    /// A node told a time that was not true. The holds can be claimed still, so they are as they were before.
    async fn take_back(&self, early: Vec<PacketId>) -> Result<(), JournalError> {
        if early.is_empty() {
            return Ok(());
        }
        let step = self.shared.journal.step(move |step| {
            for id in early {
                let Some(mut life) = step.life(&id)?.filter(|life| life.stage == Stage::VoidReady) else { continue };
                let stage = life.resting_stage();
                let note = Some("the claim deadline is not reached after all".to_owned());
                step.enter(&mut life, stage, Cause { note, ..Cause::default() })?;
                step.put(life)?;
            }
            Ok(())
        });
        step.await
    }

    fn in_time(&self, life: &Life) -> bool {
        let view = self.shared.view(&self.route.dest_chain);
        let Some(head) = view.head else { return false };
        let left = tower::time_to_claim(life, head.latest, view.block_time, self.shared.config.claim_margin_s);
        if let Some(left) = left {
            self.shared.metrics.claim_margin(&self.route, left);
        }
        left.is_some()
    }

    /// Leaves out claims whose time ran short while others were tried.
    async fn still_in_time(&self, action: Action, holds: Vec<Hold>) -> Result<Vec<Hold>, RelayError> {
        if action != Action::Claim {
            return Ok(holds);
        }
        let (holds, late): (Vec<Hold>, Vec<Hold>) = holds.into_iter().partition(|hold| self.in_time(&hold.life));
        let late: Vec<Job> = late.into_iter().map(|hold| (hold.life.id, action)).collect();
        let why = "too near the claim deadline: a claim that fails would still publish the preimage";
        // Looked at again until the deadline has passed: one node's clock is no reason to give a claim up.
        self.shared.fail_all(&late, Failure::later(RetryReason::TooLate, why)).await?;
        Ok(holds)
    }

    /// Submits; splits what fails as a whole until the hold at fault is alone.
    async fn end(&self, action: Action, holds: Vec<Hold>) -> Result<(), RelayError> {
        let chain = &self.route.dest_chain;
        let mut stack = vec![holds];
        while let Some(holds) = stack.pop() {
            let holds = self.still_in_time(action, holds).await?;
            if holds.is_empty() {
                continue;
            }
            let jobs: Vec<Job> = holds.iter().map(|hold| (hold.life.id.clone(), action)).collect();
            match self.submit(action, &holds).await {
                Ok(submitted) if submitted.outcomes.len() == jobs.len() => {
                    self.shared.at(Point::HoldEnded).await;
                    self.shared.record(chain, &jobs, &submitted).await?;
                    if action == Action::Claim {
                        for _ in submitted.outcomes.iter().filter(|outcome| **outcome == ItemOutcome::Done) {
                            self.shared.metrics.packet(&self.route, PacketCount::TowerClaim);
                        }
                    }
                }
                Ok(submitted) => {
                    let error = ChainError::OutcomeUnknown { chain: chain.clone(), tx: submitted.tx.0 };
                    self.shared.fail_all(&jobs, Failure::of(&error)).await?;
                }
                Err(error) => {
                    self.shared.metrics.transaction(chain, TxOutcome::Failed);
                    tracing::warn!(route = %self.route, items = holds.len(), %error, "ending holds failed as a whole");
                    if classify(&error) == Whole::Halve && holds.len() > 1 {
                        let mut left = holds;
                        let right = left.split_off(left.len().div_ceil(2));
                        stack.extend([right, left]);
                    } else {
                        self.shared.fail_all(&jobs, Failure::of(&error)).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn submit(&self, action: Action, holds: &[Hold]) -> Result<Submitted, ChainError> {
        let chain = &self.route.dest_chain;
        if action == Action::Claim {
            let claims = holds.iter().filter_map(|hold| Some((hold.packet.clone(), hold.preimage.clone()?)));
            let claims: Vec<_> = claims.collect();
            return self.shared.send(chain, "claim", self.chain.claim(&claims)).await;
        }
        let packets: Vec<Packet> = holds.iter().map(|hold| hold.packet.clone()).collect();
        self.shared.send(chain, "void", self.chain.void(&packets)).await
    }
}
