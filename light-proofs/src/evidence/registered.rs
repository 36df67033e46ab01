//! How a native chain registered the client that a packet goes through: its record in the provable store says which
//! chain it follows, by whose word, and which client over there is its counterparty.

use alloy_primitives::{Address, B256};
use crosspoint_protocol::ids::ClientId;
use serde::Deserialize;

use super::error::{EvidenceError, Fault};
use super::evm::Contract;
use super::findings::{AnchorFindings, Registered};
use super::verify::VerifiedSide;
use crate::{attested, ethereum_pos, qbft, tendermint};

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
    Qbft(Box<qbft::ClientState>),
    EthereumPos(Box<ethereum_pos::ClientState>),
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
    let record: Record = serde_json::from_slice(value).map_err(|e| fault(Fault::form(&e)))?;
    let differs = |what| fault(Fault::Registered(what));
    if record.counterparty.as_ref() != Some(counterparty) {
        return Err(differs("counterparty"));
    }
    let follows = |contract: &Contract, chain: u64, store: (Address, B256), same_chain: bool| {
        if chain != contract.chain_id || !same_chain {
            return Err(differs("chain"));
        }
        if store != (contract.gateway, contract.base_slot) { Err(differs("gateway contract")) } else { Ok(()) }
    };
    let vouches = match (&record.state, &other.anchor) {
        (State::Attested(state), AnchorFindings::Attested { anchor, .. }) => {
            let same_chain = state.genesis_hash == anchor.genesis_hash;
            let store = (state.store_address, state.base_slot);
            follows(&anchor.contract(), state.evm_chain_id, store, same_chain)?;
            !state.frozen && (state.epoch, &state.attestors) == (anchor.epoch, &anchor.attestors)
        }
        (State::Qbft(state), AnchorFindings::Qbft { contract, encoding, block, .. }) => {
            let store = (state.store_address, state.base_slot);
            follows(contract, state.evm_chain_id, store, state.encoding == *encoding)?;
            !state.frozen && leads_from(state.latest.hash, block.hash, other)
        }
        (State::EthereumPos(state), AnchorFindings::EthereumPos { contract, network, block, .. }) => {
            let store = (state.store_address, state.base_slot);
            follows(contract, state.evm_chain_id, store, state.network == *network)?;
            // Not by a block on the way: committees that are no part of it finalized it.
            !state.frozen && state.latest.root == block.root
        }
        (State::Tendermint(state), AnchorFindings::Tendermint { .. }) => {
            if state.chain_id != other.chain {
                return Err(differs("chain"));
            }
            // What a file proves of such a chain, it proves in a Jellyfish Merkle Tree.
            if state.store != tendermint::PacketStore::Jmt {
                return Err(differs("store of packets"));
            }
            false
        }
        (State::Attested(_) | State::Tendermint(_) | State::Qbft(_) | State::EthereumPos(_), _) => {
            return Err(differs("kind of chain"));
        }
    };
    Ok(Registered { client: client.clone(), counterparty: counterparty.clone(), vouches })
}

/// Whether all that is proven of a chain is proven from this sealed block or one that it leads to: the anchor, or one
/// of the headers. What a sealed block leads to rests on nothing but the set it names.
fn leads_from(block: B256, anchor: B256, side: &VerifiedSide) -> bool {
    let first = side.headers.iter().position(|header| header.hash == block);
    block == anchor || first.is_some_and(|first| side.proven.iter().all(|proven| proven.header >= first))
}
