//! What the relayer asks of every chain.
//!
//! A packet crosses in two steps. The chain it comes *from* proves: [`Chain::prove`] turns items into a
//! [`Proven`] for one client of the chain it goes *to*. That chain submits: [`Chain::submit`]. What is
//! inside a [`Proven`] is between the two adapters.

use async_trait::async_trait;
pub use crosspoint_ledger::query::SignersView;
use crosspoint_light_proofs::evidence::ChainEvidence;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::book::{HomeBook, VoucherBook};
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::htlc::{AckCause, LockEnd};
use crosspoint_protocol::ids::{Address, ChainId, ClientId, Height, Sequence, Timestamp};
use crosspoint_protocol::lock::Terms;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::path::Path;
use crosspoint_protocol::secret::{Hashlock, Preimage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::ChainError;
use crate::proven::Proven;
use crate::signer::Signer;
use crate::witness::{Brought, Mark, Misbehaviour, Witness};

/// A block's number and its header's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tip {
    /// The block's number.
    pub height: Height,
    /// The time in its header.
    pub time: Timestamp,
}

/// How far a chain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The newest block.
    pub latest: Tip,
    /// The newest block that is final by this chain's settings. Only these are relayed.
    pub finalized: Tip,
}

/// A transaction's hash as its chain writes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TxId(pub String);

/// Something that happened to a packet on one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainEvent {
    /// The block it happened in.
    pub block: Tip,
    /// Its order among the events of that block.
    pub index: u32,
    /// The transaction it happened in.
    pub tx: TxId,
    /// What happened.
    pub event: PacketEvent,
}

/// What can happen to a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PacketEvent {
    /// On the source: points were locked and the packet sent.
    Sent {
        /// The packet, whole.
        packet: Packet,
    },
    /// On the destination: a receipt was written. A refused packet has its `AckWritten` in the same transaction.
    Received {
        /// The client it came in through.
        dest_client: ClientId,
        /// Its number.
        sequence: Sequence,
        /// Why it was refused at once, in the chain's words; `None`: a hold was made.
        refusal: Option<String>,
    },
    /// On the destination: the hold ended, or the packet was refused at receipt.
    AckWritten {
        /// The client it came in through.
        dest_client: ClientId,
        /// Its number.
        sequence: Sequence,
        /// The acknowledgement's bytes.
        #[serde(with = "crosspoint_protocol::packet::hex_bytes")]
        ack: Vec<u8>,
        /// Why.
        cause: AckCause,
    },
    /// On the source: the lock ended.
    Ended {
        /// The client it was sent through.
        source_client: ClientId,
        /// Its number.
        sequence: Sequence,
        /// How.
        end: LockEnd,
    },
}

/// The kind of light client, which decides the form of the proofs it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientType {
    /// CometBFT headers and commits, ICS-23 proofs.
    Tendermint,
    /// Bridge-key checkpoints of a native chain on EVM, JMT proofs in Solidity.
    Checkpoint,
    /// m-of-n statements about an EVM chain, EIP-1186 proofs.
    Attested,
    /// Sealed headers of a consortium EVM chain, EIP-1186 proofs.
    Qbft,
    /// Headers of Ethereum that are final by its sync committees, EIP-1186 proofs.
    EthereumPos,
}

impl ClientType {
    /// The type's name in settings, metrics and client ids.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tendermint => "tendermint",
            Self::Checkpoint => "checkpoint",
            Self::Attested => "attested",
            Self::Qbft => "qbft",
            Self::EthereumPos => "ethereum-pos",
        }
    }
}

/// What a chain stores about one of its light clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientStatus {
    /// The client's id on the chain that stores it.
    pub client: ClientId,
    /// Its kind.
    pub client_type: ClientType,
    /// The chain it follows.
    pub counterparty_chain: ChainId,
    /// The client on that chain that follows this one.
    pub counterparty_client: ClientId,
    /// The newest state it trusts.
    pub trusted: Tip,
    /// The hash of the trusted header (of an `ethereum-pos` client the beacon block's root); empty where the chain does
    /// not say it.
    #[serde(with = "crosspoint_protocol::packet::hex_bytes")]
    pub trusted_hash: Vec<u8>,
    /// What it knows of those who sign for that chain.
    #[serde(default)]
    pub signers: SignersView,
    /// For how many seconds after its header's time a state may be used.
    pub trusting_period: u64,
    /// Frozen by evidence: nothing can be proven to it until governance re-anchors it.
    pub frozen: bool,
    /// Counts re-anchorings; proofs for an older generation are refused.
    pub generation: u64,
}

