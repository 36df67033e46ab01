//! `Jmt.sol` against `crosspoint_light_proofs::jmt`: proofs of presence and of absence in random trees, good ones and ones
//! with a part changed, to both; the same verdict.

use crate::checkpoint::ILightClient::{proveAbsenceCall, proveMembershipCall};
use crate::checkpoint::{Set, chain_id, encode, word};
use crate::jmt_tree::Tree;
use crate::on_chain::OnChain;
use crate::{Rng, run};
use alloy::primitives::{Address, Bytes};
use crosspoint_light_proofs::checkpoint::Checkpoint;
use crosspoint_light_proofs::jmt::{
    NearestLeaf, OtherLeaf, PLACEHOLDER, Siblings, inner_hash, leaf_hash, verify_absence, verify_membership,
};
use crosspoint_protocol::ids::{Height, Timestamp};
use crosspoint_protocol::sha256;
use std::collections::BTreeMap;

/// How many steps a run has, unless it is told.
const STEPS: u64 = 1_500;
/// So many of them go into one tree: a claim or two each.
const STEPS_PER_TREE: u64 = 25;
/// How many proofs of each kind are shown of a tree.
const PROOFS: usize = 12;

type Hash = [u8; 32];

/// What one claims about a key, with its proof as the contract takes it.
#[derive(Clone)]
struct Claimed {
    key: Vec<u8>,
    /// `None`: nothing stands there.
    value: Option<Hash>,
    proof: Vec<u8>,
    what: &'static str,
}

struct Provers {
    chain: OnChain,
    contract: Address,
    anchor: Checkpoint,
    rng: Rng,
    seen: BTreeMap<(&'static str, &'static str, bool), u64>,
}

/// Hashes in a row; `None`: something is left over.
fn hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (whole, rest) = bytes.as_chunks();
    rest.is_empty().then(|| whole.to_vec())
}

/// The verdict of the Rust verifier.
fn judge(root: &Hash, claimed: &Claimed) -> bool {
    let Claimed { key, value, proof, .. } = claimed;
    match value {
        Some(value) => hashes(proof)
            .is_some_and(|siblings| Siblings { siblings, other: None }.verify_membership(root, key, value).is_ok()),
        None => proof.split_at_checked(64).is_some_and(|(leaf, siblings)| {
            let [key_hash, value_hash] = hashes(leaf).unwrap().try_into().unwrap();
            let leaf = OtherLeaf { key_hash, value_hash };
            hashes(siblings).is_some_and(|siblings| NearestLeaf { leaf, siblings }.verify_absence(root, key).is_ok())
        }),
    }
}

impl Provers {
    async fn start(rng: Rng) -> Self {
        let hash = Set::number(0).set.hash();
        let mut anchor = None;
        let chain = OnChain::start(|plan| {
            let trusted = &mut plan.clients[0].anchor;
            (trusted.set_hash, trusted.next_set_hash) = (hash, hash);
            anchor = Some(trusted.clone());
        })
        .await;
        let contract = chain.light_client(word()).await;
        Self { chain, contract, anchor: anchor.unwrap(), rng, seen: BTreeMap::new() }
    }

    fn hash(&mut self) -> Hash {
        sha256(&[&self.rng.next().to_be_bytes()])
    }

