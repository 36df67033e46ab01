//! Two or more model chains behind the adapters' trait: they run the transitions of `crosspoint-protocol`
//! (holds, locks, books, windows) in memory, with clocks, finality and faults in the test's hand. A model
//! client believes exactly what its counterparty's final blocks really say, so a proof of anything else fails.
//! The real chains are tested end to end elsewhere.
#![allow(dead_code, missing_docs, unreachable_pub)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

pub mod world;

use async_trait::async_trait;
use crosspoint_adapters::chain::*;
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::proven::{AttestedEvidence, Evidence, Proven, TendermintEvidence};
use crosspoint_adapters::signer::Signer;
use crosspoint_light_proofs::attested;
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::book::{BookError, HomeBook, VoucherBook};
use crosspoint_protocol::denom::{Denom, Received};
use crosspoint_protocol::htlc::{
    AckCause, HoldEvent, HoldState, HoldTerms, LockEffect, LockEnd, LockEvent, LockState, LockTerms,
};
use crosspoint_protocol::ids::{Address, ChainId, ClientId, Height, Sequence, Timestamp};
use crosspoint_protocol::lock::{PointsLock, Terms};
use crosspoint_protocol::packet::{Packet, Payload};
use crosspoint_protocol::path::Path;
use crosspoint_protocol::secret::{Hashlock, Preimage};
use crosspoint_protocol::window::WindowRules;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;
use tokio::sync::watch;

pub const GENESIS: u64 = 1_000_000;
pub const CAP: u128 = 1_000_000_000;

#[derive(Clone)]
struct Block {
    time: Timestamp,
    events: Vec<ChainEvent>,
    supply: Vec<DenomSupply>,
}

/// What a path held, by the height from which on it did.
type Versions = Vec<(u64, Option<[u8; 32]>)>;

