//! Evidence files of made-up transfers: real signatures, real trees, no network.

use crate::chain::{Block, set, validators};
use crate::jmt_tree::Tree;
use crate::trie;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use crosspoint_light_proofs::attested::Attestors;
use crosspoint_light_proofs::evidence::{
    AckRecord, AttestedAnchor, AttestedHeader, AttestedSide, ChainEvidence, Claim, Evidence, EvmProof, FORMAT,
    NativeProof, OutboxPath, PacketRecord, TendermintAnchor, TendermintHeader, TendermintSide,
};
use crosspoint_light_proofs::jmt::Siblings;
use crosspoint_light_proofs::signature::SigningKey;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::ids::{Height, Sequence, Timestamp};
use crosspoint_protocol::lock::{PointsLock, Terms};
use crosspoint_protocol::outbox;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Preimage;
use serde_json::json;
use std::collections::BTreeMap;

pub(crate) const PREIMAGE: [u8; 32] = [7; 32];
pub(crate) const TIMEOUT: u64 = 2_000;
const GATEWAY: Address = Address::repeat_byte(0xaa);
const GENESIS: B256 = B256::repeat_byte(1);

pub(crate) fn record() -> PacketRecord {
    PacketRecord {
        sequence: Sequence(7),
        source_client: "attested-0".parse().unwrap(),
        dest_client: "checkpoint-0".parse().unwrap(),
        timeout: Timestamp(TIMEOUT),
        lock: PointsLock {
            denom: "sfs".parse().unwrap(),
            amount: Amount::new(1_250),
            sender: "point1sender".parse().unwrap(),
            receiver: "0x70997970c51812dc3a010c7d01b50e0d17dc79c8".parse().unwrap(),
            hashlock: Preimage::new(PREIMAGE).hashlock(),
            claim_deadline: Timestamp(TIMEOUT + 600),
            terms: Terms::Plain,
            memo: "order 4711".into(),
        },
    }
}

/// A native chain of which blocks with these states were signed.
pub(crate) struct Native {
    pub(crate) validators: u8,
}

/// A state of the chain: by key, the value; beside the keys of a few hundred others.
type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn crowd() -> State {
    (0u32..300).map(|i| (format!("other/{i}").into_bytes(), vec![1; 32])).collect()
}

impl Native {
    fn header(&self, height: u64, secs: u64, state: &State, claims: &[(Claim, Vec<u8>)]) -> TendermintHeader {
        let tree = Tree::new(state);
        let mut block = Block::new(height, secs, &validators(1..self.validators + 1));
        block.app_hash = tree.root;
        let proofs = claims.iter().map(|(shows, key)| {
            let ics23 = tree.ics23(key);
            let value = state.get(key).map(|value| Bytes::copy_from_slice(value));
            let proof = if value.is_some() { Siblings::membership(&ics23) } else { Siblings::absence(&ics23) };
            NativeProof { shows: *shows, key: key.clone().into(), value, outbox: None, proof: proof.unwrap() }
        });
        let proofs = proofs.collect();
        TendermintHeader::new(block.signed(), &set(&block.validators), &set(&block.next), proofs)
    }

    fn anchor(&self) -> TendermintAnchor {
        let block = Block::new(1, 900, &validators(1..self.validators + 1));
        TendermintAnchor::new(block.inner(), &set(&block.next))
    }

    /// The source of a packet that was sent before header 11; `ended`: and whose lock ended before header 30.
    pub(crate) fn source(&self, packet: &Packet, ended: bool) -> ChainEvidence {
        let key = packet.commitment_path().to_bytes();
        let client = b"client/attested-0".to_vec();
        let mut state = crowd();
        state.insert(client.clone(), registration().into_bytes());
        let gone = state.clone();
        state.insert(key.clone(), packet.commitment().to_vec());
        let mut headers = vec![self.header(11, 1_000, &state, &[(Claim::Sent, key.clone())])];
        if ended {
            headers.push(self.header(30, 1_100, &gone, &[(Claim::Ended, key), (Claim::Client, client)]));
        } else {
            headers[0] = self.header(11, 1_000, &state, &[(Claim::Sent, key), (Claim::Client, client)]);
        }
        ChainEvidence::Tendermint(Box::new(TendermintSide { anchor: self.anchor(), headers }))
    }

