//! The sync protocol against what the specification's tests and real networks say.

use crate::support::{assert_all_seen, unhex, vector, vector_bytes, vector_text, vectors};
use alloy_primitives::{Address, B256, FixedBytes, b256, fixed_bytes};
use crosspoint_light_proofs::ethereum_pos::{
    BeaconHeader, Bootstrap, ClientState, ConsensusState, Fork, Header, Latest, LightClientHeader, Network, Preset,
    Store, SyncCommittee, SyncError, Update, anchor, verify_update,
};
use crosspoint_protocol::ids::{Height, Timestamp};
use serde_json::{Value, json};

const ROOT: &str = "sync-committee";

fn version(first: u8, last: u8) -> FixedBytes<4> {
    [first, 0, 0, last].into()
}

pub(crate) fn mainnet() -> Network {
    let genesis = b256!("4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95");
    let epochs = [74_240, 144_896, 194_048, 269_568, 364_032, 411_392];
    let forks = FORKS.into_iter().zip(epochs).enumerate();
    let forks = forks.map(|(at, (fork, epoch))| (fork, epoch, version(at as u8 + 1, 0))).collect();
    Network::new(Preset::MAINNET, genesis, (1_606_824_023, 12), forks).unwrap()
}

const FORKS: [Fork; 6] = [Fork::Altair, Fork::Bellatrix, Fork::Capella, Fork::Deneb, Fork::Electra, Fork::Fulu];

/// A field of the flat YAML that the specification's tests use.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("{name}:"))?;
    rest.split([',', '\n', '}']).next().map(|value| value.trim().trim_matches('\''))
}

fn word(text: &str, name: &str) -> B256 {
    field(text, name).unwrap().parse().unwrap()
}

fn number(text: &str, name: &str) -> u64 {
    field(text, name).unwrap().parse().unwrap()
}

fn network_of(config: &str, meta: &str, newest: Fork) -> Network {
    let forks = FORKS.into_iter().take_while(|fork| *fork <= newest).map(|fork| {
        let name = serde_json::to_value(fork).unwrap().as_str().unwrap().to_uppercase();
        let version = field(config, &format!("{name}_FORK_VERSION")).unwrap().parse().unwrap();
        (fork, number(config, &format!("{name}_FORK_EPOCH")), version)
    });
    let clock = (number(config, "MIN_GENESIS_TIME"), number(config, "SECONDS_PER_SLOT"));
    Network::new(Preset::MINIMAL, word(meta, "genesis_validators_root"), clock, forks.collect()).unwrap()
}

fn raw(path: &str) -> Vec<u8> {
    snap::raw::Decoder::new().decompress_vec(&vector_bytes(path).unwrap()).unwrap()
}

/// An update that was recorded, with the network and the store that takes it.
pub(crate) type Recorded = (Network, Store, Update);

/// Runs one of the specification's test cases; how many steps it had. Updates are shown before they are taken.
fn run_case(folder: &str, config: &str, fork: Fork, recorded: &mut Vec<Recorded>) -> usize {
    let Some(steps) = vector_text(&format!("{folder}/steps.yaml")) else { return 0 };
    let meta = vector_text(&format!("{folder}/meta.yaml")).unwrap();
    let network = network_of(&vector_text(config).unwrap(), &meta, fork);
    let bytes = raw(&format!("{folder}/bootstrap.ssz_snappy"));
    let bootstrap = Bootstrap::from_ssz(Preset::MINIMAL, fork, &bytes).unwrap();
    assert_eq!(bootstrap.to_ssz(fork), bytes);
    let mut store = Store::new(&network, word(&meta, "trusted_block_root"), &bootstrap).unwrap();
    let steps: Vec<&str> = steps.split("\n- ").collect();
    for step in &steps {
        let now = number(step, "current_slot");
        if step.contains("process_update") {
            let bytes = raw(&format!("{folder}/{}.ssz_snappy", field(step, " update").unwrap()));
            let update = Update::from_ssz(Preset::MINIMAL, fork, &bytes).unwrap();
            assert_eq!(update.to_ssz(Preset::MINIMAL, fork), bytes);
            recorded.push((network.clone(), store.clone(), update.clone()));
            store.process(&network, &update, now).unwrap();
        } else {
            assert!(step.contains("force_update"), "{step}");
            store.force_update(&network, now);
        }
        let (finalized, optimistic) = step.split_once("optimistic_header:").unwrap();
        let finalized = finalized.split_once("finalized_header:").unwrap().1;
        for (header, expected) in [(&store.finalized_header, finalized), (&store.optimistic_header, optimistic)] {
            assert_eq!(header.beacon.slot, number(expected, "slot"), "{step}");
            assert_eq!(header.beacon.root(), word(expected, "beacon_root"), "{step}");
            let root = header.execution.as_ref().unwrap().root(fork).unwrap();
            assert_eq!(root, word(expected, "execution_root"), "{step}");
        }
    }
    steps.len()
}

