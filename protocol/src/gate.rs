//! Which steps of a packet a client lets through while operators pause it or governance has closed it for good.
//!
//! Pause and closure stop new packets alone. What ends a packet (claim, void, ack, timeout) asks no gate, so nobody's
//! points can be shut in.

use crate::ids::Timestamp;
use crate::packet::Packet;
use crate::path::Path;

/// What operators and governance decided about a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Gate {
    /// Operators paused the client, or the whole chain.
    pub paused: bool,
    /// Governance closed the client for good, at a final state.
    pub closed: bool,
}

/// Why a new packet may not pass. Nothing changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// The client is closed for good.
    #[error("the client is closed")]
    Closed,
    /// Try again once operators resume it.
    #[error("the client or the chain is paused")]
    Paused,
}

/// What a packet is to the chain it is brought to, its proof not looked at yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It may be received, if it is proven.
    New,
    /// It was received before: nothing is to be done.
    Duplicate,
}

/// Why a packet cannot be received. Nothing changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ArrivalError {
    /// Another packet was received under its number.
    #[error("another packet was received under this number")]
    OtherPacket,
    /// The client does not let it through.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// It is too late.
    #[error("the packet could be received until {timeout}; it is {now}")]
    TimedOut {
        /// The packet's timeout.
        timeout: Timestamp,
        /// The block's time.
        now: Timestamp,
    },
}

impl Gate {
    /// Whether new packets may be sent or received.
    pub const fn check_open(self) -> Result<(), GateError> {
        match self {
            Self { closed: true, .. } => Err(GateError::Closed),
            Self { paused: true, .. } => Err(GateError::Paused),
            Self { closed: false, paused: false } => Ok(()),
        }
    }

    /// What becomes of a packet with this commitment, `receipt` being what is stored under its receipt path.
    pub fn arrive(
        self,
        receipt: Option<&[u8]>,
        commitment: &[u8; 32],
        timeout: Timestamp,
        now: Timestamp,
    ) -> Result<Arrival, ArrivalError> {
        match receipt {
            Some(known) if known == commitment => return Ok(Arrival::Duplicate),
            Some(_) => return Err(ArrivalError::OtherPacket),
            None => {}
        }
        self.check_open()?;
        if now >= timeout {
            return Err(ArrivalError::TimedOut { timeout, now });
        }
        Ok(Arrival::New)
    }

    /// Where nothing may be stored over there for a packet to time out: its receipt. In the final state of a chain that
    /// is dead for good, its ack: a hold that did not end by then never will.
    #[must_use]
    pub fn timeout_path(self, packet: &Packet) -> Path {
        if self.closed { packet.ack_path() } else { packet.receipt_path() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(9);
    const LATER: Timestamp = Timestamp(10);

    #[test]
    fn a_received_packet_is_a_duplicate_even_when_paused_closed_or_late() {
        let shut = Gate { paused: true, closed: true };
        assert_eq!(shut.arrive(Some(&[1; 32]), &[1; 32], NOW, LATER), Ok(Arrival::Duplicate));
        assert_eq!(shut.arrive(Some(&[2; 32]), &[1; 32], LATER, NOW), Err(ArrivalError::OtherPacket));
    }

    #[test]
    fn new_packets_need_an_open_client_and_a_time_before_the_timeout() {
        let gate = |paused, closed| Gate { paused, closed }.arrive(None, &[1; 32], LATER, NOW);
        assert_eq!(gate(false, false), Ok(Arrival::New));
        assert_eq!(gate(true, false), Err(GateError::Paused.into()));
        assert_eq!(gate(true, true), Err(GateError::Closed.into()));
        let late = Gate::default().arrive(None, &[1; 32], LATER, LATER);
        assert_eq!(late, Err(ArrivalError::TimedOut { timeout: LATER, now: LATER }));
    }
}
