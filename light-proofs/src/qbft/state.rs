//! What the client knows and what an update brings.

use alloy_primitives::{Address, B256, Bytes};
use crosspoint_protocol::ids::{Height, Timestamp};
use serde::{Deserialize, Serialize};

use super::extra::{Encoding, MAX_VALIDATORS};

/// Why a list of addresses is not a validator set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValidatorsError {
    /// None, or too many. A chain that keeps its validators in a contract writes none into its headers.
    #[error(
        "{0} validators; there must be 1 to {MAX_VALIDATORS}, in the header itself (a set kept in a contract cannot be followed)"
    )]
    Count(usize),
    /// Named twice.
    #[error("validator {0} is named twice")]
    Twice(Address),
}

/// A validator set, ascending. Each counts one. A value that exists is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Address>", into = "Vec<Address>")]
pub struct Validators(Vec<Address>);

impl Validators {
    /// The set of these addresses.
    pub fn new(mut addresses: Vec<Address>) -> Result<Self, ValidatorsError> {
        if addresses.is_empty() || addresses.len() > MAX_VALIDATORS {
            return Err(ValidatorsError::Count(addresses.len()));
        }
        addresses.sort_unstable();
        match addresses.windows(2).find(|pair| pair.first() == pair.last()) {
            Some(pair) => Err(ValidatorsError::Twice(pair.first().copied().unwrap_or_default())),
            None => Ok(Self(addresses)),
        }
    }

    /// The addresses, ascending.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.0
    }

    /// Whether this address is a validator.
    #[must_use]
    pub fn contains(&self, address: &Address) -> bool {
        self.0.binary_search(address).is_ok()
    }
}

impl TryFrom<Vec<Address>> for Validators {
    type Error = ValidatorsError;
    fn try_from(addresses: Vec<Address>) -> Result<Self, ValidatorsError> {
        Self::new(addresses)
    }
}

impl From<Validators> for Vec<Address> {
    fn from(set: Validators) -> Self {
        set.0
    }
}

/// The newest header the client trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latest {
    /// Its number.
    pub number: Height,
    /// Its hash, as blocks are named by.
    pub hash: B256,
    /// Its time, in seconds.
    pub time: Timestamp,
}

/// What the client knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientState {
    /// The EIP-155 id of the chain it follows: by our name for it. Seals do not contain it.
    pub evm_chain_id: u64,
    /// How the chain writes its extra data.
    pub encoding: Encoding,
    /// The newest header it trusts.
    pub latest: Latest,
    /// For how many seconds after its time a consensus state is trusted.
    pub trusting_period: u64,
    /// By how many seconds a header's time may be ahead of `now`.
    pub max_clock_drift: u64,
    /// The gateway contract whose storage is proven.
    pub store_address: Address,
    /// The slot of its mapping of commitments.
    pub base_slot: B256,
    /// Whether the chain was seen to contradict itself; then nothing is believed.
    pub frozen: bool,
    /// Counts re-anchorings by governance.
    pub generation: u64,
}

/// A state that proofs are checked against, and from which later headers are believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsensusState {
    /// The state root.
    pub root: B256,
    /// The header's time, in seconds.
    pub time: Timestamp,
    /// The set that sealed the header.
    pub validators: Validators,
}

/// A client update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The height of the consensus state to believe it from.
    pub trusted_height: Height,
    /// The header's RLP with its seals.
    pub rlp: Bytes,
}
