//! A native chain in memory: a Jellyfish Merkle Tree, outboxes and signed checkpoints, built by hand
//! from the formats in `docs/protocol.md`.

use crosspoint_adapters::chain::RelayItem;
use crosspoint_adapters::proven::{CheckpointEvidence, Evidence, OutboxBlock, OutboxEvidence, Proven};
use crosspoint_light_proofs::checkpoint::{BridgeSet, BridgeValidator, Checkpoint, SignedCheckpoint};
use crosspoint_light_proofs::signature::SigningKey;
use crosspoint_protocol::ack;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::ids::{ClientId, Height, Sequence, Timestamp};
use crosspoint_protocol::lock::{PointsLock, Terms};
use crosspoint_protocol::outbox::{self, EMPTY_HEAD, Hash};
use crosspoint_protocol::packet::{Packet, Payload};
use crosspoint_protocol::path::Path;
use crosspoint_protocol::secret::Preimage;
use jmt::storage::{HasPreimage, LeafNode, Node, NodeKey, TreeReader};
use jmt::{KeyHash, OwnedValue, Sha256Jmt, Version};
use prost::Message;
use std::collections::BTreeMap;

#[derive(Default)]
struct Store {
    nodes: BTreeMap<NodeKey, Node>,
    values: BTreeMap<(KeyHash, Version), Option<OwnedValue>>,
    keys: BTreeMap<KeyHash, Vec<u8>>,
}

impl TreeReader for Store {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<Node>> {
        Ok(self.nodes.get(key).cloned())
    }
    fn get_value_option(&self, max: Version, key: KeyHash) -> anyhow::Result<Option<OwnedValue>> {
        Ok(self.values.range((key, 0)..=(key, max)).next_back().and_then(|(_, value)| value.clone()))
    }
    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        anyhow::bail!("nothing is restored here")
    }
}

impl HasPreimage for Store {
    fn preimage(&self, key: KeyHash) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(self.keys.get(&key).cloned())
    }
}

#[derive(Clone)]
struct List {
    head: Hash,
    blocks: Vec<(Hash, OutboxBlock)>,
}

/// The chain `sim-1` with one client, `attested-0`, that follows the EVM chain's `checkpoint-0`.
pub struct Native {
    store: Store,
    version: Version,
    pending: BTreeMap<Vec<u8>, Vec<u8>>,
    root: [u8; 32],
    next_sequence: u64,
    sent: List,
    acked: List,
    sent_now: Vec<(Sequence, Hash)>,
    acked_now: Vec<(Sequence, Hash)>,
    pub keys: Vec<SigningKey>,
    pub next_keys: Vec<SigningKey>,
    checkpoint: Option<SignedCheckpoint>,
}

pub fn client(name: &str) -> ClientId {
    name.parse().unwrap()
}

pub fn validators(first: u8, count: u8) -> Vec<SigningKey> {
    (first..first + count).map(|n| SigningKey::from_bytes([n; 32]).unwrap()).collect()
}

fn bridge_set(keys: &[SigningKey]) -> BridgeSet {
    let one = |(at, key): (usize, &SigningKey)| BridgeValidator { address: key.address(), power: 10 + at as u64 };
    BridgeSet::from_unsorted(keys.iter().enumerate().map(one).collect()).unwrap()
}

impl Native {
    pub fn new() -> Self {
        let list = List { head: EMPTY_HEAD, blocks: vec![] };
        let mut native = Self {
            store: Store::default(),
            version: 0,
            pending: BTreeMap::new(),
            root: [0; 32],
            next_sequence: 1,
            sent: list.clone(),
            acked: list,
            sent_now: vec![],
            acked_now: vec![],
            keys: validators(1, 4),
            next_keys: validators(1, 4),
            checkpoint: None,
        };
        for n in 0..40_u8 {
            native.pending.insert(format!("supply/denom{n}").into_bytes(), vec![n]);
        }
        native
    }

    /// Locks points for a receiver on the EVM chain.
    pub fn send(
        &mut self,
        denom: &str,
        amount: u128,
        receiver: &str,
        preimage: &Preimage,
        timeout: u64,
        deadline: u64,
    ) -> Packet {
        let lock = PointsLock {
            denom: denom.parse().unwrap(),
            amount: Amount::new(amount),
            sender: "point1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq".parse().unwrap(),
            receiver: receiver.parse().unwrap(),
            hashlock: preimage.hashlock(),
            claim_deadline: Timestamp(deadline),
            terms: Terms::Plain,
            memo: format!("invoice {}", self.next_sequence),
        };
        let packet = Packet {
            sequence: Sequence(self.next_sequence),
            source_client: client("attested-0"),
            dest_client: client("checkpoint-0"),
            timeout: Timestamp(timeout),
            payload: Payload::points(&lock),
        };
        self.next_sequence += 1;
        self.pending.insert(packet.commitment_path().to_bytes(), packet.commitment().to_vec());
        self.sent_now.push((packet.sequence, packet.commitment()));
        packet
    }

