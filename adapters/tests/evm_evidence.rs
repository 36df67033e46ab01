//! Evidence of packets of EVM chains without attestors: over a real ledger with clients of them, a chain of sealed
//! headers, and beacon nodes of a chain of our own; and over the real contracts on anvil, whose headers a proxy seals.
//! What the adapters gather is checked as an auditor does.
#![allow(
    dead_code,
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
mod evm_support;
#[path = "../../light-proofs/tests/proofs/sealed_chain.rs"]
mod sealed_chain;
#[path = "source_support/seals.rs"]
mod seals;
mod source_support;
#[path = "../../light-proofs/tests/proofs/support.rs"]
mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy::consensus::Header as EvmHeader;
use alloy::primitives::B256;
use beacon_chain::{Block, Execution, PERIOD, SIZE, network};
use common::{EvmState, connected_to, eventually, evm_gateway, evm_state, inbound};
use crosspoint_adapters::chain::{
    Chain, ClientStatus, ClientType, ItemOutcome, LockRequest, PacketEnd, RelayItem, Tip,
};
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::evm::{EvmChain, Finality, HeaderSource};
use crosspoint_adapters::native::NativeChain;
use crosspoint_adapters::signer::Signer;
use crosspoint_ledger::tx::action::{ClientSpec, EthereumPosSpec, QbftSpec};
use crosspoint_light_proofs::ethereum_pos::Preset;
use crosspoint_light_proofs::evidence::{
    AckRecord, Anchor, ChainEvidence, Claim, Evidence, FORMAT, Findings, Outcome, PacketRecord, verify,
};
use crosspoint_light_proofs::qbft::Encoding;
use crosspoint_light_proofs::signature::SigningKey;
use crosspoint_protocol::ack::{self, Acknowledgement, UNIVERSAL_ERROR_ACK};
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::ids::{ClientId, Height, Timestamp};
use crosspoint_protocol::lock::Terms;
use crosspoint_protocol::packet::Packet;
use serde_json::{Value, json};
use source_support::{Beacon, api, beacon, block_json, evm, proof_of};

const CHAIN: u64 = 31_337;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The other chain and the ledger whose client follows it.
struct Pair<'a> {
    evm: &'a EvmChain,
    native: &'a NativeChain,
    client: &'a ClientId,
}

impl Pair<'_> {
    /// What both sides show of a packet that was sent in this block, checked from the text of its file.
    async fn evidence(&self, packet: &Packet, sent: u64) -> Result<(ChainEvidence, Findings), ChainError> {
        let status = self.native.client(self.client).await.unwrap();
        let source = self.evm.evidence(packet, PacketEnd::Source { sent: Height(sent) }, &status).await?;
        let destination = self.native.evidence(packet, PacketEnd::Destination, &status).await?;
        let packet = PacketRecord::of(packet).unwrap();
        // The ledger refuses what it has no registered token for.
        let ack = destination.shows(Claim::Acknowledged).then_some(AckRecord::Error);
        let file = Evidence { format: FORMAT.into(), packet, ack, source: source.clone(), destination };
        let text = file.to_text().unwrap();
        let found = verify(&Evidence::read(&text).unwrap(), &[]).unwrap();
        Ok((source, found))
    }

    /// The same once the ledger shows what it answered.
    async fn answered(&self, packet: &Packet, sent: u64) -> (ChainEvidence, Findings) {
        eventually("the ledger's proof of its answer", async || {
            let found = self.evidence(packet, sent).await.unwrap();
            (found.1.outcome != Outcome::UnderWay).then_some(found)
        })
        .await
    }

    async fn relay(&self, packet: &Packet) {
        for _ in 0..5 {
            let status = self.native.client(self.client).await.unwrap();
            let proven = self.evm.prove(&status, &[RelayItem::Recv { packet: packet.clone() }]).await.unwrap();
            self.native.submit(self.client, &proven).await.unwrap();
            if !proven.items.is_empty() {
                return;
            }
        }
        panic!("the packet does not arrive");
    }
}

fn vouches(found: &Findings) -> bool {
    found.destination.registered.as_ref().unwrap().vouches
}

fn heights(found: &Findings) -> Vec<u64> {
    found.source.headers.iter().map(|header| header.height.0).collect()
}

/// A header sealed by these validators, and its hash.
fn sealed(header: &EvmHeader, validators: &[SigningKey]) -> (B256, EvmHeader) {
    let block = sealed_chain::Block::new(Encoding::Qbft, header.number, header.timestamp, validators);
    seals::sealed(header.clone(), &block)
}

