//! The whole path, measured: transfers over a local network with real proofs, native → EVM and then back, 1,000 in
//! flight each way, and beside them a few one at a time.
//!
//! `make bench ARGS=path`. `CROSSPOINT_BENCH_PACKETS` sets how many are in flight (1,000), `CROSSPOINT_BENCH_BLOCK_MS` the
//! time between blocks of both chains (1,000). The figures are printed and written to `path.json` in the build folder.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::print_stdout
)]

mod blocks;
mod load;
mod meter;
mod proving;
mod report;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use crosspoint_adapters::chain::Chain;
use crosspoint_gateway::localnet::{LocalNet, LocalNetConfig};
use crosspoint_gateway::secrets::Secrets;
use crosspoint_ledger::engine::BlockTiming;
use crosspoint_relayer::audit::audit_once;
use crosspoint_relayer::metrics::Metrics;
use crosspoint_relayer::{Relayer, RelayerConfig, RelayerHandle};
use load::{Direction, Load};
use tokio::runtime::{Builder, Runtime};
use wire::Tap;

/// How many transfers are sent one at a time, each way, to compare with.
const ALONE: usize = 5;

/// What is measured: a network, a relayer whose connections are counted.
pub(crate) struct Bench {
    pub(crate) net: LocalNet,
    pub(crate) relayer: RelayerHandle,
    pub(crate) native_tap: Tap,
    pub(crate) evm_tap: Tap,
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// A runtime whose threads carry a name, so that their CPU time can be told from that of others.
fn runtime(name: &str) -> Runtime {
    let hour = Duration::from_secs(3600);
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name(name)
        .thread_keep_alive(hour)
        .enable_all()
        .build()
        .unwrap()
}

fn main() -> Result<()> {
    let packets = setting("CROSSPOINT_BENCH_PACKETS", 1_000);
    let block = Duration::from_millis(setting("CROSSPOINT_BENCH_BLOCK_MS", 1_000) as u64);
    let (chains, relayer, load) = (runtime("chains"), runtime("relayer"), runtime("load"));
    let dir = tempfile::tempdir()?;

    let mut config = LocalNetConfig::new(dir.path());
    config.evm_block_time = block;
    config.native_timing = BlockTiming { interval: block, when_waiting: Some(block / 4), when_idle: None };
    let net = chains.block_on(LocalNet::start(config, |step| println!("{step}")))?;
    let native_tap = load.block_on(Tap::before(net.solo.rpc_url().parse()?))?;
    let evm_tap = load.block_on(Tap::before(net.anvil.url().clone()))?;
    let handle = relayer.block_on(async {
        let native: Arc<dyn Chain> = Arc::new(net.native_over(vec![native_tap.url.clone()])?);
        let evm: Arc<dyn Chain> = Arc::new(net.evm_over(vec![evm_tap.url.clone()], None).await?);
        let mut config = RelayerConfig::new(dir.path().join("journal"));
        (config.recv_margin_s, config.claim_margin_s, config.audit_interval_ms) = (1, 1, 0);
        config.discovery_ms = 500;
        // As in the service: preimages are kept encrypted.
        let secrets = Arc::new(Secrets::new([7; 32].into()));
        let relayer = Relayer::new(config, vec![native, evm], Arc::new(Metrics::new()?)).with_secret_box(secrets);
        Ok::<_, anyhow::Error>(relayer.start()?)
    })?;
    let bench = Bench { net, relayer: handle, native_tap, evm_tap };

    let mut runs = vec![];
    for direction in [Direction::ToEvm, Direction::ToNative] {
        for (packets, at_once) in [(ALONE, 1), (packets, packets)] {
            runs.push(load.block_on(Load { direction, packets, at_once }.run(&bench))?);
            println!("{}: {packets} transfers, {at_once} at a time: done", direction.name());
        }
    }
    let proofs = load.block_on(proving::measure(&bench, packets.min(50)))?;
    let audit = load.block_on(audit_once(&bench.net.chains(), &|_, _, _| {}))?;
    ensure!(audit.is_balanced(), "the supply does not add up: {audit:#?}");
    report::print(&runs, &proofs, block);
    report::write(&runs, &proofs, block)?;
    relayer.block_on(bench.relayer.stop(Duration::from_secs(20)));
    chains.block_on(bench.net.stop())
}
