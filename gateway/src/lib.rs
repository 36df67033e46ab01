//! The `crosspoint` binary: command line, HTTP API, settings and wiring.
//!
//! - [`settings`]: what `crosspoint start` reads, with every problem reported at once.
//! - [`keys`]: the encrypted keystore; [`secrets`]: preimages derived from its seed.
//! - [`desk`]: the service: locks points for payers, says what the journal knows.
//! - [`api`]: the service over HTTP; [`client`]: the command line's side of it.
//! - [`evidence`]: what an evidence file proves, in words.
//! - [`batch`]: many transfers from a CSV file, each paid once.
//! - [`localnet`]: both chains of the demo on one machine, in one process; [`demo`]: a story told on it.
//! - [`nodes`]: a CometBFT network on one machine, as processes: `crosspoint localnet`.
//! - [`govern`]: proposals and approvals on native chains, and the opening of routes.
//! - [`service`]: wires chains, relayer, desk and API; [`cli`]: the commands.

pub mod api;
pub mod batch;
pub mod cli;
pub mod client;
pub mod demo;
pub mod desk;
pub mod evidence;
pub mod govern;
pub mod keys;
pub mod localnet;
pub mod nodes;
pub mod secrets;
pub mod service;
pub mod settings;
