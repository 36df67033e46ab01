//! Execution headers that attestors sign, and what the attested client makes of them.

use alloy_primitives::{Address, B256, Bytes, keccak256};
use crosspoint_light_proofs::attested::{Attestors, ClientState, Header, Latest, Statement};
use crosspoint_light_proofs::signature::SigningKey;
use crosspoint_protocol::ids::{Height, Timestamp};

/// A header's RLP with this number, time and state root.
pub(crate) fn rlp(number: u64, time: u64, root: B256) -> Bytes {
    let mut fields: Vec<Vec<u8>> = (0..15).map(|_| alloy_rlp::encode(B256::ZERO)).collect();
    fields[3] = alloy_rlp::encode(root);
    fields[6] = alloy_rlp::encode(&[0u8; 256][..]);
    fields[8] = alloy_rlp::encode(number);
    fields[11] = alloy_rlp::encode(time);
    let payload = fields.concat();
    let mut out = vec![];
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend(payload);
    out.into()
}

fn keys() -> Vec<SigningKey> {
    (1..=3).map(|n| SigningKey::from_bytes([n; 32]).unwrap()).collect()
}

/// A client of two-of-three attestors whose newest header is this one.
pub(crate) fn client(number: u64, time: u64, root: B256) -> ClientState {
    let addresses = keys().iter().map(SigningKey::address).collect();
    ClientState {
        evm_chain_id: 1,
        genesis_hash: B256::ZERO,
        attestors: Attestors::from_unsorted(addresses, 2).unwrap(),
        epoch: 0,
        past: vec![],
        latest: Latest {
            number: Height(number),
            hash: keccak256(rlp(number, time, root)),
            time: Timestamp(time),
            state_root: root,
        },
        anchor: Height(0),
        trusting_period: 1_000,
        store_address: Address::repeat_byte(0x5e),
        base_slot: B256::ZERO,
        frozen: false,
        generation: 0,
    }
}

/// Two attestors say that the header with this RLP follows `prev`.
pub(crate) fn attested(prev: (u64, B256), number: u64, rlp: Bytes) -> Header {
    let statement = Statement {
        chain_id: 1,
        genesis_hash: B256::ZERO,
        epoch: 0,
        prev_number: Height(prev.0),
        prev_hash: prev.1,
        number: Height(number),
        hash: keccak256(&rlp),
    };
    Header::sign(statement, rlp, &keys()[..2])
}
