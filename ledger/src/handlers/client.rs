//! Light clients: updates, evidence, and the proofs of a batch.

use alloy_primitives::{B256, Bytes};
use crosspoint_light_proofs::attested;
use crosspoint_protocol::ids::{ClientId, Height, Timestamp};
use crosspoint_protocol::path::Path;

use super::error::HandlerError;
use crate::events::Event;
use crate::state::access::{ReadRecords, WriteRecords};
use crate::state::records::{Client, Consensus, LightClient};
use crate::state::{ReadState, Space, WriteState, keys};

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
    }
}

fn refusal(id: &ClientId) -> impl Fn(attested::AttestedError) -> HandlerError + '_ {
    |source| HandlerError::LightClient { client: id.clone(), source: Box::new(source) }
}

fn decode_attested(id: &ClientId, bytes: &[u8]) -> Result<attested::Header, HandlerError> {
    attested::Header::decode(bytes).map_err(|source| HandlerError::Codec { client: id.clone(), source })
}

/// Moves a client on. A header that it trusts already changes nothing; one that contradicts what it trusts, signed by
/// a quorum, freezes it.
pub fn update(state: &mut impl WriteState, id: &ClientId, bytes: &[u8], now: Timestamp) -> Result<(), HandlerError> {
    let mut client = known(state, id)?;
    match client.state {
        LightClient::Attested(ref known) => {
            let header = decode_attested(id, bytes)?;
            let statement = &header.statement;
            if trusted_hash(state, id, known.generation, statement.number)? == Some(statement.hash) {
                return Ok(());
            }
            match attested::verify_update(known, &header, now) {
                Ok((next, consensus)) => {
                    let (height, time) = (next.latest.number, next.latest.time);
                    let record = Consensus::Attested { state: consensus, hash: next.latest.hash };
                    let generation = next.generation;
                    client.state = LightClient::Attested(next);
                    state.put_json(Space::Provable, keys::consensus(id, generation, height), &record)?;
                    state.put_client(id, &client)?;
                    state.emit(Event::ClientUpdated { client: id.clone(), height, time });
                    Ok(())
                }
                Err(source) => {
                    if conflicts(state, id, known, &header)? {
                        return freeze(state, id, client, source.to_string());
                    }
                    Err(refusal(id)(source))
                }
            }
        }
    }
}

/// Freezes a client by two contradicting headers, or one that contradicts what the client trusts.
pub fn misbehaviour(state: &mut impl WriteState, id: &ClientId, evidence: &[u8]) -> Result<(), HandlerError> {
    let client = known(state, id)?;
    match client.state {
        LightClient::Attested(ref known) => {
            // Evidence is one header, or two, each as `u32be(length) ‖ header`.
            let headers = split_evidence(evidence)
                .ok_or(attested::CodecError::Protobuf)
                .and_then(|parts| parts.into_iter().map(attested::Header::decode).collect::<Result<Vec<_>, _>>())
                .map_err(|source| HandlerError::Codec { client: id.clone(), source })?;
            match headers.as_slice() {
                [one] if conflicts(state, id, known, one)? => {
                    freeze(state, id, client, "a quorum contradicts a header the client trusts".into())
                }
                [one, other] => {
                    attested::check_misbehaviour(known, one, other).map_err(refusal(id))?;
                    freeze(state, id, client, "two headers signed by quorums contradict each other".into())
                }
                _ => Err(refusal(id)(attested::AttestedError::NoConflict)),
            }
        }
    }
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
    match &mut client.state {
        LightClient::Attested(state) => state.frozen = true,
    }
    state.put_client(id, &client)?;
    state.emit(Event::ClientFrozen { client: id.clone(), reason });
    Ok(())
}

fn trusted_hash(
    state: &impl ReadState,
    id: &ClientId,
    generation: u64,
    at: Height,
) -> Result<Option<B256>, HandlerError> {
    let consensus = state.consensus(id, generation, at)?;
    Ok(consensus.map(|consensus| match consensus {
        Consensus::Attested { hash, .. } => hash,
    }))
}

/// Whether a quorum signed a header that contradicts one the client trusts: the newest, or an older one that is kept.
fn conflicts(
    state: &impl ReadState,
    id: &ClientId,
    known: &attested::ClientState,
    header: &attested::Header,
) -> Result<bool, HandlerError> {
    let mut trusted = vec![(known.latest.number, known.latest.hash)];
    for number in [header.statement.number, header.statement.prev_number] {
        if let Some(hash) = trusted_hash(state, id, known.generation, number)? {
            trusted.push((number, hash));
        }
    }
    Ok(trusted.into_iter().any(|pair| attested::check_conflict(known, pair, header).is_ok()))
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
    Attested(attested::VerifiedAccount),
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
        let consensus = state.consensus(id, client.state.generation(), at)?;
        let no_consensus = HandlerError::NoConsensus { client: id.clone(), height: at };
        match (&client.state, consensus.ok_or(no_consensus)?) {
            (LightClient::Attested(known), Consensus::Attested { state: consensus, .. }) => {
                if now.since(consensus.time) >= known.trusting_period {
                    return Err(HandlerError::ConsensusExpired { client: id.clone(), time: consensus.time });
                }
                let account =
                    attested::verify_account(&consensus, known, &to_nodes(shared_proof)).map_err(refusal(id))?;
                Ok(Self { time: consensus.time, store: ProvenStore::Attested(account) })
            }
        }
    }

    /// Checks that a value is stored under a path over there.
    pub fn member(&self, id: &ClientId, path: &Path, value: &[u8; 32], proof: &[Vec<u8>]) -> Result<(), HandlerError> {
        match &self.store {
            ProvenStore::Attested(account) => {
                account.verify_membership(path, value, &to_nodes(proof)).map_err(refusal(id))
            }
        }
    }

    /// Checks that nothing is stored under a path over there.
    pub fn absent(&self, id: &ClientId, path: &Path, proof: &[Vec<u8>]) -> Result<(), HandlerError> {
        match &self.store {
            ProvenStore::Attested(account) => account.verify_absence(path, &to_nodes(proof)).map_err(refusal(id)),
        }
    }
}

fn to_nodes(proof: &[Vec<u8>]) -> Vec<Bytes> {
    proof.iter().map(|node| Bytes::copy_from_slice(node)).collect()
}
