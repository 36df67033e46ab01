//! Which deadlines may be chosen. Every chain checks them at lock and again at receipt.

use crate::ids::Timestamp;
use serde::{Deserialize, Serialize};

/// A chain's bounds on deadlines, all in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowRules {
    /// The longest time from now to the timeout.
    pub max_timeout: u64,
    /// The shortest time from the timeout to the claim deadline, so that a hold made at the last
    /// moment can still be claimed.
    pub min_hold: u64,
    /// The trusting period of the client; a claim deadline lies within a third of it, so that the
    /// client that must prove the end is still alive then.
    pub trusting_period: u64,
}

impl Default for WindowRules {
    fn default() -> Self {
        Self { max_timeout: 24 * 3600, min_hold: 600, trusting_period: 14 * 24 * 3600 }
    }
}

/// Which bound a pair of deadlines breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// The timeout is not in the future.
    #[error("the timeout {timeout} is not after now, {now}")]
    TimeoutPassed {
        /// The packet's timeout.
        timeout: Timestamp,
        /// The block's time.
        now: Timestamp,
    },
    /// The timeout is too far away.
    #[error("the timeout is {secs} s from now; at most {max} s are allowed")]
    TimeoutTooFar {
        /// Seconds from now.
        secs: u64,
        /// The bound.
        max: u64,
    },
    /// The claim deadline is too near the timeout.
    #[error("the claim deadline is {secs} s after the timeout; at least {min} s are needed")]
    HoldTooShort {
        /// Seconds from timeout to claim deadline; 0 if it is earlier.
        secs: u64,
        /// The bound.
        min: u64,
    },
    /// The claim deadline is too far away for the client's trusting period.
    #[error("the claim deadline is {secs} s from now; at most a third of the trusting period, {max} s, is allowed")]
    DeadlineTooFar {
        /// Seconds from now.
        secs: u64,
        /// The bound.
        max: u64,
    },
}

impl WindowRules {
    /// Checks deadlines at block time `now`: at lock on the source, at receipt on the destination.
    pub fn check(&self, now: Timestamp, timeout: Timestamp, claim_deadline: Timestamp) -> Result<(), WindowError> {
        if timeout <= now {
            return Err(WindowError::TimeoutPassed { timeout, now });
        }
        let secs = timeout.since(now);
        if secs > self.max_timeout {
            return Err(WindowError::TimeoutTooFar { secs, max: self.max_timeout });
        }
        let secs = claim_deadline.since(timeout);
        if claim_deadline < timeout || secs < self.min_hold {
            return Err(WindowError::HoldTooShort { secs, min: self.min_hold });
        }
        let (secs, max) = (claim_deadline.since(now), self.trusting_period.saturating_div(3));
        if secs > max {
            return Err(WindowError::DeadlineTooFar { secs, max });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_is_exact() {
        let rules = WindowRules { max_timeout: 100, min_hold: 10, trusting_period: 600 };
        let check = |timeout, deadline| rules.check(Timestamp(1000), Timestamp(timeout), Timestamp(deadline));
        assert_eq!(check(1100, 1110), Ok(()));
        assert!(matches!(check(1000, 1110), Err(WindowError::TimeoutPassed { .. })));
        assert!(matches!(check(1101, 1111), Err(WindowError::TimeoutTooFar { .. })));
        assert!(matches!(check(1100, 1109), Err(WindowError::HoldTooShort { secs: 9, .. })));
        assert!(matches!(check(1100, 1099), Err(WindowError::HoldTooShort { secs: 0, .. })));
        assert_eq!(check(1100, 1200), Ok(()));
        assert!(matches!(check(1100, 1201), Err(WindowError::DeadlineTooFar { .. })));
    }
}
