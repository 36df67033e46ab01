//! The client that keeps roots, over a beacon chain of our own.

use crate::beacon_chain::{Block, GENESIS_TIME, NOW, SIZE, committee, start};
use alloy_primitives::B256;
use crosspoint_light_proofs::ethereum_pos::{
    ClientState, ConsensusState, Header, PosError, Preset, SyncError, check_misbehaviour, verify_update,
};
use crosspoint_protocol::ids::{Height, Timestamp};

const MINIMAL: Preset = Preset::MINIMAL;

#[test]
fn a_client_goes_from_period_to_period_by_committees_it_knows_by_root_only() {
    let (client, state) = start(MINIMAL);
    let (client, state) = verify_update(&client, &state, &Block::new(40, 24).signed(SIZE), NOW).unwrap();
    assert_eq!((client.latest.slot, client.latest.number), (24, Height(48)));
    assert_eq!((state.root, state.next_committee), (B256::repeat_byte(1), Some(committee(MINIMAL, 1).root())));
    // Attested in the next period, final in this one: the committee shown is two ahead, and not taken.
    let (client, state) = verify_update(&client, &state, &Block::new(70, 56).signed(22), NOW).unwrap();
    assert_eq!(
        (state.current_committee, state.next_committee),
        (committee(MINIMAL, 0).root(), Some(committee(MINIMAL, 1).root()))
    );
    let (client, state) = verify_update(&client, &state, &Block::new(80, 72).signed(SIZE), NOW).unwrap();
    assert_eq!(
        (state.current_committee, state.next_committee),
        (committee(MINIMAL, 1).root(), Some(committee(MINIMAL, 2).root()))
    );
    let (client, state) = verify_update(&client, &state, &Block::new(140, 132).signed(SIZE), NOW).unwrap();
    assert_eq!((client.latest.slot, state.current_committee), (132, committee(MINIMAL, 2).root()));
    let far = verify_update(&client, &state, &Block::new(270, 260).signed(SIZE), NOW);
    assert!(matches!(far, Err(PosError::Sync(SyncError::UnknownPeriod { signed: 4, known: 2 }))), "{far:?}");
}

#[test]
fn each_refusal_of_the_client_has_its_own_error() {
    let (client, state) = start(MINIMAL);
    let verify = |header: &Header| verify_update(&client, &state, header, NOW);
    let good = Block::new(40, 24);
    assert_eq!(verify(&good.signed(21)).unwrap_err(), SyncError::Participation { signed: 21, of: 32 }.into());
    assert!(verify(&good.signed(22)).is_ok());
    assert!(matches!(verify(&Block::new(40, 8).signed(SIZE)), Err(PosError::NotAbove { slot: 8, .. })));
    let mut optimistic = good.signed(SIZE);
    (optimistic.update.finalized_header, optimistic.update.finality_branch) = (None, vec![]);
    assert_eq!(verify(&optimistic).unwrap_err(), PosError::NotFinal);
    let mut other = good.signed(SIZE);
    other.signers = committee(MINIMAL, 7);
    assert_eq!(verify(&other).unwrap_err(), SyncError::SigningCommittee.into());
    let mut swapped = good.signed(SIZE);
    swapped.update.next_sync_committee = Some(committee(MINIMAL, 9));
    assert_eq!(verify(&swapped).unwrap_err(), SyncError::NextCommittee.into());
    let frozen = ClientState { frozen: true, ..client.clone() };
    assert_eq!(verify_update(&frozen, &state, &good.signed(SIZE), NOW), Err(PosError::Frozen));
    assert_eq!(frozen.check_usable(NOW), Err(PosError::Frozen));
    let expiry = Timestamp(state.time.0 + 5_000);
    let late = verify_update(&client, &state, &good.signed(SIZE), expiry);
    assert_eq!(late, Err(PosError::Expired { expiry, now: expiry }));
    assert_eq!(client.check_usable(expiry), Err(PosError::Expired { expiry, now: expiry }));
    // Two periods ahead without the committee between.
    let known = ConsensusState { next_committee: Some(committee(MINIMAL, 1).root()), ..state };
    assert!(verify_update(&client, &known, &Block::new(80, 72).signed(SIZE), NOW).is_ok());
    let before = Timestamp(GENESIS_TIME + 6 * 40);
    let early = verify_update(&client, &state, &good.signed(SIZE), before);
    assert!(matches!(early, Err(PosError::Sync(SyncError::SlotOrder { now: 40, .. }))));
}

#[test]
fn two_final_blocks_of_one_slot_or_two_next_committees_freeze() {
    let (client, state) = start(MINIMAL);
    let one = Block::new(40, 24);
    let fork = Block { executed: 2, ..one };
    let check = |a: &Header, b: &Header| check_misbehaviour(&client, (a, &state), (b, &state), NOW);
    assert_eq!(check(&one.signed(SIZE), &fork.signed(22)), Ok(()));
    assert_eq!(check(&one.signed(SIZE), &one.signed(22)), Err(PosError::NoConflict));
    let minority = check(&one.signed(SIZE), &fork.signed(21));
    assert!(matches!(minority, Err(PosError::Sync(SyncError::Participation { .. }))));
    let later = Block::new(48, 32);
    assert_eq!(check(&one.signed(SIZE), &later.signed(SIZE)), Err(PosError::NoConflict));
}
