//! Determinism, crashes, history and proofs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::evm::Evm;
use common::{Chain, account, attested, preimage, sfs};
use crosspoint_ledger::app::{App, AppError, BlockContext, EngineRecord};
use crosspoint_ledger::query::{OutboxList, OutboxQuery, OutboxView, SupplyView};
use crosspoint_ledger::tx::message::Message;
use crosspoint_ledger::{code, demo};
use crosspoint_light_proofs::jmt;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::ids::{Height, Sequence};
use crosspoint_protocol::outbox;
use crosspoint_protocol::path::Path;

fn transfer(amount: u128) -> Message {
    Message::Transfer { to: account("alice"), denom: sfs(), amount: Amount::new(amount), memo: "hello".into() }
}

#[test]
fn the_same_transactions_give_the_same_app_hash_everywhere() {
    let evm = Evm::new();
    let (mut one, mut other) = (Chain::linked(&evm), Chain::linked(&evm));
    for n in 1..20u8 {
        let msg = one.lock_msg(n.into(), preimage(n).hashlock());
        let txs = vec![one.sign("mall", vec![Message::Lock(msg)]), one.sign("marketing", vec![transfer(n.into())])];
        one.block(&txs);
        other.block(&txs);
        assert_eq!(one.app.last_block(), other.app.last_block());
    }
    let txs = [one.sign("mall", vec![transfer(1)])];
    one.block(&txs);
    other.block(&[]);
    assert_ne!(one.app.last_block().app_hash, other.app.last_block().app_hash, "a transfer changes the app hash");
}

#[test]
fn a_crash_between_execute_and_commit_loses_nothing_and_repeats_nothing() {
    let mut chain = Chain::new();
    chain.ok("mall", transfer(5));
    let before = chain.app.last_block();
    let tx = chain.sign("mall", vec![transfer(7)]);
    chain.now += 1;
    let context = chain.context();
    let first = chain.app.execute_block(&context, std::slice::from_ref(&tx)).unwrap();
    // Not visible, not durable.
    assert_eq!(chain.balance("alice", &sfs()), 5);
    let Chain { app, dir, .. } = chain;
    drop(app);
    let mut app = App::open(dir.path(), &demo::genesis(1).unwrap()).unwrap();
    assert_eq!(app.last_block(), before);
    let again = app.execute_block(&context, std::slice::from_ref(&tx)).unwrap();
    assert_eq!(again.app_hash, first.app_hash);
    let record = EngineRecord { key: b"block/2".to_vec(), value: Some(vec![1]) };
    let last = app.commit(vec![record]).unwrap();
    drop(app);
    let mut app = App::open(dir.path(), &demo::genesis(1).unwrap()).unwrap();
    assert_eq!(app.last_block(), last);
    assert_eq!(app.engine_get(b"block/2").unwrap(), Some(vec![1]));
    assert_eq!(app.engine_iter(b"block/", b"", 10).unwrap().len(), 1);
    assert!(matches!(app.commit(vec![]), Err(AppError::NothingToCommit)));
    assert!(matches!(app.execute_block(&context, &[]), Err(AppError::Height { .. })));
    let early = BlockContext { height: Height(3), time: crosspoint_protocol::ids::Timestamp(1), proposer: [0; 20] };
    assert!(matches!(app.execute_block(&early, &[]), Err(AppError::Time { .. })));
    drop(app);
    assert!(matches!(App::open(dir.path(), &demo::genesis(2).unwrap()), Err(AppError::OtherGenesis)));
}