#[derive(Default)]
struct State {
    blocks: Vec<Block>,
    lag: u64,
    clients: BTreeMap<ClientId, ClientStatus>,
    /// path → versions, oldest first.
    store: BTreeMap<Vec<u8>, Versions>,
    holds: BTreeMap<(ClientId, Sequence), HoldState>,
    next: BTreeMap<ClientId, u64>,
    balances: BTreeMap<(Address, Denom), u128>,
    issued: BTreeMap<Denom, u128>,
    home: BTreeMap<(Denom, ClientId), HomeBook>,
    return_holds: BTreeMap<Denom, u128>,
    vouchers: BTreeMap<Denom, VoucherBook>,
    used: BTreeSet<(Address, Hashlock)>,
    window: WindowRules,
    pub faults: VecDeque<(&'static str, ChainError)>,
    pub poison: BTreeSet<Sequence>,
    pub refuse: BTreeSet<Sequence>,
    pub paused: bool,
    /// Packets whose events the node does not show.
    pub withheld: BTreeSet<Sequence>,
    /// Events the node invents, by block.
    pub forged: BTreeMap<u64, Vec<ChainEvent>>,
    /// By how many seconds the time is ahead that the node says it is.
    pub ahead: u64,
    /// What a token says the escrow has of it.
    pub escrowed: BTreeMap<Denom, u128>,
    /// Most events of one answer; 0: no bound.
    pub max_events: usize,
    pub submissions: Vec<Vec<RelayItem>>,
    pub claims: u64,
    /// Its validators changed: clients of it must follow before anything more is proven to them.
    pub rotated: bool,
}

pub struct ModelChain {
    id: ChainId,
    state: Mutex<State>,
    tip: watch::Sender<u64>,
    stalled: watch::Sender<bool>,
    peers: Mutex<BTreeMap<ClientId, Weak<ModelChain>>>,
}

pub fn client_id(text: &str) -> ClientId {
    text.parse().unwrap()
}

pub fn address(text: &str) -> Address {
    text.parse().unwrap()
}

pub fn denom(text: &str) -> Denom {
    text.parse().unwrap()
}

/// The n-th preimage of a test.
pub fn preimage(n: u64) -> Preimage {
    Preimage::new(crosspoint_protocol::sha256(&[b"model", &n.to_be_bytes()]))
}

/// A pair of chains with one client each, `alice` rich in `sfs` on the first.
pub fn pair() -> (Arc<ModelChain>, Arc<ModelChain>) {
    let (a, b) = (ModelChain::new("chain-a"), ModelChain::new("chain-b"));
    connect(&a, "client-ab", &b, "client-ba");
    a.issue("alice", "sfs", CAP);
    (a, b)
}

pub fn connect(a: &Arc<ModelChain>, on_a: &str, b: &Arc<ModelChain>, on_b: &str) {
    a.add_client(on_a, b, on_b);
    b.add_client(on_b, a, on_a);
}

impl ModelChain {
    pub fn new(id: &str) -> Arc<Self> {
        let state = State { window: WindowRules { min_hold: 10, ..WindowRules::default() }, ..State::default() };
        let chain = Arc::new(Self {
            id: id.parse().unwrap(),
            state: Mutex::new(state),
            tip: watch::Sender::new(0),
            stalled: watch::Sender::new(false),
            peers: Mutex::default(),
        });
        chain.mine(GENESIS);
        chain
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn add_client(self: &Arc<Self>, client: &str, peer: &Arc<Self>, other: &str) {
        let status = ClientStatus {
            client: client_id(client),
            client_type: ClientType::Tendermint,
            counterparty_chain: peer.id.clone(),
            counterparty_client: client_id(other),
            trusted: peer.head_now().finalized,
            trusted_hash: vec![],
            signers: Default::default(),
            trusting_period: 14 * 24 * 3600,
            frozen: false,
            generation: 0,
        };
        self.state().clients.insert(client_id(client), status);
        self.peers.lock().unwrap().insert(client_id(client), Arc::downgrade(peer));
    }

    // --- the test's hand ---

    pub fn issue(&self, to: &str, what: &str, amount: u128) {
        let mut state = self.state();
        *state.balances.entry((address(to), denom(what))).or_default() += amount;
        *state.issued.entry(denom(what)).or_default() += amount;
        drop(state);
        self.mine(0);
    }

    /// Mines a block `secs` after the last one.
    pub fn mine(&self, secs: u64) {
        let mut state = self.state();
        state.seal(secs, vec![]);
        self.announce(&state);
    }

    /// Mines until the newest block of now is final.
    pub fn finalize(&self) {
        let lag = self.state().lag;
        for _ in 0..lag {
            self.mine(0);
        }
    }

    pub fn set_lag(&self, lag: u64) {
        self.state().lag = lag;
    }

    pub fn set_time(&self, time: Timestamp) {
        let now = self.now();
        self.mine(time.since(now));
    }

    pub fn now(&self) -> Timestamp {
        self.head_now().latest.time
    }

    pub fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }

    pub fn fault(&self, method: &'static str, error: ChainError) {
        self.state().faults.push_back((method, error));
    }

    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    pub fn poison(&self, sequence: u64) {
        self.state().poison.insert(Sequence(sequence));
    }

    pub fn refuse(&self, sequence: u64) {
        self.state().refuse.insert(Sequence(sequence));
    }

    pub fn pause(&self, paused: bool) {
        self.state().paused = paused;
    }

    pub fn withhold(&self, sequence: u64, withhold: bool) {
        let mut state = self.state();
        if withhold {
            state.withheld.insert(Sequence(sequence));
        } else {
            state.withheld.remove(&Sequence(sequence));
        }
    }

    pub fn rotate(&self) {
        self.state().rotated = true;
    }

    pub fn has_rotated(&self) -> bool {
        self.state().rotated
    }

    pub fn forge_event(&self, event: PacketEvent) {
        let mut state = self.state();
        let height = state.blocks.len() as u64;
        let block = Tip { height: Height(height), time: state.now() };
        let event = ChainEvent { block, index: 0, tx: TxId("forged".into()), event };
        state.forged.entry(height).or_default().push(event);
        state.seal(0, vec![]);
        self.announce(&state);
    }

    pub fn freeze(&self, client: &str, frozen: bool) {
        self.state().clients.get_mut(&client_id(client)).unwrap().frozen = frozen;
    }

    pub fn set_trusting_period(&self, client: &str, secs: u64) {
        self.state().clients.get_mut(&client_id(client)).unwrap().trusting_period = secs;
    }

