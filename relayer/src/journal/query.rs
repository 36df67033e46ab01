//! Reading the journal: for the pipelines (work due), for people (transfers) and for the audit (totals).

use super::keys::{self, Cf, ClockKind};
use super::totals::Totals;
use super::{Journal, JournalError, decode};
use crate::life::{Action, HistoryEntry, Life, Stage};
use crate::route::{PacketId, Route};
use crosspoint_protocol::ids::{ChainId, ClientId, Sequence};
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Hashlock;
use rocksdb::{Direction, IteratorMode};
use serde::{Deserialize, Serialize};

/// Most packets on one page.
pub const MAX_PAGE: usize = 500;
/// Most entries looked at for one page, so that a rare filter cannot hold a reader for long.
const MAX_SCAN: usize = 20_000;

/// Which packets a list shows. All that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Sent on this chain.
    pub source_chain: Option<ChainId>,
    /// Received on this chain.
    pub dest_chain: Option<ChainId>,
    /// Sent through this client.
    pub source_client: Option<ClientId>,
    /// At this stage.
    pub stage: Option<Stage>,
    /// With this hashlock.
    pub hashlock: Option<Hashlock>,
}

impl Filter {
    fn admits(&self, life: &Life) -> bool {
        fn holds<T: PartialEq>(wanted: &Option<T>, found: &T) -> bool {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        }
        holds(&self.source_chain, &life.route.source_chain)
            && holds(&self.dest_chain, &life.route.dest_chain)
            && holds(&self.source_client, &life.route.source_client)
            && holds(&self.stage, &life.stage)
            && self.hashlock.is_none_or(|wanted| life.terms.as_ref().is_some_and(|terms| terms.hashlock == wanted))
    }
}

/// Where the next page starts. Opaque to its user; text that is none of ours is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageToken(String);

impl PageToken {
    /// The token as text, for a URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn key(&self) -> Result<Vec<u8>, JournalError> {
        hex::decode(&self.0).map_err(|_| JournalError::PageToken)
    }
}

impl std::str::FromStr for PageToken {
    type Err = JournalError;
    fn from_str(text: &str) -> Result<Self, JournalError> {
        if text.is_empty() || text.len() > 512 || hex::decode(text).is_err() {
            return Err(JournalError::PageToken);
        }
        Ok(Self(text.to_owned()))
    }
}

/// One page of packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page {
    /// The packets, newest first.
    pub items: Vec<Life>,
    /// Where the next page starts, if there may be more.
    pub next: Option<PageToken>,
}

/// All the journal knows of one packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transfer {
    /// Where it is.
    pub life: Life,
    /// As it was sent; `None` until its source was read that far.
    pub packet: Option<Packet>,
    /// How it got there, oldest first.
    pub history: Vec<HistoryEntry>,
}

/// How many packets of a route are at one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageCount {
    /// The route.
    pub route: Route,
    /// The stage.
    pub stage: Stage,
    /// Packets there now.
    pub count: u64,
    /// Since when the oldest of them is there, in milliseconds since 1970.
    pub oldest_since_ms: Option<u64>,
}

