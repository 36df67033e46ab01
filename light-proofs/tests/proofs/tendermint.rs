use crate::chain::{self, Block, CHAIN, validators};
use crosspoint_light_proofs::tendermint::{
    ClientState, CodecError, ConsensusState, Header, MAX_HEADER_BYTES, TendermintError, TrustLevel, anchor,
    check_conflict, check_misbehaviour, verify_update,
};
use crosspoint_protocol::ids::{Height, Timestamp};
use proptest::prelude::*;
use tendermint::block::CommitSig;

const NOW: Timestamp = Timestamp(1_200);

fn genesis() -> Block {
    Block::new(10, 1_000, &validators(1..5))
}

fn verify(trusted: &Block, block: &Block) -> Result<(ClientState, ConsensusState), TendermintError> {
    verify_update(&trusted.client(), &trusted.consensus(), &block.update(trusted), NOW)
}

#[test]
fn adjacent_and_skipped_headers_are_believed() {
    let trusted = genesis();
    for height in [11, 12, 500] {
        let block = Block::new(height, 1_100, &trusted.next);
        let (client, state) = verify(&trusted, &block).unwrap();
        assert_eq!(state, block.consensus());
        assert_eq!((client.latest.height, client.latest.time), (Height(height), Timestamp(1_100)));
    }
    let three = Block { signers: 3, ..Block::new(11, 1_100, &trusted.next) };
    assert!(verify(&trusted, &three).is_ok(), "3 of 4 are more than two thirds");
}

#[test]
fn the_set_changes_step_by_step_or_by_enough_overlap() {
    // Each block hands over to a set that shares three of four validators with it.
    let mut trusted = Block { next: validators(2..6), ..genesis() };
    for step in 1..8u8 {
        let set = validators(step + 1..step + 5);
        let next = validators(step + 2..step + 6);
        let block = Block { next, ..Block::new(10 + u64::from(step), 1_000 + u64::from(step), &set) };
        verify(&trusted, &block).unwrap();
        trusted = block;
    }
    // A skip to a set that shares two of four: more than a third of the trusted set signed.
    let trusted = genesis();
    assert!(verify(&trusted, &Block::new(20, 1_100, &validators(3..7))).is_ok());
    // One of four is not; nor is a set of strangers.
    let one = verify(&trusted, &Block::new(20, 1_100, &validators(4..8)));
    assert_eq!(one.unwrap_err(), TendermintError::NotEnoughTrust { signed: 10, total: 40 });
    let none = verify(&trusted, &Block::new(20, 1_100, &validators(20..24)));
    assert!(matches!(none.unwrap_err(), TendermintError::NotEnoughTrust { .. }));
    // The next header's set is the one named, whoever signs.
    let wrong = verify(&trusted, &Block::new(11, 1_100, &validators(2..6)));
    assert_eq!(wrong.unwrap_err(), TendermintError::NextSetMismatch);
}

