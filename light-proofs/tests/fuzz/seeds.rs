//! Inputs to start from, written by our own encoders when they are needed: valid messages of each kind, so that changes
//! to them reach past the first checks.

use crate::jmt_tree::Tree;
use crate::{
    attested_world, beacon_chain, chain, checkpoint_world, evidence_case, sealed_chain, support::vectors_dir, trie,
};
use alloy_primitives::{B256, FixedBytes, U256, keccak256};
use crosspoint_light_proofs::attested::{SignedRotation, encode_nodes};
use crosspoint_light_proofs::ethereum_pos::{Fork, Header, Preset, SyncCommittee};
use crosspoint_protocol::ack::{Acknowledgement, UNIVERSAL_ERROR_ACK};
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::ids::Timestamp;
use crosspoint_protocol::lock::{PointsLock, Terms};
use crosspoint_protocol::secret::{Hashlock, Preimage};
use crosspoint_protocol::terms::{Forward, Hop};
use ics23::commitment_proof::Proof;
use ics23::{
    CommitmentProof, ExistenceProof, HostFunctionsManager, InnerOp, LeafOp, NonExistenceProof,
    calculate_existence_root, iavl_spec, tendermint_spec,
};
use prost::Message;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

type Inputs = Vec<Vec<u8>>;

pub(crate) fn abi_payload() -> Inputs {
    let lock = PointsLock {
        denom: "points/checkpoint-0/gold".parse().expect("a denom"),
        amount: Amount::new(1_000),
        sender: "alice".parse().expect("an address"),
        receiver: "0x5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e".parse().expect("an address"),
        hashlock: Hashlock([7; 32]),
        claim_deadline: Timestamp(1_700_000_000),
        terms: Terms::Plain,
        memo: "thanks".into(),
    };
    let hop = Hop {
        client: "attested-0".parse().expect("a client"),
        receiver: lock.receiver.clone(),
        timeout: Timestamp(1_700_000_100),
        claim_deadline: Timestamp(1_700_000_700),
    };
    let terms = Terms::Forward(Forward::new(vec![hop.clone(), hop]).expect("two hops"));
    let forwarded = PointsLock { terms, ..lock.clone() };
    let success = Acknowledgement::Success(Preimage::new([9; 32])).encode();
    vec![
        lock.abi_encode(),
        forwarded.abi_encode(),
        b"points/a-0/b-0/gold".to_vec(),
        success,
        UNIVERSAL_ERROR_ACK.to_vec(),
    ]
}

pub(crate) fn evm_header() -> Inputs {
    [15, 17, 21].map(|fields| attested_world::header_rlp(20, 1_010, B256::repeat_byte(7), fields).to_vec()).into()
}

fn sealed() -> Vec<sealed_chain::Block> {
    let block = |encoding| {
        let trusted = sealed_chain::genesis(encoding);
        sealed_chain::Block::new(encoding, 12, 1_050, &trusted.validators)
    };
    sealed_chain::ENCODINGS.map(block).into()
}

/// The first byte says which encoding.
fn tagged(inputs: impl Iterator<Item = Vec<u8>>) -> Inputs {
    inputs.enumerate().map(|(at, input)| [&[at as u8], input.as_slice()].concat()).collect()
}

pub(crate) fn qbft_extra() -> Inputs {
    tagged(sealed().iter().map(|block| block.extra(&[[1; 65]; 3])))
}

pub(crate) fn qbft_header() -> Inputs {
    tagged(sealed().iter().map(|block| block.rlp().to_vec()))
}

/// As transactions carry them.
pub(crate) fn qbft_update() -> Inputs {
    let trusted = sealed_chain::ENCODINGS.map(sealed_chain::genesis);
    sealed().iter().zip(&trusted).map(|(block, trusted)| block.update(trusted).encode()).collect()
}

pub(crate) fn attested_update() -> Inputs {
    let (keys, client, header) = attested_world::world();
    let rotation = attested_world::rotation(&client, client.attestors.clone());
    let (_, account, storage) = attested_world::stored(&attested_world::receipt(7));
    let rotation = SignedRotation::sign(rotation, &keys).encode();
    vec![header.encode(), rotation, encode_nodes(&account), encode_nodes(&storage)]
}

