//! Why a light client refuses, or cannot read what it is given.

use crosspoint_light_proofs::attested::{self, AttestedError};
use crosspoint_light_proofs::ethereum_pos::{self, PosError, SyncError};
use crosspoint_light_proofs::mpt::MptError;
use crosspoint_light_proofs::qbft::{self, QbftError};
use crosspoint_light_proofs::tendermint::{self, StoreError, TendermintError};

/// Why a light client refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LightClientError {
    /// An `attested` client.
    #[error(transparent)]
    Attested(#[from] AttestedError),
    /// A `tendermint` client.
    #[error(transparent)]
    Tendermint(#[from] TendermintError),
    /// A `qbft` client.
    #[error(transparent)]
    Qbft(#[from] QbftError),
    /// An `ethereum-pos` client.
    #[error(transparent)]
    EthereumPos(#[from] PosError),
    /// A proof in an EVM chain's state.
    #[error(transparent)]
    Evm(#[from] MptError),
    /// A proof where a CometBFT chain keeps its packets.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Not the one proof that an item has.
    #[error("an item has one ICS-23 proof, not {0}")]
    ProofCount(usize),
}

impl LightClientError {
    /// Whether the relayer can mend it by proving again, from what the client trusts by then, or at this chain's time
    /// by then.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Attested(error) => {
                matches!(error, AttestedError::NotLatest { .. } | AttestedError::WrongEpoch { .. })
            }
            Self::Tendermint(error) => matches!(error, TendermintError::HeightNotAbove { .. }),
            Self::Qbft(error) => matches!(
                error,
                QbftError::NumberNotAbove { .. } | QbftError::TimeNotAfter { .. } | QbftError::FromTheFuture { .. }
            ),
            Self::EthereumPos(error) => matches!(
                error,
                PosError::NotAbove { .. }
                    | PosError::Skipped(_)
                    | PosError::Sync(
                        SyncError::SlotOrder { .. } | SyncError::UnknownPeriod { .. } | SyncError::NotRelevant
                    )
            ),
            Self::Evm(_) | Self::Store(_) | Self::ProofCount(_) => false,
        }
    }
}

/// Why an update or evidence cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientCodecError {
    /// For an `attested` client.
    #[error(transparent)]
    Attested(#[from] attested::CodecError),
    /// For a `tendermint` client.
    #[error(transparent)]
    Tendermint(#[from] tendermint::CodecError),
    /// For a `qbft` client.
    #[error(transparent)]
    Qbft(#[from] qbft::CodecError),
    /// The header of an update for a `qbft` client.
    #[error(transparent)]
    Sealed(#[from] qbft::SealedHeaderError),
    /// For an `ethereum-pos` client.
    #[error(transparent)]
    EthereumPos(#[from] ethereum_pos::CodecError),
    /// Not one or two headers, each after its length.
    #[error("evidence is one header, or two, each after its length")]
    Evidence,
}
