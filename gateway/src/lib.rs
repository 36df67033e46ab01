//! The `crosspoint` binary: command line, HTTP API, settings and wiring.
//!
//! - [`settings`]: what `crosspoint start` reads, with every problem reported at once.
//! - [`keys`]: the encrypted keystore.

pub mod keys;
pub mod settings;