    /// A source whose commitment stands at a header after one where it does not.
    pub(crate) fn source_that_comes_back(&self, packet: &Packet) -> ChainEvidence {
        let (key, mut state) = (packet.commitment_path().to_bytes(), crowd());
        let gone = self.header(11, 1_000, &state, &[(Claim::Ended, key.clone())]);
        state.insert(key.clone(), packet.commitment().to_vec());
        let headers = vec![gone, self.header(30, 1_100, &state, &[(Claim::Sent, key)])];
        ChainEvidence::Tendermint(Box::new(TendermintSide { anchor: self.anchor(), headers }))
    }

    /// The same when only the list of packets sent still shows it.
    pub(crate) fn source_by_list(&self, packet: &Packet) -> ChainEvidence {
        let (key, commitment) = (packet.commitment_path().to_bytes(), packet.commitment());
        let other = |i: u64| {
            outbox::leaf(
                &crosspoint_protocol::path::Path::commitment(packet.source_client.clone(), Sequence(i)),
                &[9; 32],
            )
        };
        let leaves = [other(5), other(6), outbox::leaf(&packet.commitment_path(), &commitment)];
        let previous_head = [3; 32];
        let later = [[4; 32], [5; 32]];
        let first = outbox::next_head(&previous_head, &outbox::root(&leaves).unwrap());
        let head = later.iter().fold(first, |head, root| outbox::next_head(&head, root));
        let (head_key, mut state) = (b"outbox/attested-0/sent".to_vec(), crowd());
        state.insert(head_key.clone(), head.to_vec());
        let mut header = self.header(30, 1_100, &state, &[(Claim::Ended, key.clone()), (Claim::Sent, head_key)]);
        header.proofs[1].key = key.into();
        header.proofs[1].value = Some(Bytes::copy_from_slice(&commitment));
        header.proofs[1].outbox = Some(OutboxPath {
            previous_head,
            count: 3,
            index: 2,
            siblings: outbox::prove(&leaves, &[2]),
            later_roots: later.to_vec(),
        });
        ChainEvidence::Tendermint(Box::new(TendermintSide { anchor: self.anchor(), headers: vec![header] }))
    }
}

/// What the native chain's state says of its client of the EVM chain, as the ledger writes it.
fn registration() -> String {
    let anchor = anchor();
    json!({
        "state": {
            "type": "attested", "evm_chain_id": anchor.chain_id, "genesis_hash": anchor.genesis_hash,
            "attestors": anchor.attestors, "epoch": 0,
            "latest": {"number": 10, "hash": B256::ZERO, "time": 1_000, "state_root": B256::ZERO},
            "anchor": 5, "trusting_period": 600, "store_address": anchor.gateway, "base_slot": anchor.base_slot,
            "frozen": false, "generation": 0
        },
        "counterparty": "checkpoint-0", "paused": false, "closed": false
    })
    .to_string()
}

fn keys() -> Vec<SigningKey> {
    (1..=3).map(|i| SigningKey::from_bytes([i; 32]).unwrap()).collect()
}

pub(crate) fn anchor() -> AttestedAnchor {
    let addresses = keys().iter().map(SigningKey::address).collect();
    AttestedAnchor {
        hash: B256::ZERO,
        chain_id: 31_337,
        genesis_hash: GENESIS,
        epoch: 0,
        attestors: Attestors::from_unsorted(addresses, 2).unwrap(),
        gateway: GATEWAY,
        base_slot: B256::ZERO,
    }
    .sealed()
}

fn rlp(number: u64, secs: u64, state_root: B256) -> Bytes {
    let mut items: Vec<Vec<u8>> = (0..21).map(|_| alloy_rlp::encode(B256::repeat_byte(9))).collect();
    items[3] = alloy_rlp::encode(state_root);
    items[8] = alloy_rlp::encode(number);
    items[11] = alloy_rlp::encode(secs);
    let payload = items.concat();
    let mut out = vec![];
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend(payload);
    out.into()
}

