use crate::sealed_chain::{Block, ENCODINGS, client, genesis, seal};
use crate::support::{high_s, keys, unhex, vector};
use alloy_primitives::{Address, B256, Bytes, keccak256};
use crosspoint_light_proofs::qbft::{
    ClientState, ConsensusState, Encoding, ExtraData, Header, QbftError, SealedHeader, SealedHeaderError,
    ValidatorsError, anchor, check_conflict, check_misbehaviour, verify_update,
};
use crosspoint_light_proofs::signature::{SignatureError, SigningKey};
use crosspoint_protocol::ids::{Height, Timestamp};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp(1_100);

fn verify(trusted: &Block, block: &Block) -> Result<(ClientState, ConsensusState), QbftError> {
    verify_update(&trusted.client(), &trusted.consensus(), &block.update(trusted), NOW)
}

#[test]
fn a_recorded_ibft1_chain_verifies_seal_by_seal() {
    let Some(blocks) = vector("qbft/besu/ibft1_headers_devpart.json") else { return };
    let blocks = blocks.as_array().unwrap();
    let rlp = |at: usize| Bytes::from(unhex(blocks[at]["header_rlp"].as_str().unwrap()));
    let known = |at: usize| blocks[at]["block_hash"].as_str().unwrap().parse::<B256>().unwrap();
    let now = |block: &SealedHeader| Timestamp(block.time.0 + 1);
    // The genesis block has no seals: trust begins at block 1.
    let first = SealedHeader::decode(Encoding::Ibft1, &rlp(1)).unwrap();
    let (mut trusted, mut state) = anchor(client(Encoding::Ibft1), &rlp(1), now(&first)).unwrap();
    trusted.trusting_period = u64::MAX;
    let from_first = (trusted.clone(), state.clone());
    for at in 2..blocks.len() {
        let header = SealedHeader::decode(Encoding::Ibft1, &rlp(at)).unwrap();
        assert_eq!((header.hash, header.parent_hash), (known(at), known(at - 1)), "block {at}");
        assert_eq!(header.signers().unwrap().len(), 4);
        let update = Header { trusted_height: trusted.latest.number, rlp: rlp(at) };
        (trusted, state) = verify_update(&trusted, &state, &update, now(&header)).unwrap();
        assert_eq!(trusted.latest.hash, known(at));
        // In one step from the first, too.
        let update = Header { trusted_height: Height(1), rlp: rlp(at) };
        assert!(verify_update(&from_first.0, &from_first.1, &update, now(&header)).is_ok());
    }
    assert_eq!(trusted.latest.number, Height(66));
    assert_eq!(anchor(client(Encoding::Ibft1), &rlp(0), NOW), Err(QbftError::QuorumNotReached { sealed: 0, of: 5 }));
}

