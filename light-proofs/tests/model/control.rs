//! Scenario 9: client control at every state of scenario 1. One packet; either client may be forged to and frozen on the
//! evidence, expire, be re-anchored, be closed; the destination may die for good. (At every state of scenario 3 too, once
//! there are swaps.) A client trusts states under its generation, as the ledger stores them.

use crate::check::{caught, deep, holds};
use crate::evm_headers;
use crate::line::{Transfer, ends_once_and_rightly};
use crate::rules::Rules;
use crate::spec::Spec;
use alloy_primitives::{Address, B256};
use crosspoint_light_proofs::attested::ClientState;
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::gate::{Arrival, Gate};
use crosspoint_protocol::htlc::{HoldEvent, HoldState, LockEvent, LockState};
use crosspoint_protocol::ids::Timestamp;
use crosspoint_protocol::path::PathKind;
use stateright::{Model, Property};

/// What a client trusts of the other chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Snapshot {
    time: u64,
    sent: bool,
    receipt: bool,
    ack: Option<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Client {
    generation: u64,
    /// 1: it follows another contract than the packet's.
    store: u8,
    frozen: bool,
    closed: bool,
    forged: bool,
    /// The newest state of this generation, and of the one before.
    trusted: Vec<(u64, Snapshot)>,
}

/// Chain 0 sends, chain 1 receives; each has a client of the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    now: [u64; 2],
    clients: [Client; 2],
    transfer: Transfer,
    /// Chain 1 is dead for good.
    dead: bool,
    received_shut: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Tick(usize),
    Send,
    Recv(usize),
    Claim,
    Void,
    Ack(usize),
    TimeOut(usize),
    Update(usize),
    /// Signers of the other chain lie, are believed, and are found out: the client is frozen with the lie in its store.
    Forge(usize, Option<Acknowledgement>),
    Reanchor(usize, u8),
    Die,
    Close(usize),
}

#[derive(Clone)]
struct Control {
    rules: Rules,
    spec: Spec,
    last: u64,
    trusting_period: u64,
    /// Whether a state trusted under one generation proves to a client of another.
    usable: fn(u64, u64) -> bool,
    same_counterparty: fn(&ClientState, &ClientState) -> bool,
    light: ClientState,
}

const ENDS: &str = "I5, I6 whatever governance and liars do";
const SHUT: &str = "nothing is received through a closed client";
const NO_DEAD_END: &str = "the packet ends as long as governance lives";

impl Control {
    fn light(&self, client: &Client) -> ClientState {
        let time = client.trusted.last().map_or(0, |(_, snapshot)| snapshot.time);
        let mut light = self.light.clone();
        light.latest.time = Timestamp(time);
        light.trusting_period = self.trusting_period;
        light.store_address = Address::repeat_byte(client.store);
        (light.frozen, light.generation) = (client.frozen, client.generation);
        light
    }

    fn usable(&self, state: &State, chain: usize) -> bool {
        self.light(&state.clients[chain]).check_usable(Timestamp(state.now[chain])).is_ok()
    }

    /// What chain `of` really stores, in this contract.
    fn snapshot(state: &State, of: usize, store: u8) -> Snapshot {
        let real = store == 0;
        Snapshot {
            time: state.now[of],
            sent: real && of == 0 && state.transfer.lock.is_some(),
            receipt: real && of == 1 && state.transfer.receipt,
            ack: state.transfer.ack.clone().filter(|_| real && of == 1),
        }
    }