#[test]
fn every_refusal_has_its_own_error() {
    let trusted = genesis();
    let block = Block::new(12, 1_100, &trusted.next);
    let (client, state, good) = (trusted.client(), trusted.consensus(), block.update(&trusted));
    let refused = |header: &Header| verify_update(&client, &state, header, NOW).unwrap_err();
    assert!(verify_update(&client, &state, &good, NOW).is_ok());

    let frozen = ClientState { frozen: true, ..client.clone() };
    assert_eq!(verify_update(&frozen, &state, &good, NOW), Err(TendermintError::Frozen));
    assert!(verify_update(&client, &state, &good, Timestamp(1_999)).is_ok());
    let expired = verify_update(&client, &state, &good, Timestamp(2_000));
    assert!(matches!(expired, Err(TendermintError::Expired { expiry: Timestamp(2_000), .. })));
    let future = verify_update(&client, &state, &good, Timestamp(1_090));
    assert!(matches!(future, Err(TendermintError::FromTheFuture { .. })));

    let two = Block { signers: 2, ..block.clone() };
    let adjacent = Block { height: 11, ..two.clone() };
    for few in [two, adjacent] {
        let error = verify(&trusted, &few).unwrap_err();
        assert_eq!(error, TendermintError::QuorumNotReached { signed: 20, total: 40 });
    }
    let nobody = verify(&trusted, &Block { signers: 0, ..block.clone() });
    assert!(nobody.is_err());
    let other_chain = verify(&trusted, &Block { chain_id: "crosspoint-2", ..block.clone() });
    assert!(matches!(other_chain, Err(TendermintError::WrongChain { .. })));
    let same_height = verify(&trusted, &Block { height: 10, ..block.clone() });
    assert!(matches!(same_height, Err(TendermintError::HeightNotAbove { .. })));
    let same_time = verify(&trusted, &Block { secs: 1_000, ..block.clone() });
    assert!(matches!(same_time, Err(TendermintError::TimeNotAfter { trusted: Height(10) })));

    let mut other_trusted = good.clone();
    other_trusted.trusted_next_validators = crate::chain::set(&validators(2..6));
    assert_eq!(refused(&other_trusted), TendermintError::TrustedSetMismatch);
    let mut other_set = good.clone();
    other_set.validators = crate::chain::set(&validators(2..6));
    assert_eq!(refused(&other_set), TendermintError::SetMismatch);
    let mut later = good.clone();
    later.trusted_height = Height(12);
    assert!(matches!(refused(&later), TendermintError::HeightNotAbove { .. }));
    let mut other_header = good.clone();
    other_header.signed_header.header.app_hash = vec![9; 32].try_into().unwrap();
    assert_eq!(refused(&other_header), TendermintError::CommitMismatch);

    let mut twice = good.clone();
    twice.signed_header.commit.signatures[1] = twice.signed_header.commit.signatures[0].clone();
    assert!(matches!(refused(&twice), TendermintError::DuplicateSigner(_)));
    let mut forged = good.clone();
    let other = block.signed().commit.signatures[1].clone();
    let CommitSig::BlockIdFlagCommit { signature: stolen, .. } = other else { panic!("absent") };
    let CommitSig::BlockIdFlagCommit { signature, .. } = &mut forged.signed_header.commit.signatures[0] else {
        panic!("absent")
    };
    *signature = stolen;
    assert!(matches!(refused(&forged), TendermintError::InvalidSignature { .. }));
    let mut short = good.clone();
    short.signed_header.commit.signatures.pop();
    assert!(matches!(refused(&short), TendermintError::MalformedCommit(_)));
}

#[test]
fn a_lower_time_than_the_newest_trusted_header_is_refused_even_from_an_older_one() {
    let trusted = genesis();
    let newest = Block::new(20, 1_150, &trusted.next);
    let (client, _) = verify(&trusted, &newest).unwrap();
    let from_old = |block: &Block| verify_update(&client, &trusted.consensus(), &block.update(&trusted), NOW);
    assert!(from_old(&Block::new(21, 1_150, &trusted.next)).is_ok());
    let earlier = from_old(&Block::new(21, 1_149, &trusted.next));
    assert_eq!(earlier.unwrap_err(), TendermintError::TimeNotAfter { trusted: Height(20) });
    let lower = from_old(&Block::new(19, 1_100, &trusted.next));
    assert!(matches!(lower, Err(TendermintError::HeightNotAbove { .. })));
}

