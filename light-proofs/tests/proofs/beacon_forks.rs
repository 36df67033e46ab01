//! Networks that change their fork under way: which version is signed, which form a header has, where a state holds what.

use crate::beacon_chain::{Block, Forks, NOW, SIZE, network_of, start_on, unanchored};
use alloy_primitives::B256;
use crosspoint_light_proofs::ethereum_pos::{
    ConsensusState, ExecutionPayloadHeader, Fork, Header, PosError, Preset, Store, SyncError, Update, anchor,
    verify_committee, verify_update,
};
use crosspoint_protocol::ids::Timestamp;

const MINIMAL: Preset = Preset::MINIMAL;
/// The slot of the clock.
const AT: u64 = 400;
/// The first slot of the later fork.
const CHANGE: u64 = 32;
/// One fork from the start, the next from [`CHANGE`] on.
const PAIRS: [Forks; 5] = [
    &[(Fork::Altair, 0), (Fork::Bellatrix, 4)],
    &[(Fork::Bellatrix, 0), (Fork::Capella, 4)],
    &[(Fork::Capella, 0), (Fork::Deneb, 4)],
    &[(Fork::Deneb, 0), (Fork::Electra, 4)],
    &[(Fork::Electra, 0), (Fork::Fulu, 4)],
];
const TO_CAPELLA: Forks = PAIRS[1];
const TO_DENEB: Forks = PAIRS[2];
const TO_ELECTRA: Forks = PAIRS[3];

/// A store that trusts block 8 of a network.
fn store(forks: Forks) -> Store {
    let bootstrap = Block::new(8, 0).on(forks).bootstrap();
    Store::new(&network_of(MINIMAL, forks), bootstrap.header.beacon.root(), &bootstrap).unwrap()
}

/// What the store of a network says of an update.
fn judge(forks: Forks, update: &Update) -> Result<(), SyncError> {
    store(forks).process(&network_of(MINIMAL, forks), update, AT)
}

/// An update as it comes out of a ledger transaction.
fn carried(forks: Forks, header: &Header) -> Header {
    let fork = network_of(MINIMAL, forks).fork(header.update.attested_header.beacon.slot).unwrap();
    Header::decode(MINIMAL, &header.encode(MINIMAL, fork)).unwrap()
}

#[test]
fn the_block_before_the_one_that_carries_the_signatures_decides_which_version_is_signed() {
    for forks in PAIRS {
        let [before, after] = [forks[0].0, forks[1].0];
        // The last slot: attested, signed, and the version that was in force in the slot before the signatures.
        for (attested, signed, version) in [
            (CHANGE - 2, CHANGE - 1, before),
            (CHANGE - 1, CHANGE, before),
            (CHANGE - 2, CHANGE, before),
            (CHANGE, CHANGE + 1, after),
            (CHANGE - 1, CHANGE + 1, after),
        ] {
            let block = Block::new(attested, 16).on(forks);
            let at = format!("{forks:?}: {attested} signed in {signed}");
            assert_eq!(judge(forks, &block.update_in(signed, version, SIZE)), Ok(()), "{at}");
            let other = if version == before { after } else { before };
            assert_eq!(judge(forks, &block.update_in(signed, other, SIZE)), Err(SyncError::Signature), "{at}");
        }
    }
}

#[test]
fn slot_zero_is_signed_by_the_first_version() {
    let network = network_of(MINIMAL, TO_ELECTRA);
    let roots = [0, 1, CHANGE, CHANGE + 1].map(|slot| network.signing_root(B256::ZERO, slot).unwrap());
    assert!(roots[0] == roots[1] && roots[1] == roots[2] && roots[2] != roots[3]);
}

#[test]
fn a_header_of_the_fork_before_may_be_final_under_one_of_the_fork_after() {
    for forks in &PAIRS[2..] {
        let (client, state) = start_on(MINIMAL, forks);
        let good = carried(forks, &Block::new(40, 24).on(forks).signed(SIZE));
        let (client, state) = verify_update(&client, &state, &good, NOW).unwrap();
        assert_eq!((client.latest.slot, state.slot), (24, 24), "{forks:?}");
        let next = carried(forks, &Block::new(56, CHANGE).on(forks).signed(SIZE));
        let (client, state) = verify_update(&client, &state, &next, NOW).unwrap();
        assert_eq!((client.latest.slot, state.slot), (CHANGE, CHANGE), "{forks:?}");
    }
}