/// Runs all of them; how many steps they had, and their updates.
fn run_cases() -> (usize, Vec<Recorded>) {
    let minimal = format!("{ROOT}/consensus-spec-minimal");
    let (mut steps, mut recorded) = (0, vec![]);
    for (name, fork, cases) in [
        ("deneb", Fork::Deneb, ["light_client_sync", "advance_finality_without_sync_committee"]),
        ("electra", Fork::Electra, ["light_client_sync", "supply_sync_committee_from_past_update"]),
    ] {
        for case in cases {
            let folder = format!("{minimal}/{name}/{case}");
            steps += run_case(&folder, &format!("{folder}/config.yaml"), fork, &mut recorded);
        }
    }
    (steps, recorded)
}

#[test]
fn every_step_of_the_specifications_sync_tests_leads_where_it_says() {
    assert_all_seen(run_cases().0, 26);
}

pub(crate) fn specification() -> Vec<Recorded> {
    run_cases().1
}

pub(crate) fn helios(file: &str) -> Option<Value> {
    vector(&format!("{ROOT}/helios-mainnet-capella/{file}.json"))
}

pub(crate) fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value["data"].clone()).unwrap()
}

/// The store of mainnet in Capella, after all updates of the vectors.
fn mainnet_store() -> Option<(Store, Vec<Update>)> {
    let network = mainnet();
    let bootstrap: Bootstrap = read(&helios("bootstrap")?);
    let mut store = Store::new(&network, bootstrap.header.beacon.root(), &bootstrap).unwrap();
    let updates: Vec<Update> = helios("updates")?.as_array().unwrap().iter().map(read).collect();
    for update in &updates {
        store.process(&network, update, 7_200_000).unwrap();
    }
    Some((store, updates))
}

/// Mainnet in Capella: each update from the store that took the one before, then the optimistic one.
pub(crate) fn capella() -> Vec<Recorded> {
    let Some(bootstrap) = helios("bootstrap") else { return vec![] };
    let (network, bootstrap) = (mainnet(), read::<Bootstrap>(&bootstrap));
    let mut store = Store::new(&network, bootstrap.header.beacon.root(), &bootstrap).unwrap();
    let (updates, last) = (helios("updates").unwrap(), helios("optimistic").unwrap());
    let updates = updates.as_array().unwrap().iter().chain([&last]).map(read::<Update>);
    let taken = updates.map(|update| {
        let before = store.clone();
        store.process(&network, &update, u64::MAX).unwrap();
        (network.clone(), before, update)
    });
    taken.collect()
}

#[test]
fn updates_of_mainnet_in_capella_verify_one_after_another() {
    let Some((mut store, updates)) = mainnet_store() else { return };
    let network = mainnet();
    let newest = updates.last().unwrap();
    assert_eq!(store.finalized_header, newest.finalized_header.clone().unwrap());
    for file in ["finality", "optimistic"] {
        let update: Update = read(&helios(file).unwrap());
        store.process(&network, &update, update.signature_slot).unwrap();
        assert_eq!(store.optimistic_header, update.attested_header);
    }
    assert_eq!(store.finalized_header.beacon.slot, 7_109_344);
    for update in &updates {
        let bytes = update.to_ssz(Preset::MAINNET, Fork::Capella);
        assert_eq!(Update::from_ssz(Preset::MAINNET, Fork::Capella, &bytes).as_ref(), Ok(update));
        let json: Update = serde_json::from_value(serde_json::to_value(update).unwrap()).unwrap();
        assert_eq!(json, *update);
    }
}

