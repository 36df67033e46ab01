//! The client that a chain keeps: roots of committees, finalized execution states, and nothing that is not final.

use alloy_primitives::{Address, B256};
use crosspoint_protocol::ids::{Height, Timestamp};
use serde::{Deserialize, Serialize};

use super::network::{Fork, Network};
use super::store::{check_bootstrap, has_two_thirds};
use super::types::{Bootstrap, LightClientHeader, SyncCommittee, Update};
use super::update::{SyncError, Trust, validate};

/// The newest finalized header the client trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latest {
    /// The slot of the beacon block.
    pub slot: u64,
    /// The beacon block's root.
    pub root: B256,
    /// The number of the execution block in it: the height that proofs name.
    pub number: Height,
    /// The execution block's time, in seconds.
    pub time: Timestamp,
}

/// What the client knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientState {
    /// The EIP-155 id of the chain it follows.
    pub evm_chain_id: u64,
    /// The beacon chain's sizes, clock and forks.
    pub network: Network,
    /// The newest header it trusts.
    pub latest: Latest,
    /// For how many seconds after its time a state is trusted. Committees cannot be slashed: keep it short, and far
    /// below the time in which stake can be withdrawn.
    pub trusting_period: u64,
    /// The gateway contract whose storage is proven.
    pub store_address: Address,
    /// The slot of its mapping of commitments.
    pub base_slot: B256,
    /// Whether the chain was seen to contradict itself; then nothing is believed.
    pub frozen: bool,
    /// Counts re-anchorings by governance.
    pub generation: u64,
}

/// A state that proofs are checked against, and from which later headers are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsensusState {
    /// The state root of the execution block.
    pub root: B256,
    /// The execution block's time, in seconds.
    pub time: Timestamp,
    /// The slot of the beacon block.
    pub slot: u64,
    /// The root of the committee of the slot's period.
    pub current_committee: B256,
    /// The root of the next period's, once it was shown.
    pub next_committee: Option<B256>,
}

/// A client update: with the committee that signed it, which the client knows by its root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The height of the consensus state to believe it from.
    pub trusted_height: Height,
    /// The committee of the period of the signatures.
    pub signers: SyncCommittee,
    /// The update, with a finalized header.
    pub update: Update,
}

/// Why a header is not believed, or evidence shows no misbehaviour.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PosError {
    /// The client is frozen.
    #[error("the client is frozen")]
    Frozen,
    /// The state to believe from is older than the trusting period.
    #[error("the trusted state expired at {expiry}; it is {now}")]
    Expired {
        /// From this second on it is expired.
        expiry: Timestamp,
        /// The time given.
        now: Timestamp,
    },
    /// The sync protocol refuses.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The update has no finalized header, or one before Capella, which names no execution state.
    #[error("the update has no finalized execution state")]
    NotFinal,
    /// Slot, number or time do not rise.
    #[error("the finalized header of slot {slot}, block {number}, is not above what is trusted")]
    NotAbove {
        /// The finalized header's slot.
        slot: u64,
        /// The number of its execution block.
        number: Height,
    },
    /// The finalized block's time is ahead of `now`, though its slot is not.
    #[error("the finalized block's time {time} is ahead of {now}")]
    FromTheFuture {
        /// Its time.
        time: Timestamp,
        /// The time given.
        now: Timestamp,
    },
    /// Too far ahead: a committee between was not shown.
    #[error("the finalized header of slot {0} is more than one period ahead; give an update between")]
    Skipped(u64),
    /// The evidence given shows no conflict.
    #[error("the evidence shows no conflict")]
    NoConflict,
}

impl Latest {
    /// Fails if the block's time is ahead of `now`, this chain's clock. Its slot has begun, but only those who make blocks
    /// vouch that its time is the slot's; a client that keeps it must not be kept from expiring by it.
    pub const fn check_not_ahead(&self, now: Timestamp) -> Result<(), PosError> {
        if self.time.0 > now.0 { Err(PosError::FromTheFuture { time: self.time, now }) } else { Ok(()) }
    }
}

/// What a finalized header proves.
struct Finalized {
    latest: Latest,
    root: B256,
}

