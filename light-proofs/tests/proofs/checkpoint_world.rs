//! Bridge validators, what they sign, and a key bound to another.

use crate::support::keys;
use crosspoint_light_proofs::checkpoint::{
    BridgeSet, BridgeValidator, Checkpoint, ClientState, KeyBinding, Latest, SignedCheckpoint,
};
use crosspoint_light_proofs::signature::SigningKey;
use crosspoint_protocol::ids::{ChainId, Height, Timestamp};

pub(crate) const NOW: Timestamp = Timestamp(1_100);

pub(crate) fn chain_id() -> ChainId {
    "crosspoint-1".parse().unwrap()
}

pub(crate) fn set(keys: &[SigningKey], powers: &[u64]) -> BridgeSet {
    let validators = keys.iter().zip(powers).map(|(k, p)| BridgeValidator { address: k.address(), power: *p });
    BridgeSet::from_unsorted(validators.collect()).unwrap()
}

/// Four validators of power 10, a client at height 10, and a checkpoint of height 12 signed by all.
pub(crate) fn world() -> (Vec<SigningKey>, ClientState, SignedCheckpoint) {
    let keys = keys(4);
    let set = set(&keys, &[10; 4]);
    let client = ClientState {
        chain_id: chain_id(),
        set_hash: set.hash(),
        latest: Latest { height: Height(10), time: Timestamp(1_000), app_hash: [1; 32], signed_by: set.hash() },
        trusting_period: 600,
        frozen: false,
        generation: 3,
    };
    let checkpoint = Checkpoint {
        chain_id: client.chain_id.clone(),
        height: Height(12),
        time: Timestamp(1_010),
        app_hash: [7; 32],
        set_hash: set.hash(),
        next_set_hash: set.hash(),
    };
    let signed = SignedCheckpoint::sign(checkpoint, set, None, &keys);
    (keys, client, signed)
}

/// The checkpoint of a later height of the same chain, which hands over to another set.
pub(crate) fn rotation(before: &SignedCheckpoint, keys: &[SigningKey]) -> SignedCheckpoint {
    let next = set(&keys[1..], &[1, 2, 3]);
    let checkpoint = Checkpoint {
        height: Height(13),
        time: Timestamp(1_020),
        app_hash: [8; 32],
        next_set_hash: next.hash(),
        ..before.checkpoint.clone()
    };
    SignedCheckpoint::sign(checkpoint, before.set.clone(), Some(next), keys)
}

/// A consensus key and a bridge key that signed for each other.
pub(crate) fn binding() -> KeyBinding {
    let consensus = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    KeyBinding::new(&chain_id(), &consensus, &SigningKey::from_bytes([6; 32]).unwrap())
}
