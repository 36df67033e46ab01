//! Two chains in miniature: points at home on one, vouchers on the other, packets both ways, run by the
//! state machines and books of the crate. The model adds only what a chain adds: clocks, receipts,
//! accounts, and that a proof shows a state the other chain really had.

use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::book::{BookError, HomeBook, VoucherBook};
use crosspoint_protocol::htlc::{
    HoldEffect, HoldEvent, HoldState, HoldTerms, LockEffect, LockEvent, LockState, LockTerms,
};
use crosspoint_protocol::ids::Timestamp;
use crosspoint_protocol::secret::Preimage;

const PARTIES: usize = 3;
const ISSUED: u128 = 900;
const CAP: Amount = Amount::new(500);

/// One thing that somebody tries.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// A party locks points: on the home chain towards the other, or vouchers on their way back.
    Lock { home: bool, party: u8, amount: u128, timeout: u64, hold: u64 },
    /// A relayer delivers a packet, perhaps again, perhaps too late.
    Recv(usize),
    /// Somebody claims: 0 the right secret, 1 a wrong one, 2 a short one, 3 a long one.
    Claim { packet: usize, secret: u8 },
    /// Somebody asks for a hold to be given up, perhaps too early.
    Void(usize),
    /// A relayer delivers the ack that the destination wrote, if any, perhaps again.
    Ack(usize),
    /// Bytes that are no ack, but proven all the same.
    ForgedAck { packet: usize, bytes: [u8; 3] },
    /// A relayer proves non-receipt from a state of this many seconds ago.
    Timeout { packet: usize, age: u64 },
    /// A chain's clock moves; the two are independent.
    Tick { home: bool, secs: u64 },
}

/// One packet and all that both chains know about it.
#[derive(Debug, Clone)]
struct Transfer {
    from_home: bool,
    payer: usize,
    receiver: usize,
    amount: Amount,
    preimage: Preimage,
    timeout: Timestamp,
    deadline: Timestamp,
    lock: LockState,
    /// The destination's time at which it was received, and where its hold is. A refused packet has no hold.
    received: Option<(Timestamp, Option<HoldState>)>,
    ack: Option<Acknowledgement>,
    /// How often points left: to the receiver, back to the payer.
    paid: u32,
    refunded: u32,
}

impl Transfer {
    fn lock_terms(&self) -> LockTerms {
        LockTerms { hashlock: self.preimage.hashlock(), timeout: self.timeout }
    }

    fn hold_terms(&self) -> HoldTerms {
        HoldTerms { hashlock: self.preimage.hashlock(), claim_deadline: self.deadline }
    }
}

/// Both chains.
pub(crate) struct World {
    home_now: Timestamp,
    away_now: Timestamp,
    home_balances: [u128; PARTIES],
    away_balances: [u128; PARTIES],
    /// What each party should have on each chain, counted from ends of transfers alone.
    home_due: [u128; PARTIES],
    away_due: [u128; PARTIES],
    home_book: HomeBook,
    away_book: VoucherBook,
    return_holds: u128,
    transfers: Vec<Transfer>,
}

impl World {
    pub(crate) fn new() -> Self {
        let balances = [ISSUED / PARTIES as u128; PARTIES];
        Self {
            home_now: Timestamp(1_000),
            away_now: Timestamp(1_000),
            home_balances: balances,
            away_balances: [0; PARTIES],
            home_due: balances,
            away_due: [0; PARTIES],
            home_book: HomeBook::default(),
            away_book: VoucherBook::default(),
            return_holds: 0,
            transfers: vec![],
        }
    }

    fn dest_now(&self, from_home: bool) -> Timestamp {
        if from_home { self.away_now } else { self.home_now }
    }

    pub(crate) fn act(&mut self, action: &Action) {
        match *action {
            Action::Lock { home, party, amount, timeout, hold } => self.lock(home, party.into(), amount, timeout, hold),
            Action::Recv(packet) => self.with(packet, Self::recv),
            Action::Claim { packet, secret } => self.with(packet, |world, at| world.claim(at, secret)),
            Action::Void(packet) => self.with(packet, Self::void),
            Action::Ack(packet) => self.with(packet, Self::ack),
            Action::ForgedAck { packet, bytes } => self.with(packet, |world, at| {
                let transfer = &world.transfers[at];
                let event = LockEvent::AckProven(&bytes);
                assert!(transfer.lock.apply(&transfer.lock_terms(), &event).is_err(), "three bytes are no ack");
                // A success with another preimage settles nothing either.
                let other = Acknowledgement::Success(Preimage::new([255; 32])).encode();
                assert!(transfer.lock.apply(&transfer.lock_terms(), &LockEvent::AckProven(&other)).is_err());
            }),
            Action::Timeout { packet, age } => self.with(packet, |world, at| world.timeout(at, age)),
            Action::Tick { home, secs } => {
                let clock = if home { &mut self.home_now } else { &mut self.away_now };
                clock.0 += secs;
            }
        }
    }

    fn with(&mut self, packet: usize, act: impl FnOnce(&mut Self, usize)) {
        if packet < self.transfers.len() {
            act(self, packet);
        }
    }