    /// A theft: vouchers appear that nothing backs.
    pub fn forge_vouchers(&self, what: &str, amount: u64) {
        let mut state = self.state();
        let book = state.vouchers.entry(denom(what)).or_default();
        book.circulating = book.circulating.checked_add(Amount::from(amount)).unwrap();
        *state.balances.entry((address("mallory"), denom(what))).or_default() += u128::from(amount);
        drop(state);
        self.mine(0);
    }

    pub fn has(&self, who: &str, what: &str) -> u128 {
        self.state().balances.get(&(address(who), denom(what))).copied().unwrap_or_default()
    }

    pub fn submissions(&self) -> Vec<Vec<RelayItem>> {
        self.state().submissions.clone()
    }

    pub fn claims(&self) -> u64 {
        self.state().claims
    }

    pub fn client_now(&self, client: &str) -> ClientStatus {
        self.state().clients[&client_id(client)].clone()
    }

    pub fn hold(&self, client: &str, sequence: u64) -> Option<HoldState> {
        self.state().holds.get(&(client_id(client), Sequence(sequence))).copied()
    }

    pub fn head_now(&self) -> Head {
        let state = self.state();
        let mut head = state.head();
        head.latest.time.0 += state.ahead;
        head
    }

    /// From now on the node says that it is so much later.
    pub fn lie_about_time(&self, secs: u64) {
        self.state().ahead = secs;
    }

    /// The token of a home denom says that the escrow has so many.
    pub fn say_escrowed(&self, what: &str, amount: u128) {
        self.state().escrowed.insert(denom(what), amount);
        self.mine(0);
    }

    pub fn bound_events(&self, max: usize) {
        self.state().max_events = max;
    }

    pub fn as_chain(self: &Arc<Self>) -> Arc<dyn Chain> {
        Arc::clone(self) as Arc<dyn Chain>
    }

    /// Locks points and sends the packet, in one block.
    pub fn pay(&self, sender: &str, request: &LockRequest) -> Packet {
        let mut state = self.state();
        let packet = state.lock_points(&address(sender), request);
        state.seal(0, vec![PacketEvent::Sent { packet: packet.clone() }]);
        self.announce(&state);
        packet
    }

    /// A request that fits this chain's clock: timeout in 100 s, claim deadline in 200 s.
    pub fn request(&self, client: &str, what: &str, amount: u64, receiver: &str, hashlock: Hashlock) -> LockRequest {
        LockRequest {
            client: client_id(client),
            denom: denom(what),
            amount: Amount::from(amount),
            receiver: address(receiver),
            hashlock,
            timeout: Timestamp(self.now().0 + 100),
            claim_deadline: Timestamp(self.now().0 + 200),
            terms: Terms::Plain,
            memo: String::new(),
        }
    }

    pub fn claim_now(&self, packet: &Packet, preimage: &Preimage) -> ItemOutcome {
        let mut state = self.state();
        let (outcome, events) = state.end_hold(packet, &HoldAct::Claim(preimage.clone()));
        state.seal(0, events);
        self.announce(&state);
        outcome
    }

    fn announce(&self, state: &State) {
        self.tip.send_replace(state.blocks.len() as u64);
    }

    async fn enter(&self, method: &'static str) -> Result<(), ChainError> {
        let mut stalled = self.stalled.subscribe();
        stalled.wait_for(|stalled| !stalled).await.unwrap();
        let mut state = self.state();
        match state.faults.iter().position(|(name, _)| *name == method) {
            Some(at) => Err(state.faults.remove(at).unwrap().1),
            None => Ok(()),
        }
    }

    fn value_at(&self, path: &Path, height: Height) -> Option<[u8; 32]> {
        self.state().value_at(path, height)
    }

    fn block_time(&self, height: Height) -> Option<Timestamp> {
        self.state().blocks.get(height.0 as usize).map(|block| block.time)
    }

    fn peer(&self, client: &ClientId) -> Arc<ModelChain> {
        self.peers.lock().unwrap()[client].upgrade().unwrap()
    }

    fn proof_path(item: &RelayItem) -> Path {
        match item {
            RelayItem::Recv { packet } => packet.commitment_path(),
            RelayItem::Ack { packet, .. } => packet.ack_path(),
            RelayItem::Timeout { packet } => packet.receipt_path(),
        }
    }