#[test]
fn two_headers_of_one_height_freeze() {
    let trusted = genesis();
    let (client, state) = (trusted.client(), trusted.consensus());
    let one = Block::new(12, 1_100, &trusted.next);
    let fork = Block { app_hash: [99; 32], ..one.clone() };
    let check = |a: &Block, b: &Block| {
        check_misbehaviour(&client, (&a.update(&trusted), &state), (&b.update(&trusted), &state), NOW)
    };
    assert_eq!(check(&one, &fork), Ok(()));
    assert_eq!(check(&one, &one), Err(TendermintError::NoConflict));
    let minority = Block { signers: 2, ..fork.clone() };
    assert!(matches!(check(&one, &minority), Err(TendermintError::QuorumNotReached { .. })));
    let higher_but_earlier = Block::new(13, 1_050, &trusted.next);
    assert_eq!(check(&one, &higher_but_earlier), Ok(()));
    assert_eq!(check(&higher_but_earlier, &one), Ok(()));
    assert_eq!(check(&one, &Block::new(13, 1_101, &trusted.next)), Err(TendermintError::NoConflict));
    // A header from the future is evidence, though no update.
    let ahead = Block { secs: 5_000, ..fork.clone() };
    assert_eq!(check(&one, &ahead), Ok(()));

    let against =
        |known: &Block, block: &Block| check_conflict(&client, &state, &block.update(&trusted), &known.latest(), NOW);
    assert_eq!(against(&one, &fork), Ok(()));
    assert_eq!(against(&one, &one), Err(TendermintError::NoConflict));
    assert_eq!(against(&one, &higher_but_earlier), Ok(()));
    assert_eq!(against(&higher_but_earlier, &one), Ok(()));
    assert_eq!(against(&one, &Block::new(13, 1_101, &trusted.next)), Err(TendermintError::NoConflict));
    assert!(matches!(against(&one, &minority), Err(TendermintError::QuorumNotReached { .. })));
}

#[test]
fn evidence_needs_every_signature_to_verify_also_those_past_two_thirds() {
    let trusted = genesis();
    let (client, state) = (trusted.client(), trusted.consensus());
    let one = Block::new(12, 1_100, &trusted.next).update(&trusted);
    let mut fork = Block { app_hash: [99; 32], ..Block::new(12, 1_100, &trusted.next) }.update(&trusted);
    let check = |fork: &Header| check_misbehaviour(&client, (&one, &state), (fork, &state), NOW);
    assert_eq!(check(&fork), Ok(()));
    // The last of four signatures is one of the other header: three of four carry it, as an update.
    let last = one.signed_header.commit.signatures.last().unwrap().clone();
    *fork.signed_header.commit.signatures.last_mut().unwrap() = last;
    assert!(verify_update(&client, &state, &fork, NOW).is_ok());
    assert!(matches!(check(&fork), Err(TendermintError::InvalidSignature { .. })));
    assert!(matches!(
        check_conflict(&client, &state, &fork, &Block::new(12, 1_100, &trusted.next).latest(), NOW),
        Err(TendermintError::InvalidSignature { .. })
    ));
}

#[test]
fn a_commit_is_evidence_once_its_spoilt_votes_are_cut() {
    let trusted = genesis();
    let (client, state) = (trusted.client(), trusted.consensus());
    let block = Block::new(12, 1_100, &trusted.next);
    let one = block.update(&trusted);
    let fork = Block { app_hash: [99; 32], ..block }.update(&trusted);
    let check = |fork: &Header| check_misbehaviour(&client, (&one, &state), (fork, &state), NOW);
    let spoilt = |spoil: &dyn Fn(&mut Vec<CommitSig>)| {
        let mut spoilt = fork.clone();
        spoil(&mut spoilt.signed_header.commit.signatures);
        assert!(check(&spoilt).is_err());
        spoilt.without_spoilt_votes()
    };
    let of_the_other = one.signed_header.commit.signatures.clone();
    let stranger = CommitSig::BlockIdFlagCommit {
        validator_address: tendermint::account::Id::new([9; 20]),
        timestamp: fork.signed_header.header.time,
        signature: tendermint::Signature::new([9; 64]).unwrap(),
    };
    for at in 0..4 {
        assert_eq!(check(&spoilt(&|votes| votes[at] = of_the_other[at].clone())), Ok(()), "another block's vote {at}");
        assert_eq!(check(&spoilt(&|votes| votes[at] = stranger.clone())), Ok(()), "a stranger's vote {at}");
        assert_eq!(check(&spoilt(&|votes| votes[at] = votes[(at + 1) % 4].clone())), Ok(()), "a vote {at} twice");
    }
    // What is left must still be a quorum, and nothing of a good commit is cut.
    let two = spoilt(&|votes| votes[..2].clone_from_slice(&of_the_other[..2]));
    assert!(matches!(check(&two), Err(TendermintError::QuorumNotReached { .. })));
    assert_eq!(fork.clone().without_spoilt_votes(), fork);
}

