//! The ledger's decoders, fed with any bytes: transactions and what its RPC takes. The same targets run under libFuzzer
//! (`make fuzz`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stderr
)]

#[path = "../../fuzz/src/runner.rs"]
mod runner;
#[path = "../../fuzz/src/ledger.rs"]
mod targets;

#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

#[test]
fn every_decoder_takes_any_bytes_in_bounded_time_and_memory() {
    for (name, run, seeds) in targets::TARGETS {
        runner::run(name, *run, &seeds(), || ALLOCATOR.stats().bytes_allocated);
    }
}
