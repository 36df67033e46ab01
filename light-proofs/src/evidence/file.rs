//! The file: its parts, its one written form, and reading it strictly.

use crosspoint_protocol::ack::{AckError, Acknowledgement};
use crosspoint_protocol::ids::{ChainId, ClientId, Sequence, Timestamp};
use crosspoint_protocol::lock::PointsLock;
use crosspoint_protocol::packet::{Packet, Payload, PayloadError};
use crosspoint_protocol::secret::{Hashlock, Preimage};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

use super::attested::{AttestedAnchor, AttestedSide};
use super::error::{EvidenceError, Fault, shown, unread};
use super::ethereum_pos::{EthereumPosAnchor, EthereumPosSide};
use super::native::{TendermintAnchor, TendermintSide};
use super::qbft::{QbftAnchor, QbftSide};
use crate::serde_hex;

/// Format and version. A file of another one is refused.
pub const FORMAT: &str = "crosspoint-evidence/1";
/// Most bytes of a file.
pub const MAX_FILE_BYTES: usize = 16 << 20;

/// One transfer's evidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    /// [`FORMAT`].
    pub format: String,
    /// The packet.
    pub packet: PacketRecord,
    /// How the destination answered, once it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ack: Option<AckRecord>,
    /// What the chain shows that the packet was sent on.
    pub source: ChainEvidence,
    /// What the chain shows that it was sent to.
    pub destination: ChainEvidence,
}

/// A packet in words; its bytes follow from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PacketRecord {
    /// Its number on the source client.
    pub sequence: Sequence,
    /// The client it was sent through.
    pub source_client: ClientId,
    /// The client it comes in through.
    pub dest_client: ClientId,
    /// The destination's time from which on it cannot be received.
    pub timeout: Timestamp,
    /// What was locked.
    pub lock: PointsLock,
}

impl PacketRecord {
    /// The record of a packet.
    ///
    /// # Errors
    /// It is no points transfer.
    pub fn of(packet: &Packet) -> Result<Self, PayloadError> {
        Ok(Self {
            sequence: packet.sequence,
            source_client: packet.source_client.clone(),
            dest_client: packet.dest_client.clone(),
            timeout: packet.timeout,
            lock: packet.points_lock()?,
        })
    }

    /// The packet.
    #[must_use]
    pub fn packet(&self) -> Packet {
        Packet {
            sequence: self.sequence,
            source_client: self.source_client.clone(),
            dest_client: self.dest_client.clone(),
            timeout: self.timeout,
            payload: Payload::points(&self.lock),
        }
    }
}

/// An acknowledgement; its bytes follow from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AckRecord {
    /// Claimed with this preimage, which is public since.
    Claimed {
        /// The 32 bytes.
        #[serde(with = "serde_hex::array")]
        preimage: [u8; 32],
    },
    /// Refused at receipt, or void after the deadline.
    Error,
}

impl AckRecord {
    /// The record of an acknowledgement's bytes.
    ///
    /// # Errors
    /// They are no acknowledgement of a packet with this hashlock.
    pub fn of(ack: &[u8], hashlock: &Hashlock) -> Result<Self, AckError> {
        Ok(match Acknowledgement::decode(ack, hashlock)? {
            Acknowledgement::Success(preimage) => Self::Claimed { preimage: *preimage.reveal() },
            Acknowledgement::Error => Self::Error,
        })
    }

    /// The acknowledgement.
    #[must_use]
    pub const fn acknowledgement(&self) -> Acknowledgement {
        match self {
            Self::Claimed { preimage } => Acknowledgement::Success(Preimage::new(*preimage)),
            Self::Error => Acknowledgement::Error,
        }
    }
}

/// What a proof shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// Source: the packet was sent. Its commitment stands in the state, or in the list of packets sent.
    Sent,
    /// Source: its commitment does not stand in the state.
    Ended,
    /// Destination: its receipt stands in the state.
    Received,
    /// Destination: no receipt stands in the state.
    NotReceived,
    /// Destination: its acknowledgement stands in the state.
    Acknowledged,
    /// Destination: no acknowledgement stands in the state.
    NotAcknowledged,
    /// Native chains: how the client that the packet goes through is registered.
    Client,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sent => "sent",
            Self::Ended => "ended",
            Self::Received => "received",
            Self::NotReceived => "not_received",
            Self::Acknowledged => "acknowledged",
            Self::NotAcknowledged => "not_acknowledged",
            Self::Client => "client",
        })
    }
}

/// One chain's part of the evidence, by the light client that believes its headers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "light_client", rename_all = "kebab-case")]
pub enum ChainEvidence {
    /// A native chain.
    Tendermint(Box<TendermintSide>),
    /// An EVM chain, by attestors.
    Attested(AttestedSide),
    /// A consortium EVM chain, by the seals in its headers.
    Qbft(QbftSide),
    /// Ethereum, by its sync committees.
    EthereumPos(Box<EthereumPosSide>),
}

