//! What a light client knows, whatever its type.

use alloy_primitives::{Address, B256};
use crosspoint_light_proofs::tendermint::PacketStore;
use crosspoint_light_proofs::{attested, ethereum_pos, qbft, tendermint};
use crosspoint_protocol::ids::{ChainId, Height, IdError, Timestamp};
use serde::{Deserialize, Serialize};

use crate::query::SignersView;

/// A light client's own state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum LightClient {
    /// m-of-n statements about an EVM chain.
    Attested(attested::ClientState),
    /// Commits of a CometBFT chain.
    Tendermint(tendermint::ClientState),
    /// Sealed headers of a consortium EVM chain.
    Qbft(qbft::ClientState),
    /// Headers of Ethereum, final by its sync committees.
    EthereumPos(ethereum_pos::ClientState),
}

/// A state a client trusts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Consensus {
    /// Of an attested EVM chain.
    Attested {
        /// Root and time.
        state: attested::ConsensusState,
        /// The block's hash, to see conflicts by.
        hash: B256,
    },
    /// Of a CometBFT chain.
    Tendermint {
        /// Root, time and who signs next.
        state: tendermint::ConsensusState,
        /// The header's hash, to see conflicts by.
        hash: B256,
    },
    /// Of a consortium EVM chain.
    Qbft {
        /// Root, time and who sealed.
        state: qbft::ConsensusState,
        /// The block's hash, to see conflicts by.
        hash: B256,
    },
    /// Of Ethereum.
    EthereumPos {
        /// Root, time, slot and committees.
        state: ethereum_pos::ConsensusState,
        /// The beacon block's root, to see conflicts by.
        hash: B256,
    },
}

impl Consensus {
    /// The time of the state.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        match self {
            Self::Attested { state, .. } => state.time,
            Self::Tendermint { state, .. } => state.time,
            Self::Qbft { state, .. } => state.time,
            Self::EthereumPos { state, .. } => state.time,
        }
    }

    /// Sets the time: of a final state, which comes after every timeout.
    pub const fn set_time(&mut self, time: Timestamp) {
        match self {
            Self::Attested { state, .. } => state.time = time,
            Self::Tendermint { state, .. } => state.time = time,
            Self::Qbft { state, .. } => state.time = time,
            Self::EthereumPos { state, .. } => state.time = time,
        }
    }

    /// What packets are proven from.
    #[must_use]
    pub fn root(&self) -> B256 {
        match self {
            Self::Attested { state, .. } => state.root,
            Self::Tendermint { state, .. } => state.root.into(),
            Self::Qbft { state, .. } => state.root,
            Self::EthereumPos { state, .. } => state.root,
        }
    }
}

/// Where the other chain keeps its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterpartyStore<'a> {
    /// In a contract's mapping of commitments.
    Evm {
        /// The gateway contract.
        gateway: Address,
        /// The mapping's slot.
        base_slot: B256,
    },
    /// Under the app hash of a CometBFT chain.
    CometBft(&'a PacketStore),
}

/// What a client never changes.
#[derive(PartialEq, Eq)]
struct Followed<'a> {
    type_name: &'static str,
    chain: Option<ChainId>,
    /// What tells the chain from another one with its id, where headers say.
    genesis: Option<B256>,
    store: CounterpartyStore<'a>,
}

