//! The simulated EVM chain: what its gateway stores, in real tries under real attested headers.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::Encodable;
use alloy_trie::proof::ProofRetainer;
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, KECCAK_EMPTY, Nibbles};
use crosspoint_ledger::tx::action::AttestedSpec;
use crosspoint_light_proofs::attested::{Header, SigningKey, Statement};
use crosspoint_light_proofs::evm::storage_slot;
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::ids::{Height, Sequence, Timestamp};
use crosspoint_protocol::lock::{PointsLock, Terms};
use crosspoint_protocol::packet::{Packet, Payload};
use crosspoint_protocol::path::Path;
use crosspoint_protocol::secret::Hashlock;
use std::collections::BTreeMap;

#[derive(Clone)]
pub struct Block {
    pub number: u64,
    pub hash: B256,
    pub time: u64,
    pub rlp: Bytes,
    pub state_root: B256,
}

pub struct Evm {
    pub keys: Vec<SigningKey>,
    pub slots: BTreeMap<B256, U256>,
    pub next_sequence: u64,
    head: Block,
    /// The newest block that was attested.
    trusted: Block,
}

fn gateway() -> Address {
    Address::repeat_byte(0x99)
}

fn base_slot() -> B256 {
    B256::with_last_byte(7)
}

fn prove(leaves: &BTreeMap<B256, Vec<u8>>, target: &B256) -> (B256, Vec<Vec<u8>>) {
    if leaves.is_empty() {
        return (EMPTY_ROOT_HASH, vec![]);
    }
    let target = Nibbles::unpack(target);
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(vec![target]));
    for (key, value) in leaves {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    let root = builder.root();
    let nodes = builder.take_proof_nodes().matching_nodes_sorted(&target);
    // A node shorter than a hash is embedded in its parent and is no proof node of its own.
    let hashed = nodes.into_iter().enumerate().filter(|(i, (_, node))| *i == 0 || node.len() >= 32);
    (root, hashed.map(|(_, (_, node))| node.to_vec()).collect())
}

fn list(fields: &[Vec<u8>]) -> Vec<u8> {
    let payload = fields.concat();
    let mut out = vec![];
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend(payload);
    out
}

impl Evm {
    pub fn new() -> Self {
        let keys = (1..=3).map(|n| SigningKey::from_bytes([n; 32]).unwrap()).collect();
        let genesis =
            Block { number: 0, hash: B256::repeat_byte(1), time: 0, rlp: Bytes::new(), state_root: EMPTY_ROOT_HASH };
        let mut evm = Self { keys, slots: BTreeMap::new(), next_sequence: 1, head: genesis.clone(), trusted: genesis };
        evm.mine(super::START - 10);
        evm.trusted = evm.head.clone();
        evm
    }

    pub fn head(&self) -> &Block {
        &self.head
    }

    pub fn spec(&self) -> AttestedSpec {
        let mut attestors: Vec<_> = self.keys.iter().map(SigningKey::address).collect();
        attestors.sort();
        AttestedSpec {
            chain_id: 31337,
            genesis_hash: B256::repeat_byte(1),
            epoch: 0,
            attestors,
            threshold: 2,
            gateway: gateway(),
            base_slot: base_slot(),
            header: self.trusted.rlp.clone(),
            trusting_period: 86_400,
        }
    }

    fn storage(&self) -> BTreeMap<B256, Vec<u8>> {
        self.slots.iter().map(|(slot, value)| (keccak256(slot), alloy_rlp::encode(value))).collect()
    }

    fn accounts(&self) -> BTreeMap<B256, Vec<u8>> {
        let (root, _) = prove(&self.storage(), &B256::ZERO);
        let account = |root: B256| {
            list(&[
                alloy_rlp::encode(1u64),
                alloy_rlp::encode(U256::from(5)),
                alloy_rlp::encode(root),
                alloy_rlp::encode(KECCAK_EMPTY),
            ])
        };
        let mut accounts: BTreeMap<_, _> =
            (0..3).map(|n| (keccak256(Address::repeat_byte(n)), account(EMPTY_ROOT_HASH))).collect();
        accounts.insert(keccak256(gateway()), account(root));
        accounts
    }

