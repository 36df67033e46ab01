//! Scenario 10: a reorganisation deeper than finality. Attestors sign headers two blocks deep; once, the chain falls back
//! further than that and goes on otherwise. Attestors here forget what they signed (the real ones keep a journal and
//! refuse). Each statement says what it extends, so the client sees the break and freezes; were it not to, it would
//! take packets of both branches and mint for locks that are gone.

use crate::check::{caught, deep, holds};
use crate::evm_headers::{attested, client, rlp};
use alloy_primitives::{B256, keccak256};
use crosspoint_light_proofs::attested::{ClientState, Header, Latest, check_conflict, verify_update};
use crosspoint_protocol::gate::{Arrival, Gate};
use crosspoint_protocol::ids::Timestamp;
use stateright::{Model, Property};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

const FINALITY: usize = 2;

/// A block: which branch it was made on, and whether a packet was sent in it.
type Block = (u8, bool);

/// What the client does with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Trusts,
    Freezes,
    Refuses,
}

/// What was asked before: the hashes of the trusted header, of the one extended and of the new one.
type Verdicts = Arc<Mutex<HashMap<(B256, B256, B256), Verdict>>>;

#[derive(Clone)]
struct Reorganisation {
    blocks: usize,
    /// The client as an update finds it; a mutant makes it forget what its newest header is.
    before: fn(&ClientState, &Header) -> ClientState,
    verdicts: Verdicts,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    /// The chain as it is; block 0, the anchor, is not in it.
    chain: Vec<Block>,
    fell_back: bool,
    /// The chain up to the newest header that the client trusts.
    trusted: Vec<Block>,
    frozen: bool,
    /// By number from 1: the branch of the packet that was received.
    received: Vec<Option<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Block(bool),
    FallBack(usize),
    Follow(usize),
    /// A packet sent on what the client trusts, by its number.
    Recv(usize),
}

const MINT: &str = "every hold rests on a lock in the history of the newest trusted header";

/// The packets sent in a history: number n is the n-th, with its branch.
fn sent(history: &[Block]) -> Vec<u8> {
    history.iter().filter(|(_, send)| *send).map(|(branch, _)| *branch).collect()
}

fn root(history: &[Block]) -> B256 {
    keccak256(history.iter().flat_map(|(branch, send)| [*branch, u8::from(*send)]).collect::<Vec<u8>>())
}

fn header(history: &[Block]) -> (u64, alloy_primitives::Bytes) {
    let number = history.len() as u64;
    (number, rlp(number, 10 + number, root(history)))
}

impl Reorganisation {
    fn ask(&self, trusted: &[Block], prev: &[Block], next: &[Block]) -> Verdict {
        let hash = |history: &[Block]| keccak256(header(history).1);
        let key = (hash(trusted), hash(prev), hash(next));
        if let Some(verdict) = self.verdicts.lock().unwrap().get(&key) {
            return *verdict;
        }
        let (number, rlp) = header(next);
        let signed = attested((prev.len() as u64, key.1), number, rlp);
        let known = client(trusted.len() as u64, 10 + trusted.len() as u64, root(trusted));
        assert_eq!(known.latest.hash, key.0);
        let known = (self.before)(&known, &signed);
        let verdict = if verify_update(&known, &signed, Timestamp(100)).is_ok() {
            Verdict::Trusts
        } else if check_conflict(&known, (known.latest.number, known.latest.hash), &signed).is_ok() {
            Verdict::Freezes
        } else {
            Verdict::Refuses
        };
        self.verdicts.lock().unwrap().insert(key, verdict);
        verdict
    }
}

impl Model for Reorganisation {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let received = vec![None; self.blocks];
        vec![State { chain: vec![], fell_back: false, trusted: vec![], frozen: false, received }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.chain.len() < self.blocks {
            actions.extend([false, true].map(Action::Block));
        }
        if !state.fell_back {
            actions.extend((0..state.chain.len()).map(Action::FallBack));
        }
        if !state.frozen {
            actions.extend((1..=state.chain.len().saturating_sub(FINALITY)).map(Action::Follow));
            actions.extend((0..sent(&state.trusted).len()).map(Action::Recv));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        match action {
            Action::Block(send) => next.chain.push((u8::from(last.fell_back), send)),
            Action::FallBack(to) => {
                next.chain.truncate(to);
                next.fell_back = true;
            }
            Action::Follow(number) => {
                // What the attestors' nodes have at the number of the client's newest header.
                let prev = last.chain.get(..last.trusted.len())?;
                match self.ask(&last.trusted, prev, &last.chain[..number]) {
                    Verdict::Trusts => next.trusted = last.chain[..number].to_vec(),
                    Verdict::Freezes => next.frozen = true,
                    Verdict::Refuses => return None,
                }
            }
            Action::Recv(at) => {
                let branch = sent(&last.trusted)[at];
                let commitment = [branch; 32];
                let receipt = last.received[at].map(|branch| [branch; 32]);
                let receipt = receipt.as_ref().map(<[u8; 32]>::as_slice);
                let arrival = Gate::default().arrive(receipt, &commitment, Timestamp(1_000), Timestamp(100));
                if arrival != Ok(Arrival::New) {
                    return None;
                }
                next.received[at] = Some(branch);
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(MINT, |_, state: &State| {
                let backed = sent(&state.trusted);
                let mut holds = state.received.iter().enumerate();
                holds.all(|(at, branch)| branch.is_none_or(|branch| backed.get(at) == Some(&branch)))
            }),
            Property::sometimes("the client freezes", |_, state: &State| state.frozen),
            Property::sometimes("a shallow reorganisation is followed", |_, state: &State| {
                state.trusted.iter().any(|(branch, _)| *branch == 1)
            }),
        ]
    }
}

fn world() -> Reorganisation {
    let blocks = if deep() { 6 } else { 5 };
    Reorganisation { blocks, before: |client, _| client.clone(), verdicts: Arc::default() }
}

#[test]
fn nothing_is_minted_from_two_branches() {
    holds("10 reorganisation deeper than finality", world());
}

#[test]
fn attestations_that_do_not_link_to_the_previous_one_are_caught() {
    let before = |client: &ClientState, header: &Header| {
        let (number, hash) = (header.statement.prev_number, header.statement.prev_hash);
        ClientState { latest: Latest { number, hash, ..client.latest }, ..client.clone() }
    };
    caught("attestations that do not link", MINT, Reorganisation { before, ..world() });
}
