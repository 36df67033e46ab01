//! Chains in a line: chain 0 is the points' home, each next one has vouchers of the chain before. Packets of one point
//! go out along a link or back. A proof shows what the other chain really stores at the time of its newest block; with
//! relayers, what it stored when one of them looked.

use crate::forward;
use crate::rules::Rules;
use crate::spec::Spec;
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::audit::{Holdings, Pair, StandingTotals, plus};
use crosspoint_protocol::book::{HomeBook, Payout, VoucherBook};
use crosspoint_protocol::gate::{Arrival, Gate};
use crosspoint_protocol::htlc::{HoldEffect, HoldEvent, HoldState, LockEffect, LockEvent, LockState};
use crosspoint_protocol::ids::Timestamp;
use crosspoint_protocol::secret::Preimage;
use crosspoint_protocol::window::WindowRules;
use stateright::{Model, Property};

pub(crate) const ONE: Amount = Amount::new(1);
const CAP: Amount = Amount::new(100);

/// All that both chains know of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Transfer {
    /// At the source; `None`: not sent.
    pub(crate) lock: Option<LockState>,
    /// At the destination: stored under the receipt path, and under the ack path.
    pub(crate) receipt: bool,
    pub(crate) ack: Option<Vec<u8>>,
    /// `None`: refused, or not received.
    pub(crate) hold: Option<HoldState>,
    /// How often it was received, and how often points left it.
    pub(crate) receives: u8,
    pub(crate) paid: u8,
    pub(crate) refunded: u8,
    /// Something happened outside its window.
    pub(crate) untimely: bool,
}

impl Transfer {
    pub(crate) fn ended(&self) -> bool {
        matches!(self.lock, None | Some(LockState::Settled | LockState::Refunded))
            && !matches!(self.hold, Some(HoldState::Open | HoldState::Bound))
    }

    fn standing(&self, totals: &mut StandingTotals) {
        let slot = match (self.lock, self.hold, &self.ack) {
            (None, ..) => return,
            (Some(LockState::Settled), ..) => &mut totals.settled,
            (Some(LockState::Refunded), ..) => &mut totals.refunded,
            (Some(LockState::Sent), Some(HoldState::Open | HoldState::Bound), _) => &mut totals.held,
            (Some(LockState::Sent), Some(HoldState::Claimed), _) => &mut totals.claimed,
            (Some(LockState::Sent), Some(HoldState::Void), _) | (Some(LockState::Sent), None, Some(_)) => {
                &mut totals.voided
            }
            (Some(LockState::Sent), None, None) => &mut totals.sent,
        };
        *slot = plus(*slot, ONE);
    }
}

/// What a proof shows of a packet.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Fact {
    /// It was sent. An outbox proves so for ever.
    Sent,
    /// It was not received by this time of the destination.
    NotReceived(u64),
    /// This was acknowledged.
    Acked(Vec<u8>),
}

impl std::fmt::Debug for Fact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sent => f.write_str("Sent"),
            Self::NotReceived(time) => write!(f, "NotReceived({time})"),
            Self::Acked(ack) => write!(f, "Acked({} bytes)", ack.len()),
        }
    }
}