    fn lock(&mut self, from_home: bool, payer: usize, amount: u128, timeout: u64, hold: u64) {
        let balance = if from_home { &mut self.home_balances[payer] } else { &mut self.away_balances[payer] };
        let due = if from_home { &mut self.home_due[payer] } else { &mut self.away_due[payer] };
        let points = Amount::new(amount);
        if amount == 0 || *balance < amount {
            return;
        }
        let locked = if from_home { self.home_book.lock(points) } else { self.away_book.lock_return(points) };
        locked.expect("a payer's balance is in the books");
        *balance -= amount;
        *due -= amount;
        let timeout = Timestamp(self.dest_now(from_home).0 + timeout);
        let number = self.transfers.len();
        self.transfers.push(Transfer {
            from_home,
            payer,
            receiver: (payer + 1) % PARTIES,
            amount: points,
            preimage: Preimage::new([100 + number as u8; 32]),
            timeout,
            deadline: Timestamp(timeout.0 + hold),
            lock: LockState::Sent,
            received: None,
            ack: None,
            paid: 0,
            refunded: 0,
        });
    }

    /// Received once, before the timeout; refused with an error ack if vouchers would exceed their cap;
    /// left for later if the vault is short.
    fn recv(&mut self, at: usize) {
        let now = self.dest_now(self.transfers[at].from_home);
        let transfer = &mut self.transfers[at];
        if transfer.received.is_some() || now >= transfer.timeout {
            return;
        }
        let held = if transfer.from_home {
            self.away_book.hold(transfer.amount, CAP)
        } else {
            self.home_book.hold_return(transfer.amount)
        };
        match held {
            Ok(()) => {
                if !transfer.from_home {
                    self.return_holds += transfer.amount.get();
                }
                transfer.received = Some((now, Some(HoldState::Open)));
            }
            Err(BookError::VaultShort { .. }) => assert!(!transfer.from_home),
            Err(BookError::CapExceeded { .. }) => {
                transfer.received = Some((now, None));
                transfer.ack = Some(Acknowledgement::Error);
            }
            Err(BookError::OutOfRange(counter)) => panic!("{counter} left its range"),
        }
    }

    fn claim(&mut self, at: usize, secret: u8) {
        let right = *self.transfers[at].preimage.reveal();
        let secret = match secret {
            0 => right.to_vec(),
            1 => vec![7; 32],
            2 => right[..31].to_vec(),
            _ => [right.as_slice(), &[0]].concat(),
        };
        let now = self.dest_now(self.transfers[at].from_home);
        self.end_hold(at, &HoldEvent::Claim { secret: &secret, now }, now, secret == right);
    }

    fn void(&mut self, at: usize) {
        let now = self.dest_now(self.transfers[at].from_home);
        self.end_hold(at, &HoldEvent::Void { now }, now, false);
    }

    fn end_hold(&mut self, at: usize, event: &HoldEvent<'_>, now: Timestamp, opens: bool) {
        let transfer = &mut self.transfers[at];
        let Some((_, Some(state))) = &mut transfer.received else { return };
        let before = *state;
        let terms = HoldTerms { hashlock: transfer.preimage.hashlock(), claim_deadline: transfer.deadline };
        let Ok((next, effect)) = before.apply(&terms, event) else { return };
        assert_eq!(before, HoldState::Open, "only an open hold ends");
        assert!(transfer.ack.is_none(), "an ack is written once");
        *state = next;
        transfer.ack = Some(effect.acknowledgement());
        let points = transfer.amount.get();
        match effect {
            HoldEffect::PassOn(_) => panic!("no hold is bound here"),
            HoldEffect::Pay(_) => {
                assert!(opens && now < terms.claim_deadline);
                transfer.paid += 1;
                if transfer.from_home {
                    self.away_book.claim(transfer.amount).unwrap();
                    self.away_balances[transfer.receiver] += points;
                    self.away_due[transfer.receiver] += points;
                } else {
                    self.return_holds -= points;
                    self.home_balances[transfer.receiver] += points;
                    self.home_due[transfer.receiver] += points;
                }
            }
            HoldEffect::GiveUp => {
                assert!(now >= terms.claim_deadline);
                if transfer.from_home {
                    self.away_book.void(transfer.amount).unwrap();
                } else {
                    self.return_holds -= points;
                    self.home_book.void_return(transfer.amount).unwrap();
                }
            }
        }
    }

    fn ack(&mut self, at: usize) {
        let Some(ack) = self.transfers[at].ack.clone() else { return };
        self.end_lock(at, &LockEvent::AckProven(&ack.encode()));
    }

    /// A true proof: of a state of the destination in which the packet was not received.
    fn timeout(&mut self, at: usize, age: u64) {
        let transfer = &self.transfers[at];
        let consensus_time = Timestamp(self.dest_now(transfer.from_home).0.saturating_sub(age));
        if transfer.received.as_ref().is_some_and(|(when, _)| *when <= consensus_time) {
            return;
        }
        self.end_lock(at, &LockEvent::NonReceiptProven { consensus_time });
    }

