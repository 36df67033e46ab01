//! Scenario 4: a packet that chain 1, the hub, sends on to chain 2. Nothing about the two packets' deadlines is agreed but
//! that each keeps the window on its own destination's clock: the first may pass long before the second, or after it. The
//! hub's relayer carries old facts, and crashes; the onward chain refuses, or is believed in a lie about the preimage.

use crate::check::{caught, deep, holds};
use crate::line::{Line, State, Transfer};
use crate::rules::Rules;
use crate::spec::Spec;
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::htlc::{HoldEffect, HoldEvent, HoldState, LockEffect, LockEvent, LockState};
use crosspoint_protocol::secret::Preimage;
use stateright::Property;

pub(crate) const ONE_TRANSFER: &str =
    "a forward settles iff its receiver was paid, and is refunded iff it never will be";

/// What a forwarded transfer is to its two parties: one. (The first packet, the onward packet) of each.
fn forwarded<'a>(model: &'a Line, state: &'a State) -> impl Iterator<Item = (&'a Transfer, &'a Transfer)> {
    let pairs = model.specs.iter().zip(&state.transfers).filter_map(|(spec, last)| Some((spec.forwards?, last)));
    pairs.map(|(origin, last)| (&state.transfers[origin], last))
}

pub(crate) fn properties() -> [Property<Line>; 5] {
    [
        Property::always(ONE_TRANSFER, |model, state| {
            forwarded(model, state).all(|(first, last)| {
                let paid = last.hold == Some(HoldState::Claimed);
                let settled = first.lock == Some(LockState::Settled) || first.hold == Some(HoldState::Claimed);
                let refunded = first.lock == Some(LockState::Refunded) || first.hold == Some(HoldState::Void);
                // Bound while the onward packet is under way, and only then.
                let bound = (first.hold == Some(HoldState::Bound)) == (last.lock == Some(LockState::Sent));
                (!settled || paid) && !(refunded && paid) && bound
            })
        }),
        Property::sometimes("a forward settles", |model, state| {
            forwarded(model, state)
                .any(|(first, last)| (first.lock, last.lock) == (Some(LockState::Settled), Some(LockState::Settled)))
        }),
        Property::sometimes("a forward is refunded since the receiver never claimed", |model, state| {
            forwarded(model, state)
                .any(|(first, last)| first.lock == Some(LockState::Refunded) && last.hold == Some(HoldState::Void))
        }),
        Property::sometimes("a forward is refunded since its onward packet timed out", |model, state| {
            forwarded(model, state).any(|(first, last)| {
                first.lock == Some(LockState::Refunded) && last.lock == Some(LockState::Refunded) && !last.receipt
            })
        }),
        Property::sometimes("a forward is refused by the hub", |model, state| {
            forwarded(model, state).any(|(first, last)| first.receipt && first.hold.is_none() && last.lock.is_none())
        }),
    ]
}

/// Where a window leaves room for it.
pub(crate) fn refused_at_its_receipt() -> Property<Line> {
    Property::sometimes("an onward packet is refused at its receipt", |model, state| {
        forwarded(model, state)
            .any(|(first, last)| last.receipt && last.hold.is_none() && first.lock == Some(LockState::Refunded))
    })
}

/// Claim deadlines of the first and of the onward packet; each times out one second before.
fn world(first: u64, onward: u64, rules: Rules) -> Line {
    let specs = Spec::forward(0, 0, false, &[(first - 1, first), (onward - 1, onward)]);
    let last = first.max(onward);
    Line { rules, may_limit: true, may_lie: true, ..Line::new(3, specs, last) }
}

/// Every order of the two deadlines.
fn deadlines() -> Vec<(u64, u64)> {
    let all = 2..=if deep() { 4 } else { 3 };
    all.clone().flat_map(|first| all.clone().map(move |onward| (first, onward))).collect()
}

#[test]
fn a_forward_is_one_transfer_whichever_deadline_comes_first() {
    for (first, onward) in deadlines() {
        holds(&format!("4 forward, deadlines {first} and {onward}"), world(first, onward, Rules::REAL));
    }
}