pub(crate) fn mpt_proof() -> Inputs {
    let slots: BTreeMap<_, _> = (0..200u64).map(|i| (B256::from(U256::from(i)), U256::from(i + 1))).collect();
    let inputs = [B256::ZERO, B256::from(U256::from(7)), B256::repeat_byte(0xee)].map(|slot| {
        let (_, nodes) = trie::storage(&slots, &slot);
        [slot.as_slice(), &encode_nodes(&nodes)].concat()
    });
    // Keys as they are, close together: long extensions and nodes within nodes.
    let close: BTreeMap<_, _> = (0..20u8).map(|i| (B256::left_padding_from(&[i]), vec![i + 1])).collect();
    let (_, nodes) = trie::prove(&close, &B256::left_padding_from(&[3]));
    let near = [keccak256([3]).as_slice(), &encode_nodes(&nodes)].concat();
    [inputs.to_vec(), vec![near]].concat()
}

/// The tree that proofs are judged against.
pub(crate) static TREE: LazyLock<Tree> = LazyLock::new(|| {
    let items = (0..50u8).map(|i| (format!("key/{i}").into_bytes(), vec![i; 32]));
    Tree::new(&items.collect())
});

pub(crate) fn jmt_proof() -> Inputs {
    let ours = [b"key/1".as_slice(), b"key/2", b"absent", b"absent too"].map(|key| TREE.ics23(key));
    [ours.to_vec(), found_by_ics23().iter().map(Message::encode_to_vec).collect()].concat()
}

/// What ICS-23's own fuzzing found and keeps (`testdata/fuzz` of its Go code), as our decoder takes it: each proof as one of
/// existence, and as both sides of one of absence. Only where the vectors are.
fn found_by_ics23() -> Vec<CommitmentProof> {
    let Some(dir) = vectors_dir() else { return vec![] };
    let folders = std::fs::read_dir(dir.join("ics23-jmt/ics23/fuzz-corpus")).expect("the corpus is among the vectors");
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.expect("a folder").path()).expect("its files"));
    let mut texts: Vec<_> =
        files.map(|file| std::fs::read_to_string(file.expect("a file").path()).expect("a text")).collect();
    texts.sort();
    let mut proofs = vec![];
    for text in texts {
        // Go's format: `[]byte("...")`, quoted as JSON quotes too; within, JSON whose names may have letters of any case.
        let quoted = text.lines().find_map(|line| line.strip_prefix("[]byte(")?.strip_suffix(')')).expect("bytes");
        let inner: String = serde_json::from_str(quoted).expect("a quoted text");
        let Ok(value) = serde_json::from_str::<Value>(&inner.to_lowercase()) else { continue };
        let exist = ics23_proof(value.get("proof").or(value.get("ref")).unwrap_or(&value));
        let (key, side) = (exist.key.clone(), Some(exist.clone()));
        let absent = NonExistenceProof { key, left: side.clone(), right: side };
        let found = [Proof::Exist(exist), Proof::Nonexist(absent)].map(|proof| CommitmentProof { proof: Some(proof) });
        proofs.extend(found);
    }
    assert!(!proofs.is_empty(), "the corpus is read");
    proofs
}

fn ics23_proof(value: &Value) -> ExistenceProof {
    let int = |value: &Value, name: &str| value[name].as_i64().and_then(|int| i32::try_from(int).ok()).unwrap_or(0);
    // What stands in the texts decides the shape; which bytes they are does not.
    let bytes = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().as_bytes().to_vec();
    let leaf = value.get("leaf").map(|leaf| LeafOp {
        hash: int(leaf, "hash"),
        prehash_key: int(leaf, "prehash_key"),
        prehash_value: int(leaf, "prehash_value"),
        length: int(leaf, "length"),
        prefix: bytes(leaf, "prefix"),
    });
    let step = |step: &Value| InnerOp {
        hash: int(step, "hash"),
        prefix: bytes(step, "prefix"),
        suffix: bytes(step, "suffix"),
    };
    let path = value["path"].as_array().into_iter().flatten().map(step).collect();
    ExistenceProof { key: bytes(value, "key"), value: bytes(value, "value"), leaf, path }
}

/// `ibc.core.commitment.v1.MerkleProof`.
#[derive(Clone, PartialEq, Message)]
struct MerkleProof {
    #[prost(message, repeated, tag = "1")]
    proofs: Vec<CommitmentProof>,
}

/// The app hash of a state whose store `ibc` holds one key, and the proof of it.
pub(crate) static STORES: LazyLock<([u8; 32], Vec<u8>)> = LazyLock::new(|| {
    let root = |proof: &ExistenceProof| calculate_existence_root::<HostFunctionsManager>(proof).expect("a root");
    let leaf = iavl_spec().leaf_spec.map(|leaf| ics23::LeafOp { prefix: vec![0, 2, 2], ..leaf });
    let inner = ExistenceProof { key: b"key".into(), value: b"value".into(), leaf, path: vec![] };
    let outer =
        ExistenceProof { key: b"ibc".into(), value: root(&inner), leaf: tendermint_spec().leaf_spec, path: vec![] };
    let app_hash = root(&outer).try_into().expect("32 bytes");
    let proofs = [inner, outer].map(|proof| CommitmentProof { proof: Some(Proof::Exist(proof)) });
    (app_hash, MerkleProof { proofs: proofs.into() }.encode_to_vec())
});

