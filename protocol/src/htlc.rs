//! The life of a transfer as two pure state machines: the *lock* on the source and the *hold* on the
//! destination. Chains run the same transitions; whoever calls them has verified the proofs first.
//!
//! ```text
//! lock:  SENT ──proven success ack──▶ SETTLED        hold:  OPEN ──preimage, now <  deadline──▶ CLAIMED
//!          └──proven error ack, or proven                     └──now >= deadline─────────────▶ VOID
//!             non-receipt at time >= timeout──▶ REFUNDED
//! ```
//!
//! No transition of a lock reads the source's clock: a refund is granted by proof alone.
//!
//! The hold of a packet that is forwarded is BOUND to the packet sent on. No preimage and no clock moves it; it ends in
//! the step that ends the onward lock, and as that does:
//!
//! ```text
//! hold:  BOUND ──onward lock settled───▶ CLAIMED (the points are what the onward lock became)
//!          └──onward lock refunded─────▶ VOID
//! ```

use crate::ack::{AckError, Acknowledgement};
use crate::ids::Timestamp;
use crate::secret::{Hashlock, Preimage, SecretError};
use crate::terms::Terms;
use serde::{Deserialize, Serialize};

/// Where a lock is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockState {
    /// The points are in escrow and the packet's commitment stands.
    Sent,
    /// A success was proven: home points went to the vault, vouchers were burned.
    Settled,
    /// A failure was proven: the sender has the points back.
    Refunded,
}

/// Why an acknowledgement was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AckCause {
    /// The preimage was shown in time.
    Claimed,
    /// The hold was given up after its deadline.
    Voided,
    /// The packet was refused at receipt; there never was a hold.
    Refused,
}

/// How a lock ended on its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockEnd {
    /// By a proven success ack.
    Settled,
    /// By a proven error ack.
    Refunded,
    /// By proven non-receipt.
    TimedOut,
}

/// What a light client has proven about a sent packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockEvent<'a> {
    /// The destination committed to exactly these acknowledgement bytes.
    AckProven(&'a [u8]),
    /// The destination has no receipt in a state of this time.
    NonReceiptProven {
        /// The time of the consensus state the proof was checked against.
        consensus_time: Timestamp,
    },
}

/// What to do with a lock's points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockEffect {
    /// Move them to the vault (home points) or burn them (vouchers). The preimage is the payer's receipt.
    Settle(Preimage),
    /// Give them back to the sender named in the packet.
    Refund,
}

/// Why an event does not move a lock. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockEventError {
    /// The lock has ended; the duplicate of what ended it is a no-op for the caller.
    #[error("the lock has already ended as {0:?}")]
    Ended(LockState),
    /// The acknowledgement is none this protocol knows: stop and alert.
    #[error(transparent)]
    Ack(#[from] AckError),
    /// Non-receipt was proven for a time at which the packet could still be received.
    #[error("non-receipt at time {consensus_time} proves nothing: the packet can be received until {timeout}")]
    TooEarly {
        /// The time of the proof.
        consensus_time: Timestamp,
        /// The packet's timeout.
        timeout: Timestamp,
    },
}

/// The parts of a sent packet that its ending depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockTerms {
    /// What a success must open.
    pub hashlock: Hashlock,
    /// From which destination time on the packet cannot be received.
    pub timeout: Timestamp,
}

impl LockState {
    /// The next state and what to do with the points.
    pub fn apply(self, terms: &LockTerms, event: &LockEvent<'_>) -> Result<(Self, LockEffect), LockEventError> {
        match self {
            Self::Settled | Self::Refunded => return Err(LockEventError::Ended(self)),
            Self::Sent => {}
        }
        match event {
            LockEvent::AckProven(bytes) => match Acknowledgement::decode(bytes, &terms.hashlock)? {
                Acknowledgement::Success(preimage) => Ok((Self::Settled, LockEffect::Settle(preimage))),
                Acknowledgement::Error => Ok((Self::Refunded, LockEffect::Refund)),
            },
            LockEvent::NonReceiptProven { consensus_time } if *consensus_time < terms.timeout => {
                Err(LockEventError::TooEarly { consensus_time: *consensus_time, timeout: terms.timeout })
            }
            LockEvent::NonReceiptProven { .. } => Ok((Self::Refunded, LockEffect::Refund)),
        }
    }
}

/// Where a hold is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// Waiting for the preimage.
    Open,
    /// Waiting for the end of the packet that the points were sent on with.
    Bound,
    /// Paid to the receiver, or passed on.
    Claimed,
    /// Given up: burned, or back in the vault.
    Void,
}

