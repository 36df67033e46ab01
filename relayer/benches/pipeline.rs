//! How fast the pipeline itself is: transfers over model chains that answer at once, from lock to settled, and
//! what the journal writes for each. `cargo bench -p crosspoint-relayer --bench pipeline [-- PACKETS]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
#![allow(clippy::cast_precision_loss, clippy::print_stdout)]

#[path = "../tests/model/mod.rs"]
mod model;

use crosspoint_relayer::life::Stage;
use model::preimage;
use model::world::{World, stop, until};
use std::time::{Duration, Instant};

fn main() {
    let packets = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(1_000_u64);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for batch in [10, 50, 250] {
        runtime.block_on(run(packets, batch));
    }
}

async fn run(packets: u64, batch: usize) {
    let mut world = World::new();
    world.config.max_batch = batch;
    world.config.max_wait_ms = 20;
    let all: Vec<_> = (1..=packets).map(|n| world.pay(n)).collect();
    let relayer = world.start().await;
    let journal = relayer.journal();
    let count = |stage| {
        let counts = journal.stage_counts(&world.route()).unwrap();
        counts.iter().find(|one| one.stage == stage).map_or(0, |one| one.count)
    };
    let start = Instant::now();
    until(|| count(Stage::Held) == packets, || "all held".into()).await;
    let received = start.elapsed();
    for (n, packet) in (1..).zip(&all) {
        world.b.claim_now(packet, &preimage(n));
    }
    let claimed = Instant::now();
    until(|| count(Stage::Settled) == packets, || "all settled".into()).await;
    let settled = claimed.elapsed();
    let stats = journal.write_stats();
    let per = |n: u64| n as f64 / packets as f64;
    let rate = |took: Duration| packets as f64 / took.as_secs_f64();
    println!(
        "batch {batch:>3}: recv {:>7.0} packets/s, ack {:>7.0} packets/s, journal {:.2} synced writes and {:.0} bytes per packet",
        rate(received),
        rate(settled),
        per(stats.syncs),
        per(stats.bytes),
    );
    world.balances().await;
    stop(relayer).await;
}