#[test]
fn a_forward_survives_a_crash_of_the_hubs_relayer() {
    for (first, onward) in deadlines() {
        let mut world = world(first, onward, Rules::REAL);
        (world.relayers, world.may_crash) = (1, true);
        holds(&format!("4 forward, deadlines {first} and {onward}, a relayer that crashes"), world);
    }
}

#[test]
fn a_forward_ends_whatever_is_paused() {
    let (first, onward) = if deep() { (3, 3) } else { (2, 2) };
    holds("4 forward, paused", Line { may_pause: true, ..world(first, onward, Rules::REAL) });
}

#[test]
fn a_forward_that_the_onward_chain_refuses_is_refunded() {
    // What the hub sends on from time 1 and reaches chain 2 at time 0 breaks chain 2's window.
    let mut world = world(3, 4, Rules::REAL);
    world.window.max_timeout = 2;
    holds("4 forward, refused by the window", world);
}

/// A point goes out over the hub and comes back over it: vouchers are passed on, burned and unvaulted hop by hop.
#[test]
fn a_point_goes_out_over_the_hub_and_comes_back_over_it() {
    let deadlines = if deep() { (2, 3) } else { (1, 2) };
    let mut specs = Spec::forward(0, 0, false, &[deadlines; 2]);
    specs.extend(Spec::forward(2, 1, true, &[deadlines; 2]));
    let line = Line { may_limit: true, may_forge: true, ..Line::new(3, specs, deadlines.1) };
    holds("4 forward, out and back", line);
}

/// As many hubs in a row as terms have room for.
#[test]
fn a_forward_over_two_hubs_is_one_transfer_too() {
    let windows = if deep() { [(2, 3), (1, 2), (3, 4)] } else { [(1, 2), (1, 2), (2, 3)] };
    let last = windows.iter().map(|window| window.1).max().unwrap();
    let line = Line { may_limit: true, may_lie: true, ..Line::new(4, Spec::forward(0, 0, false, &windows), last) };
    holds("4 forward, over two hubs", line);
}

#[test]
fn a_void_by_clock_while_bound_is_caught() {
    let rules = Rules {
        hold: |state, terms, event| match (state, event) {
            (HoldState::Bound, HoldEvent::Void { now }) if *now >= terms.claim_deadline => {
                Ok((HoldState::Void, HoldEffect::GiveUp))
            }
            _ => HoldState::apply(state, terms, event),
        },
        ..Rules::REAL
    };
    caught("void by clock while bound", ONE_TRANSFER, world(2, 3, rules));
}

#[test]
fn an_unchecked_onward_preimage_is_caught() {
    let rules = Rules {
        lock: |state, terms, event| match event {
            LockEvent::AckProven([1, shown @ ..]) if state == LockState::Sent && shown.len() == 32 => {
                Ok((LockState::Settled, LockEffect::Settle(Preimage::from_slice(shown).unwrap())))
            }
            _ => LockState::apply(state, terms, event),
        },
        release: |state, hashlock, onward| match onward {
            LockEffect::Settle(preimage) => Ok((HoldState::Claimed, HoldEffect::PassOn(preimage.clone()))),
            LockEffect::Refund => HoldState::release(state, hashlock, onward),
        },
        ..Rules::REAL
    };
    assert_ne!(Acknowledgement::Success(Preimage::new([0xee; 32])), Acknowledgement::Error);
    caught("onward preimage unchecked", ONE_TRANSFER, world(2, 2, rules));
}

/// Each of the two checks holds alone: the hold's own one is not for show.
#[test]
fn a_hold_checks_the_onward_preimage_by_itself() {
    let rules = Rules {
        lock: |state, terms, event| match event {
            LockEvent::AckProven([1, shown @ ..]) if state == LockState::Sent && shown.len() == 32 => {
                Ok((LockState::Settled, LockEffect::Settle(Preimage::from_slice(shown).unwrap())))
            }
            _ => LockState::apply(state, terms, event),
        },
        ..Rules::REAL
    };
    holds("4 forward, the hold's own check alone", world(2, 2, rules));
}
