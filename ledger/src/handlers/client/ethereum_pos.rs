//! The `ethereum-pos` client: Ethereum, by its sync committees.

use crosspoint_light_proofs::ethereum_pos::{
    self, ClientState, ConsensusState, Header, Latest, PosError, SyncError, check_conflict, check_misbehaviour,
    verify_committee, verify_update,
};
use crosspoint_protocol::ids::{ClientId, Height, Timestamp};

use super::{Step, decode_all, refusal, unreadable, wrong_spec};
use crate::handlers::error::HandlerError;
use crate::state::ReadState;
use crate::state::access::ReadRecords;
use crate::state::records::{Consensus, LightClient};
use crate::tx::action::EthereumPosSpec;

/// A client that trusts the specification's block.
pub(super) fn anchor(
    spec: &EthereumPosSpec,
    generation: u64,
    now: Timestamp,
) -> Result<(LightClient, Consensus), HandlerError> {
    if spec.trusting_period == 0 || spec.gateway.is_zero() {
        return Err(wrong_spec(&"the trusting period is 0 or the gateway the zero address"));
    }
    let client = ClientState {
        evm_chain_id: spec.chain_id,
        network: spec.network.clone(),
        latest: Latest { slot: 0, root: Default::default(), number: Height(0), time: Timestamp(0) },
        trusting_period: spec.trusting_period,
        store_address: spec.gateway,
        base_slot: spec.base_slot,
        frozen: false,
        generation,
    };
    let (client, state) = ethereum_pos::anchor(client, &spec.bootstrap).map_err(|error| wrong_spec(&error))?;
    let found = client.latest.root;
    if found != spec.block_root {
        return Err(wrong_spec(&SyncError::TrustedRoot { found, trusted: spec.block_root }));
    }
    if client.latest.slot > client.network.slot_at(now.0) {
        return Err(wrong_spec(&"the trusted block's slot is in the future"));
    }
    let consensus = Consensus::EthereumPos { state, hash: found };
    Ok((LightClient::EthereumPos(client), consensus))
}

pub(super) fn update(
    state: &impl ReadState,
    id: &ClientId,
    known: &ClientState,
    bytes: &[u8],
    now: Timestamp,
) -> Result<Step, HandlerError> {
    let header = Header::decode(known.network.preset(), bytes).map_err(unreadable(id))?;
    let from = from(state, id, known, &header)?;
    let Some((number, slot, root)) = finalized(&header) else { return Err(refusal(id)(PosError::NotFinal)) };
    let verified = if slot > known.latest.slot {
        verify_update(known, &from, &header, now).map(|(next, consensus)| (Some(next), consensus))
    } else if from.next_committee.is_none() && header.update.has_committee() {
        verify_committee(known, &from, &header, now).map(|consensus| (None, consensus))
    } else if trusted(state, id, known, number)?.is_some_and(|(latest, _)| latest.root == root) {
        return Ok(Step::Known);
    } else {
        Err(PosError::NotAbove { slot, number })
    };
    match verified {
        Ok((Some(next), mut consensus)) => {
            next.latest.check_not_ahead(now).map_err(refusal(id))?;
            // Believed from an older state, it must not forget a committee that was shown since.
            let (newest, hash) = (trusted(state, id, known, known.latest.number)?, next.latest.root);
            let same_period = |state: &ConsensusState| state.current_committee == consensus.current_committee;
            let shown = newest.map(|(_, state)| state).filter(same_period).and_then(|state| state.next_committee);
            consensus.next_committee = consensus.next_committee.or(shown);
            let consensus = Consensus::EthereumPos { state: consensus, hash };
            Ok(Step::On(Box::new(LightClient::EthereumPos(next)), consensus))
        }
        Ok((None, consensus)) => {
            let at = header.trusted_height;
            if let Ok(reason) = conflict(state, id, known, &from, &header, now)? {
                return Ok(Step::Conflict(reason));
            }
            let Some((latest, _)) = trusted(state, id, known, at)? else { return Ok(Step::Known) };
            Ok(Step::Learned(at, Consensus::EthereumPos { state: consensus, hash: latest.root }))
        }
        // What failed otherwise would be no evidence either; the signature is not checked twice for it.
        Err(source @ (PosError::NotAbove { .. } | PosError::Sync(SyncError::NextCommittee))) => {
            match conflict(state, id, known, &from, &header, now)? {
                Ok(reason) => Ok(Step::Conflict(reason)),
                Err(_) => Err(refusal(id)(source)),
            }
        }
        Err(source) => Err(refusal(id)(source)),
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
    match decode_all(id, evidence, |part| Header::decode(known.network.preset(), part))?.as_slice() {
        [one] => {
            let from = from(state, id, known, one)?;
            conflict(state, id, known, &from, one, now)?.map_err(refusal(id))
        }
        [one, other] => {
            let (one_from, other_from) = (from(state, id, known, one)?, from(state, id, known, other)?);
            check_misbehaviour(known, (one, &one_from), (other, &other_from), now).map_err(refusal(id))?;
            Ok("two updates that sync committees signed contradict each other".into())
        }
        _ => Err(refusal(id)(PosError::NoConflict)),
    }
}

/// Why a signed update contradicts what the client trusts: the block of the same number, the newest, or the one it is
/// believed from. The inner error: it does not.
fn conflict(
    state: &impl ReadState,
    id: &ClientId,
    known: &ClientState,
    from: &ConsensusState,
    header: &Header,
    now: Timestamp,
) -> Result<Result<String, PosError>, HandlerError> {
    let number = finalized(header).map(|(number, ..)| number);
    let mut blocks = vec![known.latest];
    for number in number.into_iter().chain([header.trusted_height]) {
        blocks.extend(trusted(state, id, known, number)?.map(|(latest, _)| latest));
    }
    let slot = header.update.finalized_slot();
    Ok(check_conflict(known, from, header, &blocks, now)
        .map(|()| format!("an update that a sync committee signed, final at slot {slot}, contradicts what is trusted")))
}

/// Number of the execution block, slot and root of what an update says is final.
fn finalized(header: &Header) -> Option<(Height, u64, alloy_primitives::B256)> {
    let finalized = header.update.finalized_header.as_ref()?;
    let number = finalized.execution.as_ref()?.block_number;
    Some((Height(number), finalized.beacon.slot, finalized.beacon.root()))
}

/// The trusted state that an update says it is believed from.
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
        Some(Consensus::EthereumPos { state, hash }) => {
            Some((Latest { slot: state.slot, root: hash, number, time: state.time }, state))
        }
        Some(Consensus::Attested { .. } | Consensus::Tendermint { .. } | Consensus::Qbft { .. }) | None => None,
    })
}
