//! A local network in Deneb with full committees, recorded by another bridge. Its genesis root is not recorded, so its
//! signature cannot be checked; all that is checked before the signature can.

use crate::support::vector;
use alloy_primitives::{B256, FixedBytes};
use crosspoint_light_proofs::ethereum_pos::{
    BeaconHeader, Fork, LightClientHeader, Network, Preset, Store, SyncError, Update,
};
use serde_json::Value;

fn folder(file: &str) -> Option<Value> {
    vector(&format!("sync-committee/snowbridge/{file}.json"))
}

#[test]
fn a_header_is_the_parent_that_the_next_one_names() {
    for slot in [129, 4_571_136] {
        let Some(header) = folder(&format!("header_at_slot_{slot}")) else { return };
        let next = folder(&format!("header_at_slot_{}", slot + 1)).unwrap();
        let read = |value| serde_json::from_value::<BeaconHeader>(value).unwrap();
        assert_eq!(read(header).root(), read(next).parent_root);
    }
}

#[test]
fn all_but_the_signature_of_an_update_fits() {
    let Some(file) = folder("sync_committee_update_0") else { return };
    let update: Update = serde_json::from_value(file["data"].clone()).unwrap();
    assert_eq!(update.attested_header.beacon, serde_json::from_value(folder("header_at_slot_129").unwrap()).unwrap());
    let finalized = update.finalized_header.as_ref().unwrap();
    assert_eq!(finalized.beacon, serde_json::from_value(folder("header_at_slot_64").unwrap()).unwrap());
    let version = FixedBytes::from([5, 0, 0, 0]);
    let network = Network::new(Preset::MAINNET, B256::ZERO, (0, 12), vec![(Fork::Deneb, 0, version)]).unwrap();
    let start = LightClientHeader { beacon: BeaconHeader::default(), ..Default::default() };
    let store = Store::resume(start, update.next_sync_committee.clone().unwrap(), None);
    let process = |update: &Update| store.clone().process(&network, update, update.signature_slot);
    assert_eq!(process(&update), Err(SyncError::Signature), "the signature is judged last");
    let refused = |change: &dyn Fn(&mut Update)| {
        let mut changed = update.clone();
        change(&mut changed);
        process(&changed)
    };
    assert_eq!(refused(&|u| u.finality_branch[5].0[0] ^= 1), Err(SyncError::Finality));
    assert_eq!(refused(&|u| u.next_sync_committee_branch[4].0[0] ^= 1), Err(SyncError::NextCommittee));
    assert_eq!(refused(&|u| u.next_sync_committee.as_mut().unwrap().pubkeys.swap(0, 1)), Err(SyncError::NextCommittee));
    assert_eq!(refused(&|u| u.attested_header.execution_branch[0].0[0] ^= 1), Err(SyncError::Execution("attested")));
    let executed = refused(&|u| u.finalized_header.as_mut().unwrap().execution.as_mut().unwrap().block_number += 1);
    assert_eq!(executed, Err(SyncError::Execution("finalized")));
}
