//! The Solidity contracts on anvil and the Rust state machines, side by side: the same random events go to both, and
//! after each one verdict and state are compared. The model checks of `light-proofs/tests/model` are about the Rust;
//! this says that they are about the contracts too.
//!
//! `jmt` compares verdicts on proofs alone.
//!
//! A run is the same each time, so that what fails has a cause in what was changed. `CROSSPOINT_SEED` sets another one
//! (each prints its seed), `CROSSPOINT_STEPS` how many events it has; `make model` takes a new seed each time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod checkpoint;
#[path = "../evm_support/mod.rs"]
mod evm_support;
mod gateway;
mod jmt;
#[path = "../../../light-proofs/tests/proofs/jmt_tree.rs"]
mod jmt_tree;
mod on_chain;
mod twin;

/// A generator (splitmix64) that gives the same numbers for a seed for ever.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// True once in `n` times.
    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let at = self.below(of.len() as u64);
        &of[at as usize]
    }
}

/// This run's generator and number of events.
fn run(what: &str, steps: u64) -> (Rng, u64) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seed = number("CROSSPOINT_SEED").unwrap_or(1);
    println!("{what}: CROSSPOINT_SEED={seed}");
    (Rng(seed), number("CROSSPOINT_STEPS").unwrap_or(steps))
}
