//! The ABCI application without a node: what it refuses, what a crash leaves, and snapshots.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod engine_support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crosspoint_ledger::engine::cometbft::certificate::Certificate;
use crosspoint_ledger::engine::cometbft::vote::Signers;
use crosspoint_ledger::engine::cometbft::{Application, ApplicationConfig};
use crosspoint_ledger::engine::mempool::MempoolLimits;
use crosspoint_ledger::engine::{Seed, ValidatorKeys};
use crosspoint_ledger::{code, demo};
use crosspoint_protocol::ids::{Height, Timestamp};
use engine_support::{PATIENCE, transfer};
use tendermint::abci::request::{self, CheckTxKind};
use tendermint::abci::response::{self, ApplySnapshotChunkResult as Applied};
use tendermint::abci::types::{
    BlockSignatureInfo, CommitInfo, ExtendedCommitInfo, ExtendedVoteInfo, Snapshot, Validator,
};
use tendermint::{AppHash, Hash, Time, account, block};

const START: u64 = 1_800_000_000;

fn open(dir: &Path, validator: u32) -> Arc<Application> {
    let bridge = ValidatorKeys::derive(&Seed::new(demo::SEED), validator).unwrap().bridge().clone();
    let application = Application::open(ApplicationConfig {
        dir: dir.to_owned(),
        genesis: demo::genesis(4).unwrap(),
        bridge: Some(bridge),
        snapshot_interval: 2,
        snapshot_keep: 2,
        mempool: MempoolLimits::default(),
    });
    Arc::new(application.unwrap())
}

fn height(height: u64) -> block::Height {
    height.try_into().unwrap()
}

fn time(height: u64) -> Time {
    Time::from_unix_timestamp((START + height) as i64, 500_000_000).unwrap()
}

fn proposer() -> account::Id {
    account::Id::new([1; 20])
}

fn finalize(app: &Application, at: u64, txs: Vec<Vec<u8>>) -> response::FinalizeBlock {
    let request = request::FinalizeBlock {
        txs: txs.into_iter().map(Into::into).collect(),
        decided_last_commit: CommitInfo { round: 0_u16.into(), votes: vec![] },
        misbehavior: vec![],
        hash: Hash::Sha256([1; 32]),
        height: height(at),
        time: time(at),
        next_validators_hash: Hash::Sha256([2; 32]),
        proposer_address: proposer(),
    };
    app.finalize_block(&request).unwrap()
}

fn blocks(app: &Arc<Application>, blocks: Vec<Vec<Vec<u8>>>) -> AppHash {
    let mut last = AppHash::default();
    for txs in blocks {
        let at = app.reader().last_block().unwrap().height.0 + 1;
        last = finalize(app, at, txs).app_hash;
        app.commit().unwrap();
    }
    last
}

fn process(app: &Application, at: u64, txs: Vec<Vec<u8>>) -> bool {
    let request = request::ProcessProposal {
        txs: txs.into_iter().map(Into::into).collect(),
        proposed_last_commit: None,
        misbehavior: vec![],
        hash: Hash::Sha256([1; 32]),
        height: height(at),
        time: time(at),
        next_validators_hash: Hash::Sha256([2; 32]),
        proposer_address: proposer(),
    };
    app.process_proposal(&request).unwrap() == response::ProcessProposal::Accept
}

fn check(app: &Application, tx: Vec<u8>, kind: CheckTxKind) -> u32 {
    app.check_tx(&request::CheckTx { tx: tx.into(), kind }).unwrap().code.value()
}

