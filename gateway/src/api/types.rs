//! The JSON of the HTTP API, for the server and for the command line. Amounts are decimal strings.

use crate::keys::KeyName;
use crosspoint_adapters::chain::Head;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{Address, ChainId, ClientId, Height, Timestamp};
use crosspoint_protocol::secret::{Hashlock, Preimage};
use crosspoint_relayer::route::PacketId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// `POST /v1/transfers`: lock points for a receiver on another chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    /// The service's key that pays.
    pub payer: KeyName,
    /// The payer's chain.
    pub from: ChainId,
    /// The receiver's chain.
    pub to: ChainId,
    /// The client on the payer's chain; needed only if several that this service can carry lead to the receiver's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
    /// What, as the payer's chain names it.
    pub denom: Denom,
    /// How much, in base units.
    pub amount: Amount,
    /// Who gets it, on the receiver's chain.
    pub receiver: Address,
    /// The invoice's hashlock. Without it the service makes the secret and claims for the receiver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashlock: Option<Hashlock>,
    /// A note for people, public on both chains.
    #[serde(default)]
    pub memo: String,
    /// Seconds until the packet can no longer be received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// Seconds from then on until the hold can no longer be claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_seconds: Option<u64>,
}

/// A preimage on its way to the service. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SentPreimage(pub Preimage);

impl fmt::Debug for SentPreimage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SentPreimage(..)")
    }
}

impl Serialize for SentPreimage {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex::encode(self.0.reveal()))
    }
}

impl<'de> Deserialize<'de> for SentPreimage {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = zeroize::Zeroizing::new(String::deserialize(d)?);
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// `POST /v1/transfers/ID/claim`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimRequest {
    /// The secret. Without it the one that the service keeps is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preimage: Option<SentPreimage>,
}

/// `POST /v1/transfers/ID/void`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoidRequest {}

/// `POST /v1/transfers/ID/retry`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryRequest {}

/// `POST /v1/invoices`: a secret is made and kept; a hold with exactly these terms is claimed with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvoiceRequest {
    /// The chain to be paid on.
    pub chain: ChainId,
    /// Who is to be paid.
    pub receiver: Address,
    /// What, as that chain names it.
    pub denom: Denom,
    /// How much, in base units; exactly.
    pub amount: Amount,
    /// The merchant's number: the same number gives the same hashlock.
    pub reference: String,
}

/// An invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceView {
    /// What the payer locks against.
    pub hashlock: Hashlock,
    /// What was asked for.
    #[serde(flatten)]
    pub request: InvoiceRequest,
}

/// One transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferView {
    /// Its name: chain, client and number it was sent under.
    pub id: PacketId,
    /// The payer's chain.
    pub from: ChainId,
    /// The receiver's chain.
    pub to: ChainId,
    /// The client on the receiver's chain.
    pub dest_client: ClientId,
    /// Where it is.
    pub stage: String,
    /// Whether it has ended for good: settled, refunded or timed out.
    pub ended: bool,
    /// Since when it is there, in milliseconds since 1970.
    pub since_ms: u64,
    /// What, as the payer's chain names it.
    pub denom: Option<Denom>,
    /// What, as the receiver's chain names it.
    pub dest_denom: Option<Denom>,
    /// How much.
    pub amount: Option<Amount>,
    /// Who paid. In answers about one transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Address>,
    /// Who gets it.
    pub receiver: Option<Address>,
    /// What the claim's preimage must hash to.
    pub hashlock: Option<Hashlock>,
    /// From this time of the receiver's chain on it cannot be received.
    pub timeout: Option<Timestamp>,
    /// From this time of the receiver's chain on it cannot be claimed.
    pub claim_deadline: Option<Timestamp>,
    /// The note. In answers about one transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memo: Option<String>,
    /// Why it does not move, if something failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// The proof of payment: there when the source has settled on the proven ack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// How it got there. In answers about one transfer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryView>,
    /// The links that it is forwarded over after the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub onward: Vec<LinkView>,
}

/// One more link of a transfer that goes over chains in between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkView {
    /// Its packet; missing until it is sent on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<PacketId>,
    /// The chain that forwards.
    pub from: ChainId,
    /// The client there that it is forwarded through.
    pub client: ClientId,
    /// The next chain.
    pub to: ChainId,
    /// Where that packet is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
}

/// Why a transfer does not move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The kind, as in metrics.
    pub reason: String,
    /// In words.
    pub detail: String,
    /// Failed tries.
    pub attempts: u32,
    /// When it is tried again, in milliseconds since 1970; never by itself if missing.
    pub next_ms: Option<u64>,
}

