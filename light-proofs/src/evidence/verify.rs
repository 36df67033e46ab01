//! From a file to what it proves.

use alloy_primitives::Bytes;
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::ids::{ChainId, ClientId};
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::path::{Path, PathKind};
use std::collections::BTreeMap;

use super::error::{EvidenceError, Fault};
use super::file::{Anchor, ChainEvidence, Claim, Evidence};
use super::findings::{AnchorFindings, Findings, HeaderFindings, Outcome, Registered, Shown, SideFindings};
use super::registered;

/// A hundred years in seconds. How old a signature may be is for who reads the findings to judge: they say every
/// header's time.
pub(super) const NO_EXPIRY: u64 = 100 * 365 * 24 * 3_600;

/// A key and what stands there, proven from a header.
pub(super) struct Proven {
    pub(super) shows: Claim,
    pub(super) key: Bytes,
    pub(super) value: Option<Bytes>,
    pub(super) listed: bool,
    pub(super) header: usize,
    pub(super) at: String,
}

/// One chain's part: headers believed, keys and values proven, not yet compared with the packet.
pub(super) struct VerifiedSide {
    pub(super) chain: ChainId,
    pub(super) anchor: AnchorFindings,
    pub(super) headers: Vec<HeaderFindings>,
    pub(super) proven: Vec<Proven>,
}

/// Checks a file. For a chain that `anchors` has one of, trust begins there and not with the anchor in the file.
///
/// No clock is read: how old headers are, and what that means for their signers' keys, is for who reads the findings.
///
/// # Errors
/// Something does not hold; the error names the part that fails.
pub fn verify(evidence: &Evidence, anchors: &[Anchor]) -> Result<Findings, EvidenceError> {
    let record = &evidence.packet;
    record.lock.validate().map_err(|e| EvidenceError::new("packet.lock", e))?;
    let source = side(&evidence.source, "source", anchors)?;
    let destination = side(&evidence.destination, "destination", anchors)?;
    if source.chain == destination.chain {
        return Err(EvidenceError::new("destination", Fault::SameChain));
    }
    let packet = record.packet();
    let ack = evidence.ack.as_ref().map(|ack| ack.acknowledgement());
    let about = About { packet: &packet, ack: ack.as_ref().map(Acknowledgement::commitment) };
    let of_source = about.compare(&source, &[Claim::Sent, Claim::Ended], &packet.source_client)?;
    let of_destination = about.compare(
        &destination,
        &[Claim::Received, Claim::NotReceived, Claim::Acknowledged, Claim::NotAcknowledged],
        &packet.dest_client,
    )?;
    if let Some(ack) = &ack {
        Acknowledgement::decode(&ack.encode(), &record.lock.hashlock).map_err(|e| EvidenceError::new("ack", e))?;
        if !of_destination.contains_key(&Claim::Acknowledged) {
            return Err(EvidenceError::new("ack", Fault::UnprovenAck));
        }
    }
    contradictions(&of_source, &of_destination)?;
    let clients = (&packet.source_client, &packet.dest_client);
    let source_registered = registered(&source, clients, &destination)?;
    let destination_registered = registered(&destination, (clients.1, clients.0), &source)?;
    let source = source.findings(of_source, source_registered);
    let destination = destination.findings(of_destination, destination_registered);
    let outcome = outcome(&packet, ack.as_ref(), &source, &destination);
    Ok(Findings { lock: record.lock.clone(), packet, ack, source, destination, outcome })
}