#[test]
fn every_changed_part_of_a_mainnet_update_is_refused_by_name() {
    let Some((store, _)) = mainnet_store() else { return };
    let network = mainnet();
    let good: Update = read(&helios("finality").unwrap());
    let now = good.signature_slot;
    let refused = |change: &dyn Fn(&mut Update)| {
        let mut update = good.clone();
        change(&mut update);
        store.clone().process(&network, &update, now).unwrap_err()
    };
    let flip = |word: &mut B256| word.0[5] ^= 1;
    assert!(store.clone().process(&network, &good, now).is_ok());
    assert!(matches!(store.clone().process(&network, &good, now - 1), Err(SyncError::SlotOrder { .. })));
    assert_eq!(refused(&|u| u.attested_header.beacon.proposer_index += 1), SyncError::Signature);
    assert_eq!(refused(&|u| flip(&mut u.attested_header.beacon.parent_root)), SyncError::Signature);
    assert_eq!(refused(&|u| flip(&mut u.attested_header.beacon.state_root)), SyncError::Finality);
    assert_eq!(refused(&|u| flip(&mut u.attested_header.beacon.body_root)), SyncError::Execution("attested"));
    let attested = SyncError::Execution("attested");
    assert_eq!(refused(&|u| flip(&mut u.attested_header.execution.as_mut().unwrap().state_root)), attested);
    assert_eq!(refused(&|u| u.attested_header.execution.as_mut().unwrap().timestamp += 1), attested);
    assert_eq!(refused(&|u| u.attested_header.execution.as_mut().unwrap().blob_gas_used = 1), attested);
    assert_eq!(refused(&|u| flip(&mut u.attested_header.execution_branch[2])), attested);
    assert_eq!(refused(&|u| u.attested_header.execution = None), attested);
    let finalized = SyncError::Execution("finalized");
    let execution = |u: &mut Update| u.finalized_header.as_mut().unwrap().execution.take();
    assert_eq!(refused(&|u| drop(execution(u))), finalized);
    assert_eq!(refused(&|u| u.finalized_header.as_mut().unwrap().beacon.slot += 1), SyncError::Finality);
    assert_eq!(refused(&|u| flip(&mut u.finality_branch[5])), SyncError::Finality);
    assert_eq!(refused(&|u| u.finality_branch.truncate(5)), SyncError::Finality);
    assert_eq!(refused(&|u| u.finality_branch.insert(0, B256::repeat_byte(1))), SyncError::Finality);
    assert_eq!(refused(&|u| u.finality_branch.clear()), SyncError::Finality);
    assert_eq!(refused(&|u| u.finalized_header = None), SyncError::Finality);
    assert_eq!(refused(&|u| u.next_sync_committee_branch = vec![B256::repeat_byte(1)]), SyncError::NextCommittee);
    assert_eq!(
        refused(&|u| u.next_sync_committee = Some(store.current_sync_committee.clone())),
        SyncError::NextCommittee
    );
    assert!(matches!(refused(&|u| u.signature_slot = u.attested_header.beacon.slot), SyncError::SlotOrder { .. }));
    let bit = |u: &mut Update, at: usize| {
        let mut bits = u.sync_aggregate.sync_committee_bits.to_vec();
        bits[at] ^= 1;
        u.sync_aggregate.sync_committee_bits = bits.into();
    };
    assert_eq!(refused(&|u| bit(u, 0)), SyncError::Signature);
    assert_eq!(refused(&|u| bit(u, 63)), SyncError::Signature);
    assert_eq!(refused(&|u| u.sync_aggregate.sync_committee_bits = vec![0; 64].into()), SyncError::NoParticipants);
    assert_eq!(refused(&|u| u.sync_aggregate.sync_committee_bits = vec![255; 63].into()), SyncError::CommitteeSize);
    assert_eq!(refused(&|u| u.sync_aggregate.sync_committee_signature.0[9] ^= 1), SyncError::MalformedPoint);
    let other = fixed_bytes!("c0").0;
    assert_eq!(refused(&|u| u.sync_aggregate.sync_committee_signature.0[0] = other[0]), SyncError::MalformedPoint);
    // In the padded form of later forks it is the same branch.
    let mut padded = good.clone();
    padded.finality_branch.insert(0, B256::ZERO);
    assert!(store.clone().process(&network, &padded, now).is_ok());
    // From a state more than a period behind nothing is believed.
    let mut old = store;
    old.finalized_header.beacon.slot -= 3 * 8_192;
    assert!(matches!(old.process(&network, &good, now), Err(SyncError::UnknownPeriod { .. })));
}

fn beacon(slot: u64) -> LightClientHeader {
    LightClientHeader { beacon: BeaconHeader { slot, ..Default::default() }, ..Default::default() }
}

/// `[thing, branch]` as the field and its branch.
fn paired(update: &mut Value, name: &str, branch: &str) {
    let pair = update[name].take();
    update[name] = pair[0].clone();
    update[branch] = pair[1].clone();
}

