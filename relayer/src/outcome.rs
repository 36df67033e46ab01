//! What became of a batch: each item's outcome into the journal, and what to do when a batch fails as a whole.

use crate::journal::JournalError;
use crate::journal::step::{Cause, Step};
use crate::life::{Action, Life, Stage, Submission};
use crate::metrics::{PacketCount, TxOutcome};
use crate::retry::{Retry, RetryReason, short};
use crate::route::PacketId;
use crate::shared::Shared;
use crate::stuck;
use crosspoint_adapters::chain::{ItemOutcome, Submitted};
use crosspoint_adapters::error::ChainError;
use crosspoint_protocol::ids::ChainId;

/// A packet and what is done to it.
pub(crate) type Job = (PacketId, Action);

/// What a whole batch's failure asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whole {
    /// The client can take nothing: stop the route, leave the items.
    Stop,
    /// One item may be at fault: try the halves.
    Halve,
    /// Nobody's fault: try all again later.
    Later,
}

/// Classifies a failure of a batch. A refusal, or an answer about one of the items that makes no sense, may be
/// one item's fault; everything else concerns all of them alike.
pub(crate) const fn classify(error: &ChainError) -> Whole {
    match error {
        ChainError::Frozen(_) | ChainError::Expired(_) => Whole::Stop,
        ChainError::Rejected { .. }
        | ChainError::InvalidRequest(_)
        | ChainError::NotFound { .. }
        | ChainError::Untrustworthy { .. }
        | ChainError::Malformed { .. } => Whole::Halve,
        ChainError::Unreachable { .. }
        | ChainError::NotYet(_)
        | ChainError::Pruned { .. }
        | ChainError::OutcomeUnknown { .. }
        | ChainError::InsufficientFunds { .. } => Whole::Later,
    }
}

/// Whether a failure of one item alone is for good. State that is missing, or a wallet that is empty, is
/// mended by people without telling us, so it is tried again.
const fn is_final(error: &ChainError) -> bool {
    matches!(error, ChainError::InvalidRequest(_) | ChainError::Rejected { retryable: false, .. })
}

/// One failed try, to be written down.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) reason: RetryReason,
    pub(crate) detail: String,
    /// Not to be tried again by itself.
    pub(crate) last: bool,
}

impl Failure {
    pub(crate) fn of(error: &ChainError) -> Self {
        Self { reason: error.into(), detail: error.to_string(), last: is_final(error) }
    }

    pub(crate) fn later(reason: RetryReason, detail: &str) -> Self {
        Self { reason, detail: detail.to_owned(), last: false }
    }

    pub(crate) fn never(reason: RetryReason, detail: &str) -> Self {
        Self { reason, detail: detail.to_owned(), last: true }
    }
}

impl Shared {
    /// Writes down the same failure of several packets.
    pub(crate) async fn fail_all(&self, jobs: &[Job], failure: Failure) -> Result<(), JournalError> {
        let all = jobs.iter().cloned().map(|job| (job, Err(failure.clone()))).collect();
        self.write_outcomes(all).await
    }

    /// Writes down what a transaction did to its items, in one step, and counts it.
    pub(crate) async fn record(
        &self,
        chain: &ChainId,
        jobs: &[Job],
        submitted: &Submitted,
    ) -> Result<(), JournalError> {
        let submission = |action, duplicate| {
            let (tx, block) = (submitted.tx.clone(), submitted.block);
            Submission { action, tx, block, duplicate }
        };
        let result = |(job, outcome): (&Job, &ItemOutcome)| {
            let result = match outcome {
                ItemOutcome::Done => Ok(submission(job.1, false)),
                ItemOutcome::Duplicate => Ok(submission(job.1, true)),
                ItemOutcome::Skipped { reason, retryable: true } => Err(Failure::later(RetryReason::Skipped, reason)),
                ItemOutcome::Skipped { reason, retryable: false } => Err(Failure::never(RetryReason::Refused, reason)),
            };
            (job.clone(), result)
        };
        let results: Vec<_> = jobs.iter().zip(&submitted.outcomes).map(result).collect();
        let partial = results.iter().any(|(_, result)| result.is_err());
        self.metrics.transaction(chain, if partial { TxOutcome::Partial } else { TxOutcome::Done });
        self.write_outcomes(results).await
    }

    async fn write_outcomes(&self, results: Vec<(Job, Result<Submission, Failure>)>) -> Result<(), JournalError> {
        if results.is_empty() {
            return Ok(());
        }
        let backoff = self.config.backoff;
        let write = self.journal.step::<_, JournalError>(move |step| {
            let mut failed = vec![];
            for ((id, action), result) in results {
                let Some(mut life) = step.life(&id)? else { continue };
                // Final blocks may have said more than this transaction's outcome by now.
                if life.action() != Some(action) {
                    continue;
                }
                match result {
                    Ok(submission) => submit(step, &mut life, submission)?,
                    Err(failure) => {
                        let wait = |attempts| backoff.wait(failure.reason, attempts).as_millis();
                        give_up_or_wait(step, &mut life, action, &failure, wait, stuck::wait_ms(&backoff))?;
                        failed.push((life.route.clone(), failure.reason, life.stage == Stage::Stuck));
                    }
                }
                step.put(life)?;
            }
            Ok(failed)
        });
        for (route, reason, stuck) in write.await? {
            self.metrics.retry(&route, reason);
            if stuck {
                self.metrics.packet(&route, PacketCount::Stuck);
            }
        }
        Ok(())
    }
}

fn submit(step: &mut Step<'_>, life: &mut Life, submission: Submission) -> Result<(), JournalError> {
    let (chain, _) = life.target(submission.action);
    let at = Some((chain.clone(), submission.block, submission.tx.clone()));
    let stage = submission.action.submitted();
    life.submission = Some(submission);
    step.enter(life, stage, Cause { at, ..Cause::default() })
}

/// A recv that will not be tried again waits for its timeout, a claim for its deadline: both ends are
/// safe. For the rest there is no other way on, so a person must look; until then it is tried again once in a long while.
fn give_up_or_wait(
    step: &mut Step<'_>,
    life: &mut Life,
    action: Action,
    failure: &Failure,
    wait: impl Fn(u32) -> u128,
    stuck_ms: u64,
) -> Result<(), JournalError> {
    let now = step.now_ms;
    if !failure.last {
        let next = |attempts| Some(now.saturating_add(u64::try_from(wait(attempts)).unwrap_or(u64::MAX)));
        return step.fail(life, failure.reason, &failure.detail, next);
    }
    match action {
        Action::Recv | Action::Claim if life.terms.is_some() => {
            step.fail(life, failure.reason, &failure.detail, |_| None)
        }
        Action::Ack | Action::Timeout | Action::Recv | Action::Claim | Action::Void => {
            tracing::error!(packet = %life.id, reason = failure.reason.as_str(), detail = failure.detail, "a packet is stuck");
            let cause = Cause { reason: Some(failure.reason), note: Some(failure.detail.clone()), ..Cause::default() };
            step.enter(life, Stage::Stuck, cause)?;
            let detail = short(&failure.detail);
            let next_ms = Some(now.saturating_add(stuck_ms));
            life.retry = Some(Retry { attempts: 1, next_ms, reason: failure.reason, detail });
            Ok(())
        }
    }
}