pub(super) fn side(evidence: &ChainEvidence, at: &str, anchors: &[Anchor]) -> Result<VerifiedSide, EvidenceError> {
    let here = evidence.anchor().chain().map_err(|e| EvidenceError::new(format!("{at}.{}", e.at), *e.why))?;
    let own = anchors.iter().find(|anchor| anchor.chain().is_ok_and(|chain| chain == here));
    match (evidence, own) {
        (ChainEvidence::Tendermint(side), None) => side.verify(None, at),
        (ChainEvidence::Tendermint(side), Some(Anchor::Tendermint(own))) => side.verify(Some(own), at),
        (ChainEvidence::Attested(side), None) => side.verify(None, at),
        (ChainEvidence::Attested(side), Some(Anchor::Attested(own))) => side.verify(Some(own), at),
        (ChainEvidence::Qbft(side), None) => side.verify(None, at),
        (ChainEvidence::Qbft(side), Some(Anchor::Qbft(own))) => side.verify(Some(own), at),
        (ChainEvidence::EthereumPos(side), None) => side.verify(None, at),
        (ChainEvidence::EthereumPos(side), Some(Anchor::EthereumPos(own))) => side.verify(Some(own), at),
        (
            ChainEvidence::Tendermint(_)
            | ChainEvidence::Attested(_)
            | ChainEvidence::Qbft(_)
            | ChainEvidence::EthereumPos(_),
            Some(_),
        ) => {
            Err(EvidenceError::new(format!("{at}.light_client"), Fault::Form("your anchor is of another kind".into())))
        }
    }
}

impl VerifiedSide {
    fn findings(self, shown: BTreeMap<Claim, Shown>, registered: Option<Registered>) -> SideFindings {
        SideFindings { chain: self.chain, anchor: self.anchor, headers: self.headers, shown, registered }
    }
}

/// What the proofs must be about.
struct About<'a> {
    packet: &'a Packet,
    ack: Option<[u8; 32]>,
}

impl About<'_> {
    /// Where a claim is shown, and by which value (`None`: by none).
    fn expected(&self, claim: Claim) -> Option<(Path, Option<[u8; 32]>)> {
        let packet = self.packet;
        Some(match claim {
            Claim::Sent => (packet.commitment_path(), Some(packet.commitment())),
            Claim::Ended => (packet.commitment_path(), None),
            Claim::Received => (packet.receipt_path(), Some(packet.commitment())),
            Claim::NotReceived => (packet.receipt_path(), None),
            Claim::Acknowledged => (packet.ack_path(), Some(self.ack.unwrap_or_default())),
            Claim::NotAcknowledged => (packet.ack_path(), None),
            Claim::Client => return None,
        })
    }

    fn compare(
        &self,
        side: &VerifiedSide,
        here: &[Claim],
        client: &ClientId,
    ) -> Result<BTreeMap<Claim, Shown>, EvidenceError> {
        let mut shown = BTreeMap::new();
        for proven in &side.proven {
            self.compare_one(proven, here, client)?;
            let place = Shown { header: proven.header, listed: proven.listed };
            if shown.insert(proven.shows, place).is_some() {
                return Err(EvidenceError::new(&proven.at, Fault::Twice(proven.shows)));
            }
        }
        Ok(shown)
    }

    /// Header and proof hold. So what does not fit is the claim, if it can be about no such key at all, or else the
    /// packet or the acknowledgement.
    fn compare_one(&self, proven: &Proven, here: &[Claim], client: &ClientId) -> Result<(), EvidenceError> {
        let claim = proven.shows;
        let fault = |why| EvidenceError::new(&proven.at, why);
        let other_packet = || EvidenceError::new("packet", Fault::OtherPacket { proof: proven.at.clone() });
        let Some((path, value)) = self.expected(claim) else {
            if !proven.key.starts_with(b"client/") {
                return Err(fault(Fault::Key(claim)));
            }
            if proven.value.is_none() {
                return Err(fault(Fault::Presence(claim, "a value")));
            }
            return if *proven.key == registered::key(client) { Ok(()) } else { Err(other_packet()) };
        };
        if !here.contains(&claim) {
            return Err(fault(Fault::Side(claim)));
        }
        if kind(&proven.key) != Some(path.kind) {
            return Err(fault(Fault::Key(claim)));
        }
        match (&proven.value, &value) {
            (Some(_), None) => return Err(fault(Fault::Presence(claim, "the absence of a value"))),
            (None, Some(_)) => return Err(fault(Fault::Presence(claim, "a value"))),
            (Some(_), Some(_)) | (None, None) => {}
        }
        if *proven.key != path.to_bytes() {
            return Err(other_packet());
        }
        match (&proven.value, &value) {
            (Some(found), Some(expected)) if **found != expected[..] => match claim {
                Claim::Acknowledged => Err(EvidenceError::new("ack", Fault::OtherAck { proof: proven.at.clone() })),
                Claim::Sent
                | Claim::Ended
                | Claim::Received
                | Claim::NotReceived
                | Claim::NotAcknowledged
                | Claim::Client => Err(other_packet()),
            },
            _ => Ok(()),
        }
    }
}