    /// The state that a proof is checked against: one of those trusted, if the client may use it now.
    fn proof<'a>(&self, state: &'a State, chain: usize, at: usize) -> Option<&'a Snapshot> {
        let client = &state.clients[chain];
        let (generation, snapshot) = client.trusted.get(at)?;
        (self.usable(state, chain) && (self.usable)(*generation, client.generation)).then_some(snapshot)
    }

    fn gate(client: &Client) -> Gate {
        Gate { paused: false, closed: client.closed }
    }

    fn trust(client: &mut Client, snapshot: Snapshot) {
        let generation = client.generation;
        client.trusted.retain(|(of, _)| *of + 1 == generation);
        client.trusted.push((generation, snapshot));
    }

    fn end_lock(&self, state: &mut State, event: &LockEvent<'_>) -> bool {
        let Some(lock) = state.transfer.lock else { return false };
        let Ok((next, _)) = (self.rules.lock)(lock, &self.spec.lock_terms, event) else { return false };
        state.transfer.lock = Some(next);
        state.transfer.refunded += u8::from(next == LockState::Refunded);
        true
    }

    fn end_hold(&self, state: &mut State, event: &HoldEvent<'_>) -> bool {
        let Some(hold) = state.transfer.hold else { return false };
        let Ok((next, effect)) = (self.rules.hold)(hold, &self.spec.hold_terms, event) else { return false };
        state.transfer.hold = Some(next);
        state.transfer.paid += u8::from(next == HoldState::Claimed);
        state.transfer.ack = Some(effect.acknowledgement().encode());
        true
    }

    fn recv(&self, state: &mut State, at: usize) -> bool {
        let spec = &self.spec;
        let receipt = state.transfer.receipt.then_some(spec.commitment.as_slice());
        let gate = Self::gate(&state.clients[1]);
        let now = Timestamp(state.now[1]);
        let arrival = (self.rules.arrive)(gate, receipt, &spec.commitment, spec.packet.timeout, now);
        if arrival != Ok(Arrival::New) || !self.proof(state, 1, at).is_some_and(|snapshot| snapshot.sent) {
            return false;
        }
        state.received_shut = state.clients[1].closed;
        let transfer = &mut state.transfer;
        (transfer.receipt, transfer.receives, transfer.hold) = (true, transfer.receives + 1, Some(HoldState::Open));
        true
    }

    fn time_out(&self, state: &mut State, at: usize) -> bool {
        let Some(snapshot) = self.proof(state, 0, at).cloned() else { return false };
        let stored = match Self::gate(&state.clients[0]).timeout_path(&self.spec.packet).kind {
            PathKind::Ack => snapshot.ack.is_some(),
            PathKind::Receipt | PathKind::Commitment => snapshot.receipt,
        };
        let event = LockEvent::NonReceiptProven { consensus_time: Timestamp(snapshot.time) };
        !stored && self.end_lock(state, &event)
    }

    fn reanchor(&self, state: &mut State, chain: usize, store: u8) -> bool {
        let snapshot = Self::snapshot(state, 1 - chain, store);
        let old = &state.clients[chain];
        let mut next = Client { generation: old.generation + 1, store, frozen: false, ..old.clone() };
        Self::trust(&mut next, snapshot);
        if old.closed || !(self.same_counterparty)(&self.light(old), &self.light(&next)) {
            return false;
        }
        state.clients[chain] = next;
        self.usable(state, chain)
    }

    /// The final state, with a time after every timeout.
    fn close(state: &mut State, chain: usize) {
        let snapshot = Snapshot { time: u64::MAX, ..Self::snapshot(state, 1 - chain, state.clients[chain].store) };
        let client = &mut state.clients[chain];
        (client.generation, client.frozen, client.closed) = (client.generation + 1, false, true);
        Self::trust(client, snapshot);
    }

    fn step(&self, state: &mut State, action: &Action) -> bool {
        match action {
            Action::Tick(chain) => {
                state.now[*chain] += 1;
                true
            }
            Action::Send => {
                let open = Self::gate(&state.clients[0]).check_open().is_ok() && self.usable(state, 0);
                let unsent = state.transfer.lock.replace(LockState::Sent).is_none();
                unsent && open && state.now[0] < self.spec.packet.timeout.0
            }
            Action::Recv(at) => self.recv(state, *at),
            Action::Claim => {
                let (secret, now) = (*self.spec.preimage.reveal(), Timestamp(state.now[1]));
                self.end_hold(state, &HoldEvent::Claim { secret: &secret, now })
            }
            Action::Void => {
                let now = Timestamp(state.now[1]);
                self.end_hold(state, &HoldEvent::Void { now })
            }
            Action::Ack(at) => match self.proof(state, 0, *at).and_then(|snapshot| snapshot.ack.clone()) {
                Some(ack) => self.end_lock(state, &LockEvent::AckProven(&ack)),
                None => false,
            },
            Action::TimeOut(at) => self.time_out(state, *at),
            Action::Update(chain) => {
                let snapshot = Self::snapshot(state, 1 - chain, state.clients[*chain].store);
                let client = &state.clients[*chain];
                let known =
                    client.trusted.last().is_some_and(|(of, last)| *of == client.generation && *last == snapshot);
                if known || client.closed || !self.usable(state, *chain) {
                    return false;
                }
                Self::trust(&mut state.clients[*chain], snapshot);
                true
            }
            Action::Forge(chain, ack) => {
                let lie = Snapshot {
                    time: self.last,
                    sent: true,
                    receipt: false,
                    ack: ack.as_ref().map(Acknowledgement::encode),
                };
                let client = &mut state.clients[*chain];
                Self::trust(client, lie);
                (client.frozen, client.forged) = (true, true);
                true
            }
            Action::Reanchor(chain, store) => self.reanchor(state, *chain, *store),
            Action::Die => {
                state.dead = true;
                true
            }
            Action::Close(chain) => {
                Self::close(state, *chain);
                true
            }
        }
    }

    fn ended(state: &State) -> bool {
        let lock = matches!(state.transfer.lock, None | Some(LockState::Settled | LockState::Refunded));
        lock && (state.dead || state.transfer.hold != Some(HoldState::Open))
    }

    /// Nothing happens any more unless somebody lies, dies or closes what works.
    fn at_rest(&self, state: &State) -> bool {
        let mut actions = vec![];
        self.actions(state, &mut actions);
        actions.retain(|action| !matches!(action, Action::Forge(..) | Action::Die | Action::Close(1) | Action::Send));
        actions.into_iter().all(|action| self.next_state(state, action).is_none())
    }
}

