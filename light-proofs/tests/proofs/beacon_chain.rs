//! A beacon chain of our own, as far as its light clients look: committees, states, signatures. Tests of other crates
//! include this file by its path.
#![allow(dead_code, unreachable_pub)]

use alloy_primitives::{Address, B256, Bytes, FixedBytes};
use blst::min_pk::{AggregatePublicKey, AggregateSignature, SecretKey};
use crosspoint_light_proofs::ethereum_pos::{
    BeaconHeader, Bootstrap, ClientState, ConsensusState, ExecutionPayloadHeader, Fork, Header, Latest,
    LightClientHeader, Network, Preset, SyncAggregate, SyncCommittee, Update, anchor,
};
use crosspoint_protocol::ids::{Height, Timestamp};
use crosspoint_protocol::sha256;
use std::collections::BTreeMap;

pub(crate) const SUITE: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
/// Members of a committee in the minimal preset.
pub(crate) const SIZE: usize = Preset::MINIMAL.sync_committee_size;
/// Slots of a committee's period in the minimal preset.
pub(crate) const PERIOD: u64 = 64;
pub(crate) const GENESIS_TIME: u64 = 1_000;
pub(crate) const NOW: Timestamp = Timestamp(GENESIS_TIME + 6 * 400);

const GENESIS_ROOT: B256 = B256::repeat_byte(1);

/// The forks of a network, each with its first epoch.
pub(crate) type Forks = &'static [(Fork, u64)];
/// Electra from the start: the network where nothing else is said.
pub(crate) const ELECTRA: Forks = &[(Fork::Altair, 0), (Fork::Electra, 0)];

pub(crate) fn network(preset: Preset) -> Network {
    network_of(preset, ELECTRA)
}

pub(crate) fn network_of(preset: Preset, forks: Forks) -> Network {
    network_at(preset, forks, (GENESIS_TIME, 6))
}

/// One whose genesis is at this time, and whose slots take so many seconds.
pub(crate) fn network_at(preset: Preset, forks: Forks, clock: (u64, u64)) -> Network {
    let forks = forks.iter().map(|(fork, epoch)| (*fork, *epoch, version(*fork).into())).collect();
    Network::new(preset, GENESIS_ROOT, clock, forks).unwrap()
}

/// The versions of the minimal preset.
const fn version(fork: Fork) -> [u8; 4] {
    let first = match fork {
        Fork::Altair => 1,
        Fork::Bellatrix => 2,
        Fork::Capella => 3,
        Fork::Deneb => 4,
        Fork::Electra => 5,
        Fork::Fulu => 6,
    };
    [first, 0, 0, 1]
}

/// What a committee signs of a header in the domain of a fork. Written out here, so that chain and client do not err alike.
fn signing_root(header: B256, fork: Fork) -> [u8; 32] {
    let fork_data = sha256(&[&version(fork), &[0; 28], GENESIS_ROOT.as_slice()]);
    sha256(&[header.as_slice(), &[7, 0, 0, 0], &fork_data[..28]])
}

/// The secret keys of the committee of a period.
fn secrets(preset: Preset, period: u64) -> Vec<SecretKey> {
    let key =
        |member: usize| SecretKey::key_gen(&sha256(&[&period.to_be_bytes(), &member.to_be_bytes()]), &[]).unwrap();
    (0..preset.sync_committee_size).map(key).collect()
}

pub(crate) fn committee(preset: Preset, period: u64) -> SyncCommittee {
    let keys: Vec<_> = secrets(preset, period).iter().map(SecretKey::sk_to_pk).collect();
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

/// What a block executed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Execution {
    pub(crate) number: u64,
    pub(crate) state_root: B256,
    pub(crate) time: u64,
}

/// A block: what it executed tells it from others of its slot.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    pub(crate) preset: Preset,
    pub(crate) slot: u64,
    pub(crate) executed: u8,
    /// The slot of the block that is final in its state; the committees in it are those of its own period.
    pub(crate) finalized: u64,
    /// What it executed; else what follows from slot and byte.
    pub(crate) execution: Option<Execution>,
    /// What the final block executed; else likewise.
    pub(crate) final_execution: Option<Execution>,
    /// The period of the committee that its state names as the next: the one after its own, unless it lies.
    pub(crate) next: Option<u64>,
    /// The forks of its network.
    pub(crate) forks: Forks,
    /// The fork whose layout its state has: that of its slot, unless it lies.
    pub(crate) layout: Option<Fork>,
}

impl Block {
    pub(crate) const fn new(slot: u64, finalized: u64) -> Self {
        let (execution, final_execution, next, layout) = (None, None, None, None);
        let (preset, forks) = (Preset::MINIMAL, ELECTRA);
        Self { preset, slot, executed: 1, finalized, execution, final_execution, next, forks, layout }
    }

    /// The block that is final in this one's state.
    fn final_block(self) -> Self {
        let (slot, execution) = (self.finalized, self.final_execution);
        Self { slot, finalized: 0, execution, final_execution: None, next: None, layout: None, ..self }
    }

    fn next_committee(self) -> SyncCommittee {
        self.committee(self.next.unwrap_or(self.period(self.slot) + 1))
    }

    /// What a client starts from at this block.
    pub(crate) fn bootstrap(self) -> Bootstrap {
        Bootstrap {
            header: self.header(),
            current_sync_committee: self.committee(self.period(self.slot)),
            current_sync_committee_branch: self.state().branch(self.places().0),
        }
    }

    /// With committees of another size.
    pub(crate) const fn with(self, preset: Preset) -> Self {
        Self { preset, ..self }
    }

