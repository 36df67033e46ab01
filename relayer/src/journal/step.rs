//! One step: everything it learns or decides is read, changed and written as one atomic batch, synced once.

use super::keys::{self, Cf};
use super::secrets::Secret;
use super::totals::Totals;
use super::{Cursor, Journal, JournalError, decode, encode, synced};
use crate::life::{HistoryEntry, Life, Stage};
use crate::retry::{Retry, RetryReason, short};
use crate::route::{PacketId, Route};
use crate::witness::Looked;
use crosspoint_adapters::chain::{ClientStatus, Tip, TxId};
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{ChainId, Height};
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Hashlock;
use rocksdb::WriteBatch;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Most entries of one packet's history. Later failures of the same kind are counted in
/// [`Retry::attempts`], not listed, so only a chain that contradicts itself could fill it.
const MAX_HISTORY: u32 = 1_000;

/// Milliseconds since 1970 by this machine's clock.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What caused a change, for the history.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cause {
    pub(crate) at: Option<(ChainId, Tip, TxId)>,
    pub(crate) reason: Option<RetryReason>,
    pub(crate) note: Option<String>,
}

/// Changes that are written together or not at all.
pub(crate) struct Step<'a> {
    journal: &'a Journal,
    pub(crate) now_ms: u64,
    batch: WriteBatch,
    /// Before and after, of each packet changed.
    lives: BTreeMap<PacketId, (Option<Life>, Life)>,
    secrets: BTreeMap<Hashlock, Secret>,
}

impl Journal {
    /// Runs `work` over the journal and writes what it changed. Steps run one at a time; if `work`
    /// fails, nothing is written. Runs on the blocking pool, because the write waits for the disk.
    pub(crate) async fn step<T, E>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Step<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<JournalError> + Send + 'static,
    {
        let journal = Arc::clone(self);
        let run = tokio::task::spawn_blocking(move || journal.step_now(work));
        run.await.unwrap_or_else(|_| Err(JournalError::Interrupted.into()))
    }

    /// As [`Journal::step`], on this thread.
    pub(crate) fn step_now<T, E: From<JournalError>>(
        &self,
        work: impl FnOnce(&mut Step<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // A step that panicked wrote nothing, so the next one may go on.
        let _one_at_a_time = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut step = Step {
            journal: self,
            now_ms: now_ms(),
            batch: WriteBatch::default(),
            lives: BTreeMap::new(),
            secrets: BTreeMap::new(),
        };
        let value = work(&mut step)?;
        step.commit()?;
        Ok(value)
    }
}

impl Step<'_> {
    pub(crate) fn life(&self, id: &PacketId) -> Result<Option<Life>, JournalError> {
        match self.lives.get(id) {
            Some((_, life)) => Ok(Some(life.clone())),
            None => self.journal.life(id),
        }
    }

    pub(crate) fn put(&mut self, life: Life) -> Result<(), JournalError> {
        match self.lives.get_mut(&life.id) {
            Some((_, now)) => *now = life,
            None => {
                let before = self.journal.life(&life.id)?;
                self.lives.insert(life.id.clone(), (before, life));
            }
        }
        Ok(())
    }

    /// Moves a packet to a stage, with a line in its history. What was tried before is over.
    pub(crate) fn enter(&mut self, life: &mut Life, stage: Stage, cause: Cause) -> Result<(), JournalError> {
        if life.stage != stage {
            life.stage = stage;
            life.since_ms = self.now_ms;
        }
        life.retry = None;
        self.record(life, cause)
    }

    /// A try failed: it is made again at `next_ms`, or not by itself if `None`. Repeated failures for one
    /// reason are one line of history and a count.
    pub(crate) fn fail(
        &mut self,
        life: &mut Life,
        reason: RetryReason,
        detail: &str,
        next_ms: impl FnOnce(u32) -> Option<u64>,
    ) -> Result<(), JournalError> {
        let before = life.retry.as_ref();
        let repeated = before.is_some_and(|retry| retry.reason == reason);
        let attempts = before.map_or(0, |retry| retry.attempts).saturating_add(1);
        life.retry = Some(Retry { attempts, next_ms: next_ms(attempts), reason, detail: short(detail) });
        if repeated {
            return Ok(());
        }
        self.record(life, Cause { at: None, reason: Some(reason), note: Some(detail.to_owned()) })
    }

