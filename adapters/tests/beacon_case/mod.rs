//! A client of a small beacon chain, and what nodes say when it has something to learn.

use crate::beacon_chain::{Block, ELECTRA, Execution, PERIOD, SIZE, network, unanchored};
use crate::common::{EvmState, evm_state, inbound};
use crate::source_support::Beacon;
use alloy::consensus::Header as EvmHeader;
use crosspoint_adapters::chain::{ClientStatus, ClientType, Tip};
use crosspoint_ledger::query::SignersView;
use crosspoint_light_proofs::ethereum_pos::{Preset, anchor};
use crosspoint_protocol::ids::{Height, Timestamp};
use crosspoint_protocol::packet::Packet;
use serde_json::json;

/// The EVM chain's number.
pub(crate) const CHAIN: u64 = 31_337;

pub(crate) struct Case {
    /// Trusts block 10.
    pub(crate) follower: ClientStatus,
    /// Sent in block 13.
    pub(crate) packet: Packet,
    /// Blocks 10 to 13.
    pub(crate) states: Vec<EvmState>,
    /// A beacon node by which block 13 is final, in the client's period.
    pub(crate) near: Beacon,
    /// One by which it is final two periods on, and block 11 in the client's.
    pub(crate) far: Beacon,
}

impl Case {
    pub(crate) fn new() -> Self {
        let before = evm_state(10, 1_100, None);
        let bootstrap = Block { execution: Some(executed(&before.header)), ..Block::new(8, 0) }.bootstrap();
        let root = bootstrap.header.beacon.root();
        let (_, state) = anchor(unanchored(Preset::MINIMAL, ELECTRA), &bootstrap).unwrap();
        let follower = ClientStatus {
            client: "ethereum-pos-0".parse().unwrap(),
            client_type: ClientType::EthereumPos,
            counterparty_chain: format!("eip155-{CHAIN}").parse().unwrap(),
            counterparty_client: "checkpoint-0".parse().unwrap(),
            trusted: Tip { height: Height(10), time: Timestamp(1_100) },
            trusted_hash: root.to_vec(),
            signers: SignersView::SyncCommittees { network: Box::new(network(Preset::MINIMAL)), state },
            trusting_period: 86_400,
            frozen: false,
            generation: 0,
        };
        let mut packet = inbound(1, Timestamp(2_000), "alice", 1);
        packet.dest_client = follower.client.clone();
        let sent = evm_state(13, 1_300, Some((packet.commitment_path(), packet.commitment())));
        let states = vec![before, evm_state(11, 1_200, None), evm_state(12, 1_250, None), sent.clone()];
        let finality = |slot: u64, finalized: u64, header: &EvmHeader| {
            let block = Block { final_execution: Some(executed(header)), ..Block::new(slot, finalized) };
            let mut update = block.update(SIZE);
            let whole = json!({ "version": "electra", "data": update });
            // A finality update shows no committee; the update of its period does.
            (update.next_sync_committee, update.next_sync_committee_branch) = (None, vec![]);
            (json!({ "version": "electra", "data": update }), whole)
        };
        let bootstraps = [(root, json!({ "version": "electra", "data": bootstrap }))].into();
        let near = Beacon { bootstraps, finality: Some(finality(40, 24, &sent.header).0), ..Beacon::default() };
        let (late, _) = finality(2 * PERIOD + 20, 2 * PERIOD + 12, &sent.header);
        let (_, whole) = finality(40, 24, &states[1].header);
        let far = Beacon { finality: Some(late), updates: [(0, whole)].into(), ..near.clone() };
        Self { follower, packet, states, near, far }
    }

    pub(crate) fn blocks(&self) -> Vec<EvmHeader> {
        self.states.iter().map(|state| state.header.clone()).collect()
    }
}

fn executed(header: &EvmHeader) -> Execution {
    Execution { number: header.number, state_root: header.state_root, time: header.timestamp }
}
