//! Evidence against the client that keeps roots, committees shown late, and the form of updates.

use crate::beacon_chain::{Block, Execution, GENESIS_TIME, NOW, SIZE, committee, start};
use alloy_primitives::B256;
use crosspoint_light_proofs::ethereum_pos::{
    CodecError, ConsensusState, Fork, Header, PosError, Preset, SyncError, check_conflict, check_misbehaviour,
    verify_committee, verify_update,
};

const MINIMAL: Preset = Preset::MINIMAL;

/// The block of its slot in another branch.
fn fork_of(block: Block) -> Block {
    Block { executed: 2, ..block }
}

#[test]
fn two_final_blocks_that_cannot_be_of_one_chain_or_two_next_committees_freeze() {
    let (client, state) = start(MINIMAL);
    let one = Block::new(40, 24);
    let fork = fork_of(Block::new(40, 24));
    let check = |a: &Header, b: &Header| check_misbehaviour(&client, (a, &state), (b, &state), NOW);
    assert_eq!(check(&one.signed(SIZE), &fork.signed(22)), Ok(()));
    assert_eq!(check(&one.signed(SIZE), &one.signed(22)), Err(PosError::NoConflict));
    let minority = check(&one.signed(SIZE), &fork.signed(21));
    assert!(matches!(minority, Err(PosError::Sync(SyncError::Participation { .. }))));
    let later = Block::new(48, 32);
    assert_eq!(check(&one.signed(SIZE), &later.signed(SIZE)), Err(PosError::NoConflict));
    // A higher slot with a lower block cannot follow it.
    let low = Execution { number: 1, state_root: B256::ZERO, time: GENESIS_TIME + 6 * 32 };
    let back = Block { final_execution: Some(low), ..later };
    assert_eq!(check(&back.signed(SIZE), &one.signed(SIZE)), Ok(()));
    let committees = Block { next: Some(9), ..later };
    assert_eq!(check(&one.signed(SIZE), &committees.signed(SIZE)), Ok(()));
    // Before a period has a final block, honest members may see two next committees.
    let early = Block { next: Some(9), ..Block::new(70, 56) };
    let known = ConsensusState { next_committee: Some(committee(MINIMAL, 1).root()), ..state };
    let both = (&Block::new(70, 56).signed(SIZE), &early.signed(SIZE));
    let at_start = check_misbehaviour(&client, (both.0, &known), (both.1, &known), NOW);
    assert_eq!(at_start, Err(PosError::NoConflict));
}

#[test]
fn one_update_can_contradict_what_is_trusted_and_says_nothing_of_slots_below_it() {
    let (client, state) = start(MINIMAL);
    let (client, at_24) = verify_update(&client, &state, &Block::new(40, 24).signed(SIZE), NOW).unwrap();
    let known = [client.latest];
    let against =
        |trusted: &ConsensusState, block: Block| check_conflict(&client, trusted, &block.signed(SIZE), &known, NOW);
    assert_eq!(against(&state, fork_of(Block::new(44, 24))), Ok(()), "another block of the trusted slot");
    assert_eq!(against(&state, Block::new(44, 24)), Err(PosError::NoConflict));
    assert_eq!(against(&at_24, Block { next: Some(9), ..Block::new(48, 32) }), Ok(()), "another next committee");
    assert_eq!(against(&at_24, Block::new(48, 32)), Err(PosError::NoConflict));
    // Signed before what is trusted, as if governance had anchored the client anew: no evidence.
    let before = against(&at_24, fork_of(Block::new(22, 16)));
    assert_eq!(before, Err(SyncError::NotRelevant.into()));
    assert_eq!(against(&at_24, fork_of(Block::new(40, 20))), Err(PosError::NoConflict), "finalizes a lower slot");
}

#[test]
fn a_committee_can_be_shown_late_so_that_no_client_is_left_without_the_next() {
    let (client, state) = start(MINIMAL);
    // Moved on by updates that show no committee, to the last final block of the period.
    let mut bare = Block::new(63, 56).signed(SIZE);
    (bare.update.next_sync_committee, bare.update.next_sync_committee_branch) = (None, vec![]);
    bare.signers = committee(MINIMAL, 1);
    let unknown = verify_update(&client, &state, &bare, NOW).unwrap_err();
    assert!(matches!(unknown, PosError::Sync(SyncError::UnknownPeriod { .. })), "{unknown}");
    let mut bare = Block::new(62, 56).signed(SIZE);
    (bare.update.next_sync_committee, bare.update.next_sync_committee_branch) = (None, vec![]);
    let (client, state) = verify_update(&client, &state, &bare, NOW).unwrap();
    assert_eq!((client.latest.slot, state.next_committee), (56, None));
    let early = Block::new(40, 24).signed(SIZE);
    assert!(matches!(verify_update(&client, &state, &early, NOW), Err(PosError::NotAbove { slot: 24, .. })));
    let complete = verify_committee(&client, &state, &early, NOW).unwrap();
    assert_eq!(complete, ConsensusState { next_committee: Some(committee(MINIMAL, 1).root()), ..state });
    verify_update(&client, &complete, &Block::new(80, 72).signed(SIZE), NOW).unwrap();
    // Not twice, not by a minority, and not from another period.
    let refused = |from: &ConsensusState, header: &Header| verify_committee(&client, from, header, NOW).unwrap_err();
    assert_eq!(refused(&complete, &early), SyncError::NotRelevant.into());
    let few = refused(&state, &Block::new(40, 24).signed(21));
    assert!(matches!(few, PosError::Sync(SyncError::Participation { .. })), "{few}");
    let other = refused(&complete, &Block::new(70, 60).signed(SIZE));
    assert_eq!(other, SyncError::NotRelevant.into());
}

#[test]
fn updates_round_trip_in_their_bounded_form() {
    let header = Block::new(40, 24).signed(SIZE);
    let bytes = header.encode(Preset::MINIMAL, Fork::Electra);
    assert_eq!(Header::decode(Preset::MINIMAL, &bytes).unwrap(), header);
    assert!(matches!(Header::decode(Preset::MAINNET, &bytes), Err(CodecError::Committee(_))));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        if let Ok(other) = Header::decode(Preset::MINIMAL, &changed) {
            assert_ne!(other, header, "byte {at}");
        }
    }
    let mut longer = bytes;
    longer.extend([0x28, 1]);
    assert_eq!(Header::decode(Preset::MINIMAL, &longer), Err(CodecError::NotCanonical));
    let (client, state) = start(MINIMAL);
    let read = Header::decode(Preset::MINIMAL, &header.encode(Preset::MINIMAL, Fork::Electra)).unwrap();
    assert!(verify_update(&client, &state, &read, NOW).is_ok());
}