/// The votes for block `at` of these validators, each with its own application's extension.
fn votes(apps: &[Arc<Application>], at: u64) -> ExtendedCommitInfo {
    let vote = |(index, app): (usize, &Arc<Application>)| {
        let keys = ValidatorKeys::derive(&Seed::new(demo::SEED), index as u32).unwrap();
        let request = request::ExtendVote {
            hash: Hash::Sha256([1; 32]),
            height: height(at),
            time: time(at),
            txs: vec![],
            proposed_last_commit: None,
            misbehavior: vec![],
            next_validators_hash: Hash::Sha256([2; 32]),
            proposer_address: proposer(),
        };
        ExtendedVoteInfo {
            validator: Validator { address: keys.address().as_bytes().try_into().unwrap(), power: 10_u32.into() },
            sig_info: BlockSignatureInfo::Flag(block::BlockIdFlag::Commit),
            vote_extension: app.extend_vote(&request).unwrap().vote_extension,
            extension_signature: None,
        }
    };
    ExtendedCommitInfo { round: 0_u16.into(), votes: apps.iter().enumerate().map(vote).collect() }
}

fn prepare(app: &Application, at: u64, commit: Option<ExtendedCommitInfo>, room: i64) -> Vec<Vec<u8>> {
    let request = request::PrepareProposal {
        max_tx_bytes: room,
        txs: vec![],
        local_last_commit: commit,
        misbehavior: vec![],
        height: height(at),
        time: time(at),
        next_validators_hash: Hash::Sha256([2; 32]),
        proposer_address: proposer(),
    };
    app.prepare_proposal(&request).unwrap().txs.into_iter().map(|tx| tx.to_vec()).collect()
}

fn four(dirs: &tempfile::TempDir) -> Vec<Arc<Application>> {
    (0..4).map(|index| open(&dirs.path().join(index.to_string()), index)).collect()
}

#[test]
fn a_block_carries_the_certificate_of_the_header_before_it() {
    let dirs = tempfile::tempdir().unwrap();
    let apps = four(&dirs);
    let commit = votes(&apps, 1);
    for vote in &commit.votes {
        let request = request::VerifyVoteExtension {
            hash: Hash::Sha256([1; 32]),
            validator_address: account::Id::new(vote.validator.address),
            height: height(1),
            vote_extension: vote.vote_extension.clone(),
        };
        assert_eq!(apps[0].verify_vote_extension(&request).unwrap(), response::VerifyVoteExtension::Accept);
        let stolen = request::VerifyVoteExtension { validator_address: account::Id::new([3; 20]), ..request };
        assert_eq!(apps[0].verify_vote_extension(&stolen).unwrap(), response::VerifyVoteExtension::Reject);
    }
    let genesis_root = apps[0].reader().last_block().unwrap().app_hash;
    for app in &apps {
        blocks(app, vec![vec![]]);
    }
    let txs = prepare(&apps[0], 2, Some(commit.clone()), 1 << 20);
    let certificate = Certificate::decode(&txs[0]).unwrap();
    assert_eq!((certificate.height, certificate.app_hash), (Height(1), genesis_root));
    assert_eq!(certificate.time, Timestamp(START + 1));
    assert!(apps.iter().all(|app| process(app, 2, txs.clone())));

    // It changes no state: a block with it and one without have the same root, and it is answered to whoever asks.
    let roots: Vec<AppHash> =
        [txs.clone(), vec![]].into_iter().zip(&apps).map(|(txs, app)| blocks(app, vec![txs])).collect();
    assert_eq!(roots[0], roots[1]);
    let ask = |app: &Application, at: u64| {
        let data = at.to_be_bytes().to_vec().into();
        let path = "/checkpoint".into();
        app.query(&request::Query { data, path, height: height(0), prove: false }).unwrap()
    };
    assert_eq!(ask(&apps[0], 1).code.value(), code::OK);
    assert_eq!(ask(&apps[0], 2).code.value(), code::NOT_FOUND);
    assert_eq!(ask(&apps[1], 1).code.value(), code::NOT_FOUND);

    // Two of four are no quorum; and an extension that its validator did not sign is not counted.
    let mut few = commit;
    few.votes[0].vote_extension = few.votes[1].vote_extension.clone();
    few.votes[2].vote_extension = Default::default();
    assert!(prepare(&apps[2], 2, Some(few), 1 << 20).is_empty());
}

