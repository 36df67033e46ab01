//! Updates of real networks and of the specification's tests by the sync protocol, and updates to the client that keeps roots.

use super::Outcomes;
use crate::beacon_chain::{Block, NOW, SIZE, start};
use crate::sync_committee::{
    Recorded, bellatrix, bellatrix_devnet, capella, fulu, mainnet_finality, sepolia, specification,
};
use crosspoint_light_proofs::ethereum_pos::{
    ClientState, ConsensusState, Header, Preset, SyncCommittee, Update, verify_update,
};
use crosspoint_protocol::ids::{Height, Timestamp};
use serde_json::{json, to_value};

/// Changes every update of these; there must be this many.
fn check(recorded: impl IntoIterator<Item = Recorded>, count: usize, table: &str) {
    let (mut outcomes, mut seen) = (Outcomes::default(), 0);
    for (network, store, update) in recorded {
        outcomes.of(&to_value(&update).unwrap(), |value| {
            let update: Update = serde_json::from_value(value.clone()).ok()?;
            let mut store = store.clone();
            // At the update's own slot, and not by a clock that its change would move.
            let found = store.process(&network, &update, u64::MAX);
            Some(found.map(|()| {
                let committees = (store.current_sync_committee, store.next_sync_committee);
                (store.finalized_header, store.optimistic_header, committees)
            }))
        });
        seen += 1;
    }
    crate::support::assert_all_seen(seen, count);
    outcomes.check(table);
}

#[test]
fn each_changed_field_of_a_recorded_finality_update_is_named() {
    check(mainnet_finality(), 1, include_str!("tables/recorded_finality_update.txt"));
}

#[test]
fn each_changed_field_of_a_recorded_update_with_a_committee_is_named() {
    check(sepolia(), 1, include_str!("tables/recorded_update_with_a_committee.txt"));
}

#[test]
fn each_changed_field_of_the_recorded_updates_in_bellatrix_is_named() {
    let all = bellatrix().into_iter().chain(bellatrix_devnet());
    check(all, 6, include_str!("tables/recorded_updates_in_bellatrix.txt"));
}

#[test]
fn each_changed_field_of_the_recorded_updates_in_capella_is_named() {
    check(capella(), 7, include_str!("tables/recorded_updates_in_capella.txt"));
}

#[test]
fn each_changed_field_of_the_specifications_updates_is_named() {
    check(specification(), 22, include_str!("tables/updates_of_the_specification.txt"));
}

/// Changes a header, as it is shown to a client.
fn change(outcomes: &mut Outcomes, (client, state): (&ClientState, &ConsensusState), good: &Header, now: Timestamp) {
    let value = json!({ "trusted_height": good.trusted_height.0, "signers": good.signers, "update": good.update });
    outcomes.of(&value, |value| {
        let header = Header {
            trusted_height: Height(value.get("trusted_height")?.as_u64()?),
            signers: serde_json::from_value::<SyncCommittee>(value.get("signers")?.clone()).ok()?,
            update: serde_json::from_value(value.get("update")?.clone()).ok()?,
        };
        Some(verify_update(client, state, &header, now))
    });
}

#[test]
fn each_changed_field_of_an_update_to_a_client_is_named() {
    let (client, state) = start(Preset::MINIMAL);
    let mut outcomes = Outcomes::default();
    change(&mut outcomes, (&client, &state), &Block::new(40, 24).signed(SIZE), NOW);
    outcomes.check(include_str!("tables/update_to_a_client.txt"));
}

#[test]
fn each_changed_field_of_a_recorded_update_to_a_client_in_fulu_is_named() {
    let mut outcomes = Outcomes::default();
    for (client, state, header, now) in fulu() {
        change(&mut outcomes, (&client, &state), &header, now);
    }
    outcomes.check(include_str!("tables/recorded_updates_in_fulu.txt"));
}
