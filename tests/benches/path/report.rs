//! The figures as a table and as JSON.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::load::Run;
use crate::proving::Proving;

fn at(sorted: &[u64], percent: usize) -> f64 {
    sorted.get(sorted.len().saturating_sub(1) * percent / 100).map_or(0.0, |ms| *ms as f64 / 1_000.0)
}

fn middle(proof: &Proving) -> f64 {
    proof.ms.get(proof.ms.len() / 2).copied().unwrap_or(0.0)
}

fn rate(run: &Run) -> f64 {
    run.packets as f64 / run.seconds
}

fn cpu(run: &Run) -> f64 {
    run.used.cpu.values().sum()
}

fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Prints every figure.
pub(crate) fn print(runs: &[Run], proofs: &[Proving], block: Duration) {
    println!("\nblocks every {} ms on both chains, EVM final two blocks on; load {}", block.as_millis(), load());
    for run in runs {
        let per = |all: u64| all as f64 / run.packets as f64;
        println!("\n{}, {} transfers, {} at a time", run.direction.name(), run.packets, run.at_once);
        println!("  {:.2} s, {:.1} transfers/s from first lock to last settled", run.seconds, rate(run));
        let (held, settled) = (&run.to_held, &run.to_settled);
        println!("  lock → held     p50 {:.2} s, p99 {:.2} s", at(held, 50), at(held, 99));
        println!("  lock → settled  p50 {:.2} s, p99 {:.2} s", at(settled, 50), at(settled, 99));
        println!("  CPU {:.2} ms per packet:", cpu(run) * 1_000.0 / run.packets as f64);
        for (who, seconds) in &run.used.cpu {
            println!("    {:>9.2} ms  {who}", seconds * 1_000.0 / run.packets as f64);
        }
        println!("  bytes per packet:");
        println!(
            "    {:>9.0}     journal, in {:.3} synced writes",
            per(run.used.journal_bytes),
            per(run.used.journal_syncs)
        );
        for (chain, (sent, received)) in [("native", run.used.native_rpc), ("EVM", run.used.evm_rpc)] {
            println!("    {:>9.0}     to the {chain} node, {:.0} from it", per(sent), per(received));
        }
        let native = run.native;
        println!(
            "    {:>9.0}     native transactions ({} in {} blocks, one synced write each)",
            per(native.bytes),
            native.transactions,
            run.native_blocks
        );
        for (kind, weight) in &run.evm {
            println!(
                "    {:>9.0}     EVM {kind}: {:.0} gas per packet, {} transactions",
                per(weight.bytes),
                per(weight.gas),
                weight.transactions
            );
        }
    }
    for pair in runs.chunks_exact(2) {
        println!(
            "\n{}: {:.0} times the transfers/s of one at a time, {:.2} of the CPU time per packet",
            pair[0].direction.name(),
            rate(&pair[1]) / rate(&pair[0]),
            (cpu(&pair[1]) / pair[1].packets as f64) / (cpu(&pair[0]) / pair[0].packets as f64),
        );
    }
    println!("\ntime to build a proof, from the request to the nodes until it is checked:");
    for proof in proofs {
        println!("  p50 {:>7.2} ms, worst {:>7.2} ms  {}", middle(proof), proof.ms.last().unwrap_or(&0.0), proof.what);
    }
}

fn value(run: &Run) -> Value {
    let evm = run
        .evm
        .iter()
        .map(|(kind, w)| (kind.to_string(), json!({ "transactions": w.transactions, "bytes": w.bytes, "gas": w.gas })));
    json!({
        "direction": run.direction.name(),
        "packets": run.packets,
        "at_once": run.at_once,
        "seconds": run.seconds,
        "transfers_per_second": rate(run),
        "lock_to_held_seconds": { "p50": at(&run.to_held, 50), "p99": at(&run.to_held, 99) },
        "lock_to_settled_seconds": { "p50": at(&run.to_settled, 50), "p99": at(&run.to_settled, 99) },
        "cpu_seconds": run.used.cpu,
        "journal": { "bytes": run.used.journal_bytes, "synced_writes": run.used.journal_syncs },
        "rpc_bytes": {
            "native": { "sent": run.used.native_rpc.0, "received": run.used.native_rpc.1 },
            "evm": { "sent": run.used.evm_rpc.0, "received": run.used.evm_rpc.1 },
        },
        "native_transactions": { "count": run.native.transactions, "bytes": run.native.bytes, "blocks": run.native_blocks },
        "evm_transactions": serde_json::Map::from_iter(evm),
    })
}

/// Writes every figure to `path.json` in the build folder.
pub(crate) fn write(runs: &[Run], proofs: &[Proving], block: Duration) -> Result<()> {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("path.json");
    let proofs = proofs.iter().map(|proof| json!({ "what": proof.what, "p50_ms": middle(proof) })).collect::<Vec<_>>();
    let runs = runs.iter().map(value).collect::<Vec<_>>();
    let all = json!({ "block_ms": block.as_millis() as u64, "load": load(), "runs": runs, "proofs": proofs });
    std::fs::write(&path, serde_json::to_string_pretty(&all)?)?;
    println!("\nwritten: {}", path.display());
    Ok(())
}
