//! Signed transfers per second in process: decode, check signatures, execute, commit with a synced write; blocks of 1,000.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::arithmetic_side_effects, missing_docs)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use crosspoint_ledger::address::AccountId;
use crosspoint_ledger::app::{App, BlockContext};
use crosspoint_ledger::demo;
use crosspoint_ledger::genesis::Member;
use crosspoint_ledger::tx::TxBuilder;
use crosspoint_ledger::tx::action::Role;
use crosspoint_ledger::tx::message::Message;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::ids::Timestamp;

const BLOCK: usize = 1_000;
const MEMBERS: usize = 1_000;

fn transfers(c: &mut Criterion) {
    let mut genesis = demo::genesis(4).unwrap();
    let names: Vec<String> = (0..MEMBERS).map(|n| format!("member-{n}")).collect();
    let keys: Vec<_> = names.iter().map(|name| demo::member_key(name)).collect();
    let denom = genesis.denoms.first().unwrap().denom.clone();
    let sfs = genesis.denoms.first_mut().unwrap();
    sfs.balances.insert("mall".into(), Amount::new(500_000_000));
    for (name, key) in names.iter().zip(&keys) {
        let account = AccountId::of_key(&key.verifying_key());
        genesis.members.push(Member { name: name.clone(), account, role: Role::Customer });
        sfs.balances.insert(name.clone(), Amount::new(100_000));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut app = App::open(dir.path(), &genesis).unwrap();
    let mut nonce = 0;
    let mut time = 2_000_000_000;
    let mut group = c.benchmark_group("app");
    group.throughput(Throughput::Elements(BLOCK as u64)).sample_size(10);
    group.bench_function("signed transfers, blocks of 1,000", |b| {
        b.iter_batched(
            || {
                nonce += 1;
                let sign = |(n, key): (usize, &ed25519_dalek::SigningKey)| {
                    let to = AccountId::of_key(&keys.get((n * 7 + 1) % MEMBERS).unwrap().verifying_key());
                    let amount = Amount::new(1);
                    let transfer = Message::Transfer { to, denom: denom.clone(), amount, memo: String::new() };
                    TxBuilder::new(genesis.chain_id.clone(), nonce).message(transfer).sign(key)
                };
                keys.iter().enumerate().take(BLOCK).map(sign).collect::<Vec<_>>()
            },
            |txs| {
                time += 1;
                let height = app.last_block().height.next();
                let block = BlockContext { height, time: Timestamp(time), proposer: [0; 20] };
                let outcome = app.execute_block(&block, &txs).unwrap();
                assert!(outcome.results.iter().all(|result| result.code == 0));
                app.commit(vec![]).unwrap();
            },
            BatchSize::PerIteration,
        );
    });
}

criterion_group!(benches, transfers);
criterion_main!(benches);