/// What proves a payment. The preimage is public by then: the claim has put it on both chains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Opens the hashlock.
    pub preimage: String,
    /// The receiver's chain's transaction that paid.
    pub claimed: Option<Place>,
    /// The payer's chain's transaction that took the proof.
    pub settled: Place,
}

/// A transaction in a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The chain.
    pub chain: ChainId,
    /// The block.
    pub height: Height,
    /// The block's time.
    pub time: Timestamp,
    /// The transaction.
    pub tx: String,
}

/// One line of a transfer's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryView {
    /// When it was noted, in milliseconds since 1970.
    pub at_ms: u64,
    /// The stage from here on.
    pub stage: String,
    /// The transaction that caused it.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Why a try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A page of transfers, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferPage {
    /// The transfers.
    pub items: Vec<TransferView>,
    /// Where the next page starts; missing on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// What a claim or void did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldEndView {
    /// The transfer.
    pub id: PacketId,
    /// The transaction; missing if the service will send it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Gas used.
    pub gas_used: u64,
    /// In words.
    pub note: String,
}

/// One chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainView {
    /// Its id.
    pub id: ChainId,
    /// Its family: `native` or `evm`.
    pub kind: String,
    /// How far it is; missing if it does not answer.
    pub head: Option<Head>,
    /// Why it does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The relayer's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relayer: Option<Address>,
    /// What that account can pay fees with, in the chain's smallest unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee_balance: Option<String>,
    /// The payers that transfers may be sent from.
    pub payers: Vec<PayerView>,
}

/// A key that transfers may be paid from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayerView {
    /// The key's name.
    pub key: KeyName,
    /// Its account.
    pub address: Address,
}

/// One way packets go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteView {
    /// The chain packets are sent on.
    pub from: ChainId,
    /// The client they are sent through.
    pub source_client: ClientId,
    /// The chain they are received on.
    pub to: ChainId,
    /// The client they come in through.
    pub dest_client: ClientId,
    /// The kind of light client that checks them; missing until it was looked at.
    pub client_type: Option<String>,
    /// The newest block of the source that it trusts.
    pub trusted_height: Height,
    /// Until when that block may be used.
    pub expires: Timestamp,
    /// Why it carries nothing, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<String>,
    /// Packets that have not ended.
    pub pending: u64,
    /// The last failure since the last batch that went through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// The last supply audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupplyView {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The block each chain was looked at.
    pub heights: Vec<AuditHeight>,
    /// Whether every denom is in balance and no two events contradict each other.
    pub balanced: bool,
    /// Transfers whose events contradict each other.
    pub anomalies: u64,
    /// One entry per denom at its home.
    pub denoms: Vec<DenomView>,
}

/// The block a chain was audited at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHeight {
    /// The chain.
    pub chain: ChainId,
    /// The block.
    pub height: Height,
}

/// One denom's books, over all its routes. Amounts in base units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenomView {
    /// Its home.
    pub home: ChainId,
    /// The denom at home.
    pub denom: Denom,
    /// A short name for people.
    pub symbol: String,
    /// What may ever be issued, where its home has a cap.
    pub cap: Option<Amount>,
    /// What was issued, where its home counts it.
    pub issued: Option<Amount>,
    /// In accounts at home, where its home counts them.
    pub circulating: Amount,
    /// Backing at home for vouchers abroad.
    pub vault: Amount,
    /// Locked at home in transfers that have not ended.
    pub locked: Amount,
    /// Held abroad, neither claimed nor void.
    pub held: Amount,
    /// Vouchers abroad, in the hands of holders or on their way back.
    pub vouchers: Amount,
    /// Sent and not received, or given up and not refunded, both ways.
    pub in_flight: Amount,
    /// What is missing or too much; 0 when in balance.
    pub imbalance: String,
    /// Each rule that is broken, in words.
    pub broken: Vec<String>,
    /// Each pair of clients by itself.
    pub pairs: Vec<PairView>,
}

/// One denom through one pair of clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairView {
    /// The client at home.
    pub client: ClientId,
    /// The other chain.
    pub abroad: ChainId,
    /// The denom there.
    pub voucher: Denom,
    /// Backing for vouchers.
    pub vault: Amount,
    /// Locked in transfers that have not ended.
    pub locked: Amount,
    /// In holds there.
    pub held: Amount,
    /// Vouchers there.
    pub vouchers: Amount,
    /// What is missing or too much.
    pub imbalance: String,
}

/// Whether the service can do its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// Whether every check is good.
    pub ready: bool,
    /// The checks.
    pub checks: Vec<Check>,
}

/// One check of the readiness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// Whether it is good.
    pub ok: bool,
    /// In words.
    pub detail: String,
}
