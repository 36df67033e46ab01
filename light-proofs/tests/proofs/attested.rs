use crate::attested_world::{BASE, NOW, STORE, attest, header_rlp, list, receipt, rotation, stored, world};
use crate::support::{high_s, unhex, vector};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use crosspoint_light_proofs::attested::{
    AttestedError, Attestors, AttestorsError, ClientState, CodecError, ConsensusState, Header, MAX_CLOCK_DRIFT,
    MAX_HEADER_BYTES, SignedRotation, Statement, check_conflict, check_misbehaviour, decode_nodes, encode_nodes,
    verify_rotation, verify_update,
};
use crosspoint_light_proofs::evm::{ExecutionHeader, HeaderError, VerifiedAccount};
use crosspoint_light_proofs::mpt::MptError;
use crosspoint_light_proofs::signature::{SignatureError, SigningKey};
use crosspoint_protocol::ids::{Height, Timestamp};
use proptest::prelude::*;

pub(crate) fn resign(header: &Header, keys: &[SigningKey]) -> Header {
    Header::sign(header.statement, header.header_rlp.clone(), keys)
}

#[test]
fn a_quorum_moves_the_client_on() {
    let (keys, client, header) = world();
    let (next, state) = verify_update(&client, &header, NOW).unwrap();
    assert_eq!(state, ConsensusState { root: B256::repeat_byte(7), time: Timestamp(1_010) });
    assert_eq!(next.latest.number, Height(20));
    assert_eq!(next.latest.hash, header.statement.hash);
    assert_eq!(next.latest_consensus(), state);
    assert!(verify_update(&client, &resign(&header, &keys[1..]), NOW).is_ok());
}

#[test]
fn the_digest_is_that_of_the_byte_format() {
    let (_, _, header) = world();
    let s = header.statement;
    let number = |n: u64| U256::from(n).to_be_bytes::<32>();
    let words = [
        keccak256("crosspoint/attestation/v1").0,
        number(s.chain_id),
        s.genesis_hash.0,
        number(s.epoch),
        number(s.prev_number.0),
        s.prev_hash.0,
        number(s.number.0),
        s.hash.0,
    ];
    assert_eq!(s.digest(), keccak256(words.concat()).0);
}

