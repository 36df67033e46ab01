//! Between the wire's messages and the parsed ones. Every length and count is bounded here.

use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::ids::{Height, Sequence, Timestamp};
use crosspoint_protocol::lock::{MAX_ENCODED_LEN, MAX_MEMO_LEN, Terms};
use crosspoint_protocol::packet::{Packet, Payload};
use crosspoint_protocol::secret::Hashlock;
use std::fmt::Display;
use std::str::FromStr;

use super::action::{Action, MAX_ACTION_BYTES};
use super::message::{ClaimItem, LockMsg, Message, ProvenClaim, RelayBatch, RelayItem, VoidItem};
use super::{MAX_ITEMS, wire};
use crate::address::AccountId;

/// Most bytes of a payload's port, version or encoding.
const MAX_PAYLOAD_TEXT: usize = 128;
/// Most bytes of a payload's value. Longer than any valid lock, so that a bad one can be refused by an ack.
const MAX_PAYLOAD_VALUE: usize = 4 * MAX_ENCODED_LEN;
/// Most nodes of a proof.
const MAX_PROOF_NODES: usize = 80;
/// Most bytes of a proof's node.
const MAX_PROOF_NODE: usize = 16 * 1024;
/// Most bytes of a client update or of evidence.
const MAX_HEADER: usize = 512 * 1024;
/// Most bytes of an acknowledgement.
const MAX_ACK: usize = 256;
/// Most bytes of a secret in a claim.
const MAX_SECRET: usize = 256;

/// Which field of a message is invalid and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct FieldError {
    /// The field.
    pub field: &'static str,
    /// What is wrong.
    pub reason: String,
}

type Read<T> = Result<T, FieldError>;

fn fail<T>(field: &'static str, reason: impl Display) -> Read<T> {
    Err(FieldError { field, reason: reason.to_string() })
}

fn parse<T: FromStr<Err: Display>>(field: &'static str, text: &str) -> Read<T> {
    text.parse().or_else(|error: T::Err| fail(field, error))
}

fn parse_optional<T: FromStr<Err: Display>>(field: &'static str, text: &str) -> Read<Option<T>> {
    if text.is_empty() { Ok(None) } else { parse(field, text).map(Some) }
}

fn bounded<T>(field: &'static str, list: Vec<T>, max: usize) -> Read<Vec<T>> {
    if list.len() <= max { Ok(list) } else { fail(field, format!("{} is more than {max}", list.len())) }
}

fn account(field: &'static str, bytes: &[u8]) -> Read<AccountId> {
    AccountId::from_slice(bytes).or_else(|error| fail(field, error))
}

fn amount(bytes: &[u8]) -> Read<Amount> {
    let Ok(bytes) = bytes.try_into() else { return fail("amount", "not 16 bytes") };
    match u128::from_be_bytes(bytes) {
        0 => fail("amount", "is 0"),
        n => Ok(Amount::new(n)),
    }
}

fn amount_bytes(amount: Amount) -> Vec<u8> {
    amount.get().to_be_bytes().to_vec()
}

fn memo(memo: String) -> Read<String> {
    if memo.len() > MAX_MEMO_LEN || !memo.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return fail("memo", "longer than 512 bytes or not printable ASCII");
    }
    Ok(memo)
}

fn sequence(n: u64) -> Read<Sequence> {
    if n == 0 { fail("sequence", "is 0; they start at 1") } else { Ok(Sequence(n)) }
}

fn nodes(field: &'static str, nodes: Vec<Vec<u8>>) -> Read<Vec<Vec<u8>>> {
    if nodes.iter().any(|node| node.len() > MAX_PROOF_NODE) {
        return fail(field, format!("a node is longer than {MAX_PROOF_NODE} bytes"));
    }
    bounded(field, nodes, MAX_PROOF_NODES)
}

