//! Scenario 11: operators pause, members are suspended, payouts fail. A packet ends all the same, even if nobody is ever
//! restored and nothing resumed. (The swap of scenario 3 with one party blacklisted needs swaps; here transfers are plain.)

use crate::check::{caught, deep, holds};
use crate::line::{Line, NO_DEAD_END};
use crate::rules::Rules;
use crate::spec::Spec;
use crosspoint_protocol::book::Payout;
use crosspoint_protocol::gate::Gate;

/// One packet out and one back.
fn world(rules: Rules) -> Line {
    let (timeout, deadline, last) = if deep() { (2, 3, 4) } else { (1, 2, 2) };
    let specs = vec![Spec::new(1, 0, false, timeout, deadline), Spec::new(2, 0, true, timeout, deadline)];
    Line { rules, may_pause: true, may_suspend: true, ..Line::new(2, specs, last) }
}

#[test]
fn a_packet_ends_whoever_is_suspended_and_whatever_is_paused() {
    holds("11 failing payouts, pause, suspension", world(Rules::REAL));
}

#[test]
fn a_payout_whose_failure_fails_the_step_is_caught() {
    let rules = Rules { payout: |may_receive| may_receive.then_some(Payout::Paid), ..Rules::REAL };
    caught("payout failure reverts", NO_DEAD_END, world(rules));
}

#[test]
fn a_pause_that_blocks_acks_is_caught() {
    let rules = Rules { end: Gate::check_open, ..Rules::REAL };
    caught("pause blocks ack", NO_DEAD_END, world(rules));
}
