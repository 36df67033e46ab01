//! The `tendermint` client: another native chain, or an IBC chain, by its commits.

use crosspoint_light_proofs::tendermint::{
    self, ClientState, ConsensusState, Header, Latest, TendermintError, TrustLevel, check_conflict, check_misbehaviour,
    verify_update,
};
use crosspoint_protocol::ids::{ClientId, Height, Timestamp};

use super::{Step, decode_all, refusal, unreadable, wrong_spec};
use crate::handlers::error::HandlerError;
use crate::state::ReadState;
use crate::state::access::ReadRecords;
use crate::state::records::{Consensus, LightClient};
use crate::tx::action::TendermintSpec;

/// By how many seconds a header's time may be ahead of this chain's.
const MAX_CLOCK_DRIFT: u64 = 10;

/// A client that trusts the specification's header.
pub(super) fn anchor(
    spec: &TendermintSpec,
    generation: u64,
    now: Timestamp,
) -> Result<(LightClient, Consensus), HandlerError> {
    let header = Header::decode(&spec.header).map_err(|error| wrong_spec(&error))?;
    if spec.trusting_period == 0 {
        return Err(wrong_spec(&"the trusting period is 0"));
    }
    let client = ClientState {
        chain_id: spec.chain_id.clone(),
        store: spec.store.clone(),
        trust_level: TrustLevel::ONE_THIRD,
        trusting_period: spec.trusting_period,
        max_clock_drift: MAX_CLOCK_DRIFT,
        latest: Latest { height: Height(0), time: Timestamp(0), hash: [0; 32] },
        frozen: false,
        generation,
    };
    let (client, state) = tendermint::anchor(client, &header, now).map_err(|error| wrong_spec(&error))?;
    let consensus = Consensus::Tendermint { state, hash: client.latest.hash.into() };
    Ok((LightClient::Tendermint(client), consensus))
}

pub(super) fn update(
    state: &impl ReadState,
    id: &ClientId,
    known: &ClientState,
    bytes: &[u8],
    now: Timestamp,
) -> Result<Step, HandlerError> {
    let header = Header::decode(bytes).map_err(unreadable(id))?;
    let existing = trusted(state, id, known, header.height())?;
    if existing.is_some_and(|(latest, _)| latest.hash == header.hash()) {
        return Ok(Step::Known);
    }
    let from = from(state, id, known, &header)?;
    match verify_update(known, &from, &header, now) {
        Ok((next, consensus)) => {
            let consensus = Consensus::Tendermint { state: consensus, hash: next.latest.hash.into() };
            Ok(Step::On(Box::new(LightClient::Tendermint(next)), consensus))
        }
        Err(source) => match conflict(state, id, known, &header, now)? {
            Some(reason) => Ok(Step::Conflict(reason)),
            None => Err(refusal(id)(source)),
        },
    }
}

/// Why the evidence freezes the client.
pub(super) fn misbehaviour(
    state: &impl ReadState,
    id: &ClientId,
    known: &ClientState,
    evidence: &[&[u8]],
    now: Timestamp,
) -> Result<String, HandlerError> {
    let none = || refusal(id)(TendermintError::NoConflict);
    match decode_all(id, evidence, Header::decode)?.as_slice() {
        [one] => conflict(state, id, known, one, now)?.ok_or_else(none),
        [one, other] => {
            let (one_from, other_from) = (from(state, id, known, one)?, from(state, id, known, other)?);
            check_misbehaviour(known, (one, &one_from), (other, &other_from), now).map_err(refusal(id))?;
            Ok(format!(
                "two headers that the chain signed, {} and {}, contradict each other",
                one.height(),
                other.height()
            ))
        }
        _ => Err(none()),
    }
}

/// Why a header that the chain signed contradicts one the client trusts: that of its own height, or the newest.
fn conflict(
    state: &impl ReadState,
    id: &ClientId,
    known: &ClientState,
    header: &Header,
    now: Timestamp,
) -> Result<Option<String>, HandlerError> {
    let from = from(state, id, known, header)?;
    let same_height = trusted(state, id, known, header.height())?.map(|(latest, _)| latest);
    let contradicted = same_height
        .into_iter()
        .chain([known.latest])
        .find(|trusted| check_conflict(known, &from, header, trusted, now).is_ok());
    Ok(contradicted.map(|trusted| {
        format!("a header {} that the chain signed contradicts the trusted header {}", header.height(), trusted.height)
    }))
}

/// The trusted state that a header says it follows.
fn from(
    state: &impl ReadState,
    id: &ClientId,
    known: &ClientState,
    header: &Header,
) -> Result<ConsensusState, HandlerError> {
    let height = header.trusted_height;
    let found = trusted(state, id, known, height)?;
    found.map(|(_, state)| state).ok_or_else(|| HandlerError::NoConsensus { client: id.clone(), height })
}

fn trusted(
    state: &impl ReadState,
    id: &ClientId,
    known: &ClientState,
    height: Height,
) -> Result<Option<(Latest, ConsensusState)>, HandlerError> {
    Ok(match state.consensus(id, known.generation, height)? {
        Some(Consensus::Tendermint { state, hash }) => Some((Latest { height, time: state.time, hash: hash.0 }, state)),
        Some(Consensus::Attested { .. } | Consensus::Qbft { .. } | Consensus::EthereumPos { .. }) | None => None,
    })
}