#[test]
fn a_committee_may_be_shown_across_a_fork() {
    for forks in &PAIRS[2..] {
        let (client, state) = start_on(MINIMAL, forks);
        let shown = carried(forks, &Block::new(40, 24).on(forks).signed(SIZE));
        let next = shown.update.next_sync_committee.as_ref().unwrap().root();
        let expected = ConsensusState { next_committee: Some(next), ..state };
        assert_eq!(verify_committee(&client, &state, &shown, NOW), Ok(expected), "{forks:?}");
    }
}

#[test]
fn blob_gas_belongs_to_headers_from_deneb_on() {
    let blobs = |header: &mut Option<ExecutionPayloadHeader>, gas| header.as_mut().unwrap().blob_gas_used = gas;
    let good = Block::new(40, 24).on(TO_DENEB).update(SIZE);
    assert_eq!(judge(TO_DENEB, &good), Ok(()));
    // A root of Capella does not cover it: without a check anything could be written there.
    let mut early = good.clone();
    blobs(&mut early.finalized_header.as_mut().unwrap().execution, 1);
    assert_eq!(judge(TO_DENEB, &early), Err(SyncError::Execution("finalized")));
    let mut none = good;
    blobs(&mut none.attested_header.execution, 0);
    assert_eq!(judge(TO_DENEB, &none), Err(SyncError::Execution("attested")));
}

#[test]
fn the_attested_header_decides_how_deep_a_state_is() {
    let old = Block::new(CHANGE - 1, 16).on(TO_ELECTRA);
    let new = Block::new(CHANGE, 16).on(TO_ELECTRA);
    // Signed two slots into Electra, attested in Deneb: a state of Deneb.
    let late = old.update_in(CHANGE + 1, Fork::Electra, SIZE);
    let depths = |update: &Update| (update.next_sync_committee_branch.len(), update.finality_branch.len());
    for (good, expected) in [(old.update(SIZE), (5, 6)), (late, (5, 6)), (new.update(SIZE), (6, 7))] {
        assert_eq!((depths(&good), judge(TO_ELECTRA, &good)), (expected, Ok(())));
        let refused = |change: &dyn Fn(&mut Update)| {
            let mut update = good.clone();
            change(&mut update);
            judge(TO_ELECTRA, &update)
        };
        for word in [B256::repeat_byte(1), good.finality_branch[0]] {
            assert_eq!(refused(&|u| u.finality_branch.insert(0, word)), Err(SyncError::Finality));
            assert_eq!(refused(&|u| u.finality_branch.push(word)), Err(SyncError::Finality));
            assert_eq!(refused(&|u| u.next_sync_committee_branch.insert(0, word)), Err(SyncError::NextCommittee));
            assert_eq!(refused(&|u| u.next_sync_committee_branch.push(word)), Err(SyncError::NextCommittee));
        }
        let headless = |branch: &mut Vec<B256>| *branch = branch.split_off(1);
        assert_eq!(refused(&|u| headless(&mut u.finality_branch)), Err(SyncError::Finality));
        assert_eq!(refused(&|u| u.finality_branch.truncate(expected.1 - 1)), Err(SyncError::Finality));
        assert_eq!(refused(&|u| headless(&mut u.next_sync_committee_branch)), Err(SyncError::NextCommittee));
        // As a later fork writes the branches of an earlier one, they are the same.
        assert_eq!(refused(&|u| u.finality_branch.insert(0, B256::ZERO)), Ok(()));
        assert_eq!(refused(&|u| u.next_sync_committee_branch.insert(0, B256::ZERO)), Ok(()));
    }
}

#[test]
fn a_signed_state_in_the_layout_of_the_other_fork_is_refused_by_name() {
    for (slot, layout) in [(CHANGE - 1, Fork::Electra), (CHANGE, Fork::Deneb)] {
        let other = Block { layout: Some(layout), ..Block::new(slot, 16).on(TO_ELECTRA) };
        let update = other.update(SIZE);
        assert_eq!(judge(TO_ELECTRA, &update), Err(SyncError::Finality), "{slot}");
        let committee_only = Update { finalized_header: None, finality_branch: vec![], ..update };
        assert_eq!(judge(TO_ELECTRA, &committee_only), Err(SyncError::NextCommittee), "{slot}");
        let honest = anchor(unanchored(MINIMAL, TO_ELECTRA), &Block { layout: None, ..other }.bootstrap());
        assert!(honest.is_ok(), "{slot}");
        let found = anchor(unanchored(MINIMAL, TO_ELECTRA), &other.bootstrap());
        assert_eq!(found, Err(SyncError::CurrentCommittee.into()), "{slot}");
    }
}