/// Parses a message from the wire.
pub fn read(msg: wire::Msg) -> Read<Message> {
    let Some(kind) = msg.kind else { return fail("message", "has no kind this chain knows") };
    Ok(match kind {
        wire::Kind::Transfer(m) => Message::Transfer {
            to: account("to", &m.to)?,
            denom: parse("denom", &m.denom)?,
            amount: amount(&m.amount)?,
            memo: memo(m.memo)?,
        },
        wire::Kind::Issue(m) => {
            Message::Issue { to: account("to", &m.to)?, denom: parse("denom", &m.denom)?, amount: amount(&m.amount)? }
        }
        wire::Kind::Burn(m) => Message::Burn { denom: parse("denom", &m.denom)?, amount: amount(&m.amount)? },
        wire::Kind::Lock(m) => Message::Lock(read_lock(m)?),
        wire::Kind::Claim(m) => {
            let items = bounded("items", m.items, MAX_ITEMS)?.into_iter();
            Message::Claim(items.map(read_claim).collect::<Read<_>>()?)
        }
        wire::Kind::Void(m) => {
            let items = bounded("items", m.items, MAX_ITEMS)?.into_iter();
            Message::Void(items.map(read_void).collect::<Read<_>>()?)
        }
        wire::Kind::Relay(m) => Message::Relay(RelayBatch {
            client: parse("client", &m.client)?,
            height: Height(m.height),
            update: if m.update.is_empty() { None } else { Some(bounded("update", m.update, MAX_HEADER)?) },
            shared_proof: nodes("shared_proof", m.shared_proof)?,
            items: bounded("items", m.items, MAX_ITEMS)?.into_iter().map(read_item).collect::<Read<_>>()?,
        }),
        wire::Kind::Misbehaviour(m) => Message::SubmitMisbehaviour {
            client: parse("client", &m.client)?,
            evidence: bounded("evidence", m.evidence, MAX_HEADER)?,
        },
        wire::Kind::WithdrawOwed(m) => Message::WithdrawOwed { denom: parse("denom", &m.denom)? },
        wire::Kind::Pause(m) => Message::Pause { client: parse_optional("client", &m.client)? },
        wire::Kind::Unpause(m) => Message::Unpause { client: parse_optional("client", &m.client)? },
        wire::Kind::Propose(m) => Message::Propose { action: Box::new(read_action(&m.action)?) },
        wire::Kind::Approve(m) => Message::Approve { proposal: m.proposal },
    })
}

fn read_lock(m: wire::Lock) -> Read<LockMsg> {
    Ok(LockMsg {
        client: parse("client", &m.client)?,
        denom: parse("denom", &m.denom)?,
        amount: amount(&m.amount)?,
        receiver: parse("receiver", &m.receiver)?,
        hashlock: Hashlock::from_slice(&m.hashlock).or_else(|error| fail("hashlock", error))?,
        timeout: Timestamp(m.timeout),
        claim_deadline: Timestamp(m.claim_deadline),
        terms: Terms::decode(&m.terms).or_else(|error| fail("terms", error))?,
        memo: memo(m.memo)?,
    })
}

fn read_claim(m: wire::Claim) -> Read<ClaimItem> {
    Ok(ClaimItem {
        client: parse("client", &m.client)?,
        sequence: sequence(m.sequence)?,
        secret: bounded("secret", m.secret, MAX_SECRET)?,
    })
}

fn read_void(m: wire::Void) -> Read<VoidItem> {
    Ok(VoidItem { client: parse("client", &m.client)?, sequence: sequence(m.sequence)? })
}

fn read_item(m: wire::Item) -> Read<RelayItem> {
    let Some(packet) = m.packet else { return fail("packet", "is missing") };
    let claim = match (m.kind, m.ack.is_empty()) {
        (1, true) => ProvenClaim::Sent,
        (2, _) => ProvenClaim::Acknowledged(bounded("ack", m.ack, MAX_ACK)?),
        (3, true) => ProvenClaim::NotReceived,
        _ => return fail("kind", "is 1 (recv), 2 (ack) or 3 (timeout); only 2 has an ack"),
    };
    Ok(RelayItem { packet: read_packet(packet)?, claim, proof: nodes("proof", m.proof)? })
}

fn read_packet(m: wire::Packet) -> Read<Packet> {
    let text = |field, text: String| {
        if text.len() <= MAX_PAYLOAD_TEXT { Ok(text) } else { fail(field, "longer than 128 bytes") }
    };
    Ok(Packet {
        sequence: sequence(m.sequence)?,
        source_client: parse("source_client", &m.source_client)?,
        dest_client: parse("dest_client", &m.dest_client)?,
        timeout: Timestamp(m.timeout),
        payload: Payload {
            source_port: text("source_port", m.source_port)?,
            dest_port: text("dest_port", m.dest_port)?,
            version: text("version", m.version)?,
            encoding: text("encoding", m.encoding)?,
            value: bounded("value", m.value, MAX_PAYLOAD_VALUE)?,
        },
    })
}

