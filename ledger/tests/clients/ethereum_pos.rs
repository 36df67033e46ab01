//! The `ethereum-pos` client on the ledger.

use crate::beacon_chain::{Block, Execution, PERIOD, SIZE, network};
use crate::common::Chain;
use crate::common::evm::Evm;
use crate::support::{evidence, open, packets_cross, refused, update, vector, view};
use alloy_primitives::{Address, B256, b256};
use crosspoint_ledger::code;
use crosspoint_ledger::events::Event;
use crosspoint_ledger::query::{ClientView, SignersView};
use crosspoint_ledger::tx::action::{Action, ClientSpec, EthereumPosSpec};
use crosspoint_light_proofs::ethereum_pos::{
    Bootstrap, ConsensusState, Fork, Header, Network, Preset, SyncCommittee, Update,
};
use crosspoint_protocol::ids::{ClientId, Height};

fn executed(evm: &Evm) -> Execution {
    let head = evm.head();
    Execution { number: head.number, state_root: head.state_root, time: head.time }
}

fn spec(evm: &Evm, slot: u64) -> ClientSpec {
    let attested = evm.spec();
    let bootstrap = Block { execution: Some(executed(evm)), ..Block::new(slot, 0) }.bootstrap();
    ClientSpec::EthereumPos(Box::new(EthereumPosSpec {
        chain_id: attested.chain_id,
        network: network(Preset::MINIMAL),
        gateway: attested.gateway,
        base_slot: attested.base_slot,
        block_root: bootstrap.header.beacon.root(),
        bootstrap,
        trusting_period: 86_400,
    }))
}

fn encode(header: &Header) -> Vec<u8> {
    header.encode(Preset::MINIMAL, Fork::Electra)
}

/// A block in whose state the EVM chain's newest block is final, in this slot.
fn final_in(evm: &Evm, slot: u64, finalized: u64) -> Block {
    Block { final_execution: Some(executed(evm)), ..Block::new(slot, finalized) }
}

/// Without the committee that it shows.
fn bare(mut header: Header) -> Header {
    (header.update.next_sync_committee, header.update.next_sync_committee_branch) = (None, vec![]);
    header
}

fn linked(slot: u64) -> (Evm, Chain, ClientId) {
    let (evm, mut chain) = (Evm::new(), Chain::new());
    let client = open(&mut chain, spec(&evm, slot));
    assert_eq!(client.as_str(), "ethereum-pos-0");
    (evm, chain, client)
}

fn state(chain: &Chain, client: &ClientId) -> ConsensusState {
    match view(chain, client).signers {
        SignersView::SyncCommittees { state, .. } => state,
        other => panic!("{other:?}"),
    }
}

#[test]
fn packets_cross_to_a_chain_followed_by_its_sync_committees_from_period_to_period() {
    let (mut evm, mut chain, client) = linked(8);
    let found: ClientView = view(&chain, &client);
    assert_eq!((found.client_type.as_str(), found.counterparty_chain.as_str()), ("ethereum-pos", "eip155-31337"));
    let (mut slot, mut trusted) = (8, evm.head().number);
    packets_cross(&mut chain, &client, &mut evm, &mut |evm, time| {
        evm.mine(time);
        slot += PERIOD / 2;
        let header = final_in(evm, slot, slot - 8).signed_from(trusted, SIZE);
        trusted = evm.head().number;
        encode(&header)
    });
    assert_eq!(view(&chain, &client).trusted.height.0, trusted);
    assert!(state(&chain, &client).next_committee.is_some());
    evm.mine(chain.now);
    let good = final_in(&evm, slot + 20, slot + 12);
    let why = refused(&mut chain, &client, encode(&good.signed_from(trusted, 21)));
    assert!(why.contains("21 of 32 signed"), "{why}");
    let mut other = good.signed_from(trusted, SIZE);
    other.update.finalized_header = Some(Block { executed: 7, ..Block::new(slot + 12, 0) }.header());
    let why = refused(&mut chain, &client, encode(&other));
    assert!(why.contains("finalized header is not the one"), "{why}");
    let why = refused(
        &mut chain,
        &client,
        encode(&final_in(&evm, slot + 3 * PERIOD, slot + 3 * PERIOD - 8).signed_from(trusted, SIZE)),
    );
    assert!(why.contains("period"), "{why}");
    let execution = Execution { time: chain.now + 1_000, ..executed(&evm) };
    let ahead = Block { final_execution: Some(execution), ..Block::new(slot + 20, slot + 12) };
    let why = refused(&mut chain, &client, encode(&ahead.signed_from(trusted, SIZE)));
    assert!(why.contains("is ahead of"), "{why}");
    let mut long = encode(&good.signed_from(trusted, SIZE));
    long.push(0);
    assert!(refused(&mut chain, &client, long).contains("protobuf"));
    update(&mut chain, &client, encode(&good.signed_from(trusted, 22)));
    assert!(update(&mut chain, &client, encode(&good.signed_from(trusted, 22))).is_empty(), "known already");
}

