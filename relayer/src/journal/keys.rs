//! Column families and their keys. Chain and client ids hold no zero byte, so a zero ends each; numbers
//! are big-endian, so that keys sort as their values do.

use crate::life::{Action, Life, Stage};
use crate::route::{PacketId, Route};
use crosspoint_protocol::ids::{ChainId, ClientId, Sequence};
use crosspoint_protocol::secret::Hashlock;

/// A column family. The doc comment of each says key → value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cf {
    /// `schema` → u32be · `cursor‖chain` → [`super::Cursor`] · `halted` → set of denoms ·
    /// `witnessed‖dest chain‖dest client` → states of the client; `looked‖…` → up to where its updates were compared.
    Meta,
    /// packet → the packet as sent, in JSON. Written once.
    Packets,
    /// packet → [`Life`] in JSON.
    Lives,
    /// packet ‖ u32be number → [`crate::life::HistoryEntry`] in JSON. Only appended to.
    History,
    /// hashlock ‖ packet → nothing.
    ByHashlock,
    /// chain ‖ client ‖ stage ‖ u64be since (ms) ‖ u64be sequence → nothing.
    ByStage,
    /// u64be block time of the first event ‖ packet → nothing.
    ByTime,
    /// target chain ‖ target client ‖ action ‖ 0 ready or 1 waiting ‖ u64be deadline (s) or due (ms) ‖ packet → nothing.
    Work,
    /// chain ‖ clock kind ‖ u64be time (s) or height ‖ packet → nothing.
    Clock,
    /// chain ‖ client → [`super::Totals`] · chain ‖ client ‖ stage → u64be count.
    Sums,
    /// dest chain ‖ dest client → the route into it, in JSON.
    Routes,
    /// hashlock → [`super::secrets::Secret`] in JSON, the preimage sealed.
    Secrets,
}

impl Cf {
    pub(crate) const ALL: [Self; 12] = [
        Self::Meta,
        Self::Packets,
        Self::Lives,
        Self::History,
        Self::ByHashlock,
        Self::ByStage,
        Self::ByTime,
        Self::Work,
        Self::Clock,
        Self::Sums,
        Self::Routes,
        Self::Secrets,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Packets => "packets",
            Self::Lives => "lives",
            Self::History => "history",
            Self::ByHashlock => "by_hashlock",
            Self::ByStage => "by_stage",
            Self::ByTime => "by_time",
            Self::Work => "work",
            Self::Clock => "clock",
            Self::Sums => "sums",
            Self::Routes => "routes",
            Self::Secrets => "secrets",
        }
    }
}

/// What a chain's clock or height brings about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ClockKind {
    /// At the destination's time: the packet can no longer be received.
    Timeout = 0,
    /// At the destination's time: the hold can be voided.
    Claim = 1,
    /// At the height of our transaction, once final: its event must have been seen.
    Confirm = 2,
}

pub(crate) fn client(chain: &ChainId, client: &ClientId) -> Vec<u8> {
    [chain.as_bytes(), &[0], client.as_bytes(), &[0]].concat()
}

pub(crate) fn witnessed(route: &Route) -> Vec<u8> {
    [b"witnessed\0".as_slice(), &client(&route.dest_chain, &route.dest_client)].concat()
}

pub(crate) fn looked(route: &Route) -> Vec<u8> {
    [b"looked\0".as_slice(), &client(&route.dest_chain, &route.dest_client)].concat()
}

pub(crate) fn packet(id: &PacketId) -> Vec<u8> {
    [client(&id.chain, &id.client).as_slice(), &id.sequence.0.to_be_bytes()].concat()
}

/// The packet whose key stands at the end of `key`, after `skip` bytes.
pub(crate) fn packet_at(key: &[u8], skip: usize) -> Option<PacketId> {
    let rest = key.get(skip..)?;
    let mut parts = rest.splitn(3, |b| *b == 0);
    let text = |part: Option<&[u8]>| std::str::from_utf8(part?).ok().map(str::to_owned);
    let (chain, client) = (text(parts.next())?, text(parts.next())?);
    let sequence = u64::from_be_bytes(parts.next()?.try_into().ok()?);
    Some(PacketId { chain: chain.parse().ok()?, client: client.parse().ok()?, sequence: Sequence(sequence) })
}

pub(crate) fn history(id: &PacketId, number: u32) -> Vec<u8> {
    [packet(id).as_slice(), &number.to_be_bytes()].concat()
}

pub(crate) fn by_hashlock(hashlock: &Hashlock, id: &PacketId) -> Vec<u8> {
    [hashlock.0.as_slice(), &packet(id)].concat()
}