    /// In a network of these forks.
    pub(crate) const fn on(self, forks: Forks) -> Self {
        Self { forks, ..self }
    }

    /// The fork of a slot in its network.
    pub(crate) fn fork(self, slot: u64) -> Fork {
        let epoch = slot / self.preset.slots_per_epoch;
        self.forks.iter().rfind(|(_, first)| *first <= epoch).unwrap().0
    }

    /// Where the state holds the committee, the next one, and what is final: generalized indices.
    fn places(self) -> (u64, u64, u64) {
        match self.layout.unwrap_or_else(|| self.fork(self.slot)) {
            Fork::Electra | Fork::Fulu => (86, 87, 169),
            _ => (54, 55, 105),
        }
    }

    fn period(self, slot: u64) -> u64 {
        network(self.preset).period(slot)
    }

    fn committee(self, period: u64) -> SyncCommittee {
        committee(self.preset, period)
    }

    fn execution(self) -> ExecutionPayloadHeader {
        let executed = self.execution.unwrap_or(Execution {
            number: self.slot * 2,
            state_root: B256::repeat_byte(self.executed),
            time: GENESIS_TIME + self.slot * 6,
        });
        ExecutionPayloadHeader {
            state_root: executed.state_root,
            block_number: executed.number,
            timestamp: executed.time,
            logs_bloom: Bytes::from(vec![0; 256]),
            extra_data: Bytes::from_static(b"ours"),
            fee_recipient: Address::repeat_byte(9),
            blob_gas_used: if self.fork(self.slot) >= Fork::Deneb { 131_072 } else { 0 },
            ..Default::default()
        }
    }

    fn body(self) -> Tree {
        // In Bellatrix there is an execution payload too, but headers do not show it.
        Tree(self.execution().root(self.fork(self.slot)).map(|root| (25, root)).into_iter().collect())
    }

    fn state(self) -> Tree {
        let period = self.period(self.slot);
        let (current, next, finalized) = self.places();
        let mut tree =
            Tree(BTreeMap::from([(current, self.committee(period).root()), (next, self.next_committee().root())]));
        if self.finalized > 0 {
            tree.0.insert(finalized, self.final_block().header().beacon.root());
        }
        tree
    }

    pub(crate) fn header(self) -> LightClientHeader {
        let body = self.body();
        let beacon = BeaconHeader {
            slot: self.slot,
            proposer_index: 3,
            parent_root: B256::ZERO,
            state_root: self.state().node(1),
            body_root: body.node(1),
        };
        if self.fork(self.slot) < Fork::Capella {
            return LightClientHeader { beacon, execution: None, execution_branch: vec![] };
        }
        LightClientHeader { beacon, execution: Some(self.execution()), execution_branch: body.branch(25) }
    }

    /// Signed in the next slot by this many of the committee of that slot's period.
    pub(crate) fn update(self, signers: usize) -> Update {
        self.update_in(self.slot + 1, self.fork(self.slot), signers)
    }

    /// Signed in this slot, in the domain of this fork.
    pub(crate) fn update_in(self, slot: u64, domain: Fork, signers: usize) -> Update {
        let (header, state, (_, next, finalized)) = (self.header(), self.state(), self.places());
        let root = signing_root(header.beacon.root(), domain);
        let (period, size) = (self.period(slot), self.preset.sync_committee_size);
        let signatures: Vec<_> =
            secrets(self.preset, period)[..signers].iter().map(|key| key.sign(&root, SUITE, &[])).collect();
        let signature = AggregateSignature::aggregate(&signatures.iter().collect::<Vec<_>>(), false).unwrap();
        let bits: Vec<u8> =
            (0..size / 8).map(|byte| (0..8).map(|bit| u8::from(byte * 8 + bit < signers) << bit).sum()).collect();
        Update {
            attested_header: header,
            next_sync_committee: Some(self.next_committee()),
            next_sync_committee_branch: state.branch(next),
            finalized_header: Some(self.final_block().header()),
            finality_branch: state.branch(finalized),
            sync_aggregate: SyncAggregate {
                sync_committee_bits: bits.into(),
                sync_committee_signature: FixedBytes(signature.to_signature().compress()),
            },
            signature_slot: slot,
        }
    }

    /// The update for a client that trusts the execution block of this height.
    pub(crate) fn signed_from(self, trusted: u64, signers: usize) -> Header {
        Header { trusted_height: Height(trusted), ..self.signed(signers) }
    }

    pub(crate) fn signed(self, signers: usize) -> Header {
        self.shown(self.update(signers))
    }

    /// An update with the committee that signed it.
    pub(crate) fn shown(self, update: Update) -> Header {
        Header { trusted_height: Height(0), signers: self.committee(self.period(update.signature_slot)), update }
    }
}

/// A client that trusts block 8.
pub(crate) fn start(preset: Preset) -> (ClientState, ConsensusState) {
    start_on(preset, ELECTRA)
}

/// A client of a network of these forks that trusts block 8.
pub(crate) fn start_on(preset: Preset, forks: Forks) -> (ClientState, ConsensusState) {
    anchor(unanchored(preset, forks), &Block::new(8, 0).with(preset).on(forks).bootstrap()).unwrap()
}

/// A client that trusts nothing yet.
pub(crate) fn unanchored(preset: Preset, forks: Forks) -> ClientState {
    ClientState {
        evm_chain_id: 5,
        network: network_of(preset, forks),
        latest: Latest { slot: 0, root: B256::ZERO, number: Height(0), time: Timestamp(0) },
        trusting_period: 5_000,
        store_address: Address::ZERO,
        base_slot: B256::ZERO,
        frozen: false,
        generation: 0,
    }
}
