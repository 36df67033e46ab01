//! Real signatures of another network: Wormhole's guardians on mainnet.

use crate::support::{unhex, vector_text};
use alloy_primitives::{Address, keccak256};
use crosspoint_light_proofs::signature::recover;

/// The guardians of a set by its index. Set 0 was the first guardian of set 1 alone.
fn guardians(set: u32) -> Option<Vec<Address>> {
    let text = vector_text(&format!("signature-quorum/wormhole/v{}.prototxt", set.max(1)))?;
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("pubkey:"));
    let guardians = lines.map(|key| key.trim().trim_matches('"').parse().unwrap());
    Some(guardians.take(if set == 0 { 1 } else { 19 }).collect())
}

#[test]
fn every_guardian_signature_recovers_to_its_guardian() {
    let mut checked = 0;
    for file in ["guardianSetVAAs.csv", "tokenBridgeVAAs.csv"] {
        let Some(text) = vector_text(&format!("signature-quorum/wormhole/{file}")) else { return };
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let vaa = unhex(line.rsplit(',').next().unwrap().trim());
            let set = u32::from_be_bytes(vaa[1..5].try_into().unwrap());
            let guardians = guardians(set).unwrap();
            let (signatures, body) = vaa[6..].split_at(usize::from(vaa[5]) * 66);
            let digest = keccak256(keccak256(body)).0;
            assert!(usize::from(vaa[5]) * 3 > guardians.len() * 2, "a quorum signed");
            let mut last = None;
            for signed in signatures.chunks(66) {
                let index = usize::from(signed[0]);
                assert!(last.replace(index).is_none_or(|last| last < index));
                let mut signature: [u8; 65] = signed[1..].try_into().unwrap();
                signature[64] += 27;
                assert_eq!(recover(&digest, &signature, index), Ok(guardians[index]), "{line}");
                assert_ne!(recover(&keccak256(digest).0, &signature, index), Ok(guardians[index]));
                checked += 1;
            }
        }
    }
    assert!(checked > 200, "only {checked} signatures checked");
}
