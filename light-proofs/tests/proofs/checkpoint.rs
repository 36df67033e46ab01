use crate::checkpoint_world::{NOW, binding, chain_id, rotation, set, world};
use crate::support::{high_s, keys};
use alloy_primitives::Address;
use crosspoint_light_proofs::checkpoint::{
    BindingError, BridgeSet, BridgeValidator, Checkpoint, CheckpointError, ClientState, KeyBinding, Latest,
    MAX_CLOCK_DRIFT, MAX_VALIDATORS, SetError, Side, SignedCheckpoint, check_conflict, check_misbehaviour,
    verify_update,
};
use crosspoint_light_proofs::signature::{SignatureError, SigningKey};
use crosspoint_protocol::ids::{Height, Timestamp};

fn resign(signed: &SignedCheckpoint, keys: &[SigningKey]) -> SignedCheckpoint {
    SignedCheckpoint::sign(signed.checkpoint.clone(), signed.set.clone(), signed.next_set.clone(), keys)
}

#[test]
fn a_quorum_moves_the_client_on() {
    let (keys, client, signed) = world();
    let next = verify_update(&client, &signed, NOW).unwrap();
    assert_eq!(next.latest, Latest::from(&signed.checkpoint));
    assert_eq!(next.newest(), signed.checkpoint);
    assert_eq!((next.generation, next.frozen, next.set_hash), (3, false, client.set_hash));
    assert!(verify_update(&client, &resign(&signed, &keys[1..]), NOW).is_ok(), "3 of 4 are more than two thirds");
}

#[test]
fn digest_and_set_hash_are_those_of_the_byte_format() {
    use alloy_primitives::keccak256;
    let (_, _, signed) = world();
    let c = &signed.checkpoint;
    let mut words = vec![];
    words.extend_from_slice(keccak256("crosspoint/checkpoint/v1").as_slice());
    words.extend_from_slice(keccak256("crosspoint-1").as_slice());
    for number in [c.height.0, c.time.0] {
        words.extend_from_slice(&[0; 24]);
        words.extend_from_slice(&number.to_be_bytes());
    }
    words.extend_from_slice(&[c.app_hash, c.set_hash, c.next_set_hash].concat());
    assert_eq!(c.digest(), keccak256(&words).0);
    let set: Vec<u8> = signed
        .set
        .validators()
        .iter()
        .flat_map(|v| [v.address.as_slice(), &u128::from(v.power).to_be_bytes()[4..]].concat())
        .collect();
    assert_eq!(signed.set.hash(), keccak256(set).0);
}

#[test]
fn exactly_two_thirds_is_no_quorum() {
    let keys = keys(3);
    let (_, mut client, mut signed) = world();
    signed.set = set(&keys, &[1, 1, 1]);
    client.set_hash = signed.set.hash();
    signed.checkpoint.set_hash = client.set_hash;
    let two = resign(&signed, &keys[..2]);
    assert_eq!(verify_update(&client, &two, NOW), Err(CheckpointError::QuorumNotReached { signed: 2, total: 3 }));
    assert!(verify_update(&client, &resign(&signed, &keys), NOW).is_ok());
}

#[test]
fn quorum_arithmetic_holds_at_the_largest_powers() {
    let keys = keys(3);
    let (_, mut client, mut signed) = world();
    signed.set = set(&keys, &[u64::MAX / 3; 3]);
    client.set_hash = signed.set.hash();
    signed.checkpoint.set_hash = client.set_hash;
    assert!(matches!(
        verify_update(&client, &resign(&signed, &keys[..2]), NOW),
        Err(CheckpointError::QuorumNotReached { .. })
    ));
    assert!(verify_update(&client, &resign(&signed, &keys), NOW).is_ok());
}

