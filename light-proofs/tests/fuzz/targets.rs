//! What is fed with any bytes: every decoder and every verifier of the protocol and of the light clients. The same
//! functions run under libFuzzer (`fuzz/`, `make fuzz`) and as a test (`tests/fuzz`). Beyond not panicking, each states
//! what must hold of whatever it accepts.

use super::seeds;
use crate::{attested_world, beacon_chain, chain, checkpoint_world, evidence_case, sealed_chain};
use alloy_primitives::{Address, B256, Bytes, keccak256};
use crosspoint_light_proofs::ethereum_pos::{Bootstrap, Fork, Preset, Update};
use crosspoint_light_proofs::evidence::{Evidence, verify};
use crosspoint_light_proofs::evm::ExecutionHeader;
use crosspoint_light_proofs::qbft::{Encoding, ExtraData, SealedHeader};
use crosspoint_light_proofs::{attested, checkpoint, ethereum_pos, jmt, mpt, multistore, qbft, tendermint};
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{Height, Timestamp};
use crosspoint_protocol::lock::PointsLock;
use crosspoint_protocol::secret::Hashlock;
use std::sync::LazyLock;

/// Name, function, and inputs to start from.
pub(crate) type Target = (&'static str, fn(&[u8]), fn() -> Vec<Vec<u8>>);

/// All targets of this crate and of `protocol`.
pub(crate) const TARGETS: &[Target] = &[
    ("abi_payload", abi_payload, seeds::abi_payload),
    ("evm_header", evm_header, seeds::evm_header),
    ("qbft_extra", qbft_extra, seeds::qbft_extra),
    ("qbft_header", qbft_header, seeds::qbft_header),
    ("qbft_update", qbft_update, seeds::qbft_update),
    ("attested_update", attested_update, seeds::attested_update),
    ("mpt", mpt_proof, seeds::mpt_proof),
    ("jmt", jmt_proof, seeds::jmt_proof),
    ("multistore", multistore_proof, seeds::multistore_proof),
    ("tendermint_header", tendermint_header, seeds::tendermint_header),
    ("beacon_ssz", beacon_ssz, seeds::beacon_ssz),
    ("beacon_json", beacon_json, seeds::beacon_json),
    ("beacon_update", beacon_update, seeds::beacon_update),
    ("checkpoint", checkpoint_json, seeds::checkpoint),
    ("binding", binding_json, seeds::binding),
    ("state_json", state_json, seeds::state_json),
    ("evidence", evidence_file, seeds::evidence),
];

const FORKS: [Fork; 6] = [Fork::Altair, Fork::Bellatrix, Fork::Capella, Fork::Deneb, Fork::Electra, Fork::Fulu];

fn abi_payload(bytes: &[u8]) {
    if let Ok(lock) = PointsLock::abi_decode(bytes) {
        assert_eq!(lock.abi_encode(), bytes, "one encoding");
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(denom) = text.parse::<Denom>()
    {
        assert_eq!(denom.to_string(), text);
    }
    if let Ok(ack) = Acknowledgement::decode(bytes, &Hashlock([0; 32])) {
        assert_eq!(ack.encode(), bytes);
    }
}

fn evm_header(bytes: &[u8]) {
    if let Ok(header) = ExecutionHeader::decode(bytes) {
        assert_eq!(header.hash, keccak256(bytes));
    }
}

fn encodings(bytes: &[u8]) -> Option<(Encoding, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let encoding = sealed_chain::ENCODINGS.get(usize::from(*first))?;
    Some((*encoding, rest))
}

fn qbft_extra(bytes: &[u8]) {
    let Some((encoding, extra)) = encodings(bytes) else { return };
    if let Ok(read) = ExtraData::decode(encoding, extra) {
        assert!(read.validators.len() <= qbft::MAX_VALIDATORS && read.seals.len() <= qbft::MAX_VALIDATORS);
    }
}

/// The blocks that sealed headers are verified from, of each encoding.
static SEALED: LazyLock<[sealed_chain::Block; 3]> =
    LazyLock::new(|| sealed_chain::ENCODINGS.map(sealed_chain::genesis));

fn qbft_header(bytes: &[u8]) {
    let Some((encoding, rlp)) = encodings(bytes) else { return };
    let trusted = SEALED.iter().find(|block| block.encoding == encoding).expect("every encoding");
    if let Ok(header) = SealedHeader::decode(encoding, rlp) {
        let _ = header.signers();
    }
    judge_sealed(trusted, &qbft::Header { trusted_height: Height(10), rlp: Bytes::copy_from_slice(rlp) });
    let _ = qbft::anchor(sealed_chain::client(encoding), rlp, Timestamp(1_100));
}

fn judge_sealed(trusted: &sealed_chain::Block, update: &qbft::Header) {
    const NOW: Timestamp = Timestamp(1_100);
    let (client, state) = (trusted.client(), trusted.consensus());
    if let Ok((client, state)) = qbft::verify_update(&client, &state, update, NOW) {
        // Nobody but the validators of the seed can seal, and they sealed one header.
        assert_eq!((client.latest.number, state.root), (Height(12), B256::repeat_byte(12)));
    }
    let conflict = qbft::check_conflict(&client, &state, update, &trusted.latest(), NOW);
    assert!(conflict.is_err(), "nobody sealed a contradiction");
}

/// The message of a ledger transaction.
fn qbft_update(bytes: &[u8]) {
    if let Ok(update) = qbft::Header::decode(bytes) {
        assert_eq!(update.encode(), bytes);
        SEALED.iter().for_each(|trusted| judge_sealed(trusted, &update));
    }
}

fn attested_update(bytes: &[u8]) {
    let (_, client, good) = &*ATTESTED;
    if let Ok(header) = attested::Header::decode(bytes) {
        assert_eq!(header.encode(), bytes);
        if let Ok((next, _)) = attested::verify_update(client, &header, attested_world::NOW) {
            assert_eq!(next.latest.hash, good.statement.hash);
        }
        let _ = attested::check_misbehaviour(client, &header, good);
    }
    if let Ok(rotation) = attested::SignedRotation::decode(bytes) {
        assert_eq!(rotation.encode(), bytes);
        if let Ok(next) = attested::verify_rotation(client, &rotation, attested_world::NOW) {
            assert_eq!(next.attestors, client.attestors);
        }
    }
    // The two kinds of update are told apart by their bytes alone.
    let update = attested::Update::decode(bytes).ok();
    let (header, rotation) = (attested::Header::decode(bytes), attested::SignedRotation::decode(bytes));
    let either = header.map(attested::Update::Header).or(rotation.map(attested::Update::Rotation)).ok();
    assert_eq!(update, either);
    if let Ok(nodes) = attested::decode_nodes(bytes) {
        assert_eq!(attested::encode_nodes(&nodes), bytes);
    }
}

type AttestedWorld = (Vec<crosspoint_light_proofs::signature::SigningKey>, attested::ClientState, attested::Header);
static ATTESTED: LazyLock<AttestedWorld> = LazyLock::new(attested_world::world);

/// A key, then nodes. The root is the first node's hash, so that the walk begins; each node that is the one named by
/// the node before goes deeper.
fn mpt_proof(bytes: &[u8]) {
    let Some((key, nodes)) = bytes.split_at_checked(32) else { return };
    let key = B256::from_slice(key);
    let Ok(nodes) = attested::decode_nodes(nodes) else { return };
    let root = nodes.first().map_or(B256::ZERO, keccak256);
    let _ = mpt::lookup(&root, &key, &nodes);
    let _ = mpt::verify_account(&root, &Address::from_word(key), &nodes);
    if let Ok(Some(value)) = mpt::read_storage(&root, &key, &nodes) {
        assert_eq!(mpt::verify_storage(&root, &key, &value, &nodes), Ok(()));
        assert!(mpt::verify_storage_absence(&root, &key, &nodes).is_err());
    }
    // Under a root that commits to nothing of this, nothing is proven.
    assert!(mpt::lookup(&B256::repeat_byte(0x11), &key, &nodes).is_err());
}

fn jmt_proof(bytes: &[u8]) {
    let tree = &*seeds::TREE;
    for present in [true, false] {
        let key: &[u8] = if present { b"key/1" } else { b"absent" };
        // No proof makes a present key absent, an absent key present, or a value another one.
        assert!(!present || jmt::verify_absence(&tree.root, key, bytes).is_err());
        assert!(present || jmt::verify_membership(&tree.root, key, &[1; 32], bytes).is_err());
        assert!(jmt::verify_membership(&tree.root, key, b"other", bytes).is_err());
        let _ = jmt::verify_membership(&tree.root, key, &[1; 32], bytes);
        let _ = jmt::verify_absence(&tree.root, key, bytes);
    }
    if let Ok(siblings) = jmt::Siblings::absence(bytes) {
        assert!(siblings.verify_absence(&tree.root, b"key/1").is_err());
    }
    if let Ok(siblings) = jmt::Siblings::membership(bytes) {
        assert!(siblings.siblings.len() <= jmt::MAX_SIBLINGS);
    }
    if let Ok(nearest) = jmt::NearestLeaf::from_ics23(bytes) {
        assert!(nearest.verify_absence(&tree.root, b"key/1").is_err());
    }
}

fn multistore_proof(bytes: &[u8]) {
    assert!(multistore::verify_membership(&[1; 32], b"ibc", b"key", b"value", bytes).is_err());
    assert!(multistore::verify_absence(&[1; 32], b"ibc", b"key", bytes).is_err());
    let (app_hash, _) = &*seeds::STORES;
    assert!(multistore::verify_membership(app_hash, b"ibc", b"key", b"other", bytes).is_err());
    assert!(multistore::verify_absence(app_hash, b"ibc", b"key", bytes).is_err());
    let _ = multistore::verify_membership(app_hash, b"ibc", b"key", b"value", bytes);
}

fn tendermint_header(bytes: &[u8]) {
    static TRUSTED: LazyLock<chain::Block> = LazyLock::new(seeds::trusted);
    let Ok(header) = tendermint::Header::decode(bytes) else { return };
    let (client, state) = (TRUSTED.client(), TRUSTED.consensus());
    if let Ok((_, believed)) = tendermint::verify_update(&client, &state, &header, Timestamp(1_200)) {
        assert!(seeds::ROOTS.contains(&believed.root), "nobody but the validators of the seeds can sign");
    }
    let _ = tendermint::anchor(client.clone(), &header, Timestamp(1_200));
    let _ = tendermint::check_conflict(&client, &state, &header, &TRUSTED.latest(), Timestamp(1_200));
}

fn beacon_ssz(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let Some(fork) = FORKS.get(usize::from(*first)) else { return };
    for preset in [Preset::MINIMAL, Preset::MAINNET] {
        let _ = Bootstrap::from_ssz(preset, *fork, rest);
        if let Ok(update) = Update::from_ssz(preset, *fork, rest) {
            // What is left out is written as zeros again.
            let again = update.to_ssz(preset, *fork);
            assert_eq!(Update::from_ssz(preset, *fork, &again).as_ref(), Ok(&update));
            if preset == Preset::MINIMAL {
                judge(update);
            }
        }
    }
}

fn judge(update: Update) {
    static SIGNERS: LazyLock<ethereum_pos::SyncCommittee> =
        LazyLock::new(|| beacon_chain::committee(Preset::MINIMAL, 0));
    judge_beacon(&ethereum_pos::Header { trusted_height: Height(0), signers: SIGNERS.clone(), update });
}

/// Nobody but the committee of the seeds can sign, and it signed for one chain.
fn judge_beacon(header: &ethereum_pos::Header) {
    static START: LazyLock<(ethereum_pos::ClientState, ethereum_pos::ConsensusState)> =
        LazyLock::new(|| beacon_chain::start(Preset::MINIMAL));
    static NEXT: LazyLock<B256> = LazyLock::new(|| beacon_chain::committee(Preset::MINIMAL, 1).root());
    static GOOD: LazyLock<ethereum_pos::Header> =
        LazyLock::new(|| seeds::beacon_blocks()[0].signed(beacon_chain::SIZE));
    let (client, state) = &*START;
    let now = beacon_chain::NOW;
    let believed = ethereum_pos::verify_update(client, state, header, now);
    if let Ok((_, believed)) = &believed {
        let slots = seeds::beacon_blocks().map(|block| block.finalized);
        assert!(slots.contains(&believed.slot) && believed.root == B256::repeat_byte(1), "{believed:?}");
        assert!(believed.next_committee.is_none_or(|next| next == *NEXT));
    }
    if let Ok(shown) = ethereum_pos::verify_committee(client, state, header, now) {
        assert_eq!(shown, ethereum_pos::ConsensusState { next_committee: Some(*NEXT), ..*state });
    }
    let known = [client.latest];
    assert!(ethereum_pos::check_conflict(client, state, header, &known, now).is_err(), "signed for one chain");
    // Only what is believed is worth a second signature check.
    if believed.is_ok() {
        let pair = ethereum_pos::check_misbehaviour(client, (header, state), (&GOOD, state), now);
        assert!(pair.is_err(), "signed for one chain");
    }
}

/// The message of a ledger transaction.
fn beacon_update(bytes: &[u8]) {
    for preset in [Preset::MINIMAL, Preset::MAINNET] {
        let Ok(header) = ethereum_pos::Header::decode(preset, bytes) else { continue };
        assert_eq!(header.signers.pubkeys.len(), preset.sync_committee_size);
        assert!(FORKS.iter().any(|fork| header.encode(preset, *fork) == bytes), "one encoding");
        if preset == Preset::MINIMAL {
            judge_beacon(&header);
        }
    }
}

/// A signed checkpoint, or two of them in a list; the state of a client.
fn checkpoint_json(bytes: &[u8]) {
    type World = (checkpoint::ClientState, checkpoint::SignedCheckpoint, Vec<checkpoint::Latest>);
    static WORLD: LazyLock<World> = LazyLock::new(|| {
        let (keys, client, good) = checkpoint_world::world();
        let next = checkpoint_world::rotation(&good, &keys);
        let believed = [&good, &next].map(|signed| (&signed.checkpoint).into());
        (client, good, believed.into())
    });
    const NOW: Timestamp = checkpoint_world::NOW;
    let (client, good, believed) = &*WORLD;
    let contradict = |one: &checkpoint::SignedCheckpoint, other: &checkpoint::SignedCheckpoint| {
        let (one, other) = (checkpoint::Side::Signed(one), checkpoint::Side::Signed(other));
        let root = client.newest();
        [(one, other), (checkpoint::Side::Newest, other), (checkpoint::Side::Trusted(&root), other)]
            .into_iter()
            .any(|(one, other)| checkpoint::check_misbehaviour(client, &root, one, other, NOW).is_ok())
    };
    let one = serde_json::from_slice::<checkpoint::SignedCheckpoint>(bytes).ok();
    let two = serde_json::from_slice::<(checkpoint::SignedCheckpoint, checkpoint::SignedCheckpoint)>(bytes).ok();
    for signed in one.iter().chain(two.iter().flat_map(|(one, other)| [one, other])) {
        if let Ok(next) = checkpoint::verify_update(client, signed, NOW) {
            assert!(believed.contains(&next.latest), "nobody signed {:?}", next.latest);
        }
        assert!(checkpoint::check_conflict(client, signed).is_err(), "nobody signed a contradiction");
        assert!(!contradict(good, signed), "nobody signed a contradiction");
    }
    if let Some((one, other)) = &two {
        assert!(!contradict(one, other), "nobody signed a contradiction");
    }
    if let Ok(other) = serde_json::from_slice::<checkpoint::ClientState>(bytes) {
        let _ = checkpoint::verify_update(&other, good, NOW);
        let _ = checkpoint::check_conflict(&other, good);
    }
}

fn binding_json(bytes: &[u8]) {
    static GOOD: LazyLock<checkpoint::KeyBinding> = LazyLock::new(checkpoint_world::binding);
    let Ok(binding) = serde_json::from_slice::<checkpoint::KeyBinding>(bytes) else { return };
    if binding.verify(&checkpoint_world::chain_id()).is_ok() {
        assert_eq!(binding, *GOOD, "nobody else signed");
    }
    assert!(binding.verify(&"crosspoint-2".parse().expect("a chain id")).is_err(), "on no other chain");
}

fn beacon_json(bytes: &[u8]) {
    if let Ok(update) = serde_json::from_slice::<Update>(bytes) {
        judge(update);
    }
    if let Ok(bootstrap) = serde_json::from_slice::<Bootstrap>(bytes) {
        let client = beacon_chain::start(Preset::MINIMAL).0;
        let _ = ethereum_pos::anchor(client, &bootstrap);
    }
}

/// States and updates as an evidence file or a specification holds them.
fn state_json(bytes: &[u8]) {
    fn twice<T: serde::de::DeserializeOwned + serde::Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
        if let Ok(read) = serde_json::from_slice::<T>(bytes) {
            let text = serde_json::to_string(&read).expect("what was read can be written");
            assert_eq!(serde_json::from_str::<T>(&text).expect("and read again"), read);
        }
    }
    twice::<tendermint::ClientState>(bytes);
    twice::<tendermint::Header>(bytes);
    twice::<checkpoint::ClientState>(bytes);
    twice::<checkpoint::SignedCheckpoint>(bytes);
    twice::<checkpoint::KeyBinding>(bytes);
    twice::<attested::ClientState>(bytes);
    twice::<attested::Header>(bytes);
    twice::<attested::SignedRotation>(bytes);
    twice::<qbft::ClientState>(bytes);
    twice::<qbft::ConsensusState>(bytes);
    twice::<ethereum_pos::ClientState>(bytes);
    twice::<ethereum_pos::Header>(bytes);
    twice::<jmt::Siblings>(bytes);
}

/// Whatever is written, however: what verifies is one of the files that the keys of the seeds signed for.
fn evidence_file(bytes: &[u8]) {
    static PACKET: LazyLock<crosspoint_light_proofs::evidence::PacketRecord> = LazyLock::new(evidence_case::record);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(read) = Evidence::read(text) {
        assert_eq!(read.to_text().as_deref(), Ok(text), "one text");
    }
    let read = serde_json::from_str(text).ok().and_then(|value| Evidence::from_value(value).ok());
    if let Some(read) = read.filter(|read| verify(read, &[]).is_ok()) {
        assert_eq!(read.packet, *PACKET, "nobody signed for another packet");
    }
}