#[test]
fn nobody_can_keep_a_client_without_the_next_committee() {
    let (mut evm, mut chain, client) = linked(8);
    let anchor = evm.head().number;
    // Somebody moves the client to the end of its period and leaves the committee out.
    evm.mine(chain.now);
    let early = final_in(&evm, 40, 24);
    evm.mine(chain.now + 1);
    let middle = evm.head().number;
    let at_end = bare(final_in(&evm, 62, 56).signed_from(anchor, SIZE));
    update(&mut chain, &client, encode(&at_end));
    assert_eq!(state(&chain, &client).next_committee, None);
    evm.mine(chain.now + 1);
    let next_period = final_in(&evm, PERIOD + 20, PERIOD + 12);
    let why = refused(&mut chain, &client, encode(&next_period.signed_from(middle, SIZE)));
    assert!(why.contains("committees known are those of period 0"), "{why}");
    // An update that finalizes nothing new shows it all the same.
    let shown = encode(&early.signed_from(middle, SIZE));
    update(&mut chain, &client, shown.clone());
    let complete = state(&chain, &client);
    assert!(complete.next_committee.is_some());
    let why = refused(&mut chain, &client, shown);
    assert!(why.contains("not above"), "{why}");
    // Nor can it be made to forget: an update believed from an older state, which lacks it.
    let again = bare(final_in(&evm, 62, 60).signed_from(anchor, SIZE));
    update(&mut chain, &client, encode(&again));
    assert_eq!(state(&chain, &client).next_committee, complete.next_committee);
    let trusted = evm.head().number;
    evm.mine(chain.now + 1);
    update(&mut chain, &client, encode(&final_in(&evm, PERIOD + 30, PERIOD + 20).signed_from(trusted, SIZE)));
    assert_eq!(state(&chain, &client).slot, PERIOD + 20);
}

#[test]
fn a_second_final_block_freezes_and_old_evidence_does_not_freeze_again() {
    let (mut evm, mut chain, client) = linked(8);
    let anchor = evm.head().number;
    evm.mine(chain.now);
    let one = final_in(&evm, 40, 24);
    let other = Execution { state_root: B256::repeat_byte(6), ..executed(&evm) };
    let fork = Block { final_execution: Some(other), ..one };
    update(&mut chain, &client, encode(&one.signed_from(anchor, SIZE)));
    chain.refused("bob", evidence(&client, &[encode(&one.signed_from(anchor, SIZE))]), code::CLIENT);
    let minority = evidence(&client, &[encode(&fork.signed_from(anchor, 21))]);
    assert!(chain.refused("bob", minority, code::CLIENT).contains("21 of 32"));
    // Given as an update, it is evidence.
    let events = update(&mut chain, &client, encode(&fork.signed_from(anchor, SIZE)));
    assert!(matches!(&events[..], [Event::ClientFrozen { .. }]), "{events:?}");
    let why = refused(&mut chain, &client, encode(&final_in(&evm, 50, 32).signed_from(anchor, SIZE)));
    assert!(why.contains("frozen"), "{why}");
    // Anchored anew above what was forged, in the same period: the same evidence says nothing.
    evm.mine(chain.now);
    chain.decide(Action::ReanchorClient { client: client.clone(), spec: Box::new(spec(&evm, 41)) });
    let trusted = evm.head().number;
    let pair = [encode(&one.signed_from(trusted, SIZE)), encode(&fork.signed_from(trusted, SIZE))];
    chain.refused("bob", evidence(&client, &pair), code::CLIENT);
    chain.refused("bob", evidence(&client, &pair[1..]), code::CLIENT);
    assert!(!view(&chain, &client).frozen);
    // Two that it never saw freeze it: another next committee of one period.
    evm.mine(chain.now);
    let honest = final_in(&evm, 60, 50);
    let pair = [honest, Block { next: Some(9), ..honest }].map(|block| encode(&block.signed_from(trusted, SIZE)));
    let events = chain.ok("bob", evidence(&client, &pair));
    assert!(matches!(events[0], Event::ClientFrozen { .. }));
}

