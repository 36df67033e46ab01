//! Headers that others brought to the client and followed at once, so that nobody saw them as its newest: whoever forges
//! a header would do that. The destination's final blocks tell of each; each is compared, however late.

use super::{ANSWER_LIMIT, About, Verdict, Witnesses};
use crate::journal::JournalError;
use crate::shared::{RelayError, lock};
use crosspoint_adapters::chain::ClientStatus;
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::witness::{Against, Brought, Seen};
use crosspoint_protocol::ids::{Height, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// For how many seconds after its time a header is waited for that no witness has yet: far longer than any chain takes to
/// make a block final.
const PATIENCE: u64 = 3 * 3_600;
/// Most headers that wait to be compared; above that the oldest are let go.
const MAX_WAITING: usize = 4_096;
/// After how many blocks it is written down how far was looked. What is looked through twice does no harm.
const WRITE_EVERY: u64 = 100;

/// How far the updates of a client were compared.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Looked {
    generation: u64,
    /// All before is read, and compared but for what waits.
    block: Height,
    /// What no witness has told of yet, oldest first, each with the block above which it was found.
    #[serde(skip)]
    waiting: VecDeque<(Height, Brought)>,
    /// The block in the journal.
    #[serde(skip)]
    written: Height,
    /// When to go on.
    #[serde(skip)]
    rests_until: Option<Instant>,
}

/// What came of comparing one header.
enum Compared {
    Agrees,
    Later,
    /// No witness answers at all.
    Silence,
    Disputed(String),
}

impl Witnesses {
    /// Compares what was brought to the client since the last look. What is in dispute of it, in words.
    pub(super) async fn look_back(&self, client: &ClientStatus) -> Result<Option<String>, RelayError> {
        let Some(head) = self.shared.view(&self.route.dest_chain).head else { return Ok(self.standing()) };
        let newest = head.finalized.height;
        let mut looked = self.looked(client, newest)?;
        if looked.rests_until.is_some_and(|until| Instant::now() < until) {
            return Ok(self.standing());
        }
        if looked.block < newest {
            let to = Height(looked.block.0.saturating_add(self.shared.config.scan_blocks)).min(newest);
            let updates = self.updates(client, looked.block.next(), to).await?;
            looked.waiting.extend(updates.into_iter().map(|update| (looked.block, update)));
            looked.block = to;
        }
        let disputed = self.compare_waiting(client, &mut looked.waiting, head.latest.time).await?;
        if looked.block == newest {
            let wait = Duration::from_millis(self.shared.config.client_poll_ms);
            looked.rests_until = Instant::now().checked_add(wait);
        }
        let open = disputed.is_none() && looked.waiting.is_empty();
        self.keep(looked).await?;
        if open && self.standing().is_some() {
            tracing::info!(route = %self.route, "the dispute about what was brought is settled");
            self.settle(None);
        }
        Ok(disputed.or_else(|| self.standing()))
    }

    /// Whether all that was brought up to this block was compared.
    pub(super) fn looked_past(&self, block: Height) -> bool {
        lock(&self.state).looked.as_ref().is_some_and(|looked| looked.block >= block && looked.waiting.is_empty())
    }

    async fn updates(&self, client: &ClientStatus, from: Height, to: Height) -> Result<Vec<Brought>, RelayError> {
        let chain = &self.route.dest_chain;
        match self.shared.call(chain, "updates", self.target.updates(client, from, to)).await {
            Err(ChainError::Pruned { .. } | ChainError::NotFound { .. }) => {
                tracing::warn!(route = %self.route, %from, %to, "what was brought to the client in blocks that are gone is not compared");
                Ok(vec![])
            }
            other => Ok(other?),
        }
    }

    /// Compares what waits, for about as long as one witness is waited for: batches wait meanwhile.
    async fn compare_waiting(
        &self,
        client: &ClientStatus,
        waiting: &mut VecDeque<(Height, Brought)>,
        now: Timestamp,
    ) -> Result<Option<String>, RelayError> {
        let started = Instant::now();
        while waiting.len() > MAX_WAITING {
            waiting.pop_front();
            tracing::warn!(route = %self.route, "more headers wait for witnesses than are kept; the oldest is not compared");
        }
        let mut later = VecDeque::new();
        let mut disputed = None;
        while started.elapsed() < ANSWER_LIMIT
            && let Some((above, update)) = waiting.pop_front()
        {
            match self.compare_brought(client, &update).await? {
                Compared::Agrees => {}
                Compared::Later | Compared::Silence if now.since(update.time) > PATIENCE => {
                    tracing::warn!(route = %self.route, height = %update.mark.height, "no witness told of a header that the client was brought");
                }
                Compared::Later => later.push_back((above, update)),
                Compared::Silence => {
                    waiting.push_front((above, update));
                    break;
                }
                Compared::Disputed(why) => {
                    disputed = Some(why);
                    later.push_back((above, update));
                    break;
                }
            }
        }
        later.append(waiting);
        *waiting = later;
        Ok(disputed)
    }

    async fn compare_brought(&self, client: &ClientStatus, update: &Brought) -> Result<Compared, RelayError> {
        if lock(&self.state).compared.contains(&update.mark) {
            return Ok(Compared::Agrees);
        }
        let newest = update.mark.height == client.marked_height();
        let against = if newest { Against::Trusted } else { Against::Followed };
        let answers = self.ask_all(client, update.mark.height, update.time).await;
        let silence = answers.is_empty();
        let (mut agrees, mut gone) = (false, !silence && answers.len() == self.prover.witnesses().len());
        for (at, seen) in answers {
            match seen {
                Seen::Header(mark) if mark == update.mark => {
                    self.agrees(at, mark);
                    agrees = true;
                }
                Seen::Header(mark) => {
                    return Ok(match self.contradicted(at, client, mark, against).await? {
                        Verdict::Disputed(why) => Compared::Disputed(why),
                        Verdict::Open(_) => Compared::Later,
                    });
                }
                Seen::NotYet => gone = false,
                Seen::Gone => {}
            }
        }
        Ok(if agrees || gone {
            Compared::Agrees
        } else if silence {
            Compared::Silence
        } else {
            Compared::Later
        })
    }

    /// What is in dispute of what was brought.
    fn standing(&self) -> Option<String> {
        let state = lock(&self.state);
        state.dispute.as_ref().filter(|dispute| dispute.about == About::Followed).map(|dispute| dispute.why.clone())
    }

    /// How far was looked; at first, and after another anchor, up to the newest final block.
    fn looked(&self, client: &ClientStatus, newest: Height) -> Result<Looked, JournalError> {
        let known = lock(&self.state).looked.clone();
        let known = match known {
            Some(known) => Some(known),
            None => self.shared.journal.looked(&self.route)?,
        };
        let generation = client.generation;
        Ok(known.filter(|looked| looked.generation == generation).unwrap_or_else(|| Looked {
            generation,
            block: newest,
            waiting: VecDeque::new(),
            written: Height(0),
            rests_until: None,
        }))
    }

    /// Keeps it; in the journal, once in a while, as far as nothing waits.
    async fn keep(&self, mut looked: Looked) -> Result<(), JournalError> {
        let done = looked.waiting.front().map_or(looked.block, |(above, _)| *above);
        if done.0.saturating_sub(looked.written.0) >= WRITE_EVERY {
            looked.written = done;
            let (route, kept) = (self.route.clone(), Looked { block: done, ..looked.clone() });
            self.shared.journal.step::<(), JournalError>(move |step| step.put_looked(&route, &kept)).await?;
        }
        lock(&self.state).looked = Some(looked);
        Ok(())
    }
}