impl LightClient {
    /// The type's name in client ids and answers.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Attested(_) => "attested",
            Self::Tendermint(_) => "tendermint",
            Self::Qbft(_) => "qbft",
            Self::EthereumPos(_) => "ethereum-pos",
        }
    }

    /// The chain it follows, by our name for it.
    pub fn chain(&self) -> Result<ChainId, IdError> {
        let number = match self {
            Self::Tendermint(state) => return Ok(state.chain_id.clone()),
            Self::Attested(state) => state.evm_chain_id,
            Self::Qbft(state) => state.evm_chain_id,
            Self::EthereumPos(state) => state.evm_chain_id,
        };
        format!("eip155-{number}").parse()
    }

    /// Where packets are proven.
    #[must_use]
    pub const fn store(&self) -> CounterpartyStore<'_> {
        let (gateway, base_slot) = match self {
            Self::Tendermint(state) => return CounterpartyStore::CometBft(&state.store),
            Self::Attested(state) => (state.store_address, state.base_slot),
            Self::Qbft(state) => (state.store_address, state.base_slot),
            Self::EthereumPos(state) => (state.store_address, state.base_slot),
        };
        CounterpartyStore::Evm { gateway, base_slot }
    }

    /// The newest state it trusts.
    #[must_use]
    pub const fn trusted(&self) -> (Height, Timestamp) {
        match self {
            Self::Attested(state) => (state.latest.number, state.latest.time),
            Self::Tendermint(state) => (state.latest.height, state.latest.time),
            Self::Qbft(state) => (state.latest.number, state.latest.time),
            Self::EthereumPos(state) => (state.latest.number, state.latest.time),
        }
    }

    /// The hash of the newest header it trusts; for `ethereum-pos` the root of the beacon block.
    #[must_use]
    pub fn trusted_hash(&self) -> B256 {
        match self {
            Self::Attested(state) => state.latest.hash,
            Self::Tendermint(state) => state.latest.hash.into(),
            Self::Qbft(state) => state.latest.hash,
            Self::EthereumPos(state) => state.latest.root,
        }
    }

    /// What it knows of those who sign, given the newest state it trusts.
    #[must_use]
    pub fn signers(&self, newest: Option<&Consensus>) -> SignersView {
        match (self, newest) {
            (Self::Attested(state), _) => SignersView::Attestors { epoch: state.epoch },
            (Self::EthereumPos(client), Some(Consensus::EthereumPos { state, .. })) => {
                SignersView::SyncCommittees { network: Box::new(client.network.clone()), state: *state }
            }
            (Self::Tendermint(_) | Self::Qbft(_) | Self::EthereumPos(_), _) => SignersView::InHeader,
        }
    }

    /// For how many seconds after its header's time a state may be used.
    #[must_use]
    pub const fn trusting_period(&self) -> u64 {
        match self {
            Self::Attested(state) => state.trusting_period,
            Self::Tendermint(state) => state.trusting_period,
            Self::Qbft(state) => state.trusting_period,
            Self::EthereumPos(state) => state.trusting_period,
        }
    }

    /// Counts re-anchorings.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        match self {
            Self::Attested(state) => state.generation,
            Self::Tendermint(state) => state.generation,
            Self::Qbft(state) => state.generation,
            Self::EthereumPos(state) => state.generation,
        }
    }

    /// Whether evidence froze it.
    #[must_use]
    pub const fn frozen(&self) -> bool {
        match self {
            Self::Attested(state) => state.frozen,
            Self::Tendermint(state) => state.frozen,
            Self::Qbft(state) => state.frozen,
            Self::EthereumPos(state) => state.frozen,
        }
    }

    /// Whether the chain it follows keeps its side in EVM contracts, with compact records.
    #[must_use]
    pub const fn is_evm(&self) -> bool {
        matches!(self.store(), CounterpartyStore::Evm { .. })
    }

    /// Sets the newest header's time: of a final state, which comes after every timeout.
    pub const fn set_time(&mut self, time: Timestamp) {
        match self {
            Self::Attested(state) => state.latest.time = time,
            Self::Tendermint(state) => state.latest.time = time,
            Self::Qbft(state) => state.latest.time = time,
            Self::EthereumPos(state) => state.latest.time = time,
        }
    }

    /// From now on it believes nothing.
    pub const fn freeze(&mut self) {
        match self {
            Self::Attested(state) => state.frozen = true,
            Self::Tendermint(state) => state.frozen = true,
            Self::Qbft(state) => state.frozen = true,
            Self::EthereumPos(state) => state.frozen = true,
        }
    }

    /// Whether `other` follows the same chain and the same store on it, by a client of the same type. Forks of the
    /// chain change neither.
    #[must_use]
    pub fn same_counterparty(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Attested(old), Self::Attested(new)) => old.same_counterparty(new),
            _ => self.followed() == other.followed(),
        }
    }

    fn followed(&self) -> Followed<'_> {
        let genesis = match self {
            Self::Attested(state) => Some(state.genesis_hash),
            Self::EthereumPos(state) => Some(state.network.genesis_validators_root()),
            Self::Tendermint(_) | Self::Qbft(_) => None,
        };
        Followed { type_name: self.type_name(), chain: self.chain().ok(), genesis, store: self.store() }
    }
}