/// What kind of path this key is.
fn kind(key: &[u8]) -> Option<PathKind> {
    let tail = key.len().checked_sub(9)?;
    [PathKind::Commitment, PathKind::Receipt, PathKind::Ack]
        .into_iter()
        .find(|kind| key.get(tail) == Some(&(*kind as u8)))
}

/// Receipts and acknowledgements are written once and stay; a commitment that ended does not come back.
fn contradictions(source: &BTreeMap<Claim, Shown>, destination: &BTreeMap<Claim, Shown>) -> Result<(), EvidenceError> {
    let pairs = [
        (Claim::Received, Claim::NotReceived),
        (Claim::NotReceived, Claim::Acknowledged),
        (Claim::Acknowledged, Claim::NotAcknowledged),
    ];
    for (one, other) in pairs {
        if destination.contains_key(&one) && destination.contains_key(&other) {
            return Err(EvidenceError::new("destination", Fault::Contradiction(one, other)));
        }
    }
    let (Some(sent), Some(ended)) = (source.get(&Claim::Sent), source.get(&Claim::Ended)) else { return Ok(()) };
    // The list still has it when it is gone; but a list that has it later says nothing of before.
    let before = if sent.listed { sent.header <= ended.header } else { sent.header < ended.header };
    if before { Ok(()) } else { Err(EvidenceError::new("source", Fault::Contradiction(Claim::Ended, Claim::Sent))) }
}

fn registered(
    side: &VerifiedSide,
    clients: (&ClientId, &ClientId),
    other: &VerifiedSide,
) -> Result<Option<Registered>, EvidenceError> {
    let found = side.proven.iter().find(|proven| proven.shows == Claim::Client);
    let Some((proven, value)) = found.and_then(|proven| Some((proven, proven.value.as_ref()?))) else {
        return Ok(None);
    };
    registered::check(&proven.at, value, clients, other).map(Some)
}

/// Received, and then not acknowledged: before it was received no packet is.
fn is_held(destination: &SideFindings) -> bool {
    let [received, open] = [Claim::Received, Claim::NotAcknowledged].map(|claim| destination.shown.get(&claim));
    received.zip(open).is_some_and(|(received, open)| received.header <= open.header)
}

fn outcome(
    packet: &Packet,
    ack: Option<&Acknowledgement>,
    source: &SideFindings,
    destination: &SideFindings,
) -> Outcome {
    let ended = source.shows(Claim::Ended) && source.shows(Claim::Sent);
    let missed = destination.header(Claim::NotReceived);
    let is_final = missed.is_some_and(|header| header.time >= packet.timeout);
    match ack {
        Some(Acknowledgement::Success(_)) if ended => Outcome::Settled,
        Some(Acknowledgement::Success(_)) => Outcome::Paid,
        Some(Acknowledgement::Error) if ended => Outcome::Refunded,
        Some(Acknowledgement::Error) => Outcome::Refundable,
        None if is_final && ended => Outcome::Refunded,
        None if is_final => Outcome::Refundable,
        None if is_held(destination) => Outcome::Held,
        None if missed.is_some() && source.shows(Claim::Sent) && !ended => Outcome::UnderWay,
        None => Outcome::Unclear,
    }
}
