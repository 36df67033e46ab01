//! The words and rules every part of Crosspoint agrees on. No I/O, no clock, no randomness.
//!
//! A transfer is one IBC v2 [`packet::Packet`] whose single payload is a [`lock::PointsLock`].
//! Read the modules in this order to follow it:
//!
//! 1. [`ids`], [`amount`], [`denom`], [`secret`]: the types of every identifier; a value that exists is valid.
//! 2. [`lock`]: what the payer locks, and its strict ABI encoding; [`terms`]: over which chains it is forwarded, if any.
//! 3. [`packet`] and [`ack`]: the packet, its acknowledgement, their commitments, and the
//!    [`path`]s they are stored and proved under.
//! 4. [`window`]: which deadlines may be chosen.
//! 5. [`htlc`]: the life of a lock (source) and of a hold (destination) as pure state machines.
//!    [`gate`]: which of their steps a paused or closed client lets through.
//! 6. [`book`]: the accounting of points locked, vaulted, vouchered and held; [`audit`]: the equations that the books
//!    of two chains satisfy together.
//! 7. [`outbox`]: the per-block list of packets and acks that the fast path proves.
//!
//! The encodings are those of IBC v2 as deployed (ibc-go v10 and the Solidity contracts of the
//! Cosmos stack), checked against known answers.

pub mod ack;
pub mod amount;
pub mod audit;
pub mod book;
pub mod denom;
pub mod gate;
pub mod htlc;
pub mod ids;
pub mod lock;
pub mod outbox;
pub mod packet;
pub mod path;
pub mod secret;
pub mod terms;
pub mod window;

/// The application port of points transfers on every chain.
pub const PORT: &str = "points";
/// The payload version of points transfers.
pub const VERSION: &str = "points-htlc-1";
/// The payload encoding of points transfers: the ABI encoding of one struct.
pub const ENCODING: &str = "application/x-solidity-abi";

/// SHA-256 over the concatenation of `parts`.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}