#[test]
fn a_recorded_qbft_header_verifies_and_no_changed_byte_of_it_does() {
    let Some(case) = vector("qbft/besu-qbft-elc/header_7528.json") else { return };
    let rlp = unhex(case["header_rlp_with_seals"].as_str().unwrap());
    let now = Timestamp(case["timestamp"].as_u64().unwrap());
    let header = SealedHeader::decode(Encoding::Qbft, &rlp).unwrap();
    assert_eq!(header.digest, case["commit_hash"].as_str().unwrap().parse::<B256>().unwrap());
    let unsealed = unhex(case["header_rlp_without_seals"].as_str().unwrap());
    assert_eq!(header.digest, keccak256(&unsealed));
    assert_eq!(u64::from(header.extra.round), case["round"].as_u64().unwrap());
    assert_eq!(header.state_root, case["state_root"].as_str().unwrap().parse::<B256>().unwrap());
    let named: Vec<Address> =
        case["validators"].as_array().unwrap().iter().map(|v| v.as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(header.extra.validators, named);
    let (trusted, state) = anchor(client(Encoding::Qbft), &rlp, now).unwrap();
    assert_eq!((trusted.latest.number, state.time), (Height(7528), now));
    for at in 0..rlp.len() {
        let mut changed = rlp.clone();
        changed[at] ^= 1;
        assert!(anchor(client(Encoding::Qbft), &changed, now).is_err(), "byte {at}");
    }
    for other in [Encoding::Ibft2, Encoding::Ibft1] {
        assert!(anchor(client(other), &rlp, now).is_err(), "sealed by another encoding's rules");
    }
}

#[test]
fn extra_data_of_both_codecs_reads_as_other_implementations_wrote_it() {
    for (file, encoding) in [("qbft", Encoding::Qbft), ("ibft2", Encoding::Ibft2)] {
        let Some(cases) = vector(&format!("qbft/besu/{file}_extra_encodings.json")) else { return };
        for case in cases.as_array().map_or_else(|| vec![cases.clone()], Clone::clone) {
            for text in case["hex"].as_array().unwrap() {
                let extra = ExtraData::decode(encoding, &unhex(text.as_str().unwrap())).unwrap();
                assert_eq!((extra.round, extra.validators.len(), extra.seals.len()), (0x00fe_dcba, 2, 2));
            }
        }
    }
    let Some(cases) = vector("qbft/qbft-tests/bft_extra_data.json") else { return };
    for (name, case) in cases.as_object().unwrap() {
        let fields = &case["qbft_extra_data"];
        let extra = ExtraData::decode(Encoding::Ibft2, &unhex(case["rlp"].as_str().unwrap())).unwrap();
        assert_eq!(u64::from(extra.round), fields["round"].as_u64().unwrap(), "{name}");
        let texts =
            |key: &str| fields[key].as_array().unwrap().iter().map(|v| unhex(v.as_str().unwrap())).collect::<Vec<_>>();
        assert_eq!(extra.validators.iter().map(|a| a.to_vec()).collect::<Vec<_>>(), texts("validators"), "{name}");
        assert_eq!(extra.seals.iter().map(|seal| seal.to_vec()).collect::<Vec<_>>(), texts("seals"), "{name}");
    }
}

#[test]
fn headers_are_believed_one_by_one_and_skipping_and_with_the_fields_of_later_forks() {
    for encoding in ENCODINGS {
        let trusted = genesis(encoding);
        for (number, fields) in [(11, 15), (12, 16), (500, 17), (501, 21)] {
            let block = Block { fields, ..Block::new(encoding, number, 1_050, &trusted.validators) };
            let (next, state) = verify(&trusted, &block).unwrap();
            assert_eq!((next.latest, state), (block.latest(), block.consensus()));
        }
    }
}

#[test]
fn the_set_changes_by_one_or_by_enough_overlap_and_not_otherwise() {
    let all = keys(12);
    for encoding in ENCODINGS {
        let trusted = Block::new(encoding, 10, 1_000, &all[..4]);
        let added = Block::new(encoding, 11, 1_010, &all[..5]);
        verify(&trusted, &added).unwrap();
        // Two of four trusted validators remain and sealed: more than a third.
        let half = Block::new(encoding, 20, 1_010, &all[2..6]);
        verify(&trusted, &half).unwrap();
        let one_left = Block::new(encoding, 20, 1_010, &all[3..7]);
        assert_eq!(verify(&trusted, &one_left).unwrap_err(), QbftError::NotEnoughTrust { sealed: 1, of: 4 });
        // By the header between, it is reached.
        let (client, state) = verify(&trusted, &half).unwrap();
        verify_update(&client, &state, &Block { number: 21, time: 1_011, ..one_left }.update(&half), NOW).unwrap();
        let strangers = Block::new(encoding, 20, 1_010, &all[4..8]);
        assert_eq!(verify(&trusted, &strangers).unwrap_err(), QbftError::NotEnoughTrust { sealed: 0, of: 4 });
    }
}

#[test]
fn two_thirds_of_the_set_must_seal_each_once_and_nobody_else() {
    let all = keys(7);
    for encoding in ENCODINGS {
        for (of, enough) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5)] {
            let block = Block::new(encoding, 10, 1_000, &all[..of]);
            let with =
                |n: usize| anchor(client(encoding), &Block { signers: all[..n].to_vec(), ..block.clone() }.rlp(), NOW);
            assert!(with(enough).is_ok(), "{enough} of {of}");
            assert_eq!(with(enough - 1), Err(QbftError::QuorumNotReached { sealed: enough - 1, of }));
        }
        let block = genesis(encoding);
        let mut twice = block.clone();
        twice.signers[3] = twice.signers[0].clone();
        let duplicate = QbftError::DuplicateSigner(twice.signers[0].address());
        assert_eq!(anchor(client(encoding), &twice.rlp(), NOW), Err(duplicate));
        let outsider = SigningKey::from_bytes([200; 32]).unwrap();
        let mut stranger = block.clone();
        stranger.signers[3] = outsider.clone();
        let unknown = QbftError::UnknownSigner(outsider.address());
        assert_eq!(anchor(client(encoding), &stranger.rlp(), NOW), Err(unknown));
        let mut many = block.clone();
        many.signers.push(outsider);
        let refused = anchor(client(encoding), &many.rlp(), NOW);
        assert!(matches!(refused, Err(QbftError::Header(SealedHeaderError::Extra(_)))));
        let digest = block.digest();
        let mut seals: Vec<_> = block.signers.iter().map(|key| seal(key, &digest)).collect();
        seals[1] = high_s(&block.signers[1].sign(&digest.0));
        seals[1][64] -= 27;
        let high = anchor(client(encoding), &block.rlp_with(&seals), NOW);
        assert_eq!(high, Err(QbftError::Seal(SignatureError::HighS { index: 1 })));
        seals[1][64] = 27;
        let v = anchor(client(encoding), &block.rlp_with(&seals), NOW);
        assert_eq!(v, Err(QbftError::Seal(SignatureError::RecoveryId { index: 1, v: 27 })));
    }
}

