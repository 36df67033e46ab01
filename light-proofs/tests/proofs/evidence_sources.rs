//! Evidence of EVM chains by seals and by sync committees: recorded chains, who vouches, and what is refused.

use crate::evidence_case::{GATEWAY, Native, PREIMAGE, Sealed, beacon, record, tendermint_client};
use crate::support::{unhex, vector};
use crate::sync_committee::{helios, mainnet, read};
use alloy_primitives::{B256, Bytes};
use crosspoint_light_proofs::ethereum_pos::{Bootstrap, PosError, SyncError, Update};
use crosspoint_light_proofs::evidence::{
    AckRecord, Anchor, ChainEvidence, Claim, EthereumPosAnchor, EthereumPosHeader, EthereumPosSide, Evidence,
    EvidenceError, FORMAT, Fault, MAX_HEADERS, Outcome, QbftAnchor, QbftHeader, QbftSide, verify, written,
};
use crosspoint_light_proofs::qbft::{Encoding, QbftError};
use crosspoint_light_proofs::tendermint::{MerklePrefix, PacketStore};
use serde_json::Value;

const OTHER: B256 = B256::repeat_byte(7);

fn anchored(chain_id: u64, encoding: Encoding, rlp: &Bytes) -> QbftAnchor {
    let anchor =
        QbftAnchor { hash: B256::ZERO, chain_id, encoding, rlp: rlp.clone(), gateway: GATEWAY, base_slot: B256::ZERO };
    anchor.sealed().unwrap()
}

/// A side whose headers prove nothing.
fn bare(anchor: QbftAnchor, blocks: &[Bytes]) -> QbftSide {
    let headers = blocks.iter().map(|rlp| QbftHeader { rlp: rlp.clone(), account: vec![], proofs: vec![] });
    QbftSide { anchor, headers: headers.collect() }
}

fn sealed(side: &QbftSide) -> EvidenceError {
    ChainEvidence::Qbft(side.clone()).check().unwrap_err()
}

fn sync(side: &EthereumPosSide) -> EvidenceError {
    ChainEvidence::EthereumPos(Box::new(side.clone())).check().unwrap_err()
}

/// All headers are believed; what is left to say is that the last proves nothing.
fn assert_believed(error: &EvidenceError, headers: usize) {
    assert_eq!((error.at.clone(), &*error.why), (format!("evidence.headers[{}]", headers - 1), &Fault::Idle));
}

#[test]
fn a_recorded_chain_leads_from_its_anchor_seal_by_seal() {
    let Some(recorded) = vector("qbft/besu/ibft1_headers_devpart.json") else { return };
    let blocks: Vec<Bytes> =
        recorded.as_array().unwrap().iter().map(|block| unhex(block["header_rlp"].as_str().unwrap()).into()).collect();
    let anchor = anchored(2_017, Encoding::Ibft1, &blocks[1]);
    let side = bare(anchor.clone(), &blocks[1..]);
    assert_believed(&sealed(&side), 66);
    assert_believed(&sealed(&bare(anchor.clone(), &[blocks[1].clone(), blocks[66].clone()])), 2);
    for at in [0, 200, 480, 500, 700] {
        let mut changed = side.clone();
        let mut rlp = changed.headers[30].rlp.to_vec();
        rlp[at] ^= 1;
        changed.headers[30].rlp = rlp.into();
        assert_eq!(sealed(&changed).at, "evidence.headers[30].rlp", "byte {at}");
    }
    // Back again, and a block that nobody sealed.
    let back = sealed(&bare(anchor.clone(), &[blocks[9].clone(), blocks[8].clone()]));
    assert!(matches!(*back.why, Fault::Qbft(QbftError::NumberNotAbove { .. })), "{back}");
    let genesis = sealed(&bare(anchored(2_017, Encoding::Ibft1, &blocks[0]), &blocks[1..]));
    assert_eq!(
        (genesis.at.as_str(), &*genesis.why),
        ("evidence.anchor.rlp", &Fault::Qbft(QbftError::QuorumNotReached { sealed: 0, of: 5 }))
    );
}

