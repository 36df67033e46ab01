//! A beacon chain of our own, as far as its light clients look: committees, states, signatures.

use alloy_primitives::{Address, B256, Bytes, FixedBytes};
use blst::min_pk::{AggregatePublicKey, AggregateSignature, SecretKey};
use crosspoint_light_proofs::ethereum_pos::{
    BeaconHeader, Bootstrap, ClientState, ConsensusState, ExecutionPayloadHeader, Fork, Header, Latest,
    LightClientHeader, Network, PosError, Preset, SyncAggregate, SyncCommittee, SyncError, Update, anchor,
    check_misbehaviour, verify_update,
};
use crosspoint_protocol::ids::{Height, Timestamp};
use crosspoint_protocol::sha256;
use std::collections::BTreeMap;

const SUITE: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
const SIZE: usize = 32;
/// Slots of a committee's period in the minimal preset.
const PERIOD: u64 = 64;
const GENESIS_TIME: u64 = 1_000;

fn network() -> Network {
    let forks = vec![(Fork::Altair, 0, [1, 0, 0, 1].into()), (Fork::Electra, 0, [5, 0, 0, 1].into())];
    Network::new(Preset::MINIMAL, B256::repeat_byte(1), (GENESIS_TIME, 6), forks).unwrap()
}

/// The secret keys of the committee of a period.
fn secrets(period: u64) -> Vec<SecretKey> {
    let key =
        |member: usize| SecretKey::key_gen(&sha256(&[&period.to_be_bytes(), &member.to_be_bytes()]), &[]).unwrap();
    (0..SIZE).map(key).collect()
}

fn committee(period: u64) -> SyncCommittee {
    let keys: Vec<_> = secrets(period).iter().map(SecretKey::sk_to_pk).collect();
    let aggregate = AggregatePublicKey::aggregate(&keys.iter().collect::<Vec<_>>(), false).unwrap();
    SyncCommittee {
        pubkeys: keys.iter().map(|key| FixedBytes(key.compress())).collect(),
        aggregate_pubkey: FixedBytes(aggregate.to_public_key().compress()),
    }
}

/// A tree in which only some generalized indices hold something.
struct Tree(BTreeMap<u64, B256>);

impl Tree {
    fn node(&self, at: u64) -> B256 {
        if let Some(known) = self.0.get(&at) {
            return *known;
        }
        if at >= 256 {
            return B256::repeat_byte(at as u8);
        }
        sha256(&[self.node(at * 2).as_slice(), self.node(at * 2 + 1).as_slice()]).into()
    }

    fn branch(&self, mut at: u64) -> Vec<B256> {
        let mut branch = vec![];
        while at > 1 {
            branch.push(self.node(at ^ 1));
            at /= 2;
        }
        branch
    }
}

/// A block: what it executed tells it from others of its slot.
#[derive(Clone, Copy)]
struct Block {
    slot: u64,
    executed: u8,
    /// The slot of the block that is final in its state; the committees in it are those of its own period.
    finalized: u64,
}

impl Block {
    const fn new(slot: u64, finalized: u64) -> Self {
        Self { slot, executed: 1, finalized }
    }

    fn execution(self) -> ExecutionPayloadHeader {
        ExecutionPayloadHeader {
            state_root: B256::repeat_byte(self.executed),
            block_number: self.slot * 2,
            timestamp: GENESIS_TIME + self.slot * 6,
            logs_bloom: Bytes::from(vec![0; 256]),
            extra_data: Bytes::from_static(b"ours"),
            fee_recipient: Address::repeat_byte(9),
            ..Default::default()
        }
    }

    fn body(self) -> Tree {
        Tree(BTreeMap::from([(25, self.execution().root(Fork::Electra).unwrap())]))
    }

    fn state(self) -> Tree {
        let period = self.slot / PERIOD;
        let mut tree = Tree(BTreeMap::from([(86, committee(period).root()), (87, committee(period + 1).root())]));
        if self.finalized > 0 {
            let finalized = Self { slot: self.finalized, finalized: 0, ..self };
            tree.0.insert(169, finalized.header().beacon.root());
        }
        tree
    }

    fn header(self) -> LightClientHeader {
        let body = self.body();
        let beacon = BeaconHeader {
            slot: self.slot,
            proposer_index: 3,
            parent_root: B256::ZERO,
            state_root: self.state().node(1),
            body_root: body.node(1),
        };
        LightClientHeader { beacon, execution: Some(self.execution()), execution_branch: body.branch(25) }
    }

    /// Signed in the next slot by this many of the committee of that slot's period.
    fn update(self, signers: usize) -> Update {
        let (header, state, slot) = (self.header(), self.state(), self.slot + 1);
        let root = network().signing_root(header.beacon.root(), slot).unwrap();
        let period = slot / PERIOD;
        let signatures: Vec<_> =
            secrets(period)[..signers].iter().map(|key| key.sign(root.as_slice(), SUITE, &[])).collect();
        let signature = AggregateSignature::aggregate(&signatures.iter().collect::<Vec<_>>(), false).unwrap();
        let bits: Vec<u8> =
            (0..SIZE / 8).map(|byte| (0..8).map(|bit| u8::from(byte * 8 + bit < signers) << bit).sum()).collect();
        Update {
            attested_header: header,
            next_sync_committee: Some(committee(self.slot / PERIOD + 1)),
            next_sync_committee_branch: state.branch(87),
            finalized_header: Some(Self { slot: self.finalized, finalized: 0, ..self }.header()),
            finality_branch: state.branch(169),
            sync_aggregate: SyncAggregate {
                sync_committee_bits: bits.into(),
                sync_committee_signature: FixedBytes(signature.to_signature().compress()),
            },
            signature_slot: slot,
        }
    }

