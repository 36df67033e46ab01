//! Real signatures of another network: Wormhole's guardians on mainnet.

use crate::support::{assert_all_seen, high_s, unhex, vector_text};
use alloy_primitives::{Address, keccak256};
use crosspoint_light_proofs::attested::{AttestedError, Attestors};
use crosspoint_light_proofs::checkpoint::{BridgeSet, BridgeValidator, CheckpointError};
use crosspoint_light_proofs::signature::{SignatureError, recover};

/// The guardians of a set by its index. Set 0 was the first guardian of set 1 alone.
fn guardians(set: u32) -> Option<Vec<Address>> {
    let text = vector_text(&format!("signature-quorum/wormhole/v{}.prototxt", set.max(1)))?;
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("pubkey:"));
    let guardians = lines.map(|key| key.trim().trim_matches('"').parse().unwrap());
    Some(guardians.take(if set == 0 { 1 } else { 19 }).collect())
}

/// A message with a quorum's signatures.
struct Vaa {
    guardians: Vec<Address>,
    digest: [u8; 32],
    /// By the guardian's index in its set.
    signed: Vec<(usize, [u8; 65])>,
}

impl Vaa {
    fn read(line: &str) -> Self {
        let vaa = unhex(line.rsplit(',').next().unwrap().trim());
        let set = u32::from_be_bytes(vaa[1..5].try_into().unwrap());
        let (signatures, body) = vaa[6..].split_at(usize::from(vaa[5]) * 66);
        let signed = signatures.chunks(66).map(|signed| {
            let mut signature: [u8; 65] = signed[1..].try_into().unwrap();
            signature[64] += 27;
            (usize::from(signed[0]), signature)
        });
        let digest = keccak256(keccak256(body)).0;
        Self { guardians: guardians(set).unwrap(), digest, signed: signed.collect() }
    }

    /// The signatures in the order our sets want: by address.
    fn ascending(&self) -> Vec<[u8; 65]> {
        let mut by_address: Vec<_> = self.signed.iter().map(|(index, s)| (self.guardians[*index], *s)).collect();
        by_address.sort_by_key(|(address, _)| *address);
        by_address.into_iter().map(|(_, signature)| signature).collect()
    }
}

fn all() -> Vec<Vaa> {
    let files = ["guardianSetVAAs.csv", "tokenBridgeVAAs.csv"];
    let texts = files.iter().filter_map(|file| vector_text(&format!("signature-quorum/wormhole/{file}")));
    let texts: Vec<String> = texts.collect();
    texts.iter().flat_map(|text| text.lines()).filter(|line| !line.trim().is_empty()).map(Vaa::read).collect()
}

#[test]
fn every_guardian_signature_recovers_to_its_guardian() {
    let mut checked = 0;
    for vaa in all() {
        assert!(vaa.signed.len() * 3 > vaa.guardians.len() * 2, "a quorum signed");
        assert!(vaa.signed.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (index, signature) in &vaa.signed {
            assert_eq!(recover(&vaa.digest, signature, *index), Ok(vaa.guardians[*index]));
            assert_ne!(recover(&keccak256(vaa.digest).0, signature, *index), Ok(vaa.guardians[*index]));
            checked += 1;
        }
    }
    assert_all_seen(checked, 432);
}

/// A wrong list of signatures, made from a right one.
struct Wrong {
    what: &'static str,
    signatures: Vec<[u8; 65]>,
    digest: [u8; 32],
}

#[test]
fn our_quorums_take_every_guardian_quorum_and_none_of_the_wrong_ones_made_from_it() {
    for vaa in all() {
        let of = vaa.guardians.len();
        let needed = of * 2 / 3 + 1;
        let attestors = Attestors::from_unsorted(vaa.guardians.clone(), needed).unwrap();
        let validators = vaa.guardians.iter().map(|address| BridgeValidator { address: *address, power: 7 });
        let bridge = BridgeSet::from_unsorted(validators.collect()).unwrap();
        let good = vaa.ascending();
        assert_eq!(attestors.verify_quorum(&vaa.digest, &good), Ok(()));
        assert_eq!(bridge.verify_quorum(&vaa.digest, &good), Ok(()));

        if of == 1 {
            // One signature has no order and no second one.
            continue;
        }
        let made = |what, change: &dyn Fn(&mut Vec<[u8; 65]>)| {
            let mut signatures = good.clone();
            change(&mut signatures);
            Wrong { what, signatures, digest: vaa.digest }
        };
        let last = good.len() - 1;
        let wrong = [
            made("Duplicate", &|s| s[last] = s[last.saturating_sub(1)]),
            made("Duplicate", &|s| s[last] = s[0]),
            made("NotAscending", &|s| s.reverse()),
            made("NotAscending", &|s| s.swap(0, 1)),
            made("QuorumNotReached", &|s| s.truncate(needed - 1)),
            made("QuorumNotReached", &|s| s.clear()),
            made("HighS", &|s| s[last] = high_s(&s[last])),
            made("RecoveryId", &|s| s[0][64] -= 27),
            made("TooManySignatures", &|s| s.resize(of + 1, s[0])),
            Wrong { what: "UnknownSigner", signatures: good.clone(), digest: keccak256(vaa.digest).0 },
        ];
        for Wrong { what, signatures, digest } in wrong {
            let by_count = format!("{:?}", attestors.verify_quorum(&digest, &signatures).unwrap_err());
            let by_power = format!("{:?}", bridge.verify_quorum(&digest, &signatures).unwrap_err());
            assert!(by_count.contains(what), "{what}: {by_count}");
            assert!(by_power.contains(what), "{what}: {by_power}");
        }
    }
}

#[test]
fn a_guardian_that_was_rotated_out_is_a_stranger() {
    let Some(text) = vector_text("signature-quorum/wormhole/guardianSetVAAs.csv") else { return };
    let vaas: Vec<Vaa> = text.lines().filter(|line| !line.trim().is_empty()).map(Vaa::read).collect();
    let newest = vaas.last().unwrap();
    let current = Attestors::from_unsorted(newest.guardians.clone(), 13).unwrap();
    let bridge = |guardians: &[Address]| {
        let set = guardians.iter().map(|address| BridgeValidator { address: *address, power: 1 }).collect();
        BridgeSet::from_unsorted(set).unwrap()
    };
    let mut strangers = 0;
    for vaa in &vaas {
        let member = |(index, _): &(usize, [u8; 65])| newest.guardians.contains(&vaa.guardians[*index]);
        if vaa.signed.len() < 13 || vaa.signed.iter().all(member) {
            continue;
        }
        let refused = current.verify_quorum(&vaa.digest, &vaa.ascending());
        assert!(matches!(refused, Err(AttestedError::UnknownSigner(_))), "{refused:?}");
        let refused = bridge(&newest.guardians).verify_quorum(&vaa.digest, &vaa.ascending());
        assert!(matches!(refused, Err(CheckpointError::UnknownSigner(_))), "{refused:?}");
        strangers += 1;
    }
    assert!(strangers > 0);
    let none = SignatureError::Unrecoverable { index: 0 };
    let zero = [[0; 64].as_slice(), &[27]].concat().try_into().unwrap();
    assert_eq!(current.verify_quorum(&[1; 32], &[zero]), Err(none.into()));
}