#[test]
fn every_refusal_has_its_own_error() {
    let (keys, client, good) = world();
    let refused = |signed: &SignedCheckpoint| verify_update(&client, signed, NOW).unwrap_err();

    assert_eq!(
        verify_update(&ClientState { frozen: true, ..client.clone() }, &good, NOW),
        Err(CheckpointError::Frozen)
    );
    assert!(verify_update(&client, &good, Timestamp(1_599)).is_ok());
    assert!(matches!(verify_update(&client, &good, Timestamp(1_600)), Err(CheckpointError::Expired { .. })));
    assert!(matches!(refused(&resign(&good, &keys[..2])), CheckpointError::QuorumNotReached { signed: 20, total: 40 }));

    let mut twice = good.clone();
    twice.signatures[1] = twice.signatures[0];
    assert!(matches!(refused(&twice), CheckpointError::Signature(SignatureError::Duplicate { index: 1, .. })));
    let mut swapped = good.clone();
    swapped.signatures.swap(0, 1);
    assert!(matches!(refused(&swapped), CheckpointError::Signature(SignatureError::NotAscending { index: 1, .. })));
    let mut malleable = good.clone();
    malleable.signatures[2] = high_s(&malleable.signatures[2]);
    assert!(matches!(refused(&malleable), CheckpointError::Signature(SignatureError::HighS { index: 2 })));
    for v in [0, 1, 26, 29, 255] {
        let mut bad = good.clone();
        bad.signatures[0][64] = v;
        assert_eq!(refused(&bad), SignatureError::RecoveryId { index: 0, v }.into());
    }
    let mut nobody = good.clone();
    nobody.signatures[0][..64].fill(0);
    assert!(matches!(refused(&nobody), CheckpointError::Signature(SignatureError::Unrecoverable { index: 0 })));
    let mut many = good.clone();
    many.signatures.push(many.signatures[3]);
    assert!(matches!(refused(&many), CheckpointError::TooManySignatures { found: 5, validators: 4 }));

    let stranger = SigningKey::from_bytes([99; 32]).unwrap();
    let with_stranger = resign(&good, &[keys[0].clone(), keys[1].clone(), keys[2].clone(), stranger.clone()]);
    assert_eq!(refused(&with_stranger), CheckpointError::UnknownSigner(stranger.address()));

    let mut other_chain = good.clone();
    other_chain.checkpoint.chain_id = "crosspoint-2".parse().unwrap();
    assert!(matches!(refused(&resign(&other_chain, &keys)), CheckpointError::WrongChain { .. }));
    let mut same_height = good.clone();
    same_height.checkpoint.height = Height(10);
    assert!(matches!(refused(&resign(&same_height, &keys)), CheckpointError::HeightNotAbove { .. }));
    let mut earlier = good.clone();
    earlier.checkpoint.time = Timestamp(999);
    assert!(matches!(refused(&resign(&earlier, &keys)), CheckpointError::TimeDecreases { .. }));
    let mut other_next = good.clone();
    other_next.next_set = Some(set(&keys[..2], &[1, 1]));
    assert_eq!(refused(&resign(&other_next, &keys)), CheckpointError::NextSetMismatch);
    let mut other_set = good.clone();
    other_set.set = set(&keys, &[10, 10, 10, 11]);
    assert_eq!(refused(&resign(&other_set, &keys)), CheckpointError::SetMismatch);
    other_set.checkpoint.set_hash = other_set.set.hash();
    assert_eq!(refused(&resign(&other_set, &keys)), CheckpointError::NotCurrentSet);
}

#[test]
fn a_signature_under_another_domain_is_a_strangers() {
    let (keys, client, mut signed) = world();
    let c = &signed.checkpoint;
    let plain = alloy_primitives::keccak256([c.app_hash, c.set_hash, c.next_set_hash].concat()).0;
    signed.signatures = keys.iter().map(|key| key.sign(&plain)).collect();
    assert!(verify_update(&client, &signed, NOW).is_err());
}