fn finalized(network: &Network, header: &LightClientHeader) -> Result<Finalized, PosError> {
    let slot = header.beacon.slot;
    let execution = header.execution.as_ref().filter(|_| network.fork(slot) >= Some(Fork::Capella));
    let execution = execution.ok_or(PosError::NotFinal)?;
    let latest = Latest {
        slot,
        root: header.beacon.root(),
        number: Height(execution.block_number),
        time: Timestamp(execution.timestamp),
    };
    Ok(Finalized { latest, root: execution.state_root })
}

/// Checks a header against the client, from the consensus state at `header.trusted_height`; the client's next state
/// and the finalized header's consensus state.
///
/// Believed iff the update is valid by the sync protocol from that state (`validate_light_client_update`), at least two
/// thirds of the committee signed, it proves a finalized header with an execution state, and slot, number and time
/// of that rise.
pub fn verify_update(
    client: &ClientState,
    trusted: &ConsensusState,
    header: &Header,
    now: Timestamp,
) -> Result<(ClientState, ConsensusState), PosError> {
    let found = verify_header(client, trusted, header, now)?;
    let Latest { slot, number, time, .. } = found.latest;
    let latest = client.latest;
    // A block later in the chain has a higher number and a later time.
    if slot <= latest.slot || number <= latest.number || time <= latest.time || slot <= trusted.slot {
        return Err(PosError::NotAbove { slot, number });
    }
    let network = &client.network;
    let shown = header.update.next_sync_committee.as_ref().map(SyncCommittee::root);
    let ahead = network.period(slot).saturating_sub(network.period(trusted.slot));
    // The committee that the update shows is the one after its attested header's.
    let attested_here = network.period(header.update.attested_header.beacon.slot) == network.period(slot);
    let shown = shown.filter(|_| attested_here);
    let (current_committee, next_committee) = match (ahead, trusted.next_committee) {
        (0, known) => (trusted.current_committee, known.or(shown)),
        (1, Some(next)) => (next, shown),
        _ => return Err(PosError::Skipped(slot)),
    };
    let state = ConsensusState { root: found.root, time, slot, current_committee, next_committee };
    Ok((ClientState { latest: found.latest, ..client.clone() }, state))
}

/// Checks an update that shows the committee of the next period to a state that lacks it; the state with it.
///
/// The committee counts by the same rules as in [`verify_update`], but what the update finalizes need not be new:
/// whoever anchors a client late in a period, or moves it on without a committee, must not leave it without a way into
/// the next period (`update_has_finalized_next_sync_committee` of the specification).
pub fn verify_committee(
    client: &ClientState,
    trusted: &ConsensusState,
    header: &Header,
    now: Timestamp,
) -> Result<ConsensusState, PosError> {
    let network = &client.network;
    let found = verify_header(client, trusted, header, now)?;
    let here = network.period(trusted.slot);
    let periods = [network.period(header.update.attested_header.beacon.slot), network.period(found.latest.slot)];
    match (&header.update.next_sync_committee, trusted.next_committee) {
        (Some(next), None) if periods == [here, here] => {
            Ok(ConsensusState { next_committee: Some(next.root()), ..*trusted })
        }
        _ => Err(SyncError::NotRelevant.into()),
    }
}

/// A client that trusts this header from the start, and the header's state. Whom it may trust is decided by
/// governance; what is checked is that the committee and the execution state belong to the header.
pub fn anchor(client: ClientState, bootstrap: &Bootstrap) -> Result<(ClientState, ConsensusState), PosError> {
    check_bootstrap(&client.network, bootstrap)?;
    let found = finalized(&client.network, &bootstrap.header)?;
    let state = ConsensusState {
        root: found.root,
        time: found.latest.time,
        slot: found.latest.slot,
        current_committee: bootstrap.current_sync_committee.root(),
        next_committee: None,
    };
    Ok((ClientState { latest: found.latest, ..client }, state))
}

/// Whether two updates prove that the chain contradicts itself: both are believed, each from the consensus state at its
/// `trusted_height`, and they finalize two blocks that cannot be of one chain, or show two committees for one period.
/// `Ok` means proven: freeze.
pub fn check_misbehaviour(
    client: &ClientState,
    (one, one_trusted): (&Header, &ConsensusState),
    (other, other_trusted): (&Header, &ConsensusState),
    now: Timestamp,
) -> Result<(), PosError> {
    let a = verify_evidence(client, one_trusted, one, now)?;
    let b = verify_evidence(client, other_trusted, other, now)?;
    let two_blocks = a.block.zip(b.block).is_some_and(|(a, b)| contradict(&a, &b));
    let two_committees =
        a.committee.zip(b.committee).is_some_and(|((period, one), (same, other))| period == same && one != other);
    if two_blocks || two_committees { Ok(()) } else { Err(PosError::NoConflict) }
}