#[test]
fn a_recorded_qbft_block_is_an_anchor_of_which_no_byte_can_be_changed() {
    let Some(case) = vector("qbft/besu-qbft-elc/header_7528.json") else { return };
    let rlp: Bytes = unhex(case["header_rlp_with_seals"].as_str().unwrap()).into();
    let side = bare(anchored(5_777, Encoding::Qbft, &rlp), std::slice::from_ref(&rlp));
    assert_believed(&sealed(&side), 1);
    for at in 0..rlp.len() {
        let mut changed = side.clone();
        let mut bytes = rlp.to_vec();
        bytes[at] ^= 1;
        changed.anchor.rlp = bytes.into();
        assert!(sealed(&changed).at.starts_with("evidence.anchor"), "byte {at}");
    }
    // The anchor's hash does not depend on who of the validators sealed.
    let block = crate::sealed_chain::genesis(Encoding::Qbft);
    let fewer = crate::sealed_chain::Block { signers: block.signers[1..].to_vec(), ..block.clone() };
    assert_ne!(block.rlp(), fewer.rlp());
    assert_eq!(Sealed(Encoding::Qbft).anchor(&block).hash, Sealed(Encoding::Qbft).anchor(&fewer).hash);
}

/// Mainnet in Capella: an anchor, and updates that lead to the newest final block.
fn recorded_mainnet() -> Option<EthereumPosSide> {
    let bootstrap: Bootstrap = read(&helios("bootstrap")?);
    let anchor = EthereumPosAnchor {
        hash: B256::ZERO,
        chain_id: 1,
        network: mainnet(),
        bootstrap,
        gateway: GATEWAY,
        base_slot: B256::ZERO,
    };
    let updates: Vec<Value> = helios("updates")?.as_array().unwrap().clone();
    let updates = updates.iter().chain([&helios("finality")?]).map(read::<Update>).collect::<Vec<_>>();
    let header = |update: &Update| EthereumPosHeader {
        update: written(&mainnet(), update).unwrap(),
        account: vec![],
        proofs: vec![],
    };
    Some(EthereumPosSide { anchor: anchor.sealed(), headers: updates.iter().map(header).collect() })
}

#[test]
fn mainnets_updates_lead_from_a_bootstrap_to_the_newest_final_block() {
    let Some(side) = recorded_mainnet() else { return };
    let count = side.headers.len();
    assert_believed(&sync(&side), count);
    let text = serde_json::to_string_pretty(&ChainEvidence::EthereumPos(Box::new(side.clone()))).unwrap();
    assert!(text.len() < count * 80_000, "{} bytes for {count} updates", text.len());
    // A period left out, a changed signer, another network, and a committee that is not the block's.
    let mut skipped = side.clone();
    skipped.headers.remove(2);
    let error = sync(&skipped);
    assert_eq!(error.at, "evidence.headers[2].update");
    assert!(matches!(&*error.why, Fault::EthereumPos(PosError::Sync(SyncError::UnknownPeriod { .. }))), "{error}");
    let mut forged = side.clone();
    let mut bits = forged.headers[3].update.sync_aggregate.sync_committee_bits.to_vec();
    bits[5] ^= 4;
    forged.headers[3].update.sync_aggregate.sync_committee_bits = bits.into();
    let error = sync(&forged);
    assert_eq!(
        (error.at.as_str(), &*error.why),
        ("evidence.headers[3].update", &Fault::EthereumPos(PosError::Sync(SyncError::Signature)))
    );
    let mut other = side.clone();
    other.anchor.chain_id = 2;
    assert!(matches!(*sync(&other).why, Fault::AnchorHash { .. }));
    let mut swapped = side;
    swapped.anchor.bootstrap.current_sync_committee.pubkeys.swap(0, 1);
    let error = sync(&swapped);
    assert_eq!(
        (error.at.as_str(), &*error.why),
        ("evidence.anchor.bootstrap", &Fault::EthereumPos(PosError::Sync(SyncError::CurrentCommittee)))
    );
}

#[test]
fn the_slot_of_the_signatures_and_the_form_of_an_update_are_fixed() {
    let Evidence { destination: ChainEvidence::EthereumPos(side), .. } = beacon::settled() else { panic!("ethereum") };
    let network = side.anchor.network.clone();
    let change = |change: &dyn Fn(&mut Update)| {
        let mut changed = (*side).clone();
        change(&mut changed.headers[1].update);
        (changed.headers[1].update.clone(), sync(&changed))
    };
    let (later, error) = change(&|update| update.signature_slot += 3);
    assert_eq!((error.at.as_str(), &*error.why), ("evidence.headers[1].update", &Fault::SignatureSlot));
    assert_eq!(written(&network, &later).as_ref(), Some(&side.headers[1].update));
    // Not below the first slot of the period whose committee signed.
    let mut next_period = side.headers[1].update.clone();
    next_period.signature_slot = 130;
    assert_eq!(written(&network, &next_period).unwrap().signature_slot, 128);
    // A branch padded as later forks write it, and a branch of zeros left out.
    let (_, error) = change(&|update| update.finality_branch.insert(0, B256::ZERO));
    assert_eq!((error.at.as_str(), &*error.why), ("evidence.headers[1].update", &Fault::NotCanonical));
    let (same, error) = change(&|update| update.next_sync_committee_branch.clear());
    assert_eq!((error.at.as_str(), &*error.why), ("evidence.headers[1].update", &Fault::NotCanonical));
    assert_eq!(written(&network, &same).as_ref(), Some(&side.headers[1].update));
    let mut padded = (*side).clone();
    padded.anchor.bootstrap.header.execution_branch.insert(0, B256::ZERO);
    assert_eq!(*sync(&padded).why, Fault::NotCanonical);
}

