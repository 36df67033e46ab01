//! Evidence files of made-up transfers: real signatures, real trees, no network.

use crate::chain::{Block, CHAIN as CHAIN_ID, set, validators};
use crate::jmt_tree::Tree;
use crate::support::keys as validator_keys;
use crate::{sealed_chain, trie};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use crosspoint_light_proofs::attested::Attestors;
use crosspoint_light_proofs::ethereum_pos::{self, Preset, Update};
use crosspoint_light_proofs::evidence::{
    AckRecord, AttestedAnchor, AttestedHeader, AttestedSide, ChainEvidence, Claim, EthereumPosAnchor,
    EthereumPosHeader, EthereumPosSide, Evidence, EvmProof, FORMAT, NativeProof, OutboxPath, PacketRecord, QbftAnchor,
    QbftHeader, QbftSide, TendermintAnchor, TendermintHeader, TendermintSide, written,
};
use crosspoint_light_proofs::jmt::Siblings;
use crosspoint_light_proofs::qbft::{self, Encoding};
use crosspoint_light_proofs::signature::SigningKey;
use crosspoint_light_proofs::tendermint;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::ids::{Height, Sequence, Timestamp};
use crosspoint_protocol::lock::{PointsLock, Terms};
use crosspoint_protocol::outbox;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Preimage;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) const PREIMAGE: [u8; 32] = [7; 32];
pub(crate) const TIMEOUT: u64 = 2_000;
pub(crate) const GATEWAY: Address = Address::repeat_byte(0xaa);
const CHAIN: u64 = 31_337;
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
    chain: &'static str,
    validators: u8,
    /// Its client of the other chain, as the ledger writes it.
    client: Value,
}

/// A state of the chain: by key, the value; beside the keys of a few hundred others.
type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn crowd() -> State {
    (0u32..300).map(|i| (format!("other/{i}").into_bytes(), vec![1; 32])).collect()
}

impl Native {
    /// A chain with this client of the other one.
    pub(crate) const fn following(client: Value) -> Self {
        Self { chain: CHAIN_ID, validators: 4, client }
    }

    /// The same chain by this name.
    pub(crate) fn named(self, chain: &'static str) -> Self {
        Self { chain, ..self }
    }

    /// A chain whose client trusts the attestors.
    pub(crate) fn attested() -> Self {
        Self::following(attested_client())
    }

    fn block(&self, height: u64, secs: u64) -> Block {
        Block { chain_id: self.chain, ..Block::new(height, secs, &validators(1..self.validators + 1)) }
    }

    /// What the state says of the client.
    fn registration(&self, counterparty: &str) -> Vec<u8> {
        let record = json!({
            "state": self.client, "counterparty": counterparty, "paused": false, "closed": false
        });
        record.to_string().into_bytes()
    }

    fn header(&self, height: u64, secs: u64, state: &State, claims: &[(Claim, Vec<u8>)]) -> TendermintHeader {
        let tree = Tree::new(state);
        let mut block = self.block(height, secs);
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
        let block = self.block(1, 900);
        TendermintAnchor::new(block.inner(), &set(&block.next))
    }

