//! The adapters, fed with any bytes as answers of nodes and attestors: what was recorded of honest ones, and changes to
//! it. The same targets run under libFuzzer (`make fuzz`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stderr
)]

#[path = "../../fuzz/src/answers.rs"]
mod answers;
#[path = "../../fuzz/src/runner.rs"]
mod runner;

#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

#[test]
fn every_adapter_takes_any_answers_in_bounded_time_and_memory() {
    answers::expect_panics_that_are_caught();
    for (name, run, seeds) in answers::TARGETS {
        runner::run(name, *run, &seeds(), || ALLOCATOR.stats().bytes_allocated);
    }
}