    fn end_lock(&mut self, at: usize, event: &LockEvent<'_>) {
        let transfer = &mut self.transfers[at];
        let before = transfer.lock;
        let Ok((next, effect)) = before.apply(&transfer.lock_terms(), event) else { return };
        assert_eq!(before, LockState::Sent, "only a sent lock ends");
        transfer.lock = next;
        match (effect, transfer.from_home) {
            (LockEffect::Settle(preimage), from_home) => {
                assert_eq!(preimage, transfer.preimage, "the payer's receipt");
                if from_home {
                    self.home_book.settle(transfer.amount).unwrap();
                } else {
                    self.away_book.settle_return(transfer.amount).unwrap();
                }
            }
            (LockEffect::Refund, true) => {
                transfer.refunded += 1;
                self.home_book.refund(transfer.amount).unwrap();
                self.home_balances[transfer.payer] += transfer.amount.get();
                self.home_due[transfer.payer] += transfer.amount.get();
            }
            (LockEffect::Refund, false) => {
                transfer.refunded += 1;
                self.away_book.refund_return(transfer.amount).unwrap();
                self.away_balances[transfer.payer] += transfer.amount.get();
                self.away_due[transfer.payer] += transfer.amount.get();
            }
        }
    }

    fn sum(&self, from_home: bool, of: impl Fn(&Transfer) -> bool) -> u128 {
        self.transfers.iter().filter(|t| t.from_home == from_home && of(t)).map(|t| t.amount.get()).sum()
    }

    /// The invariants I1 to I5 and that each transfer pays at most one side, once.
    pub(crate) fn check(&self) {
        let hold = |t: &Transfer| t.received.as_ref().and_then(|(_, hold)| *hold);
        let sent = |t: &Transfer| t.lock == LockState::Sent && t.received.is_none();
        // Given up or refused, and the source does not know yet.
        let dead = |t: &Transfer| t.lock == LockState::Sent && t.ack == Some(Acknowledgement::Error);
        let drawn = |t: &Transfer| matches!(hold(t), Some(HoldState::Open | HoldState::Claimed));
        let (vault, locked) = (self.home_book.vault.get(), self.home_book.locked.get());
        let book = &self.away_book;
        let balances: u128 = self.home_balances.iter().sum();
        assert_eq!(balances + locked + vault + self.return_holds, ISSUED, "I1");
        let circulating: u128 = self.away_balances.iter().sum();
        assert_eq!(book.circulating.get(), circulating, "I2");
        assert_eq!(book.returning.get(), self.sum(false, |t| t.lock == LockState::Sent), "I2");
        assert_eq!(book.held.get(), self.sum(true, |t| hold(t) == Some(HoldState::Open)), "I2");
        assert!(book.supply().unwrap() <= CAP, "vouchers never exceed their cap");
        let pending = self.sum(true, |t| sent(t) || dead(t)) + self.sum(false, |t| sent(t) || dead(t));
        assert_eq!(vault + locked, circulating + book.held.get() + pending, "I3");
        assert_eq!(vault + self.sum(false, drawn), self.sum(true, |t| t.lock == LockState::Settled), "I4");
        assert_eq!(locked, self.sum(true, |t| t.lock == LockState::Sent), "I4");
        for transfer in &self.transfers {
            match transfer.lock {
                LockState::Settled => assert_eq!(hold(transfer), Some(HoldState::Claimed), "I5"),
                LockState::Refunded => assert!(matches!(hold(transfer), None | Some(HoldState::Void)), "I5"),
                LockState::Sent => assert_eq!(transfer.refunded, 0),
            }
            assert!(transfer.paid + transfer.refunded <= 1, "one side at most, once");
        }
        assert_eq!((self.home_balances, self.away_balances), (self.home_due, self.away_due));
    }

    /// A relayer comes back after every deadline: acks, voids, timeouts.
    pub(crate) fn finish(&mut self) {
        self.home_now.0 += 10_000;
        self.away_now.0 += 10_000;
        for at in 0..self.transfers.len() {
            self.void(at);
            self.ack(at);
            self.timeout(at, 0);
        }
    }

    pub(crate) fn check_all_ended(&self) {
        for transfer in &self.transfers {
            assert_ne!(transfer.lock, LockState::Sent, "nothing hangs: {transfer:?}");
            assert_eq!(transfer.paid + transfer.refunded, 1, "paid or refunded: {transfer:?}");
            let terms = transfer.hold_terms();
            if let Some((_, Some(state))) = transfer.received {
                let secret = transfer.preimage.reveal();
                let event = HoldEvent::Claim { secret, now: Timestamp(0) };
                assert!(state.apply(&terms, &event).is_err(), "a hold that ended stays ended");
            }
        }
        let (circulating, vault) = (self.away_book.circulating, self.home_book.vault);
        assert_eq!(circulating, vault, "what is out is what backs it");
        assert!(self.home_book.locked.is_zero() && self.away_book.held.is_zero() && self.away_book.returning.is_zero());
    }
}
