//! The relayer: sees that what was locked on one chain is received, claimed or voided on the other, and settled
//! or refunded on the first, by proof. It can delay people; it can never create or lose a point.
//!
//! ```text
//! per chain   watch: final blocks ─▶ intake ─▶ journal; deadlines of that chain's clock
//! per route   carry: journal ─▶ batch (acks, timeouts, recvs) ─▶ prove on the source ─▶ submit on the destination
//!             tend:  journal ─▶ claim (watch-tower) and void on the destination
//! ```
//!
//! Read [`life`] first: the stages of a packet. Then `intake` (events to facts), `carry` and `tend` (work to
//! transactions), `witness` (whether others see the same chain), `outcome` (what became of them), [`journal`] (how all of it is kept), [`audit`] (whether the
//! books of both chains agree), [`evidence`] (what an auditor is given of one transfer). [`Relayer`] starts it, [`RelayerHandle`] stops it and says how it is.
//!
//! Submissions are written down after they were made, never before: should the process die in between, the
//! same item is submitted again and the chain takes it for the duplicate it is.

pub mod audit;
mod carry;
pub mod evidence;
pub mod intake;
pub mod journal;
pub mod life;
pub mod metrics;
mod outcome;
pub mod probe;
mod relayer;
pub mod retry;
pub mod route;
pub mod settings;
mod shared;
mod stuck;
mod tend;
mod tower;
mod watch;
mod witness;

pub use relayer::{ChainStatus, Relayer, RelayerHandle, RouteStatus, StartError, Status};
pub use settings::RelayerConfig;
pub use shared::Halt;