#[test]
fn blocks_of_a_faulty_proposer_are_refused() {
    let dirs = tempfile::tempdir().unwrap();
    let apps = four(&dirs);
    let commit = votes(&apps, 1);
    let app = &apps[0];
    blocks(app, vec![vec![]]);
    let good = prepare(app, 2, Some(commit), 1 << 20).remove(0);
    let first = transfer("mall", 1, "alice", 5);
    let mut forged = first.clone();
    *forged.last_mut().unwrap() ^= 1;
    let other_root = {
        let certificate = Certificate::decode(&good).unwrap();
        let signers = Signers::of(&demo::genesis(4).unwrap()).unwrap();
        let (height, time, root) = (certificate.height, certificate.time, [9; 32]);
        let keys = ValidatorKeys::derive_all(&Seed::new(demo::SEED), 4).unwrap();
        let votes = keys.iter().map(|keys| {
            let extension = signers.extend(Some(keys.bridge()), height, time, root);
            signers.read(keys.address(), height, root, &extension).unwrap().unwrap()
        });
        Certificate::gather(&signers, height, time, root, votes).unwrap().encode()
    };
    let many = |count: u64| (1..=count).map(|nonce| transfer("mall", nonce, "alice", 1)).collect::<Vec<_>>();
    for (why, good_block, txs) in [
        ("nothing in it", true, vec![]),
        ("the certificate and a transaction", true, vec![good.clone(), first.clone()]),
        ("two nonces in order", true, many(2)),
        ("a nonce left out", false, vec![transfer("mall", 2, "alice", 1)]),
        ("a nonce twice", false, vec![first.clone(), first.clone()]),
        ("nonces out of order", false, many(2).into_iter().rev().collect()),
        ("a stranger's", false, vec![stranger()]),
        ("a forged signature", false, vec![forged]),
        ("no transaction", false, vec![b"points".to_vec()]),
        ("the certificate behind a transaction", false, vec![first, good.clone()]),
        ("two certificates", false, vec![good.clone(), good.clone()]),
        ("a certificate cut short", false, vec![good[..good.len() - 1].to_vec()]),
        ("a certificate of another header", false, vec![other_root]),
    ] {
        assert_eq!(process(app, 2, txs), good_block, "{why}");
    }
    // A certificate is for one height.
    blocks(app, vec![vec![]]);
    assert!(!process(app, 3, vec![good]));
}

fn stranger() -> Vec<u8> {
    use crosspoint_ledger::tx::TxBuilder;
    use crosspoint_ledger::tx::message::Message;
    let message = Message::Transfer {
        to: engine_support::account("alice"),
        denom: "sfs".parse().unwrap(),
        amount: crosspoint_protocol::amount::Amount::new(1),
        memo: String::new(),
    };
    TxBuilder::new(demo::CHAIN_ID.parse().unwrap(), 1).message(message).sign(&demo::member_key("nobody"))
}

#[test]
fn what_waits_is_proposed_by_nonce_and_within_the_nodes_room() {
    let dir = tempfile::tempdir().unwrap();
    let app = open(dir.path(), 0);
    let txs: Vec<Vec<u8>> = (1..=3).map(|nonce| transfer("mall", nonce, "alice", 1)).collect();
    for tx in [&txs[2], &txs[0], &txs[1]] {
        assert_eq!(check(&app, tx.clone(), CheckTxKind::New), code::OK);
    }
    // A node that lost its mempool asks again; another transaction with a nonce that is taken is refused.
    assert_eq!(check(&app, txs[0].clone(), CheckTxKind::New), code::OK);
    assert_eq!(check(&app, transfer("mall", 1, "bob", 1), CheckTxKind::New), code::NONCE_USED);
    assert_eq!(prepare(&app, 1, None, 1 << 20), txs);
    let two = txs[..2].iter().map(|tx| tx.len() as i64 + 3).sum();
    assert_eq!(prepare(&app, 1, None, two), txs[..2]);
    assert!(process(&app, 1, txs.clone()));

    // After the block the node asks again about what it still has.
    blocks(&app, vec![txs[..2].to_vec()]);
    assert_eq!(check(&app, txs[0].clone(), CheckTxKind::Recheck), code::NONCE_USED);
    assert_eq!(check(&app, txs[2].clone(), CheckTxKind::Recheck), code::OK);
    assert_eq!(prepare(&app, 2, None, 1 << 20), txs[2..]);
}