impl Fact {
    /// Relayers carry ever newer facts, so that no run goes round in circles.
    fn age(&self) -> u64 {
        match self {
            Self::Sent => 0,
            Self::NotReceived(time) => 1 + time,
            Self::Acked(_) => u64::MAX,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) now: Vec<u64>,
    pub(crate) transfers: Vec<Transfer>,
    /// By chain: in accounts, and owed.
    pub(crate) accounts: Vec<Amount>,
    pub(crate) owed: Vec<Amount>,
    /// By link: at its near chain, at its far chain, and in holds of returns at its near chain.
    pub(crate) home: Vec<HomeBook>,
    pub(crate) away: Vec<VoucherBook>,
    pub(crate) return_holds: Vec<Amount>,
    /// What each relayer can prove of each packet: a row of packets per relayer.
    pub(crate) carried: Vec<Option<Fact>>,
    /// By chain: 0 not yet, 1 paused, 2 resumed.
    pub(crate) pause: Vec<u8>,
    /// By chain: its members are suspended, 0 not yet, 1 suspended, 2 restored.
    pub(crate) suspension: Vec<u8>,
    /// By chain: in bound holds.
    pub(crate) bound: Vec<Amount>,
    /// Operators set limits that no packet sent on keeps.
    pub(crate) limited: bool,
    /// The first relayer crashed, and forgot what it carried.
    pub(crate) crashed: bool,
    /// A voucher was made out of nothing, on chain 1.
    pub(crate) forged: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Tick(usize),
    Send(usize),
    /// A relayer looks at a chain.
    Look(usize, usize, Fact),
    /// A relayer delivers what it carries of a packet, perhaps again, perhaps too late.
    Deliver(usize),
    /// Somebody brings a fact that is so right now.
    Bring(usize, Fact),
    Claim(usize),
    /// Claims with a preimage that does not open the hashlock.
    ClaimWrongly(usize),
    Void(usize),
    /// Asks for the lock's points back, without proof.
    AskBack(usize),
    Pause(usize),
    Resume(usize),
    Suspend(usize),
    Restore(usize),
    /// Those whom a chain owes withdraw.
    Withdraw(usize),
    /// Chain 1 breaks its own rules.
    Forge,
    /// Operators set limits.
    Limit,
    /// The first relayer dies and starts again with nothing in its hands.
    Crash,
    /// The destination of an onward packet is believed to have acknowledged another preimage.
    Lie(usize),
}

/// The world's bounds and rules.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) rules: Rules,
    pub(crate) chains: usize,
    pub(crate) specs: Vec<Spec>,
    /// The last time that each chain's clock shows; past every deadline.
    pub(crate) last: u64,
    pub(crate) window: WindowRules,
    /// 0: whoever brings a proof makes it at once.
    pub(crate) relayers: usize,
    pub(crate) may_pause: bool,
    pub(crate) may_suspend: bool,
    pub(crate) may_forge: bool,
    pub(crate) may_limit: bool,
    pub(crate) may_crash: bool,
    pub(crate) may_lie: bool,
}

impl Line {
    pub(crate) fn new(chains: usize, specs: Vec<Spec>, last: u64) -> Self {
        Self {
            rules: Rules::REAL,
            chains,
            specs,
            last,
            window: WindowRules { max_timeout: last, min_hold: 1, trusting_period: 6 * last },
            relayers: 0,
            may_pause: false,
            may_suspend: false,
            may_forge: false,
            may_limit: false,
            may_crash: false,
            may_lie: false,
        }
    }

    /// Issued at home: one point for each packet that starts there.
    fn issued(&self) -> Amount {
        Amount::new(self.specs.iter().filter(|spec| spec.source() == 0).count() as u128)
    }

    fn gate(state: &State, chain: usize) -> Gate {
        Gate { paused: state.pause[chain] == 1, closed: false }
    }

    fn active(state: &State, chain: usize) -> bool {
        state.suspension[chain] != 1
    }

    /// Points reach a party of this chain. False: the step that pays fails.
    fn pay(&self, state: &mut State, chain: usize) -> bool {
        let to = match (self.rules.payout)(Self::active(state, chain)) {
            Some(Payout::Paid) => &mut state.accounts,
            Some(Payout::Owed) => &mut state.owed,
            None => return false,
        };
        to[chain] = to[chain].checked_add(ONE).unwrap();
        true
    }

    pub(crate) fn send(&self, state: &mut State, at: usize) -> bool {
        let spec = &self.specs[at];
        let (source, dest) = (spec.source(), spec.dest());
        let now = Timestamp(state.now[source]);
        let window = self.window.check(now, spec.packet.timeout, spec.hold_terms.claim_deadline);
        if state.transfers[at].lock.is_some()
            || spec.forwards.is_some()
            || Self::gate(state, source).check_open().is_err()
            || window.is_err()
            || !Self::active(state, source)
        {
            return false;
        }
        let Some(left) = state.accounts[source].checked_sub(ONE) else { return false };
        state.accounts[source] = left;
        let locked = if spec.back { state.away[spec.link].lock_return(ONE) } else { state.home[spec.link].lock(ONE) };
        locked.expect("what is in accounts is in the books");
        state.transfers[at].lock = Some(LockState::Sent);
        debug_assert_ne!(source, dest);
        true
    }