    /// A tree of the native chain's crate, and honest proofs in it, each as three forms have it.
    fn tree(&mut self) -> (Hash, Vec<Claimed>) {
        let size = *self.rng.pick(&[1, 2, 3, 4, 7, 20, 200]);
        let items: BTreeMap<Vec<u8>, Vec<u8>> =
            (0..size).map(|_| (self.rng.next().to_be_bytes().to_vec(), self.hash().to_vec())).collect();
        let (tree, keys): (Tree, Vec<_>) = (Tree::new(&items), items.keys().cloned().collect());
        let mut claims = vec![];
        for _ in 0..PROOFS {
            let key = self.rng.pick(&keys).clone();
            let (proof, value) = (tree.ics23(&key), &items[&key]);
            assert_eq!(verify_membership(&tree.root, &key, value, &proof), Ok(()));
            let siblings = Siblings::membership(&proof).unwrap();
            assert_eq!(siblings, tree.sparse(&key));
            let value = Some(value.as_slice().try_into().unwrap());
            claims.push(Claimed { key, value, proof: siblings.to_bytes(), what: "as it is" });

            let absent = [b"absent ".as_slice(), &self.rng.next().to_be_bytes()].concat();
            let proof = tree.ics23(&absent);
            assert_eq!(verify_absence(&tree.root, &absent, &proof), Ok(()));
            let nearest = NearestLeaf::from_ics23(&proof).unwrap();
            claims.push(Claimed { key: absent, value: None, proof: nearest.to_bytes(), what: "as it is" });
        }
        (tree.root, claims)
    }

