//! Light clients: updates, evidence, and the proofs of a batch. What the types have in common is here; what one
//! type believes, and which evidence freezes it, is in its own module.

mod attested;
mod tendermint;

use alloy_primitives::Bytes;
use crosspoint_light_proofs::attested::AttestedError;
use crosspoint_light_proofs::evm::VerifiedAccount;
use crosspoint_light_proofs::jmt::{self, JmtError};
use crosspoint_light_proofs::mpt::MptError;
use crosspoint_light_proofs::tendermint::TendermintError;
use crosspoint_light_proofs::{attested as attested_proofs, tendermint as tendermint_proofs};
use crosspoint_protocol::gate::GateError;
use crosspoint_protocol::ids::{ClientId, Height, Timestamp};
use crosspoint_protocol::path::Path;

use super::error::HandlerError;
use crate::events::Event;
use crate::state::access::{ReadRecords, WriteRecords};
use crate::state::records::{Client, Consensus, LightClient};
use crate::state::{ReadState, Space, StateError, WriteState, keys};
use crate::tx::action::ClientSpec;

/// Why a light client refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LightClientError {
    /// An `attested` client.
    #[error(transparent)]
    Attested(#[from] AttestedError),
    /// A `tendermint` client.
    #[error(transparent)]
    Tendermint(#[from] TendermintError),
    /// A proof in an EVM chain's state.
    #[error(transparent)]
    Evm(#[from] MptError),
    /// A proof in a native chain's store.
    #[error(transparent)]
    Native(#[from] JmtError),
    /// Not the one proof that an item has.
    #[error("an item has one ICS-23 proof, not {0}")]
    ProofCount(usize),
}

impl LightClientError {
    /// Whether the relayer can mend it by proving again, from what the client trusts by then.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Attested(AttestedError::NotLatest { .. }) | Self::Tendermint(TendermintError::HeightNotAbove { .. })
        )
    }
}

/// Why an update or evidence cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientCodecError {
    /// For an `attested` client.
    #[error(transparent)]
    Attested(#[from] attested_proofs::CodecError),
    /// For a `tendermint` client.
    #[error(transparent)]
    Tendermint(#[from] tendermint_proofs::CodecError),
    /// Not one or two headers, each after its length.
    #[error("evidence is one header, or two, each after its length")]
    Evidence,
}

/// What an update does.
enum Step {
    /// The client trusts this header already.
    Known,
    /// It trusts one more.
    On(Box<LightClient>, Consensus),
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
    }
}

/// A client of the specification's type that trusts its header, and that header's state.
pub fn anchor(spec: &ClientSpec, generation: u64, now: Timestamp) -> Result<(LightClient, Consensus), HandlerError> {
    match spec {
        ClientSpec::Attested(spec) => attested::anchor(spec, generation),
        ClientSpec::Tendermint(spec) => tendermint::anchor(spec, generation, now),
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
    };
    match step {
        Step::Known => Ok(()),
        Step::Conflict(reason) => freeze(state, id, client, reason),
        Step::On(next, consensus) => {
            client.state = *next;
            let (height, time) = client.state.trusted();
            put(state, id, &client, &consensus)?;
            state.emit(Event::ClientUpdated { client: id.clone(), height, time });
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
    let (height, _) = client.state.trusted();
    state.put_json(Space::Provable, keys::consensus(id, client.state.generation(), height), consensus)?;
    state.put_client(id, client)
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

fn wrong_spec(error: &dyn std::fmt::Display) -> HandlerError {
    HandlerError::Action(format!("the client's specification: {error}"))
}

/// What checks the proofs of one batch: a client's state at one height, with what all proofs share checked once.
#[derive(Debug)]
pub struct Verifier {
    /// The time of the state: what timeouts are compared with.
    pub time: Timestamp,
    store: ProvenStore,
}

#[derive(Debug)]
enum ProvenStore {
    /// The gateway contract's storage.
    Evm(VerifiedAccount),
    /// The root of a native chain's provable store.
    Native([u8; 32]),
}

impl Verifier {
    /// Prepares a client's state at a height. Fails if the client is frozen or expired, or the state too old.
    pub fn new(
        state: &impl ReadState,
        id: &ClientId,
        client: &Client,
        at: Height,
        shared_proof: &[Vec<u8>],
        now: Timestamp,
    ) -> Result<Self, HandlerError> {
        check_usable(client, id, now)?;
        let consensus = consensus(state, id, &client.state, at)?;
        let time = consensus.time();
        if now.since(time) >= client.state.trusting_period() {
            return Err(HandlerError::ConsensusExpired { client: id.clone(), time });
        }
        let store = match (&client.state, &consensus) {
            (LightClient::Attested(known), Consensus::Attested { state, .. }) => {
                let proof = to_nodes(shared_proof);
                let account = VerifiedAccount::prove(&state.root, &known.store_address, known.base_slot, &proof);
                ProvenStore::Evm(account.map_err(refusal(id))?)
            }
            (LightClient::Tendermint(_), Consensus::Tendermint { state, .. }) => ProvenStore::Native(state.root),
            // A client never changes its type.
            (LightClient::Attested(_), Consensus::Tendermint { .. })
            | (LightClient::Tendermint(_), Consensus::Attested { .. }) => {
                return Err(HandlerError::NoConsensus { client: id.clone(), height: at });
            }
        };
        Ok(Self { time, store })
    }

    /// Checks that a value is stored under a path over there.
    pub fn member(&self, id: &ClientId, path: &Path, value: &[u8; 32], proof: &[Vec<u8>]) -> Result<(), HandlerError> {
        match &self.store {
            ProvenStore::Evm(account) => account.verify_membership(path, value, &to_nodes(proof)).map_err(refusal(id)),
            ProvenStore::Native(root) => single(proof)
                .and_then(|proof| Ok(jmt::verify_membership(root, &path.to_bytes(), value, proof)?))
                .map_err(refusal(id)),
        }
    }

    /// Checks that nothing is stored under a path over there.
    pub fn absent(&self, id: &ClientId, path: &Path, proof: &[Vec<u8>]) -> Result<(), HandlerError> {
        match &self.store {
            ProvenStore::Evm(account) => account.verify_absence(path, &to_nodes(proof)).map_err(refusal(id)),
            ProvenStore::Native(root) => single(proof)
                .and_then(|proof| Ok(jmt::verify_absence(root, &path.to_bytes(), proof)?))
                .map_err(refusal(id)),
        }
    }
}

/// The state that a client trusts at a height.
fn consensus(
    state: &impl ReadState,
    id: &ClientId,
    client: &LightClient,
    at: Height,
) -> Result<Consensus, HandlerError> {
    let found = state.consensus(id, client.generation(), at)?;
    found.ok_or_else(|| HandlerError::NoConsensus { client: id.clone(), height: at })
}

fn single(proof: &[Vec<u8>]) -> Result<&[u8], LightClientError> {
    match proof {
        [one] => Ok(one),
        other => Err(LightClientError::ProofCount(other.len())),
    }
}

fn to_nodes(proof: &[Vec<u8>]) -> Vec<Bytes> {
    proof.iter().map(|node| Bytes::copy_from_slice(node)).collect()
}