/// One packet to be moved on by proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RelayItem {
    /// To its destination: it was sent.
    Recv {
        /// The packet.
        packet: Packet,
    },
    /// To its source: this acknowledgement was written.
    Ack {
        /// The packet.
        packet: Packet,
        /// The acknowledgement's bytes.
        #[serde(with = "crosspoint_protocol::packet::hex_bytes")]
        ack: Vec<u8>,
    },
    /// To its source: it was not received and no longer can be.
    Timeout {
        /// The packet.
        packet: Packet,
    },
}

impl RelayItem {
    /// The packet, whichever the item.
    #[must_use]
    pub const fn packet(&self) -> &Packet {
        match self {
            Self::Recv { packet } | Self::Ack { packet, .. } | Self::Timeout { packet } => packet,
        }
    }
}

/// How one item of a batch ended in its transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ItemOutcome {
    /// It took effect (for a recv: a hold was made, or an error ack written).
    Done,
    /// It had already taken effect; nothing changed.
    Duplicate,
    /// It left no state and can be tried again.
    Skipped {
        /// The chain's reason, for people.
        reason: String,
        /// Whether trying again later can help.
        retryable: bool,
    },
}

/// What a submitted transaction did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// The transaction.
    pub tx: TxId,
    /// The block it is in. It may not be final yet.
    pub block: Tip,
    /// Gas used, where the chain has gas; else 0.
    pub gas_used: u64,
    /// One outcome per item, in the order submitted.
    pub outcomes: Vec<ItemOutcome>,
}

/// What a payer asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRequest {
    /// The client on the payer's chain, towards the receiver's chain.
    pub client: ClientId,
    /// What to send, as the payer's chain names it.
    pub denom: Denom,
    /// How much, in base units.
    pub amount: Amount,
    /// Who gets it, on the other chain.
    pub receiver: Address,
    /// What the claim's preimage must hash to.
    pub hashlock: Hashlock,
    /// The destination's time from which on the packet cannot be received.
    pub timeout: Timestamp,
    /// The destination's time from which on the hold cannot be claimed.
    pub claim_deadline: Timestamp,
    /// Conditions beyond the hashlock.
    pub terms: Terms,
    /// A note for people.
    pub memo: String,
}

/// What a chain stores under a packet's paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StoredPacket {
    /// The value under the path, if any: a commitment of 32 bytes.
    pub value: Option<[u8; 32]>,
}

/// All a chain knows about one denom at one height, for the supply audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenomSupply {
    /// The denom as this chain names it.
    pub denom: Denom,
    /// A short name for people, such as `SFS`.
    pub symbol: String,
    /// Home denoms: the cap that `issued` never exceeds. `None` for vouchers.
    pub cap: Option<Amount>,
    /// Home denoms: all that was ever issued and not burned. `None` for vouchers.
    pub issued: Option<Amount>,
    /// In accounts (for an ERC-20 at home: 0, the chain does not count them for us).
    pub circulating: Amount,
    /// Owed to parties whose payout failed.
    pub owed: Amount,
    /// In the holds of returns, neither claimed nor void.
    pub return_holds: Amount,
    /// In bound holds, and in the onward locks of forwarded packets at the same time.
    #[serde(default)]
    pub bound: Amount,
    /// Home denoms: what is out through each client.
    pub home: BTreeMap<ClientId, HomeBook>,
    /// An ERC-20 at home: how many the escrow has by the token's own count. `None` where the chain itself keeps count.
    pub escrowed: Option<Amount>,
    /// Vouchers: their book. The client is the denom's first hop.
    pub voucher: Option<VoucherBook>,
}

/// Which end of a packet's way a chain is, for evidence of the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketEnd {
    /// It was sent here.
    Source {
        /// In this block.
        sent: Height,
    },
    /// It is for here.
    Destination,
}

