//! Scenario 2: headers and time. A chain makes five headers; a packet may be received in any block while there is time,
//! and is refunded elsewhere by its non-receipt in any header that the client follows. Both conventions: the root in a
//! header is the state after its own block (EVM) or after the one before (CometBFT). The client is the attested one.

use crate::check::{caught, deep, holds};
use crate::evm_headers::{attested, client, rlp};
use alloy_primitives::{B256, keccak256};
use crosspoint_light_proofs::attested::{AttestedError, ConsensusState, check_conflict, verify_update};
use crosspoint_protocol::gate::{Arrival, Gate};
use crosspoint_protocol::htlc::{LockEvent, LockState, LockTerms};
use crosspoint_protocol::ids::Timestamp;
use crosspoint_protocol::secret::Preimage;
use stateright::{Model, Property};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// A header: its number, time and whether the state in it has the receipt.
type Head = (u64, u64, bool);

/// What the client says of one header after another: the same question has the same answer.
type Answers = Arc<Mutex<HashMap<(Head, Head), Result<ConsensusState, Option<AttestedError>>>>>;

#[derive(Clone)]
struct Headers {
    /// Whether a header's root is the state after its own block.
    root_after: bool,
    count: usize,
    last_time: u64,
    timeout: u64,
    /// `now` in a block, from the time of the header before and its own.
    now: fn(u64, u64) -> u64,
    /// The time that goes with a root, from its header's and the chain's newest.
    time_of: fn(u64, u64) -> u64,
    /// Whether a block's time may follow another.
    may_follow: fn(u64, u64) -> bool,
    answers: Answers,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    times: Vec<u64>,
    /// The number of the block that received the packet.
    received: Option<usize>,
    /// The header that the client trusts as its newest; 0 is the anchor, at time 0.
    latest: usize,
    frozen: bool,
    /// What it trusts: header number, time, whether the receipt is there.
    trusted: Vec<(usize, u64, bool)>,
    lock: LockState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Block { time: u64, recv: bool },
    Follow(usize),
    TimeOut(usize),
}

const ENDS: &str = "I5: what was refunded is never received";
const MONOTONE: &str = "what the client trusts never goes back in time";

fn root(receipt: bool) -> B256 {
    B256::repeat_byte(1 + u8::from(receipt))
}

impl Headers {
    fn head(&self, state: &State, number: usize) -> Head {
        let Some(at) = number.checked_sub(1) else { return (0, 0, false) };
        let seen = if self.root_after { number } else { at };
        (number as u64, state.times[at], state.received.is_some_and(|block| block <= seen))
    }

    /// The real client's verdict: the consensus state; or nothing if the header is evidence that freezes it; or why not.
    fn ask(&self, trusted: Head, header: Head) -> Result<ConsensusState, Option<AttestedError>> {
        if let Some(answer) = self.answers.lock().unwrap().get(&(trusted, header)) {
            return answer.clone();
        }
        let client = client(trusted.0, trusted.1, root(trusted.2));
        let signed = attested((trusted.0, client.latest.hash), header.0, rlp(header.0, header.1, root(header.2)));
        assert_eq!(signed.statement.hash, keccak256(&signed.header_rlp));
        let answer = match verify_update(&client, &signed, Timestamp(10)) {
            Ok((next, state)) => {
                assert_eq!((next.latest.time, next.latest.state_root), (state.time, state.root));
                Ok(state)
            }
            Err(_) if check_conflict(&client, (client.latest.number, client.latest.hash), &signed).is_ok() => Err(None),
            Err(error) => Err(Some(error)),
        };
        self.answers.lock().unwrap().insert((trusted, header), answer.clone());
        answer
    }
}