    /// The facts of a packet that could be proven now.
    fn facts(&self, state: &State, at: usize) -> Vec<Fact> {
        let (spec, transfer) = (&self.specs[at], &state.transfers[at]);
        let mut facts = vec![];
        if transfer.lock.is_some() {
            facts.push(Fact::Sent);
            if !transfer.receipt {
                facts.push(Fact::NotReceived(state.now[spec.dest()]));
            }
            facts.extend(transfer.ack.clone().map(Fact::Acked));
        }
        facts
    }

    pub(crate) fn bring(&self, state: &mut State, at: usize, fact: &Fact) -> bool {
        match fact {
            Fact::Sent => self.recv(state, at),
            Fact::NotReceived(time) => {
                self.end_lock(state, at, &LockEvent::NonReceiptProven { consensus_time: Timestamp(*time) })
            }
            Fact::Acked(ack) => self.end_lock(state, at, &LockEvent::AckProven(ack)),
        }
    }

    pub(crate) fn recv(&self, state: &mut State, at: usize) -> bool {
        let spec = &self.specs[at];
        let now = Timestamp(state.now[spec.dest()]);
        let receipt = state.transfers[at].receipt.then_some(spec.commitment.as_slice());
        let gate = Self::gate(state, spec.dest());
        match (self.rules.arrive)(gate, receipt, &spec.commitment, spec.packet.timeout, now) {
            Ok(Arrival::New) => {}
            Ok(Arrival::Duplicate) | Err(_) => return false,
        }
        let window = self.window.check(now, spec.packet.timeout, spec.hold_terms.claim_deadline);
        let onward = spec.onward.map(|next| (next, &self.specs[next]));
        // What cannot be sent on is refused, whatever could be held.
        let refused = window.is_err()
            || onward.is_some_and(|(_, next)| {
                let window = self.window.check(now, next.packet.timeout, next.hold_terms.claim_deadline);
                state.limited || window.is_err()
            });
        if !refused {
            let held = if spec.back {
                (self.rules.hold_return)(&mut state.home[spec.link], ONE)
            } else {
                state.away[spec.link].hold(ONE, CAP)
            };
            // A short vault leaves no state: tried again.
            if held.is_err() {
                return false;
            }
            if spec.back {
                state.return_holds[spec.link] = plus(state.return_holds[spec.link], ONE);
            }
        }
        let transfer = &mut state.transfers[at];
        (transfer.receipt, transfer.receives) = (true, transfer.receives + 1);
        transfer.untimely |= now >= spec.packet.timeout;
        if refused {
            transfer.ack = Some(Acknowledgement::Error.encode());
        } else {
            transfer.hold = Some(HoldState::made_under(&spec.terms));
            if let Some((next, onward)) = onward {
                let hub = spec.dest();
                let locked = if onward.back {
                    state.away[onward.link].lock_return(ONE)
                } else {
                    state.home[onward.link].lock(ONE)
                };
                locked.expect("what is held can be sent on");
                state.transfers[next].lock = Some(LockState::Sent);
                state.bound[hub] = plus(state.bound[hub], ONE);
            }
        }
        true
    }

    pub(crate) fn end_hold(&self, state: &mut State, at: usize, event: &HoldEvent<'_>) -> bool {
        let spec = &self.specs[at];
        let dest = spec.dest();
        if (self.rules.end)(Self::gate(state, dest)).is_err() {
            return false;
        }
        let Some(hold) = state.transfers[at].hold else { return false };
        let Ok((next, effect)) = (self.rules.hold)(hold, &spec.hold_terms, event) else { return false };
        let paid = matches!(effect, HoldEffect::Pay(_));
        // A claim for a suspended member fails, and the hold is voided in the end.
        if paid && !Self::active(state, dest) {
            return false;
        }
        let passed = state.now[dest] >= spec.hold_terms.claim_deadline.0;
        state.transfers[at].untimely |= paid == passed;
        self.leave_hold(state, at, next, &effect) && (!paid || self.pay(state, dest))
    }

