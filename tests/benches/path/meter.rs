//! What has been used up so far: CPU time by thread name, bytes, synced writes.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Result;

use crate::Bench;

/// Readings of all counters; two of them make a difference.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    /// CPU seconds by who used them.
    pub(crate) cpu: BTreeMap<String, f64>,
    pub(crate) journal_bytes: u64,
    pub(crate) journal_syncs: u64,
    pub(crate) native_rpc: (u64, u64),
    pub(crate) evm_rpc: (u64, u64),
}

/// The kernel's clock ticks per second in `/proc`; 100 on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// User and system time of a `/proc/…/stat` file, in seconds.
fn cpu_seconds(stat: &str) -> f64 {
    // The second field is a name in brackets, which may hold blanks.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / TICKS
}

/// Who a thread of this process works for.
fn owner(thread: &str) -> &str {
    match thread {
        "chains" => "native chain and attestors",
        "relayer" => "relayer",
        "load" => "load generator",
        // The main thread, which is named after the program, waits for it.
        name if name.starts_with("path") => "load generator",
        name if name.starts_with("rocksdb") => "RocksDB in the background",
        _ => "other threads",
    }
}

impl Reading {
    pub(crate) fn take(bench: &Bench) -> Result<Self> {
        let mut cpu = BTreeMap::new();
        for thread in fs::read_dir("/proc/self/task")? {
            let path = thread?.path();
            // A thread may end between the two.
            let (Ok(name), Ok(stat)) = (fs::read_to_string(path.join("comm")), fs::read_to_string(path.join("stat")))
            else {
                continue;
            };
            *cpu.entry(owner(name.trim()).to_owned()).or_insert(0.0) += cpu_seconds(&stat);
        }
        if let Some(pid) = bench.net.anvil.process() {
            cpu.insert("anvil".into(), cpu_seconds(&fs::read_to_string(format!("/proc/{pid}/stat"))?));
        }
        let stats = bench.relayer.journal().write_stats();
        Ok(Self {
            cpu,
            journal_bytes: stats.bytes,
            journal_syncs: stats.syncs,
            native_rpc: bench.native_tap.bytes(),
            evm_rpc: bench.evm_tap.bytes(),
        })
    }

    /// What was used since an earlier reading.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let pair = |now: (u64, u64), then: (u64, u64)| (now.0 - then.0, now.1 - then.1);
        let used = |(name, now): (&String, &f64)| (name.clone(), now - earlier.cpu.get(name).unwrap_or(&0.0));
        Self {
            cpu: self.cpu.iter().map(used).collect(),
            journal_bytes: self.journal_bytes - earlier.journal_bytes,
            journal_syncs: self.journal_syncs - earlier.journal_syncs,
            native_rpc: pair(self.native_rpc, earlier.native_rpc),
            evm_rpc: pair(self.evm_rpc, earlier.evm_rpc),
        }
    }
}
