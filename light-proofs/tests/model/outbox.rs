//! Scenario 8: the outbox. One client, two packets of the same content (so of one commitment: it binds no number), any
//! block boundaries; commitments are deleted when packets end, old heads stay provable, and a relayer tries every leaf as
//! every packet, numbers that were never sent included. The receiver rebuilds the leaf from the packet it executes.

use crate::check::{caught, deep, holds};
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::gate::{Arrival, Gate};
use crosspoint_protocol::htlc::{LockEvent, LockState, LockTerms};
use crosspoint_protocol::ids::{Sequence, Timestamp};
use crosspoint_protocol::lock::{PointsLock, Terms};
use crosspoint_protocol::outbox::{self, EMPTY_HEAD, Hash};
use crosspoint_protocol::packet::{Packet, Payload};
use crosspoint_protocol::path::Path;
use crosspoint_protocol::secret::Preimage;
use stateright::{Model, Property};

const TIMEOUT: u64 = 1;

#[derive(Clone)]
struct Outbox {
    /// How many packets may be sent, numbered from 1; 0 and one more are never sent.
    packets: u64,
    leaf: fn(&Path, &Hash) -> Hash,
    /// Whether a receipt outlives its packet.
    keeps_receipts: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    now: u64,
    /// Blocks of numbers; the last one is not ended yet.
    blocks: Vec<Vec<u64>>,
    /// By number.
    locks: Vec<Option<LockState>>,
    receipts: Vec<bool>,
    receives: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Tick,
    Send,
    EndBlock,
    /// Packet `as_number` with the proof of entry `entry` of `block`, against the head `blocks_later` after it.
    Recv {
        as_number: u64,
        block: usize,
        entry: usize,
        head: usize,
    },
    Timeout(u64),
    Ack(u64),
}

const ONCE: &str = "I6: at most one recv per number, only of what was sent";
const ENDS: &str = "I5: what was refunded by timeout is never received";

fn packet(number: u64) -> Packet {
    let lock = PointsLock {
        denom: "sfs".parse().unwrap(),
        amount: Amount::new(1),
        sender: "payer".parse().unwrap(),
        receiver: "receiver".parse().unwrap(),
        hashlock: Preimage::new([1; 32]).hashlock(),
        claim_deadline: Timestamp(9),
        terms: Terms::Plain,
        memo: String::new(),
    };
    Packet {
        sequence: Sequence(number),
        source_client: "client-a".parse().unwrap(),
        dest_client: "client-b".parse().unwrap(),
        timeout: Timestamp(TIMEOUT),
        payload: Payload::points(&lock),
    }
}

impl Outbox {
    fn leaf_of(&self, number: u64) -> Hash {
        let packet = packet(number);
        (self.leaf)(&packet.commitment_path(), &packet.commitment())
    }

    fn leaves(&self, block: &[u64]) -> Vec<Hash> {
        block.iter().map(|number| self.leaf_of(*number)).collect()
    }

    /// The head after each ended block: what the chain stored there.
    fn heads(&self, state: &State) -> Vec<Hash> {
        let mut head = EMPTY_HEAD;
        let ended = &state.blocks[..state.blocks.len() - 1];
        ended
            .iter()
            .map(|block| {
                head = outbox::next_head(&head, &outbox::root(&self.leaves(block)).unwrap());
                head
            })
            .collect()
    }

    /// Whether the leaf rebuilt from packet `number` leads to the head, with an honest proof of that entry beside it.
    fn proven(&self, state: &State, number: u64, block: usize, entry: usize, head: usize) -> bool {
        let heads = self.heads(state);
        let leaves = self.leaves(&state.blocks[block]);
        let index = entry as u64;
        let siblings = outbox::prove(&leaves, &[index]);
        let leaf = self.leaf_of(number);
        let Some(root) = outbox::root_from_proof(leaves.len() as u64, &[(index, leaf)], &siblings) else {
            return false;
        };
        let previous = if block == 0 { EMPTY_HEAD } else { heads[block - 1] };
        let mut found = outbox::next_head(&previous, &root);
        for later in &state.blocks[block + 1..=head] {
            found = outbox::next_head(&found, &outbox::root(&self.leaves(later)).unwrap());
        }
        found == heads[head]
    }

