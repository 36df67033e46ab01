//! Witnesses of EVM chains: what they have against a client's headers, as evidence that a ledger's client freezes by.
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
#[path = "../../light-proofs/tests/proofs/sealed_chain.rs"]
mod sealed_chain;
#[path = "source_support/seals.rs"]
mod seals;
mod source_support;
#[allow(dead_code)]
#[path = "../../light-proofs/tests/proofs/support.rs"]
mod support;

use alloy::consensus::Header as EvmHeader;
use alloy::primitives::{Address, B256};
use beacon_chain::{Execution, SIZE, network};
use common::{EVM_CHAIN, attested, attestor, connected_to, evm_gateway, evm_state};
use crosspoint_adapters::attestor::{AttestorPool, PoolSettings};
use crosspoint_adapters::chain::{Chain, ClientStatus};
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::evm::{EvmChain, HeaderSource};
use crosspoint_adapters::native::NativeChain;
use crosspoint_adapters::proven::{AttestedEvidence, Evidence, Proven};
use crosspoint_adapters::witness::{Against, Mark, Misbehaviour, Seen, Witness};
use crosspoint_ledger::tx::action::{AttestedSpec, ClientSpec, EthereumPosSpec, QbftSpec};
use crosspoint_light_proofs::attested::{Attestors, Statement};
use crosspoint_light_proofs::ethereum_pos::Preset;
use crosspoint_light_proofs::qbft::Encoding;
use crosspoint_protocol::ids::{ClientId, Height, Timestamp};
use sealed_chain::Block;
use serde_json::{Value, json};
use source_support::{Beacon, api, beacon, block_json, node, over, serve};
use std::sync::Arc;
use url::Url;
use warp::{Filter, Reply};

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// A header that nodes can write, with this block's number, time, root and seals; and its hash.
fn sealed_header(block: &Block) -> (B256, EvmHeader) {
    let header =
        EvmHeader { number: block.number, timestamp: block.time, state_root: block.root, ..EvmHeader::default() };
    seals::sealed(header, block)
}

/// A node of a sealed chain.
async fn sealed(blocks: &[Block]) -> Url {
    let served: Vec<(u64, Value)> = blocks
        .iter()
        .map(|block| {
            let (hash, header) = sealed_header(block);
            (block.number, block_json(hash, &header))
        })
        .collect();
    let answer = move |method: &str, params: &Value| {
        let number = match params[0].as_str() {
            Some("latest") => served.last()?.0,
            Some(number) => u64::from_str_radix(number.trim_start_matches("0x"), 16).ok()?,
            None => return None,
        };
        let found = served.iter().find(|(at, _)| *at == number).map(|(_, json)| json.clone());
        (method == "eth_getBlockByNumber").then_some(found).flatten()
    };
    node(1337, vec![], answer).await
}

/// What a client trusts and what its chain would bring it next, with the witness of that chain.
struct Case {
    native: NativeChain,
    client: ClientId,
    witness: Arc<dyn Witness>,
    root: ClientStatus,
    proven: Proven,
}

impl Case {
    async fn new(native: NativeChain, client: ClientId, chain: &EvmChain) -> Self {
        let root = native.client(&client).await.unwrap();
        let proven = chain.prove_update(&root).await.unwrap();
        Self { native, client, witness: Arc::clone(&chain.witnesses()[0]), root, proven }
    }

    /// The witness has another header than this brings.
    async fn disagrees(&self) -> Mark {
        let brought = self.witness.brought(&self.root, &self.proven.evidence).unwrap();
        let seen = self.witness.header_at(&self.root, brought.height, self.proven.time).await.unwrap();
        let Seen::Header(has) = seen else { panic!("{seen:?}") };
        assert_ne!(has, brought);
        has
    }

    /// Brings what was proven; what the client trusts then.
    async fn believe(&self) -> ClientStatus {
        drop(self.native.submit(&self.client, &self.proven).await.unwrap());
        let status = self.native.client(&self.client).await.unwrap();
        let brought = self.witness.brought(&self.root, &self.proven.evidence).unwrap();
        assert!(self.native.trusts(&status, &brought).await.unwrap());
        status
    }