/// What trust in one chain begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "light_client", rename_all = "kebab-case")]
pub enum Anchor {
    /// A header of a native chain and who signs the next one.
    Tendermint(Box<TendermintAnchor>),
    /// The attestors of an EVM chain, and the contract that is looked at.
    Attested(AttestedAnchor),
    /// A sealed header of a consortium EVM chain, and the contract that is looked at.
    Qbft(QbftAnchor),
    /// A final beacon block with its committee, and the contract that is looked at.
    EthereumPos(Box<EthereumPosAnchor>),
}

impl Anchor {
    /// The chain's name.
    ///
    /// # Errors
    /// No chain has such a name.
    pub fn chain(&self) -> Result<ChainId, EvidenceError> {
        match self {
            Self::Tendermint(anchor) => anchor.chain(),
            Self::Attested(anchor) => anchor.chain(),
            Self::Qbft(anchor) => anchor.chain(),
            Self::EthereumPos(anchor) => anchor.chain(),
        }
    }
}

impl ChainEvidence {
    /// Checks headers and proofs, not which packet they are about.
    ///
    /// # Errors
    /// One of them does not hold.
    pub fn check(&self) -> Result<(), EvidenceError> {
        super::verify::side(self, "evidence", &[]).map(|_| ())
    }

    /// Whether one of the proofs is for this claim.
    #[must_use]
    pub fn shows(&self, claim: Claim) -> bool {
        match self {
            Self::Tendermint(side) => side.headers.iter().flat_map(|h| &h.proofs).any(|proof| proof.shows == claim),
            Self::Attested(side) => side.headers.iter().flat_map(|h| &h.proofs).any(|proof| proof.shows == claim),
            Self::Qbft(side) => side.headers.iter().flat_map(|h| &h.proofs).any(|proof| proof.shows == claim),
            Self::EthereumPos(side) => side.headers.iter().flat_map(|h| &h.proofs).any(|proof| proof.shows == claim),
        }
    }

    /// The anchor in the file.
    #[must_use]
    pub fn anchor(&self) -> Anchor {
        match self {
            Self::Tendermint(side) => Anchor::Tendermint(Box::new(side.anchor.clone())),
            Self::Attested(side) => Anchor::Attested(side.anchor.clone()),
            Self::Qbft(side) => Anchor::Qbft(side.anchor.clone()),
            Self::EthereumPos(side) => Anchor::EthereumPos(Box::new(side.anchor.clone())),
        }
    }
}

impl Evidence {
    /// The text of the file.
    ///
    /// # Errors
    /// None that occurs: every part can be written.
    pub fn to_text(&self) -> Result<String, EvidenceError> {
        let text = serde_json::to_string_pretty(self);
        Ok(text.map_err(|e| EvidenceError::new("file", Fault::form(&e)))? + "\n")
    }

    /// Reads a file's bytes as [`Evidence::read`] does its text.
    ///
    /// # Errors
    /// They are no text, or as [`Evidence::read`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count();
            EvidenceError::new(line(before), Fault::NotText)
        })?;
        Self::read(text)
    }

    /// Reads a file. Its bytes must be exactly those that [`Evidence::to_text`] gives: nothing is left over.
    ///
    /// # Errors
    /// It is no evidence file of this version; the error names the first part that is wrong.
    pub fn read(text: &str) -> Result<Self, EvidenceError> {
        if text.len() > MAX_FILE_BYTES {
            return Err(EvidenceError::new("file", Fault::TooLong(text.len())));
        }
        let value: Value = serde_json::from_str(text).map_err(|e| EvidenceError::new("file", Fault::json(&e)))?;
        let read = Self::from_value(value)?;
        let canonical = read.to_text()?;
        if canonical != text {
            let same = canonical.split('\n').zip(text.split('\n')).take_while(|(a, b)| a == b).count();
            return Err(EvidenceError::new(line(same), Fault::NotCanonical));
        }
        Ok(read)
    }

    /// Reads a file's JSON, whatever the order of its fields and the space between them. Every value must be in its
    /// one form, and no field may be left over.
    ///
    /// # Errors
    /// As [`Evidence::read`].
    pub fn from_value(value: Value) -> Result<Self, EvidenceError> {
        let read = Self::by_parts(value.clone())?;
        let written = serde_json::to_value(&read).map_err(|e| EvidenceError::new("file", Fault::form(&e)))?;
        match difference(String::new(), &value, &written) {
            Some(at) => Err(EvidenceError::new(at, Fault::NotCanonical)),
            None => Ok(read),
        }
    }

    fn by_parts(value: Value) -> Result<Self, EvidenceError> {
        let mut root = object("file", value)?;
        let format: String = part("format", take("", &mut root, "format")?)?;
        if format != FORMAT {
            return Err(EvidenceError::new("format", Fault::Format(shown(&format))));
        }
        let read = Self {
            format,
            packet: part("packet", take("", &mut root, "packet")?)?,
            ack: root.remove("ack").map(|ack| part("ack", ack)).transpose()?,
            source: side("source", take("", &mut root, "source")?)?,
            destination: side("destination", take("", &mut root, "destination")?)?,
        };
        none_left("", &root)?;
        Ok(read)
    }
}

