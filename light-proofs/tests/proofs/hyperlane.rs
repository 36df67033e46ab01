//! Signed checkpoints of another bridge: an independent check of how signers are recovered.

use crate::support::{unhex, vector};
use alloy_primitives::{Address, B256, U256, eip191_hash_message, keccak256};
use crosspoint_light_proofs::signature::{SignatureError, recover};
use serde_json::Value;

/// `keccak256(domain ‖ merkle tree hook ‖ "HYPERLANE")`.
fn domain_hash(domain: &Value, hook: &Value) -> B256 {
    let domain = u32::try_from(domain.as_u64().unwrap()).unwrap().to_be_bytes();
    keccak256([domain.as_slice(), &unhex(hook.as_str().unwrap()), b"HYPERLANE"].concat())
}

#[test]
fn domains_hash_as_that_bridge_says() {
    let Some(cases) = vector("signature-quorum/hyperlane/domainHash.json") else { return };
    for case in cases.as_array().unwrap() {
        let expected: B256 = case["expectedDomainHash"].as_str().unwrap().parse().unwrap();
        assert_eq!(domain_hash(&case["domain"], &case["mailbox"]), expected);
    }
}

#[test]
fn every_signed_checkpoint_recovers_to_its_signer_and_in_no_other_domain() {
    let Some(cases) = vector("signature-quorum/hyperlane/signedCheckpoint.json") else { return };
    for case in cases.as_array().unwrap() {
        let digest = |domain: B256| {
            let index = u32::try_from(case["index"].as_u64().unwrap()).unwrap().to_be_bytes();
            let root = unhex(case["root"].as_str().unwrap());
            let inner = keccak256([domain.as_slice(), &root, &index].concat());
            eip191_hash_message(inner).0
        };
        let signature = |s: U256| {
            let part = |name: &str| case["signature"][name].as_str().unwrap().parse::<U256>().unwrap();
            let v = u8::try_from(case["signature"]["v"].as_u64().unwrap()).unwrap();
            let s = if s.is_zero() { part("s") } else { s };
            let bytes = [part("r").to_be_bytes::<32>().as_slice(), &s.to_be_bytes::<32>(), &[v]].concat();
            <[u8; 65]>::try_from(bytes).unwrap()
        };
        let signer: Address = case["signer"].as_str().unwrap().parse().unwrap();
        let domain = domain_hash(&case["domain"], &case["merkle_tree_hook"]);
        let good = signature(U256::ZERO);
        assert_eq!(recover(&digest(domain), &good, 0), Ok(signer));
        assert_ne!(recover(&digest(keccak256(domain)), &good, 0), Ok(signer), "another domain");
        let high = crate::support::high_s(&good);
        assert_eq!(recover(&digest(domain), &high, 0), Err(SignatureError::HighS { index: 0 }));
    }
}
