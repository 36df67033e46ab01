//! Scenario 7: the other chain lies. Its client here believes whatever it says: packets that nobody sent, returns of
//! vouchers that never were, error acks and non-receipt of what was claimed. What is lost is what went out through that
//! client and nothing else: no lock is drawn on, and nothing is created here.

use crate::check::{caught, deep, holds};
use crate::line::{Fact, Line, ONE, State};
use crate::rules::Rules;
use crate::spec::Spec;
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::audit::{plus, sum};
use crosspoint_protocol::htlc::{HoldEvent, HoldState, LockState};
use crosspoint_protocol::ids::Timestamp;
use stateright::{Model, Property};

/// The honest home chain, 0, and whatever is said about chain 1.
#[derive(Clone)]
struct Liar(Line);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Tick,
    Send(usize),
    /// The other chain "proves" this.
    Claims(usize, Fact),
    Claim(usize),
    Void(usize),
}

const LOCKS: &str = "what is locked is exactly what may yet be refunded";
const VAULT: &str = "no more returns than settled";
const ISSUE: &str = "I1: nothing is created at home";
const ONCE: &str = "each packet ends once";

impl Liar {
    fn count(&self, state: &State, back: bool, of: impl Fn(&crate::line::Transfer) -> bool) -> i128 {
        let all = self.0.specs.iter().zip(&state.transfers);
        all.filter(|(spec, transfer)| spec.back == back && of(transfer)).count() as i128
    }
}

impl Model for Liar {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        self.0.init_states()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.now[0] < self.0.last {
            actions.push(Action::Tick);
        }
        for (at, spec) in self.0.specs.iter().enumerate() {
            if spec.back {
                actions.extend([Action::Claims(at, Fact::Sent), Action::Claim(at), Action::Void(at)]);
                continue;
            }
            actions.push(Action::Send(at));
            let times = [0, spec.packet.timeout.0, self.0.last].map(Fact::NotReceived);
            let acks = [Acknowledgement::Error, Acknowledgement::Success(spec.preimage.clone())];
            actions.extend(times.into_iter().map(|fact| Action::Claims(at, fact)));
            actions.extend(acks.map(|ack| Action::Claims(at, Fact::Acked(ack.encode()))));
            actions.push(Action::Claims(at, Fact::Acked(vec![1; 33])));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        let now = Timestamp(last.now[0]);
        let changed = match action {
            Action::Tick => {
                next.now[0] += 1;
                true
            }
            Action::Send(at) => self.0.send(&mut next, at),
            Action::Claims(at, fact) => self.0.bring(&mut next, at, &fact),
            Action::Claim(at) => {
                let secret = *self.0.specs[at].preimage.reveal();
                self.0.end_hold(&mut next, at, &HoldEvent::Claim { secret: &secret, now })
            }
            Action::Void(at) => self.0.end_hold(&mut next, at, &HoldEvent::Void { now }),
        };
        changed.then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(LOCKS, |model: &Self, state: &State| {
                let open = model.count(state, false, |t| t.lock == Some(LockState::Sent));
                sum([state.home[0].locked]) == open
            }),
            Property::always(VAULT, |model: &Self, state: &State| {
                let settled = model.count(state, false, |t| t.lock == Some(LockState::Settled));
                let drawn = model.count(state, true, |t| matches!(t.hold, Some(HoldState::Open | HoldState::Claimed)));
                sum([state.home[0].vault]) == settled - drawn
            }),
            Property::always(ISSUE, |model: &Self, state: &State| {
                let out = state.home[0].total().unwrap();
                let here = plus(plus(state.accounts[0], state.owed[0]), state.return_holds[0]);
                let packets = model.0.specs.iter().filter(|spec| !spec.back).count();
                plus(here, out) == Amount::new(packets as u128)
            }),
            Property::always(ONCE, |_, state: &State| {
                state.transfers.iter().all(|t| t.paid + t.refunded <= 1 && t.receives <= 1)
            }),
            Property::sometimes("a lie about a settled packet takes its backing", |_, state: &State| {
                state.transfers.iter().any(|t| t.lock.is_none() && t.paid == 1)
            }),
            Property::sometimes("a packet is refunded on a lie", |_, state: &State| {
                state.transfers.iter().any(|t| t.refunded == 1)
            }),
        ]
    }
}

fn world(rules: Rules) -> Liar {
    let (timeout, deadline, last) = if deep() { (3, 5, 6) } else { (2, 3, 4) };
    let specs = [(1, false), (2, false), (3, true), (4, true)];
    let specs = specs.map(|(number, back)| Spec::new(number, 0, back, timeout, deadline)).to_vec();
    Liar(Line { rules, ..Line::new(2, specs, last) })
}

#[test]
fn a_lying_chain_takes_no_more_than_went_out_to_it() {
    assert_eq!(ONE, Amount::new(1), "packets are counted by their number");
    holds("7 malicious counterparty", world(Rules::REAL));
}

#[test]
fn a_return_that_draws_on_vault_and_locked_is_caught() {
    let rules =
        Rules { hold_return: |book, amount| book.hold_return(amount).or_else(|_| book.refund(amount)), ..Rules::REAL };
    caught("return drawing on vault + locked", LOCKS, world(rules));
}
