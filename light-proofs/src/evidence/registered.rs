//! How a native chain registered the client that a packet goes through: its record in the provable store says which
//! chain it follows, by whose word, and which client over there is its counterparty.

use crosspoint_protocol::ids::ClientId;
use serde::Deserialize;

use super::error::{EvidenceError, Fault};
use super::findings::{AnchorFindings, Registered};
use super::verify::VerifiedSide;
use crate::{attested, tendermint};

/// What is read of the ledger's record. The record is proven, so it is as the ledger wrote it.
#[derive(Deserialize)]
struct Record {
    state: State,
    counterparty: Option<ClientId>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum State {
    Attested(Box<attested::ClientState>),
    Tendermint(Box<tendermint::ClientState>),
}

/// The provable key of a client's record.
pub(super) fn key(client: &ClientId) -> Vec<u8> {
    format!("client/{client}").into_bytes()
}

/// Reads a record and compares it with the chain that it must be about.
pub(super) fn check(
    at: &str,
    value: &[u8],
    (client, counterparty): (&ClientId, &ClientId),
    other: &VerifiedSide,
) -> Result<Registered, EvidenceError> {
    let fault = |why| EvidenceError::new(at, why);
    let record: Record = serde_json::from_slice(value).map_err(|e| fault(Fault::Form(e.to_string())))?;
    let differs = |what| fault(Fault::Registered(what));
    if record.counterparty.as_ref() != Some(counterparty) {
        return Err(differs("counterparty"));
    }
    let same_attestors = match (&record.state, &other.anchor) {
        (State::Attested(state), AnchorFindings::Attested { anchor, .. }) => {
            if (state.evm_chain_id, state.genesis_hash) != (anchor.chain_id, anchor.genesis_hash) {
                return Err(differs("chain"));
            }
            if (state.store_address, state.base_slot) != (anchor.gateway, anchor.base_slot) {
                return Err(differs("gateway contract"));
            }
            (state.epoch, &state.attestors) == (anchor.epoch, &anchor.attestors)
        }
        (State::Tendermint(state), AnchorFindings::Tendermint { .. }) => {
            if state.chain_id != other.chain {
                return Err(differs("chain"));
            }
            false
        }
        (State::Attested(_), AnchorFindings::Tendermint { .. })
        | (State::Tendermint(_), AnchorFindings::Attested { .. }) => return Err(differs("kind of chain")),
    };
    Ok(Registered { client: client.clone(), counterparty: counterparty.clone(), same_attestors })
}
