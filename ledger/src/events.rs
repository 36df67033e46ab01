//! What happens on the chain, as typed events. On the wire they are ABCI events whose attributes are text;
//! [`Event::to_abci`] and [`Event::from_abci`] are each other's inverse.

use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::htlc::{AckCause, LockEnd};
use crosspoint_protocol::ids::{Address, ClientId, Height, Sequence, Timestamp};
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Hashlock;
use serde::{Deserialize, Serialize};
use tendermint::abci;

use crate::address::AccountId;

/// How one item of a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It took effect (for a recv: a hold was made, or an error ack written).
    Done,
    /// It had already taken effect; nothing changed.
    Duplicate,
    /// It left no state.
    Skipped,
}

/// Which kind of item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// A packet received.
    Recv,
    /// An acknowledgement delivered.
    Ack,
    /// A timeout.
    Timeout,
    /// A claim.
    Claim,
    /// A void.
    Void,
}

/// Why ABCI text is not one of our events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// An event of another module or version.
    #[error("`{0}` is not an event of this chain")]
    Kind(String),
    /// An attribute is missing.
    #[error("event `{kind}` lacks `{key}`")]
    Missing {
        /// The event.
        kind: &'static str,
        /// The attribute.
        key: &'static str,
    },
    /// An attribute's text is not of its type.
    #[error("event `{kind}`: `{key}` is not a valid value: {reason}")]
    Value {
        /// The event.
        kind: &'static str,
        /// The attribute.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// Bytes that are shown as hex with `0x`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HexBytes(pub Vec<u8>);

/// An attribute's text.
trait Text: Sized {
    fn write(&self) -> String;
    fn read(text: &str) -> Result<Self, String>;
}

macro_rules! text_by_display {
    ($($t:ty),*) => {$(
        impl Text for $t {
            fn write(&self) -> String {
                self.to_string()
            }
            fn read(text: &str) -> Result<Self, String> {
                text.parse().map_err(|error| format!("{error}"))
            }
        }
    )*};
}
text_by_display!(String, bool, u32, u64, AccountId, Address, ClientId, Denom, Amount, Hashlock);

macro_rules! text_by_number {
    ($($t:ident),*) => {$(
        impl Text for $t {
            fn write(&self) -> String {
                self.0.to_string()
            }
            fn read(text: &str) -> Result<Self, String> {
                text.parse().map($t).map_err(|error| format!("{error}"))
            }
        }
    )*};
}
text_by_number!(Sequence, Height, Timestamp);

macro_rules! text_by_json_name {
    ($($t:ty),*) => {$(
        impl Text for $t {
            fn write(&self) -> String {
                match serde_json::to_value(self) {
                    Ok(serde_json::Value::String(name)) => name,
                    Ok(_) | Err(_) => String::new(), // unit variants serialise to their names
                }
            }
            fn read(text: &str) -> Result<Self, String> {
                serde_json::from_value(text.into()).map_err(|error| error.to_string())
            }
        }
    )*};
}
text_by_json_name!(AckCause, LockEnd, Outcome, ItemKind);

impl Text for HexBytes {
    fn write(&self) -> String {
        format!("0x{}", hex::encode(&self.0))
    }
    fn read(text: &str) -> Result<Self, String> {
        hex::decode(text.strip_prefix("0x").unwrap_or(text)).map(HexBytes).map_err(|error| error.to_string())
    }
}

impl Text for Packet {
    fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() // strings and numbers always serialise
    }
    fn read(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

/// Absent is the empty text.
impl<T: Text> Text for Option<T> {
    fn write(&self) -> String {
        self.as_ref().map(T::write).unwrap_or_default()
    }
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::read(text).map(Some) }
    }
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $kind:literal { $($(#[$fdoc:meta])* $field:ident: $t:ty),* $(,)? })*) => {
        /// Something that happened. Field names are the attributes' keys.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Event {
            $($(#[$doc])* $name { $($(#[$fdoc])* $field: $t),* },)*
        }

        impl Event {
            /// Every event's name on the wire.
            pub const KINDS: &[&str] = &[$($kind),*];

            /// The event's name on the wire.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self { $(Self::$name { .. } => $kind,)* }
            }

            /// The event as ABCI carries it. Every attribute but `packet` is indexed.
            #[must_use]
            pub fn to_abci(&self) -> abci::Event {
                match self {
                    $(Self::$name { $($field),* } => {
                        let attributes: Vec<(&str, String, bool)> =
                            vec![$((stringify!($field), Text::write($field), stringify!($field) != "packet")),*];
                        abci::Event::new($kind, attributes)
                    })*
                }
            }

            /// The event that ABCI carries.
            pub fn from_abci(event: &abci::Event) -> Result<Self, EventError> {
                match event.kind.as_str() {
                    $($kind => Ok(Self::$name { $($field: attribute(event, $kind, stringify!($field))?),* }),)*
                    other => Err(EventError::Kind(other.chars().take(64).collect())),
                }
            }
        }
    };
}

fn attribute<T: Text>(event: &abci::Event, kind: &'static str, key: &'static str) -> Result<T, EventError> {
    let found = event.attributes.iter().find(|attribute| attribute.key_bytes() == key.as_bytes());
    let text = found.ok_or(EventError::Missing { kind, key })?.value_str();
    let value = |reason: String| EventError::Value { kind, key, reason };
    T::read(text.map_err(|error| value(error.to_string()))?).map_err(value)
}

events! {
    /// Points moved between members.
    Transferred = "transfer" {
        /// Payer.
        from: AccountId,
        /// Payee.
        to: AccountId,
        /// What.
        denom: Denom,
        /// How much.
        amount: Amount,
        /// The payer's note.
        memo: String,
    }
    /// Points were created.
    Issued = "issue" {
        /// Who got them.
        to: AccountId,
        /// What.
        denom: Denom,
        /// How much.
        amount: Amount,
    }
    /// Points were destroyed by their owner.
    Burned = "burn" {
        /// Whose.
        from: AccountId,
        /// What.
        denom: Denom,
        /// How much.
        amount: Amount,
    }
    /// Points were locked and a packet sent.
    PacketSent = "packet_sent" {
        /// The client it was sent through.
        source_client: ClientId,
        /// Its counterparty.
        dest_client: ClientId,
        /// Its number.
        sequence: Sequence,
        /// Who locked.
        sender: AccountId,
        /// For whom, on the other chain.
        receiver: Address,
        /// What, as this chain names it.
        denom: Denom,
        /// How much.
        amount: Amount,
        /// The hashlock.
        hashlock: Hashlock,
        /// The packet's timeout.
        timeout: Timestamp,
        /// The hold's claim deadline.
        claim_deadline: Timestamp,
        /// The packet, whole, as JSON.
        packet: Packet,
    }
    /// A receipt was written: a hold was made, or the packet refused (then `ack_written` follows).
    PacketReceived = "packet_received" {
        /// The client it came in through.
        dest_client: ClientId,
        /// Its number.
        sequence: Sequence,
        /// The hashlock of the hold; absent if the packet was refused.
        hashlock: Option<Hashlock>,
        /// Whether a hold was made.
        held: bool,
        /// Why it was refused, for people; absent if it was not.
        refusal: Option<String>,
        /// The packet, whole, as JSON.
        packet: Packet,
    }
    /// An acknowledgement was written.
    AckWritten = "ack_written" {
        /// The client the packet came in through.
        dest_client: ClientId,
        /// Its number.
        sequence: Sequence,
        /// The acknowledgement's bytes.
        ack: HexBytes,
        /// Why.
        cause: AckCause,
    }
    /// A lock ended.
    PacketEnded = "packet_ended" {
        /// The client it was sent through.
        source_client: ClientId,
        /// Its number.
        sequence: Sequence,
        /// How.
        end: LockEnd,
        /// The preimage of a settled lock: the payer's receipt.
        preimage: Option<HexBytes>,
    }
    /// How one item of a batch ended; one per item, in order.
    ItemOutcome = "item_outcome" {
        /// The message's position in the transaction, from 0.
        message: u32,
        /// The item's position in the message, from 0.
        item: u32,
        /// Which kind of item.
        item_kind: ItemKind,
        /// The client on this chain.
        client: ClientId,
        /// The packet's number.
        sequence: Sequence,
        /// How it ended.
        outcome: Outcome,
        /// Skipped: why, for people. Else absent.
        reason: Option<String>,
        /// Skipped: whether trying again later can help.
        retryable: bool,
    }
    /// A client was created.
    ClientCreated = "client_created" {
        /// Its id.
        client: ClientId,
        /// Its type.
        client_type: String,
    }
    /// A client was opened for packets.
    CounterpartyRegistered = "counterparty_registered" {
        /// The client.
        client: ClientId,
        /// The client on the other chain.
        counterparty_client: ClientId,
    }
    /// A client moved on to a newer header.
    ClientUpdated = "client_updated" {
        /// The client.
        client: ClientId,
        /// The header's height on the other chain.
        height: Height,
        /// The header's time.
        time: Timestamp,
        /// The header's hash; for `ethereum-pos` the beacon block's root.
        hash: HexBytes,
    }
    /// The attestors of a client handed over to others.
    AttestorsRotated = "attestors_rotated" {
        /// The client.
        client: ClientId,
        /// The epoch of the new ones.
        epoch: u64,
    }
    /// A client was frozen by evidence.
    ClientFrozen = "client_frozen" {
        /// The client.
        client: ClientId,
        /// What the evidence shows.
        reason: String,
    }
    /// A client has a new anchor.
    ClientReanchored = "client_reanchored" {
        /// The client.
        client: ClientId,
        /// Its generation from now on.
        generation: u64,
    }
    /// A client was closed for good.
    ClientClosed = "client_closed" {
        /// The client.
        client: ClientId,
    }
    /// A payout was credited instead of paid, because its party is suspended.
    PayoutOwed = "payout_owed" {
        /// The party.
        account: AccountId,
        /// What.
        denom: Denom,
        /// How much.
        amount: Amount,
    }
    /// What was owed was paid out.
    OwedWithdrawn = "owed_withdrawn" {
        /// The party.
        account: AccountId,
        /// What.
        denom: Denom,
        /// How much.
        amount: Amount,
    }
    /// Locks and receipts were stopped.
    Paused = "paused" {
        /// Which client's; absent: the chain's.
        client: Option<ClientId>,
    }
    /// A pause was undone.
    Unpaused = "unpaused" {
        /// Which client's; absent: the chain's.
        client: Option<ClientId>,
    }
    /// Governance was asked to act.
    ProposalCreated = "proposal_created" {
        /// Its number.
        proposal: u64,
        /// The action as JSON.
        action: String,
    }
    /// A governor approved.
    ProposalApproved = "proposal_approved" {
        /// Its number.
        proposal: u64,
        /// Who.
        governor: AccountId,
    }
    /// A proposal took effect, or could not.
    ProposalExecuted = "proposal_executed" {
        /// Its number.
        proposal: u64,
        /// Whether it took effect.
        ok: bool,
        /// Why it could not.
        error: Option<String>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_the_way_through_abci() {
        let client: ClientId = "attested-0".parse().unwrap();
        let events = [
            Event::ItemOutcome {
                message: 0,
                item: 3,
                item_kind: ItemKind::Recv,
                client: client.clone(),
                sequence: Sequence(7),
                outcome: Outcome::Skipped,
                reason: Some("the vault is short".into()),
                retryable: true,
            },
            Event::AckWritten {
                dest_client: client.clone(),
                sequence: Sequence(7),
                ack: HexBytes(vec![1, 2]),
                cause: AckCause::Claimed,
            },
            Event::Paused { client: None },
            Event::PacketEnded { source_client: client, sequence: Sequence(1), end: LockEnd::TimedOut, preimage: None },
        ];
        for event in events {
            assert_eq!(Event::from_abci(&event.to_abci()), Ok(event));
        }
    }

    #[test]
    fn foreign_and_broken_events_are_errors() {
        assert!(matches!(Event::from_abci(&abci::Event::new("tx", [("a", "b")])), Err(EventError::Kind(_))));
        let bad = abci::Event::new("paused", [("client", "NOT A CLIENT")]);
        assert!(matches!(Event::from_abci(&bad), Err(EventError::Value { .. })));
        let missing = abci::Event::new::<_, [(&str, &str); 0]>("paused", []);
        assert!(matches!(Event::from_abci(&missing), Err(EventError::Missing { .. })));
    }
}