    /// A path of any depth between siblings that belong to no leaves, as no tree of random keys has it: one leaf, and
    /// claims that its key is there and that others are not.
    fn path(&mut self) -> (Hash, Vec<Claimed>) {
        let depth = *self.rng.pick(&[0, 1, 2, 8, 31, 32, 33, 255, 256, 257, 300]);
        let (key, value) = (self.rng.next().to_be_bytes().to_vec(), self.hash());
        let (key_hash, value_hash) = (sha256(&[&key]), sha256(&[&value]));
        let siblings: Vec<Hash> =
            (0..depth).map(|_| if self.rng.one_in(3) { PLACEHOLDER } else { self.hash() }).collect();
        let mut root = leaf_hash(&key_hash, &value_hash);
        for (sibling, bit) in siblings.iter().zip((0..depth).rev()) {
            let right = key_hash.get(bit / 8).is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0);
            root = if right { inner_hash(sibling, &root) } else { inner_hash(&root, sibling) };
        }
        let proof = Siblings { siblings, other: None }.to_bytes();
        let absent = [&key_hash[..], &value_hash, &proof].concat();
        let mut claims = vec![
            Claimed { key: key.clone(), value: Some(value), proof, what: "a path" },
            Claimed { key, value: None, proof: absent.clone(), what: "a path" },
        ];
        for _ in 0..PROOFS {
            let key = self.rng.next().to_be_bytes().to_vec();
            claims.push(Claimed { key, value: None, proof: absent.clone(), what: "a path" });
        }
        (root, claims)
    }

    /// One thing changed; `other` is another claim of the same tree.
    fn change(&mut self, claimed: &Claimed, other: &Claimed) -> Claimed {
        let mut changed = claimed.clone();
        let count = changed.proof.len() / 32;
        let at = if count == 0 { 0 } else { self.rng.below(count as u64) as usize * 32 };
        changed.what = match self.rng.below(9) {
            0 if count > 0 => {
                let bit = self.rng.below(256) as usize;
                changed.proof[at + bit / 8] ^= 1 << (bit % 8);
                "a bit"
            }
            1 if count > 0 => {
                changed.proof.drain(at..at + 32);
                "a hash less"
            }
            2 => {
                let hash = if self.rng.one_in(2) { PLACEHOLDER } else { self.hash() };
                changed.proof.splice(at..at, hash);
                "a hash more"
            }
            3 if count > 0 => {
                changed.proof.splice(at..at + 32, PLACEHOLDER);
                "a placeholder"
            }
            4 if count > 0 => {
                changed.proof.truncate(at + self.rng.below(32) as usize);
                "broken off"
            }
            5 => {
                changed.key.clone_from(&other.key);
                "another key"
            }
            6 => {
                changed.value = match changed.value {
                    Some(_) if self.rng.one_in(2) => Some(self.hash()),
                    Some(_) => None,
                    None => Some(other.value.unwrap_or([7; 32])),
                };
                "another claim"
            }
            7 => {
                changed.proof.clone_from(&other.proof);
                "another proof"
            }
            _ if count > 1 => {
                let last = changed.proof.split_off(32 * (count - 1));
                changed.proof.splice(0..0, last);
                "turned around"
            }
            _ => {
                changed.proof.push(0);
                "a byte more"
            }
        };
        changed
    }

    /// The contract's verdicts on claims under one root.
    async fn ask(&self, root: Hash, claims: &[Claimed]) -> Vec<bool> {
        let (signer, Timestamp(time)) = (Set::number(0), self.anchor.time);
        let checkpoint = Checkpoint {
            chain_id: chain_id(),
            height: Height(self.anchor.height.0 + 1),
            time: Timestamp(time),
            app_hash: root,
            set_hash: signer.set.hash(),
            next_set_hash: signer.set.hash(),
        };
        let signatures = signer.keys.iter().enumerate().map(|(at, key)| (at, checkpoint.sign(key))).collect();
        let state = Bytes::from(encode(&checkpoint, &signer.set, &signatures));
        let absent: Vec<&Claimed> = claims.iter().filter(|claimed| claimed.value.is_none()).collect();
        let call = proveAbsenceCall {
            client: word(),
            state: state.clone(),
            keys: absent.iter().map(|claimed| claimed.key.clone().into()).collect(),
            proofs: absent.iter().map(|claimed| claimed.proof.clone().into()).collect(),
        };
        let answer = self.chain.read(self.contract, &call).await;
        assert_eq!(answer.time, time);
        let mut absent = answer.absent.into_iter();
        let mut verdicts = vec![];
        for claimed in claims {
            let Some(value) = claimed.value else {
                verdicts.push(absent.next().unwrap());
                continue;
            };
            let (key, proof) = (claimed.key.clone().into(), claimed.proof.clone().into());
            let call = proveMembershipCall { client: word(), state: state.clone(), key, value: value.into(), proof };
            let answer = self.chain.read(self.contract, &call).await;
            assert_eq!(answer.time, time);
            verdicts.push(answer.proven);
        }
        verdicts
    }

    async fn compare(&mut self, root: Hash, claims: &[Claimed]) {
        let verdicts = self.ask(root, claims).await;
        for (claimed, verdict) in claims.iter().zip(verdicts) {
            let Claimed { key, value, proof, what } = claimed;
            let kind = if value.is_some() { "present" } else { "absent" };
            let shown = || format!("{what}, {kind}: key {}, proof {}", hex::encode(key), hex::encode(proof));
            assert_eq!(verdict, judge(&root, claimed), "the contract and the Rust verifier: {}", shown());
            assert!(verdict || *what != "as it is", "an honest proof: {}", shown());
            *self.seen.entry((kind, what, verdict)).or_default() += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proof_library_and_the_rust_verifier_give_the_same_verdicts() {
    let (rng, steps) = run("jmt", STEPS);
    let mut provers = Provers::start(rng).await;
    for _ in 0..steps.div_ceil(STEPS_PER_TREE) {
        let (root, mut claims) = if provers.rng.one_in(3) { provers.path() } else { provers.tree() };
        for at in 0..claims.len() {
            let other = provers.rng.pick(&claims[..=at]).clone();
            let changed = provers.change(&claims[at].clone(), &other);
            claims.push(changed);
        }
        provers.compare(root, &claims).await;
        // Under another tree's root nothing of this one holds, but the same verdict.
        let other = provers.hash();
        claims.truncate(PROOFS);
        claims.iter_mut().for_each(|claimed| claimed.what = "another root");
        provers.compare(other, &claims).await;
    }
    println!("verdicts: {:?}", provers.seen);
    for kind in ["present", "absent"] {
        for (what, verdict) in [("as it is", true), ("a path", true), ("a bit", false), ("a hash more", false)] {
            let seen = provers.seen.contains_key(&(kind, what, verdict));
            assert!(steps < STEPS || seen, "never {kind}, {what}: {verdict}");
        }
    }
}