#[test]
fn every_refusal_has_its_own_error() {
    let (keys, client, good) = world();
    let refused = |header: &Header| verify_update(&client, header, NOW).unwrap_err();
    let changed = |change: fn(&mut Statement)| {
        let mut header = good.clone();
        change(&mut header.statement);
        verify_update(&client, &resign(&header, &keys), NOW).unwrap_err()
    };
    let frozen = ClientState { frozen: true, ..client.clone() };
    assert_eq!(verify_update(&frozen, &good, NOW), Err(AttestedError::Frozen));
    assert!(verify_update(&client, &good, Timestamp(1_599)).is_ok());
    assert!(matches!(verify_update(&client, &good, Timestamp(1_600)), Err(AttestedError::Expired { .. })));

    assert!(matches!(changed(|s| s.chain_id = 1), AttestedError::WrongChain { found: 1, expected: 31_337 }));
    assert!(matches!(changed(|s| s.genesis_hash = B256::ZERO), AttestedError::WrongGenesis { .. }));
    assert!(matches!(changed(|s| s.epoch = 3), AttestedError::WrongEpoch { found: 3, expected: 4 }));
    assert!(matches!(changed(|s| s.epoch = 5), AttestedError::WrongEpoch { found: 5, expected: 4 }));
    assert!(matches!(changed(|s| s.number = s.prev_number), AttestedError::NumberNotAbove { .. }));
    assert!(matches!(changed(|s| s.prev_number = Height(9)), AttestedError::NotLatest { .. }));
    assert!(matches!(changed(|s| s.prev_hash = B256::ZERO), AttestedError::PreviousConflicts { number: Height(10) }));
    assert!(matches!(changed(|s| s.hash = B256::ZERO), AttestedError::HashMismatch { .. }));
    assert!(matches!(changed(|s| s.number = Height(21)), AttestedError::NumberMismatch { .. }));
    let earlier = attest(&client, &header_rlp(20, 999, B256::ZERO, 21), 20, &keys);
    assert!(matches!(refused(&earlier), AttestedError::TimeDecreases { .. }));

    assert_eq!(refused(&resign(&good, &keys[..1])), AttestedError::QuorumNotReached { signed: 1, needed: 2, of: 3 });
    let mut twice = resign(&good, &keys[..2]);
    twice.signatures[1] = twice.signatures[0];
    assert!(matches!(refused(&twice), AttestedError::Signature(SignatureError::Duplicate { index: 1, .. })));
    let mut swapped = good.clone();
    swapped.signatures.swap(1, 2);
    assert!(matches!(refused(&swapped), AttestedError::Signature(SignatureError::NotAscending { index: 2, .. })));
    let mut malleable = good.clone();
    malleable.signatures[0] = high_s(&malleable.signatures[0]);
    assert!(matches!(refused(&malleable), AttestedError::Signature(SignatureError::HighS { index: 0 })));
    let mut many = good.clone();
    many.signatures.push(many.signatures[0]);
    assert!(matches!(refused(&many), AttestedError::TooManySignatures { found: 4, attestors: 3 }));
    let stranger = SigningKey::from_bytes([77; 32]).unwrap();
    let with_stranger = resign(&good, &[keys[0].clone(), keys[1].clone(), stranger.clone()]);
    assert_eq!(refused(&with_stranger), AttestedError::UnknownSigner(stranger.address()));
    // A rotation's signatures are of another domain.
    let rotation = rotation(&client, client.attestors.clone());
    let mut crossed = good.clone();
    crossed.signatures = SignedRotation::sign(rotation, &keys).signatures;
    assert!(verify_update(&client, &crossed, NOW).is_err());
}

#[test]
fn no_changed_byte_of_an_update_passes() {
    let (_, client, good) = world();
    let bytes = good.encode();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let passes = Header::decode(&changed).is_ok_and(|header| verify_update(&client, &header, NOW).is_ok());
        assert!(!passes, "byte {at}");
    }
}

#[test]
fn headers_of_all_forks_are_read_and_malformed_ones_refused() {
    for fields in [15, 16, 17, 20, 21, 25] {
        let rlp = header_rlp(20, 1_010, B256::repeat_byte(7), fields);
        let header = ExecutionHeader::decode(&rlp).unwrap();
        assert_eq!((header.number, header.time), (Height(20), Timestamp(1_010)));
        assert_eq!((header.state_root, header.hash), (B256::repeat_byte(7), keccak256(&rlp)));
    }
    let good = header_rlp(20, 1_010, B256::repeat_byte(7), 21);
    let mut trailing = good.to_vec();
    trailing.push(0x80);
    assert_eq!(ExecutionHeader::decode(&trailing), Err(HeaderError::Rlp));
    assert_eq!(ExecutionHeader::decode(&good[..good.len() - 1]), Err(HeaderError::Rlp));
    assert_eq!(ExecutionHeader::decode(&[]), Err(HeaderError::Rlp));
    assert_eq!(ExecutionHeader::decode(&[0x80]), Err(HeaderError::Rlp));
    assert_eq!(ExecutionHeader::decode(&list(&vec![vec![0xc0]; 21])), Err(HeaderError::Rlp));
    assert_eq!(ExecutionHeader::decode(&list(&vec![vec![0x80]; 41])), Err(HeaderError::TooManyFields));
    assert_eq!(ExecutionHeader::decode(&vec![0; 17_000]), Err(HeaderError::TooLong(17_000)));
    let word = alloy_rlp::encode(B256::ZERO);
    assert_eq!(ExecutionHeader::decode(&list(&vec![word.clone(); 5])), Err(HeaderError::Missing("number")));
    let with = |at: usize, item: Vec<u8>| {
        let mut items = vec![word.clone(); 15];
        items[8] = alloy_rlp::encode(1u64);
        items[11] = alloy_rlp::encode(1u64);
        items[at] = item;
        ExecutionHeader::decode(&list(&items))
    };
    assert!(with(3, word.clone()).is_ok());
    assert_eq!(with(3, vec![0x80]), Err(HeaderError::Field("stateRoot")));
    assert_eq!(with(8, vec![0x82, 0, 5]), Err(HeaderError::Field("number")), "a leading zero");
    assert_eq!(with(11, alloy_rlp::encode(U256::from(u128::MAX))), Err(HeaderError::Field("timestamp")));
}

