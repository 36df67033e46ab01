//! Headers of EVM chains without attestors, from their source through the adapters into a ledger's client: sync
//! committees by beacon nodes that replay what mainnet's said, and the seals of a recorded chain.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stderr
)]

#[path = "../../light-proofs/tests/proofs/beacon_chain.rs"]
mod beacon_chain;
mod common;
mod source_support;

use alloy::consensus::Header as EvmHeader;
use alloy::primitives::{B256, b256};
use alloy_rlp::Decodable;
use beacon_chain::{Block, Execution, PERIOD, SIZE, network};
use common::{connected_to, evm_client, evm_gateway, evm_state, inbound};
use crosspoint_adapters::chain::{Chain, ItemOutcome, RelayItem};
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::evm::HeaderSource;
use crosspoint_adapters::native::NativeChain;
use crosspoint_ledger::tx::action::{ClientSpec, EthereumPosSpec, QbftSpec};
use crosspoint_light_proofs::ethereum_pos::{Bootstrap, ExecutionPayloadHeader, Fork, Network, Preset, Update};
use crosspoint_light_proofs::qbft::Encoding;
use crosspoint_protocol::ids::{ClientId, Height};
use serde_json::{Value, json};
use source_support::{Answer, Beacon, api, beacon, block_json, evm, proof_of, refusing, vector};

const CENTURY: u64 = 100 * 365 * 86_400;

fn mainnet() -> Network {
    let forks = [Fork::Altair, Fork::Bellatrix, Fork::Capella].into_iter().zip([74_240, 144_896, 194_048]).enumerate();
    let forks = forks.map(|(at, (fork, epoch))| (fork, epoch, [at as u8 + 1, 0, 0, 0].into())).collect();
    let genesis = b256!("4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95");
    Network::new(Preset::MAINNET, genesis, (1_606_824_023, 12), forks).unwrap()
}

/// An execution header with what a payload header has of it. The roots of transactions and withdrawals are other ones
/// there, so its hash is not that of mainnet's block.
fn execution_header(payload: &ExecutionPayloadHeader) -> EvmHeader {
    EvmHeader {
        parent_hash: payload.parent_hash,
        state_root: payload.state_root,
        number: payload.block_number,
        timestamp: payload.timestamp,
        ..EvmHeader::default()
    }
}

/// What a beacon node and an execution node of mainnet said, and where trust begins.
struct Recorded {
    beacon: Beacon,
    blocks: Vec<EvmHeader>,
    spec: ClientSpec,
    newest: u64,
}

fn recorded() -> Option<Recorded> {
    let read = |file: &str| vector(&format!("sync-committee/helios-mainnet-capella/{file}.json"));
    let raw = read("bootstrap")?;
    let bootstrap: Bootstrap = serde_json::from_value(raw["data"].clone()).unwrap();
    let block_root = bootstrap.header.beacon.root();
    let finality = read("finality").unwrap();
    let updates: Vec<Value> = read("updates").unwrap().as_array().unwrap().clone();
    let parsed = |value: &Value| serde_json::from_value::<Update>(value["data"].clone()).unwrap();
    let finals = updates.iter().chain([&finality]).map(|value| parsed(value).finalized_header.unwrap());
    let headers = finals.chain([bootstrap.header.clone()]).map(|header| header.execution.unwrap());
    let blocks: Vec<EvmHeader> = headers.map(|payload| execution_header(&payload)).collect();
    let newest = parsed(&finality).finalized_header.unwrap().execution.unwrap().block_number;
    let by_period =
        updates.iter().map(|value| (mainnet().period(parsed(value).attested_header.beacon.slot), value.clone()));
    let beacon = Beacon {
        bootstraps: [(block_root, raw)].into(),
        updates: by_period.collect(),
        finality: Some(finality),
        blocks: None,
    };
    let spec = ClientSpec::EthereumPos(Box::new(EthereumPosSpec {
        chain_id: 1,
        network: mainnet(),
        gateway: evm_gateway(),
        base_slot: B256::ZERO,
        block_root,
        bootstrap,
        trusting_period: CENTURY,
    }));
    Some(Recorded { beacon, blocks, spec, newest })
}