pub(crate) fn multistore_proof() -> Inputs {
    let found = found_by_ics23();
    let found = found.chunks(2).map(|proofs| MerkleProof { proofs: proofs.to_vec() }.encode_to_vec());
    [vec![STORES.1.clone()], found.collect()].concat()
}

/// The block that tendermint headers are verified from.
pub(crate) fn trusted() -> chain::Block {
    chain::Block::new(10, 1_000, &chain::validators(1..5))
}

/// The roots in the headers of the seeds.
pub(crate) const ROOTS: [[u8; 32]; 3] = [[11; 32], [12; 32], [20; 32]];

pub(crate) fn tendermint_header() -> Inputs {
    let trusted = trusted();
    let blocks = [(11, 1..5), (12, 1..5), (20, 3..7)];
    blocks
        .map(|(height, set)| chain::Block::new(height, 1_100, &chain::validators(set)).update(&trusted).encode())
        .into()
}

pub(crate) fn beacon_ssz() -> Inputs {
    let update = beacon_chain::Block::new(40, 24).update(beacon_chain::SIZE);
    let forks = [(0, Fork::Altair), (2, Fork::Capella), (4, Fork::Electra)];
    forks.map(|(tag, fork)| [&[tag], update.to_ssz(Preset::MINIMAL, fork).as_slice()].concat()).into()
}

/// The beacon blocks of the seeds: what they finalize is one chain.
pub(crate) fn beacon_blocks() -> [beacon_chain::Block; 2] {
    [(40, 24), (56, 40)].map(|(slot, finalized)| beacon_chain::Block::new(slot, finalized))
}

/// As transactions carry them: in the forms of all forks, and one of mainnet's size.
pub(crate) fn beacon_update() -> Inputs {
    let [good, later] = beacon_blocks().map(|block| block.signed(beacon_chain::SIZE));
    let mut inputs = vec![later.encode(Preset::MINIMAL, Fork::Electra)];
    inputs.extend(
        [Fork::Altair, Fork::Capella, Fork::Deneb, Fork::Electra].map(|fork| good.encode(Preset::MINIMAL, fork)),
    );
    let committee = SyncCommittee {
        pubkeys: vec![FixedBytes([7; 48]); Preset::MAINNET.sync_committee_size],
        aggregate_pubkey: FixedBytes([8; 48]),
    };
    let mut large = Header { signers: committee.clone(), ..good };
    large.update.next_sync_committee = Some(committee);
    large.update.sync_aggregate.sync_committee_bits = vec![0xff; Preset::MAINNET.sync_committee_size / 8].into();
    inputs.push(large.encode(Preset::MAINNET, Fork::Electra));
    inputs
}

/// Alone, and two in one list: a pair to compare.
pub(crate) fn checkpoint() -> Inputs {
    let (keys, client, good) = checkpoint_world::world();
    let mut fewer = good.clone();
    fewer.signatures.truncate(3);
    let with_next = checkpoint_world::rotation(&good, &keys);
    vec![json(&good), json(&with_next), json(&(&good, &fewer)), json(&(&good, &with_next)), json(&client)]
}

pub(crate) fn binding() -> Inputs {
    vec![json(&checkpoint_world::binding())]
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("what we have can be written")
}

pub(crate) fn beacon_json() -> Inputs {
    vec![json(&beacon_chain::Block::new(40, 24).update(beacon_chain::SIZE))]
}

pub(crate) fn state_json() -> Inputs {
    let (_, attested, header) = attested_world::world();
    let sealed = sealed_chain::genesis(sealed_chain::ENCODINGS[0]);
    let (pos, _) = beacon_chain::start(Preset::MINIMAL);
    let block = trusted();
    vec![
        json(&block.client()),
        json(&chain::Block::new(11, 1_100, &block.next).update(&block)),
        json(&attested),
        json(&header),
        json(&sealed.client()),
        json(&sealed.consensus()),
        json(&pos),
        json(&crosspoint_light_proofs::jmt::Siblings::absence(&TREE.ics23(b"absent")).expect("an absent key")),
    ]
}

pub(crate) fn evidence() -> Inputs {
    evidence_case::all().into_iter().map(|(_, file)| file.to_text().expect("a text").into_bytes()).collect()
}