/// The line after so many.
fn line(before: usize) -> String {
    format!("line {}", before.saturating_add(1))
}

fn side(at: &str, value: Value) -> Result<ChainEvidence, EvidenceError> {
    let mut fields = object(at, value)?;
    let kind = take(at, &mut fields, "light_client")?;
    let anchor = (format!("{at}.anchor"), take(at, &mut fields, "anchor")?);
    let headers = (format!("{at}.headers"), take(at, &mut fields, "headers")?);
    none_left(at, &fields)?;
    match kind.as_str() {
        Some("tendermint") => {
            check_base64(&headers.0, &headers.1)?;
            Ok(ChainEvidence::Tendermint(Box::new(TendermintSide {
                anchor: part(&anchor.0, anchor.1)?,
                headers: list(&headers.0, headers.1)?,
            })))
        }
        Some("attested") => Ok(ChainEvidence::Attested(AttestedSide {
            anchor: part(&anchor.0, anchor.1)?,
            headers: list(&headers.0, headers.1)?,
        })),
        Some("qbft") => Ok(ChainEvidence::Qbft(QbftSide {
            anchor: part(&anchor.0, anchor.1)?,
            headers: list(&headers.0, headers.1)?,
        })),
        Some("ethereum-pos") => Ok(ChainEvidence::EthereumPos(Box::new(EthereumPosSide {
            anchor: part(&anchor.0, anchor.1)?,
            headers: list(&headers.0, headers.1)?,
        }))),
        _ => Err(EvidenceError::new(
            format!("{at}.light_client"),
            Fault::Form("it is none of `tendermint`, `attested`, `qbft` and `ethereum-pos`".into()),
        )),
    }
}

/// The signatures of commits are the one part written in base64, and its decoder asserts what it should check.
fn check_base64(at: &str, headers: &Value) -> Result<(), EvidenceError> {
    for (index, header) in headers.as_array().into_iter().flatten().enumerate() {
        let votes = header.pointer("/signed_header/commit/signatures").and_then(Value::as_array);
        for (place, vote) in votes.into_iter().flatten().enumerate() {
            let text = vote.get("signature").and_then(Value::as_str).unwrap_or_default();
            let digits = text.strip_suffix("==").unwrap_or_default();
            let is_one = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
            // An absent vote has none.
            let fits = text.is_empty() || digits.len() == 86 && digits.bytes().all(is_one);
            if !fits {
                let at = format!("{at}[{index}].signed_header.commit.signatures[{place}].signature");
                return Err(EvidenceError::new(at, Fault::Form("it is not the base64 of 64 bytes".into())));
            }
        }
    }
    Ok(())
}

/// Reads part by part, so that what cannot be read is named.
fn part<T: DeserializeOwned>(at: &str, value: Value) -> Result<T, EvidenceError> {
    serde_path_to_error::deserialize(value).map_err(|e| unread(at, &e))
}

fn list<T: DeserializeOwned>(at: &str, value: Value) -> Result<Vec<T>, EvidenceError> {
    let Value::Array(items) = value else {
        return Err(EvidenceError::new(at, Fault::Form("it is no list".into())));
    };
    items.into_iter().enumerate().map(|(index, item)| part(&format!("{at}[{index}]"), item)).collect()
}

fn object(at: &str, value: Value) -> Result<Map<String, Value>, EvidenceError> {
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(EvidenceError::new(at, Fault::Form("it is no object".into()))),
    }
}

fn take(at: &str, fields: &mut Map<String, Value>, name: &str) -> Result<Value, EvidenceError> {
    fields.remove(name).ok_or_else(|| EvidenceError::new(within(at, name), Fault::Missing))
}

fn none_left(at: &str, fields: &Map<String, Value>) -> Result<(), EvidenceError> {
    match fields.keys().next() {
        Some(name) => Err(EvidenceError::new(within(at, &shown(name)), Fault::Unknown)),
        None => Ok(()),
    }
}

fn within(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// The path of the first place where two values differ.
fn difference(at: String, one: &Value, other: &Value) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let names = one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)));
            let mut inner = names.map(|name| (within(&at, name), one.get(name), other.get(name)));
            inner.find_map(|(at, one, other)| match (one, other) {
                (Some(one), Some(other)) => difference(at, one, other),
                _ => Some(at),
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let mut pairs = one.iter().zip(other).enumerate();
            pairs.find_map(|(index, (one, other))| difference(format!("{at}[{index}]"), one, other))
        }
        (one, other) => (one != other).then_some(at),
    }
}