    /// The source of a packet that was sent before header 11; `ended`: and whose lock ended before header 30.
    pub(crate) fn source(&self, packet: &Packet, ended: bool) -> ChainEvidence {
        let key = packet.commitment_path().to_bytes();
        let client = b"client/attested-0".to_vec();
        let mut state = crowd();
        state.insert(client.clone(), self.registration("checkpoint-0"));
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

    /// The destination of a packet that was acknowledged.
    pub(crate) fn destination(&self, packet: &Packet, ack: &AckRecord) -> ChainEvidence {
        let (receipt, answer) = (packet.receipt_path().to_bytes(), packet.ack_path().to_bytes());
        let (client, mut state) = (b"client/checkpoint-0".to_vec(), crowd());
        state.insert(receipt.clone(), packet.commitment().to_vec());
        state.insert(answer.clone(), ack.acknowledgement().commitment().to_vec());
        state.insert(client.clone(), self.registration("attested-0"));
        let claims = [(Claim::Received, receipt), (Claim::Acknowledged, answer), (Claim::Client, client)];
        let headers = vec![self.header(30, 1_100, &state, &claims)];
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
        self.listed(packet, true)
    }

    /// The list shows it while it stands; an earlier header, of before it was sent, shows that it does not.
    pub(crate) fn source_listed_later(&self, packet: &Packet) -> ChainEvidence {
        self.listed(packet, false)
    }

    fn listed(&self, packet: &Packet, gone: bool) -> ChainEvidence {
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
        let mut claims = vec![(Claim::Sent, head_key)];
        let mut headers = vec![];
        if gone {
            claims.insert(0, (Claim::Ended, key.clone()));
        } else {
            headers.push(self.header(11, 1_000, &state, &[(Claim::Ended, key.clone())]));
            state.insert(key.clone(), commitment.to_vec());
        }
        let mut header = self.header(30, 1_100, &state, &claims);
        let sent = header.proofs.last_mut().unwrap();
        sent.key = key.into();
        sent.value = Some(Bytes::copy_from_slice(&commitment));
        sent.outbox = Some(OutboxPath {
            previous_head,
            count: 3,
            index: 2,
            siblings: outbox::prove(&leaves, &[2]),
            later_roots: later.to_vec(),
        });
        headers.push(header);
        ChainEvidence::Tendermint(Box::new(TendermintSide { anchor: self.anchor(), headers }))
    }
}

/// A client that trusts the attestors of the anchor.
fn attested_client() -> Value {
    let anchor = anchor();
    json!({
        "type": "attested", "evm_chain_id": anchor.chain_id, "genesis_hash": anchor.genesis_hash,
        "attestors": anchor.attestors, "epoch": 0,
        "latest": {"number": 10, "hash": B256::ZERO, "time": 1_000, "state_root": B256::ZERO},
        "anchor": 5, "trusting_period": 600, "store_address": anchor.gateway, "base_slot": anchor.base_slot,
        "frozen": false, "generation": 0
    })
}

fn keys() -> Vec<SigningKey> {
    (1..=3).map(|i| SigningKey::from_bytes([i; 32]).unwrap()).collect()
}

pub(crate) fn anchor() -> AttestedAnchor {
    let addresses = keys().iter().map(SigningKey::address).collect();
    AttestedAnchor {
        hash: B256::ZERO,
        chain_id: CHAIN,
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

/// What the gateway stores: by key, the value.
type Stored = Vec<(Vec<u8>, [u8; 32])>;
/// What is shown under which keys.
type Claims = Vec<(Claim, Vec<u8>)>;

/// A state in which the gateway stores these values: its root, the account's nodes, and what is shown.
fn storage(stored: &[(Vec<u8>, [u8; 32])], claims: &[(Claim, Vec<u8>)]) -> (B256, Vec<Bytes>, Vec<EvmProof>) {
    let slot = |key: &[u8]| keccak256([keccak256(key), B256::ZERO].concat());
    let mut slots: BTreeMap<B256, U256> = (0..300u64).map(|i| (keccak256(i.to_be_bytes()), U256::MAX)).collect();
    slots.extend(stored.iter().map(|(key, value)| (slot(key), U256::from_be_bytes(*value))));
    let (storage_root, _) = trie::storage(&slots, &B256::ZERO);
    let (state_root, account) = trie::state(&GATEWAY, trie::account(storage_root), 100, &GATEWAY);
    let proofs = claims.iter().map(|(shows, key)| {
        let value = stored.iter().find(|(known, _)| known == key).map(|(_, value)| B256::from(*value));
        EvmProof { shows: *shows, key: key.clone().into(), value, nodes: trie::storage(&slots, &slot(key)).1 }
    });
    (state_root, account, proofs.collect())
}

/// An attested chain whose gateway stores these values, at a time.
pub(crate) fn evm(secs: u64, stored: &[(Vec<u8>, [u8; 32])], claims: &[(Claim, Vec<u8>)]) -> ChainEvidence {
    ChainEvidence::Attested(AttestedSide { anchor: anchor(), headers: vec![attested(20, secs, stored, claims)] })
}

/// Where a packet is received and claimed, and a header of before shows that it was not yet acknowledged.
pub(crate) fn paid_after_it_was_open(packet: &Packet) -> ChainEvidence {
    let (stored, mut claims) = answered(packet, &AckRecord::Claimed { preimage: PREIMAGE });
    let (_, answer) = claims.pop().unwrap();
    let before = attested(20, 1_040, &[], &[(Claim::NotAcknowledged, answer)]);
    ChainEvidence::Attested(AttestedSide {
        anchor: anchor(),
        headers: vec![before, attested(21, 1_050, &stored, &claims)],
    })
}

fn attested(number: u64, secs: u64, stored: &[(Vec<u8>, [u8; 32])], claims: &[(Claim, Vec<u8>)]) -> AttestedHeader {
    let (state_root, account, proofs) = storage(stored, claims);
    let (anchor, rlp) = (anchor(), rlp(number, secs, state_root));
    let statement = anchor.statement(Height(number), keccak256(&rlp));
    let mut signed: Vec<_> = keys().iter().take(2).map(|key| (key.address(), statement.sign(key))).collect();
    signed.sort_by_key(|(address, _)| *address);
    let signatures = signed.into_iter().map(|(_, signature)| signature).collect();
    AttestedHeader { rlp, signatures, account, proofs }
}

/// What the destination's contract stores and shows of a packet that was acknowledged.
fn answered(packet: &Packet, ack: &AckRecord) -> (Stored, Claims) {
    let (receipt, answer) = (packet.receipt_path().to_bytes(), packet.ack_path().to_bytes());
    let stored = vec![(receipt.clone(), packet.commitment()), (answer.clone(), ack.acknowledgement().commitment())];
    (stored, vec![(Claim::Received, receipt), (Claim::Acknowledged, answer)])
}

/// What the source's contract stores and shows while the lock stands; and once it ended.
fn locked(packet: &Packet) -> [(Stored, Claims); 2] {
    let key = packet.commitment_path().to_bytes();
    [(vec![(key.clone(), packet.commitment())], vec![(Claim::Sent, key.clone())]), (vec![], vec![(Claim::Ended, key)])]
}

/// A client as the ledger writes it, of this type.
fn client(kind: &str, state: impl serde::Serialize) -> Value {
    let mut state = serde_json::to_value(state).unwrap();
    state["type"] = kind.into();
    state
}

/// A client of a CometBFT chain that looks for packets in this store.
pub(crate) fn tendermint_client(chain: &str, store: tendermint::PacketStore) -> Value {
    let block = Block::new(1, 900, &validators(1..5));
    client("tendermint", tendermint::ClientState { chain_id: chain.parse().unwrap(), store, ..block.client() })
}

/// Blocks of a chain whose validators change from block to block.
pub(crate) struct Sealed(pub(crate) Encoding);

impl Sealed {
    pub(crate) fn block(&self, number: u64, root: B256) -> sealed_chain::Block {
        let (all, from) = (validator_keys(12), (number as usize - 10) / 10 * 2);
        sealed_chain::Block { root, ..sealed_chain::Block::new(self.0, number, 990 + number, &all[from..from + 4]) }
    }

    pub(crate) fn anchor(&self, block: &sealed_chain::Block) -> QbftAnchor {
        let anchor = QbftAnchor {
            hash: B256::ZERO,
            chain_id: CHAIN,
            encoding: self.0,
            rlp: block.rlp(),
            gateway: GATEWAY,
            base_slot: B256::ZERO,
        };
        anchor.sealed().unwrap()
    }

    /// A client that trusts this block.
    pub(crate) fn client(&self, block: &sealed_chain::Block) -> Value {
        let state = qbft::ClientState { evm_chain_id: CHAIN, store_address: GATEWAY, ..block.client() };
        client("qbft", state)
    }

    fn header(block: &sealed_chain::Block, account: Vec<Bytes>, proofs: Vec<EvmProof>) -> QbftHeader {
        QbftHeader { rlp: block.rlp(), account, proofs }
    }

    /// The destination of a packet that was acknowledged, with a header between that leads there.
    fn destination(&self, packet: &Packet, ack: &AckRecord) -> ChainEvidence {
        let (stored, claims) = answered(packet, ack);
        let (root, account, proofs) = storage(&stored, &claims);
        let [first, between] = [10, 20].map(|number| self.block(number, B256::repeat_byte(7)));
        let headers =
            vec![Self::header(&between, vec![], vec![]), Self::header(&self.block(30, root), account, proofs)];
        ChainEvidence::Qbft(QbftSide { anchor: self.anchor(&first), headers })
    }

    /// The source of a packet whose lock ended: it stood at the anchor's own block.
    fn source(&self, packet: &Packet) -> ChainEvidence {
        let shown = locked(packet).into_iter().zip([10, 20]).map(|((stored, claims), number)| {
            let (root, account, proofs) = storage(&stored, &claims);
            (self.block(number, root), account, proofs)
        });
        let shown: Vec<_> = shown.collect();
        let anchor = self.anchor(&shown[0].0);
        let headers = shown.into_iter().map(|(block, account, proofs)| Self::header(&block, account, proofs)).collect();
        ChainEvidence::Qbft(QbftSide { anchor, headers })
    }

    pub(crate) fn settled(&self) -> Evidence {
        let (packet, claimed) = (record().packet(), AckRecord::Claimed { preimage: PREIMAGE });
        let native = Native::following(self.client(&self.block(10, B256::repeat_byte(7))));
        evidence(native.source(&packet, true), Some(claimed.clone()), self.destination(&packet, &claimed))
    }

    pub(crate) fn returned(&self) -> Evidence {
        let (packet, claimed) = (record().packet(), AckRecord::Claimed { preimage: PREIMAGE });
        let (root, ..) = storage(&locked(&packet)[1].0, &[]);
        let native = Native::following(self.client(&self.block(20, root)));
        evidence(self.source(&packet), Some(claimed.clone()), native.destination(&packet, &claimed))
    }
}

/// Ethereum's part, over a beacon chain of our own.
pub(crate) mod beacon {
    use super::*;
    use crate::beacon_chain::{Block, Execution, GENESIS_TIME, SIZE, network, start};

    const MINIMAL: Preset = Preset::MINIMAL;

    fn executed(slot: u64, state_root: B256) -> Option<Execution> {
        Some(Execution { number: slot * 2, state_root, time: GENESIS_TIME + slot * 6 })
    }

    pub(crate) fn anchor(root: B256) -> EthereumPosAnchor {
        let block = Block { execution: executed(8, root), ..Block::new(8, 0) };
        let anchor = EthereumPosAnchor {
            hash: B256::ZERO,
            chain_id: CHAIN,
            network: network(MINIMAL),
            bootstrap: block.bootstrap(),
            gateway: GATEWAY,
            base_slot: B256::ZERO,
        };
        anchor.sealed()
    }

    /// A client that trusts the anchor.
    pub(crate) fn client(anchor: &EthereumPosAnchor) -> Value {
        let state = ethereum_pos::ClientState {
            latest: anchor.start().unwrap().latest(),
            evm_chain_id: CHAIN,
            store_address: GATEWAY,
            ..start(MINIMAL).0
        };
        super::client("ethereum-pos", state)
    }

    /// The update of a block by which one with this state is final; as files have it.
    pub(crate) fn update(slot: u64, finalized: u64, root: B256) -> Update {
        let update = Block { final_execution: executed(finalized, root), ..Block::new(slot, finalized) }.update(SIZE);
        written(&network(MINIMAL), &update).unwrap()
    }

    /// The same without the next committee: as beacon nodes tell what is newly final.
    pub(crate) fn finality(slot: u64, finalized: u64, root: B256) -> Update {
        let mut update = update(slot, finalized, root);
        (update.next_sync_committee, update.next_sync_committee_branch) = (None, vec![]);
        written(&network(MINIMAL), &update).unwrap()
    }

    fn header(update: Update, account: Vec<Bytes>, proofs: Vec<EvmProof>) -> EthereumPosHeader {
        EthereumPosHeader { update, account, proofs }
    }

    /// A transfer to Ethereum that was paid. The committee of the next period is shown by an update whose final block
    /// is below the anchor.
    pub(crate) fn settled() -> Evidence {
        let (packet, claimed) = (record().packet(), AckRecord::Claimed { preimage: PREIMAGE });
        let (stored, claims) = answered(&packet, &claimed);
        let (root, account, proofs) = storage(&stored, &claims);
        let other = B256::repeat_byte(7);
        let anchor = anchor(other);
        let native = Native::following(client(&anchor));
        let headers =
            vec![header(update(20, 4, other), vec![], vec![]), header(finality(80, 72, root), account, proofs)];
        let side = ChainEvidence::EthereumPos(Box::new(EthereumPosSide { anchor, headers }));
        evidence(native.source(&packet, true), Some(claimed), side)
    }

    /// A transfer from Ethereum: its lock stood at the anchor's own block, and ended.
    pub(crate) fn returned() -> Evidence {
        let (packet, claimed) = (record().packet(), AckRecord::Claimed { preimage: PREIMAGE });
        let [(stood, sent), (gone, ended)] = locked(&packet);
        let (before, account, proofs) = storage(&stood, &sent);
        let first = header(finality(16, 8, before), account, proofs);
        let (after, account, proofs) = storage(&gone, &ended);
        let headers = vec![first, header(finality(40, 24, after), account, proofs)];
        let anchor = anchor(before);
        let native = Native::following(client(&anchor));
        let side = ChainEvidence::EthereumPos(Box::new(EthereumPosSide { anchor, headers }));
        evidence(side, Some(claimed.clone()), native.destination(&packet, &claimed))
    }
}

pub(crate) fn evidence(source: ChainEvidence, ack: Option<AckRecord>, destination: ChainEvidence) -> Evidence {
    Evidence { format: FORMAT.into(), packet: record(), ack, source, destination }
}

/// The destination of a packet that was acknowledged.
pub(crate) fn acknowledged(packet: &Packet, ack: &AckRecord) -> ChainEvidence {
    let (stored, claims) = answered(packet, ack);
    evm(1_050, &stored, &claims)
}

/// A transfer of each end, by name.
pub(crate) fn all() -> Vec<(&'static str, Evidence)> {
    let native = Native::attested();
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
        ("to qbft", Sealed(Encoding::Qbft).settled()),
        ("to ibft2", Sealed(Encoding::Ibft2).settled()),
        ("from ibft1", Sealed(Encoding::Ibft1).returned()),
        ("to ethereum", beacon::settled()),
        ("from ethereum", beacon::returned()),
    ]
}

pub(crate) fn settled() -> Evidence {
    let (packet, claimed) = (record().packet(), AckRecord::Claimed { preimage: PREIMAGE });
    evidence(Native::attested().source(&packet, true), Some(claimed.clone()), acknowledged(&packet, &claimed))
}
