//! What governance can decide. In a transaction an action is JSON, exactly as it is written here, so that
//! governors can read what they approve.

use alloy_primitives::{Address as EvmAddress, B256, Bytes};
use crosspoint_light_proofs::ethereum_pos::{Bootstrap, Network};
use crosspoint_light_proofs::qbft::Encoding;
use crosspoint_light_proofs::tendermint::PacketStore;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{ChainId, ClientId};
use serde::{Deserialize, Serialize};

use crate::address::AccountId;

/// Most bytes of an action's JSON.
pub const MAX_ACTION_BYTES: usize = 256 * 1024;

/// An action of governance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Admit a member.
    AddMember(NewMember),
    /// Suspend a member: it can neither send nor be paid; what it gets is credited as owed.
    SuspendMember {
        /// Whom.
        account: AccountId,
    },
    /// End a suspension.
    RestoreMember {
        /// Whom.
        account: AccountId,
    },
    /// Create a home denom with a cap that never changes.
    CreateDenom(NewDenom),
    /// Create a light client; its id is its type and a running number.
    CreateClient {
        /// What it follows and from where it trusts.
        spec: Box<ClientSpec>,
    },
    /// Open a client for packets. Can be done once per client.
    RegisterCounterparty {
        /// The client on this chain.
        client: ClientId,
        /// The client on the other chain that follows this chain.
        counterparty_client: ClientId,
    },
    /// Set the limits of one denom on one client, both ways.
    SetLimits {
        /// The client.
        client: ClientId,
        /// The denom as this chain names it.
        denom: Denom,
        /// The limits.
        limits: Limits,
    },
    /// Admit a foreign denom through a client and cap its vouchers.
    SetVoucherCap {
        /// The voucher denom as this chain names it; its first hop is the client.
        denom: Denom,
        /// A short name for people.
        symbol: String,
        /// Most vouchers there may be, in base units.
        cap: Amount,
    },
    /// Give a client a new anchor and generation, frozen or not. Older proofs are refused from then on;
    /// sequences, receipts and vaults stay.
    ReanchorClient {
        /// The client.
        client: ClientId,
        /// The new anchor; chain and store must be those the client has.
        spec: Box<ClientSpec>,
    },
    /// Close a client for good at its final state: no packet is sent or received through it again, and what has no
    /// acknowledgement there is refunded.
    CloseClient {
        /// The client.
        client: ClientId,
        /// The dead chain's last header, in the form of the client's anchor.
        spec: Box<ClientSpec>,
    },
    /// Replace the governors.
    SetGovernors {
        /// Members that may propose and approve.
        governors: Vec<AccountId>,
        /// Approvals needed.
        quorum: u32,
        /// Seconds between the quorum and the effect.
        delay: u64,
    },
    /// Replace the operators.
    SetOperators {
        /// Members that may pause and unpause.
        operators: Vec<AccountId>,
    },
}

/// What a member is to the consortium. Says nothing of its powers: issuers are named by their denoms, operators and
/// governors by governance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs a programme or a department of it.
    Organisation,
    /// Takes points for goods.
    Merchant,
    /// Holds points.
    Customer,
    /// Runs part of the system: a relayer, an auditor.
    Service,
}

/// A member to admit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// Its unique name: `[a-z0-9._-]{1,64}`.
    pub name: String,
    /// Its account.
    pub account: AccountId,
    /// What it is.
    pub role: Role,
}

/// A home denom to create. Nothing is issued yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDenom {
    /// The base denom.
    pub denom: Denom,
    /// A short name for people: 1 to 16 of `A-Z a-z 0-9`.
    pub symbol: String,
    /// Digits after the point when shown to people.
    pub decimals: u8,
    /// The only member that may issue.
    pub issuer: AccountId,
    /// Most points there may ever be, in base units.
    pub cap: Amount,
}

/// Limits of one denom on one client. Inbound and outbound are counted apart, by the same limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Smallest amount of one transfer.
    pub min: Amount,
    /// Largest amount of one transfer.
    pub max: Amount,
    /// Most per member and day (UTC).
    pub daily_per_member: Amount,
    /// Most in locks (outbound) or holds (inbound) that have not ended.
    pub in_flight: Amount,
}

impl Default for Limits {
    /// No limits.
    fn default() -> Self {
        let all = Amount::new(u128::MAX);
        Self { min: Amount::new(1), max: all, daily_per_member: all, in_flight: all }
    }
}

/// What a client follows, and what it trusts to begin with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ClientSpec {
    /// An EVM chain, by statements of attestors.
    Attested(AttestedSpec),
    /// A CometBFT chain, by its commits.
    Tendermint(TendermintSpec),
    /// A consortium EVM chain, by the seals of its validators.
    Qbft(QbftSpec),
    /// Ethereum, by its sync committees.
    EthereumPos(Box<EthereumPosSpec>),
}

/// An EVM chain and who attests to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestedSpec {
    /// Its EIP-155 chain id. Our name for the chain is `eip155-N`.
    pub chain_id: u64,
    /// The hash of its block 0.
    pub genesis_hash: B256,
    /// Counts changes of the attestor set, from 0.
    pub epoch: u64,
    /// The attestors' addresses, strictly ascending.
    pub attestors: Vec<EvmAddress>,
    /// How many of them must sign.
    pub threshold: u32,
    /// The gateway contract.
    pub gateway: EvmAddress,
    /// Where its `commitments` mapping lies (docs/protocol.md, EVM storage).
    pub base_slot: B256,
    /// The RLP of the header trusted to begin with.
    pub header: Bytes,
    /// For how many seconds after its header's time a state may be used.
    pub trusting_period: u64,
}

/// A CometBFT chain and where its trust begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TendermintSpec {
    /// Its chain id.
    pub chain_id: ChainId,
    /// Where it keeps its packets. Never left out: governors must see where proofs are taken from.
    pub store: PacketStore,
    /// The signed header trusted to begin with, with its validator set, as the client's updates are encoded.
    pub header: Bytes,
    /// For how many seconds after its header's time a state may be used.
    pub trusting_period: u64,
}

/// A consortium EVM chain and where its trust begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QbftSpec {
    /// Its EIP-155 chain id. Our name for the chain is `eip155-N`.
    pub chain_id: u64,
    /// How it seals its headers.
    pub encoding: Encoding,
    /// The gateway contract.
    pub gateway: EvmAddress,
    /// Where its `commitments` mapping lies (docs/protocol.md, EVM storage).
    pub base_slot: B256,
    /// The RLP of the header trusted to begin with, with its seals.
    pub header: Bytes,
    /// For how many seconds after its header's time a state may be used.
    pub trusting_period: u64,
}

/// Ethereum or a test network of its kind, and where its trust begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EthereumPosSpec {
    /// Its EIP-155 chain id. Our name for the chain is `eip155-N`.
    pub chain_id: u64,
    /// The beacon chain: sizes, clock, and every fork up to the newest that is scheduled.
    pub network: Network,
    /// The gateway contract.
    pub gateway: EvmAddress,
    /// Where its `commitments` mapping lies (docs/protocol.md, EVM storage).
    pub base_slot: B256,
    /// The root of the finalized beacon block trusted to begin with: what governors compare.
    pub block_root: B256,
    /// That block's header and sync committee, as beacon nodes serve them for its root.
    pub bootstrap: Bootstrap,
    /// For how many seconds after its header's time a state may be used.
    pub trusting_period: u64,
}