/// Whether one update that is believed contradicts a finalized header the client trusts, or shows another committee
/// for the next period than the state it is believed from. `Ok` means proven: freeze.
pub fn check_conflict(
    client: &ClientState,
    trusted: &ConsensusState,
    header: &Header,
    known: &[Latest],
    now: Timestamp,
) -> Result<(), PosError> {
    let found = verify_evidence(client, trusted, header, now)?;
    let other_block = found.block.is_some_and(|block| known.iter().any(|known| contradict(&block, known)));
    let here = client.network.period(trusted.slot);
    let shown = found.committee.filter(|(period, _)| *period == here).map(|(_, root)| root);
    let other_committee = shown.zip(trusted.next_committee).is_some_and(|(shown, next)| shown != next);
    if other_block || other_committee { Ok(()) } else { Err(PosError::NoConflict) }
}

/// Whether two finalized blocks cannot be of one chain: its blocks have one each per slot, and numbers and times that
/// rise with the slots.
fn contradict(one: &Latest, other: &Latest) -> bool {
    let (low, high) = if one.slot <= other.slot { (one, other) } else { (other, one) };
    if low.slot == high.slot {
        return low.root != high.root;
    }
    high.number <= low.number || high.time <= low.time
}

/// What believed evidence says, as far as it counts.
struct Evidence {
    /// The block it finalizes.
    block: Option<Latest>,
    /// The period of its attested header, and the root of the committee it shows for the next.
    committee: Option<(u64, B256)>,
}

/// An update believed as evidence. Only what it says of slots above the trusted state counts: else what froze a client
/// would freeze it again after governance anchored it anew. A committee may be another one than is known: that is what
/// there may be to show. It counts when its period is final: honest members may sign two branches at a period's start.
fn verify_evidence(
    client: &ClientState,
    trusted: &ConsensusState,
    header: &Header,
    now: Timestamp,
) -> Result<Evidence, PosError> {
    let network = &client.network;
    let attested = header.update.attested_header.beacon.slot;
    if attested <= trusted.slot {
        return Err(SyncError::NotRelevant.into());
    }
    let signed_here = network.period(header.update.signature_slot) == network.period(trusted.slot);
    let next_committee = trusted.next_committee.filter(|_| !signed_here);
    let found = verify_header(client, &ConsensusState { next_committee, ..*trusted }, header, now)?.latest;
    let (period, shown) = (network.period(attested), header.update.next_sync_committee.as_ref());
    let shown = shown.map(SyncCommittee::root);
    Ok(Evidence {
        block: (found.slot > trusted.slot).then_some(found),
        committee: shown.map(|root| (period, root)).filter(|_| network.period(found.slot) == period),
    })
}

/// A header that at least two thirds of the committee signed, with what it finalizes.
fn verify_header(
    client: &ClientState,
    trusted: &ConsensusState,
    header: &Header,
    now: Timestamp,
) -> Result<Finalized, PosError> {
    if client.frozen {
        return Err(PosError::Frozen);
    }
    let expiry = Timestamp(trusted.time.0.saturating_add(client.trusting_period));
    if now >= expiry {
        return Err(PosError::Expired { expiry, now });
    }
    let network = &client.network;
    let trust = Trust { slot: trusted.slot, current: trusted.current_committee, next: trusted.next_committee };
    validate(network, &trust, &header.update, &header.signers, network.slot_at(now.0))?;
    if !has_two_thirds(network, &header.update) {
        let (signed, of) = (header.update.sync_aggregate.participants(), network.preset().sync_committee_size);
        return Err(SyncError::Participation { signed, of }.into());
    }
    finalized(network, header.update.finalized_header.as_ref().ok_or(PosError::NotFinal)?)
}

impl ClientState {
    /// Fails if nothing can be proven to the client now: it is frozen, or its newest header too old.
    pub fn check_usable(&self, now: Timestamp) -> Result<(), PosError> {
        if self.frozen {
            return Err(PosError::Frozen);
        }
        let expiry = Timestamp(self.latest.time.0.saturating_add(self.trusting_period));
        if now >= expiry { Err(PosError::Expired { expiry, now }) } else { Ok(()) }
    }
}
