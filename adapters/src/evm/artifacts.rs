//! The compiled contracts, embedded.

use alloy::primitives::Bytes;
use alloy::sol_types::SolValue;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A contract of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contract {
    /// OpenZeppelin's access manager: who may do what.
    AccessManager,
    /// Governance and lists.
    Registry,
    /// Light clients of native chains.
    CheckpointClient,
    /// Packets and escrow.
    Gateway,
    /// Locks that others submit for their payer.
    LockIntents,
    /// The token of a voucher denom. Deployed by the registry, one per denom.
    Voucher,
}

impl Contract {
    const fn json(self) -> &'static str {
        match self {
            Self::AccessManager => include_str!("../../../contracts/artifacts/AccessManager.json"),
            Self::Registry => include_str!("../../../contracts/artifacts/CrosspointRegistry.json"),
            Self::CheckpointClient => include_str!("../../../contracts/artifacts/CheckpointClient.json"),
            Self::Gateway => include_str!("../../../contracts/artifacts/CrosspointGateway.json"),
            Self::LockIntents => include_str!("../../../contracts/artifacts/LockIntents.json"),
            Self::Voucher => include_str!("../../../contracts/artifacts/PointsVoucher.json"),
        }
    }

    /// Its name in the sources.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessManager => "AccessManager",
            Self::Registry => "CrosspointRegistry",
            Self::CheckpointClient => "CheckpointClient",
            Self::Gateway => "CrosspointGateway",
            Self::LockIntents => "LockIntents",
            Self::Voucher => "PointsVoucher",
        }
    }

    /// The compiled contract.
    pub fn artifact(self) -> Result<Artifact, ArtifactError> {
        serde_json::from_str(self.json()).map_err(|_| ArtifactError(self))
    }
}

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An embedded artifact does not have the form that the contracts' build writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the embedded artifact of {0} is malformed; rebuild the contracts and this program")]
pub struct ArtifactError(pub Contract);

/// Where a constructor writes a value into the code.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Span {
    start: usize,
    length: usize,
}

/// A compiled contract.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    bytecode: Bytes,
    deployed_bytecode: Bytes,
    immutable_references: BTreeMap<String, Vec<Span>>,
}

impl Artifact {
    /// What a transaction that creates the contract carries.
    #[must_use]
    pub fn creation<Arguments: SolValue>(&self, arguments: &Arguments) -> Bytes
    where
        for<'a> <Arguments::SolType as alloy::sol_types::SolType>::Token<'a>: alloy::sol_types::abi::TokenSeq<'a>,
    {
        [self.bytecode.as_ref(), &arguments.abi_encode_params()].concat().into()
    }

    /// Whether `code` is this contract's, whatever its constructor was given.
    #[must_use]
    pub fn matches(&self, code: &[u8]) -> bool {
        self.blanked(code) == self.blanked(&self.deployed_bytecode)
    }

    fn blanked(&self, code: &[u8]) -> Vec<u8> {
        let mut code = code.to_vec();
        for span in self.immutable_references.values().flatten() {
            let end = span.start.saturating_add(span.length);
            if let Some(value) = code.get_mut(span.start..end) {
                value.fill(0);
            }
        }
        code
    }
}