    fn expected(item: &RelayItem) -> Option<[u8; 32]> {
        match item {
            RelayItem::Recv { packet } => Some(packet.commitment()),
            RelayItem::Ack { ack, .. } => Some(crosspoint_protocol::ack::commitment(ack)),
            RelayItem::Timeout { .. } => None,
        }
    }
}

enum HoldAct {
    Claim(Preimage),
    Void,
}

impl State {
    fn now(&self) -> Timestamp {
        self.blocks.last().map_or(Timestamp(0), |block| block.time)
    }

    fn head(&self) -> Head {
        let latest = self.blocks.len() - 1;
        let finalized = latest.saturating_sub(self.lag as usize);
        let tip = |at: usize| Tip { height: Height(at as u64), time: self.blocks[at].time };
        Head { latest: tip(latest), finalized: tip(finalized) }
    }

    fn seal(&mut self, secs: u64, events: Vec<PacketEvent>) -> Tip {
        let block = Tip { height: Height(self.blocks.len() as u64), time: Timestamp(self.now().0 + secs) };
        let tx = TxId(format!("tx-{}", block.height));
        let event = |(index, event)| ChainEvent { block, index: index as u32, tx: tx.clone(), event };
        let events = events.into_iter().enumerate().map(event).collect();
        let supply = self.supply();
        self.blocks.push(Block { time: block.time, events, supply });
        block
    }

    fn write(&mut self, path: &Path, value: Option<[u8; 32]>) {
        let height = self.blocks.len() as u64;
        self.store.entry(path.to_bytes()).or_default().push((height, value));
    }

    fn value_now(&self, path: &Path) -> Option<[u8; 32]> {
        self.store.get(&path.to_bytes()).and_then(|versions| versions.last()).and_then(|(_, value)| *value)
    }

    fn value_at(&self, path: &Path, height: Height) -> Option<[u8; 32]> {
        let versions = self.store.get(&path.to_bytes())?;
        versions.iter().rev().find(|(at, _)| *at <= height.0).and_then(|(_, value)| *value)
    }

    fn supply(&self) -> Vec<DenomSupply> {
        let mut all: BTreeMap<Denom, DenomSupply> = BTreeMap::new();
        let blank = |denom: &Denom| DenomSupply {
            denom: denom.clone(),
            symbol: denom.base_name().to_uppercase(),
            cap: None,
            issued: None,
            circulating: Amount::ZERO,
            owed: Amount::ZERO,
            return_holds: Amount::ZERO,
            bound: Amount::ZERO,
            home: BTreeMap::new(),
            escrowed: None,
            voucher: None,
        };
        for (denom, issued) in &self.issued {
            let entry = all.entry(denom.clone()).or_insert_with(|| blank(denom));
            (entry.cap, entry.issued) = (Some(Amount::new(CAP)), Some(Amount::new(*issued)));
        }
        for ((_, denom), balance) in &self.balances {
            let entry = all.entry(denom.clone()).or_insert_with(|| blank(denom));
            entry.circulating = entry.circulating.checked_add(Amount::new(*balance)).unwrap();
        }
        for ((denom, client), book) in &self.home {
            all.entry(denom.clone()).or_insert_with(|| blank(denom)).home.insert(client.clone(), *book);
        }
        for (denom, book) in &self.vouchers {
            all.entry(denom.clone()).or_insert_with(|| blank(denom)).voucher = Some(*book);
        }
        for (denom, escrowed) in &self.escrowed {
            all.entry(denom.clone()).or_insert_with(|| blank(denom)).escrowed = Some(Amount::new(*escrowed));
        }
        for (denom, held) in &self.return_holds {
            all.entry(denom.clone()).or_insert_with(|| blank(denom)).return_holds = Amount::new(*held);
        }
        all.into_values().collect()
    }

