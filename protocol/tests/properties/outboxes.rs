//! Outbox proofs against whole trees.

use crosspoint_protocol::ids::Sequence;
use crosspoint_protocol::outbox::{leaf, next_head, prove, root, root_from_proof};
use crosspoint_protocol::path::Path;
use proptest::prelude::*;

fn path(sequence: u64) -> Path {
    Path::commitment("attested-0".parse().unwrap(), Sequence(sequence))
}

fn leaves(count: u64) -> Vec<[u8; 32]> {
    (0..count).map(|i| leaf(&path(i + 1), &[i as u8; 32])).collect()
}

fn block() -> impl Strategy<Value = (Vec<[u8; 32]>, Vec<u64>)> {
    (1u64..70).prop_flat_map(|count| {
        let all: Vec<u64> = (0..count).collect();
        (Just(leaves(count)), prop::sample::subsequence(all, 1..=count as usize))
    })
}

proptest! {
    #[test]
    fn any_leaves_of_a_block_prove_its_root((leaves, indices) in block()) {
        let proof = prove(&leaves, &indices);
        let known: Vec<_> = indices.iter().map(|i| (*i, leaves[*i as usize])).collect();
        let count = leaves.len() as u64;
        let expected = root(&leaves);
        prop_assert_eq!(root_from_proof(count, &known, &proof), expected);

        // Another count, a node too many or too few, a leaf at another place: another root or none.
        for other in [count - 1, count + 1, count * 2] {
            prop_assert_ne!(root_from_proof(other, &known, &proof), expected);
        }
        let mut longer = proof.clone();
        longer.push([0; 32]);
        prop_assert_eq!(root_from_proof(count, &known, &longer), None);
        if !proof.is_empty() {
            prop_assert_eq!(root_from_proof(count, &known, &proof[1..]), None);
        }
        let mut twice = known.clone();
        twice.push(known[known.len() - 1]);
        prop_assert_eq!(root_from_proof(count, &twice, &proof), None);
        for at in 0..known.len() {
            let mut forged = known.clone();
            forged[at].1[0] ^= 1;
            prop_assert_ne!(root_from_proof(count, &forged, &proof), expected);
        }
        for at in 0..proof.len() {
            let mut forged = proof.clone();
            forged[at][31] ^= 1;
            prop_assert_ne!(root_from_proof(count, &known, &forged), expected);
        }
    }

    #[test]
    fn a_proof_does_not_serve_another_sequence((leaves, indices) in block(), other in 1u64..200) {
        let count = leaves.len() as u64;
        let at = indices[0];
        let proof = prove(&leaves, &[at]);
        let commitment = [at as u8; 32];
        prop_assert_eq!(root_from_proof(count, &[(at, leaf(&path(at + 1), &commitment))], &proof), root(&leaves));
        if other != at + 1 {
            let replayed = leaf(&path(other), &commitment);
            prop_assert_ne!(root_from_proof(count, &[(at, replayed)], &proof), root(&leaves));
            let elsewhere = leaf(&Path::ack("attested-0".parse().unwrap(), Sequence(at + 1)), &commitment);
            prop_assert_ne!(root_from_proof(count, &[(at, elsewhere)], &proof), root(&leaves));
        }
    }

    #[test]
    fn a_head_binds_every_block_and_their_order(roots in prop::collection::vec(any::<[u8; 32]>(), 2..6), at in any::<prop::sample::Index>()) {
        let chain = |roots: &[[u8; 32]]| roots.iter().fold([0; 32], |head, root| next_head(&head, root));
        let at = at.index(roots.len() - 1);
        let mut swapped = roots.clone();
        swapped.swap(at, at + 1);
        prop_assert!(roots[at] == roots[at + 1] || chain(&swapped) != chain(&roots));
        let mut shorter = roots.clone();
        shorter.remove(at);
        prop_assert_ne!(chain(&shorter), chain(&roots));
    }

    #[test]
    fn hostile_proofs_never_panic(
        count in prop_oneof![0u64..40, any::<u64>()],
        leaves in prop::collection::vec((prop_oneof![0u64..40, any::<u64>()], any::<[u8; 32]>()), 0..10),
        proof in prop::collection::vec(any::<[u8; 32]>(), 0..70),
    ) {
        let _ = root_from_proof(count, &leaves, &proof);
    }
}
