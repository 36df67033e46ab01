//! Result codes of transactions and queries. Part of the protocol: a code never changes its meaning.

/// It worked.
pub const OK: u32 = 0;
/// Not a transaction, or a field is invalid.
pub const MALFORMED: u32 = 1;
/// The key or signature is invalid.
pub const SIGNATURE: u32 = 2;
/// For another chain.
pub const CHAIN_ID: u32 = 3;
/// The nonce was used already.
pub const NONCE_USED: u32 = 4;
/// The nonce is not the next one yet; retryable once the ones before are in a block.
pub const NONCE_AHEAD: u32 = 5;
/// The sender is no member, or suspended.
pub const NOT_MEMBER: u32 = 6;
/// The sender may not do this.
pub const NOT_ALLOWED: u32 = 7;
/// Not enough points.
pub const INSUFFICIENT: u32 = 8;
/// The request breaks a rule of the chain and will never succeed as it is.
pub const INVALID: u32 = 9;
/// Something named does not exist.
pub const NOT_FOUND: u32 = 10;
/// Paused; retryable.
pub const PAUSED: u32 = 11;
/// A limit is reached; retryable.
pub const LIMIT: u32 = 12;
/// A light client refused a header or proof, is frozen, expired or closed.
pub const CLIENT: u32 = 13;
/// The state at this height is gone.
pub const PRUNED: u32 = 14;
/// The node failed; see its log.
pub const INTERNAL: u32 = 15;

/// Whether the same bytes can succeed later without anybody changing them.
#[must_use]
pub const fn is_retryable(code: u32) -> bool {
    matches!(code, NONCE_AHEAD | PAUSED | LIMIT | INTERNAL)
}