impl Model for Headers {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State { times: vec![], received: None, latest: 0, frozen: false, trusted: vec![], lock: LockState::Sent }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.times.len() < self.count {
            for time in 1..=self.last_time {
                actions.extend([false, true].map(|recv| Action::Block { time, recv }));
            }
        }
        actions.extend((state.latest + 1..=state.times.len()).map(Action::Follow));
        actions.extend((0..state.trusted.len()).map(Action::TimeOut));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        match action {
            Action::Block { time, recv } => {
                let before = last.times.last().copied().unwrap_or(0);
                if !(self.may_follow)(before, time) {
                    return None;
                }
                next.times.push(time);
                if recv {
                    let now = Timestamp((self.now)(before.max(1), time));
                    let receipt = last.received.map(|_| [1; 32]);
                    let receipt = receipt.as_ref().map(<[u8; 32]>::as_slice);
                    if Gate::default().arrive(receipt, &[1; 32], Timestamp(self.timeout), now) != Ok(Arrival::New) {
                        return None;
                    }
                    next.received = Some(next.times.len());
                }
            }
            Action::Follow(number) => {
                if last.frozen {
                    return None;
                }
                match self.ask(self.head(last, last.latest), self.head(last, number)) {
                    Ok(state) => {
                        let newest = *last.times.last()?;
                        let time = (self.time_of)(state.time.0, newest);
                        next.latest = number;
                        next.trusted.push((number, time, state.root == root(true)));
                    }
                    Err(None) => next.frozen = true,
                    Err(Some(_)) => return None,
                }
            }
            Action::TimeOut(at) => {
                let (_, time, receipt) = last.trusted[at];
                let terms = LockTerms { hashlock: Preimage::new([1; 32]).hashlock(), timeout: Timestamp(self.timeout) };
                let event = LockEvent::NonReceiptProven { consensus_time: Timestamp(time) };
                if receipt || last.frozen {
                    return None;
                }
                next.lock = last.lock.apply(&terms, &event).ok()?.0;
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ENDS, |_, state: &State| state.lock != LockState::Refunded || state.received.is_none()),
            Property::always(MONOTONE, |_, state: &State| {
                state.trusted.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1)
            }),
            Property::sometimes("a packet is refunded", |_, state: &State| state.lock == LockState::Refunded),
            Property::sometimes("a packet is received in the last second", |model: &Self, state: &State| {
                state.received.is_some_and(|block| state.times[block - 1] == model.timeout - 1)
            }),
        ]
    }
}

fn world(root_after: bool) -> Headers {
    let (count, last_time, timeout) = if deep() { (6, 8, 5) } else { (5, 7, 4) };
    Headers {
        root_after,
        count,
        last_time,
        timeout,
        now: |_, own| own,
        time_of: |own, _| own,
        may_follow: |before, time| before <= time,
        answers: Answers::default(),
    }
}

#[test]
fn no_header_proves_the_absence_of_what_a_later_block_receives() {
    holds("2 headers and time, EVM roots", world(true));
    holds("2 headers and time, CometBFT roots", world(false));
}

#[test]
fn a_now_from_the_header_before_is_caught() {
    caught("now = time of the previous header", ENDS, Headers { now: |before, _| before, ..world(false) });
}

#[test]
fn a_root_and_a_time_of_different_headers_are_caught() {
    for root_after in [true, false] {
        let mutant = Headers { time_of: |_, newest| newest, ..world(root_after) };
        caught("root and time from different headers", ENDS, mutant);
    }
}

#[test]
fn a_chain_whose_time_decreases_is_caught_and_its_client_freezes() {
    let mutant = || Headers { may_follow: |_, _| true, count: 3, ..world(true) };
    caught("decreasing time", ENDS, mutant());
    // The client does not follow such a chain: what it trusts stays in order, and the header is evidence.
    let model = mutant();
    let mut state = model.init_states().remove(0);
    for action in [Action::Block { time: 3, recv: false }, Action::Follow(1), Action::Block { time: 2, recv: false }] {
        state = model.next_state(&state, action).unwrap();
    }
    assert!(model.next_state(&state, Action::Follow(2)).unwrap().frozen);
}