    fn leave_hold(&self, state: &mut State, at: usize, next: HoldState, effect: &HoldEffect) -> bool {
        let spec = &self.specs[at];
        let leaves = !matches!(effect, HoldEffect::GiveUp);
        let transfer = &mut state.transfers[at];
        transfer.hold = Some(next);
        transfer.ack = Some(effect.acknowledgement().encode());
        transfer.paid += u8::from(leaves);
        let books = if spec.back {
            state.return_holds[spec.link] = state.return_holds[spec.link].checked_sub(ONE).unwrap();
            if leaves { Ok(()) } else { state.home[spec.link].void_return(ONE) }
        } else if leaves {
            state.away[spec.link].claim(ONE)
        } else {
            state.away[spec.link].void(ONE)
        };
        books.is_ok()
    }

    /// The end of an onward packet ends the hold that it forwards.
    fn release(&self, state: &mut State, origin: usize, onward: &LockEffect) -> bool {
        let spec = &self.specs[origin];
        let Some(hold) = state.transfers[origin].hold else { return false };
        let Ok((next, effect)) = (self.rules.release)(hold, &spec.hold_terms.hashlock, onward) else { return false };
        let Some(left) = state.bound[spec.dest()].checked_sub(ONE) else { return false };
        state.bound[spec.dest()] = left;
        self.leave_hold(state, origin, next, &effect)
    }

    pub(crate) fn end_lock(&self, state: &mut State, at: usize, event: &LockEvent<'_>) -> bool {
        let spec = &self.specs[at];
        if (self.rules.end)(Self::gate(state, spec.source())).is_err() {
            return false;
        }
        let Some(lock) = state.transfers[at].lock else { return false };
        let Ok((next, effect)) = (self.rules.lock)(lock, &spec.lock_terms, event) else { return false };
        self.leave_lock(state, at, next, &effect)
    }

    fn leave_lock(&self, state: &mut State, at: usize, next: LockState, effect: &LockEffect) -> bool {
        let spec = &self.specs[at];
        state.transfers[at].lock = Some(next);
        let (home, away) = (&mut state.home[spec.link], &mut state.away[spec.link]);
        let books = match (effect, spec.back) {
            (LockEffect::Settle(_), false) => home.settle(ONE),
            (LockEffect::Settle(_), true) => away.settle_return(ONE),
            (LockEffect::Refund, false) => home.refund(ONE),
            (LockEffect::Refund, true) => away.refund_return(ONE),
        };
        if books.is_err() {
            return false;
        }
        if let Some(origin) = spec.forwards {
            state.transfers[at].refunded += u8::from(*effect == LockEffect::Refund);
            return self.release(state, origin, effect);
        }
        if *effect == LockEffect::Refund {
            state.transfers[at].refunded += 1;
            return self.pay(state, spec.source());
        }
        true
    }

    fn step(&self, state: &mut State, action: &Action) -> bool {
        match action {
            Action::Tick(chain) => {
                state.now[*chain] += 1;
                true
            }
            Action::Send(at) => self.send(state, *at),
            Action::Look(relayer, at, fact) => {
                state.carried[relayer * self.specs.len() + at] = Some(fact.clone());
                true
            }
            Action::Deliver(slot) => match state.carried[*slot].clone() {
                Some(fact) => self.bring(state, slot % self.specs.len(), &fact),
                None => false,
            },
            Action::Bring(at, fact) => self.bring(state, *at, fact),
            Action::Claim(at) => {
                let now = Timestamp(state.now[self.specs[*at].dest()]);
                let secret = *self.specs[*at].preimage.reveal();
                self.end_hold(state, *at, &HoldEvent::Claim { secret: &secret, now })
            }
            Action::ClaimWrongly(at) => {
                let now = Timestamp(state.now[self.specs[*at].dest()]);
                self.end_hold(state, *at, &HoldEvent::Claim { secret: &[0; 32], now })
            }
            Action::Void(at) => {
                let now = Timestamp(state.now[self.specs[*at].dest()]);
                self.end_hold(state, *at, &HoldEvent::Void { now })
            }
            Action::AskBack(at) => {
                let spec = &self.specs[*at];
                state.transfers[*at].lock == Some(LockState::Sent)
                    && (self.rules.refund_by_clock)(&spec.lock_terms, Timestamp(state.now[spec.source()]))
                    && self.leave_lock(state, *at, LockState::Refunded, &LockEffect::Refund)
            }
            Action::Pause(chain) | Action::Resume(chain) => {
                state.pause[*chain] += 1;
                true
            }
            Action::Suspend(chain) | Action::Restore(chain) => {
                state.suspension[*chain] += 1;
                true
            }
            Action::Withdraw(chain) => {
                if !Self::active(state, *chain) || state.owed[*chain].is_zero() {
                    return false;
                }
                state.accounts[*chain] = plus(state.accounts[*chain], state.owed[*chain]);
                state.owed[*chain] = Amount::ZERO;
                true
            }
            Action::Limit => {
                state.limited = true;
                true
            }
            Action::Crash => {
                state.crashed = true;
                state.carried[..self.specs.len()].fill(None);
                true
            }
            Action::Lie(at) => {
                let other = Acknowledgement::Success(Preimage::new([0xee; 32])).encode();
                self.end_lock(state, *at, &LockEvent::AckProven(&other))
            }
            Action::Forge => {
                state.forged = true;
                let book = &mut state.away[0];
                book.circulating = plus(book.circulating, ONE);
                state.accounts[1] = plus(state.accounts[1], ONE);
                true
            }
        }
    }