/// An EVM chain whose gateway stores these values, at a time.
pub(crate) fn evm(secs: u64, stored: &[(Vec<u8>, [u8; 32])], claims: &[(Claim, Vec<u8>)]) -> ChainEvidence {
    let slot = |key: &[u8]| keccak256([keccak256(key), B256::ZERO].concat());
    let mut slots: BTreeMap<B256, U256> = (0..300u64).map(|i| (keccak256(i.to_be_bytes()), U256::MAX)).collect();
    slots.extend(stored.iter().map(|(key, value)| (slot(key), U256::from_be_bytes(*value))));
    let (storage_root, _) = trie::storage(&slots, &B256::ZERO);
    let (state_root, account) = trie::state(&GATEWAY, trie::account(storage_root), 100, &GATEWAY);
    let proofs = claims.iter().map(|(shows, key)| {
        let value = stored.iter().find(|(known, _)| known == key).map(|(_, value)| B256::from(*value));
        EvmProof { shows: *shows, key: key.clone().into(), value, nodes: trie::storage(&slots, &slot(key)).1 }
    });
    let proofs = proofs.collect();
    let (anchor, rlp) = (anchor(), rlp(20, secs, state_root));
    let statement = anchor.statement(Height(20), keccak256(&rlp));
    let mut signed: Vec<_> = keys().iter().take(2).map(|key| (key.address(), statement.sign(key))).collect();
    signed.sort_by_key(|(address, _)| *address);
    let signatures = signed.into_iter().map(|(_, signature)| signature).collect();
    ChainEvidence::Attested(AttestedSide { anchor, headers: vec![AttestedHeader { rlp, signatures, account, proofs }] })
}

fn evidence(source: ChainEvidence, ack: Option<AckRecord>, destination: ChainEvidence) -> Evidence {
    Evidence { format: FORMAT.into(), packet: record(), ack, source, destination }
}

/// The destination of a packet that was acknowledged.
pub(crate) fn acknowledged(packet: &Packet, ack: &AckRecord) -> ChainEvidence {
    let (receipt, answer) = (packet.receipt_path().to_bytes(), packet.ack_path().to_bytes());
    let stored = [(receipt.clone(), packet.commitment()), (answer.clone(), ack.acknowledgement().commitment())];
    evm(1_050, &stored, &[(Claim::Received, receipt), (Claim::Acknowledged, answer)])
}

/// A transfer of each end, by name.
pub(crate) fn all() -> Vec<(&'static str, Evidence)> {
    let native = Native { validators: 4 };
    let packet = record().packet();
    let receipt = packet.receipt_path().to_bytes();
    let claimed = AckRecord::Claimed { preimage: PREIMAGE };
    let held = evm(
        1_050,
        &[(receipt.clone(), packet.commitment())],
        &[(Claim::Received, receipt.clone()), (Claim::NotAcknowledged, packet.ack_path().to_bytes())],
    );
    let missed = |secs| evm(secs, &[], &[(Claim::NotReceived, receipt.clone())]);
    vec![
        ("settled", settled()),
        ("listed", evidence(native.source_by_list(&packet), Some(claimed.clone()), acknowledged(&packet, &claimed))),
        ("paid", evidence(native.source(&packet, false), Some(claimed.clone()), acknowledged(&packet, &claimed))),
        (
            "refunded",
            evidence(native.source(&packet, true), Some(AckRecord::Error), acknowledged(&packet, &AckRecord::Error)),
        ),
        ("never received", evidence(native.source(&packet, true), None, missed(TIMEOUT))),
        ("held", evidence(native.source(&packet, false), None, held)),
        ("under way", evidence(native.source(&packet, false), None, missed(TIMEOUT - 1))),
    ]
}

pub(crate) fn settled() -> Evidence {
    let (packet, claimed) = (record().packet(), AckRecord::Claimed { preimage: PREIMAGE });
    evidence(Native { validators: 4 }.source(&packet, true), Some(claimed.clone()), acknowledged(&packet, &claimed))
}