    fn lock_points(&mut self, sender: &Address, request: &LockRequest) -> Packet {
        let rules = WindowRules { trusting_period: self.clients[&request.client].trusting_period, ..self.window };
        rules.check(self.now(), request.timeout, request.claim_deadline).unwrap();
        assert!(self.used.insert((sender.clone(), request.hashlock)), "a hashlock is used once per sender");
        let balance = self.balances.get_mut(&(sender.clone(), request.denom.clone())).expect("no balance");
        *balance = balance.checked_sub(request.amount.get()).expect("balance too small");
        if request.denom.came_through() == Some(&request.client) {
            self.vouchers.get_mut(&request.denom).unwrap().lock_return(request.amount).unwrap();
        } else {
            let key = (request.denom.clone(), request.client.clone());
            self.home.entry(key).or_default().lock(request.amount).unwrap();
        }
        let next = self.next.entry(request.client.clone()).or_default();
        *next += 1;
        let lock = PointsLock {
            denom: request.denom.clone(),
            amount: request.amount,
            sender: sender.clone(),
            receiver: request.receiver.clone(),
            hashlock: request.hashlock,
            claim_deadline: request.claim_deadline,
            terms: Terms::Plain,
            memo: request.memo.clone(),
        };
        let packet = Packet {
            sequence: Sequence(*next),
            source_client: request.client.clone(),
            dest_client: self.clients[&request.client].counterparty_client.clone(),
            timeout: request.timeout,
            payload: Payload::points(&lock),
        };
        self.write(&packet.commitment_path(), Some(packet.commitment()));
        packet
    }

    fn recv(&mut self, packet: &Packet) -> (ItemOutcome, Vec<PacketEvent>) {
        let skip = |reason: &str, retryable| (ItemOutcome::Skipped { reason: reason.into(), retryable }, vec![]);
        if self.value_now(&packet.receipt_path()).is_some() {
            return (ItemOutcome::Duplicate, vec![]);
        }
        if self.paused {
            return skip("paused", true);
        }
        if self.refuse.contains(&packet.sequence) {
            return skip("cannot be expressed", false);
        }
        let now = self.now();
        if now >= packet.timeout {
            return skip("timed out", false);
        }
        let (client, sequence) = (packet.dest_client.clone(), packet.sequence);
        let from = client.clone();
        let received = move |refusal| PacketEvent::Received { dest_client: from.clone(), sequence, refusal };
        let lock = packet.points_lock().unwrap();
        let rules = WindowRules { trusting_period: self.clients[&client].trusting_period, ..self.window };
        if rules.check(now, packet.timeout, lock.claim_deadline).is_err() || lock.receiver == address("nobody") {
            let ack = Acknowledgement::Error;
            self.write(&packet.receipt_path(), Some(packet.commitment()));
            self.write(&packet.ack_path(), Some(ack.commitment()));
            let (ack, cause) = (ack.encode(), AckCause::Refused);
            let written = PacketEvent::AckWritten { dest_client: client, sequence, ack, cause };
            return (ItemOutcome::Done, vec![received(Some("nobody is known here".into())), written]);
        }
        match lock.denom.received(&packet.source_client, &client).unwrap() {
            Received::Returned(denom) => {
                let book = self.home.entry((denom.clone(), client.clone())).or_default();
                match book.hold_return(lock.amount) {
                    Ok(()) => *self.return_holds.entry(denom).or_default() += lock.amount.get(),
                    Err(BookError::VaultShort { .. }) => return skip("the vault is short", true),
                    Err(error) => panic!("{error}"),
                }
            }
            Received::Voucher(denom) => {
                self.vouchers.entry(denom).or_default().hold(lock.amount, Amount::new(CAP)).unwrap();
            }
        }
        self.write(&packet.receipt_path(), Some(packet.commitment()));
        self.holds.insert((client, sequence), HoldState::Open);
        (ItemOutcome::Done, vec![received(None)])
    }