    /// The audit of every chain and pair, by the product's equations.
    pub(crate) fn audit_balances(&self, state: &State) -> bool {
        let holdings = |chain: usize| Holdings {
            circulating: state.accounts[chain],
            owed: state.owed[chain],
            return_holds: state.return_holds.get(chain).copied().unwrap_or_default(),
            out: state.home.get(chain).copied().unwrap_or_default(),
            bound: state.bound[chain],
        };
        let links = 0..self.chains - 1;
        let pairs = links.clone().all(|link| {
            let mut pair = Pair { home: state.home[link], away: state.away[link], ..Pair::default() };
            for (spec, transfer) in self.specs.iter().zip(&state.transfers).filter(|(spec, _)| spec.link == link) {
                transfer.standing(if spec.back { &mut pair.back } else { &mut pair.out });
            }
            (self.rules.audit_pair)(&pair)
        });
        let vouchers = links.clone().all(|link| (self.rules.audit_vouchers)(&holdings(link + 1), &state.away[link]));
        pairs && vouchers && holdings(0).issue(self.issued()).off() == 0
    }

    /// No step changes anything any more, unless operators or governance do something: nobody may depend on that.
    fn at_rest(&self, state: &State) -> bool {
        let mut actions = vec![];
        self.actions(state, &mut actions);
        actions.retain(|action| {
            !matches!(
                action,
                Action::Pause(_)
                    | Action::Resume(_)
                    | Action::Suspend(_)
                    | Action::Restore(_)
                    | Action::Limit
                    | Action::Crash
            )
        });
        actions.into_iter().all(|action| self.next_state(state, action).is_none())
    }
}

/// I5 and I6, told by what happened to a packet.
pub(crate) fn ends_once_and_rightly(transfer: &Transfer) -> bool {
    let Transfer { lock, hold, .. } = transfer;
    let refunded_rightly = *lock != Some(LockState::Refunded)
        || !matches!(hold, Some(HoldState::Open | HoldState::Bound | HoldState::Claimed));
    let settled_rightly = *lock != Some(LockState::Settled) || *hold == Some(HoldState::Claimed);
    let once = transfer.receives <= 1 && transfer.paid + transfer.refunded <= 1;
    let only_what_was_sent = transfer.receives == 0 || lock.is_some();
    refunded_rightly && settled_rightly && once && only_what_was_sent
}

pub(crate) const ENDS: &str = "I5, I6: a packet is received once and ends as its hold did";
pub(crate) const TIMELY: &str = "windows are half open";
pub(crate) const BALANCED: &str = "I1 to I4: the audit balances unless a point was made out of nothing";
pub(crate) const NO_DEAD_END: &str = "every packet ends";

