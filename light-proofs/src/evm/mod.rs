//! What every client of an EVM chain shares, whatever makes it believe a header: the header's fields, and the gateway
//! contract's storage proven from its state root (EIP-1186; `docs/protocol.md`, EVM storage).

mod header;
mod store;

pub use header::{ExecutionHeader, HeaderError, MAX_HEADER_RLP};
pub use store::{VerifiedAccount, storage_slot};