    fn end_lock(&mut self, packet: &Packet, event: &LockEvent<'_>) -> (ItemOutcome, Vec<PacketEvent>) {
        if self.value_now(&packet.commitment_path()) != Some(packet.commitment()) {
            return (ItemOutcome::Duplicate, vec![]);
        }
        let lock = packet.points_lock().unwrap();
        let terms = LockTerms { hashlock: lock.hashlock, timeout: packet.timeout };
        let effect = match LockState::Sent.apply(&terms, event) {
            Ok((_, effect)) => effect,
            Err(error) => return (ItemOutcome::Skipped { reason: error.to_string(), retryable: false }, vec![]),
        };
        let returning = lock.denom.came_through() == Some(&packet.source_client);
        let end = match (&effect, event) {
            (LockEffect::Settle(_), _) => LockEnd::Settled,
            (LockEffect::Refund, LockEvent::AckProven(_)) => LockEnd::Refunded,
            (LockEffect::Refund, LockEvent::NonReceiptProven { .. }) => LockEnd::TimedOut,
        };
        if returning {
            let book = self.vouchers.get_mut(&lock.denom).unwrap();
            match effect {
                LockEffect::Settle(_) => book.settle_return(lock.amount).unwrap(),
                LockEffect::Refund => book.refund_return(lock.amount).unwrap(),
            }
        } else {
            let book = self.home.get_mut(&(lock.denom.clone(), packet.source_client.clone())).unwrap();
            match effect {
                LockEffect::Settle(_) => book.settle(lock.amount).unwrap(),
                LockEffect::Refund => book.refund(lock.amount).unwrap(),
            }
        }
        if end != LockEnd::Settled {
            *self.balances.entry((lock.sender, lock.denom)).or_default() += lock.amount.get();
        }
        self.write(&packet.commitment_path(), None);
        let (source_client, sequence) = (packet.source_client.clone(), packet.sequence);
        (ItemOutcome::Done, vec![PacketEvent::Ended { source_client, sequence, end }])
    }

    fn end_hold(&mut self, packet: &Packet, act: &HoldAct) -> (ItemOutcome, Vec<PacketEvent>) {
        let skip = |reason: String, retryable| (ItemOutcome::Skipped { reason, retryable }, vec![]);
        let key = (packet.dest_client.clone(), packet.sequence);
        let Some(hold) = self.holds.get(&key).copied() else { return skip("no such hold".into(), true) };
        let lock = packet.points_lock().unwrap();
        let terms = HoldTerms { hashlock: lock.hashlock, claim_deadline: lock.claim_deadline };
        let now = self.now();
        let event = match act {
            HoldAct::Claim(preimage) => HoldEvent::Claim { secret: preimage.reveal(), now },
            HoldAct::Void => HoldEvent::Void { now },
        };
        let (state, effect) = match hold.apply(&terms, &event) {
            Ok(done) => done,
            Err(crosspoint_protocol::htlc::HoldEventError::Ended(_)) => return (ItemOutcome::Duplicate, vec![]),
            Err(error) => return skip(error.to_string(), true),
        };
        let claimed = state == HoldState::Claimed;
        match lock.denom.received(&packet.source_client, &packet.dest_client).unwrap() {
            Received::Returned(denom) => {
                *self.return_holds.get_mut(&denom).unwrap() -= lock.amount.get();
                if claimed {
                    *self.balances.entry((lock.receiver, denom)).or_default() += lock.amount.get();
                } else {
                    let book = self.home.get_mut(&(denom, packet.dest_client.clone())).unwrap();
                    book.void_return(lock.amount).unwrap();
                }
            }
            Received::Voucher(denom) => {
                let book = self.vouchers.get_mut(&denom).unwrap();
                if claimed {
                    book.claim(lock.amount).unwrap();
                    *self.balances.entry((lock.receiver, denom)).or_default() += lock.amount.get();
                } else {
                    book.void(lock.amount).unwrap();
                }
            }
        }
        self.holds.insert(key, state);
        let ack = effect.acknowledgement();
        self.write(&packet.ack_path(), Some(ack.commitment()));
        let cause = if claimed { AckCause::Claimed } else { AckCause::Voided };
        let (dest_client, sequence) = (packet.dest_client.clone(), packet.sequence);
        (ItemOutcome::Done, vec![PacketEvent::AckWritten { dest_client, sequence, ack: ack.encode(), cause }])
    }

    fn finish(&mut self, outcomes: Vec<ItemOutcome>, events: Vec<PacketEvent>) -> Submitted {
        let block = self.seal(0, events);
        Submitted { tx: TxId(format!("tx-{}", block.height)), block, gas_used: 0, outcomes }
    }
}

#[async_trait]
impl Chain for ModelChain {
    fn id(&self) -> &ChainId {
        &self.id
    }

