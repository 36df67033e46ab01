//! All fuzz targets in one binary. `CROSSPOINT_FUZZ_TARGET` names the one to run; its seeds are written into the folder
//! `CROSSPOINT_FUZZ_SEEDS`. Without a name it lists them. Use it by `make fuzz`.
#![no_main]
#![allow(dead_code)]

#[path = "../../light-proofs/tests/proofs/attested_world.rs"]
mod attested_world;
#[path = "../../light-proofs/tests/proofs/beacon_chain.rs"]
mod beacon_chain;
#[path = "../../light-proofs/tests/proofs/chain.rs"]
mod chain;
#[path = "../../light-proofs/tests/proofs/checkpoint_world.rs"]
mod checkpoint_world;
#[path = "../../light-proofs/tests/proofs/evidence_case.rs"]
mod evidence_case;
#[path = "../../light-proofs/tests/proofs/jmt_tree.rs"]
mod jmt_tree;
#[path = "../../light-proofs/tests/proofs/sealed_chain.rs"]
mod sealed_chain;
#[path = "../../light-proofs/tests/proofs/support.rs"]
mod support;
#[path = "../../light-proofs/tests/proofs/trie.rs"]
mod trie;

#[cfg(feature = "ledger")]
#[path = "../src/answers.rs"]
mod answers;
#[cfg(feature = "ledger")]
#[path = "../src/ledger.rs"]
mod ledger;
#[path = "../../light-proofs/tests/fuzz/seeds.rs"]
mod seeds;
#[path = "../../light-proofs/tests/fuzz/targets.rs"]
mod targets;

use std::sync::OnceLock;

static RUN: OnceLock<fn(&[u8])> = OnceLock::new();

fn choose() {
    #[cfg(feature = "ledger")]
    answers::expect_panics_that_are_caught();
    let all = targets::TARGETS.iter();
    #[cfg(feature = "ledger")]
    let all = all.chain(ledger::TARGETS).chain(answers::TARGETS);
    let all: Vec<_> = all.collect();
    let name = std::env::var("CROSSPOINT_FUZZ_TARGET").unwrap_or_default();
    let Some((_, run, seeds)) = all.iter().find(|(known, ..)| *known == name) else {
        all.iter().for_each(|(name, ..)| println!("{name}"));
        std::process::exit(if name.is_empty() { 0 } else { 2 });
    };
    if let Ok(folder) = std::env::var("CROSSPOINT_FUZZ_SEEDS") {
        for (at, seed) in seeds().iter().enumerate() {
            std::fs::write(format!("{folder}/seed-{at}"), seed).expect("the seeds can be written");
        }
    }
    RUN.set(*run).expect("once");
}

libfuzzer_sys::fuzz_target!(init: choose(), |data: &[u8]| {
    if let Some(run) = RUN.get() {
        run(data);
    }
});