#[test]
fn a_mainnet_header_hashes_to_its_block_hash() {
    let Some(block) = vector("mpt/helios-mainnet/block.json") else { return };
    let bytes = |name: &str| {
        let text = block[name].as_str().unwrap();
        let digits = text.strip_prefix("0x").unwrap();
        unhex(&if digits.len() % 2 == 1 { format!("0{digits}") } else { digits.to_owned() })
    };
    let string = |name: &str| alloy_rlp::encode(bytes(name).as_slice());
    let number = |name: &str| alloy_rlp::encode(U256::from_be_slice(&bytes(name)));
    let items = [
        string("parentHash"),
        string("sha3Uncles"),
        string("miner"),
        string("stateRoot"),
        string("transactionsRoot"),
        string("receiptsRoot"),
        string("logsBloom"),
        number("difficulty"),
        number("number"),
        number("gasLimit"),
        number("gasUsed"),
        number("timestamp"),
        string("extraData"),
        string("mixHash"),
        string("nonce"),
        number("baseFeePerGas"),
        string("withdrawalsRoot"),
        number("blobGasUsed"),
        number("excessBlobGas"),
        string("parentBeaconBlockRoot"),
    ];
    let header = ExecutionHeader::decode(&list(&items)).unwrap();
    assert_eq!(header.hash.to_string(), block["hash"].as_str().unwrap());
    assert_eq!(header.state_root.to_string(), block["stateRoot"].as_str().unwrap());
    assert_eq!(header.number, Height(21_925_176));
}

#[test]
fn two_statements_that_contradict_each_other_freeze() {
    let (keys, client, one) = world();
    let fork = attest(&client, &header_rlp(20, 1_010, B256::repeat_byte(8), 21), 20, &keys);
    assert_eq!(check_misbehaviour(&client, &one, &fork), Ok(()));
    assert_eq!(check_misbehaviour(&client, &one, &one), Err(AttestedError::NoConflict));
    let above = ClientState { anchor: Height(21), ..client.clone() };
    assert_eq!(check_misbehaviour(&above, &one, &fork), Err(AttestedError::NoConflict));
    let minority = resign(&fork, &keys[..1]);
    assert!(matches!(check_misbehaviour(&client, &one, &minority), Err(AttestedError::QuorumNotReached { .. })));
    // One says that 20 is this header, the other extends another header 20.
    let mut later = attest(&client, &header_rlp(30, 1_020, B256::ZERO, 21), 30, &keys);
    later.statement.prev_number = Height(20);
    later.statement.prev_hash = fork.statement.hash;
    assert_eq!(check_misbehaviour(&client, &one, &resign(&later, &keys)), Ok(()));
    later.statement.prev_hash = one.statement.hash;
    assert_eq!(check_misbehaviour(&client, &one, &resign(&later, &keys)), Err(AttestedError::NoConflict));
    // The higher header is the earlier one.
    let earlier = attest(&client, &header_rlp(21, 1_009, B256::ZERO, 21), 21, &keys);
    assert_eq!(check_misbehaviour(&client, &one, &earlier), Ok(()));
    assert_eq!(check_misbehaviour(&client, &earlier, &one), Ok(()));
    // Its time does not count if the header shown is not the one attested.
    let mut unshown = earlier.clone();
    unshown.header_rlp = header_rlp(21, 5, B256::ZERO, 21);
    assert_eq!(check_misbehaviour(&client, &one, &unshown), Err(AttestedError::NoConflict));
}

