//! Which evidence freezes the client.

use crosspoint_protocol::ids::Timestamp;

use super::state::{ClientState, ConsensusState, Header};
use super::verify::{Strictness, TendermintError, verify_header};

/// Whether two headers prove that the chain contradicts itself: both verify, each from the consensus
/// state at its `trusted_height`, and they are two headers of one height, or the higher one is not
/// the later one. `Ok` means proven: freeze.
pub fn check_misbehaviour(
    client: &ClientState,
    (one, one_trusted): (&Header, &ConsensusState),
    (other, other_trusted): (&Header, &ConsensusState),
    now: Timestamp,
) -> Result<(), TendermintError> {
    verify_header(client, one_trusted, one, now, Strictness::Misbehaviour)?;
    verify_header(client, other_trusted, other, now, Strictness::Misbehaviour)?;
    let (low, high) = if one.height() <= other.height() { (one, other) } else { (other, one) };
    let (low, high) = (&low.signed_header.header, &high.signed_header.header);
    let conflict = if low.height == high.height { low.hash() != high.hash() } else { high.time <= low.time };
    if conflict { Ok(()) } else { Err(TendermintError::NoConflict) }
}

/// Whether one header that verifies contradicts the consensus state the client already has for the
/// header's height. `Ok` means proven: freeze.
pub fn check_conflict(
    client: &ClientState,
    trusted: &ConsensusState,
    header: &Header,
    known: &ConsensusState,
    now: Timestamp,
) -> Result<(), TendermintError> {
    let found = verify_header(client, trusted, header, now, Strictness::Misbehaviour)?;
    if found == *known { Err(TendermintError::NoConflict) } else { Ok(()) }
}
