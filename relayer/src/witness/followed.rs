//! Headers that others brought to the client and followed at once, so that nobody saw them as its newest: whoever forges
//! a header would do that. The destination's final blocks tell of each; each is compared, however late.

use super::{About, Verdict, Witnesses};
use crate::journal::JournalError;
use crate::shared::{RelayError, lock};
use crosspoint_adapters::chain::{ClientStatus, Head};
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::witness::{Against, Brought};
use crosspoint_protocol::ids::{Height, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// For how many seconds after its time a header is waited for that no witness has.
const PATIENCE: u64 = 600;
/// After how many blocks it is written down how far was looked. What is looked through twice does no harm.
const WRITE_EVERY: u64 = 100;

/// Up to which block of the destination the updates of a client were compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Looked {
    generation: u64,
    block: Height,
    /// What is in the journal.
    #[serde(skip)]
    written: Height,
}

impl Witnesses {
    /// Compares what was brought to the client since the last look. What is in dispute of it, in words.
    pub(super) async fn look_back(&self, client: &ClientStatus) -> Result<Option<String>, RelayError> {
        let Some(head) = self.shared.view(&self.route.dest_chain).head else { return Ok(self.standing()) };
        let looked = self.looked(client, head.finalized.height)?;
        let rests = lock(&self.state).look_again.is_some_and(|at| Instant::now() < at);
        if rests || looked.block >= head.finalized.height {
            return Ok(self.standing());
        }
        let last = looked.block.0.saturating_add(self.shared.config.scan_blocks);
        let to = Height(last).min(head.finalized.height);
        let verdict = self.look(client, looked.block.next(), to, head).await?;
        let done = matches!(verdict, Some(Verdict::Open(_)));
        if !done || to == head.finalized.height {
            let wait = Duration::from_millis(self.shared.config.client_poll_ms);
            lock(&self.state).look_again = Instant::now().checked_add(wait);
        }
        match verdict {
            Some(Verdict::Disputed(why)) => Ok(Some(why)),
            Some(Verdict::Open(_)) => {
                if self.standing().is_some() {
                    tracing::info!(route = %self.route, "the dispute about what was brought is settled");
                    self.settle(None);
                }
                self.move_on(looked, to).await?;
                Ok(None)
            }
            None => Ok(self.standing()),
        }
    }

    /// Compares what was brought in these blocks. `None`: some of it can only be compared later.
    async fn look(
        &self,
        client: &ClientStatus,
        from: Height,
        to: Height,
        head: Head,
    ) -> Result<Option<Verdict>, RelayError> {
        let chain = &self.route.dest_chain;
        let updates = match self.shared.call(chain, "updates", self.target.updates(client, from, to)).await {
            Ok(updates) => updates,
            Err(ChainError::Pruned { .. } | ChainError::NotFound { .. }) => {
                tracing::warn!(route = %self.route, %from, %to, "what was brought to the client in blocks that are gone is not compared");
                return Ok(Some(Verdict::Open(vec![])));
            }
            Err(error) => return Err(error.into()),
        };
        for update in &updates {
            match self.compare_brought(client, update, head.latest.time).await? {
                Some(Verdict::Open(_)) => {}
                other => return Ok(other),
            }
        }
        Ok(Some(Verdict::Open(vec![])))
    }

    async fn compare_brought(
        &self,
        client: &ClientStatus,
        update: &Brought,
        now: Timestamp,
    ) -> Result<Option<Verdict>, RelayError> {
        if lock(&self.state).compared.contains(&update.mark) {
            return Ok(Some(Verdict::Open(vec![])));
        }
        let answers = self.ask_all(client, update.mark.height, update.time).await;
        let answered = !answers.is_empty();
        let newest = update.mark.height == client.marked_height();
        let against = if newest { Against::Trusted } else { Against::Followed };
        let mut agreeing = vec![];
        for (at, mark) in answers {
            match mark {
                Some(mark) if mark == update.mark => {
                    self.agrees(at, mark);
                    agreeing.push(at);
                }
                Some(mark) => return self.contradicted(at, client, mark, against).await.map(Some),
                None => {}
            }
        }
        // One that lags behind will have it yet; one that dropped it will not.
        let gone = answered && now.since(update.time) > PATIENCE;
        Ok((!agreeing.is_empty() || gone).then_some(Verdict::Open(agreeing)))
    }

    /// What is in dispute of what was brought.
    fn standing(&self) -> Option<String> {
        let state = lock(&self.state);
        state.dispute.as_ref().filter(|dispute| dispute.about == About::Followed).map(|dispute| dispute.why.clone())
    }

    /// Up to where was looked; at first, and after another anchor, up to the newest final block.
    fn looked(&self, client: &ClientStatus, newest: Height) -> Result<Looked, JournalError> {
        let generation = client.generation;
        let known = lock(&self.state).looked;
        let known = match known {
            Some(known) => Some(known),
            None => self.shared.journal.looked(&self.route)?.map(|looked| Looked { written: looked.block, ..looked }),
        };
        let looked = known.filter(|looked| looked.generation == generation);
        let looked = looked.unwrap_or(Looked { generation, block: newest, written: Height(0) });
        lock(&self.state).looked = Some(looked);
        Ok(looked)
    }

    async fn move_on(&self, looked: Looked, to: Height) -> Result<(), JournalError> {
        let mut next = Looked { block: to, ..looked };
        if to.0.saturating_sub(looked.written.0) >= WRITE_EVERY {
            next.written = to;
            let route = self.route.clone();
            self.shared.journal.step::<(), JournalError>(move |step| step.put_looked(&route, next)).await?;
        }
        lock(&self.state).looked = Some(next);
        Ok(())
    }
}
