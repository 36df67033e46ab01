//! What differs from network to network, and from fork to fork.

use alloy_primitives::{B256, FixedBytes};
use serde::{Deserialize, Serialize};

use super::root::{merkle_root, pad};

/// A fork that changed something the light client sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fork {
    /// Sync committees.
    Altair,
    /// Execution payloads in blocks; headers do not carry them yet.
    Bellatrix,
    /// Headers carry the execution payload's header.
    Capella,
    /// Blob gas in it.
    Deneb,
    /// A deeper state: longer branches.
    Electra,
    /// Nothing that is seen here but its version.
    Fulu,
}

/// Sizes that the specification fixes per preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Members of a sync committee; a multiple of 8.
    pub sync_committee_size: usize,
    /// Slots of an epoch.
    pub slots_per_epoch: u64,
    /// Epochs for which a committee serves.
    pub epochs_per_period: u64,
}

impl Preset {
    /// Mainnet and the public testnets.
    pub const MAINNET: Self = Self { sync_committee_size: 512, slots_per_epoch: 32, epochs_per_period: 256 };
    /// The preset of the specification's small tests.
    pub const MINIMAL: Self = Self { sync_committee_size: 32, slots_per_epoch: 8, epochs_per_period: 8 };
}

/// Why settings are not those of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// A size or duration is zero, or the committee is no multiple of 8 or too large.
    #[error("a size or duration of the network is zero or out of range")]
    Range,
    /// Forks out of order.
    #[error("the forks are not in their order, each in an epoch not before the one before")]
    ForkOrder,
}

/// Largest committee that is handled.
const MAX_COMMITTEE: usize = 2_048;

/// One network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawNetwork", into = "RawNetwork")]
pub struct Network {
    raw: RawNetwork,
}

/// The settings of a network, to be checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNetwork {
    preset: Preset,
    genesis_validators_root: B256,
    genesis_time: u64,
    seconds_per_slot: u64,
    /// Ascending: fork, first epoch, version.
    forks: Vec<(Fork, u64, FixedBytes<4>)>,
}

impl TryFrom<RawNetwork> for Network {
    type Error = NetworkError;
    fn try_from(raw: RawNetwork) -> Result<Self, NetworkError> {
        let Preset { sync_committee_size: size, slots_per_epoch, epochs_per_period } = raw.preset;
        let committee = (1..=MAX_COMMITTEE).contains(&size) && size.is_multiple_of(8);
        let periods = slots_per_epoch.checked_mul(epochs_per_period).is_some_and(|slots| slots > 0);
        if !committee || !periods || raw.seconds_per_slot == 0 || raw.forks.is_empty() {
            return Err(NetworkError::Range);
        }
        let ordered = raw.forks.windows(2).all(|pair| match pair {
            [before, after] => before.0 < after.0 && before.1 <= after.1,
            _ => true,
        });
        if ordered { Ok(Self { raw }) } else { Err(NetworkError::ForkOrder) }
    }
}

impl From<Network> for RawNetwork {
    fn from(network: Network) -> Self {
        network.raw
    }
}

impl Network {
    /// A network. Each fork comes with its first epoch and its version, in order.
    pub fn new(
        preset: Preset,
        genesis_validators_root: B256,
        (genesis_time, seconds_per_slot): (u64, u64),
        forks: Vec<(Fork, u64, FixedBytes<4>)>,
    ) -> Result<Self, NetworkError> {
        RawNetwork { preset, genesis_validators_root, genesis_time, seconds_per_slot, forks }.try_into()
    }

    /// The network's sizes.
    #[must_use]
    pub const fn preset(&self) -> Preset {
        self.raw.preset
    }

    /// What tells the network from all others.
    #[must_use]
    pub const fn genesis_validators_root(&self) -> B256 {
        self.raw.genesis_validators_root
    }

    /// When a slot begins, in seconds.
    #[must_use]
    pub const fn time_of(&self, slot: u64) -> u64 {
        self.raw.genesis_time.saturating_add(slot.saturating_mul(self.raw.seconds_per_slot))
    }

    /// The newest slot that has begun at a time in seconds.
    #[must_use]
    pub const fn slot_at(&self, time: u64) -> u64 {
        match time.saturating_sub(self.raw.genesis_time).checked_div(self.raw.seconds_per_slot) {
            Some(slot) => slot,
            None => 0,
        }
    }

    /// The epoch of a slot.
    #[must_use]
    pub const fn epoch(&self, slot: u64) -> u64 {
        match slot.checked_div(self.raw.preset.slots_per_epoch) {
            Some(epoch) => epoch,
            None => 0,
        }
    }

    /// The period of the sync committee that serves in a slot.
    #[must_use]
    pub const fn period(&self, slot: u64) -> u64 {
        match slot.checked_div(self.slots_per_period()) {
            Some(period) => period,
            None => 0,
        }
    }

    /// Slots for which a committee serves; also how long an update is waited for before one is forced.
    #[must_use]
    pub const fn slots_per_period(&self) -> u64 {
        self.raw.preset.slots_per_epoch.saturating_mul(self.raw.preset.epochs_per_period)
    }

    /// The fork in force in a slot; `None` before the first.
    #[must_use]
    pub fn fork(&self, slot: u64) -> Option<Fork> {
        self.version(slot).map(|(fork, _)| fork)
    }

    fn version(&self, slot: u64) -> Option<(Fork, FixedBytes<4>)> {
        let epoch = self.epoch(slot);
        let entry = self.raw.forks.iter().rev().find(|(_, first, _)| *first <= epoch)?;
        Some((entry.0, entry.2))
    }

    /// The root that a sync committee signs for a header in a block of this slot (`compute_signing_root`), by the
    /// version in force in the slot before. `None` before the first fork.
    #[must_use]
    pub fn signing_root(&self, header_root: B256, signature_slot: u64) -> Option<B256> {
        const DOMAIN_SYNC_COMMITTEE: [u8; 4] = [7, 0, 0, 0];
        let (_, version) = self.version(signature_slot.max(1).saturating_sub(1))?;
        let fork_data = merkle_root(&[pad(version.as_slice()), self.raw.genesis_validators_root]);
        let mut domain = [0; 32];
        let (kind, rest) = domain.split_at_mut(4);
        kind.copy_from_slice(&DOMAIN_SYNC_COMMITTEE);
        rest.copy_from_slice(fork_data.get(..28)?);
        Some(merkle_root(&[header_root, domain.into()]))
    }
}

/// A place in the beacon state, as its generalized index is split: depth, and index at that depth.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) depth: usize,
    pub(super) index: u64,
}

/// The places that light clients prove, by the fork of the header whose state it is.
impl Fork {
    pub(super) const fn finalized_root(self) -> Place {
        match self {
            Self::Electra | Self::Fulu => Place { depth: 7, index: 41 },
            _ => Place { depth: 6, index: 41 },
        }
    }

    pub(super) const fn current_sync_committee(self) -> Place {
        match self {
            Self::Electra | Self::Fulu => Place { depth: 6, index: 22 },
            _ => Place { depth: 5, index: 22 },
        }
    }

    pub(super) const fn next_sync_committee(self) -> Place {
        match self {
            Self::Electra | Self::Fulu => Place { depth: 6, index: 23 },
            _ => Place { depth: 5, index: 23 },
        }
    }
}

/// The execution payload in a block's body.
pub(super) const EXECUTION_PAYLOAD: Place = Place { depth: 4, index: 9 };