    async fn head(&self) -> Result<Head, ChainError> {
        self.enter("head").await?;
        Ok(self.head_now())
    }

    async fn next_head(&self, height: Height) -> Result<Head, ChainError> {
        self.enter("next_head").await?;
        let mut tip = self.tip.subscribe();
        let newer = tip.wait_for(|blocks| *blocks > height.0 + 1);
        let _ = tokio::time::timeout(Duration::from_millis(50), newer).await;
        Ok(self.head_now())
    }

    async fn events(&self, from: Height, to: Height) -> Result<Vec<ChainEvent>, ChainError> {
        self.enter("events").await?;
        let state = self.state();
        let mut events = vec![];
        for height in from.0..=to.0 {
            let real = state.blocks[height as usize].events.iter();
            events.extend(real.filter(|e| !state.withheld.contains(&sequence_of(&e.event))).cloned());
            events.extend(state.forged.get(&height).into_iter().flatten().cloned());
        }
        if state.max_events > 0 && events.len() > state.max_events && from < to {
            return Err(ChainError::InvalidRequest("too many events; ask for fewer blocks".into()));
        }
        Ok(events)
    }

    async fn first_height(&self) -> Result<Height, ChainError> {
        Ok(Height(0))
    }

    async fn clients(&self) -> Result<Vec<ClientStatus>, ChainError> {
        self.enter("clients").await?;
        Ok(self.state().clients.values().cloned().collect())
    }

    async fn client(&self, client: &ClientId) -> Result<ClientStatus, ChainError> {
        self.enter("client").await?;
        Ok(self.state().clients[client].clone())
    }

    async fn stored(&self, path: &Path, at: Height) -> Result<StoredPacket, ChainError> {
        Ok(StoredPacket { value: self.value_at(path, at) })
    }

    async fn prove(&self, client: &ClientStatus, items: &[RelayItem]) -> Result<Proven, ChainError> {
        self.enter("prove").await?;
        let at = self.head_now().finalized;
        let (mut proven, mut proofs) = (vec![], vec![]);
        for item in items {
            let value = self.value_at(&Self::proof_path(item), at.height);
            if let RelayItem::Timeout { packet } = item
                && at.time < packet.timeout
            {
                return Err(ChainError::NotYet("the timeout has not passed".into()));
            }
            if value == Self::expected(item) {
                proven.push(item.clone());
                proofs.push(value.map_or(vec![], |value| value.to_vec()));
            }
        }
        assert!(client.counterparty_chain == self.id, "asked to prove to a client of another chain");
        if self.has_rotated() {
            return Ok(Proven { items: vec![], height: at.height, time: at.time, evidence: rotation() });
        }
        let evidence = Evidence::Tendermint(Box::new(TendermintEvidence { update: None, proofs }));
        Ok(Proven { items: proven, height: at.height, time: at.time, evidence })
    }

    async fn prove_update(&self, client: &ClientStatus) -> Result<Proven, ChainError> {
        self.prove(client, &[]).await
    }

    async fn submit(&self, client: &ClientId, proven: &Proven) -> Result<Submitted, ChainError> {
        self.enter("submit").await?;
        // All that is asked of the peer is asked before our own state is locked: it may be asking us.
        let peer = self.peer(client);
        let real =
            peer.head_now().finalized.height >= proven.height && peer.block_time(proven.height) == Some(proven.time);
        assert!(real, "a header that the counterparty never finalized");
        if proven.items.is_empty() && proven.has_update() {
            peer.state().rotated = false;
            return Ok(self.state().finish(vec![], vec![]));
        }
        for item in &proven.items {
            let held = peer.value_at(&Self::proof_path(item), proven.height);
            assert_eq!(held, Self::expected(item), "a proof of what is not there");
        }
        let mut state = self.state();
        let now = state.now();
        let status = state.clients.get_mut(client).unwrap();
        if status.frozen {
            return Err(ChainError::Frozen(client.clone()));
        }
        if now.0 >= status.trusted.time.0 + status.trusting_period {
            return Err(ChainError::Expired(client.clone()));
        }
        if proven.height > status.trusted.height {
            status.trusted = Tip { height: proven.height, time: proven.time };
        }
        let Evidence::Tendermint(evidence) = &proven.evidence else { panic!("evidence of another kind") };
        assert_eq!(evidence.proofs.len(), proven.items.len());
        if proven.items.iter().any(|item| state.poison.contains(&item.packet().sequence)) {
            let reason = "an item makes the transaction fail".to_owned();
            return Err(ChainError::Rejected { chain: self.id.clone(), reason, retryable: false });
        }
        state.submissions.push(proven.items.clone());
        let (mut outcomes, mut events) = (vec![], vec![]);
        for item in &proven.items {
            let (outcome, new) = match item {
                RelayItem::Recv { packet } => state.recv(packet),
                RelayItem::Ack { packet, ack } => state.end_lock(packet, &LockEvent::AckProven(ack)),
                RelayItem::Timeout { packet } => {
                    state.end_lock(packet, &LockEvent::NonReceiptProven { consensus_time: proven.time })
                }
            };
            outcomes.push(outcome);
            events.extend(new);
        }
        let submitted = state.finish(outcomes, events);
        self.announce(&state);
        Ok(submitted)
    }