#[test]
fn every_other_refusal_has_its_own_error() {
    let encoding = Encoding::Qbft;
    let trusted = genesis(encoding);
    let good = Block::new(encoding, 12, 1_050, &trusted.validators);
    let refused = |block: &Block| verify(&trusted, block).unwrap_err();
    assert!(matches!(refused(&Block { number: 10, ..good.clone() }), QbftError::NumberNotAbove { .. }));
    assert!(matches!(refused(&Block { time: 1_000, ..good.clone() }), QbftError::TimeNotAfter { .. }));
    assert!(matches!(refused(&Block { time: 1_111, ..good.clone() }), QbftError::FromTheFuture { .. }));
    assert!(verify(&trusted, &Block { time: 1_110, ..good.clone() }).is_ok());
    let late = verify_update(&trusted.client(), &trusted.consensus(), &good.update(&trusted), Timestamp(2_000));
    assert_eq!(late, Err(QbftError::Expired { expiry: Timestamp(2_000), now: Timestamp(2_000) }));
    let frozen = ClientState { frozen: true, ..trusted.client() };
    assert_eq!(verify_update(&frozen, &trusted.consensus(), &good.update(&trusted), NOW), Err(QbftError::Frozen));
    assert_eq!(frozen.check_usable(NOW), Err(QbftError::Frozen));
    assert!(trusted.client().check_usable(Timestamp(1_999)).is_ok());
    assert!(matches!(trusted.client().check_usable(Timestamp(2_000)), Err(QbftError::Expired { .. })));
    // A set in a contract leaves the header's empty.
    let contract = Block { validators: vec![], signers: vec![], ..good.clone() };
    assert_eq!(anchor(client(encoding), &contract.rlp(), NOW), Err(QbftError::Validators(ValidatorsError::Count(0))));
    let same = trusted.validators[0].clone();
    let twice = Block { validators: vec![same.clone(), same.clone()], signers: vec![same.clone()], ..good };
    assert_eq!(
        anchor(client(encoding), &twice.rlp(), NOW),
        Err(QbftError::Validators(ValidatorsError::Twice(same.address())))
    );
}