#[test]
fn the_native_chain_vouches_for_what_it_trusts_itself() {
    let vouched = |evidence: &Evidence| {
        let found = verify(evidence, &[]).unwrap();
        found.source.registered.or(found.destination.registered).unwrap().vouches
    };
    let sealed = Sealed(Encoding::Ibft2);
    assert!(vouched(&sealed.settled()), "it trusts the anchor");
    assert!(!vouched(&sealed.returned()), "it trusts a block after the one that shows the lock");
    assert!(vouched(&beacon::settled()) && vouched(&beacon::returned()));

    // It trusts the block between, from which alone the proofs lead; a stranger's; it is frozen.
    let evidence = sealed.settled();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut client = sealed.client(&sealed.block(10, OTHER));
        change(&mut client);
        let source = crate::evidence_case::Native::following(client).source(&evidence.packet.packet(), true);
        verify(&Evidence { source, ..evidence.clone() }, &[])
    };
    let vouches = |change: &dyn Fn(&mut Value)| with(change).unwrap().source.registered.unwrap().vouches;
    let between = sealed.client(&sealed.block(20, OTHER));
    assert!(vouches(&|client| *client = between.clone()));
    let stranger = sealed.client(&sealed.block(20, B256::repeat_byte(8)));
    assert!(!vouches(&|client| *client = stranger.clone()));
    assert!(!vouches(&|client| client["frozen"] = true.into()));
    // A client of something else is not this chain's at all.
    for (field, value, what) in [
        ("evm_chain_id", Value::from(5), "chain"),
        ("encoding", "qbft".into(), "chain"),
        ("store_address", format!("0x{}", "11".repeat(20)).into(), "gateway contract"),
        ("base_slot", B256::repeat_byte(1).to_string().into(), "gateway contract"),
    ] {
        let error = with(&|client| client[field] = value.clone()).unwrap_err();
        assert_eq!((error.at.as_str(), &*error.why), ("source.headers[1].proofs[1]", &Fault::Registered(what)));
    }
    let ethereum = beacon::settled();
    let error = verify(&Evidence { source: ethereum.source.clone(), ..evidence.clone() }, &[]).unwrap_err();
    assert_eq!(*error.why, Fault::Registered("kind of chain"));
    let ChainEvidence::EthereumPos(mut side) = ethereum.destination.clone() else { panic!("ethereum") };
    let mut network = serde_json::to_value(&side.anchor.network).unwrap();
    network["seconds_per_slot"] = 7.into();
    side.anchor.network = serde_json::from_value(network).unwrap();
    side.anchor = side.anchor.sealed();
    let destination = ChainEvidence::EthereumPos(side);
    assert_eq!(*verify(&Evidence { destination, ..ethereum }, &[]).unwrap_err().why, Fault::Registered("chain"));
}

#[test]
fn a_client_that_looks_for_packets_in_another_store_is_not_of_the_chain_in_the_file() {
    let evidence = |store: PacketStore| {
        let chain = |name, follows, store| Native::following(tendermint_client(follows, store)).named(name);
        let (packet, ack) = (record(), AckRecord::Claimed { preimage: PREIMAGE });
        let source = chain("native-1", "native-2", store).source(&packet.packet(), true);
        let destination = chain("native-2", "native-1", PacketStore::Jmt).destination(&packet.packet(), &ack);
        Evidence { format: FORMAT.into(), packet, ack: Some(ack), source, destination }
    };
    assert_eq!(verify(&evidence(PacketStore::Jmt), &[]).unwrap().outcome, Outcome::Settled);
    let error = verify(&evidence(PacketStore::Multistore(MerklePrefix::new("ibc", []).unwrap())), &[]).unwrap_err();
    assert_eq!(
        (error.at.as_str(), &*error.why),
        ("source.headers[1].proofs[1]", &Fault::Registered("store of packets"))
    );
}

