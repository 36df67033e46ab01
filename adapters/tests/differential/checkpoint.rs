//! `CheckpointClient.sol` against `crosspoint_light_proofs::checkpoint`: the same updates and the same evidence, valid
//! and not, to both; the same verdict, and the same state after it.

use crate::evm_support::native::{client, validators};
use crate::on_chain::{OnChain, Sent};
use crate::{Rng, run};
use alloy::primitives::Address;
use crosspoint_adapters::evm::calldata;
use crosspoint_adapters::evm::contracts::ICheckpointClient::{misbehaviourCall, updateCall};
use crosspoint_adapters::evm::contracts::ICrosspointRegistry;
use crosspoint_adapters::evm::record::client_word;
use crosspoint_light_proofs::checkpoint::{
    BridgeSet, BridgeValidator, Checkpoint, CheckpointError, ClientState, Latest, Side, SignedCheckpoint,
    check_conflict, check_misbehaviour, verify_update,
};
use crosspoint_light_proofs::signature::SigningKey;
use crosspoint_protocol::ids::{ChainId, Height, Timestamp};
use std::collections::BTreeMap;

alloy::sol!("../contracts/src/interfaces/ILightClient.sol");

/// How many events a run has, unless it is told.
const STEPS: u64 = 1_500;
const TRUSTING_PERIOD: u64 = 5_000;
/// How many sets there are to hand over to.
const SETS: u64 = 4;
/// Places that the contract keeps newest states in: a state is in that of its height modulo this.
const PLACES: u64 = 64;
/// The bit of a compact signature that tells the parity of R (EIP-2098).
const PARITY: usize = 32 * 8 + 7;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Trusts,
    Knows,
    Freezes,
    Refuses,
}

/// Keys with powers, ascending by address.
#[derive(Clone)]
pub(crate) struct Set {
    pub(crate) keys: Vec<SigningKey>,
    pub(crate) set: BridgeSet,
}

impl Set {
    /// One of a few sets, of which neighbours share keys.
    pub(crate) fn number(n: u64) -> Self {
        let mut keys = validators(1 + 2 * n as u8, 4);
        keys.sort_by_key(SigningKey::address);
        let power = |(at, key): (usize, &SigningKey)| BridgeValidator { address: key.address(), power: 1 + at as u64 };
        let set = BridgeSet::new(keys.iter().enumerate().map(power).collect()).unwrap();
        Self { keys, set }
    }
}

/// The set with this hash, if it is one of them.
fn set_of(hash: &[u8; 32]) -> Option<u64> {
    (0..SETS).find(|n| Set::number(*n).set.hash() == *hash)
}

/// The states that the contract knows in this generation (`contracts/README.md`, "Byte formats"): the newest of each
/// place, and some for good.
#[derive(Default)]
struct Kept {
    recent: BTreeMap<u64, Checkpoint>,
    for_good: BTreeMap<u64, Checkpoint>,
}

impl Kept {
    fn add(&mut self, checkpoint: &Checkpoint, for_good: bool) {
        self.recent.insert(checkpoint.height.0 % PLACES, checkpoint.clone());
        if for_good {
            self.for_good.insert(checkpoint.height.0, checkpoint.clone());
        }
    }

    fn trusts(&self, checkpoint: &Checkpoint) -> bool {
        let height = checkpoint.height.0;
        self.recent.get(&(height % PLACES)) == Some(checkpoint) || self.for_good.get(&height) == Some(checkpoint)
    }
}

/// A checkpoint with signatures, and how the contract reads it.
#[derive(Clone)]
struct Update {
    signed: SignedCheckpoint,
    at: Vec<u8>,
    what: &'static str,
}

/// One side of a contradiction, as it is given to both.
enum Shown {
    Newest,
    Stored(Checkpoint),
    Signed(Box<Update>),
}

impl Shown {
    fn side(&self) -> Side<'_> {
        match self {
            Self::Newest => Side::Newest,
            Self::Stored(header) => Side::Trusted(header),
            Self::Signed(update) => Side::Signed(&update.signed),
        }
    }

    fn header(&self, client: &ClientState) -> Checkpoint {
        match self {
            Self::Newest => client.newest(),
            Self::Stored(header) => header.clone(),
            Self::Signed(update) => update.signed.checkpoint.clone(),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Newest => vec![],
            Self::Stored(header) => [&[0][..], &calldata::header(header)].concat(),
            Self::Signed(update) => update.at.clone(),
        }
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Stored(_) => "stored",
            Self::Signed(_) => "signed",
        }
    }

    const fn detail(&self) -> &'static str {
        match self {
            Self::Newest | Self::Stored(_) => self.kind(),
            Self::Signed(update) => update.what,
        }
    }
}