    /// Writes a receipt for a packet from the EVM chain.
    pub fn receive(&mut self, packet: &Packet) {
        self.pending.insert(packet.receipt_path().to_bytes(), packet.commitment().to_vec());
    }

    /// Writes an acknowledgement for a packet from the EVM chain.
    pub fn acknowledge(&mut self, packet: &Packet, ack: &[u8]) {
        self.pending.insert(packet.ack_path().to_bytes(), ack::commitment(ack).to_vec());
        self.acked_now.push((packet.sequence, ack::commitment(ack)));
    }

    /// Ends the block and signs the header after it, at this time.
    pub fn commit(&mut self, time: u64) {
        for (name, now, list, ack) in [
            ("sent", std::mem::take(&mut self.sent_now), &mut self.sent, false),
            ("acked", std::mem::take(&mut self.acked_now), &mut self.acked, true),
        ] {
            if now.is_empty() {
                continue;
            }
            let of = client("attested-0");
            let leaf = |(sequence, value): &(Sequence, Hash)| {
                let path = if ack { Path::ack(of.clone(), *sequence) } else { Path::commitment(of.clone(), *sequence) };
                outbox::leaf(&path, value)
            };
            let leaves: Vec<Hash> = now.iter().map(leaf).collect();
            let previous = list.head;
            list.head = outbox::next_head(&previous, &outbox::root(&leaves).unwrap());
            list.blocks.push((previous, OutboxBlock { height: Height(self.version + 1), entries: now }));
            self.pending.insert(format!("outbox/attested-0/{name}").into_bytes(), list.head.to_vec());
        }
        self.version += 1;
        let writes: Vec<_> = std::mem::take(&mut self.pending)
            .into_iter()
            .map(|(key, value)| {
                let hash = KeyHash::with::<sha2::Sha256>(&key);
                self.store.keys.insert(hash, key);
                (hash, Some(value))
            })
            .collect();
        let (root, batch) = Sha256Jmt::new(&self.store).put_value_set(writes, self.version).unwrap();
        self.root = root.0;
        self.store.nodes.extend(batch.node_batch.nodes().clone());
        for ((version, key), value) in batch.node_batch.values().clone() {
            self.store.values.insert((key, version), value);
        }
        let (set, next) = (bridge_set(&self.keys), bridge_set(&self.next_keys));
        let checkpoint = Checkpoint {
            chain_id: "sim-1".parse().unwrap(),
            height: Height(self.version + 1),
            time: Timestamp(time),
            app_hash: self.root,
            set_hash: set.hash(),
            next_set_hash: next.hash(),
        };
        let next_set = (set != next).then_some(next);
        self.checkpoint = Some(SignedCheckpoint::sign(checkpoint, set, next_set, &self.keys));
        self.keys = self.next_keys.clone();
    }

    /// The newest header with its signatures.
    pub fn header(&self) -> SignedCheckpoint {
        self.checkpoint.clone().unwrap()
    }

    fn ics23(&self, key: &[u8]) -> Vec<u8> {
        Sha256Jmt::new(&self.store).get_with_ics23_proof(key.to_vec(), self.version).unwrap().1.encode_to_vec()
    }

    fn outbox(&self, name: &str, list: &List, wanted: &[(Sequence, Hash)]) -> Option<OutboxEvidence> {
        let first =
            list.blocks.iter().position(|(_, block)| block.entries.iter().any(|entry| wanted.contains(entry)))?;
        let blocks = &list.blocks[first..];
        Some(OutboxEvidence {
            head: list.head,
            membership: self.ics23(format!("outbox/attested-0/{name}").as_bytes()),
            previous_head: blocks[0].0,
            blocks: blocks.iter().map(|(_, block)| block.clone()).collect(),
        })
    }

    /// Items proven at the newest header.
    pub fn prove(&self, items: Vec<RelayItem>) -> Proven {
        let update = self.header();
        let (mut sent, mut acked, mut absences) = (vec![], vec![], vec![]);
        for item in &items {
            match item {
                RelayItem::Recv { packet } => sent.push((packet.sequence, packet.commitment())),
                RelayItem::Ack { packet, ack } => acked.push((packet.sequence, ack::commitment(ack))),
                RelayItem::Timeout { packet } => absences.push(self.ics23(&packet.receipt_path().to_bytes())),
            }
        }
        let evidence = CheckpointEvidence {
            sent: self.outbox("sent", &self.sent, &sent),
            acked: self.outbox("acked", &self.acked, &acked),
            absences,
            update: Some(update.clone()),
            trusted: None,
        };
        let (height, time) = (update.checkpoint.height, update.checkpoint.time);
        Proven { items, height, time, evidence: Evidence::Checkpoint(Box::new(evidence)) }
    }
}