#[test]
fn no_flipped_bit_of_what_is_signed_passes() {
    let (_, client, good) = world();
    let whole = serde_json::to_value(&good).unwrap();
    for field in ["app_hash", "set_hash", "next_set_hash"] {
        for at in 0..32 {
            let mut json = whole.clone();
            let mut bytes = crate::support::unhex(json["checkpoint"][field].as_str().unwrap());
            bytes[at] ^= 1 << (at % 8);
            json["checkpoint"][field] = hex::encode(bytes).into();
            let changed: SignedCheckpoint = serde_json::from_value(json).unwrap();
            assert!(verify_update(&client, &changed, NOW).is_err(), "{field} byte {at}");
        }
    }
    for bit in 0..64 {
        let (mut height, mut time) = (good.clone(), good.clone());
        height.checkpoint.height.0 ^= 1 << bit;
        time.checkpoint.time.0 ^= 1 << bit;
        assert!(verify_update(&client, &height, NOW).is_err(), "height bit {bit}");
        assert!(verify_update(&client, &time, NOW).is_err(), "time bit {bit}");
    }
    for (index, byte) in (0..4).flat_map(|i| (0..65).map(move |b| (i, b))) {
        let mut changed = good.clone();
        changed.signatures[index][byte] ^= 1;
        assert!(verify_update(&client, &changed, NOW).is_err(), "signature {index} byte {byte}");
    }
}

#[test]
fn a_rotation_is_signed_by_the_old_set_and_then_only_the_new_one_counts() {
    let (old, client, mut signed) = world();
    let new: Vec<_> = (50..53).map(|i| SigningKey::from_bytes([i; 32]).unwrap()).collect();
    let new_set = set(&new, &[1, 2, 3]);
    signed.checkpoint.next_set_hash = new_set.hash();
    signed.next_set = Some(new_set.clone());
    let rotated = verify_update(&client, &resign(&signed, &old), NOW).unwrap();
    assert_eq!(rotated.set_hash, new_set.hash());

    let mut by_old = signed.clone();
    by_old.checkpoint.height = Height(13);
    assert_eq!(verify_update(&rotated, &resign(&by_old, &old), NOW), Err(CheckpointError::NotCurrentSet));
    let next = Checkpoint { height: Height(13), set_hash: new_set.hash(), ..signed.checkpoint };
    let by_new = SignedCheckpoint::sign(next, new_set, None, &new[1..]);
    assert!(verify_update(&rotated, &by_new, NOW).is_ok(), "5 of 6 is a quorum");
}

#[test]
fn only_two_quorum_certificates_are_misbehaviour() {
    let (keys, client, one) = world();
    let check = |client: &ClientState, one: &SignedCheckpoint, other: &SignedCheckpoint| {
        check_misbehaviour(client, &client.newest(), Side::Signed(one), Side::Signed(other), NOW)
    };
    let mut other = one.clone();
    other.checkpoint.app_hash = [8; 32];
    let other = resign(&other, &keys);
    assert_eq!(check(&client, &one, &other), Ok(()));
    assert_eq!(check(&client, &one, &one), Err(CheckpointError::NoConflict));
    // One validator that signs two rounds of one height is legitimate.
    let minority = resign(&other, &keys[..1]);
    assert!(matches!(check(&client, &one, &minority), Err(CheckpointError::QuorumNotReached { .. })));

    let mut higher_but_earlier = one.clone();
    higher_but_earlier.checkpoint.height = Height(13);
    higher_but_earlier.checkpoint.time = Timestamp(1_009);
    let higher_but_earlier = resign(&higher_but_earlier, &keys);
    assert_eq!(check(&client, &one, &higher_but_earlier), Ok(()));
    assert_eq!(check(&client, &higher_but_earlier, &one), Ok(()));
    let frozen = ClientState { frozen: true, ..client };
    assert_eq!(check(&frozen, &one, &other), Err(CheckpointError::Frozen));
}

