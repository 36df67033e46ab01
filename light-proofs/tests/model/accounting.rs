//! Scenario 6: the books. Two points go out and two may come back; then over three chains, where the middle one passes
//! vouchers on. A return may overtake the settle ack that fills its vault, and one chain may make a voucher out of nothing.

use crate::check::{caught, deep, holds};
use crate::line::{BALANCED, Line};
use crate::rules::Rules;
use crate::spec::Spec;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::audit::{Holdings, plus};

/// Timeout, claim deadline and the last time on every clock.
fn clocks() -> (u64, u64, u64) {
    if deep() { (2, 3, 4) } else { (1, 2, 2) }
}

fn two_chains(rules: Rules) -> Line {
    let (timeout, deadline, last) = clocks();
    let spec = |number, back| Spec::new(number, 0, back, timeout, deadline);
    let specs = vec![spec(1, false), spec(2, false), spec(3, true), spec(4, true)];
    Line { rules, may_forge: true, ..Line::new(2, specs, last) }
}

fn three_chains(rules: Rules) -> Line {
    let (timeout, deadline, last) = clocks();
    let spec = |number, link, back| Spec::new(number, link, back, timeout, deadline);
    let specs = vec![spec(1, 0, false), spec(2, 1, false), spec(3, 1, true), spec(4, 0, true)];
    Line { rules, may_forge: true, ..Line::new(3, specs, last) }
}

#[test]
fn the_books_of_two_chains_balance_and_the_audit_sees_a_made_up_voucher() {
    holds("6 accounting, two chains", two_chains(Rules::REAL));
}

#[test]
fn the_books_of_three_chains_balance() {
    holds("6 accounting, three chains", three_chains(Rules::REAL));
}

#[test]
fn a_return_that_draws_on_what_is_locked_is_caught() {
    let rules =
        Rules { hold_return: |book, amount| book.hold_return(amount).or_else(|_| book.refund(amount)), ..Rules::REAL };
    caught("return drawing on locked", BALANCED, two_chains(rules));
}

#[test]
fn a_bound_in_place_of_the_audits_equations_is_caught() {
    let rules = Rules {
        audit_pair: |pair| pair.home.total().unwrap() >= plus(pair.away.circulating, pair.away.held),
        ..Rules::REAL
    };
    caught("vault + locked >= vouchers + holds", BALANCED, two_chains(rules));
}

#[test]
fn an_audit_that_forgets_vouchers_in_the_holds_of_returns_is_caught() {
    let rules = Rules {
        audit_vouchers: |holdings, book| {
            let forgotten = Holdings { return_holds: Amount::ZERO, ..*holdings };
            forgotten.vouchers(book).off() == 0
        },
        ..Rules::REAL
    };
    caught("no return holds of vouchers", BALANCED, three_chains(rules));
}