#[test]
fn from_a_fork_on_that_its_list_lacks_a_client_believes_nothing() {
    for forks in &PAIRS[2..] {
        // Until the fork the client goes on.
        let (client, state) = start_on(MINIMAL, &forks[..1]);
        let last = Block::new(CHANGE - 1, 16).on(forks);
        let verify = |update: Update| verify_update(&client, &state, &last.shown(update), NOW).map(|_| ());
        assert_eq!(verify(last.update(SIZE)), Ok(()), "{forks:?}");
        // A block before it, signed after it.
        let late = last.update_in(CHANGE + 1, forks[1].0, SIZE);
        assert_eq!(verify(late), Err(SyncError::Signature.into()), "{forks:?}");
        let expected = match forks[1].0 {
            // Blob gas where none may be, another layout; later only the version.
            Fork::Deneb => SyncError::Execution("attested"),
            Fork::Electra => SyncError::Finality,
            _ => SyncError::Signature,
        };
        assert_eq!(verify(Block::new(40, 24).on(forks).update(SIZE)), Err(expected.into()), "{forks:?}");
    }
    // A list that begins later knows nothing of what was before.
    let (only, late): (Forks, Forks) = (&[(Fork::Electra, 0)], &[(Fork::Electra, 4)]);
    let update = Block::new(40, 24).on(only).update(SIZE);
    assert_eq!(store(only).process(&network_of(MINIMAL, late), &update, AT), Err(SyncError::NoFork(24)));
    let early = anchor(unanchored(MINIMAL, late), &Block::new(8, 0).on(only).bootstrap());
    assert_eq!(early, Err(SyncError::NoFork(8).into()));
}

/// A client of a network before Capella, as nobody could anchor it.
fn before_capella(forks: Forks) -> impl Fn(&Header) -> [Result<(), PosError>; 2] {
    let bootstrap = Block::new(8, 0).on(forks).bootstrap();
    let client = unanchored(MINIMAL, forks);
    let state = ConsensusState {
        root: B256::ZERO,
        time: Timestamp(client.network.time_of(8)),
        slot: 8,
        current_committee: bootstrap.current_sync_committee.root(),
        next_committee: None,
    };
    move |header| {
        [
            verify_update(&client, &state, header, NOW).map(|_| ()),
            verify_committee(&client, &state, header, NOW).map(|_| ()),
        ]
    }
}

#[test]
fn a_header_without_an_execution_state_is_final_but_proves_no_packet() {
    for (forks, attested) in [(PAIRS[0], 24), (PAIRS[0], 40), (TO_CAPELLA, 24), (TO_CAPELLA, 40)] {
        let start = Block::new(8, 0).on(forks).bootstrap();
        assert_eq!(anchor(unanchored(MINIMAL, forks), &start), Err(PosError::NotFinal), "{forks:?}");
        let good = Block::new(attested, 16).on(forks).signed(SIZE);
        let verify = before_capella(forks);
        let refused = [Err(PosError::NotFinal), Err(PosError::NotFinal)];
        // By the sync protocol it is right, also in the form with an execution header of zeros.
        for header in [&good, &carried(forks, &good)] {
            assert_eq!((judge(forks, &header.update), verify(header)), (Ok(()), refused.clone()), "{forks:?}");
        }
        // An execution state that is written beside it does not make it one of Capella.
        let mut lie = good.clone();
        let finalized = lie.update.finalized_header.as_mut().unwrap();
        finalized.execution = Some(ExecutionPayloadHeader { block_number: 7, ..Default::default() });
        let error = SyncError::Execution("finalized");
        assert_eq!(judge(forks, &lie.update), Err(error.clone()));
        assert_eq!(verify(&lie), [Err(error.clone().into()), Err(error.clone().into())]);
        let mut branch = good;
        branch.update.finalized_header.as_mut().unwrap().execution_branch = vec![B256::repeat_byte(1); 4];
        assert_eq!(judge(forks, &branch.update), Err(error));
    }
    // The first final block of Capella is one to start from.
    assert!(anchor(unanchored(MINIMAL, TO_CAPELLA), &Block::new(CHANGE, 0).on(TO_CAPELLA).bootstrap()).is_ok());
}