#[test]
fn what_anothers_block_did_to_a_sender_counts_for_what_waits_here() {
    let dirs = tempfile::tempdir().unwrap();
    let app = open(dirs.path(), 0);
    let (first, second) = (transfer("mall", 1, "alice", 1), transfer("mall", 2, "alice", 1));
    assert_eq!(check(&app, second.clone(), CheckTxKind::New), code::OK);
    assert!(prepare(&app, 1, None, 1 << 20).is_empty());
    blocks(&app, vec![vec![first]]);
    assert_eq!(prepare(&app, 2, None, 1 << 20), [second]);
}

#[test]
fn a_crash_between_execution_and_commit_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let txs = vec![transfer("mall", 1, "alice", 5)];
    let before = {
        let app = open(dir.path(), 0);
        blocks(&app, vec![vec![]]);
        let before = app.info().unwrap();
        let executed = finalize(&app, 2, txs.clone());
        assert_ne!(executed.app_hash, before.last_block_app_hash);
        before
    };
    let app = open(dir.path(), 0);
    assert_eq!(app.info().unwrap(), before);
    let again = finalize(&app, 2, txs.clone());
    app.commit().unwrap();
    assert_eq!(app.info().unwrap().last_block_app_hash, again.app_hash);

    let clean = tempfile::tempdir().unwrap();
    assert_eq!(blocks(&open(clean.path(), 0), vec![vec![], txs]), again.app_hash);
}