/// What a person asks of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldEvent<'a> {
    /// Show a secret, of any length.
    Claim {
        /// The bytes shown.
        secret: &'a [u8],
        /// The block's time.
        now: Timestamp,
    },
    /// Ask for the hold to be given up.
    Void {
        /// The block's time.
        now: Timestamp,
    },
}

/// What to do with a hold's points, and which ack to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldEffect {
    /// Pay the receiver named in the packet and acknowledge success with this preimage.
    Pay(Preimage),
    /// Pay nobody: the points are what the onward lock became. Acknowledge success with this preimage.
    PassOn(Preimage),
    /// Burn the vouchers or put home points back into the vault, and acknowledge the error.
    GiveUp,
}

impl HoldEffect {
    /// The acknowledgement that goes with the effect.
    #[must_use]
    pub fn acknowledgement(&self) -> Acknowledgement {
        match self {
            Self::Pay(preimage) | Self::PassOn(preimage) => Acknowledgement::Success(preimage.clone()),
            Self::GiveUp => Acknowledgement::Error,
        }
    }
}

/// Why an event does not move a hold. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoldEventError {
    /// The hold has ended.
    #[error("the hold has already ended as {0:?}")]
    Ended(HoldState),
    /// Nobody can claim or void a hold whose points were sent on.
    #[error("the hold is bound: it ends when the packet that its points were sent on with ends, by proof alone")]
    Bound,
    /// No points were sent on from this hold.
    #[error("the hold is not bound to an onward packet")]
    NotBound,
    /// The secret is not 32 bytes.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The secret does not open the hashlock.
    #[error("the preimage does not open the hashlock {0}")]
    WrongPreimage(Hashlock),
    /// Claimed at or after the deadline.
    #[error("the claim deadline {deadline} has passed: it is {now}")]
    DeadlinePassed {
        /// The claim deadline.
        deadline: Timestamp,
        /// The block's time.
        now: Timestamp,
    },
    /// Voided before the deadline.
    #[error("the hold can be claimed until {deadline}; it is {now}")]
    DeadlineNotReached {
        /// The claim deadline.
        deadline: Timestamp,
        /// The block's time.
        now: Timestamp,
    },
}

/// The parts of a received packet that its hold's ending depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldTerms {
    /// What a claim must open.
    pub hashlock: Hashlock,
    /// Claims are good strictly before, voids from then on.
    pub claim_deadline: Timestamp,
}

impl HoldState {
    /// The state of a hold that is made of a packet with these terms.
    #[must_use]
    pub const fn made_under(terms: &Terms) -> Self {
        match terms {
            Terms::Plain => Self::Open,
            Terms::Forward(_) => Self::Bound,
        }
    }

    /// Ends a bound hold by the end of its onward lock, in the same step. `onward` is what [`LockState::apply`] decided
    /// on a proof; the preimage is checked against this hold's own hashlock once more.
    pub fn release(self, hashlock: &Hashlock, onward: &LockEffect) -> Result<(Self, HoldEffect), HoldEventError> {
        match self {
            Self::Claimed | Self::Void => return Err(HoldEventError::Ended(self)),
            Self::Open => return Err(HoldEventError::NotBound),
            Self::Bound => {}
        }
        match onward {
            LockEffect::Settle(preimage) if preimage.opens(hashlock) => {
                Ok((Self::Claimed, HoldEffect::PassOn(preimage.clone())))
            }
            LockEffect::Settle(_) => Err(HoldEventError::WrongPreimage(*hashlock)),
            LockEffect::Refund => Ok((Self::Void, HoldEffect::GiveUp)),
        }
    }

    /// The next state and what to do with the points.
    pub fn apply(self, terms: &HoldTerms, event: &HoldEvent<'_>) -> Result<(Self, HoldEffect), HoldEventError> {
        match self {
            Self::Claimed | Self::Void => return Err(HoldEventError::Ended(self)),
            Self::Bound => return Err(HoldEventError::Bound),
            Self::Open => {}
        }
        let deadline = terms.claim_deadline;
        match *event {
            HoldEvent::Claim { secret, now } => {
                if now >= deadline {
                    return Err(HoldEventError::DeadlinePassed { deadline, now });
                }
                let preimage = Preimage::from_slice(secret)?;
                if !preimage.opens(&terms.hashlock) {
                    return Err(HoldEventError::WrongPreimage(terms.hashlock));
                }
                Ok((Self::Claimed, HoldEffect::Pay(preimage)))
            }
            HoldEvent::Void { now } if now < deadline => Err(HoldEventError::DeadlineNotReached { deadline, now }),
            HoldEvent::Void { .. } => Ok((Self::Void, HoldEffect::GiveUp)),
        }
    }
}