#[test]
fn every_retained_height_proves_presence_and_absence_and_older_ones_say_they_are_gone() {
    let evm = Evm::new();
    let mut genesis = demo::genesis(1).unwrap();
    genesis.params.history = 10;
    let mut chain = Chain::with(genesis);
    chain.open_client(&evm);
    let mut roots = vec![];
    for n in 1..=30u8 {
        chain.lock("mall", n.into(), preimage(n).hashlock());
        roots.push(chain.app.last_block());
    }
    let newest = chain.app.last_block().height.0;
    for (index, block) in roots.iter().enumerate() {
        let sequence = Sequence(index as u64 + 1);
        let there = Path::commitment(attested(), sequence).to_bytes();
        let absent = Path::commitment(attested(), sequence.next()).to_bytes();
        let member = chain.app.query("/store", &there, block.height, true);
        if block.height.0 + 10 < newest {
            assert_eq!(member.code, code::PRUNED);
            continue;
        }
        assert_eq!(member.code, code::OK, "{}", member.log);
        jmt::verify_membership(&block.app_hash, &there, &member.value, &member.proof.unwrap()).unwrap();
        let result = chain.app.query("/store", &absent, block.height, true);
        assert!(result.value.is_empty());
        jmt::verify_absence(&block.app_hash, &absent, &result.proof.unwrap()).unwrap();
        let supply: SupplyView =
            serde_json::from_slice(&chain.app.query("/supply", b"", block.height, false).value).unwrap();
        let locked: u128 = (1..=sequence.0 as u128).sum();
        assert_eq!(supply.denoms[0].home[&attested()].locked.get(), locked);
        assert_eq!(supply.denoms[0].imbalance, 0);
    }
}

#[test]
fn the_outbox_answer_rebuilds_the_proven_head_from_any_block_on() {
    let evm = Evm::new();
    let mut chain = Chain::linked(&evm);
    for n in 0..12u8 {
        let txs: Vec<_> = (0..=n % 3)
            .map(|k| {
                let msg = chain.lock_msg(1, preimage(16 * (n + 1) + k).hashlock());
                chain.sign("mall", vec![Message::Lock(msg)])
            })
            .collect();
        assert!(chain.block(&txs).iter().all(|result| result.code == code::OK));
        chain.block(&[]);
    }
    let last = chain.app.last_block();
    let head = chain.app.query("/store", b"outbox/attested-0/sent", last.height, true);
    jmt::verify_membership(&last.app_hash, b"outbox/attested-0/sent", &head.value, &head.proof.unwrap()).unwrap();
    for from in [0, 5, 9, 20, last.height.0] {
        let query = OutboxQuery { client: attested(), list: OutboxList::Sent, from: Height(from), to: last.height };
        let view: OutboxView = chain.query("/outbox", &serde_json::to_vec(&query).unwrap());
        let mut rebuilt: [u8; 32] = view.previous_head.try_into().unwrap();
        for block in view.blocks {
            let leaves: Vec<_> = block
                .entries
                .iter()
                .map(|e| {
                    outbox::leaf(
                        &Path::commitment(attested(), e.sequence),
                        &e.commitment.as_slice().try_into().unwrap(),
                    )
                })
                .collect();
            rebuilt = outbox::next_head(&rebuilt, &outbox::root(&leaves).unwrap());
            assert_eq!(rebuilt.as_slice(), block.head);
        }
        assert_eq!(rebuilt.as_slice(), head.value, "from {from}");
    }
}

#[test]
fn hostile_bytes_are_refused_and_never_panic() {
    let mut chain = Chain::new();
    let good = chain.sign("mall", vec![transfer(5)]);
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize
    };
    let mut txs = vec![vec![], vec![0; 10], vec![0xff; 100], vec![0; (1 << 20) + 1], [good.as_slice(), &[0]].concat()];
    for _ in 0..300 {
        let mut bad = good.clone();
        let at = random() % bad.len();
        bad[at] ^= 1 << (random() % 8);
        txs.push(bad);
        txs.push(good[..random() % good.len()].to_vec());
    }
    for (tx, result) in txs.iter().zip(chain.block(&txs)) {
        assert_ne!(result.code, code::OK, "{}", hex::encode(tx));
    }
    assert_ne!(chain.app.query("/store", b"", Height(0), true).code, code::OK);
    for path in ["", "/", "/client", "/packet", "/outbox", "/nope"] {
        for data in [&b""[..], b"\xff\xff", b"{}", &[b'a'; 5000]] {
            assert_ne!(chain.app.query(path, data, Height(0), true).code, code::OK, "{path} {data:?}");
        }
    }
    assert_eq!(chain.app.query("/store", b"x", Height(u64::MAX), true).code, code::PRUNED);
    assert_eq!(chain.block(&[good])[0].code, code::OK);
}