fn read_action(text: &str) -> Read<Action> {
    if text.len() > MAX_ACTION_BYTES {
        return fail("action", "longer than 262144 bytes");
    }
    let action: Action = serde_json::from_str(text).or_else(|error| fail("action", error))?;
    // One action has one text: governors compare what they read with what is stored.
    if write_action(&action) == text { Ok(action) } else { fail("action", "is not written canonically") }
}

fn write_action(action: &Action) -> String {
    // Actions are plain data: strings, numbers and lists, which always serialise.
    serde_json::to_string(action).unwrap_or_default()
}

/// Writes a message for the wire.
#[must_use]
pub fn write(message: Message) -> wire::Msg {
    let optional = |client: Option<crosspoint_protocol::ids::ClientId>| client.map(String::from).unwrap_or_default();
    let kind = match message {
        Message::Transfer { to, denom, amount, memo } => wire::Kind::Transfer(wire::Transfer {
            to: to.as_bytes().to_vec(),
            denom: denom.into(),
            amount: amount_bytes(amount),
            memo,
        }),
        Message::Issue { to, denom, amount } => wire::Kind::Issue(wire::Issue {
            to: to.as_bytes().to_vec(),
            denom: denom.into(),
            amount: amount_bytes(amount),
        }),
        Message::Burn { denom, amount } => {
            wire::Kind::Burn(wire::Burn { denom: denom.into(), amount: amount_bytes(amount) })
        }
        Message::Lock(lock) => wire::Kind::Lock(wire::Lock {
            client: lock.client.into(),
            denom: lock.denom.into(),
            amount: amount_bytes(lock.amount),
            receiver: lock.receiver.into(),
            hashlock: lock.hashlock.0.to_vec(),
            timeout: lock.timeout.0,
            claim_deadline: lock.claim_deadline.0,
            terms: lock.terms.encode(),
            memo: lock.memo,
        }),
        Message::Claim(items) => wire::Kind::Claim(wire::Claims {
            items: items
                .into_iter()
                .map(|i| wire::Claim { client: i.client.into(), sequence: i.sequence.0, secret: i.secret })
                .collect(),
        }),
        Message::Void(items) => wire::Kind::Void(wire::Voids {
            items: items.into_iter().map(|i| wire::Void { client: i.client.into(), sequence: i.sequence.0 }).collect(),
        }),
        Message::Relay(batch) => wire::Kind::Relay(wire::Relay {
            client: batch.client.into(),
            height: batch.height.0,
            update: batch.update.unwrap_or_default(),
            shared_proof: batch.shared_proof,
            items: batch.items.into_iter().map(write_item).collect(),
        }),
        Message::SubmitMisbehaviour { client, evidence } => {
            wire::Kind::Misbehaviour(wire::Misbehaviour { client: client.into(), evidence })
        }
        Message::WithdrawOwed { denom } => wire::Kind::WithdrawOwed(wire::WithdrawOwed { denom: denom.into() }),
        Message::Pause { client } => wire::Kind::Pause(wire::Pause { client: optional(client) }),
        Message::Unpause { client } => wire::Kind::Unpause(wire::Pause { client: optional(client) }),
        Message::Propose { action } => wire::Kind::Propose(wire::Propose { action: write_action(&action) }),
        Message::Approve { proposal } => wire::Kind::Approve(wire::Approve { proposal }),
    };
    wire::Msg { kind: Some(kind) }
}

fn write_item(item: RelayItem) -> wire::Item {
    let (kind, ack) = match item.claim {
        ProvenClaim::Sent => (1, vec![]),
        ProvenClaim::Acknowledged(ack) => (2, ack),
        ProvenClaim::NotReceived => (3, vec![]),
    };
    let packet = item.packet;
    wire::Item {
        kind,
        ack,
        proof: item.proof,
        packet: Some(wire::Packet {
            sequence: packet.sequence.0,
            source_client: packet.source_client.into(),
            dest_client: packet.dest_client.into(),
            timeout: packet.timeout.0,
            source_port: packet.payload.source_port,
            dest_port: packet.payload.dest_port,
            version: packet.payload.version,
            encoding: packet.payload.encoding,
            value: packet.payload.value,
        }),
    }
}
