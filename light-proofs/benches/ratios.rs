//! What the times are of others measured in the same run.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// Ours, what it is set against, and what that is.
const RATIOS: &[(&str, &str, &str)] = &[
    ("tendermint/adjacent", "tendermint/signatures one by one", "its signatures, checked one by one"),
    ("tendermint/adjacent", "tendermint/signatures in a batch", "its signatures, checked in a batch"),
    ("tendermint/adjacent", "tendermint/public verifier, adjacent", "tendermint-light-client-verifier"),
    ("tendermint/skipping", "tendermint/signatures one by one", "its signatures, checked one by one"),
    ("tendermint/skipping", "tendermint/signatures in a batch", "its signatures, checked in a batch"),
    ("tendermint/skipping", "tendermint/public verifier, skipping", "tendermint-light-client-verifier"),
    ("sync committee/512 of 512 signed", "sync committee/blst, 512", "blst: all keys decoded and summed"),
    ("sync committee/342 of 512 signed", "sync committee/blst, 342", "blst: all keys decoded and summed"),
    ("qbft/4", "qbft/signatures, 4", "its seals recovered"),
    ("qbft/21", "qbft/signatures, 21", "its seals recovered"),
    ("mpt/membership", "mpt/alloy-trie/membership", "alloy-trie"),
    ("mpt/absence", "mpt/alloy-trie/absence", "alloy-trie"),
    ("jmt/membership", "jmt/ics23/membership", "ics23, without our checks of the form"),
    ("jmt/absence", "jmt/ics23/absence", "ics23, without our checks of the form"),
];
const SIZES: [&str; 4] = ["4", "50", "100", "150"];

fn home() -> PathBuf {
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "../target".into());
    Path::new(&target).join("criterion")
}

/// The mean of a benchmark in nanoseconds, if it ran.
fn mean(name: &str) -> Option<f64> {
    // Criterion makes folder names of benchmark names so.
    let folder = name.replace(['?', '"', '/', '\\', '*', '<', '>', ':', '|', '^'], "_");
    let text = std::fs::read_to_string(home().join(folder).join("new/estimates.json")).ok()?;
    serde_json::from_str::<Value>(&text).ok()?["mean"]["point_estimate"].as_f64()
}

pub(crate) fn print() {
    println!("\n| verify | time | ratio | to |\n|---|---|---|---|");
    for (ours, theirs, what) in RATIOS {
        let sizes: &[&str] = if ours.starts_with("tendermint") { &SIZES } else { &[""] };
        for size in sizes {
            let sized = |name: &str| if size.is_empty() { name.to_owned() } else { format!("{name}/{size}") };
            if let (Some(one), Some(other)) = (mean(&sized(ours)), mean(&sized(theirs))) {
                let time = if one < 1e6 { format!("{:.1} µs", one / 1e3) } else { format!("{:.2} ms", one / 1e6) };
                println!("| {} | {time} | {:.2} | {what} |", sized(ours), one / other);
            }
        }
    }
}
