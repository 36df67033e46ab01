//! What checks the proofs of packets against a state that a client trusts.

use alloy_primitives::Bytes;
use crosspoint_light_proofs::evm::VerifiedAccount;
use crosspoint_light_proofs::tendermint::PacketStore;
use crosspoint_protocol::ids::{ClientId, Height, Timestamp};
use crosspoint_protocol::path::Path;

use super::{LightClientError, check_usable, refusal};
use crate::handlers::error::HandlerError;
use crate::state::ReadState;
use crate::state::access::ReadRecords;
use crate::state::light_client::CounterpartyStore;
use crate::state::records::{Client, Consensus, LightClient};

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
    /// What a CometBFT chain's app hash commits to.
    CometBft { app_hash: [u8; 32], store: PacketStore },
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
        let root = consensus.root();
        let store = match client.state.store() {
            CounterpartyStore::Evm { gateway, base_slot } => {
                let account = VerifiedAccount::prove(&root, &gateway, base_slot, &to_nodes(shared_proof));
                ProvenStore::Evm(account.map_err(refusal(id))?)
            }
            CounterpartyStore::CometBft(store) => ProvenStore::CometBft { app_hash: root.0, store: store.clone() },
        };
        Ok(Self { time, store })
    }

    /// Checks that a value is stored under a path over there.
    pub fn member(&self, id: &ClientId, path: &Path, value: &[u8; 32], proof: &[Vec<u8>]) -> Result<(), HandlerError> {
        match &self.store {
            ProvenStore::Evm(account) => account.verify_membership(path, value, &to_nodes(proof)).map_err(refusal(id)),
            ProvenStore::CometBft { app_hash, store } => single(proof)
                .and_then(|proof| Ok(store.verify_membership(app_hash, path, value, proof)?))
                .map_err(refusal(id)),
        }
    }

    /// Checks that nothing is stored under a path over there.
    pub fn absent(&self, id: &ClientId, path: &Path, proof: &[Vec<u8>]) -> Result<(), HandlerError> {
        match &self.store {
            ProvenStore::Evm(account) => account.verify_absence(path, &to_nodes(proof)).map_err(refusal(id)),
            ProvenStore::CometBft { app_hash, store } => {
                single(proof).and_then(|proof| Ok(store.verify_absence(app_hash, path, proof)?)).map_err(refusal(id))
            }
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