#[test]
fn a_set_that_was_trusted_can_be_shown_to_contradict_what_is() {
    let (keys, client, signed) = world();
    let root = client.newest();
    let rotated = verify_update(&client, &rotation(&signed, &keys), NOW).unwrap();
    let mut fork = signed.clone();
    fork.checkpoint.height = Height(13);
    let check = |from: &Checkpoint, one: Side<'_>, fork: &SignedCheckpoint, now: Timestamp| {
        check_misbehaviour(&rotated, from, one, Side::Signed(fork), now)
    };
    let fork = resign(&fork, &keys);
    // The set that signed until height 13 is named by the header 10, and is no longer the current one.
    assert_eq!(check(&root, Side::Newest, &fork, NOW), Ok(()));
    assert_eq!(check(&root, Side::Trusted(&rotated.newest()), &fork, NOW), Ok(()));
    assert_eq!(check(&root, Side::Trusted(&root), &fork, NOW), Err(CheckpointError::NoConflict));
    // The header 13 names it as well: its own.
    assert_eq!(check(&rotated.newest(), Side::Newest, &fork, NOW), Ok(()));
    let strange = Checkpoint { set_hash: [1; 32], next_set_hash: [2; 32], ..root.clone() };
    assert_eq!(check(&strange, Side::Newest, &fork, NOW), Err(CheckpointError::UntrustedSet));
    let above = Checkpoint { height: Height(14), ..root.clone() };
    let below = CheckpointError::BelowRoot { found: Height(13), root: Height(14) };
    assert_eq!(check(&above, Side::Newest, &fork, NOW), Err(below));
    // What is older than trust lasts is no root and no side; the newest is one for ever.
    let late = Timestamp(root.time.0 + client.trusting_period);
    assert!(matches!(check(&root, Side::Newest, &fork, late), Err(CheckpointError::Expired { .. })));
    assert!(matches!(
        check(&rotated.newest(), Side::Trusted(&root), &fork, late),
        Err(CheckpointError::Expired { .. })
    ));
    assert_eq!(check(&rotated.newest(), Side::Newest, &fork, late), Ok(()));
    let elsewhere = Checkpoint { chain_id: "another-1".parse().unwrap(), ..root };
    assert!(matches!(check(&elsewhere, Side::Newest, &fork, NOW), Err(CheckpointError::WrongChain { .. })));
}

#[test]
fn another_signer_of_the_newest_header_is_a_conflict() {
    let (keys, client, signed) = world();
    let rotated = verify_update(&client, &rotation(&signed, &keys), NOW).unwrap();
    let new = set(&keys[1..], &[1, 2, 3]);
    let again = Checkpoint { set_hash: new.hash(), ..rotated.newest() };
    let again = SignedCheckpoint::sign(again, new, None, &keys[1..]);
    assert_eq!(check_conflict(&rotated, &again), Ok(()));
}

#[test]
fn one_certificate_can_contradict_what_is_trusted() {
    let (keys, client, signed) = world();
    let at = |height, time, app_hash| {
        let mut changed = signed.clone();
        changed.checkpoint =
            Checkpoint { height: Height(height), time: Timestamp(time), app_hash, ..signed.checkpoint.clone() };
        check_conflict(&client, &resign(&changed, &keys))
    };
    assert_eq!(at(10, 1_000, [1; 32]), Err(CheckpointError::NoConflict));
    assert_eq!(at(10, 1_000, [2; 32]), Ok(()));
    assert_eq!(at(10, 1_001, [1; 32]), Ok(()));
    assert_eq!(at(11, 999, [1; 32]), Ok(()));
    assert_eq!(at(11, 1_000, [1; 32]), Err(CheckpointError::NoConflict));
    assert_eq!(at(9, 1_001, [1; 32]), Ok(()));
}

#[test]
fn a_set_ascends_and_has_power() {
    let v = |byte: u8, power| BridgeValidator { address: Address::repeat_byte(byte), power };
    assert_eq!(BridgeSet::new(vec![]), Err(SetError::Empty));
    assert_eq!(BridgeSet::new(vec![v(0, 1)]), Err(SetError::ZeroAddress(0)));
    assert_eq!(BridgeSet::new(vec![v(1, 0)]), Err(SetError::ZeroPower(v(1, 0).address)));
    assert_eq!(BridgeSet::new(vec![v(1, 1), v(1, 1)]), Err(SetError::Duplicate(v(1, 0).address)));
    assert_eq!(BridgeSet::new(vec![v(2, 1), v(1, 1)]), Err(SetError::NotAscending(v(1, 0).address)));
    assert_eq!(BridgeSet::new(vec![v(1, u64::MAX), v(2, 1)]), Err(SetError::PowerOverflow));
    let many = vec![v(1, 1); MAX_VALIDATORS + 1];
    assert_eq!(BridgeSet::new(many), Err(SetError::TooMany(MAX_VALIDATORS + 1)));
    let bad = serde_json::json!([{ "address": v(1, 0).address, "power": 0 }]);
    assert!(serde_json::from_value::<BridgeSet>(bad).is_err(), "deserialising checks too");
}