struct Twins {
    chain: OnChain,
    contract: Address,
    rust: ClientState,
    kept: Kept,
    /// All that was ever trusted, in any generation; the newest last.
    history: Vec<Checkpoint>,
    /// From where on in it they are of this generation.
    anchored: usize,
    current: u64,
    rng: Rng,
    seen: BTreeMap<(String, Verdict), u64>,
}

pub(crate) fn chain_id() -> ChainId {
    "sim-1".parse().unwrap()
}

pub(crate) fn word() -> alloy::primitives::B256 {
    client_word(&client("checkpoint-0")).into()
}

/// The update's bytes with exactly these signatures, good or not (`contracts/README.md`, "Byte formats").
pub(crate) fn encode(checkpoint: &Checkpoint, set: &BridgeSet, signatures: &BTreeMap<usize, [u8; 65]>) -> Vec<u8> {
    let header = calldata::header(checkpoint);
    // Form 2 names the next set also where it is the same one.
    let mut at = [&[2][..], &header[..48], &checkpoint.next_set_hash].concat();
    at.push(set.validators().len() as u8);
    for validator in set.validators() {
        at.extend_from_slice(validator.address.as_slice());
        at.extend_from_slice(&[0; 4]);
        at.extend_from_slice(&validator.power.to_be_bytes());
    }
    let mut bitmap = vec![0_u8; set.validators().len().div_ceil(8)];
    signatures.keys().for_each(|index| bitmap[index / 8] |= 1 << (index % 8));
    at.extend_from_slice(&bitmap);
    for signature in signatures.values() {
        let mut compact = signature[..64].to_vec();
        compact[32] |= (signature[64] - 27) << 7;
        at.extend_from_slice(&compact);
    }
    at
}

/// The other form of a signature: `n - s`, the other parity.
fn high_s(signature: &[u8; 65]) -> [u8; 65] {
    use alloy::primitives::{U256, uint};
    const ORDER: U256 = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);
    let mut other = *signature;
    let s = U256::from_be_slice(&signature[32..64]);
    other[32..64].copy_from_slice(&(ORDER - s).to_be_bytes::<32>());
    other[64] = 27 + 28 - signature[64];
    other
}

impl Twins {
    async fn start(rng: Rng) -> Self {
        let mut chain = OnChain::start(|plan| {
            plan.clients[0].rules.trusting_period = TRUSTING_PERIOD;
        })
        .await;
        // Both start anew from one anchor: the deployment's has expired by then.
        let latest = Latest { height: Height(0), time: Timestamp(0), app_hash: [0; 32], signed_by: [0; 32] };
        let rust = ClientState {
            chain_id: chain_id(),
            set_hash: [0; 32],
            latest,
            trusting_period: TRUSTING_PERIOD,
            frozen: false,
            generation: 1,
        };
        chain.now += TRUSTING_PERIOD;
        let (contract, kept) = (chain.light_client(word()).await, Kept::default());
        let (history, seen) = (vec![], BTreeMap::new());
        let mut twins = Self { chain, contract, rust, kept, history, anchored: 0, current: 0, rng, seen };
        twins.reanchor().await;
        twins
    }

    /// Governance sets both to a new anchor: above all that was signed before, as it should.
    async fn reanchor(&mut self) {
        self.current = self.rng.below(SETS);
        let set_hash = Set::number(self.current).set.hash();
        let anchor = Checkpoint {
            chain_id: chain_id(),
            height: Height(self.rust.latest.height.0.max(1_000) + 50),
            time: Timestamp(self.chain.now - self.rng.below(10)),
            app_hash: [1; 32],
            set_hash,
            next_set_hash: set_hash,
        };
        let call = ICrosspointRegistry::reanchorCall { client: word(), anchor: calldata::header(&anchor).into() };
        if let Sent::Reverted(why) = self.chain.decide(&call).await {
            panic!("the registry does not re-anchor: {why}");
        }
        let (latest, generation) = ((&anchor).into(), self.rust.generation + 1);
        self.rust = ClientState { set_hash, latest, frozen: false, generation, ..self.rust.clone() };
        self.kept = Kept::default();
        self.kept.add(&anchor, true);
        self.anchored = self.history.len();
        self.history.push(anchor);
    }

