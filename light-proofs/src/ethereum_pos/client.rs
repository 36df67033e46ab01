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
    /// Too far ahead: a committee between was not shown.
    #[error("the finalized header of slot {0} is more than one period ahead; give an update between")]
    Skipped(u64),
    /// The evidence given shows no conflict.
    #[error("the evidence shows no conflict")]
    NoConflict,
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

/// Whether two updates prove that the chain contradicts itself: both are believed, and they finalize two blocks of one
/// slot, or show two committees for one period. `Ok` means proven: freeze.
pub fn check_misbehaviour(
    client: &ClientState,
    (one, one_trusted): (&Header, &ConsensusState),
    (other, other_trusted): (&Header, &ConsensusState),
    now: Timestamp,
) -> Result<(), PosError> {
    let a = verify_header(client, one_trusted, one, now)?.latest;
    let b = verify_header(client, other_trusted, other, now)?.latest;
    let period = |header: &Header| client.network.period(header.update.attested_header.beacon.slot);
    let committee = |header: &Header| header.update.next_sync_committee.as_ref().map(SyncCommittee::root);
    let two_blocks = a.slot == b.slot && a.root != b.root;
    let two_committees =
        period(one) == period(other) && committee(one).zip(committee(other)).is_some_and(|(one, other)| one != other);
    if two_blocks || two_committees { Ok(()) } else { Err(PosError::NoConflict) }
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