#[test]
fn json_round_trips() {
    let (_, client, signed) = world();
    let text = serde_json::to_string(&signed).unwrap();
    assert_eq!(serde_json::from_str::<SignedCheckpoint>(&text).unwrap(), signed);
    let text = serde_json::to_string(&client).unwrap();
    assert_eq!(serde_json::from_str::<ClientState>(&text).unwrap(), client);
}

#[test]
fn keys_are_bound_only_by_both_signatures_on_this_chain() {
    let chain = chain_id();
    let consensus = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    let bridge = SigningKey::from_bytes([6; 32]).unwrap();
    let other = SigningKey::from_bytes([7; 32]).unwrap();
    let good = binding();
    assert_eq!(good, KeyBinding::new(&chain, &consensus, &bridge));
    assert_eq!(good.verify(&chain), Ok(()));
    assert!(matches!(good.verify(&"crosspoint-2".parse().unwrap()), Err(BindingError::ConsensusSignature { .. })));

    // Claiming somebody else's bridge key: its own signature is missing.
    let stolen = KeyBinding { bridge_address: other.address(), ..KeyBinding::new(&chain, &consensus, &bridge) };
    assert!(matches!(stolen.verify(&chain), Err(BindingError::ConsensusSignature { .. })));
    let half = KeyBinding { bridge_signature: good.bridge_signature, ..KeyBinding::new(&chain, &consensus, &other) };
    assert_eq!(
        half.verify(&chain),
        Err(BindingError::BridgeSigner { found: bridge.address(), expected: other.address() })
    );
    let weak = KeyBinding { consensus_key: [0; 32], ..good.clone() };
    assert_eq!(weak.verify(&chain), Err(BindingError::ConsensusKey));
    for at in 0..65 {
        let mut changed = good.clone();
        changed.bridge_signature[at] ^= 1;
        assert!(changed.verify(&chain).is_err());
        let mut changed = good.clone();
        changed.consensus_signature[at.min(63)] ^= 1;
        assert!(changed.verify(&chain).is_err());
    }
    let text = serde_json::to_string(&good).unwrap();
    assert_eq!(serde_json::from_str::<KeyBinding>(&text).unwrap(), good);
}

#[test]
fn a_checkpoint_is_neither_from_the_future_nor_older_than_trust() {
    let (keys, client, good) = world();
    let at = |time: u64| {
        let mut signed = good.clone();
        signed.checkpoint.time = Timestamp(time);
        resign(&signed, &keys)
    };
    assert!(verify_update(&client, &at(NOW.0 + MAX_CLOCK_DRIFT), NOW).is_ok());
    let early = at(NOW.0 + MAX_CLOCK_DRIFT + 1);
    let time = early.checkpoint.time;
    assert_eq!(verify_update(&client, &early, NOW), Err(CheckpointError::FromTheFuture { time, now: NOW }));
    // As old as that, it is no evidence of a clock that runs backwards either.
    let expired = verify_update(&client, &at(999), Timestamp(1_599));
    assert_eq!(expired, Err(CheckpointError::Expired { expiry: Timestamp(1_599), now: Timestamp(1_599) }));
}

#[test]
fn another_next_set_at_the_trusted_height_is_a_conflict() {
    let (keys, client, good) = world();
    let client = verify_update(&client, &good, NOW).unwrap();
    assert_eq!(check_conflict(&client, &good), Err(CheckpointError::NoConflict));
    let mut other = good;
    other.checkpoint.next_set_hash = [9; 32];
    assert_eq!(check_conflict(&client, &resign(&other, &keys)), Ok(()));
}