impl Model for Line {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let (links, mut accounts) = (self.chains - 1, vec![Amount::ZERO; self.chains]);
        accounts[0] = self.issued();
        vec![State {
            now: vec![0; self.chains],
            transfers: vec![Transfer::default(); self.specs.len()],
            accounts,
            owed: vec![Amount::ZERO; self.chains],
            home: vec![HomeBook::default(); links],
            away: vec![VoucherBook::default(); links],
            return_holds: vec![Amount::ZERO; links],
            carried: vec![None; self.relayers * self.specs.len()],
            pause: vec![0; self.chains],
            suspension: vec![0; self.chains],
            bound: vec![Amount::ZERO; self.chains],
            limited: false,
            crashed: false,
            forged: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for chain in 0..self.chains {
            if state.now[chain] < self.last {
                actions.push(Action::Tick(chain));
            }
            match state.pause[chain] {
                0 if self.may_pause => actions.push(Action::Pause(chain)),
                1 => actions.push(Action::Resume(chain)),
                _ => {}
            }
            match state.suspension[chain] {
                0 if self.may_suspend => actions.push(Action::Suspend(chain)),
                1 => actions.push(Action::Restore(chain)),
                _ => {}
            }
            actions.push(Action::Withdraw(chain));
        }
        if self.may_forge && !state.forged {
            actions.push(Action::Forge);
        }
        if self.may_limit && !state.limited {
            actions.push(Action::Limit);
        }
        if self.may_crash && !state.crashed && state.carried[..self.specs.len()].iter().any(Option::is_some) {
            actions.push(Action::Crash);
        }
        for at in 0..self.specs.len() {
            if self.may_lie && self.specs[at].forwards.is_some() {
                actions.push(Action::Lie(at));
            }
            actions.extend([Action::Send(at), Action::Claim(at), Action::ClaimWrongly(at), Action::Void(at)]);
            actions.push(Action::AskBack(at));
            for fact in self.facts(state, at) {
                for relayer in 0..self.relayers {
                    let carried = &state.carried[relayer * self.specs.len() + at];
                    if carried.as_ref().is_none_or(|old| old.age() < fact.age()) {
                        actions.push(Action::Look(relayer, at, fact.clone()));
                    }
                }
                if self.relayers == 0 {
                    actions.push(Action::Bring(at, fact));
                }
            }
        }
        actions.extend((0..state.carried.len()).map(Action::Deliver));
    }

    /// A step that changes nothing is none, so a run has an end.
    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        self.step(&mut next, &action).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ENDS, |_, state: &State| state.transfers.iter().all(ends_once_and_rightly)),
            Property::always(TIMELY, |_, state: &State| !state.transfers.iter().any(|transfer| transfer.untimely)),
            Property::always(BALANCED, |model: &Self, state: &State| model.audit_balances(state) != state.forged),
            // Every run is finite; so each ends at rest, and there nothing may be left open.
            Property::always(NO_DEAD_END, |model: &Self, state: &State| {
                state.transfers.iter().all(Transfer::ended) || !model.at_rest(state)
            }),
            Property::sometimes("a packet settles", |_, state: &State| {
                state.transfers.iter().any(|transfer| transfer.lock == Some(LockState::Settled))
            }),
            Property::sometimes("a packet is refunded after its hold was voided", |_, state: &State| {
                let refunded = |t: &Transfer| t.lock == Some(LockState::Refunded) && t.hold == Some(HoldState::Void);
                state.transfers.iter().any(refunded)
            }),
            Property::sometimes("a packet is refunded that was never received", |_, state: &State| {
                let refunded = |t: &Transfer| t.lock == Some(LockState::Refunded) && t.receives == 0;
                state.transfers.iter().any(refunded)
            }),
        ];
        if self.specs.iter().any(|spec| spec.onward.is_some()) {
            properties.extend(forward::properties());
        }
        if self.window.max_timeout < self.last && self.specs.iter().any(|spec| spec.onward.is_some()) {
            properties.push(forward::refused_at_its_receipt());
        }
        if self.window.max_timeout < self.last {
            properties.push(Property::sometimes("a packet is refused at its receipt", |_, state: &State| {
                state.transfers.iter().any(|t| t.receipt && t.hold.is_none() && t.lock == Some(LockState::Refunded))
            }));
        }
        if self.specs.iter().any(|spec| spec.back) {
            properties.push(Property::sometimes("a point goes out and comes back", |model: &Self, state: &State| {
                let all = model.specs.iter().zip(&state.transfers);
                all.clone().any(|(spec, t)| spec.back && t.lock == Some(LockState::Settled))
            }));
        }
        properties
    }
}