    /// A block with the state as it is now.
    pub fn mine(&mut self, time: u64) {
        let (state_root, _) = prove(&self.accounts(), &B256::ZERO);
        let number = self.head.number + 1;
        let mut fields = vec![vec![]; 15];
        let word = |w: B256| alloy_rlp::encode(w);
        let empty = || alloy_rlp::encode(&b""[..]);
        for (at, field) in fields.iter_mut().enumerate() {
            *field = match at {
                0 => word(self.head.hash),
                1 | 4 | 5 | 13 => word(EMPTY_ROOT_HASH),
                2 => alloy_rlp::encode(gateway()),
                3 => word(state_root),
                6 => alloy_rlp::encode(&[0u8; 256][..]),
                8 => alloy_rlp::encode(number),
                11 => alloy_rlp::encode(time),
                14 => alloy_rlp::encode(&[0u8; 8][..]),
                _ => empty(),
            };
        }
        let mut rlp = vec![];
        Bytes::from(list(&fields)).as_ref().iter().for_each(|b| rlp.push(*b));
        let _ = <u64 as Encodable>::length(&number);
        self.head = Block { number, hash: keccak256(&rlp), time, rlp: rlp.into(), state_root };
    }

    pub fn statement(&self, over: &Block, of: &Block) -> Statement {
        Statement {
            chain_id: 31337,
            genesis_hash: B256::repeat_byte(1),
            epoch: 0,
            prev_number: Height(over.number),
            prev_hash: over.hash,
            number: Height(of.number),
            hash: of.hash,
        }
    }

    /// An update from the last one attested to the newest block.
    pub fn update(&mut self) -> Vec<u8> {
        let header = self.signed(&self.keys.clone());
        self.trusted = self.head.clone();
        header.encode()
    }

    pub fn signed(&self, keys: &[SigningKey]) -> Header {
        let statement = self.statement(&self.trusted, &self.head);
        Header::sign(statement, self.head.rlp.clone(), keys)
    }

    pub fn account_proof(&self) -> Vec<Vec<u8>> {
        prove(&self.accounts(), &keccak256(gateway())).1
    }

    pub fn proof(&self, path: &Path) -> Vec<Vec<u8>> {
        prove(&self.storage(), &keccak256(storage_slot(path, &base_slot()))).1
    }

    pub fn store(&mut self, path: &Path, value: [u8; 32]) {
        self.slots.insert(storage_slot(path, &base_slot()), U256::from_be_bytes(value));
    }

    pub fn has(&self, path: &Path) -> bool {
        self.slots.contains_key(&storage_slot(path, &base_slot()))
    }

    /// The gateway receives a packet: its receipt.
    pub fn receive(&mut self, packet: &Packet) {
        self.store(&packet.receipt_path(), packet.commitment());
    }

    /// The gateway acknowledges a packet.
    pub fn acknowledge(&mut self, packet: &Packet, ack: &Acknowledgement) {
        self.store(&packet.ack_path(), ack.commitment());
    }

    /// The gateway sends a packet to the native chain.
    pub fn send(&mut self, lock: &PointsLock, timeout: u64) -> Packet {
        let packet = self.packet(Payload::points(lock), timeout);
        self.store(&packet.commitment_path(), packet.commitment());
        packet
    }

    pub fn packet(&mut self, payload: Payload, timeout: u64) -> Packet {
        let sequence = Sequence(self.next_sequence);
        self.next_sequence += 1;
        Packet {
            sequence,
            source_client: super::CHECKPOINT.parse().unwrap(),
            dest_client: super::ATTESTED.parse().unwrap(),
            timeout: Timestamp(timeout),
            payload,
        }
    }
}

/// A lock on the EVM side for a member of the native chain.
pub fn inbound(denom: &str, amount: u128, receiver: &str, hashlock: Hashlock, claim_deadline: u64) -> PointsLock {
    PointsLock {
        denom: denom.parse().unwrap(),
        amount: Amount::new(amount),
        sender: format!("0x{}", "cd".repeat(20)).parse().unwrap(),
        receiver: super::account(receiver).to_string().parse().unwrap(),
        hashlock,
        claim_deadline: Timestamp(claim_deadline),
        terms: Terms::Plain,
        memo: String::new(),
    }
}
