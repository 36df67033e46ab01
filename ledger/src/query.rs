//! What can be asked of the chain, and the form of the answers. All answers but `/store` are JSON.
//!
//! | path | data | answer |
//! |---|---|---|
//! | `/store` | a provable key's bytes | the value's bytes; with `prove`, an ICS-23 proof of it or of its absence |
//! | `/account` | an address or a member's name | [`AccountView`] |
//! | `/members` | | list of [`MemberView`] |
//! | `/denoms` | | list of [`DenomView`] |
//! | `/clients` | | list of [`ClientView`] |
//! | `/client` | a client id | [`ClientView`] |
//! | `/packet` | JSON of [`PacketQuery`] | [`PacketView`]: a packet sent from here |
//! | `/hold` | JSON of [`PacketQuery`] | [`HoldView`]: a packet received here |
//! | `/outbox` | JSON of [`OutboxQuery`] | [`OutboxView`] |
//! | `/hashlock` | JSON of [`HashlockQuery`] | `true` or `false`: whether it locked under this hashlock before |
//! | `/supply` | | [`SupplyView`] at the height asked for |
//! | `/audit` | | [`AuditView`]: every account summed up, at the newest height only |
//! | `/params` | | [`ParamsView`] |
//! | `/proposals` | | list of [`ProposalView`] |
//!
//! `/store` and `/supply` answer at any retained height; the others at the newest one alone.

use crosspoint_light_proofs::ethereum_pos::{self, Network};
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::book::{HomeBook, VoucherBook};
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::htlc::{HoldState, LockState};
use crosspoint_protocol::ids::{ChainId, ClientId, Height, Sequence, Timestamp};
use crosspoint_protocol::packet::{Packet, hex_bytes};
use crosspoint_protocol::secret::Hashlock;
use crosspoint_protocol::window::WindowRules;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::address::AccountId;
use crate::tx::action::{Action, Role};

/// The answer to a query, as the ABCI carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryResult {
    /// 0, or one of the codes of [`crate::code`].
    pub code: u32,
    /// Why it failed, for people.
    pub log: String,
    /// The key, for `/store`.
    pub key: Vec<u8>,
    /// The answer; empty for a key that is absent.
    pub value: Vec<u8>,
    /// The height of the state that answered; the newest one where the height asked for is not kept. A proof is checked
    /// against the app hash in the next header.
    pub height: Height,
    /// An encoded ICS-23 `CommitmentProof` (JMT specification), if one was asked for.
    pub proof: Option<Vec<u8>>,
}

/// A height and the time of its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TipView {
    /// The height.
    pub height: Height,
    /// The block's time.
    pub time: Timestamp,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    /// Its unique name.
    pub name: String,
    /// Its account.
    pub account: AccountId,
    /// What it is.
    pub role: Role,
    /// Whether it is suspended.
    pub suspended: bool,
}

/// An account. Accounts that are no member's are answered too, with nothing in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// Its address.
    pub account: AccountId,
    /// The member it belongs to.
    pub member: Option<MemberView>,
    /// The nonce of its last transaction; the next one's is 1 more.
    pub nonce: u64,
    /// What it holds.
    pub balances: BTreeMap<Denom, Amount>,
    /// What it is owed: payouts that could not be made.
    pub owed: BTreeMap<Denom, Amount>,
}

/// A denom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenomView {
    /// The denom.
    pub denom: Denom,
    /// A short name for people.
    pub symbol: String,
    /// Digits after the point when shown to people.
    pub decimals: u8,
    /// Home denoms: who may issue.
    pub issuer: Option<AccountId>,
    /// Home denoms: most there may ever be. Vouchers: most that may come through their client.
    pub cap: Amount,
    /// Home denoms: whether issuing has ended for good.
    pub closed: bool,
}

/// A light client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientView {
    /// Its id here.
    pub client: ClientId,
    /// `attested`, `tendermint`, `qbft` or `ethereum-pos`.
    pub client_type: String,
    /// The chain it follows.
    pub counterparty_chain: ChainId,
    /// The client over there that follows us; absent until it is registered.
    pub counterparty_client: Option<ClientId>,
    /// The newest state it trusts.
    pub trusted: TipView,
    /// The hash of the trusted header; for `ethereum-pos` the root of the beacon block.
    #[serde(with = "hex_bytes")]
    pub trusted_hash: Vec<u8>,
    /// Who signs.
    #[serde(default)]
    pub signers: SignersView,
    /// For how many seconds after its header's time a state may be used.
    pub trusting_period: u64,
    /// Whether evidence froze it.
    pub frozen: bool,
    /// Whether governance closed it for good.
    pub closed: bool,
    /// Whether it is paused.
    pub paused: bool,
    /// Counts re-anchorings.
    pub generation: u64,
    /// The number of the next packet sent through it.
    pub next_sequence: Sequence,
}

/// What a client knows of those who sign for its chain, as far as whoever brings it updates must know it too.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum SignersView {
    /// The trusted header says it all.
    #[default]
    InHeader,
    /// Attestors.
    Attestors {
        /// How often they have changed.
        epoch: u64,
    },
    /// Sync committees.
    SyncCommittees {
        /// The network they serve.
        network: Box<Network>,
        /// The state that is trusted, with the roots of the committees.
        state: ethereum_pos::ConsensusState,
    },
}

