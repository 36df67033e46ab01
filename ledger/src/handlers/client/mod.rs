//! Light clients: updates, evidence, and the proofs of a batch. What the types have in common is here; what one
//! type believes, and which evidence freezes it, is in its own module.

mod attested;
mod error;
mod ethereum_pos;
mod qbft;
mod tendermint;
mod verifier;

use crosspoint_protocol::gate::GateError;
use crosspoint_protocol::ids::{ClientId, Height, Timestamp};

pub use error::{ClientCodecError, LightClientError};
pub use verifier::Verifier;

use super::error::HandlerError;
use crate::events::{Event, HexBytes};
use crate::state::access::{ReadRecords, WriteRecords};
use crate::state::records::{Client, Consensus, LightClient};
use crate::state::{ReadState, Space, StateError, WriteState, keys};
use crate::tx::action::ClientSpec;

/// What an update does.
enum Step {
    /// The client trusts this header already.
    Known,
    /// It trusts one more.
    On(Box<LightClient>, Consensus),
    /// It learned more of the state that it trusts at this height.
    Learned(Height, Consensus),
    /// Others attest from now on.
    Rotated(Box<LightClient>, u64),
    /// The chain contradicts itself, and this is the proof.
    Conflict(String),
}

/// A client that exists.
pub fn known(state: &impl ReadState, id: &ClientId) -> Result<Client, HandlerError> {
    state.client(id)?.ok_or_else(|| HandlerError::UnknownClient(id.clone()))
}

/// The client's counterparty, if it is open for packets.
pub fn counterparty<'a>(client: &'a Client, id: &ClientId) -> Result<&'a ClientId, HandlerError> {
    client.counterparty.as_ref().ok_or_else(|| HandlerError::NotOpen(id.clone()))
}

/// Fails if the client is frozen or expired: what is sent now could not be ended by proof.
pub fn check_usable(client: &Client, id: &ClientId, now: Timestamp) -> Result<(), HandlerError> {
    match &client.state {
        LightClient::Attested(state) => state.check_usable(now).map_err(refusal(id)),
        LightClient::Tendermint(state) => state.check_usable(now).map_err(refusal(id)),
        LightClient::Qbft(state) => state.check_usable(now).map_err(refusal(id)),
        LightClient::EthereumPos(state) => state.check_usable(now).map_err(refusal(id)),
    }
}

/// A client of the specification's type that trusts its header, and that header's state.
pub fn anchor(spec: &ClientSpec, generation: u64, now: Timestamp) -> Result<(LightClient, Consensus), HandlerError> {
    match spec {
        ClientSpec::Attested(spec) => attested::anchor(spec, generation),
        ClientSpec::Tendermint(spec) => tendermint::anchor(spec, generation, now),
        ClientSpec::Qbft(spec) => qbft::anchor(spec, generation, now),
        ClientSpec::EthereumPos(spec) => ethereum_pos::anchor(spec, generation, now),
    }
}

/// Moves a client on. A header that it trusts already changes nothing; one that contradicts what it trusts, and that
/// the chain's own rules hold for signed, freezes it.
pub fn update(state: &mut impl WriteState, id: &ClientId, bytes: &[u8], now: Timestamp) -> Result<(), HandlerError> {
    let mut client = known(state, id)?;
    // Nothing follows the final state, and nothing that a dead chain's signers say may freeze it: refunds rest on it.
    if client.closed {
        return Ok(());
    }
    let step = match &client.state {
        LightClient::Attested(known) => attested::update(state, id, known, bytes, now)?,
        LightClient::Tendermint(known) => tendermint::update(state, id, known, bytes, now)?,
        LightClient::Qbft(known) => qbft::update(state, id, known, bytes, now)?,
        LightClient::EthereumPos(known) => ethereum_pos::update(state, id, known, bytes, now)?,
    };
    match step {
        Step::Known => Ok(()),
        Step::Conflict(reason) => freeze(state, id, client, reason),
        Step::On(next, consensus) => {
            client.state = *next;
            let (height, time) = client.state.trusted();
            put(state, id, &client, &consensus)?;
            let hash = HexBytes(client.state.trusted_hash().to_vec());
            state.emit(Event::ClientUpdated { client: id.clone(), height, time, hash });
            Ok(())
        }
        Step::Learned(height, consensus) => Ok(put_consensus(state, id, &client, height, &consensus)?),
        Step::Rotated(next, epoch) => {
            client.state = *next;
            state.put_client(id, &client)?;
            state.emit(Event::AttestorsRotated { client: id.clone(), epoch });
            Ok(())
        }
    }
}

