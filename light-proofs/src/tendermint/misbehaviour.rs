//! Which evidence freezes the client.

use crosspoint_protocol::ids::Timestamp;
use std::cmp::Ordering;
use tendermint_light_client_verifier::errors::VerificationError;

use super::commit::{self, Votes};
use super::state::{ClientState, ConsensusState, Header, Latest};
use super::verify::{Strictness, TendermintError, named, verify_header};

/// Whether two headers prove that the chain contradicts itself: both verify, each from the consensus
/// state at its `trusted_height`, and they are two headers of one height, or the higher one is not
/// the later one. `Ok` means proven: freeze.
pub fn check_misbehaviour(
    client: &ClientState,
    (one, one_trusted): (&Header, &ConsensusState),
    (other, other_trusted): (&Header, &ConsensusState),
    now: Timestamp,
) -> Result<(), TendermintError> {
    verify_evidence(client, one_trusted, one, now)?;
    verify_evidence(client, other_trusted, other, now)?;
    let (low, high) = if one.height() <= other.height() { (one, other) } else { (other, one) };
    let (low, high) = (&low.signed_header.header, &high.signed_header.header);
    let conflict = if low.height == high.height { low.hash() != high.hash() } else { high.time <= low.time };
    if conflict { Ok(()) } else { Err(TendermintError::NoConflict) }
}

/// Whether one header that verifies contradicts a header the client trusts: another one of its height, or
/// one whose time runs against the heights by whole seconds, as more is not kept of a trusted header. `Ok` means proven:
/// freeze.
pub fn check_conflict(
    client: &ClientState,
    trusted: &ConsensusState,
    header: &Header,
    known: &Latest,
    now: Timestamp,
) -> Result<(), TendermintError> {
    let found = verify_evidence(client, trusted, header, now)?;
    let conflict = match header.height().cmp(&known.height) {
        Ordering::Equal => header.hash() != known.hash,
        Ordering::Greater => found.time < known.time,
        Ordering::Less => found.time > known.time,
    };
    if conflict { Ok(()) } else { Err(TendermintError::NoConflict) }
}

/// A header believed as evidence: every signature in its commit must verify, also those past two thirds, which an
/// update need not look at (CometBFT, `VerifyCommitLightAllSignatures`). Nobody is accused by a forged one.
pub fn verify_evidence(
    client: &ClientState,
    trusted: &ConsensusState,
    header: &Header,
    now: Timestamp,
) -> Result<ConsensusState, TendermintError> {
    let state = verify_header(client, trusted, header, now, Strictness::Misbehaviour)?;
    let time = state.time;
    let refused = |VerificationError(detail, _)| named(detail, header, time, now);
    let votes = Votes::new(&header.signed_header).map_err(refused)?;
    votes.verify_all(&header.validators).map_err(refused)?;
    Ok(state)
}

impl Header {
    /// The same header as evidence: without the votes in its commit for which [`verify_evidence`] refuses the whole, a forged
    /// one among them. Who has a header from others calls this before accusing by it.
    #[must_use]
    pub fn without_spoilt_votes(mut self) -> Self {
        self.signed_header.commit.signatures = commit::without_spoilt_votes(&self.signed_header, &self.validators);
        self
    }
}