/// Which packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PacketQuery {
    /// The client on this chain.
    pub client: ClientId,
    /// Its number.
    pub sequence: Sequence,
}

/// A packet of one of this chain's clients, sent or received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketRef {
    /// The client on this chain.
    pub client: ClientId,
    /// Its number.
    pub sequence: Sequence,
}

/// Whose use of which hashlock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HashlockQuery {
    /// Who may have locked under it.
    pub sender: AccountId,
    /// The hashlock.
    pub hashlock: Hashlock,
}

/// A packet sent from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketView {
    /// The packet.
    pub packet: Packet,
    /// How far its lock is.
    pub state: LockState,
    /// The block it was sent in.
    pub sent: TipView,
    /// The packet received here that it forwards, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwards: Option<PacketRef>,
}

/// A packet received here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldView {
    /// The packet.
    pub packet: Packet,
    /// How far its hold is; absent if it was refused at receipt.
    pub state: Option<HoldState>,
    /// The acknowledgement, once it is written.
    pub ack: Option<HexView>,
    /// The block it was received in.
    pub received: TipView,
    /// The packet sent from here that it is bound to, or was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onward: Option<PacketRef>,
}

/// Bytes as hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HexView(#[serde(with = "hex_bytes")] pub Vec<u8>);

/// Which of a client's two lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutboxList {
    /// Packets sent.
    Sent,
    /// Acks written.
    Acked,
}

impl OutboxList {
    /// The list's name in provable keys.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Acked => "acked",
        }
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboxQuery {
    /// The client.
    pub client: ClientId,
    /// Which list.
    pub list: OutboxList,
    /// The first block wanted.
    pub from: Height,
    /// The last block wanted.
    pub to: Height,
}

/// Blocks of a list, oldest first. At most 1,000; `more` says whether the range has more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxView {
    /// The list's head before the first of `blocks`.
    #[serde(with = "hex_bytes")]
    pub previous_head: Vec<u8>,
    /// Blocks with at least one entry.
    pub blocks: Vec<OutboxBlockView>,
    /// Whether blocks of the range are missing after the last.
    pub more: bool,
}

/// One block's part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxBlockView {
    /// The block.
    pub height: Height,
    /// The list's head after it.
    #[serde(with = "hex_bytes")]
    pub head: Vec<u8>,
    /// In the order written.
    pub entries: Vec<OutboxEntryView>,
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntryView {
    /// The packet's number.
    pub sequence: Sequence,
    /// The commitment of the packet, or of the ack.
    #[serde(with = "hex_bytes")]
    pub commitment: Vec<u8>,
}

/// Every denom's supply at one height.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupplyView {
    /// The state's height.
    pub height: Height,
    /// By denom, ascending.
    pub denoms: Vec<DenomSupplyView>,
}

/// All this chain knows of one denom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenomSupplyView {
    /// The denom.
    pub denom: Denom,
    /// A short name for people.
    pub symbol: String,
    /// Home denoms: the cap.
    pub cap: Option<Amount>,
    /// Home denoms: issued and not burned.
    pub issued: Option<Amount>,
    /// In accounts.
    pub circulating: Amount,
    /// Owed to parties whose payout failed.
    pub owed: Amount,
    /// In the holds of returns, neither claimed nor void.
    pub return_holds: Amount,
    /// In bound holds, and in onward locks at the same time.
    #[serde(default)]
    pub bound: Amount,
    /// What is out through each client.
    pub home: BTreeMap<ClientId, HomeBook>,
    /// Vouchers: their book.
    pub voucher: Option<VoucherBook>,
    /// What should be there less what is there (invariants I1 and I2); anything but 0 is a fault.
    pub imbalance: i128,
}

/// The running totals against the sum over all accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditView {
    /// The state's height.
    pub height: Height,
    /// By denom: the total that is kept, and the sum of every account's balance.
    pub balances: BTreeMap<Denom, (Amount, Amount)>,
    /// By denom: the total owed that is kept, and the sum of what each party is owed.
    pub owed: BTreeMap<Denom, (Amount, Amount)>,
    /// Whether the set hash of the whole plain store, computed afresh, is the one that is kept.
    pub set_hash_matches: bool,
}

/// What the chain runs by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamsView {
    /// The chain's id.
    pub chain_id: ChainId,
    /// Bounds on deadlines; `trusting_period` is each client's own and 0 here.
    pub window: WindowRules,
    /// How many heights can be queried and proven.
    pub history: u64,
    /// Who may pause.
    pub operators: Vec<AccountId>,
    /// Who may propose and approve.
    pub governors: Vec<AccountId>,
    /// Approvals needed.
    pub quorum: u32,
    /// Seconds between the quorum and the effect.
    pub delay: u64,
    /// Whether the whole chain is paused.
    pub paused: bool,
}

/// A proposal of governance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalView {
    /// Its number.
    pub proposal: u64,
    /// What it would do.
    pub action: Action,
    /// Who approved.
    pub approvals: Vec<AccountId>,
    /// When it takes effect, once the quorum approved.
    pub ready_at: Option<Timestamp>,
}