fn snapshot(app: &Application, at: u64) -> Snapshot {
    let started = Instant::now();
    loop {
        let found = app.list_snapshots().unwrap().snapshots.into_iter().find(|s| s.height.value() == at);
        if let Some(found) = found {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "no snapshot of block {at}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn chunk(app: &Application, snapshot: &Snapshot, index: u32) -> Vec<u8> {
    let request = request::LoadSnapshotChunk { height: snapshot.height, format: snapshot.format, chunk: index };
    app.load_snapshot_chunk(&request).unwrap().chunk.to_vec()
}

fn offer(app: &Application, snapshot: &Snapshot, app_hash: &AppHash) -> response::OfferSnapshot {
    let request = request::OfferSnapshot { snapshot: snapshot.clone(), app_hash: app_hash.clone() };
    app.offer_snapshot(&request).unwrap()
}

fn apply(app: &Application, index: u32, chunk: Vec<u8>) -> Applied {
    let request = request::ApplySnapshotChunk { index, chunk: chunk.into(), sender: "peer".into() };
    app.apply_snapshot_chunk(&request).unwrap().result
}

#[test]
fn a_snapshot_gives_a_new_node_the_same_state_and_the_same_future() {
    let dirs = tempfile::tempdir().unwrap();
    let (old, new) = (open(&dirs.path().join("old"), 0), open(&dirs.path().join("new"), 1));
    let root = blocks(&old, vec![vec![transfer("mall", 1, "alice", 5)], vec![transfer("alice", 1, "bob", 2)]]);
    let offered = snapshot(&old, 2);
    assert_eq!(offer(&new, &offered, &root), response::OfferSnapshot::Accept);
    for index in 0..offered.chunks {
        assert_eq!(apply(&new, index, chunk(&old, &offered, index)), Applied::Accept);
    }
    assert_eq!(new.info().unwrap(), old.info().unwrap());

    // The next block, with the certificate of a header that the new node has not seen.
    let signers = Signers::of(&demo::genesis(4).unwrap()).unwrap();
    let keys = ValidatorKeys::derive_all(&Seed::new(demo::SEED), 4).unwrap();
    let after_first = {
        let dir = tempfile::tempdir().unwrap();
        let hash = blocks(&open(dir.path(), 0), vec![vec![transfer("mall", 1, "alice", 5)]]);
        <[u8; 32]>::try_from(hash.as_bytes()).unwrap()
    };
    let (at, when) = (Height(2), Timestamp(START + 2));
    let votes = keys.iter().map(|keys| {
        let extension = signers.extend(Some(keys.bridge()), at, when, after_first);
        signers.read(keys.address(), at, after_first, &extension).unwrap().unwrap()
    });
    let certificate = Certificate::gather(&signers, at, when, after_first, votes).unwrap().encode();
    let next = vec![certificate, transfer("bob", 1, "mall", 1)];
    assert!(process(&old, 3, next.clone()) && process(&new, 3, next.clone()));
    assert_eq!(finalize(&old, 3, next.clone()), finalize(&new, 3, next));
    old.commit().unwrap();
    new.commit().unwrap();

    // What was before the snapshot is not here, and nobody is told that it is absent.
    let ask = |at: u64| {
        let (data, path) = (b"chain/tip".to_vec().into(), "/store".to_owned());
        new.query(&request::Query { data, path, height: height(at), prove: true }).unwrap()
    };
    assert_eq!(ask(1).code.value(), code::PRUNED);
    assert_eq!(ask(2).code.value(), code::OK);
    assert!(!ask(3).value.is_empty());
    drop(new);
    let reopened = open(&dirs.path().join("new"), 1);
    assert_eq!(reopened.info().unwrap(), old.info().unwrap());
    assert_eq!(offer(&reopened, &offered, &root), response::OfferSnapshot::Abort);
}

#[test]
fn a_forged_snapshot_leaves_the_genesis_state() {
    let dirs = tempfile::tempdir().unwrap();
    let (old, new) = (open(&dirs.path().join("old"), 0), open(&dirs.path().join("new"), 1));
    let root = blocks(&old, vec![vec![transfer("mall", 1, "alice", 5)], vec![]]);
    let genesis = new.info().unwrap();
    let good = snapshot(&old, 2);
    let format = Snapshot { format: 9, ..good.clone() };
    assert_eq!(offer(&new, &format, &root), response::OfferSnapshot::RejectFormat);
    let renamed = Snapshot { hash: vec![1; 32].into(), ..good.clone() };
    assert_eq!(offer(&new, &renamed, &root), response::OfferSnapshot::RejectSender);

    // A piece that is not in the list is asked for again, from somebody else.
    assert_eq!(offer(&new, &good, &root), response::OfferSnapshot::Accept);
    let mut piece = chunk(&old, &good, 0);
    assert_eq!(apply(&new, 0, piece[1..].to_vec()), Applied::Retry);

    // A list that was made for a forged piece: a balance raised, or a provable record changed.
    use sha2::{Digest as _, Sha256};
    let refused = |piece: &[u8], root: &AppHash| {
        let metadata = Sha256::digest(piece).to_vec();
        let hash = Sha256::digest(&metadata).to_vec();
        let forged = Snapshot { metadata: metadata.into(), hash: hash.into(), ..good.clone() };
        assert_eq!(offer(&new, &forged, root), response::OfferSnapshot::Accept);
        assert_eq!(apply(&new, 0, piece.to_vec()), Applied::RejectSnapshot);
        assert_eq!(new.info().unwrap(), genesis);
    };
    let other_root = AppHash::try_from(vec![7; 32]).unwrap();
    refused(&piece, &other_root);
    let last = piece.len() - 1;
    piece[last] ^= 1;
    refused(&piece, &root);
    piece[last] ^= 1;
    piece[20] ^= 1;
    refused(&piece, &root);

    // And the node goes on as a new one.
    let transfers = vec![vec![transfer("mall", 1, "alice", 5)], vec![]];
    assert_eq!(blocks(&new, transfers), root);
}