#[test]
fn one_statement_can_contradict_what_is_trusted() {
    let (keys, client, header) = world();
    let (next, _) = verify_update(&client, &header, NOW).unwrap();
    let older = (client.latest.number, client.latest.hash);
    let again = resign(&header, &keys);
    assert_eq!(check_conflict(&next, older, &again), Err(AttestedError::NoConflict));
    let fork = attest(&client, &header_rlp(20, 1_010, B256::repeat_byte(8), 21), 20, &keys);
    assert_eq!(check_conflict(&next, older, &fork), Ok(()), "another hash for the newest number");
    let mut reorg = header.clone();
    reorg.statement.number = Height(25);
    reorg.statement.prev_hash = B256::repeat_byte(6);
    assert_eq!(check_conflict(&next, older, &resign(&reorg, &keys)), Ok(()), "extends another header 10");
    let unknown = (Height(11), B256::ZERO);
    assert_eq!(check_conflict(&next, unknown, &resign(&reorg, &keys)), Err(AttestedError::NoConflict));
    assert!(matches!(
        check_conflict(&next, older, &resign(&fork, &keys[..1])),
        Err(AttestedError::QuorumNotReached { .. })
    ));
}

#[test]
fn attestors_rotate_by_the_old_sets_quorum_only() {
    let (old, client, header) = world();
    let new: Vec<_> = (60..63).map(|i| SigningKey::from_bytes([i; 32]).unwrap()).collect();
    let set = Attestors::from_unsorted(new.iter().map(SigningKey::address).collect(), 3).unwrap();
    let good = SignedRotation::sign(rotation(&client, set), &old[..2]);
    let next = verify_rotation(&client, &good, NOW).unwrap();
    assert_eq!((next.epoch, next.attestors.threshold()), (5, 3));

    assert!(matches!(verify_rotation(&next, &good, NOW), Err(AttestedError::WrongEpoch { found: 4, expected: 5 })));
    assert!(matches!(verify_update(&next, &header, NOW), Err(AttestedError::WrongEpoch { .. })), "an old epoch's");
    let mut still_old = header.clone();
    still_old.statement.epoch = 5;
    assert!(matches!(verify_update(&next, &resign(&still_old, &old), NOW), Err(AttestedError::UnknownSigner(_))));
    assert!(verify_update(&next, &resign(&still_old, &new), NOW).is_ok());

    let by_new = SignedRotation::sign(good.rotation.clone(), &new);
    assert!(matches!(verify_rotation(&client, &by_new, NOW), Err(AttestedError::UnknownSigner(_))));
    let by_one = SignedRotation::sign(good.rotation.clone(), &old[..1]);
    assert!(matches!(verify_rotation(&client, &by_one, NOW), Err(AttestedError::QuorumNotReached { .. })));
    assert!(matches!(verify_rotation(&client, &good, Timestamp(9_999)), Err(AttestedError::Expired { .. })));

    let bytes = good.encode();
    assert_eq!(SignedRotation::decode(&bytes).unwrap(), good);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let passes = SignedRotation::decode(&changed).is_ok_and(|r| verify_rotation(&client, &r, NOW).is_ok());
        assert!(!passes, "byte {at}");
    }
}

#[test]
fn a_threshold_is_more_than_half_and_at_most_all() {
    let set = |n: u8, threshold| Attestors::new((1..=n).map(Address::repeat_byte).collect(), threshold);
    assert!(set(3, 2).is_ok() && set(1, 1).is_ok() && set(4, 3).is_ok());
    for (n, threshold) in [(3, 1), (3, 4), (4, 2), (2, 1), (1, 0)] {
        assert!(matches!(set(n, threshold), Err(AttestorsError::Threshold { .. })), "{threshold} of {n}");
    }
    assert_eq!(set(0, 0), Err(AttestorsError::Count(0)));
    assert_eq!(set(65, 40), Err(AttestorsError::Count(65)));
    assert_eq!(Attestors::new(vec![Address::ZERO], 1), Err(AttestorsError::ZeroAddress));
    let one = Address::repeat_byte(1);
    assert_eq!(Attestors::new(vec![one, one], 2), Err(AttestorsError::NotAscending(one)));
}