impl Model for Control {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let snapshot = Snapshot { time: 0, sent: false, receipt: false, ack: None };
        let trusted = vec![(0, snapshot)];
        let client = Client { generation: 0, store: 0, frozen: false, closed: false, forged: false, trusted };
        vec![State {
            now: [0; 2],
            clients: [client.clone(), client],
            transfer: Transfer::default(),
            dead: false,
            received_shut: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let alive = |chain: usize| chain == 0 || !state.dead;
        for chain in (0..2).filter(|chain| alive(*chain)) {
            let client = &state.clients[chain];
            if state.now[chain] < self.last {
                actions.push(Action::Tick(chain));
            }
            actions.push(Action::Update(chain));
            if !client.forged && !client.closed {
                actions.push(Action::Forge(chain, None));
                if chain == 0 {
                    actions.push(Action::Forge(0, Some(Acknowledgement::Error)));
                }
            }
            if !self.usable(state, chain) {
                actions.extend([0, 1].map(|store| Action::Reanchor(chain, store)));
            }
            // Governance closes for good only what is dead; a wrong guess about the source is tried too.
            if !client.closed && (chain == 1 || state.dead) {
                actions.push(Action::Close(chain));
            }
        }
        actions.push(Action::Send);
        actions.extend((0..state.clients[0].trusted.len()).flat_map(|at| [Action::Ack(at), Action::TimeOut(at)]));
        if !state.dead {
            actions.extend([Action::Claim, Action::Void, Action::Die]);
            actions.extend((0..state.clients[1].trusted.len()).map(Action::Recv));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        self.step(&mut next, &action).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ENDS, |_, state: &State| {
                let mut transfer = state.transfer.clone();
                // What is open on a dead chain stays open; its lock is refunded by the final state.
                if state.dead && state.clients[0].closed && transfer.hold == Some(HoldState::Open) {
                    transfer.hold = None;
                }
                ends_once_and_rightly(&transfer)
            }),
            Property::always(SHUT, |_, state: &State| !state.received_shut),
            Property::always(NO_DEAD_END, |model: &Self, state: &State| Self::ended(state) || !model.at_rest(state)),
            Property::sometimes("a packet settles through a re-anchored client", |_, state: &State| {
                state.transfer.lock == Some(LockState::Settled) && state.clients[0].generation > 0
            }),
            Property::sometimes("a packet settles by the final state of a dead chain", |_, state: &State| {
                state.transfer.lock == Some(LockState::Settled) && state.clients[0].closed
            }),
            Property::sometimes("a hold open on a dead chain is refunded", |_, state: &State| {
                state.transfer.lock == Some(LockState::Refunded) && state.transfer.hold == Some(HoldState::Open)
            }),
            Property::sometimes("a client expires", |model: &Self, state: &State| {
                !state.clients[0].frozen && !model.usable(state, 0)
            }),
        ]
    }
}

fn world() -> Control {
    let (timeout, deadline, last) = if deep() { (2, 3, 4) } else { (1, 2, 3) };
    Control {
        rules: Rules::REAL,
        spec: Spec::new(1, 0, false, timeout, deadline),
        last,
        trusting_period: 3,
        usable: |trusted, client| trusted == client,
        same_counterparty: ClientState::same_counterparty,
        light: evm_headers::client(0, 0, B256::ZERO),
    }
}

#[test]
fn a_packet_ends_rightly_whatever_becomes_of_its_clients() {
    holds("9 client control", world());
}

#[test]
fn an_old_generation_that_stays_usable_is_caught() {
    caught("old generation usable", ENDS, Control { usable: |_, _| true, ..world() });
}

#[test]
fn a_counterparty_that_can_be_changed_is_caught() {
    caught("mutable counterparty", ENDS, Control { same_counterparty: |_, _| true, ..world() });
}

#[test]
fn a_closed_client_that_still_receives_is_caught() {
    let rules = Rules {
        arrive: |gate, receipt, commitment, timeout, now| {
            Gate { closed: false, ..gate }.arrive(receipt, commitment, timeout, now)
        },
        ..Rules::REAL
    };
    caught("close that still allows recv", SHUT, Control { rules, ..world() });
}
