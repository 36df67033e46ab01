//! Attestors, what they sign, and a contract's storage under it.

use crate::support::keys;
use crate::trie;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use crosspoint_light_proofs::attested::{Attestors, ClientState, Header, Latest, Rotation, Statement};
use crosspoint_light_proofs::evm::storage_slot;
use crosspoint_light_proofs::signature::SigningKey;
use crosspoint_protocol::ids::{Height, Sequence, Timestamp};
use crosspoint_protocol::path::Path;
use std::collections::BTreeMap;

pub(crate) const NOW: Timestamp = Timestamp(1_100);
pub(crate) const STORE: Address = Address::repeat_byte(0x5e);
pub(crate) const BASE: B256 = B256::repeat_byte(0xba);

/// A header's RLP with this many fields, from the 15 of the first headers upward.
pub(crate) fn header_rlp(number: u64, time: u64, state_root: B256, fields: usize) -> Bytes {
    let mut items: Vec<Vec<u8>> = (0..fields).map(|_| alloy_rlp::encode(B256::repeat_byte(9))).collect();
    items[3] = alloy_rlp::encode(state_root);
    items[6] = alloy_rlp::encode(&[0u8; 256][..]);
    items[8] = alloy_rlp::encode(number);
    items[11] = alloy_rlp::encode(time);
    list(&items)
}

pub(crate) fn list(items: &[Vec<u8>]) -> Bytes {
    let payload = items.concat();
    let mut out = vec![];
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend(payload);
    out.into()
}

pub(crate) fn attest(client: &ClientState, rlp: &Bytes, number: u64, keys: &[SigningKey]) -> Header {
    let statement = Statement {
        chain_id: client.evm_chain_id,
        genesis_hash: client.genesis_hash,
        epoch: client.epoch,
        prev_number: client.latest.number,
        prev_hash: client.latest.hash,
        number: Height(number),
        hash: keccak256(rlp),
    };
    Header::sign(statement, rlp.clone(), keys)
}

/// Three attestors of whom two must sign, a client at block 10, and block 20 attested by all.
pub(crate) fn world() -> (Vec<SigningKey>, ClientState, Header) {
    let keys = keys(3);
    let client = ClientState {
        evm_chain_id: 31_337,
        genesis_hash: B256::repeat_byte(1),
        attestors: Attestors::new(keys.iter().map(SigningKey::address).collect(), 2).unwrap(),
        epoch: 4,
        past: vec![],
        latest: Latest {
            number: Height(10),
            hash: B256::repeat_byte(2),
            time: Timestamp(1_000),
            state_root: B256::repeat_byte(3),
        },
        anchor: Height(10),
        trusting_period: 600,
        store_address: STORE,
        base_slot: B256::ZERO,
        frozen: false,
        generation: 0,
    };
    let header = attest(&client, &header_rlp(20, 1_010, B256::repeat_byte(7), 21), 20, &keys);
    (keys, client, header)
}

pub(crate) fn rotation(client: &ClientState, attestors: Attestors) -> Rotation {
    Rotation { chain_id: client.evm_chain_id, genesis_hash: client.genesis_hash, epoch: client.epoch, attestors }
}

/// The gateway contract's storage with some commitments, and the root of the state above it.
pub(crate) fn stored(target: &Path) -> (B256, Vec<Bytes>, Vec<Bytes>) {
    let slots: BTreeMap<_, _> =
        (1..50).map(|i| (storage_slot(&receipt(i), &BASE), U256::from_be_bytes([i as u8; 32]))).collect();
    let (storage_root, storage_proof) = trie::storage(&slots, &storage_slot(target, &BASE));
    let (root, account_proof) = trie::state(&STORE, trie::account(storage_root), 60, &STORE);
    (root, account_proof, storage_proof)
}

pub(crate) fn receipt(sequence: u64) -> Path {
    Path::receipt("checkpoint-0".parse().unwrap(), Sequence(sequence))
}
