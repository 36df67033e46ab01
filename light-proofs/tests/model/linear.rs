//! Scenario 1: one packet, sent, received, claimed, voided, acknowledged and timed out in any order and more than once,
//! by relayers who may deliver what they saw long ago.

use crate::check::{caught, deep, holds};
use crate::line::{ENDS, Line, TIMELY};
use crate::rules::Rules;
use crate::spec::Spec;
use crosspoint_protocol::htlc::{HoldEvent, HoldState, LockEvent, LockState};
use crosspoint_protocol::ids::Timestamp;

/// Both clocks run from 0 to 4; a receipt at time 0 breaks the window, one at time 1 does not.
fn world(rules: Rules) -> Line {
    let (timeout, deadline, last) = if deep() { (3, 5, 6) } else { (2, 3, 4) };
    let mut line = Line::new(2, vec![Spec::new(1, 0, false, timeout, deadline)], last);
    line.window.max_timeout = timeout - 1;
    line.relayers = if deep() { 3 } else { 2 };
    Line { rules, ..line }
}

#[test]
fn one_packet_ends_once_and_rightly_in_every_order() {
    holds("1 linear", world(Rules::REAL));
}

#[test]
fn a_timeout_rounded_up_is_caught() {
    let rules = Rules {
        // The consensus time's second counts as begun: non-receipt is believed one second early.
        lock: |state, terms, event| match event {
            LockEvent::NonReceiptProven { consensus_time } => {
                let consensus_time = consensus_time.next();
                LockState::apply(state, terms, &LockEvent::NonReceiptProven { consensus_time })
            }
            LockEvent::AckProven(_) => LockState::apply(state, terms, event),
        },
        ..Rules::REAL
    };
    caught("timeout rounded up", ENDS, world(rules));
}

#[test]
fn a_claim_at_the_deadline_is_caught() {
    let rules = Rules {
        hold: |state, terms, event| match event {
            HoldEvent::Claim { secret, now } if *now == terms.claim_deadline => {
                let now = Timestamp(now.0 - 1);
                HoldState::apply(state, terms, &HoldEvent::Claim { secret, now })
            }
            HoldEvent::Claim { .. } | HoldEvent::Void { .. } => HoldState::apply(state, terms, event),
        },
        ..Rules::REAL
    };
    caught("claim at <=", TIMELY, world(rules));
}

#[test]
fn a_refund_by_the_sources_clock_is_caught() {
    let rules = Rules { refund_by_clock: |terms, now| now >= terms.timeout, ..Rules::REAL };
    caught("refund by the source's clock", ENDS, world(rules));
}