/// Stores a client with the state of its newest header.
pub fn put(
    state: &mut impl WriteState,
    id: &ClientId,
    client: &Client,
    consensus: &Consensus,
) -> Result<(), StateError> {
    put_consensus(state, id, client, client.state.trusted().0, consensus)?;
    state.put_client(id, client)
}

fn put_consensus(
    state: &mut impl WriteState,
    id: &ClientId,
    client: &Client,
    at: Height,
    consensus: &Consensus,
) -> Result<(), StateError> {
    state.put_json(Space::Provable, keys::consensus(id, client.state.generation(), at), consensus)
}

/// Freezes a client by two contradicting headers, or one that contradicts what the client trusts.
pub fn misbehaviour(
    state: &mut impl WriteState,
    id: &ClientId,
    evidence: &[u8],
    now: Timestamp,
) -> Result<(), HandlerError> {
    let client = known(state, id)?;
    if client.closed {
        return Err(HandlerError::ClientClosed(id.clone()));
    }
    let parts = split_evidence(evidence).ok_or_else(|| unreadable(id)(ClientCodecError::Evidence))?;
    let reason = match &client.state {
        LightClient::Attested(known) => attested::misbehaviour(state, id, known, &parts)?,
        LightClient::Tendermint(known) => tendermint::misbehaviour(state, id, known, &parts, now)?,
        LightClient::Qbft(known) => qbft::misbehaviour(state, id, known, &parts, now)?,
        LightClient::EthereumPos(known) => ethereum_pos::misbehaviour(state, id, known, &parts, now)?,
    };
    freeze(state, id, client, reason)
}

/// Evidence as the misbehaviour message carries it: one or two encoded headers, each after its length (u32, big-endian).
#[must_use]
pub fn join_evidence(headers: &[Vec<u8>]) -> Vec<u8> {
    let mut joined = vec![];
    for header in headers {
        joined.extend_from_slice(&u32::try_from(header.len()).unwrap_or(u32::MAX).to_be_bytes());
        joined.extend_from_slice(header);
    }
    joined
}

fn split_evidence(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut parts = vec![];
    while !bytes.is_empty() && parts.len() < 2 {
        let (len, rest) = bytes.split_first_chunk()?;
        let (part, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)?;
        parts.push(part);
        bytes = rest;
    }
    bytes.is_empty().then_some(parts)
}

fn freeze(state: &mut impl WriteState, id: &ClientId, mut client: Client, reason: String) -> Result<(), HandlerError> {
    client.state.freeze();
    state.put_client(id, &client)?;
    state.emit(Event::ClientFrozen { client: id.clone(), reason });
    Ok(())
}

/// A new packet meets a closed or paused client.
pub fn shut(id: &ClientId) -> impl Fn(GateError) -> HandlerError + '_ {
    |error| match error {
        GateError::Closed => HandlerError::ClientClosed(id.clone()),
        GateError::Paused => HandlerError::Paused,
    }
}

fn refusal<E: Into<LightClientError>>(id: &ClientId) -> impl Fn(E) -> HandlerError + '_ {
    |source| HandlerError::LightClient { client: id.clone(), source: Box::new(source.into()) }
}

fn unreadable<E: Into<ClientCodecError>>(id: &ClientId) -> impl Fn(E) -> HandlerError + '_ {
    |source| HandlerError::Codec { client: id.clone(), source: source.into() }
}

/// What the headers of evidence are, once read.
fn decode_all<T, E: Into<ClientCodecError>>(
    id: &ClientId,
    evidence: &[&[u8]],
    decode: impl Fn(&[u8]) -> Result<T, E>,
) -> Result<Vec<T>, HandlerError> {
    evidence.iter().map(|part| decode(part)).collect::<Result<_, _>>().map_err(unreadable(id))
}

fn wrong_spec(error: &dyn std::fmt::Display) -> HandlerError {
    HandlerError::Action(format!("the client's specification: {error}"))
}
