//! Many transfers from a CSV file, each paid once however often the command is interrupted.
//!
//! - [`rows`]: the file, all of it checked before any of it is sent.
//! - [`state`]: what was sent, in a file beside the CSV, written durably before each request.
//! - [`run`]: sends, with progress, and writes the result file.
//!
//! Each row's request has an idempotency key made of the batch's random id and the row's line. The service
//! derives the row's secret from that key, so a repeated request has the same hashlock, and chains take a
//! hashlock once per sender (`docs/protocol.md`): even a state file restored from an old backup cannot pay twice.

pub mod rows;
pub mod run;
pub mod state;
#[cfg(test)]
mod tests;