#[test]
fn a_client_starts_from_a_header_that_is_one() {
    let block = genesis();
    let header = block.update(&block);
    let (client, state) = anchor(block.client(), &header, NOW).unwrap();
    assert_eq!((client.latest, state), (block.latest(), block.consensus()));
    let minority = Block { signers: 2, ..block.clone() };
    let short = anchor(block.client(), &minority.update(&block), NOW);
    assert!(matches!(short, Err(TendermintError::QuorumNotReached { .. })), "{short:?}");
    let mut wrong_set = header.clone();
    wrong_set.validators = chain::set(&chain::validators(7..9));
    assert_eq!(anchor(block.client(), &wrong_set, NOW), Err(TendermintError::SetMismatch));
    let elsewhere = Block { chain_id: "other-1", ..block.clone() };
    let wrong = anchor(block.client(), &elsewhere.update(&block), NOW);
    assert!(matches!(wrong, Err(TendermintError::WrongChain { .. })));
    let early = anchor(block.client(), &header, Timestamp(block.secs - 11));
    assert!(matches!(early, Err(TendermintError::FromTheFuture { .. })));
}

#[test]
fn no_changed_byte_of_an_update_changes_what_is_believed() {
    let trusted = genesis();
    let block = Block::new(12, 1_100, &trusted.next);
    let bytes = block.update(&trusted).encode();
    let (client, state) = (trusted.client(), trusted.consensus());
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        // Some bytes carry no meaning (priorities, signatures past two thirds): the result is the same then.
        if let Ok(header) = Header::decode(&changed)
            && let Ok((next, believed)) = verify_update(&client, &state, &header, NOW)
        {
            assert_eq!((next.latest.height, believed), (Height(12), block.consensus()), "byte {at}");
        }
    }
}

#[test]
fn updates_round_trip_and_are_bounded() {
    let trusted = genesis();
    let header = Block::new(12, 1_100, &trusted.next).update(&trusted);
    assert_eq!(Header::decode(&header.encode()).unwrap(), header);
    let json = serde_json::to_string(&header).unwrap();
    assert_eq!(serde_json::from_str::<Header>(&json).unwrap(), header);
    let json = serde_json::to_string(&trusted.client()).unwrap();
    assert_eq!(serde_json::from_str::<ClientState>(&json).unwrap(), trusted.client());
    let long = vec![0; MAX_HEADER_BYTES + 1];
    assert_eq!(Header::decode(&long), Err(CodecError::TooLong(MAX_HEADER_BYTES + 1)));
    assert_eq!(Header::decode(&[]), Err(CodecError::Missing("signed header")));
    assert_eq!(CHAIN, trusted.client().chain_id.as_str());
}

#[test]
fn trust_levels_that_could_overflow_or_are_unsafe_are_refused() {
    assert!(TrustLevel::new(2, 3).is_ok() && TrustLevel::new(1, 1).is_ok());
    for (numerator, denominator) in [(1, 4), (4, 3), (0, 0), (1, 0), (8, 16), (u64::MAX, u64::MAX)] {
        assert!(TrustLevel::new(numerator, denominator).is_err(), "{numerator}/{denominator}");
    }
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Header::decode(&bytes);
    }

    #[test]
    fn bytes_changed_at_random_never_panic(at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let trusted = genesis();
        let mut bytes = Block::new(12, 1_100, &trusted.next).update(&trusted).encode();
        let at = at.index(bytes.len());
        bytes[at] = to;
        bytes.truncate(cut.index(bytes.len()).max(at));
        if let Ok(header) = Header::decode(&bytes) {
            let _ = verify_update(&trusted.client(), &trusted.consensus(), &header, NOW);
        }
    }
}