#[test]
fn trust_begins_at_the_block_whose_root_governors_compare() {
    let (evm, mut chain) = (Evm::new(), Chain::new());
    let ClientSpec::EthereumPos(good) = spec(&evm, 8) else { panic!() };
    let mut other_root = good.clone();
    other_root.block_root.0[3] ^= 1;
    let mut other_committee = good.clone();
    other_committee.bootstrap.current_sync_committee.pubkeys.swap(0, 1);
    let mut future = good.clone();
    future.bootstrap = Block::new(1 << 40, 0).bootstrap();
    future.block_root = future.bootstrap.header.beacon.root();
    for (spec, why) in [(other_root, "has root"), (other_committee, "current committee"), (future, "in the future")] {
        let action = Box::new(Action::CreateClient { spec: Box::new(ClientSpec::EthereumPos(spec)) });
        let events = chain.ok("mall", crosspoint_ledger::tx::message::Message::Propose { action });
        let Event::ProposalCreated { proposal, .. } = events[0] else { panic!("{events:?}") };
        let approve = crosspoint_ledger::tx::message::Message::Approve { proposal };
        let said = chain.refused("marketing", approve, code::INVALID);
        assert!(said.contains(why), "{said}");
    }
}

fn mainnet() -> Network {
    let forks = [Fork::Altair, Fork::Bellatrix, Fork::Capella].into_iter().zip([74_240, 144_896, 194_048]).enumerate();
    let forks = forks.map(|(at, (fork, epoch))| (fork, epoch, [at as u8 + 1, 0, 0, 0].into())).collect();
    let genesis = b256!("4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95");
    Network::new(Preset::MAINNET, genesis, (1_606_824_023, 12), forks).unwrap()
}

#[test]
fn mainnet_is_followed_from_a_bootstrap_through_five_periods() {
    let folder = "sync-committee/helios-mainnet-capella";
    let read = |file: &str| vector(&format!("{folder}/{file}.json"));
    let Some(bootstrap) = read("bootstrap") else { return };
    let bootstrap: Bootstrap = serde_json::from_value(bootstrap["data"].clone()).unwrap();
    let mut updates: Vec<Update> = read("updates")
        .unwrap()
        .as_array()
        .unwrap()
        .iter()
        .map(|update| serde_json::from_value(update["data"].clone()).unwrap())
        .collect();
    updates.push(serde_json::from_value(read("finality").unwrap()["data"].clone()).unwrap());
    let mut chain = Chain::new();
    let client = open(
        &mut chain,
        ClientSpec::EthereumPos(Box::new(EthereumPosSpec {
            chain_id: 1,
            network: mainnet(),
            gateway: Address::repeat_byte(9),
            base_slot: B256::ZERO,
            block_root: bootstrap.header.beacon.root(),
            bootstrap: bootstrap.clone(),
            trusting_period: 100 * 365 * 86_400,
        })),
    );
    let mut committees: Vec<SyncCommittee> = vec![bootstrap.current_sync_committee];
    for (at, update) in updates.iter().enumerate() {
        let trusted_height = view(&chain, &client).trusted.height;
        let period = mainnet().period(update.signature_slot);
        let signers = committees[usize::try_from(period - 862).unwrap()].clone();
        committees.extend(update.next_sync_committee.clone());
        let header = Header { trusted_height, signers, update: update.clone() };
        let bytes = header.encode(Preset::MAINNET, Fork::Capella);
        self::update(&mut chain, &client, bytes);
        let finalized = update.finalized_header.as_ref().unwrap();
        let found = view(&chain, &client);
        // The first shows the next committee alone: what it finalizes is older than the bootstrap.
        if at > 0 {
            let number = finalized.execution.as_ref().unwrap().block_number;
            assert_eq!((found.trusted.height, found.trusted_hash), (Height(number), finalized.beacon.root().to_vec()));
        }
    }
    assert_eq!(state(&chain, &client).slot, 7_109_344);
}