pub(crate) fn stage_prefix(chain: &ChainId, source_client: &ClientId, stage: Stage) -> Vec<u8> {
    [client(chain, source_client).as_slice(), &[stage as u8]].concat()
}

pub(crate) fn by_stage(life: &Life) -> Vec<u8> {
    let prefix = stage_prefix(&life.id.chain, &life.id.client, life.stage);
    [prefix.as_slice(), &life.since_ms.to_be_bytes(), &life.id.sequence.0.to_be_bytes()].concat()
}

pub(crate) fn by_time(life: &Life) -> Vec<u8> {
    [life.opened.0.to_be_bytes().as_slice(), &packet(&life.id)].concat()
}

pub(crate) const READY: u8 = 0;
pub(crate) const WAITING: u8 = 1;

pub(crate) fn work_prefix(chain: &ChainId, target: &ClientId, action: Action, state: u8) -> Vec<u8> {
    [client(chain, target).as_slice(), &[action as u8, state]].concat()
}

/// Where a packet stands in the queue of work, if there is something to do for it.
pub(crate) fn work(life: &Life) -> Option<Vec<u8>> {
    let action = life.action()?;
    let (state, order) = match &life.retry {
        Some(retry) => (WAITING, retry.next_ms.unwrap_or(u64::MAX)),
        None => (READY, deadline(life, action)),
    };
    let (chain, target) = life.target(action);
    Some([work_prefix(chain, target, action, state).as_slice(), &order.to_be_bytes(), &packet(&life.id)].concat())
}

/// Seconds on the destination's clock for recv and claim; for the rest, which have no deadline, since when
/// they wait.
fn deadline(life: &Life, action: Action) -> u64 {
    let since = life.since_ms.saturating_div(1_000);
    match (action, &life.terms) {
        (Action::Recv, Some(terms)) => terms.timeout.0,
        (Action::Claim, Some(terms)) => terms.claim_deadline.0,
        (Action::Ack | Action::Timeout | Action::Void, _) | (Action::Recv | Action::Claim, None) => since,
    }
}

pub(crate) fn clock_prefix(chain: &ChainId, kind: ClockKind) -> Vec<u8> {
    [chain.as_bytes(), &[0, kind as u8]].concat()
}

/// Where a packet waits for a clock or a height. No clock ends a bound hold.
pub(crate) fn clock(life: &Life) -> Option<Vec<u8>> {
    let (chain, kind, at) = match (life.stage, &life.terms, &life.submission) {
        (Stage::RecvReady, Some(terms), _) => (&life.route.dest_chain, ClockKind::Timeout, terms.timeout.0),
        (Stage::Held | Stage::ClaimReady, Some(terms), _) if terms.onward.is_none() => {
            (&life.route.dest_chain, ClockKind::Claim, terms.claim_deadline.0)
        }
        (
            Stage::RecvSubmitted
            | Stage::ClaimSubmitted
            | Stage::VoidSubmitted
            | Stage::AckSubmitted
            | Stage::TimeoutSubmitted,
            _,
            Some(submission),
        ) => (life.target(submission.action).0, ClockKind::Confirm, submission.block.height.0),
        (
            Stage::Announced
            | Stage::RecvReady
            | Stage::RecvSubmitted
            | Stage::Held
            | Stage::ClaimReady
            | Stage::ClaimSubmitted
            | Stage::VoidReady
            | Stage::VoidSubmitted
            | Stage::Claimed
            | Stage::Voided
            | Stage::Refused
            | Stage::AckSubmitted
            | Stage::TimeoutReady
            | Stage::TimeoutSubmitted
            | Stage::Settled
            | Stage::Refunded
            | Stage::TimedOut
            | Stage::Stuck,
            _,
            _,
        ) => return None,
    };
    Some([clock_prefix(chain, kind).as_slice(), &at.to_be_bytes(), &packet(&life.id)].concat())
}

pub(crate) fn totals(chain: &ChainId, source_client: &ClientId) -> Vec<u8> {
    client(chain, source_client)
}

pub(crate) fn cursor(chain: &ChainId) -> Vec<u8> {
    [b"cursor".as_slice(), &[0], chain.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packets_key_reads_back_even_when_its_number_holds_zero_bytes() {
        for sequence in [0, 1, 256, u64::MAX, 0x0001_0000_0200_0003] {
            let id = PacketId {
                chain: "crosspoint-1".parse().unwrap(),
                client: "attested-0".parse().unwrap(),
                sequence: Sequence(sequence),
            };
            assert_eq!(packet_at(&packet(&id), 0), Some(id));
        }
    }
}