#[test]
fn commitments_are_proven_present_or_absent_in_the_contracts_storage() {
    let (root, account, storage) = stored(&receipt(7));
    let store = VerifiedAccount::prove(&root, &STORE, BASE, &account).unwrap();
    assert_eq!(store.verify_membership(&receipt(7), &[7; 32], &storage), Ok(()));
    assert!(store.verify_absence(&receipt(7), &storage).is_err());
    let mismatch = store.verify_membership(&receipt(7), &[8; 32], &storage);
    assert!(matches!(mismatch, Err(MptError::ValueMismatch { .. })));
    assert!(store.verify_membership(&receipt(8), &[7; 32], &storage).is_err(), "another path");
    let other_slot = VerifiedAccount::prove(&root, &STORE, B256::repeat_byte(1), &account).unwrap();
    assert!(other_slot.verify_membership(&receipt(7), &[7; 32], &storage).is_err());
    assert!(VerifiedAccount::prove(&root, &Address::repeat_byte(0x5f), BASE, &account).is_err(), "another account");

    let (root, account, storage) = stored(&receipt(999));
    let store = VerifiedAccount::prove(&root, &STORE, BASE, &account).unwrap();
    assert_eq!(store.verify_absence(&receipt(999), &storage), Ok(()));
    let zero = store.verify_membership(&receipt(999), &[0; 32], &storage);
    assert_eq!(zero, Err(MptError::ZeroValue), "absence is never a membership of zero");
    assert!(store.verify_membership(&receipt(999), &[1; 32], &storage).is_err());
}

#[test]
fn updates_and_proofs_round_trip_and_are_bounded() {
    let (_, client, header) = world();
    assert_eq!(Header::decode(&header.encode()).unwrap(), header);
    let json = serde_json::to_string(&header).unwrap();
    assert_eq!(serde_json::from_str::<Header>(&json).unwrap(), header);
    let json = serde_json::to_string(&client).unwrap();
    assert_eq!(serde_json::from_str::<ClientState>(&json).unwrap(), client);

    let mut padded = header.encode();
    padded.extend([0x78, 0x01]);
    assert_eq!(Header::decode(&padded), Err(CodecError::NotCanonical), "an unknown field");
    assert!(matches!(Header::decode(&vec![0; MAX_HEADER_BYTES + 1]), Err(CodecError::TooLong { .. })));
    assert_eq!(Header::decode(&[]), Err(CodecError::Field("statement")));

    let (_, account, _) = stored(&receipt(7));
    assert_eq!(decode_nodes(&encode_nodes(&account)).unwrap(), account);
    assert!(decode_nodes(&encode_nodes(&vec![Bytes::new(); 66])).is_err());
    assert!(decode_nodes(&encode_nodes(&[Bytes::from(vec![0; 1_025])])).is_err());
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic_and_decode_to_themselves(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(header) = Header::decode(&bytes) { prop_assert_eq!(header.encode(), bytes.clone()); }
        if let Ok(nodes) = decode_nodes(&bytes) { prop_assert_eq!(encode_nodes(&nodes), bytes.clone()); }
        if let Ok(rotation) = SignedRotation::decode(&bytes) { prop_assert_eq!(rotation.encode(), bytes.clone()); }
        let _ = ExecutionHeader::decode(&bytes);
    }
}

#[test]
fn a_header_from_far_ahead_is_no_update() {
    let (keys, client, _) = world();
    let now = Timestamp(1_100);
    let at = |time| {
        verify_update(&client, &attest(&client, &header_rlp(20, time, B256::repeat_byte(6), 21), 20, &keys), now)
    };
    assert_eq!(at(1_100 + MAX_CLOCK_DRIFT).unwrap().0.latest.time, Timestamp(1_100 + MAX_CLOCK_DRIFT));
    let time = Timestamp(1_101 + MAX_CLOCK_DRIFT);
    assert_eq!(at(time.0).unwrap_err(), AttestedError::FromTheFuture { time, now });
}
