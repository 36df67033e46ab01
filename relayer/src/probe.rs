//! Named places in the pipeline where a test can hold a task and end it, as `kill -9` would.

use async_trait::async_trait;

/// A place in the pipeline between two effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Point {
    /// Events were read from a chain, nothing is journaled.
    EventsRead,
    /// Events are in the journal.
    EventsJournaled,
    /// A batch was chosen.
    BatchChosen,
    /// A batch was proven.
    BatchProven,
    /// A batch's transaction is in a block; the journal does not know.
    BatchSubmitted,
    /// The outcomes are in the journal.
    OutcomesJournaled,
    /// A claim or void is in a block; the journal does not know.
    HoldEnded,
}

impl Point {
    /// Every point.
    pub const ALL: [Self; 7] = [
        Self::EventsRead,
        Self::EventsJournaled,
        Self::BatchChosen,
        Self::BatchProven,
        Self::BatchSubmitted,
        Self::OutcomesJournaled,
        Self::HoldEnded,
    ];
}

/// Told of each point that is reached; the task waits until it returns.
#[async_trait]
pub trait Probe: Send + Sync + 'static {
    /// A task is at this point.
    async fn reached(&self, point: Point);
}