#[test]
fn a_committee_known_on_the_way_vouches_for_no_block_on_the_way() {
    // The native chain trusts the block that the second update finalizes: that this is so, the anchor's committees say.
    let evidence = beacon::settled();
    let ChainEvidence::EthereumPos(side) = &evidence.destination else { panic!("ethereum") };
    let with = |root: B256| {
        let mut client = beacon::client(&side.anchor);
        client["latest"]["root"] = root.to_string().into();
        let source = crate::evidence_case::Native::following(client).source(&evidence.packet.packet(), true);
        verify(&Evidence { source, ..evidence.clone() }, &[]).unwrap().source.registered.unwrap().vouches
    };
    assert!(with(side.anchor.bootstrap.header.beacon.root()));
    let finalized = side.headers[1].update.finalized_header.as_ref().unwrap();
    assert!(!with(finalized.beacon.root()));
}

#[test]
fn trust_in_sealed_and_final_headers_begins_where_the_auditor_says() {
    let sealed = Sealed(Encoding::Qbft);
    let evidence = sealed.settled();
    let own = |block: &crate::sealed_chain::Block| Anchor::Qbft(sealed.anchor(block));
    let earlier = crate::sealed_chain::Block { number: 9, time: 995, ..sealed.block(10, OTHER) };
    for block in [earlier.clone(), sealed.block(10, OTHER), sealed.block(20, OTHER)] {
        let found = verify(&evidence, &[own(&block)]).unwrap();
        assert!(!found.destination.anchor.in_file() && found.source.anchor.in_file());
    }
    let strangers = crate::sealed_chain::Block { number: 9, time: 995, ..sealed.block(50, OTHER) };
    let strangers = verify(&evidence, &[own(&strangers)]).unwrap_err();
    assert_eq!(strangers.at, "destination.headers[0].rlp");
    let unsealed = QbftAnchor { chain_id: 31_337, hash: B256::ZERO, ..sealed.anchor(&earlier) };
    let error = verify(&evidence, &[Anchor::Qbft(unsealed)]).unwrap_err();
    assert_eq!(error.at, "your anchor");

    let evidence = beacon::settled();
    let ChainEvidence::EthereumPos(side) = &evidence.destination else { panic!("ethereum") };
    let found = verify(&evidence, &[Anchor::EthereumPos(Box::new(side.anchor.clone()))]).unwrap();
    assert!(!found.destination.anchor.in_file());
    let fork = beacon::anchor(B256::repeat_byte(8));
    assert!(verify(&evidence, &[Anchor::EthereumPos(Box::new(fork))]).is_ok(), "another block, the same committee");
    let mut short = side.anchor.clone();
    short.bootstrap.current_sync_committee.pubkeys.pop();
    let error = verify(&evidence, &[Anchor::EthereumPos(Box::new(short))]).unwrap_err();
    assert_eq!(error.at, "your anchor.bootstrap");
    // As `evidence anchors` prints them, they are read again.
    let printed = [evidence.destination.anchor(), own(&earlier)];
    let read: Vec<Anchor> = serde_json::from_str(&serde_json::to_string_pretty(&printed).unwrap()).unwrap();
    assert_eq!(read, printed);
    // Of another kind.
    let error = verify(&evidence, &[own(&earlier)]).unwrap_err();
    assert_eq!(error.at, "destination.light_client");
}

#[test]
fn headers_and_proofs_are_counted_before_they_are_looked_at() {
    let evidence = Sealed(Encoding::Ibft1).settled();
    let ChainEvidence::Qbft(side) = &evidence.destination else { panic!("qbft") };
    let change = |change: &dyn Fn(&mut QbftSide)| {
        let mut side = side.clone();
        change(&mut side);
        sealed(&side)
    };
    let many = change(&|side| side.headers = vec![side.headers[1].clone(); MAX_HEADERS + 1]);
    assert_eq!((many.at.as_str(), &*many.why), ("evidence.headers", &Fault::TooMany(MAX_HEADERS)));
    let many = change(&|side| side.headers[1].proofs = vec![side.headers[1].proofs[0].clone(); 9]);
    assert_eq!((many.at.as_str(), &*many.why), ("evidence.headers[1].proofs", &Fault::TooMany(8)));
    // Nothing is there for show: no account of which nothing is proven, no last header of which nothing is.
    let idle = change(&|side| side.headers[0].account = side.headers[1].account.clone());
    assert_eq!((idle.at.as_str(), &*idle.why), ("evidence.headers[0]", &Fault::Idle));
    let idle = change(&|side| drop(side.headers.pop()));
    assert_eq!((idle.at.as_str(), &*idle.why), ("evidence.headers[0]", &Fault::Idle));
    let missing = change(&|side| drop(side.headers.remove(0)));
    assert!(matches!(*missing.why, Fault::Qbft(QbftError::NotEnoughTrust { sealed: 0, of: 4 })), "{missing}");
    assert!(ChainEvidence::Qbft(side.clone()).shows(Claim::Received));
}
