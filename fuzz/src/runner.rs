//! Runs a fuzz target without a fuzzer: its seeds, the corpus kept in git, and changes to both that are the same in
//! every run. Checks that each input is done with in bounded time and memory.

use std::path::Path;
use std::time::{Duration, Instant};

/// Changed inputs per target; `CROSSPOINT_FUZZ_ROUNDS` says otherwise.
const ROUNDS: usize = 3_000;
/// The longest that one input may take, on a machine that is busy with other things.
const MAX_TIME: Duration = Duration::from_secs(5);
/// What one input may make its target allocate, in sum: this, and this many times its length.
const MAX_ALLOCATED: usize = 512 << 10;
const MAX_ALLOCATED_PER_BYTE: usize = 64;
/// The longest input made here.
const MAX_INPUT: usize = 1 << 17;

/// Runs a target. `allocated` counts what the process has allocated so far.
pub(crate) fn run(name: &str, target: fn(&[u8]), seeds: &[Vec<u8>], allocated: impl Fn() -> usize) {
    let corpus = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus")).join(name);
    let kept = std::fs::read_dir(corpus).into_iter().flatten().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    let inputs: Vec<Vec<u8>> = seeds.iter().cloned().chain(kept).chain([vec![]]).collect();
    let rounds = std::env::var("CROSSPOINT_FUZZ_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    // Once before anything is measured: what targets keep for later is made then.
    inputs.iter().for_each(|input| target(input));
    let mut random = Random::new(0x5eed);
    let changed = (0..rounds).map(|_| {
        let mut input = random.of(&inputs).clone();
        for _ in 0..=random.below(4) {
            random.change(&mut input, &inputs);
        }
        input
    });
    let mut most = (0, Duration::ZERO);
    for input in inputs.iter().cloned().chain(changed) {
        let (before, start) = (allocated(), Instant::now());
        target(&input);
        let (used, took) = (allocated() - before, start.elapsed());
        let bound = MAX_ALLOCATED + MAX_ALLOCATED_PER_BYTE * input.len();
        assert!(used <= bound, "{name}: {} bytes made it allocate {used}: {}", input.len(), hex::encode(&input));
        assert!(took <= MAX_TIME, "{name}: {} bytes took {took:?}: {}", input.len(), hex::encode(&input));
        most = (most.0.max(used), most.1.max(took));
    }
    eprintln!("{name}: {} seeds, {rounds} changes; at most {} kB allocated, {:?}", seeds.len(), most.0 >> 10, most.1);
}

/// The same numbers in every run (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    /// From a seed, never 0.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below this; 0 below 0.
    pub(crate) const fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() >> 16) as usize % end }
    }

    /// One of these.
    pub(crate) fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// One change, as fuzzers make them.
    pub(crate) fn change(&mut self, input: &mut Vec<u8>, all: &[Vec<u8>]) {
        let at = self.below(input.len());
        let len = self.below(input.len() - at).min(self.below(64));
        match self.below(9) {
            0 | 1 if !input.is_empty() => input[at] ^= 1 << self.below(8),
            2 if !input.is_empty() => input[at] = *self.of(&[0, 1, 0x7f, 0x80, 0xb8, 0xc0, 0xf8, 0xff]),
            3 => input.truncate(at),
            4 => drop(input.drain(at..at + len)),
            5 => {
                let copy = input[at..at + len].to_vec();
                input.splice(at..at, copy);
            }
            6 => {
                // A length, where one may stand.
                let size = *self.of(&[0u64, 1, 255, 65_536, 1 << 31, 1 << 33, u64::MAX]);
                let bytes = if self.below(2) == 0 { size.to_be_bytes() } else { size.to_le_bytes() };
                let end = (at + 8).min(input.len());
                input[at..end].copy_from_slice(&bytes[..end - at]);
            }
            7 => {
                let other = self.of(all);
                let from = self.below(other.len());
                let to = from + self.below(other.len() - from);
                input.splice(at..at + len, other[from..to].iter().copied());
            }
            _ => input.extend((0..self.below(40)).map(|_| self.next() as u8)),
        }
        input.truncate(MAX_INPUT);
    }
}