    fn end(&self, state: &mut State, number: u64, event: &LockEvent<'_>) -> bool {
        let terms = LockTerms { hashlock: Preimage::new([1; 32]).hashlock(), timeout: Timestamp(TIMEOUT) };
        let Some(lock) = state.locks[number as usize] else { return false };
        let Ok((next, _)) = lock.apply(&terms, event) else { return false };
        state.locks[number as usize] = Some(next);
        if !self.keeps_receipts {
            state.receipts[number as usize] = false;
        }
        true
    }
}

impl Model for Outbox {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let numbers = self.packets as usize + 2;
        vec![State {
            now: 0,
            blocks: vec![vec![]],
            locks: vec![None; numbers],
            receipts: vec![false; numbers],
            receives: vec![0; numbers],
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.now < TIMEOUT + 1 {
            actions.push(Action::Tick);
        }
        actions.extend([Action::Send, Action::EndBlock]);
        let ended = state.blocks.len() - 1;
        for as_number in 0..self.packets + 2 {
            actions.extend([Action::Timeout(as_number), Action::Ack(as_number)]);
            for block in 0..ended {
                for entry in 0..state.blocks[block].len() {
                    let heads = block..ended;
                    actions.extend(heads.map(|head| Action::Recv { as_number, block, entry, head }));
                }
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        let changed = match action {
            Action::Tick => {
                next.now += 1;
                true
            }
            Action::Send => {
                let number = 1 + last.blocks.iter().map(Vec::len).sum::<usize>();
                next.blocks.last_mut()?.push(number as u64);
                next.locks[number] = Some(LockState::Sent);
                number as u64 <= self.packets
            }
            // A block without entries leaves the head.
            Action::EndBlock => {
                next.blocks.push(vec![]);
                !last.blocks.last()?.is_empty()
            }
            Action::Recv { as_number, block, entry, head } => {
                let at = as_number as usize;
                let commitment = packet(as_number).commitment();
                let receipt = last.receipts[at].then_some(commitment.as_slice());
                let arrival = Gate::default().arrive(receipt, &commitment, Timestamp(TIMEOUT), Timestamp(last.now));
                next.receipts[at] = true;
                next.receives[at] += 1;
                arrival == Ok(Arrival::New) && self.proven(last, as_number, block, entry, head)
            }
            Action::Timeout(number) => {
                let event = LockEvent::NonReceiptProven { consensus_time: Timestamp(last.now) };
                !last.receipts[number as usize] && self.end(&mut next, number, &event)
            }
            Action::Ack(number) => {
                let ack = [&[1], [1; 32].as_slice()].concat();
                last.receipts[number as usize] && self.end(&mut next, number, &LockEvent::AckProven(&ack))
            }
        };
        changed.then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE, |_, state: &State| {
                let mut all = state.receives.iter().zip(&state.locks);
                all.all(|(receives, lock)| *receives <= 1 && (*receives == 0 || lock.is_some()))
            }),
            Property::always(ENDS, |_, state: &State| {
                let mut all = state.receives.iter().zip(&state.locks);
                all.all(|(receives, lock)| *receives == 0 || *lock != Some(LockState::Refunded))
            }),
            Property::sometimes("all are received, by heads old and new", |model: &Self, state: &State| {
                state.receives.iter().filter(|n| **n == 1).count() as u64 == model.packets
            }),
        ]
    }
}

fn world() -> Outbox {
    Outbox { packets: if deep() { 3 } else { 2 }, leaf: outbox::leaf, keeps_receipts: true }
}

#[test]
fn a_packet_is_received_once_under_its_own_number() {
    holds("8 outbox", world());
}

#[test]
fn leaves_that_are_bare_commitments_are_caught() {
    caught("leaves that are bare commitments", ONCE, Outbox { leaf: |_, commitment| *commitment, ..world() });
}

#[test]
fn receipts_that_are_deleted_with_their_packets_are_caught() {
    caught("receipts deleted", ONCE, Outbox { keeps_receipts: false, ..world() });
}