    fn record(&mut self, life: &mut Life, cause: Cause) -> Result<(), JournalError> {
        if life.history_len >= MAX_HISTORY {
            return Ok(());
        }
        let (chain, block, tx) = match cause.at {
            Some((chain, block, tx)) => (Some(chain), Some(block), Some(tx)),
            None => (None, None, None),
        };
        let entry = HistoryEntry {
            at_ms: self.now_ms,
            stage: life.stage,
            chain,
            block,
            tx,
            reason: cause.reason,
            note: cause.note.map(|note| short(&note)),
        };
        let key = keys::history(&life.id, life.history_len);
        self.batch.put_cf(self.journal.cf(Cf::History)?, key, encode(Cf::History, &entry)?);
        life.history_len = life.history_len.saturating_add(1);
        Ok(())
    }

    pub(crate) fn put_packet(&mut self, id: &PacketId, packet: &Packet) -> Result<(), JournalError> {
        let value = encode(Cf::Packets, packet)?;
        self.batch.put_cf(self.journal.cf(Cf::Packets)?, keys::packet(id), value);
        Ok(())
    }

    pub(crate) fn put_route(&mut self, route: &Route) -> Result<(), JournalError> {
        let key = keys::client(&route.dest_chain, &route.dest_client);
        self.batch.put_cf(self.journal.cf(Cf::Routes)?, key, encode(Cf::Routes, route)?);
        Ok(())
    }

    pub(crate) fn put_cursor(&mut self, chain: &ChainId, height: Height) -> Result<(), JournalError> {
        let read = self.journal.cursor(chain)?.map_or(height, |before| before.read.max(height));
        let value = encode(Cf::Meta, &Cursor { height, read })?;
        self.batch.put_cf(self.journal.cf(Cf::Meta)?, keys::cursor(chain), value);
        Ok(())
    }

    pub(crate) fn put_halted(&mut self, denoms: &BTreeSet<(ChainId, Denom)>) -> Result<(), JournalError> {
        self.batch.put_cf(self.journal.cf(Cf::Meta)?, b"halted", encode(Cf::Meta, denoms)?);
        Ok(())
    }

    pub(crate) fn put_witnessed(&mut self, route: &Route, states: &[ClientStatus]) -> Result<(), JournalError> {
        self.batch.put_cf(self.journal.cf(Cf::Meta)?, keys::witnessed(route), encode(Cf::Meta, &states)?);
        Ok(())
    }

    pub(crate) fn put_looked(&mut self, route: &Route, looked: &Looked) -> Result<(), JournalError> {
        self.batch.put_cf(self.journal.cf(Cf::Meta)?, keys::looked(route), encode(Cf::Meta, looked)?);
        Ok(())
    }

    pub(crate) fn secret(&self, hashlock: &Hashlock) -> Result<Option<Secret>, JournalError> {
        self.journal.secret(hashlock)
    }

    pub(crate) fn put_secret(&mut self, hashlock: Hashlock, secret: Secret) {
        self.secrets.insert(hashlock, secret);
    }

    /// Up to `limit` packets with a hashlock, those changed in this step included.
    pub(crate) fn with_hashlock(&self, hashlock: &Hashlock, limit: usize) -> Result<Vec<Life>, JournalError> {
        let on_disk = self.journal.ids_with_hashlock(hashlock, limit)?;
        let here = self.lives.values().filter(|(_, life)| life.terms.as_ref().is_some_and(|t| t.hashlock == *hashlock));
        let ids: BTreeSet<PacketId> = here.map(|(_, life)| life.id.clone()).chain(on_disk).collect();
        let lives = ids.iter().map(|id| self.life(id));
        lives.filter_map(Result::transpose).collect()
    }

    pub(crate) fn journal(&self) -> &Journal {
        self.journal
    }