    fn signed(self, signers: usize) -> Header {
        let update = self.update(signers);
        Header { trusted_height: Height(0), signers: committee(update.signature_slot / PERIOD), update }
    }
}

fn start() -> (ClientState, ConsensusState) {
    let block = Block::new(8, 0);
    let bootstrap = Bootstrap {
        header: block.header(),
        current_sync_committee: committee(0),
        current_sync_committee_branch: block.state().branch(86),
    };
    let client = ClientState {
        evm_chain_id: 5,
        network: network(),
        latest: Latest { slot: 0, root: B256::ZERO, number: Height(0), time: Timestamp(0) },
        trusting_period: 5_000,
        store_address: Address::ZERO,
        base_slot: B256::ZERO,
        frozen: false,
        generation: 0,
    };
    anchor(client, &bootstrap).unwrap()
}

const NOW: Timestamp = Timestamp(GENESIS_TIME + 6 * 400);

#[test]
fn a_client_goes_from_period_to_period_by_committees_it_knows_by_root_only() {
    let (client, state) = start();
    let (client, state) = verify_update(&client, &state, &Block::new(40, 24).signed(SIZE), NOW).unwrap();
    assert_eq!((client.latest.slot, client.latest.number), (24, Height(48)));
    assert_eq!((state.root, state.next_committee), (B256::repeat_byte(1), Some(committee(1).root())));
    // Attested in the next period, final in this one: the committee shown is two ahead, and not taken.
    let (client, state) = verify_update(&client, &state, &Block::new(70, 56).signed(22), NOW).unwrap();
    assert_eq!((state.current_committee, state.next_committee), (committee(0).root(), Some(committee(1).root())));
    let (client, state) = verify_update(&client, &state, &Block::new(80, 72).signed(SIZE), NOW).unwrap();
    assert_eq!((state.current_committee, state.next_committee), (committee(1).root(), Some(committee(2).root())));
    let (client, state) = verify_update(&client, &state, &Block::new(140, 132).signed(SIZE), NOW).unwrap();
    assert_eq!((client.latest.slot, state.current_committee), (132, committee(2).root()));
    let far = verify_update(&client, &state, &Block::new(270, 260).signed(SIZE), NOW);
    assert!(matches!(far, Err(PosError::Sync(SyncError::UnknownPeriod { signed: 4, known: 2 }))), "{far:?}");
}

#[test]
fn each_refusal_of_the_client_has_its_own_error() {
    let (client, state) = start();
    let verify = |header: &Header| verify_update(&client, &state, header, NOW);
    let good = Block::new(40, 24);
    assert_eq!(verify(&good.signed(21)).unwrap_err(), SyncError::Participation { signed: 21, of: 32 }.into());
    assert!(verify(&good.signed(22)).is_ok());
    assert!(matches!(verify(&Block::new(40, 8).signed(SIZE)), Err(PosError::NotAbove { slot: 8, .. })));
    let mut optimistic = good.signed(SIZE);
    (optimistic.update.finalized_header, optimistic.update.finality_branch) = (None, vec![]);
    assert_eq!(verify(&optimistic).unwrap_err(), PosError::NotFinal);
    let mut other = good.signed(SIZE);
    other.signers = committee(7);
    assert_eq!(verify(&other).unwrap_err(), SyncError::SigningCommittee.into());
    let mut swapped = good.signed(SIZE);
    swapped.update.next_sync_committee = Some(committee(9));
    assert_eq!(verify(&swapped).unwrap_err(), SyncError::NextCommittee.into());
    let frozen = ClientState { frozen: true, ..client.clone() };
    assert_eq!(verify_update(&frozen, &state, &good.signed(SIZE), NOW), Err(PosError::Frozen));
    assert_eq!(frozen.check_usable(NOW), Err(PosError::Frozen));
    let expiry = Timestamp(state.time.0 + 5_000);
    let late = verify_update(&client, &state, &good.signed(SIZE), expiry);
    assert_eq!(late, Err(PosError::Expired { expiry, now: expiry }));
    assert_eq!(client.check_usable(expiry), Err(PosError::Expired { expiry, now: expiry }));
    // Two periods ahead without the committee between.
    let known = ConsensusState { next_committee: Some(committee(1).root()), ..state };
    assert!(verify_update(&client, &known, &Block::new(80, 72).signed(SIZE), NOW).is_ok());
    let before = Timestamp(GENESIS_TIME + 6 * 40);
    let early = verify_update(&client, &state, &good.signed(SIZE), before);
    assert!(matches!(early, Err(PosError::Sync(SyncError::SlotOrder { now: 40, .. }))));
}

#[test]
fn two_final_blocks_of_one_slot_or_two_next_committees_freeze() {
    let (client, state) = start();
    let one = Block::new(40, 24);
    let fork = Block { executed: 2, ..one };
    let check = |a: &Header, b: &Header| check_misbehaviour(&client, (a, &state), (b, &state), NOW);
    assert_eq!(check(&one.signed(SIZE), &fork.signed(22)), Ok(()));
    assert_eq!(check(&one.signed(SIZE), &one.signed(22)), Err(PosError::NoConflict));
    let minority = check(&one.signed(SIZE), &fork.signed(21));
    assert!(matches!(minority, Err(PosError::Sync(SyncError::Participation { .. }))));
    let later = Block::new(48, 32);
    assert_eq!(check(&one.signed(SIZE), &later.signed(SIZE)), Err(PosError::NoConflict));
}
