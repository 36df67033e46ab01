//! Every fuzz target over its seeds, what fuzzing found before, and changes to both: in bounded time and memory.
//! `make fuzz` runs the same targets under libFuzzer.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stderr
)]

#[path = "../proofs/attested_world.rs"]
mod attested_world;
#[path = "../proofs/beacon_chain.rs"]
mod beacon_chain;
#[path = "../proofs/chain.rs"]
mod chain;
#[path = "../proofs/checkpoint_world.rs"]
mod checkpoint_world;
#[path = "../proofs/evidence_case.rs"]
mod evidence_case;
#[path = "../proofs/jmt_tree.rs"]
mod jmt_tree;
#[path = "../../../fuzz/src/runner.rs"]
mod runner;
#[path = "../proofs/sealed_chain.rs"]
mod sealed_chain;
mod seeds;
#[path = "../proofs/support.rs"]
mod support;
mod targets;
#[path = "../proofs/trie.rs"]
mod trie;

#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

#[test]
fn every_target_takes_any_bytes_in_bounded_time_and_memory() {
    for (name, run, seeds) in targets::TARGETS {
        runner::run(name, *run, &seeds(), || ALLOCATOR.stats().bytes_allocated);
    }
}