/// Moves the client until its chain has nothing newer; by how many updates.
async fn follow(evm: &dyn Chain, native: &NativeChain, client: &ClientId) -> (usize, ChainError) {
    for steps in 0..20 {
        let status = native.client(client).await.unwrap();
        match evm.prove_update(&status).await {
            Ok(proven) => drop(native.submit(client, &proven).await.unwrap()),
            Err(error) => return (steps, error),
        }
    }
    panic!("the client does not arrive");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_follows_mainnet_by_beacon_nodes_of_which_one_is_honest() {
    let Some(Recorded { beacon: honest, blocks, spec, newest }) = recorded() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (solo, native, client) = connected_to(dir.path(), spec).await;
    assert_eq!(client.as_str(), "ethereum-pos-0");
    // A signature that does not verify, a stale answer that does, none at all, too much, another thing, and no end.
    let mut forged = honest.clone();
    let flip = |update: &mut Value| update["data"]["attested_header"]["beacon"]["proposer_index"] = "1".into();
    forged.updates.values_mut().chain(&mut forged.finality).for_each(flip);
    let stale = Beacon { finality: honest.updates.get(&864).cloned(), ..honest.clone() };
    let mut nodes = vec![];
    for liar in [forged, stale, Beacon::default(), honest.clone()] {
        nodes.push(beacon(liar).await);
    }
    let good = nodes.pop().unwrap();
    for answer in [Answer::Huge, Answer::Garbage, Answer::Silence, Answer::Failure] {
        nodes.push(refusing(answer).await);
    }
    let liars = nodes.clone();
    nodes.push(good);
    let chain = evm(1, blocks.clone(), HeaderSource::EthereumPos(api(nodes)), |_, _| None).await;
    let (steps, end) = follow(&chain, &native, &client).await;
    // One shows the committee of the period after the bootstrap's alone, four go a period each, one is the newest;
    // the stale node's own step in period 864 makes one more.
    assert!((6..=7).contains(&steps), "{steps}: {end}");
    assert!(matches!(&end, ChainError::NotYet(text) if text.contains("up to date")), "{end}");
    let status = native.client(&client).await.unwrap();
    assert_eq!(status.trusted.height, Height(newest));
    // Nothing of what the liars say moves a client, and where all lie the reason is told.
    let alone = evm(1, blocks.clone(), HeaderSource::EthereumPos(api(liars[..1].to_vec())), |_, _| None).await;
    let fresh_dir = tempfile::tempdir().unwrap();
    let fresh = connected_to(fresh_dir.path(), recorded().unwrap().spec).await;
    let error = alone.prove_update(&fresh.1.client(&fresh.2).await.unwrap()).await.unwrap_err();
    assert!(matches!(&error, ChainError::Untrustworthy { detail, .. } if detail.contains("beacon node")), "{error}");
    let silent = evm(1, blocks.clone(), HeaderSource::EthereumPos(api(liars[2..].to_vec())), |_, _| None).await;
    let error = silent.prove_update(&fresh.1.client(&fresh.2).await.unwrap()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    // An execution node that has another block under that number is not believed.
    let mut other = blocks;
    other.iter_mut().for_each(|header| header.state_root.0[0] ^= 1);
    let wrong = evm(1, other, HeaderSource::EthereumPos(api(vec![beacon(honest).await])), |_, _| None).await;
    let error = wrong.prove_update(&fresh.1.client(&fresh.2).await.unwrap()).await.unwrap_err();
    assert!(matches!(&error, ChainError::Untrustworthy { detail, .. } if detail.contains("is not the one")), "{error}");
    // A client of another type is not this source's to move.
    let mut foreign = fresh.1.client(&fresh.2).await.unwrap();
    foreign.client_type = crosspoint_adapters::chain::ClientType::Attested;
    assert!(matches!(chain.prove_update(&foreign).await, Err(ChainError::InvalidRequest(_))));
    solo.stop().await.unwrap();
    fresh.0.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_waits_until_its_block_is_under_a_final_header() {
    let dir = tempfile::tempdir().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let before = evm_state(10, now - 600, None);
    let executed =
        |header: &EvmHeader| Execution { number: header.number, state_root: header.state_root, time: header.timestamp };
    let bootstrap = Block { execution: Some(executed(&before.header)), ..Block::new(8, 0) }.bootstrap();
    let spec = ClientSpec::EthereumPos(Box::new(EthereumPosSpec {
        chain_id: 31_337,
        network: network(Preset::MINIMAL),
        gateway: evm_gateway(),
        base_slot: B256::ZERO,
        block_root: bootstrap.header.beacon.root(),
        bootstrap: bootstrap.clone(),
        trusting_period: 86_400,
    }));
    let (solo, native, client) = connected_to(dir.path(), spec).await;
    let mut packet = inbound(1, crosspoint_protocol::ids::Timestamp(now), "alice", 1);
    packet.dest_client = client.clone();
    let sent = evm_state(13, now - 400, Some((packet.commitment_path(), packet.commitment())));
    let empty = evm_state(11, now - 500, None);
    let middle = evm_state(12, now - 450, None);
    let proofs = [before.clone(), empty.clone(), middle.clone(), sent.clone()];
    let blocks: Vec<EvmHeader> = proofs.iter().map(|state| state.header.clone()).collect();
    let proof = move |method: &str, params: &Value| proof_of(&proofs, method, params);
    let said = Beacon {
        bootstraps: [(bootstrap.header.beacon.root(), json!({ "version": "electra", "data": bootstrap }))].into(),
        ..Beacon::default()
    };
    let finality = |slot: u64, finalized: u64, header: &EvmHeader| {
        let block = Block { final_execution: Some(executed(header)), ..Block::new(slot, finalized) };
        let mut update = block.update(SIZE);
        let whole = json!({ "version": "electra", "data": update });
        // A finality update shows no committee; the update of its period does.
        (update.next_sync_committee, update.next_sync_committee_branch) = (None, vec![]);
        (json!({ "version": "electra", "data": update }), whole)
    };
    let nodes = |said: Beacon| async { HeaderSource::EthereumPos(api(vec![beacon(said).await])) };
    let item = [RelayItem::Recv { packet: packet.clone() }];

    let (early, whole) = finality(40, 24, &empty.header);
    let mut said = Beacon { finality: Some(early), ..said };
    said.updates.insert(0, whole);
    let chain = evm(31_337, blocks.clone(), nodes(said.clone()).await, proof.clone()).await;
    let status = native.client(&client).await.unwrap();
    let waits = chain.prove(&status, &item).await.unwrap_err();
    assert!(matches!(&waits, ChainError::NotYet(text) if text.contains("proves none")), "{waits}");

    // Two periods on: the first update, which finalizes the block before the packet's, is a step by itself.
    let (late, _) = finality(2 * PERIOD + 20, 2 * PERIOD + 12, &sent.header);
    let (_, next) = finality(PERIOD + 30, PERIOD + 20, &middle.header);
    said.finality = Some(late);
    said.updates.insert(1, next);
    let chain = evm(31_337, blocks, nodes(said).await, proof).await;
    let mut moved = vec![];
    let outcomes = loop {
        let status = native.client(&client).await.unwrap();
        moved.push(status.trusted.height.0);
        assert!(moved.len() < 6, "{moved:?}");
        let Ok(proven) = chain.prove(&status, &item).await else { panic!("{:?}", chain.prove(&status, &item).await) };
        let submitted = native.submit(&client, &proven).await.unwrap();
        if !proven.items.is_empty() {
            break submitted.outcomes;
        }
    };
    assert_eq!((outcomes, moved), (vec![ItemOutcome::Done], vec![10, 11, 12]));
    assert_eq!(native.client(&client).await.unwrap().trusted.height, Height(13));
    assert_eq!(native.client(&client).await.unwrap().counterparty_client, evm_client());
    solo.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_follows_a_recorded_chain_by_its_seals() {
    let Some(recorded) = vector("qbft/besu/ibft1_headers_devpart.json") else { return };
    let blocks = recorded.as_array().unwrap();
    let header = |at: usize| -> (B256, Vec<u8>) {
        let rlp: alloy::primitives::Bytes = blocks[at]["header_rlp"].as_str().unwrap().parse().unwrap();
        (blocks[at]["block_hash"].as_str().unwrap().parse().unwrap(), rlp.to_vec())
    };
    let spec = ClientSpec::Qbft(QbftSpec {
        chain_id: 2017,
        encoding: Encoding::Ibft1,
        gateway: evm_gateway(),
        base_slot: B256::ZERO,
        header: header(1).1.into(),
        trusting_period: CENTURY,
    });
    let dir = tempfile::tempdir().unwrap();
    let (solo, native, client) = connected_to(dir.path(), spec).await;
    let served: Vec<(B256, EvmHeader)> =
        (0..blocks.len()).map(|at| (header(at).0, EvmHeader::decode(&mut header(at).1.as_slice()).unwrap())).collect();
    let answer = |change: &'static (dyn Fn(&mut Value) + Send + Sync)| {
        let served = served.clone();
        move |method: &str, params: &Value| {
            if method != "eth_getBlockByNumber" {
                return None;
            }
            let at = match params[0].as_str()? {
                "latest" => served.len() - 1,
                number => usize::from_str_radix(number.trim_start_matches("0x"), 16).ok()?,
            };
            let (hash, header) = served.get(at)?;
            let mut json = block_json(*hash, header);
            change(&mut json);
            Some(json)
        }
    };
    let source = || HeaderSource::Qbft(Encoding::Ibft1);
    let chain = evm(2017, vec![], source(), answer(&|_| {})).await;
    let (steps, end) = follow(&chain, &native, &client).await;
    assert_eq!(steps, 1, "{end}");
    let status = native.client(&client).await.unwrap();
    assert_eq!((status.trusted.height, status.trusted_hash), (Height(66), header(66).0.to_vec()));
    // A node that changes anything is found out: the hash of what is sealed, or the seals, do not fit.
    let (other, other_dir) = (header(1), tempfile::tempdir().unwrap());
    let spec = ClientSpec::Qbft(QbftSpec {
        chain_id: 2017,
        encoding: Encoding::Ibft1,
        gateway: evm_gateway(),
        base_slot: B256::ZERO,
        header: other.1.into(),
        trusting_period: CENTURY,
    });
    let (other_solo, other_native, other_client) = connected_to(other_dir.path(), spec).await;
    let status = other_native.client(&other_client).await.unwrap();
    let liar = evm(2017, vec![], source(), answer(&|json| json["stateRoot"] = json!(B256::repeat_byte(1)))).await;
    let error = liar.prove_update(&status).await.unwrap_err();
    assert!(matches!(&error, ChainError::Untrustworthy { detail, .. } if detail.contains("does not hash")), "{error}");
    let stripped = evm(2017, vec![], source(), answer(&|json| json["extraData"] = json!("0x00"))).await;
    assert!(matches!(stripped.prove_update(&status).await, Err(ChainError::Malformed { .. })));
    // Without knowing how the chain seals, its hashes are not those of its headers.
    let attested =
        evm(2017, vec![], HeaderSource::EthereumPos(api(vec!["http://127.0.0.1:9".parse().unwrap()])), answer(&|_| {}))
            .await;
    assert!(attested.head().await.is_err());
    solo.stop().await.unwrap();
    other_solo.stop().await.unwrap();
}