#[test]
fn contradicting_headers_freeze_and_another_round_of_one_block_does_not() {
    for encoding in ENCODINGS {
        let trusted = genesis(encoding);
        let (client, state) = (trusted.client(), trusted.consensus());
        let one = Block::new(encoding, 12, 1_050, &trusted.validators);
        let fork = Block { root: B256::repeat_byte(99), ..one.clone() };
        let check = |a: &Block, b: &Block| {
            check_misbehaviour(&client, (&a.update(&trusted), &state), (&b.update(&trusted), &state), NOW)
        };
        assert_eq!(check(&one, &fork), Ok(()));
        assert_eq!(check(&one, &one), Err(QbftError::NoConflict));
        let other_round = Block { round: 2, signers: one.signers[1..].to_vec(), ..one.clone() };
        assert_eq!(check(&one, &other_round), Err(QbftError::NoConflict));
        let minority = Block { signers: fork.signers[..2].to_vec(), ..fork.clone() };
        assert!(matches!(check(&one, &minority), Err(QbftError::QuorumNotReached { .. })));
        let higher_but_earlier = Block::new(encoding, 13, 1_049, &trusted.validators);
        assert_eq!(check(&one, &higher_but_earlier), Ok(()));
        assert_eq!(check(&higher_but_earlier, &one), Ok(()));
        assert_eq!(check(&one, &Block { time: 1_051, ..higher_but_earlier.clone() }), Err(QbftError::NoConflict));

        let against = |known: &Block, block: &Block| {
            check_conflict(&client, &state, &block.update(&trusted), &known.latest(), NOW)
        };
        assert_eq!(against(&one, &fork), Ok(()));
        assert_eq!(against(&one, &one), Err(QbftError::NoConflict));
        assert_eq!(against(&one, &higher_but_earlier), Ok(()));
    }
}

#[test]
fn no_changed_bit_of_an_update_changes_what_is_believed() {
    for encoding in ENCODINGS {
        let trusted = genesis(encoding);
        let block = Block::new(encoding, 12, 1_050, &trusted.validators);
        let (good, state) = verify(&trusted, &block).unwrap();
        let rlp = block.rlp();
        for bit in (0..rlp.len() * 8).step_by(5) {
            let mut changed = rlp.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            let header = Header { trusted_height: Height(10), rlp: changed.into() };
            if let Ok(found) = verify_update(&trusted.client(), &trusted.consensus(), &header, NOW) {
                assert_eq!(found, (good.clone(), state.clone()), "bit {bit}");
            }
        }
    }
}

proptest! {
    #[test]
    fn bytes_changed_at_random_never_panic(at in 0usize..700, byte: u8, cut in 0usize..700, which in 0usize..3) {
        let block = genesis(ENCODINGS[which]);
        let mut rlp = block.rlp().to_vec();
        let len = rlp.len();
        rlp[at % len] = byte;
        rlp.truncate(len - cut % 3);
        let _ = anchor(client(block.encoding), &rlp, NOW);
        let _ = ExtraData::decode(block.encoding, &rlp);
    }
}

#[test]
fn blocks_of_one_second_do_not_contradict_each_other() {
    for encoding in ENCODINGS {
        let start = genesis(encoding);
        let (client, state) = (start.client(), start.consensus());
        let at = |number, time| Block::new(encoding, number, time, &keys(4)).update(&start);
        let check = |one: &Header, other: &Header| check_misbehaviour(&client, (one, &state), (other, &state), NOW);
        assert_eq!(check(&at(11, 1_001), &at(12, 1_001)), Err(QbftError::NoConflict));
        assert_eq!(check(&at(11, 1_002), &at(12, 1_001)), Ok(()));
    }
}
