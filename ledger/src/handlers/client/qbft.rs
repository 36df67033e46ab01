//! The `qbft` client: a consortium EVM chain, by the seals of its validators.

use crosspoint_light_proofs::qbft::{
    self, ClientState, ConsensusState, Header, Latest, QbftError, SealedHeader, check_conflict, check_misbehaviour,
    verify_update,
};
use crosspoint_protocol::ids::{ClientId, Height, Timestamp};

use super::{Step, decode_all, refusal, unreadable, wrong_spec};
use crate::handlers::error::HandlerError;
use crate::state::ReadState;
use crate::state::access::ReadRecords;
use crate::state::records::{Consensus, LightClient};
use crate::tx::action::QbftSpec;

/// By how many seconds a header's time may be ahead of this chain's.
const MAX_CLOCK_DRIFT: u64 = 10;

/// A client that trusts the specification's header.
pub(super) fn anchor(
    spec: &QbftSpec,
    generation: u64,
    now: Timestamp,
) -> Result<(LightClient, Consensus), HandlerError> {
    if spec.trusting_period == 0 || spec.gateway.is_zero() {
        return Err(wrong_spec(&"the trusting period is 0 or the gateway the zero address"));
    }
    let client = ClientState {
        evm_chain_id: spec.chain_id,
        encoding: spec.encoding,
        latest: Latest { number: Height(0), hash: Default::default(), time: Timestamp(0) },
        trusting_period: spec.trusting_period,
        max_clock_drift: MAX_CLOCK_DRIFT,
        store_address: spec.gateway,
        base_slot: spec.base_slot,
        frozen: false,
        generation,
    };
    let (client, state) = qbft::anchor(client, &spec.header, now).map_err(|error| wrong_spec(&error))?;
    let consensus = Consensus::Qbft { state, hash: client.latest.hash };
    Ok((LightClient::Qbft(client), consensus))
}

pub(super) fn update(
    state: &impl ReadState,
    id: &ClientId,
    known: &ClientState,
    bytes: &[u8],
    now: Timestamp,
) -> Result<Step, HandlerError> {
    let header = Header::decode(bytes).map_err(unreadable(id))?;
    let block = SealedHeader::decode(known.encoding, &header.rlp).map_err(unreadable(id))?;
    if trusted(state, id, known, block.number)?.is_some_and(|(latest, _)| latest.hash == block.hash) {
        return Ok(Step::Known);
    }
    let from = from(state, id, known, &header)?;
    match verify_update(known, &from, &header, now) {
        Ok((next, consensus)) => {
            let consensus = Consensus::Qbft { state: consensus, hash: next.latest.hash };
            Ok(Step::On(Box::new(LightClient::Qbft(next)), consensus))
        }
        Err(source) => match conflict(state, id, known, &header, block.number, now)? {
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
    let none = || refusal(id)(QbftError::NoConflict);
    match decode_all(id, evidence, Header::decode)?.as_slice() {
        [one] => {
            let block = SealedHeader::decode(known.encoding, &one.rlp).map_err(unreadable(id))?;
            conflict(state, id, known, one, block.number, now)?.ok_or_else(none)
        }
        [one, other] => {
            let (one_from, other_from) = (from(state, id, known, one)?, from(state, id, known, other)?);
            check_misbehaviour(known, (one, &one_from), (other, &other_from), now).map_err(refusal(id))?;
            Ok("two blocks that quorums sealed contradict each other".into())
        }
        _ => Err(none()),
    }
}

/// Why a sealed header contradicts one the client trusts: that of its own number, or the newest.
fn conflict(
    state: &impl ReadState,
    id: &ClientId,
    known: &ClientState,
    header: &Header,
    number: Height,
    now: Timestamp,
) -> Result<Option<String>, HandlerError> {
    let from = from(state, id, known, header)?;
    let same_number = trusted(state, id, known, number)?.map(|(latest, _)| latest);
    let contradicted = same_number
        .into_iter()
        .chain([known.latest])
        .find(|trusted| check_conflict(known, &from, header, trusted, now).is_ok());
    Ok(contradicted.map(|trusted| format!("a sealed block {number} contradicts the trusted block {}", trusted.number)))
}

/// The trusted state that a header says it is believed from.
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
    number: Height,
) -> Result<Option<(Latest, ConsensusState)>, HandlerError> {
    Ok(match state.consensus(id, known.generation, number)? {
        Some(Consensus::Qbft { state, hash }) => Some((Latest { number, hash, time: state.time }, state)),
        Some(Consensus::Attested { .. } | Consensus::Tendermint { .. } | Consensus::EthereumPos { .. }) | None => None,
    })
}
