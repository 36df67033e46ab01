//! The time that goes into headers: the wall clock, never stepping back, plus an offset for tests.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tendermint::Time;

/// Milliseconds since 1970-01-01 UTC.
type Millis = i64;

/// A clock for headers. Each time it gives is at least a millisecond past the one before.
#[derive(Debug, Default)]
pub struct BlockClock {
    /// Added to the wall clock, in milliseconds.
    offset: AtomicI64,
}

fn wall() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

impl BlockClock {
    /// A clock that goes on from the last header: where that is ahead of the wall clock (a test moved
    /// time, or the machine's clock was set back), the difference is kept, so that time flows on.
    #[must_use]
    pub fn resuming_after(last: Option<Time>) -> Self {
        let ahead = last.map_or(0, |time| millis(time).saturating_sub(wall())).max(0);
        Self { offset: AtomicI64::new(ahead) }
    }

    /// Moves time forward for all later headers.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(Millis::MAX);
        let add = |offset: i64| Some(offset.saturating_add(by));
        // The closure always gives a value, so there is nothing to do about a failure.
        let _ = self.offset.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
    }

    /// The time for a header after one of time `last`. `None` when time is beyond what a header can hold.
    #[must_use]
    pub fn next(&self, last: Option<Time>) -> Option<Time> {
        let now = wall().saturating_add(self.offset.load(Ordering::SeqCst));
        let earliest = last.map_or(now, |time| millis(time).saturating_add(1));
        let at = now.max(earliest);
        let nanos = u32::try_from(at.rem_euclid(1_000)).ok()?.checked_mul(1_000_000)?;
        Time::from_unix_timestamp(at.div_euclid(1_000), nanos).ok()
    }
}

fn millis(time: Time) -> Millis {
    // Rounded up, so that a time given after it is later even where it has a finer part.
    let nanos = time.unix_timestamp_nanos();
    i64::try_from(nanos.div_euclid(1_000_000).saturating_add(i128::from(nanos.rem_euclid(1_000_000) != 0)))
        .unwrap_or(Millis::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_times_strictly_increase_even_when_the_clock_stands() {
        let clock = BlockClock::default();
        let mut last = clock.next(None).unwrap();
        for _ in 0..1_000 {
            let next = clock.next(Some(last)).unwrap();
            assert!(next > last);
            last = next;
        }
    }

    #[test]
    fn time_moved_forward_stays_forward_after_a_restart() {
        let clock = BlockClock::default();
        clock.advance(Duration::from_secs(3_600));
        let last = clock.next(None).unwrap();
        let resumed = BlockClock::resuming_after(Some(last));
        let next = resumed.next(Some(last)).unwrap();
        assert!(next > last);
        assert!(next.duration_since(last).unwrap() < Duration::from_secs(10));
    }
}