    /// A checkpoint near what is trusted, with at most one thing wrong with its signatures.
    fn update(&mut self) -> Update {
        let latest = self.rust.latest;
        match self.rng.below(16) {
            0 | 1 => {
                let known = self.known();
                return self.sign(known.clone(), &Set::number(set_of(&known.set_hash).unwrap()));
            }
            2 => {
                // The newest header again, but for who signed it: the set that it hands over to.
                let signer = Set::number(self.current);
                let again = Checkpoint { set_hash: signer.set.hash(), ..self.rust.newest() };
                return self.sign(again, &signer);
            }
            _ => {}
        }
        let next = if self.rng.one_in(4) { self.rng.below(SETS) } else { self.current };
        let wrong_set = self.rng.one_in(12);
        let signer = Set::number(if wrong_set { (self.current + 1) % SETS } else { self.current });
        let height = match self.rng.below(8) {
            0 => latest.height.0,
            1 => latest.height.0 - 1 - self.rng.below(3),
            _ => latest.height.0 + 1 + self.rng.below(5),
        };
        let time = match self.rng.below(12) {
            0 => latest.time.0 - 1 - self.rng.below(3),
            1 => self.chain.now + 599 + self.rng.below(4),
            2 => latest.time.0,
            _ => latest.time.0 + self.rng.below(8),
        };
        let checkpoint = Checkpoint {
            chain_id: chain_id(),
            height: Height(height),
            time: Timestamp(time),
            app_hash: [1 + self.rng.below(3) as u8; 32],
            set_hash: signer.set.hash(),
            next_set_hash: Set::number(next).set.hash(),
        };
        self.sign(checkpoint, &signer)
    }

    /// A state that was trusted once: in this generation, or maybe in an older one.
    fn known(&mut self) -> Checkpoint {
        let from = if self.rng.one_in(6) { 0 } else { self.anchored };
        self.rng.pick(&self.history[from..]).clone()
    }

    /// Signed by all of a set, or with one thing wrong.
    fn sign(&mut self, checkpoint: Checkpoint, signer: &Set) -> Update {
        let fault = self.rng.below(10);
        self.sign_with(fault, checkpoint, signer)
    }

    fn sign_with(&mut self, fault: u64, checkpoint: Checkpoint, signer: &Set) -> Update {
        let mut signatures: BTreeMap<usize, [u8; 65]> =
            signer.keys.iter().enumerate().map(|(at, key)| (at, checkpoint.sign(key))).collect();
        let mut signed = checkpoint.clone();
        // Powers are 1 to 4 of 10: of some subsets it takes more than two thirds.
        let what = match fault {
            0 | 1 => {
                for at in 0..4 {
                    if self.rng.one_in(2) {
                        signatures.remove(&at);
                    }
                }
                "a subset"
            }
            2 => {
                let at = self.rng.below(4) as usize;
                signatures.insert(at, high_s(&signatures[&at]));
                "high s"
            }
            3 => {
                let (at, bit) = (self.rng.below(4) as usize, self.rng.below(512) as usize);
                let signature = signatures.get_mut(&at).unwrap();
                // The compact form has the parity where s, which is low, has its highest bit.
                match bit {
                    PARITY => signature[64] = 27 + 28 - signature[64],
                    _ => signature[bit / 8] ^= 1 << (bit % 8),
                }
                "a changed signature"
            }
            4 => {
                let stranger = SigningKey::from_bytes([99; 32]).unwrap();
                signatures.insert(0, checkpoint.sign(&stranger));
                "a stranger"
            }
            5 => {
                let twice = signatures[&1];
                signatures.insert(2, twice);
                "one signer twice"
            }
            6 => {
                signed.chain_id = "sim-2".parse().unwrap();
                signatures = signer.keys.iter().enumerate().map(|(at, key)| (at, signed.sign(key))).collect();
                "another chain"
            }
            _ => "all",
        };
        let at = encode(&checkpoint, &signer.set, &signatures);
        let signatures = signatures.into_values().collect();
        Update {
            signed: SignedCheckpoint { checkpoint: signed, set: signer.set.clone(), next_set: None, signatures },
            at,
            what,
        }
    }