    async fn freezes(&self, evidence: &Misbehaviour) {
        assert!(!self.native.client(&self.client).await.unwrap().frozen);
        self.native.submit_misbehaviour(&self.client, evidence).await.unwrap();
        assert!(self.native.client(&self.client).await.unwrap().frozen);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sealed_blocks_of_a_number_freeze_the_client_before_and_after_one_is_trusted() {
    for late in [false, true] {
        let start = now() - 600;
        let keys = support::keys(4);
        let block = |number: u64| Block::new(Encoding::Qbft, number, start + number, &keys);
        let honest = [block(10), block(11), block(12)];
        let forked = [block(10), block(11), Block { root: B256::repeat_byte(0xee), ..block(12) }];
        // Sealed by one alone: a block that the witness cannot prove.
        let weak = [block(10), block(11), Block { signers: keys[..1].to_vec(), ..forked[2].clone() }];
        let spec = ClientSpec::Qbft(QbftSpec {
            chain_id: 1337,
            encoding: Encoding::Qbft,
            gateway: evm_gateway(),
            base_slot: B256::ZERO,
            header: alloy_rlp::encode(sealed_header(&honest[0]).1).into(),
            trusting_period: 86_400,
        });
        let dir = tempfile::tempdir().unwrap();
        let (solo, native, client) = connected_to(dir.path(), spec).await;
        let source = || HeaderSource::Qbft(Encoding::Qbft);
        let endpoint = sealed(&honest).await;
        let same = over(1337, vec![endpoint.clone()], vec![sealed(&honest[..]).await], source()).await;
        let behind = over(1337, vec![endpoint.clone()], vec![sealed(&honest[..2]).await], source()).await;
        let weak = over(1337, vec![endpoint.clone()], vec![sealed(&weak).await], source()).await;
        let chain = over(1337, vec![endpoint], vec![sealed(&forked).await], source()).await;
        let case = Case::new(native, client, &chain).await;
        let brought = case.witness.brought(&case.root, &case.proven.evidence).unwrap();
        assert_eq!(brought.height, Height(12));
        assert_eq!(
            same.witnesses()[0].header_at(&case.root, Height(12), case.proven.time).await.unwrap(),
            Seen::Header(brought)
        );
        assert_eq!(
            behind.witnesses()[0].header_at(&case.root, Height(12), case.proven.time).await.unwrap(),
            Seen::NotYet
        );
        let at = case.disagrees().await.height;
        let update = Against::Update(&case.proven.evidence);
        assert!(weak.witnesses()[0].accuse(&case.root, &[], update, at).await.unwrap().is_none(), "one seal of four");
        let evidence = if late {
            let status = case.believe().await;
            let roots = std::slice::from_ref(&case.root);
            assert!(weak.witnesses()[0].accuse(&status, roots, Against::Trusted, at).await.unwrap().is_none());
            assert!(
                case.witness.accuse(&status, &[], Against::Trusted, at).await.unwrap().is_none(),
                "nothing to prove from"
            );
            case.witness.accuse(&status, roots, Against::Trusted, at).await.unwrap()
        } else {
            case.witness.accuse(&case.root, &[], update, at).await.unwrap()
        };
        case.freezes(&evidence.unwrap()).await;
        solo.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_the_chain_does_not_reach_freezes_the_client_by_a_later_block_below_it() {
    for late in [false, true] {
        let start = now() - 600;
        let keys = support::keys(4);
        let block = |number: u64, time: u64| Block::new(Encoding::Qbft, number, start + time, &keys);
        let forged = [block(10, 0), block(1_000_000, 5)];
        let spec = ClientSpec::Qbft(QbftSpec {
            chain_id: 1337,
            encoding: Encoding::Qbft,
            gateway: evm_gateway(),
            base_slot: B256::ZERO,
            header: alloy_rlp::encode(sealed_header(&forged[0]).1).into(),
            trusting_period: 86_400,
        });
        let dir = tempfile::tempdir().unwrap();
        let (solo, native, client) = connected_to(dir.path(), spec).await;
        let source = || HeaderSource::Qbft(Encoding::Qbft);
        let endpoint = sealed(&forged).await;
        // At the forged block's time the witness may only be behind; after it, it is not.
        let behind = sealed(&[block(10, 0), block(11, 5)]).await;
        let behind = over(1337, vec![endpoint.clone()], vec![behind], source()).await;
        let honest = sealed(&[block(10, 0), block(11, 6)]).await;
        let chain = over(1337, vec![endpoint], vec![honest], source()).await;
        let case = Case::new(native, client, &chain).await;
        let brought = case.witness.brought(&case.root, &case.proven.evidence).unwrap();
        assert_eq!(brought.height, Height(1_000_000));
        let waits = behind.witnesses()[0].header_at(&case.root, brought.height, case.proven.time).await.unwrap();
        assert_eq!(waits, Seen::NotYet);
        let at = case.disagrees().await.height;
        assert_eq!(at, Height(11));
        let evidence = if late {
            let status = case.believe().await;
            case.witness.accuse(&status, std::slice::from_ref(&case.root), Against::Trusted, at).await.unwrap()
        } else {
            let update = Against::Update(&case.proven.evidence);
            case.witness.accuse(&case.root, &[], update, at).await.unwrap()
        };
        case.freezes(&evidence.unwrap()).await;
        solo.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_beacon_node_is_asked_for_the_block_of_any_slot_that_is_final_there() {
    let client = ClientStatus {
        client: "ethereum-pos-0".parse().unwrap(),
        client_type: crosspoint_adapters::chain::ClientType::EthereumPos,
        counterparty_chain: "eip155-1".parse().unwrap(),
        counterparty_client: "checkpoint-0".parse().unwrap(),
        trusted: crosspoint_adapters::chain::Tip { height: Height(1), time: Timestamp(1) },
        trusted_hash: vec![],
        signers: Default::default(),
        trusting_period: 1,
        frozen: false,
        generation: 0,
    };
    let finality = json!({ "version": "electra", "data": beacon_chain::Block::new(40, 24).update(SIZE) });
    let root = beacon_chain::Block::new(24, 0).header().beacon.root();
    let here = B256::repeat_byte(5);
    let with = |blocks: Option<&[(u64, B256)]>| Beacon {
        finality: Some(finality.clone()),
        blocks: blocks.map(|blocks| blocks.iter().copied().collect()),
        ..Beacon::default()
    };
    let execution = node(1, vec![evm_state(10, 1, None).header], |_, _| None).await;
    let ask = async |said: Beacon, slot: u64| {
        let source = HeaderSource::EthereumPos(api(vec![beacon(Beacon::default()).await]));
        let chain = over(1, vec![execution.clone()], vec![beacon(said).await], source).await;
        chain.witnesses()[0].header_at(&client, Height(slot), Timestamp(0)).await.unwrap()
    };
    let mark = |slot, hash: &[u8]| Seen::Header(Mark { height: Height(slot), hash: hash.to_vec() });
    let blocks = [(20, here), (24, root)];
    assert_eq!(ask(with(Some(&blocks)), 20).await, mark(20, here.as_slice()));
    assert_eq!(ask(with(Some(&blocks)), 21).await, mark(21, &[]), "that slot has no block");
    assert_eq!(ask(with(Some(&blocks)), 25).await, Seen::NotYet, "not final yet");
    assert_eq!(ask(with(None), 24).await, mark(24, root.as_slice()));
    assert_eq!(ask(with(None), 20).await, Seen::Gone, "a node that serves light clients alone");
    assert_eq!(ask(with(Some(&blocks)), 19).await, Seen::Gone, "a node that began from a later checkpoint");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_final_blocks_of_a_slot_freeze_the_client_before_and_after_one_is_trusted() {
    for late in [false, true] {
        let start = now() - 600;
        let state = |number: u64, time: u64| evm_state(number, time, None).header;
        let executed = |header: &EvmHeader| Execution {
            number: header.number,
            state_root: header.state_root,
            time: header.timestamp,
        };
        let first = state(10, start);
        let bootstrap =
            beacon_chain::Block { execution: Some(executed(&first)), ..beacon_chain::Block::new(8, 0) }.bootstrap();
        let spec = ClientSpec::EthereumPos(Box::new(EthereumPosSpec {
            chain_id: 31_337,
            network: network(Preset::MINIMAL),
            gateway: evm_gateway(),
            base_slot: B256::ZERO,
            block_root: bootstrap.header.beacon.root(),
            bootstrap: bootstrap.clone(),
            trusting_period: 86_400,
        }));
        let dir = tempfile::tempdir().unwrap();
        let (solo, native, client) = connected_to(dir.path(), spec).await;
        let (one, mut other) = (state(12, start + 100), state(12, start + 100));
        other.state_root.0[0] ^= 1;
        let said = |header: &EvmHeader, signers: usize| {
            let block =
                beacon_chain::Block { final_execution: Some(executed(header)), ..beacon_chain::Block::new(40, 24) };
            let bootstrap = (bootstrap.header.beacon.root(), json!({ "version": "electra", "data": bootstrap }));
            let update = json!({ "version": "electra", "data": block.update(signers) });
            Beacon {
                bootstraps: [bootstrap].into(),
                updates: [(0, update.clone())].into(),
                finality: Some(update),
                blocks: None,
            }
        };
        let source = |nodes: Vec<Url>| HeaderSource::EthereumPos(api(nodes));
        let execution = node(31_337, vec![first, one.clone()], |_, _| None).await;
        let nodes = [beacon(said(&one, SIZE)).await, beacon(said(&other, SIZE)).await, beacon(said(&other, 1)).await];
        let [true_node, forked, weak] = nodes;
        let chain = over(31_337, vec![execution.clone()], vec![forked], source(vec![true_node.clone()])).await;
        let weak = over(31_337, vec![execution], vec![weak], source(vec![true_node])).await;
        let case = Case::new(native, client, &chain).await;
        let at = case.disagrees().await.height;
        assert_eq!(at, Height(24), "a slot");
        assert_eq!(case.witness.header_at(&case.root, Height(25), case.proven.time).await.unwrap(), Seen::NotYet);
        let update = Against::Update(&case.proven.evidence);
        assert!(
            weak.witnesses()[0].accuse(&case.root, &[], update, at).await.unwrap().is_none(),
            "one of the committee"
        );
        let evidence = if late {
            let status = case.believe().await;
            assert_eq!(status.marked_height(), Height(24));
            case.witness.accuse(&status, std::slice::from_ref(&case.root), Against::Trusted, at).await.unwrap()
        } else {
            case.witness.accuse(&case.root, &[], update, at).await.unwrap()
        };
        case.freezes(&evidence.unwrap()).await;
        solo.stop().await.unwrap();
    }
}

/// An attestor that signs this block for whoever asks.
async fn attesting(n: u8, block: EvmHeader) -> Url {
    let answer = move |request: Value| {
        let statement = Statement {
            chain_id: EVM_CHAIN,
            genesis_hash: B256::repeat_byte(1),
            epoch: 0,
            prev_number: serde_json::from_value(request["prev_number"].clone()).unwrap(),
            prev_hash: serde_json::from_value(request["prev_hash"].clone()).unwrap(),
            number: Height(block.number),
            hash: block.hash_slow(),
        };
        let key = attestor(n);
        let attestation = crosspoint_adapters::attestor::Attestation {
            attestor: key.address(),
            statement,
            signature: statement.sign(&key),
            header_rlp: alloy_rlp::encode(&block).into(),
        };
        warp::reply::json(&attestation).into_response()
    };
    serve(warp::post().and(warp::body::json()).map(answer).recover(refuse).unify()).await
}

async fn refuse(_: warp::Rejection) -> Result<warp::reply::Response, std::convert::Infallible> {
    Ok(warp::http::StatusCode::NOT_FOUND.into_response())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_is_proven_right_only_by_a_quorum_that_attests_its_block_too() {
    let start = now() - 600;
    let first = evm_state(1, start, None).header;
    let (one, mut other) = (evm_state(2, start + 10, None).header, evm_state(2, start + 10, None).header);
    other.state_root.0[0] ^= 1;
    let mut addresses: Vec<Address> = (1..=3).map(|n| attestor(n).address()).collect();
    addresses.sort_unstable();
    let spec = ClientSpec::Attested(AttestedSpec {
        chain_id: EVM_CHAIN,
        genesis_hash: B256::repeat_byte(1),
        epoch: 0,
        attestors: addresses.clone(),
        threshold: 2,
        gateway: evm_gateway(),
        base_slot: B256::ZERO,
        header: alloy_rlp::encode(&first).into(),
        trusting_period: 86_400,
    });
    let pool = |endpoints: Vec<Url>| {
        let settings = PoolSettings {
            chain: format!("eip155-{EVM_CHAIN}").parse().unwrap(),
            chain_number: EVM_CHAIN,
            genesis_hash: B256::repeat_byte(1),
            epoch: 0,
            attestors: Attestors::new(addresses.clone(), 2).unwrap(),
            endpoints,
            timeout_ms: 2_000,
        };
        AttestorPool::new(settings).unwrap()
    };
    let endpoint = node(EVM_CHAIN, vec![first.clone(), one.clone()], |_, _| None).await;
    let witness = node(EVM_CHAIN, vec![first.clone(), other.clone()], |_, _| None).await;
    let over = async |honest: [bool; 3]| {
        let mut urls = vec![];
        for (n, honest) in (1..=3).zip(honest) {
            urls.push(attesting(n, if honest { one.clone() } else { other.clone() }).await);
        }
        let source = HeaderSource::Attested(pool(urls));
        over(EVM_CHAIN, vec![endpoint.clone()], vec![witness.clone()], source).await
    };
    let update = Evidence::Attested(Box::new(AttestedEvidence {
        update: Some(attested(&first, &one)),
        account_proof: vec![],
        storage_proofs: vec![],
    }));
    for late in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (solo, native, client) = connected_to(dir.path(), spec.clone()).await;
        let root = native.client(&client).await.unwrap();
        let (items, time) = (vec![], Timestamp(one.timestamp));
        let proven = Proven { items, height: Height(2), time, evidence: update.clone() };
        let chain = over([false, false, true]).await;
        let case = Case { native, client, witness: Arc::clone(&chain.witnesses()[0]), root, proven };
        case.disagrees().await;
        let status = if late { case.believe().await } else { case.root.clone() };
        let against = if late { Against::Trusted } else { Against::Update(&update) };
        for honest in [[true, true, true], [true, true, false], [true, false, true]] {
            let chain = over(honest).await;
            let found = chain.witnesses()[0].accuse(&status, &[], against, Height(2)).await.unwrap();
            assert!(found.is_none(), "{honest:?}: no quorum attests the witness's block");
        }
        let evidence = case.witness.accuse(&status, &[], against, Height(2)).await.unwrap();
        case.freezes(&evidence.unwrap()).await;
        solo.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_of_another_form_is_refused() {
    let keys = support::keys(4);
    let start = now() - 600;
    let first = Block::new(Encoding::Qbft, 10, start, &keys);
    let spec = ClientSpec::Qbft(QbftSpec {
        chain_id: 1337,
        encoding: Encoding::Qbft,
        gateway: evm_gateway(),
        base_slot: B256::ZERO,
        header: first.rlp(),
        trusting_period: 86_400,
    });
    let dir = tempfile::tempdir().unwrap();
    let (solo, native, client) = connected_to(dir.path(), spec).await;
    let honest = Block::new(Encoding::Qbft, 11, start + 11, &keys).update(&first).encode();
    for headers in [vec![], vec![vec![1, 2, 3]], vec![honest.clone()], vec![honest.clone(), honest]] {
        let refused = native.submit_misbehaviour(&client, &Misbehaviour::Headers(headers)).await;
        assert!(matches!(refused, Err(ChainError::Rejected { .. })), "{refused:?}");
    }
    assert!(!native.client(&client).await.unwrap().frozen);
    solo.stop().await.unwrap();
}