/// One chain that points live on.
///
/// Implementations answer from finalized blocks where a height is not given, retry nothing themselves
/// beyond switching endpoints, and classify every failure in [`ChainError`].
#[async_trait]
pub trait Chain: Send + Sync + 'static {
    /// The chain's id.
    fn id(&self) -> &ChainId;

    /// The newest and the newest final block.
    async fn head(&self) -> Result<Head, ChainError>;

    /// Waits until there is a block above `height`, or for at most a block time; then the same as [`Chain::head`].
    async fn next_head(&self, height: Height) -> Result<Head, ChainError>;

    /// All packet events in blocks `from..=to`, in order. `to` must be final. Where they are too many for one answer it
    /// fails with [`ChainError::InvalidRequest`]: ask for fewer blocks. One block is never too much.
    async fn events(&self, from: Height, to: Height) -> Result<Vec<ChainEvent>, ChainError>;

    /// What was read of this chain turned out not to be whole: the endpoint it came from is asked last for a while.
    fn doubt(&self) {}

    /// The lowest block that can hold a packet event: where a scan of an empty journal starts.
    async fn first_height(&self) -> Result<Height, ChainError>;

    /// The clients on this chain that are open for packets, with their counterparties.
    async fn clients(&self) -> Result<Vec<ClientStatus>, ChainError>;

    /// One client's state, at the newest block.
    async fn client(&self, client: &ClientId) -> Result<ClientStatus, ChainError>;

    /// The value stored under a path at a block, unproven.
    async fn stored(&self, path: &Path, at: Height) -> Result<StoredPacket, ChainError>;

    /// Proves items to a client of another chain, at a final block of this one, with the client update
    /// needed. For a timeout that block's time must be at or past the packet's timeout, else
    /// [`ChainError::NotYet`]. Items that cannot be proven are left out; [`Proven::items`] says which are in.
    async fn prove(&self, client: &ClientStatus, items: &[RelayItem]) -> Result<Proven, ChainError>;

    /// A client update alone, to keep a client from expiring.
    async fn prove_update(&self, client: &ClientStatus) -> Result<Proven, ChainError>;

    /// Whether what is proven here moves clients of this type: not if this chain's headers are believed by another source.
    fn moves(&self, _client: ClientType) -> bool {
        true
    }

    /// Other sources of this chain's headers, to compare with what clients of it believe.
    fn witnesses(&self) -> &[Arc<dyn Witness>] {
        &[]
    }

    /// Whether a client on this chain trusts this header of its newest trusted height.
    async fn trusts(&self, client: &ClientStatus, mark: &Mark) -> Result<bool, ChainError> {
        Ok(mark.height == client.marked_height() && mark.hash == client.trusted_hash)
    }

    /// The headers that a client on this chain came to trust in blocks `from..=to`, in order, whoever brought them.
    /// `to` must be final. Empty where the chain does not tell.
    async fn updates(&self, _client: &ClientStatus, _from: Height, _to: Height) -> Result<Vec<Brought>, ChainError> {
        Ok(vec![])
    }

    /// Shows a client on this chain that its chain contradicts itself, which freezes it. Waits for the block.
    async fn submit_misbehaviour(&self, client: &ClientId, _evidence: &Misbehaviour) -> Result<TxId, ChainError> {
        Err(ChainError::InvalidRequest(format!("{}: client {client} takes no evidence of misbehaviour", self.id())))
    }

    /// What this chain shows of a packet, for an evidence file: headers that are believed from an anchor and proofs
    /// from them, all of it verified. What it cannot prove any more is left out. The client is the other chain's of
    /// this one: the anchor is what that trusts, if the chain has headers that lead from there.
    async fn evidence(
        &self,
        packet: &Packet,
        end: PacketEnd,
        _client: &ClientStatus,
    ) -> Result<ChainEvidence, ChainError> {
        let (number, end) = (packet.sequence, if end == PacketEnd::Destination { "to" } else { "from" });
        Err(ChainError::InvalidRequest(format!("{}: no evidence is given of packet {number} {end} here", self.id())))
    }

    /// Submits a proven batch to this chain's client in one transaction and waits for its block.
    async fn submit(&self, client: &ClientId, proven: &Proven) -> Result<Submitted, ChainError>;

    /// Claims holds on this chain. Anyone may; the points go to the receiver named in each packet.
    async fn claim(&self, holds: &[(Packet, Preimage)]) -> Result<Submitted, ChainError>;

    /// Voids holds on this chain whose deadline has passed.
    async fn void(&self, holds: &[Packet]) -> Result<Submitted, ChainError>;

    /// Locks points of `payer` and sends the packet. Waits for its block.
    async fn lock(&self, payer: &Signer, request: &LockRequest) -> Result<(Submitted, Packet), ChainError>;

    /// Whether `sender` has locked under this hashlock before, at the newest block. It can do so once.
    async fn hashlock_used(&self, sender: &Address, hashlock: &Hashlock) -> Result<bool, ChainError>;

    /// What an account holds of a denom, at the newest block.
    async fn balance(&self, account: &Address, denom: &Denom) -> Result<Amount, ChainError>;

    /// Every denom's supply at one block.
    async fn supply(&self, at: Height) -> Result<Vec<DenomSupply>, ChainError>;

    /// The relayer's own account on this chain and what it can still pay fees with, in the chain's
    /// smallest unit; `None` where there are no fees.
    async fn wallet(&self) -> Result<(Address, Option<u128>), ChainError>;
}