    /// What the Rust client makes of an update. Contradictions of states older than the newest are for evidence.
    fn judge(&self, update: &SignedCheckpoint, now: Timestamp) -> Verdict {
        // What it knows it takes without a look at signatures; which chain they are for is only in those.
        let checkpoint = Checkpoint { chain_id: chain_id(), ..update.checkpoint.clone() };
        let fresh = now.0 < checkpoint.time.0 + TRUSTING_PERIOD;
        if !self.rust.frozen && fresh && self.kept.trusts(&checkpoint) {
            return Verdict::Knows;
        }
        match verify_update(&self.rust, update, now) {
            Ok(_) => Verdict::Trusts,
            Err(CheckpointError::HeightNotAbove { found, trusted }) if found < trusted => Verdict::Refuses,
            Err(CheckpointError::HeightNotAbove { .. } | CheckpointError::TimeDecreases { .. })
                if check_conflict(&self.rust, update).is_ok() =>
            {
                Verdict::Freezes
            }
            Err(_) => Verdict::Refuses,
        }
    }

    async fn submit(&mut self) {
        let update = self.update();
        let time = self.chain.now + 1 + self.rng.below(3);
        let expected = self.judge(&update.signed, Timestamp(time));
        let before = self.rust.clone();
        match expected {
            Verdict::Trusts => {
                self.rust = verify_update(&self.rust, &update.signed, Timestamp(time)).unwrap();
                let span = |state: &ClientState| state.latest.time.0 / (TRUSTING_PERIOD / 8 + 1);
                let for_good = before.set_hash != self.rust.set_hash || span(&before) != span(&self.rust);
                self.kept.add(&update.signed.checkpoint, for_good);
                self.history.push(update.signed.checkpoint.clone());
                self.current = set_of(&self.rust.set_hash).unwrap();
            }
            Verdict::Freezes => self.rust.frozen = true,
            Verdict::Knows | Verdict::Refuses => {}
        }
        let call = updateCall { client: word(), state: update.at.into() };
        let sent = self.chain.anybody(time, self.contract, &call).await;
        let (height, what) = (update.signed.checkpoint.height, update.what);
        self.compare(format!("update, {what}"), &format!("{height} at {time}"), &before, sent, expected).await;
    }

    /// A header near one of these, by a set that may be one to listen to.
    fn certificate(&mut self, root: &Checkpoint, near: &[Checkpoint]) -> Update {
        let signer = match self.rng.below(5) {
            0 | 1 => self.current,
            2 => set_of(&root.set_hash).unwrap(),
            3 => set_of(&root.next_set_hash).unwrap(),
            _ => self.rng.below(SETS),
        };
        let near = self.rng.pick(near).clone();
        let next = if self.rng.one_in(3) { self.rng.below(SETS) } else { signer };
        let signer = Set::number(signer);
        let mut checkpoint = Checkpoint { set_hash: signer.set.hash(), ..near };
        // As it is but for who signed, or changed.
        if !self.rng.one_in(5) {
            checkpoint.height.0 = checkpoint.height.0 + self.rng.below(4) - self.rng.below(2);
            checkpoint.time.0 = checkpoint.time.0 + self.rng.below(3) - self.rng.below(3);
            checkpoint.app_hash = [1 + self.rng.below(2) as u8; 32];
            checkpoint.next_set_hash = Set::number(next).set.hash();
        }
        // Mostly good signatures: there are two sides, and much else that decides.
        let fault = self.rng.below(40);
        self.sign_with(fault, checkpoint, &signer)
    }

    /// One side of a contradiction, as a stored header or as a certificate.
    fn side(&mut self, root: &Checkpoint, near: &[Checkpoint]) -> Shown {
        if self.rng.one_in(4) {
            Shown::Stored(self.known())
        } else {
            Shown::Signed(Box::new(self.certificate(root, near)))
        }
    }

