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

pub(crate) fn network(preset: Preset) -> Network {
    let forks = vec![(Fork::Altair, 0, [1, 0, 0, 1].into()), (Fork::Electra, 0, [5, 0, 0, 1].into())];
    Network::new(preset, B256::repeat_byte(1), (GENESIS_TIME, 6), forks).unwrap()
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
}

impl Block {
    pub(crate) const fn new(slot: u64, finalized: u64) -> Self {
        let (execution, final_execution, next) = (None, None, None);
        Self { preset: Preset::MINIMAL, slot, executed: 1, finalized, execution, final_execution, next }
    }

    /// The block that is final in this one's state.
    fn final_block(self) -> Self {
        let (slot, execution) = (self.finalized, self.final_execution);
        Self { slot, finalized: 0, execution, final_execution: None, next: None, ..self }
    }

    fn next_committee(self) -> SyncCommittee {
        self.committee(self.next.unwrap_or(self.period(self.slot) + 1))
    }

    /// What a client starts from at this block.
    pub(crate) fn bootstrap(self) -> Bootstrap {
        Bootstrap {
            header: self.header(),
            current_sync_committee: self.committee(self.period(self.slot)),
            current_sync_committee_branch: self.state().branch(86),
        }
    }

    /// With committees of another size.
    pub(crate) const fn with(self, preset: Preset) -> Self {
        Self { preset, ..self }
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
            ..Default::default()
        }
    }

    fn body(self) -> Tree {
        Tree(BTreeMap::from([(25, self.execution().root(Fork::Electra).unwrap())]))
    }

    fn state(self) -> Tree {
        let period = self.period(self.slot);
        let (current, next) = (self.committee(period).root(), self.next_committee().root());
        let mut tree = Tree(BTreeMap::from([(86, current), (87, next)]));
        if self.finalized > 0 {
            tree.0.insert(169, self.final_block().header().beacon.root());
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
        LightClientHeader { beacon, execution: Some(self.execution()), execution_branch: body.branch(25) }
    }

    /// Signed in the next slot by this many of the committee of that slot's period.
    pub(crate) fn update(self, signers: usize) -> Update {
        let (header, state, slot) = (self.header(), self.state(), self.slot + 1);
        let root = network(self.preset).signing_root(header.beacon.root(), slot).unwrap();
        let (period, size) = (self.period(slot), self.preset.sync_committee_size);
        let signatures: Vec<_> =
            secrets(self.preset, period)[..signers].iter().map(|key| key.sign(root.as_slice(), SUITE, &[])).collect();
        let signature = AggregateSignature::aggregate(&signatures.iter().collect::<Vec<_>>(), false).unwrap();
        let bits: Vec<u8> =
            (0..size / 8).map(|byte| (0..8).map(|bit| u8::from(byte * 8 + bit < signers) << bit).sum()).collect();
        Update {
            attested_header: header,
            next_sync_committee: Some(self.next_committee()),
            next_sync_committee_branch: state.branch(87),
            finalized_header: Some(self.final_block().header()),
            finality_branch: state.branch(169),
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
        let update = self.update(signers);
        Header { trusted_height: Height(0), signers: self.committee(self.period(update.signature_slot)), update }
    }
}

/// A client that trusts block 8.
pub(crate) fn start(preset: Preset) -> (ClientState, ConsensusState) {
    let bootstrap = Block::new(8, 0).with(preset).bootstrap();
    let client = ClientState {
        evm_chain_id: 5,
        network: network(preset),
        latest: Latest { slot: 0, root: B256::ZERO, number: Height(0), time: Timestamp(0) },
        trusting_period: 5_000,
        store_address: Address::ZERO,
        base_slot: B256::ZERO,
        frozen: false,
        generation: 0,
    };
    anchor(client, &bootstrap).unwrap()
}