    async fn claim(&self, holds: &[(Packet, Preimage)]) -> Result<Submitted, ChainError> {
        self.enter("claim").await?;
        let mut state = self.state();
        state.claims += holds.len() as u64;
        let ends = holds.iter().map(|(packet, preimage)| (packet, HoldAct::Claim(preimage.clone())));
        let results: Vec<_> = ends.map(|(packet, act)| state.end_hold(packet, &act)).collect();
        let (outcomes, events): (Vec<_>, Vec<_>) = results.into_iter().unzip();
        let submitted = state.finish(outcomes, events.concat());
        self.announce(&state);
        Ok(submitted)
    }

    async fn void(&self, holds: &[Packet]) -> Result<Submitted, ChainError> {
        self.enter("void").await?;
        let mut state = self.state();
        let results: Vec<_> = holds.iter().map(|packet| state.end_hold(packet, &HoldAct::Void)).collect();
        let (outcomes, events): (Vec<_>, Vec<_>) = results.into_iter().unzip();
        let submitted = state.finish(outcomes, events.concat());
        self.announce(&state);
        Ok(submitted)
    }

    async fn lock(&self, _payer: &Signer, _request: &LockRequest) -> Result<(Submitted, Packet), ChainError> {
        Err(ChainError::InvalidRequest("a model chain's accounts have no keys; use `pay`".into()))
    }

    async fn hashlock_used(&self, sender: &Address, hashlock: &Hashlock) -> Result<bool, ChainError> {
        Ok(self.state().used.contains(&(sender.clone(), *hashlock)))
    }

    async fn balance(&self, account: &Address, denom: &Denom) -> Result<Amount, ChainError> {
        let state = self.state();
        Ok(Amount::new(state.balances.get(&(account.clone(), denom.clone())).copied().unwrap_or_default()))
    }

    async fn supply(&self, at: Height) -> Result<Vec<DenomSupply>, ChainError> {
        self.enter("supply").await?;
        Ok(self.state().blocks[at.0 as usize].supply.clone())
    }

    async fn wallet(&self) -> Result<(Address, Option<u128>), ChainError> {
        Ok((address("relayer"), Some(1_000)))
    }
}

/// An update alone, as a change of validators needs it. A model client looks at nothing in it.
fn rotation() -> Evidence {
    let statement = attested::Statement {
        chain_id: 0,
        genesis_hash: [0; 32].into(),
        epoch: 0,
        prev_number: Height(0),
        prev_hash: [0; 32].into(),
        number: Height(1),
        hash: [0; 32].into(),
    };
    let update = Some(attested::Header { statement, header_rlp: vec![].into(), signatures: vec![] });
    Evidence::Attested(Box::new(AttestedEvidence { update, account_proof: vec![], storage_proofs: vec![] }))
}

fn sequence_of(event: &PacketEvent) -> Sequence {
    match event {
        PacketEvent::Sent { packet } => packet.sequence,
        PacketEvent::Received { sequence, .. }
        | PacketEvent::AckWritten { sequence, .. }
        | PacketEvent::Ended { sequence, .. } => *sequence,
    }
}
