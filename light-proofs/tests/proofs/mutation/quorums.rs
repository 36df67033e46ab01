//! Statements that a quorum signs: attestations, attestor rotations, checkpoints.

use super::Outcomes;
use crate::{attested_world as attested, checkpoint_world as checkpoint};
use crosspoint_light_proofs::attested::{SignedRotation, verify_rotation, verify_update};
use crosspoint_light_proofs::checkpoint as bridge;
use serde_json::to_value;

#[test]
fn each_changed_field_of_an_attestation_is_named() {
    let (_, client, header) = attested::world();
    let mut outcomes = Outcomes::default();
    outcomes.of(&to_value(&header).unwrap(), |value| {
        Some(verify_update(&client, &serde_json::from_value(value.clone()).ok()?, attested::NOW))
    });
    outcomes.check(include_str!("tables/attestation.txt"));
}

#[test]
fn each_changed_field_of_a_rotation_is_named() {
    let (keys, client, _) = attested::world();
    let signed = SignedRotation::sign(attested::rotation(&client, client.attestors.clone()), &keys);
    let mut outcomes = Outcomes::default();
    outcomes.of(&to_value(&signed).unwrap(), |value| {
        Some(verify_rotation(&client, &serde_json::from_value(value.clone()).ok()?, attested::NOW))
    });
    outcomes.check(include_str!("tables/rotation.txt"));
}

#[test]
fn each_changed_field_of_a_checkpoint_is_named() {
    let (keys, client, signed) = checkpoint::world();
    let mut outcomes = Outcomes::default();
    // One that keeps the set, and one that hands over and shows the next.
    for signed in [checkpoint::rotation(&signed, &keys), signed] {
        outcomes.of(&to_value(&signed).unwrap(), |value| {
            let signed = serde_json::from_value(value.clone()).ok()?;
            Some(bridge::verify_update(&client, &signed, checkpoint::NOW))
        });
    }
    outcomes.check(include_str!("tables/checkpoint.txt"));
}