/// Mainnet in Bellatrix: a store that knows the committee of the period, and an update.
pub(crate) fn bellatrix() -> Option<Recorded> {
    let folder = format!("{ROOT}/datachainlab/mainnet");
    let mut update = vector(&format!("{folder}/mainnet_light_client_update_slot_5841038.json"))?;
    paired(&mut update, "next_sync_committee", "next_sync_committee_branch");
    paired(&mut update, "finalized_header", "finality_branch");
    for name in ["attested_header", "finalized_header"] {
        update[name] = json!({ "beacon": update[name] });
    }
    let update: Update = serde_json::from_value(update).unwrap();
    let committee = vector(&format!("{folder}/mainnet_sync_committee_period_713.json")).unwrap();
    let committee: SyncCommittee = serde_json::from_value(committee).unwrap();
    Some((mainnet(), Store::resume(beacon(713 * 8_192), committee, None), update))
}

#[test]
fn an_update_of_mainnet_in_bellatrix_verifies_without_an_execution_header() {
    let Some((network, mut store, update)) = bellatrix() else { return };
    let signed = vector(&format!("{ROOT}/datachainlab/mainnet/mainnet_signing_root_slot_5841037.json")).unwrap();
    let root = network.signing_root(update.attested_header.beacon.root(), update.signature_slot).unwrap();
    assert_eq!(root, signed.as_str().unwrap().parse::<B256>().unwrap());
    store.process(&network, &update, update.signature_slot).unwrap();
    assert_eq!(Some(store.finalized_header), update.finalized_header);
    assert!(store.next_sync_committee.is_some());
}

/// A devnet in Bellatrix, each update from the store that took the one before.
pub(crate) fn bellatrix_devnet() -> Vec<Recorded> {
    let folder = format!("{ROOT}/datachainlab/bellatrix-minimal-devnet");
    let Some(initial) = vector(&format!("{folder}/initial_state.json")) else { return vec![] };
    let genesis = initial[2].as_str().unwrap().parse().unwrap();
    let forks = vec![(Fork::Altair, 0, version(1, 1)), (Fork::Bellatrix, 0, version(2, 1))];
    let network = Network::new(Preset::MINIMAL, genesis, (1_578_009_600, 6), forks).unwrap();
    let mut bootstrap = initial[0].clone();
    bootstrap["header"] = json!({ "beacon": bootstrap["beacon_header"] });
    let bootstrap: Bootstrap = serde_json::from_value(bootstrap).unwrap();
    let mut store = Store::new(&network, bootstrap.header.beacon.root(), &bootstrap).unwrap();
    let files = [
        "light_client_update_period_5",
        "light_client_update_period_6",
        "finality_update_period_6",
        "light_client_update_period_7",
        "finality_update_period_7",
    ];
    let taken = files.map(|file| {
        let mut update = vector(&format!("{folder}/{file}.json")).unwrap()[0]["light_client_update"].take();
        for (name, branch) in
            [("next_sync_committee", "next_sync_committee_branch"), ("finalized_header", "finality_branch")]
        {
            if update[name].is_array() {
                paired(&mut update, name, branch);
            }
        }
        for name in ["attested_header", "finalized_header"] {
            update[name] = json!({ "beacon": update[name] });
        }
        let (before, update) = (store.clone(), serde_json::from_value::<Update>(update).unwrap());
        store.process(&network, &update, update.signature_slot).unwrap();
        (network.clone(), before, update)
    });
    taken.into()
}

#[test]
fn a_devnet_in_bellatrix_is_followed_for_three_periods() {
    let mut finalized = vec![];
    for (network, mut store, update) in bellatrix_devnet() {
        let mut forged = update.clone();
        forged.attested_header.beacon.proposer_index += 1;
        assert_eq!(store.process(&network, &forged, update.signature_slot), Err(SyncError::Signature));
        store.process(&network, &update, update.signature_slot).unwrap();
        finalized.push(store.finalized_header.beacon.slot);
        let bytes = update.to_ssz(Preset::MINIMAL, Fork::Bellatrix);
        let again = Update::from_ssz(Preset::MINIMAL, Fork::Bellatrix, &bytes).unwrap();
        assert_eq!(
            (again.finalized_header, again.next_sync_committee),
            (update.finalized_header, update.next_sync_committee)
        );
    }
    // The first brings a committee only.
    assert_all_seen(finalized, vec![352, 384, 392, 448, 456]);
}

