//! Evidence of one transfer: the packet and its acknowledgement from the journal, headers and proofs from both chains.

use crate::journal::Transfer;
use crosspoint_adapters::chain::{Chain, PacketEnd};
use crosspoint_adapters::error::ChainError;
use crosspoint_light_proofs::evidence::{self, AckRecord, Claim, Evidence, EvidenceError, FORMAT, PacketRecord};
use crosspoint_protocol::packet::PayloadError;

/// Why there is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum NoEvidence {
    /// The chains know more than the journal.
    #[error("{0} is not read from its chain yet; try again in a moment")]
    NotRead(&'static str),
    /// The packet is no points transfer.
    #[error("the packet is no points transfer: {0}")]
    NotPoints(#[from] PayloadError),
    /// A chain failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// What the chains show does not fit together.
    #[error("what the chains show does not hold, {0}")]
    Unfit(#[from] EvidenceError),
}

/// Gathers the evidence of a transfer as far as it is now, and checks it as an auditor will.
///
/// # Errors
/// A chain cannot be asked, or the journal is behind it.
pub async fn gather(transfer: &Transfer, source: &dyn Chain, destination: &dyn Chain) -> Result<Evidence, NoEvidence> {
    let packet = transfer.packet.as_ref().ok_or(NoEvidence::NotRead("the packet"))?;
    let facts = &transfer.life.facts;
    let sent = facts.sent.as_ref().ok_or(NoEvidence::NotRead("the lock"))?.block.height;
    let record = PacketRecord::of(packet)?;
    let follows_source = destination.client(&packet.dest_client).await?;
    let follows_destination = source.client(&packet.source_client).await?;
    // The destination after the source: an end that the source shows rests on what the destination showed before.
    let of_source = source.evidence(packet, PacketEnd::Source { sent }, &follows_source).await?;
    let of_destination = destination.evidence(packet, PacketEnd::Destination, &follows_destination).await?;
    let ack = if of_destination.shows(Claim::Acknowledged) {
        let acked = facts.acked.as_ref().ok_or(NoEvidence::NotRead("the acknowledgement"))?;
        let hashlock = &record.lock.hashlock;
        Some(AckRecord::of(&acked.ack, hashlock).map_err(|why| EvidenceError::new("ack", why))?)
    } else {
        None
    };
    let evidence =
        Evidence { format: FORMAT.to_owned(), packet: record, ack, source: of_source, destination: of_destination };
    evidence::verify(&evidence, &[])?;
    Ok(evidence)
}
