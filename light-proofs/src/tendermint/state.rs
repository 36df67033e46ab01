//! What the client knows and what an update brings.

use crosspoint_protocol::ids::{ChainId, Height, Timestamp};
use serde::{Deserialize, Serialize};
use tendermint::block::signed_header::SignedHeader;
use tendermint::validator::Set as ValidatorSet;
use tendermint::{Hash, Time};

use super::codec::CodecError;
use super::store::PacketStore;
use crate::serde_hex;

/// Largest denominator of a trust level: powers sum to at most `i64::MAX / 8`, and the verifier
/// multiplies them by it in 64 bits.
const MAX_DENOMINATOR: u64 = 15;

/// A trust level that would be unsafe or could overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a trust level of {numerator}/{denominator} is not between 1/3 and 1 with a denominator of at most {MAX_DENOMINATOR}"
)]
pub struct TrustLevelError {
    /// The numerator given.
    pub numerator: u64,
    /// The denominator given.
    pub denominator: u64,
}

/// Which fraction of the trusted set must have signed when heights are skipped: more than this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(u64, u64)", into = "(u64, u64)")]
pub struct TrustLevel {
    numerator: u64,
    denominator: u64,
}

impl TrustLevel {
    /// One third: at least one honest validator of the trusted set signed.
    pub const ONE_THIRD: Self = Self { numerator: 1, denominator: 3 };

    /// A level from 1/3 to 1.
    pub fn new(numerator: u64, denominator: u64) -> Result<Self, TrustLevelError> {
        let in_range = (1..=MAX_DENOMINATOR).contains(&denominator)
            && numerator <= denominator
            && numerator.saturating_mul(3) >= denominator;
        if in_range { Ok(Self { numerator, denominator }) } else { Err(TrustLevelError { numerator, denominator }) }
    }

    /// Numerator and denominator.
    #[must_use]
    pub const fn parts(self) -> (u64, u64) {
        (self.numerator, self.denominator)
    }
}

impl TryFrom<(u64, u64)> for TrustLevel {
    type Error = TrustLevelError;
    fn try_from((numerator, denominator): (u64, u64)) -> Result<Self, TrustLevelError> {
        Self::new(numerator, denominator)
    }
}

impl From<TrustLevel> for (u64, u64) {
    fn from(level: TrustLevel) -> Self {
        level.parts()
    }
}

/// The newest header the client trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latest {
    /// Its height.
    pub height: Height,
    /// Its time, floored to seconds.
    pub time: Timestamp,
    /// Its hash.
    #[serde(with = "serde_hex::array")]
    pub hash: [u8; 32],
}

/// What the client knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientState {
    /// The chain it follows.
    pub chain_id: ChainId,
    /// Where it keeps its packets.
    pub store: PacketStore,
    /// How much of a trusted set must have signed when heights are skipped.
    pub trust_level: TrustLevel,
    /// For how many seconds after its time a consensus state is trusted.
    pub trusting_period: u64,
    /// By how many seconds a header's time may be ahead of `now`.
    pub max_clock_drift: u64,
    /// The newest header it trusts.
    pub latest: Latest,
    /// Whether the chain was seen to contradict itself; then nothing is believed.
    pub frozen: bool,
    /// Counts re-anchorings by governance.
    pub generation: u64,
}

/// A state that proofs are checked against, and from which the next header is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsensusState {
    /// The app hash in the header: the root of the state after the block before.
    #[serde(with = "serde_hex::array")]
    pub root: [u8; 32],
    /// The header's time, floored to seconds: what timeouts are compared with.
    pub time: Timestamp,
    /// The nanoseconds beyond `time`, for comparing headers.
    pub nanos: u32,
    /// The hash of the set that signs the next header.
    #[serde(with = "serde_hex::array")]
    pub next_validators_hash: [u8; 32],
}

/// A client update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Header {
    /// The header and its commit.
    pub signed_header: SignedHeader,
    /// The set that signed it.
    pub validators: ValidatorSet,
    /// The height of the consensus state to believe it from.
    pub trusted_height: Height,
    /// The set whose hash that consensus state names as the next one.
    pub trusted_next_validators: ValidatorSet,
}

impl Header {
    /// The header's own height.
    #[must_use]
    pub fn height(&self) -> Height {
        Height(self.signed_header.header.height.value())
    }

    /// The header's hash.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        match self.signed_header.header.hash() {
            Hash::Sha256(hash) => hash,
            // What hashing a header never gives.
            Hash::None => [0; 32],
        }
    }
}

impl TryFrom<String> for Header {
    type Error = CodecError;
    fn try_from(text: String) -> Result<Self, CodecError> {
        let bytes = hex::decode(text.strip_prefix("0x").unwrap_or(&text)).map_err(|_| CodecError::Hex)?;
        Self::decode(&bytes)
    }
}

impl From<Header> for String {
    fn from(header: Header) -> Self {
        format!("0x{}", hex::encode(header.encode()))
    }
}

/// A header's time as whole seconds and nanoseconds; `None` before 1970.
pub(super) fn split(time: Time) -> Option<(Timestamp, u32)> {
    let nanos = u128::try_from(time.unix_timestamp_nanos()).ok()?;
    let secs = u64::try_from(nanos.checked_div(1_000_000_000)?).ok()?;
    Some((Timestamp(secs), u32::try_from(nanos.checked_rem(1_000_000_000)?).ok()?))
}

/// The time of these seconds and nanoseconds; `None` past what a header can say.
pub(super) fn join(secs: Timestamp, nanos: u32) -> Option<Time> {
    Time::from_unix_timestamp(i64::try_from(secs.0).ok()?, nanos).ok()
}
