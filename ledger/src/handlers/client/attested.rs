//! The `attested` client: an EVM chain, by statements of attestors.

use alloy_primitives::B256;
use crosspoint_light_proofs::attested::{
    AttestedError, Attestors, ClientState, Header, Latest, Update, check_conflict, check_misbehaviour, verify_rotation,
    verify_update,
};
use crosspoint_light_proofs::evm::ExecutionHeader;
use crosspoint_protocol::ids::{ClientId, Height, Timestamp};

use super::{Step, decode_all, refusal, unreadable, wrong_spec};
use crate::handlers::error::HandlerError;
use crate::state::ReadState;
use crate::state::access::ReadRecords;
use crate::state::records::{Consensus, LightClient};
use crate::tx::action::AttestedSpec;

/// A client that trusts the specification's header.
pub(super) fn anchor(spec: &AttestedSpec, generation: u64) -> Result<(LightClient, Consensus), HandlerError> {
    let threshold = usize::try_from(spec.threshold).unwrap_or(usize::MAX);
    let attestors = Attestors::new(spec.attestors.clone(), threshold).map_err(|error| wrong_spec(&error))?;
    let header = ExecutionHeader::decode(&spec.header).map_err(|error| wrong_spec(&error))?;
    if spec.trusting_period == 0 || spec.gateway.is_zero() {
        return Err(wrong_spec(&"the trusting period is 0 or the gateway the zero address"));
    }
    let client = ClientState {
        evm_chain_id: spec.chain_id,
        genesis_hash: spec.genesis_hash,
        attestors,
        epoch: spec.epoch,
        past: vec![],
        latest: Latest { number: header.number, hash: header.hash, time: header.time, state_root: header.state_root },
        anchor: header.number,
        trusting_period: spec.trusting_period,
        store_address: spec.gateway,
        base_slot: spec.base_slot,
        frozen: false,
        generation,
    };
    let consensus = Consensus::Attested { state: client.latest_consensus(), hash: client.latest.hash };
    Ok((LightClient::Attested(client), consensus))
}

pub(super) fn update(
    state: &impl ReadState,
    id: &ClientId,
    known: &ClientState,
    bytes: &[u8],
    now: Timestamp,
) -> Result<Step, HandlerError> {
    let header = match Update::decode(bytes).map_err(unreadable(id))? {
        Update::Header(header) => header,
        Update::Rotation(signed) => {
            let next = verify_rotation(known, &signed, now).map_err(refusal(id))?;
            let epoch = next.epoch;
            return Ok(Step::Rotated(Box::new(LightClient::Attested(next)), epoch));
        }
    };
    let statement = &header.statement;
    if trusted_hash(state, id, known.generation, statement.number)? == Some(statement.hash) {
        return Ok(Step::Known);
    }
    match verify_update(known, &header, now) {
        Ok((next, consensus)) => {
            let consensus = Consensus::Attested { state: consensus, hash: next.latest.hash };
            Ok(Step::On(Box::new(LightClient::Attested(next)), consensus))
        }
        Err(source) if conflicts(state, id, known, &header)? => Ok(Step::Conflict(source.to_string())),
        Err(source) => Err(refusal(id)(source)),
    }
}

/// Why the evidence freezes the client.
pub(super) fn misbehaviour(
    state: &impl ReadState,
    id: &ClientId,
    known: &ClientState,
    evidence: &[&[u8]],
) -> Result<String, HandlerError> {
    match decode_all(id, evidence, Header::decode)?.as_slice() {
        [one] if conflicts(state, id, known, one)? => Ok("a quorum contradicts a header the client trusts".into()),
        [one, other] => {
            check_misbehaviour(known, one, other).map_err(refusal(id))?;
            Ok("two headers signed by quorums contradict each other".into())
        }
        _ => Err(refusal(id)(AttestedError::NoConflict)),
    }
}

/// Whether a quorum signed a header that contradicts one the client trusts: the newest, or an older one that is kept.
fn conflicts(
    state: &impl ReadState,
    id: &ClientId,
    known: &ClientState,
    header: &Header,
) -> Result<bool, HandlerError> {
    let mut trusted = vec![(known.latest.number, known.latest.hash)];
    for number in [header.statement.number, header.statement.prev_number] {
        if let Some(hash) = trusted_hash(state, id, known.generation, number)? {
            trusted.push((number, hash));
        }
    }
    Ok(trusted.into_iter().any(|pair| check_conflict(known, pair, header).is_ok()))
}

fn trusted_hash(
    state: &impl ReadState,
    id: &ClientId,
    generation: u64,
    at: Height,
) -> Result<Option<B256>, HandlerError> {
    Ok(match state.consensus(id, generation, at)? {
        Some(Consensus::Attested { hash, .. }) => Some(hash),
        Some(Consensus::Tendermint { .. } | Consensus::Qbft { .. } | Consensus::EthereumPos { .. }) | None => None,
    })
}