/// Sepolia in Deneb: the network, a store that knows the committee that signed, and the update.
pub(crate) fn sepolia() -> Option<(Network, Store, Update)> {
    let folder = format!("{ROOT}/union-sepolia-6553725");
    let update: Update =
        serde_json::from_value(vector(&format!("{folder}/light_client_update_6553725.json"))?).unwrap();
    let committee = vector(&format!("{folder}/sync_committee_6553725.json")).unwrap();
    let committee: SyncCommittee = serde_json::from_value(committee).unwrap();
    let genesis = b256!("d8ea171f3c94aea21ebc42a1ed61052acf3f9209c00e4efbaaddac09ed9b8078");
    let forks = [50, 100, 56_832, 132_608].into_iter().zip(FORKS).enumerate();
    let forks = forks.map(|(at, (epoch, fork))| (fork, epoch, [0x90, 0, 0, 0x70 + at as u8].into())).collect();
    let network = Network::new(Preset::MAINNET, genesis, (1_655_733_600, 12), forks).unwrap();
    let period = network.period(update.signature_slot) * 8_192;
    let store = Store::resume(beacon(period.min(update.finalized_slot() - 1)), committee, None);
    Some((network, store, update))
}

/// Mainnet in Capella: the network, a store after all updates, and the finality update that follows.
pub(crate) fn mainnet_finality() -> Option<(Network, Store, Update)> {
    let (store, _) = mainnet_store()?;
    Some((mainnet(), store, read(&helios("finality")?)))
}

#[test]
fn an_update_of_sepolia_in_deneb_verifies() {
    let Some((network, mut store, update)) = sepolia() else { return };
    store.process(&network, &update, update.signature_slot).unwrap();
    assert_eq!(Some(&store.finalized_header), update.finalized_header.as_ref());
    // Where another committee is known for the period after, the one shown is not taken.
    let known = Some(store.current_sync_committee.clone());
    let (_, fresh, _) = sepolia().unwrap();
    let mut store = Store::resume(fresh.finalized_header, fresh.current_sync_committee, known);
    assert_eq!(store.process(&network, &update, update.signature_slot), Err(SyncError::NextCommittee));
}
/// The JSON objects that stand in a transaction's bytes one after another.
fn embedded(bytes: &[u8]) -> Vec<Value> {
    const START: &[u8] = b"{\"active_sync_committee\"";
    let starts = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(START));
    starts.map(|at| serde_json::Deserializer::from_slice(&bytes[at..]).into_iter().next().unwrap().unwrap()).collect()
}

/// An update as that relayer writes it: fees in hex, and a committee of zeros for none.
fn consensus_update(value: &Value) -> Update {
    let mut value = value.clone();
    value.as_object_mut().unwrap().retain(|_, field| !field.is_null());
    for name in ["attested_header", "finalized_header"] {
        let fee = &mut value[name]["execution"]["base_fee_per_gas"];
        let hex = fee.as_str().unwrap().strip_prefix("0x").unwrap();
        *fee = u64::from_str_radix(hex, 16).unwrap().to_string().into();
    }
    let mut update: Update = serde_json::from_value(value).unwrap();
    if !update.has_committee() {
        update.next_sync_committee = None;
    }
    update
}

/// A header of a local network in Fulu, with the client and the state that believe it, and when.
pub(crate) type RecordedHeader = (ClientState, ConsensusState, Header, Timestamp);