    /// What the Rust client makes of evidence, told which headers are trusted.
    fn judge_evidence(&self, root: &Checkpoint, sides: [&Shown; 2], now: Timestamp) -> Verdict {
        let trusts = |side: &Shown| !matches!(side, Shown::Stored(header) if !self.kept.trusts(header));
        if !self.kept.trusts(root) || !sides.into_iter().all(trusts) {
            return Verdict::Refuses;
        }
        match check_misbehaviour(&self.rust, root, sides[0].side(), sides[1].side(), now) {
            Ok(()) => Verdict::Freezes,
            Err(_) => Verdict::Refuses,
        }
    }

    /// Two headers, which may contradict each other, from a root that may be trusted.
    async fn accuse(&mut self) {
        let root = if self.rng.one_in(3) { self.rust.newest() } else { self.known() };
        let mut near = vec![root.clone(), self.rust.newest()];
        let one = if self.rng.one_in(4) { Shown::Newest } else { self.side(&root, &near) };
        // The other is near the one, or there is nothing to contradict.
        near.extend(std::iter::repeat_n(one.header(&self.rust), 4));
        let other = self.side(&root, &near);
        let before = self.rust.clone();
        let time = self.chain.now + 1;
        let expected = self.judge_evidence(&root, [&one, &other], Timestamp(time));
        self.rust.frozen |= expected == Verdict::Freezes;
        let (trusted, a, b) = (calldata::header(&root).into(), one.to_bytes().into(), other.to_bytes().into());
        let sent = self.chain.anybody(time, self.contract, &misbehaviourCall { client: word(), trusted, a, b }).await;
        let from = if root == before.newest() { "the newest root" } else { "an older root" };
        let event = format!("evidence from {from}: {}, {}", one.kind(), other.kind());
        let detail = format!("{} and {}", one.detail(), other.detail());
        self.compare(event, &detail, &before, sent, expected).await;
    }

    async fn compare(&mut self, event: String, detail: &str, before: &ClientState, sent: Sent, expected: Verdict) {
        let status = self.chain.read(self.contract, &ILightClient::statusCall { client: word() }).await;
        let reverted = match &sent {
            Sent::Done(_) => None,
            Sent::Reverted(why) => Some(why.clone()),
        };
        let found = match &reverted {
            Some(_) => Verdict::Refuses,
            None if status.frozen => Verdict::Freezes,
            None if (status.height, status.time) != (before.latest.height.0, before.latest.time.0) => Verdict::Trusts,
            None => Verdict::Knows,
        };
        assert_eq!(found, expected, "{event}, {detail}: the contract ({reverted:?}) and the Rust client");
        let rust = &self.rust;
        let of_contract = (status.height, status.time, status.setHash.0, status.frozen);
        let of_rust = (rust.latest.height.0, rust.latest.time.0, rust.set_hash, rust.frozen);
        assert_eq!(of_contract, of_rust, "{event}, {detail}: the states after it");
        *self.seen.entry((event, found)).or_default() += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checkpoint_contract_and_the_rust_client_give_the_same_verdicts() {
    let (rng, steps) = run("checkpoint", STEPS);
    let mut twins = Twins::start(rng).await;
    for _ in 0..steps {
        let expired = twins.chain.now + 1 >= twins.rust.latest.time.0 + TRUSTING_PERIOD;
        match twins.rng.below(30) {
            // A while of silence: some of them longer than trust lasts.
            0 => twins.chain.now += twins.rng.below(TRUSTING_PERIOD),
            1..=7 if twins.rust.frozen || expired => twins.reanchor().await,
            8..=16 if !expired => twins.accuse().await,
            _ => twins.submit().await,
        }
    }
    println!("verdicts: {:?}", twins.seen);
    for verdict in [Verdict::Trusts, Verdict::Knows, Verdict::Freezes, Verdict::Refuses] {
        assert!(steps < STEPS || twins.seen.keys().any(|(_, seen)| *seen == verdict), "never {verdict:?}");
    }
    // Evidence from both kinds of root, and with each kind of side, was believed.
    for kind in ["from the newest root", "from an older root", ": newest,", "stored", ": signed, signed"] {
        let believed = |(event, verdict): &(String, Verdict)| {
            event.starts_with("evidence") && event.contains(kind) && *verdict == Verdict::Freezes
        };
        assert!(steps < STEPS || twins.seen.keys().any(believed), "no evidence `{kind}` froze");
    }
}
