//! Updates of real networks by the sync protocol, and an update to the client that keeps roots.

use super::Outcomes;
use crate::beacon_chain::{Block, NOW, SIZE, start};
use crate::sync_committee::{mainnet_finality, sepolia};
use crosspoint_light_proofs::ethereum_pos::{Header, Network, Preset, Store, SyncCommittee, Update, verify_update};
use crosspoint_protocol::ids::Height;
use serde_json::{json, to_value};

fn run(outcomes: &mut Outcomes, network: &Network, store: &Store, update: &Update) {
    outcomes.of(&to_value(update).unwrap(), |value| {
        let update: Update = serde_json::from_value(value.clone()).ok()?;
        let mut store = store.clone();
        // At the update's own slot, and not by a clock that its change would move.
        let found = store.process(network, &update, u64::MAX);
        Some(found.map(|()| (store.finalized_header, store.current_sync_committee, store.next_sync_committee)))
    });
}

#[test]
fn each_changed_field_of_a_recorded_finality_update_is_named() {
    let mut outcomes = Outcomes::default();
    if let Some((network, store, update)) = mainnet_finality() {
        run(&mut outcomes, &network, &store, &update);
    }
    outcomes.check(include_str!("tables/recorded_finality_update.txt"));
}

#[test]
fn each_changed_field_of_a_recorded_update_with_a_committee_is_named() {
    let mut outcomes = Outcomes::default();
    if let Some((network, store, update)) = sepolia() {
        run(&mut outcomes, &network, &store, &update);
    }
    outcomes.check(include_str!("tables/recorded_update_with_a_committee.txt"));
}

#[test]
fn each_changed_field_of_an_update_to_a_client_is_named() {
    let (client, state) = start(Preset::MINIMAL);
    let good = Block::new(40, 24).signed(SIZE);
    let value = json!({ "trusted_height": good.trusted_height.0, "signers": good.signers, "update": good.update });
    let mut outcomes = Outcomes::default();
    outcomes.of(&value, |value| {
        let header = Header {
            trusted_height: Height(value.get("trusted_height")?.as_u64()?),
            signers: serde_json::from_value::<SyncCommittee>(value.get("signers")?.clone()).ok()?,
            update: serde_json::from_value(value.get("update")?.clone()).ok()?,
        };
        Some(verify_update(&client, &state, &header, NOW))
    });
    outcomes.check(include_str!("tables/update_to_a_client.txt"));
}