/// Each from what the one before led to.
pub(crate) fn fulu() -> Vec<RecordedHeader> {
    let mut all = vec![];
    for (name, case) in vectors(&format!("{ROOT}/eureka-devnet"), 3) {
        let steps = case["steps"].as_array().unwrap();
        let (client, state) = (&steps[0]["data"]["client_state"], &steps[0]["data"]["consensus_state"]);
        let forks = FORKS.into_iter().map(|fork| {
            let entry = &client["fork_parameters"][serde_json::to_value(fork).unwrap().as_str().unwrap()];
            (fork, entry["epoch"].as_u64().unwrap(), entry["version"].as_str().unwrap().parse().unwrap())
        });
        let preset = Preset { sync_committee_size: 32, slots_per_epoch: 8, epochs_per_period: 8 };
        let clock = (client["genesis_time"].as_u64().unwrap(), client["seconds_per_slot"].as_u64().unwrap());
        let genesis = client["genesis_validators_root"].as_str().unwrap().parse().unwrap();
        let network = Network::new(preset, genesis, clock, forks.collect()).unwrap();
        let time = Timestamp(state["timestamp"].as_u64().unwrap());
        let slot = state["slot"].as_u64().unwrap();
        let mut known = ClientState {
            evm_chain_id: client["chain_id"].as_u64().unwrap(),
            network,
            latest: Latest { slot, root: B256::ZERO, number: Height(slot), time },
            trusting_period: 100_000,
            store_address: client["ibc_contract_address"].as_str().unwrap().parse().unwrap(),
            base_slot: B256::ZERO,
            frozen: false,
            generation: 0,
        };
        // The committees are told as another hash there; the first update's is taken for what was trusted.
        let mut trusted: Option<ConsensusState> = None;
        for update in
            steps.iter().skip(1).flat_map(|step| embedded(&unhex(step["data"]["relayer_tx_body"].as_str().unwrap())))
        {
            let active = update["active_sync_committee"].as_object().unwrap();
            let (period, signers) = active.iter().next().unwrap();
            let signers: SyncCommittee = serde_json::from_value(signers.clone()).unwrap();
            let root = signers.root();
            let from = trusted.unwrap_or_else(|| ConsensusState {
                root: state["state_root"].as_str().unwrap().parse().unwrap(),
                time,
                slot,
                current_committee: if period == "Current" { root } else { B256::ZERO },
                next_committee: (period == "Next").then_some(root),
            });
            let update = consensus_update(&update["consensus_update"]);
            let now = Timestamp(update.attested_header.execution.as_ref().unwrap().timestamp + 60);
            let header = Header { trusted_height: known.latest.number, signers, update };
            all.push((known.clone(), from, header.clone(), now));
            let (next, consensus) =
                verify_update(&known, &from, &header, now).unwrap_or_else(|error| panic!("{name}: {error}"));
            (known, trusted) = (next, Some(consensus));
        }
    }
    all
}

#[test]
fn updates_of_a_local_network_in_fulu_move_a_client_that_keeps_roots() {
    let all = fulu();
    for (client, state, header, now) in &all {
        let (next, consensus) = verify_update(client, state, header, *now).unwrap();
        let finalized = header.update.finalized_header.as_ref().unwrap();
        assert_eq!(consensus.root, finalized.execution.as_ref().unwrap().state_root);
        assert_eq!(next.latest.root, finalized.beacon.root());
    }
    assert_all_seen(all.len(), 8);
}

#[test]
fn a_client_starts_from_a_bootstrap_whose_parts_belong_together() {
    let Some(value) = helios("bootstrap") else { return };
    let bootstrap: Bootstrap = read(&value);
    let client = ClientState {
        evm_chain_id: 1,
        network: mainnet(),
        latest: Latest { slot: 0, root: B256::ZERO, number: Height(0), time: Timestamp(0) },
        trusting_period: 100_000,
        store_address: Address::ZERO,
        base_slot: B256::ZERO,
        frozen: false,
        generation: 0,
    };
    let (known, state) = anchor(client.clone(), &bootstrap).unwrap();
    assert_eq!((known.latest.slot, state.slot), (7_069_376, 7_069_376));
    let json = serde_json::to_string(&known).unwrap();
    assert_eq!(serde_json::from_str::<ClientState>(&json).unwrap(), known);
    // The first update that the store took too.
    let updates = helios("updates").unwrap();
    let update: Update = read(&updates[1]);
    let now = Timestamp(update.attested_header.execution.as_ref().unwrap().timestamp + 60);
    let header =
        Header { trusted_height: known.latest.number, signers: bootstrap.current_sync_committee.clone(), update };
    // Its signers are those of the period after the bootstrap's, which nobody has shown yet.
    let early = verify_update(&known, &state, &header, now).unwrap_err();
    assert!(early.to_string().contains("period"), "{early}");

    let mut other = bootstrap.clone();
    other.current_sync_committee.pubkeys.swap(0, 1);
    assert_eq!(anchor(client.clone(), &other), Err(SyncError::CurrentCommittee.into()));
    let mut short = bootstrap.clone();
    short.current_sync_committee.pubkeys.pop();
    assert_eq!(anchor(client.clone(), &short), Err(SyncError::CommitteeSize.into()));
    let mut moved = bootstrap;
    moved.header.execution.as_mut().unwrap().state_root = B256::ZERO;
    assert_eq!(anchor(client, &moved), Err(SyncError::Execution("trusted").into()));
}