    fn commit(mut self) -> Result<(), JournalError> {
        let mut totals: BTreeMap<Vec<u8>, Totals> = BTreeMap::new();
        let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for (before, now) in self.lives.values() {
            if before.as_ref() == Some(now) {
                continue;
            }
            let value = encode(Cf::Lives, now)?;
            self.batch.put_cf(self.journal.cf(Cf::Lives)?, keys::packet(&now.id), value);
            for (cf, old, new) in index_changes(before.as_ref(), now) {
                let family = self.journal.cf(cf)?;
                if let Some(key) = old {
                    self.batch.delete_cf(family, key);
                }
                if let Some(key) = new {
                    self.batch.put_cf(family, key, []);
                }
            }
            let key = keys::totals(&now.id.chain, &now.id.client);
            let sums = match totals.entry(key) {
                std::collections::btree_map::Entry::Occupied(slot) => slot.into_mut(),
                std::collections::btree_map::Entry::Vacant(slot) => {
                    let sums = self.journal.read(Cf::Sums, slot.key())?.unwrap_or_default();
                    slot.insert(sums)
                }
            };
            sums.replace(before.as_ref(), now)?;
            let stage_key = |stage| keys::stage_prefix(&now.id.chain, &now.id.client, stage);
            match before.as_ref().map(|life| life.stage) {
                Some(stage) if stage == now.stage => {}
                left => {
                    if let Some(stage) = left {
                        count(self.journal, &mut counts, stage_key(stage), |n| n.saturating_sub(1))?;
                    }
                    count(self.journal, &mut counts, stage_key(now.stage), |n| n.saturating_add(1))?;
                }
            }
        }
        let sums = self.journal.cf(Cf::Sums)?;
        for (key, value) in totals {
            self.batch.put_cf(sums, key, encode(Cf::Sums, &value)?);
        }
        for (key, value) in counts {
            self.batch.put_cf(sums, key, encode(Cf::Sums, &value)?);
        }
        for (hashlock, secret) in &self.secrets {
            self.batch.put_cf(self.journal.cf(Cf::Secrets)?, hashlock.0, encode(Cf::Secrets, secret)?);
        }
        if self.batch.is_empty() {
            return Ok(());
        }
        let bytes = u64::try_from(self.batch.size_in_bytes()).unwrap_or(u64::MAX);
        self.journal.db.write_opt(self.batch, &synced())?;
        self.journal.syncs.fetch_add(1, Ordering::Relaxed);
        self.journal.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

fn count(
    journal: &Journal,
    counts: &mut BTreeMap<Vec<u8>, u64>,
    key: Vec<u8>,
    change: impl FnOnce(u64) -> u64,
) -> Result<(), JournalError> {
    let now = match counts.get(&key) {
        Some(now) => *now,
        None => journal.stage_count(&key)?,
    };
    counts.insert(key, change(now));
    Ok(())
}

type IndexChange = (Cf, Option<Vec<u8>>, Option<Vec<u8>>);

/// The index entries that a change removes and adds; nothing where they stay.
fn index_changes(before: Option<&Life>, now: &Life) -> Vec<IndexChange> {
    let by_hashlock = |life: &Life| life.terms.as_ref().map(|terms| keys::by_hashlock(&terms.hashlock, &life.id));
    let changes = [
        (Cf::ByHashlock, before.and_then(by_hashlock), by_hashlock(now)),
        (Cf::ByStage, before.map(keys::by_stage), Some(keys::by_stage(now))),
        (Cf::ByTime, before.map(keys::by_time), Some(keys::by_time(now))),
        (Cf::Work, before.and_then(keys::work), keys::work(now)),
        (Cf::Clock, before.and_then(keys::clock), keys::clock(now)),
    ];
    changes.into_iter().filter(|(_, old, new)| old != new).collect()
}

impl Journal {
    pub(crate) fn stage_count(&self, key: &[u8]) -> Result<u64, JournalError> {
        match self.db.get_cf(self.cf(Cf::Sums)?, key)? {
            Some(bytes) => decode(Cf::Sums, &bytes),
            None => Ok(0),
        }
    }
}
