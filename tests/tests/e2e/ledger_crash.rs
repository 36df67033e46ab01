//! `kill -9` of the ledger in the middle of its blocks, under traffic both ways.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use crosspoint_protocol::secret::{Hashlock, Preimage};
use crosspoint_relayer::journal::{Filter, Transfer};
use crosspoint_relayer::life::Stage;
use crosspoint_tests::ledger_process::{LedgerProcess, serve, start_on};
use crosspoint_tests::{From, LONG, PATIENCE, World, local_config, secret};

/// How often the ledger is killed.
const KILLS: u64 = 5;

/// Not a test by itself: the process that the next test kills.
#[tokio::test(flavor = "multi_thread")]
async fn child_process_that_runs_the_ledger() -> Result<()> {
    serve(local_config).await
}

/// Keeps paying both ways until told to stop. A lock whose answer is lost may be in the chain or not, so that every
/// secret is kept.
async fn keep_paying(world: &World, secrets: &mut BTreeMap<Hashlock, Preimage>, stop: &AtomicBool) {
    for amount in 1.. {
        for from in [From::Native, From::Evm] {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            let secret = secret();
            secrets.insert(secret.hashlock(), secret.clone());
            let _ = match from {
                From::Native => world.pay_merchant(amount, &secret, LONG).await,
                From::Evm => world.send_back(amount, "coffee", &secret, LONG).await,
            };
        }
        claim_all(world, secrets).await;
    }
}

fn transfers(world: &World) -> Result<Vec<Transfer>> {
    let journal = world.relayer.as_ref().unwrap().journal();
    let page = journal.list(&Filter::default(), None, 500)?;
    page.items.iter().map(|life| Ok(journal.transfer(&life.id)?)).collect()
}

/// Claims every hold that the relayer has seen. What fails, because the ledger is down, is tried again later.
async fn claim_all(world: &World, secrets: &BTreeMap<Hashlock, Preimage>) {
    for transfer in transfers(world).unwrap_or_default() {
        let (Some(packet), Some(terms)) = (transfer.packet, transfer.life.terms) else { continue };
        let Some(secret) = secrets.get(&terms.hashlock).filter(|_| transfer.life.stage == Stage::Held) else {
            continue;
        };
        let from = if transfer.life.id.chain == *world.chain(From::Native).id() { From::Native } else { From::Evm };
        let _ = world.claim(from, &packet, secret).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_killed_mid_block_under_traffic_loses_nothing_and_every_transfer_ends_once() -> Result<()> {
    let mut world = World::start().await?;
    world.paid_merchant(100_000).await?;
    let (mall, coffee) = (world.member_sfs("mall").await?, world.member_sfs("coffee").await?);
    let addr = world.net.solo.rpc_addr();
    world.release_ledger().await?;
    let dir = world.net.config.dir.clone();
    let test = "ledger_crash::child_process_that_runs_the_ledger";
    let mut ledger = LedgerProcess::start(test, &dir, addr).await?;

    let stop = Arc::new(AtomicBool::new(false));
    let mut secrets = BTreeMap::new();
    let killer = async {
        let mut app_hashes: BTreeMap<u64, String> = BTreeMap::new();
        for round in 0..KILLS {
            // It strikes at another moment each time, in the middle of blocks as they come.
            tokio::time::sleep(Duration::from_millis(2_500 + 137 * round)).await;
            let height = ledger.height().await?;
            for height in height.saturating_sub(3)..=height {
                app_hashes.extend(ledger.app_hash(height).await?.map(|hash| (height, hash)));
            }
            ledger.kill()?;
            ledger = LedgerProcess::start(test, &dir, addr).await?;
            for (height, hash) in &app_hashes {
                assert_eq!(ledger.app_hash(*height).await?.as_ref(), Some(hash), "header {height}, kill {round}");
            }
        }
        stop.store(true, Ordering::SeqCst);
        ledger.kill()?;
        anyhow::Ok(app_hashes.len())
    };
    let (seen, ()) = tokio::join!(killer, keep_paying(&world, &mut secrets, &stop));
    assert!(seen? >= KILLS as usize);

    // The relayer that saw all of this goes on by itself, and every transfer ends.
    world.net.solo = start_on(&world.net.config, addr).await?;
    let started = std::time::Instant::now();
    let ended = loop {
        let all = transfers(&world)?;
        if all.iter().all(|transfer| transfer.life.stage.is_final()) && started.elapsed() > Duration::from_secs(3) {
            break all;
        }
        let open: Vec<_> = all.iter().filter(|transfer| !transfer.life.stage.is_final()).collect();
        assert!(started.elapsed() < PATIENCE, "{} transfers do not end: {open:#?}", open.len());
        claim_all(&world, &secrets).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let sum = |from: From| -> u128 {
        let chain = world.chain(from).id().clone();
        let sent = ended.iter().filter(|transfer| transfer.life.id.chain == chain);
        sent.filter_map(|transfer| Some(transfer.life.terms.as_ref()?.amount.get())).sum()
    };
    assert!(ended.iter().all(|transfer| transfer.life.stage == Stage::Settled), "all were claimed");
    // The first payment was made before.
    let (out, back) = (sum(From::Native) - 100_000, sum(From::Evm));
    assert!(out > 0 && back > 0, "{out} went out and {back} came back between kills");
    assert_eq!(world.member_sfs("mall").await?, mall - out);
    assert_eq!(world.member_sfs("coffee").await?, coffee + back);
    assert_eq!(world.merchant_vouchers().await?, 100_000 + out - back);
    world.finish().await
}