impl Journal {
    /// A page of packets, newest first by the block time of their first event. `limit` is cut to
    /// [`MAX_PAGE`]; a page may be short, even empty, with more to follow.
    pub fn list(&self, filter: &Filter, from: Option<&PageToken>, limit: usize) -> Result<Page, JournalError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let (cf, prefix, id_at) = match filter.hashlock {
            Some(hashlock) => (Cf::ByHashlock, hashlock.0.to_vec(), 32),
            None => (Cf::ByTime, vec![], 8),
        };
        // Backwards from the last key of the page before, or from the end of the prefix.
        let (start, skip) = match from {
            Some(token) => (Some(token.key()?), true),
            None => (super::prefix_end(&prefix), false),
        };
        let mode = match &start {
            Some(key) => IteratorMode::From(key, Direction::Reverse),
            None => IteratorMode::End,
        };
        let mut items = vec![];
        let mut scanned = 0_usize;
        for entry in self.db.iterator_cf(self.cf(cf)?, mode) {
            let (key, _) = entry?;
            if skip && start.as_deref() == Some(&*key) {
                continue;
            }
            if !key.starts_with(&prefix) {
                break;
            }
            let id = packet_at(cf, &key, id_at)?;
            if let Some(life) = self.life(&id)?.filter(|life| filter.admits(life)) {
                items.push(life);
            }
            scanned = scanned.saturating_add(1);
            if items.len() >= limit || scanned >= MAX_SCAN {
                return Ok(Page { items, next: Some(PageToken(hex::encode(key))) });
            }
        }
        Ok(Page { items, next: None })
    }

    /// One packet with its whole history.
    pub fn transfer(&self, id: &PacketId) -> Result<Transfer, JournalError> {
        let life = self.life(id)?.ok_or_else(|| JournalError::NoPacket(id.clone()))?;
        Ok(Transfer { packet: self.packet(id)?, history: self.history(id)?, life })
    }

    /// One packet's history, oldest first.
    pub fn history(&self, id: &PacketId) -> Result<Vec<HistoryEntry>, JournalError> {
        let prefix = keys::packet(id);
        let mut entries = vec![];
        for entry in self.db.iterator_cf(self.cf(Cf::History)?, IteratorMode::From(&prefix, Direction::Forward)) {
            let (key, value) = entry?;
            if !key.starts_with(&prefix) {
                break;
            }
            entries.push(decode(Cf::History, &value)?);
        }
        Ok(entries)
    }

    /// Packets with a hashlock, at most `limit`.
    pub fn by_hashlock(&self, hashlock: &Hashlock, limit: usize) -> Result<Vec<Life>, JournalError> {
        let ids = self.ids_with_hashlock(hashlock, limit)?;
        ids.iter().map(|id| self.life(id)).filter_map(Result::transpose).collect()
    }

    pub(crate) fn ids_with_hashlock(&self, hashlock: &Hashlock, limit: usize) -> Result<Vec<PacketId>, JournalError> {
        let found = self.keys(Cf::ByHashlock, &hashlock.0, &hashlock.0, limit)?;
        found.iter().map(|key| packet_at(Cf::ByHashlock, key, 32)).collect()
    }

    /// All routes known, both ways of each pair of clients.
    pub fn routes(&self) -> Result<Vec<Route>, JournalError> {
        let mut routes = vec![];
        for entry in self.db.iterator_cf(self.cf(Cf::Routes)?, IteratorMode::Start) {
            routes.push(decode(Cf::Routes, &entry?.1)?);
        }
        Ok(routes)
    }

    /// How many packets of a route are at each stage, and since when the oldest waits there.
    pub fn stage_counts(&self, route: &Route) -> Result<Vec<StageCount>, JournalError> {
        let count = |stage: Stage| {
            let prefix = keys::stage_prefix(&route.source_chain, &route.source_client, stage);
            let oldest = self.keys(Cf::ByStage, &prefix, &prefix, 1)?;
            let oldest_since_ms = oldest.first().and_then(|key| number_at(key, prefix.len()));
            Ok(StageCount { route: route.clone(), stage, count: self.stage_count(&prefix)?, oldest_since_ms })
        };
        Stage::ALL.into_iter().map(count).collect()
    }

    /// All that was sent through a client, by denom and standing.
    pub fn totals(&self, chain: &ChainId, source_client: &ClientId) -> Result<Totals, JournalError> {
        Ok(self.read(Cf::Sums, &keys::totals(chain, source_client))?.unwrap_or_default())
    }

    /// Work on a client that can be done now: first what was tried before and is due again, then what is
    /// fresh, nearest deadline first. At most half of `limit` is repeated work if there is fresh work too.
    pub(crate) fn work(
        &self,
        chain: &ChainId,
        client: &ClientId,
        action: Action,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<PacketId>, JournalError> {
        let ready = keys::work_prefix(chain, client, action, keys::READY);
        let waiting = keys::work_prefix(chain, client, action, keys::WAITING);
        let due = |key: &[u8], found: &[Vec<u8>]| {
            found.len() < limit && number_at(key, waiting.len()).is_some_and(|at| at <= now_ms)
        };
        let mut again = self.scan(Cf::Work, &waiting, &waiting, due)?;
        let fresh = self.keys(Cf::Work, &ready, &ready, limit)?;
        let half = limit.div_ceil(2);
        again.truncate(half.max(limit.saturating_sub(fresh.len())));
        let all = again.into_iter().chain(fresh).take(limit);
        all.map(|key| packet_at(Cf::Work, &key, ready.len().saturating_add(8))).collect()
    }

    /// Packets of a route that have been at a stage since before `since_ms`, oldest first.
    pub(crate) fn at_stage_since(
        &self,
        route: &Route,
        stage: Stage,
        since_ms: u64,
        limit: usize,
    ) -> Result<Vec<PacketId>, JournalError> {
        let (chain, client) = (&route.source_chain, &route.source_client);
        let prefix = keys::stage_prefix(chain, client, stage);
        let old = |key: &[u8], found: &[Vec<u8>]| {
            found.len() < limit && number_at(key, prefix.len()).is_some_and(|since| since < since_ms)
        };
        let damaged = || JournalError::Damaged { family: Cf::ByStage.name(), detail: "a key names no packet".into() };
        let sequence = |key: Vec<u8>| number_at(&key, prefix.len().saturating_add(8)).ok_or_else(damaged);
        let id = |sequence| PacketId { chain: chain.clone(), client: client.clone(), sequence: Sequence(sequence) };
        self.scan(Cf::ByStage, &prefix, &prefix, old)?.into_iter().map(|key| sequence(key).map(id)).collect()
    }

    /// Packets that wait for a clock or a height of `chain` that has come.
    pub(crate) fn due(
        &self,
        chain: &ChainId,
        kind: ClockKind,
        until: u64,
        limit: usize,
    ) -> Result<Vec<PacketId>, JournalError> {
        let prefix = keys::clock_prefix(chain, kind);
        let come = |key: &[u8], found: &[Vec<u8>]| {
            found.len() < limit && number_at(key, prefix.len()).is_some_and(|at| at <= until)
        };
        let found = self.scan(Cf::Clock, &prefix, &prefix, come)?;
        found.iter().map(|key| packet_at(Cf::Clock, key, prefix.len().saturating_add(8))).collect()
    }

    /// The packet of a client with the highest number below `sequence`.
    pub(crate) fn packet_before(
        &self,
        chain: &ChainId,
        client: &ClientId,
        sequence: Sequence,
    ) -> Result<Option<PacketId>, JournalError> {
        let prefix = keys::client(chain, client);
        let Some(below) = sequence.0.checked_sub(1) else { return Ok(None) };
        let from = [prefix.as_slice(), &below.to_be_bytes()].concat();
        let mode = IteratorMode::From(&from, Direction::Reverse);
        let Some(entry) = self.db.iterator_cf(self.cf(Cf::Packets)?, mode).next() else { return Ok(None) };
        let (key, _) = entry?;
        if key.starts_with(&prefix) { packet_at(Cf::Packets, &key, 0).map(Some) } else { Ok(None) }
    }
}

fn packet_at(cf: Cf, key: &[u8], skip: usize) -> Result<PacketId, JournalError> {
    let damaged = || JournalError::Damaged { family: cf.name(), detail: "a key names no packet".into() };
    keys::packet_at(key, skip).ok_or_else(damaged)
}

fn number_at(key: &[u8], at: usize) -> Option<u64> {
    let bytes = key.get(at..at.checked_add(8)?)?;
    bytes.try_into().ok().map(u64::from_be_bytes)
}