/// An adapter over a node with these sealed blocks; it has the states from `kept` on.
async fn sealed_evm(blocks: Vec<(B256, EvmHeader)>, states: Vec<EvmState>, kept: u64) -> EvmChain {
    let answer = move |method: &str, params: &Value| {
        if method == "eth_getBlockByNumber" {
            let (hash, header) = match params[0].as_str()? {
                "latest" => blocks.last(),
                number => {
                    let number = u64::from_str_radix(number.trim_start_matches("0x"), 16).ok()?;
                    blocks.iter().find(|(_, header)| header.number == number)
                }
            }?;
            return Some(block_json(*hash, header));
        }
        let states: Vec<EvmState> = states.iter().filter(|state| state.header.number >= kept).cloned().collect();
        let gone = || json!({ "error": { "code": -32_000, "message": "missing trie node" } });
        proof_of(&states, method, params).or_else(|| (method == "eth_getProof").then(gone))
    };
    evm(CHAIN, vec![], HeaderSource::Qbft(Encoding::Qbft), answer).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_chain_shows_a_lock_from_what_the_ledger_trusts_across_changes_of_validators() {
    let (dir, now, keys) = (tempfile::tempdir().unwrap(), now(), support::keys(10));
    // With every block another validator takes the place of one of the four.
    let set = |number: u64| &keys[number as usize - 10..number as usize - 6];
    let seal = |state: &EvmState| sealed(&state.header, set(state.header.number));
    let mut states: Vec<EvmState> = [10, 12, 13].map(|number| evm_state(number, now - 700 + number, None)).into();
    let first = seal(&states[0]);
    let spec = ClientSpec::Qbft(QbftSpec {
        chain_id: CHAIN,
        encoding: Encoding::Qbft,
        gateway: evm_gateway(),
        base_slot: B256::ZERO,
        header: alloy_rlp::encode(&first.1).into(),
        trusting_period: 86_400,
    });
    let (solo, native, client) = connected_to(dir.path(), spec).await;
    // Until a header proves what the client is.
    let height = native.head().await.unwrap().latest.height;
    solo.wait_height(height.next().next(), Duration::from_secs(30)).await.unwrap();
    let mut packet = inbound(1, Timestamp(now), "alice", 1);
    packet.dest_client = client.clone();
    states.push(evm_state(14, now - 600, Some((packet.commitment_path(), packet.commitment()))));
    let served = |states: &[EvmState]| states.iter().map(seal).collect::<Vec<_>>();
    let evm = sealed_evm(served(&states), states.clone(), 0).await;
    let pair = Pair { evm: &evm, native: &native, client: &client };

    let early = pair.evidence(&packet, 15).await.unwrap_err();
    assert!(matches!(early, ChainError::NotYet(_)), "{early}");
    let (source, found) = pair.evidence(&packet, 14).await.unwrap();
    assert!(matches!(source, ChainEvidence::Qbft(_)));
    assert_eq!((found.outcome, heights(&found)), (Outcome::UnderWay, vec![12, 14]));
    assert!(vouches(&found), "it begins with the block that the ledger's client trusts");

    pair.relay(&packet).await;
    let (_, found) = pair.answered(&packet, 14).await;
    assert_eq!((found.outcome, heights(&found)), (Outcome::Refundable, vec![14]), "from the block that shows the lock");
    assert!(vouches(&found) && found.source.shows(Claim::Sent));

    // The lock has ended: the block that sent it still shows it, as long as the node has its state.
    states.push(evm_state(15, now - 500, None));
    let evm = sealed_evm(served(&states), states.clone(), 0).await;
    let (_, found) = Pair { evm: &evm, ..pair }.evidence(&packet, 14).await.unwrap();
    assert_eq!((found.outcome, heights(&found)), (Outcome::Refunded, vec![14, 15]));
    assert!(found.source.shows(Claim::Sent) && found.source.shows(Claim::Ended) && vouches(&found));
    let pruned = sealed_evm(served(&states), states.clone(), 15).await;
    let (_, found) = Pair { evm: &pruned, ..pair }.evidence(&packet, 14).await.unwrap();
    assert!(!found.source.shows(Claim::Sent) && found.source.shows(Claim::Ended) && vouches(&found));

    // A node on another branch than the client, and one whose newest block no known validator sealed.
    let mut branch = served(&states);
    branch[3] = sealed(&EvmHeader { gas_limit: 7, ..states[3].header.clone() }, set(14));
    let liar = sealed_evm(branch, states.clone(), 0).await;
    let error = Pair { evm: &liar, ..pair }.evidence(&packet, 14).await.unwrap_err();
    assert!(matches!(&error, ChainError::Untrustworthy { detail, .. } if detail.contains("client trusts")), "{error}");
    let mut strangers = served(&states);
    let others: Vec<_> = (40..44).map(|n| SigningKey::from_bytes([n; 32]).unwrap()).collect();
    strangers[4] = sealed(&states[4].header, &others);
    let liar = sealed_evm(strangers, states, 0).await;
    let error = Pair { evm: &liar, ..pair }.evidence(&packet, 14).await.unwrap_err();
    assert!(matches!(&error, ChainError::Untrustworthy { detail, .. } if detail.contains("not enough")), "{error}");
    solo.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ethereum_shows_a_lock_by_what_is_final_from_what_the_ledger_trusts() {
    let (dir, now) = (tempfile::tempdir().unwrap(), now());
    let executed =
        |header: &EvmHeader| Execution { number: header.number, state_root: header.state_root, time: header.timestamp };
    let versioned = |data: Value| json!({ "version": "electra", "data": data });
    let bootstrap = |slot: u64, state: &EvmState| {
        Block { execution: Some(executed(&state.header)), ..Block::new(slot, 0) }.bootstrap()
    };
    let update = |slot: u64, finalized: u64, state: &EvmState| {
        Block { final_execution: Some(executed(&state.header)), ..Block::new(slot, finalized) }.update(SIZE)
    };
    // A finality update shows no committee; the update of its period does.
    let finality = |slot: u64, finalized: u64, state: &EvmState| {
        let mut update = update(slot, finalized, state);
        (update.next_sync_committee, update.next_sync_committee_branch) = (None, vec![]);
        versioned(serde_json::to_value(update).unwrap())
    };
    let before = evm_state(10, now - 600, None);
    let first = bootstrap(8, &before);
    let spec = ClientSpec::EthereumPos(Box::new(EthereumPosSpec {
        chain_id: CHAIN,
        network: network(Preset::MINIMAL),
        gateway: evm_gateway(),
        base_slot: B256::ZERO,
        block_root: first.header.beacon.root(),
        bootstrap: first.clone(),
        trusting_period: 86_400,
    }));
    let (solo, native, client) = connected_to(dir.path(), spec).await;
    // Until a header proves what the client is.
    let height = native.head().await.unwrap().latest.height;
    solo.wait_height(height.next().next(), Duration::from_secs(30)).await.unwrap();
    let mut packet = inbound(1, Timestamp(now), "alice", 1);
    packet.dest_client = client.clone();
    let sent = evm_state(13, now - 400, Some((packet.commitment_path(), packet.commitment())));
    let middle = evm_state(15, now - 300, None);
    let after = evm_state(16, now - 200, None);
    let states = [before, sent.clone(), middle.clone(), after.clone()];
    let blocks: Vec<EvmHeader> = states.iter().map(|state| state.header.clone()).collect();
    let served = async |said: Beacon| {
        let (states, source) = (states.clone(), HeaderSource::EthereumPos(api(vec![beacon(said).await])));
        evm(CHAIN, blocks.clone(), source, move |method, params| proof_of(&states, method, params)).await
    };
    let root = first.header.beacon.root();
    let mut said = Beacon {
        bootstraps: [(root, versioned(serde_json::to_value(&first).unwrap()))].into(),
        updates: [(0, versioned(serde_json::to_value(update(40, 24, &sent)).unwrap()))].into(),
        finality: Some(finality(40, 24, &sent)),
        blocks: None,
    };
    let evm = served(said.clone()).await;
    let pair = Pair { evm: &evm, native: &native, client: &client };

    let early = pair.evidence(&packet, 14).await.unwrap_err();
    assert!(matches!(early, ChainError::NotYet(_)), "{early}");
    let (source, found) = pair.evidence(&packet, 13).await.unwrap();
    assert!(matches!(source, ChainEvidence::EthereumPos(_)));
    assert_eq!((found.outcome, heights(&found)), (Outcome::UnderWay, vec![13]));
    assert!(vouches(&found), "it begins with the block that the ledger's client trusts");

    // Now the client trusts what is final: it begins with that. Where a node has no bootstrap of it, nothing can.
    pair.relay(&packet).await;
    let none = pair.evidence(&packet, 13).await.unwrap_err();
    assert!(matches!(none, ChainError::NotYet(_)), "{none}");
    let second = bootstrap(24, &sent);
    said.bootstraps.insert(second.header.beacon.root(), versioned(serde_json::to_value(&second).unwrap()));
    let evm = served(said.clone()).await;
    let (_, found) = Pair { evm: &evm, ..pair }.answered(&packet, 13).await;
    assert!(vouches(&found) && found.source.shows(Claim::Sent));

    // Two periods on, and the lock has ended: period by period, the first committee by an update that brings no newer
    // block. That the lock stood is not shown.
    said.updates.insert(1, versioned(serde_json::to_value(update(PERIOD + 30, PERIOD + 20, &middle)).unwrap()));
    said.finality = Some(finality(2 * PERIOD + 20, 2 * PERIOD + 12, &after));
    let evm = served(said.clone()).await;
    let (_, found) = Pair { evm: &evm, ..pair }.evidence(&packet, 13).await.unwrap();
    assert_eq!(heights(&found), [13, 15, 16]);
    assert!(vouches(&found) && found.source.shows(Claim::Ended) && !found.source.shows(Claim::Sent));

    // Without a bootstrap of what the client trusts it begins with what is final now, and the ledger does not vouch.
    let third = bootstrap(2 * PERIOD + 12, &after);
    let newest = [(third.header.beacon.root(), versioned(serde_json::to_value(&third).unwrap()))].into();
    let evm = served(Beacon { bootstraps: newest, ..said.clone() }).await;
    let (_, found) = Pair { evm: &evm, ..pair }.evidence(&packet, 13).await.unwrap();
    assert_eq!(heights(&found), [16]);
    assert!(!vouches(&found));

    // A beacon node that forges, and one that withholds a period.
    let mut forged = said.clone();
    forged.updates.get_mut(&1).unwrap()["data"]["attested_header"]["beacon"]["proposer_index"] = "1".into();
    let liar = served(forged).await;
    let error = Pair { evm: &liar, ..pair }.evidence(&packet, 13).await.unwrap_err();
    assert!(matches!(&error, ChainError::Untrustworthy { detail, .. } if detail.contains("beacon node")), "{error}");
    said.updates.remove(&1);
    let error = Pair { evm: &served(said).await, ..pair }.evidence(&packet, 13).await.unwrap_err();
    assert!(matches!(error, ChainError::NotYet(_)), "{error}");
    solo.stop().await.unwrap();
}

/// A block of anvil as a sealing chain would have it: a second after the one before, and one of four validators is
/// another in each.
fn seal_answer(keys: &[SigningKey], method: &str, result: &mut Value) {
    if method != "eth_getBlockByNumber" || result.is_null() {
        return;
    }
    let block: alloy::rpc::types::Header = serde_json::from_value(result.clone()).unwrap();
    let from = block.inner.number as usize;
    let timed = EvmHeader { timestamp: 1_700_000_000 + block.inner.number, ..block.inner };
    let (hash, header) = sealed(&timed, &keys[from..from + 4]);
    *result = block_json(hash, &header);
}

/// What is shown, by claim: from which header, and the value.
fn shown(evidence: &ChainEvidence) -> Vec<(Claim, usize, Option<B256>)> {
    let ChainEvidence::Qbft(side) = evidence else { panic!("qbft") };
    let headers = side.headers.iter().enumerate();
    headers.flat_map(|(at, header)| header.proofs.iter().map(move |proof| (proof.shows, at, proof.value))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_contract_shows_a_payment_and_a_refund_under_sealed_headers() {
    let mut world = evm_support::World::new().await;
    let keys = support::keys(120);
    let proxy = evm_support::proxy::Proxy::start(world.anvil.url().clone()).await;
    proxy.tell(move |method, _, result| seal_answer(&keys, method, result));
    let mut settings = evm_support::settings(&world.anvil, &world.manifest);
    settings.endpoints = vec![proxy.url.clone()];
    settings.finality = Finality::Depth(0);
    let source = Some(HeaderSource::Qbft(Encoding::Qbft));
    let evm = EvmChain::connect(settings, evm_support::key(1), source, None).await.unwrap();
    // A client that trusts block 5.
    let block: Value = evm.rpc().call("eth_getBlockByNumber", json!(["0x5", false])).await.unwrap();
    let hash: B256 = block["hash"].as_str().unwrap().parse().unwrap();
    let status = ClientStatus {
        client: "qbft-0".parse().unwrap(),
        client_type: ClientType::Qbft,
        counterparty_chain: evm.id().clone(),
        counterparty_client: common::evm_client(),
        trusted: Tip { height: Height(5), time: Timestamp(0) },
        trusted_hash: hash.to_vec(),
        signers: Default::default(),
        trusting_period: 86_400,
        frozen: false,
        generation: 0,
    };

    let (now, preimage) = (world.now().await, common::preimage(3));
    let paid = world.native.send("sfs", 70, &evm_support::account(3), &preimage, now + 600, now + 1_200);
    world.commit().await;
    let proven = world.native.prove(vec![RelayItem::Recv { packet: paid.clone() }]);
    world.chain.submit(&common::evm_client(), &proven).await.unwrap();
    let claimed = world.chain.claim(&[(paid.clone(), preimage.clone())]).await.unwrap();
    let evidence = evm.evidence(&paid, PacketEnd::Destination, &status).await.unwrap();
    let ChainEvidence::Qbft(side) = &evidence else { panic!("qbft") };
    let last = side.headers.len() - 1;
    assert!(last as u64 >= (claimed.block.height.0 - 5) / 3, "no more than two of four validators stay in a step");
    let answer = ack::commitment(&Acknowledgement::Success(preimage).encode());
    let (receipt, answer) = (B256::from(paid.commitment()), B256::from(answer));
    assert_eq!(shown(&evidence), [(Claim::Received, last, Some(receipt)), (Claim::Acknowledged, last, Some(answer))]);
    let Anchor::Qbft(anchor) = evidence.anchor() else { panic!("qbft") };
    assert_eq!((anchor.start().unwrap().latest().hash, anchor.gateway), (hash, world.gateway()));
    // One signature less than each step needs.
    let mut cut = side.clone();
    cut.headers.remove(last - 1);
    assert!(ChainEvidence::Qbft(cut).check().is_err());

    // A return that the native chain refuses: it stood in the block that sent it, and is gone.
    let now = world.now().await;
    let request = LockRequest {
        client: common::evm_client(),
        denom: "points/checkpoint-0/sfs".parse().unwrap(),
        amount: Amount::new(30),
        receiver: "point1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq".parse().unwrap(),
        hashlock: common::preimage(4).hashlock(),
        timeout: Timestamp(now + 600),
        claim_deadline: Timestamp(now + 1_200),
        terms: Terms::Plain,
        memo: "back home".into(),
    };
    let payer = Signer::Evm(Box::new(evm_support::key(3)));
    let (locked, packet) = world.chain.lock(&payer, &request).await.unwrap();
    let (sent, commitment) = (locked.block.height, B256::from(packet.commitment()));
    let evidence = evm.evidence(&packet, PacketEnd::Source { sent }, &status).await.unwrap();
    assert_eq!(
        shown(&evidence).iter().map(|(claim, _, value)| (*claim, *value)).collect::<Vec<_>>(),
        [(Claim::Sent, Some(commitment))]
    );
    world.native.receive(&packet);
    world.native.acknowledge(&packet, &UNIVERSAL_ERROR_ACK);
    world.commit().await;
    let refused = RelayItem::Ack { packet: packet.clone(), ack: UNIVERSAL_ERROR_ACK.to_vec() };
    let ended = world.chain.submit(&common::evm_client(), &world.native.prove(vec![refused])).await.unwrap();
    assert_eq!(ended.outcomes, [ItemOutcome::Done]);
    let evidence = evm.evidence(&packet, PacketEnd::Source { sent }, &status).await.unwrap();
    let [(Claim::Sent, then, Some(stood)), (Claim::Ended, after, None)] = shown(&evidence)[..] else {
        panic!("{:?}", shown(&evidence))
    };
    assert!(stood == commitment && then < after);
    // A client that trusts a later block, or is frozen: the evidence begins with the block that sent it.
    for other in [
        ClientStatus { trusted: Tip { height: sent.next(), time: Timestamp(0) }, ..status.clone() },
        ClientStatus { frozen: true, ..status.clone() },
        ClientStatus { client_type: ClientType::Attested, ..status },
    ] {
        let evidence = evm.evidence(&packet, PacketEnd::Source { sent }, &other).await.unwrap();
        let Anchor::Qbft(anchor) = evidence.anchor() else { panic!("qbft") };
        assert_eq!(anchor.start().unwrap().latest().number, sent);
    }
}
