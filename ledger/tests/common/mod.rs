//! A native chain in process, and an EVM chain that is simulated but for what the attested client checks: attested headers,
//! a state trie, a storage trie.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, missing_docs, unreachable_pub)]

pub mod evm;

use crosspoint_ledger::address::AccountId;
use crosspoint_ledger::app::{App, BlockContext, TxResult};
use crosspoint_ledger::code;
use crosspoint_ledger::demo;
use crosspoint_ledger::events::{Event, Outcome};
use crosspoint_ledger::genesis::Genesis;
use crosspoint_ledger::query::{AccountView, AuditView, SupplyView};
use crosspoint_ledger::tx::TxBuilder;
use crosspoint_ledger::tx::action::{Action, ClientSpec};
use crosspoint_ledger::tx::message::{LockMsg, Message, ProvenClaim, RelayBatch, RelayItem};
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{ClientId, Height, Timestamp};
use crosspoint_protocol::lock::Terms;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::{Hashlock, Preimage};
use evm::Evm;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The simulated gateway's client of the native chain.
pub const CHECKPOINT: &str = "checkpoint-0";
/// The native chain's client of the simulated chain.
pub const ATTESTED: &str = "attested-0";
/// Where everything starts, in seconds.
pub const START: u64 = 1_800_000_000;

pub fn account(name: &str) -> AccountId {
    AccountId::of_key(&demo::member_key(name).verifying_key())
}

pub fn attested() -> ClientId {
    ATTESTED.parse().unwrap()
}

pub fn sfs() -> Denom {
    "sfs".parse().unwrap()
}

pub fn preimage(n: u8) -> Preimage {
    Preimage::new([n; 32])
}

pub struct Chain {
    pub app: App,
    pub now: u64,
    pub nonces: BTreeMap<String, u64>,
    pub dir: tempfile::TempDir,
}

impl Chain {
    pub fn new() -> Self {
        Self::with(demo::genesis(1).unwrap())
    }

    pub fn with(genesis: Genesis) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let app = App::open(dir.path(), &genesis).unwrap();
        Self { app, now: START, nonces: BTreeMap::new(), dir }
    }

    /// A chain with an open client of `evm`.
    pub fn linked(evm: &Evm) -> Self {
        let mut chain = Self::new();
        chain.open_client(evm);
        chain
    }

    pub fn open_client(&mut self, evm: &Evm) {
        self.decide(Action::CreateClient { spec: Box::new(ClientSpec::Attested(evm.spec())) });
        let counterparty_client = CHECKPOINT.parse().unwrap();
        self.decide(Action::RegisterCounterparty { client: attested(), counterparty_client });
    }

    pub fn sign(&mut self, name: &str, messages: Vec<Message>) -> Vec<u8> {
        let nonce = self.nonces.entry(name.into()).or_default();
        *nonce += 1;
        let mut builder = TxBuilder::new(demo::CHAIN_ID.parse().unwrap(), *nonce);
        for message in messages {
            builder = builder.message(message);
        }
        builder.sign(&demo::member_key(name))
    }

    pub fn context(&self) -> BlockContext {
        let height = self.app.last_block().height.next();
        BlockContext { height, time: Timestamp(self.now), proposer: [0; 20] }
    }

    pub fn block(&mut self, txs: &[Vec<u8>]) -> Vec<TxResult> {
        self.now += 1;
        let results = self.app.execute_block(&self.context(), txs).unwrap().results;
        self.app.commit(vec![]).unwrap();
        results
    }

    /// Runs one transaction in a block of its own.
    pub fn run(&mut self, name: &str, message: Message) -> TxResult {
        let tx = self.sign(name, vec![message]);
        self.block(&[tx]).pop().unwrap()
    }

    /// The same, which must succeed.
    pub fn ok(&mut self, name: &str, message: Message) -> Vec<Event> {
        let result = self.run(name, message);
        assert_eq!(result.code, code::OK, "{}", result.log);
        result.events
    }

    /// The same, which must fail with this code.
    pub fn refused(&mut self, name: &str, message: Message, code: u32) -> String {
        let result = self.run(name, message);
        assert_eq!(result.code, code, "{}", result.log);
        assert!(result.events.is_empty());
        result.log
    }

    /// Governance decides.
    pub fn decide(&mut self, action: Action) -> Vec<Event> {
        let events = self.ok("mall", Message::Propose { action: Box::new(action) });
        let proposal = events
            .iter()
            .find_map(|event| match event {
                Event::ProposalCreated { proposal, .. } => Some(*proposal),
                _ => None,
            })
            .unwrap();
        self.ok("marketing", Message::Approve { proposal })
    }

    pub fn lock_msg(&self, amount: u128, hashlock: Hashlock) -> LockMsg {
        LockMsg {
            client: attested(),
            denom: sfs(),
            amount: Amount::new(amount),
            receiver: format!("0x{}", "ab".repeat(20)).parse().unwrap(),
            hashlock,
            timeout: Timestamp(self.now + 100),
            claim_deadline: Timestamp(self.now + 200),
            terms: Terms::Plain,
            memo: String::new(),
        }
    }

    /// Locks points of `name` and returns the packet.
    pub fn lock(&mut self, name: &str, amount: u128, hashlock: Hashlock) -> Packet {
        let msg = self.lock_msg(amount, hashlock);
        sent_packet(&self.ok(name, Message::Lock(msg)))
    }

    /// Relays items proven by `evm` at its newest block, with the update.
    pub fn relay(&mut self, evm: &mut Evm, items: Vec<(Packet, ProvenClaim)>) -> Vec<(Outcome, String)> {
        let batch = batch(evm, items);
        outcomes(&self.ok("relayer", Message::Relay(batch)))
    }

    pub fn query<T: DeserializeOwned>(&self, path: &str, data: &[u8]) -> T {
        let result = self.app.query(path, data, Height(0), false);
        assert_eq!(result.code, code::OK, "{}", result.log);
        serde_json::from_slice(&result.value).unwrap()
    }

    pub fn balance(&self, name: &str, denom: &Denom) -> u128 {
        let view: AccountView = self.query("/account", name.as_bytes());
        view.balances.get(denom).copied().unwrap_or_default().get()
    }

    pub fn owed(&self, name: &str, denom: &Denom) -> u128 {
        let view: AccountView = self.query("/account", name.as_bytes());
        view.owed.get(denom).copied().unwrap_or_default().get()
    }

    /// Asserts invariants I1 and I2, the running totals and the set hash.
    pub fn check_books(&self) -> SupplyView {
        let supply: SupplyView = self.query("/supply", b"");
        for denom in &supply.denoms {
            assert_eq!(denom.imbalance, 0, "{denom:?}");
            assert!(denom.issued <= denom.cap, "{denom:?}");
        }
        let audit: AuditView = self.query("/audit", b"");
        for (denom, (kept, summed)) in audit.balances.iter().chain(&audit.owed) {
            assert_eq!(kept, summed, "{denom}");
        }
        assert!(audit.set_hash_matches);
        supply
    }
}

/// A relay batch of items proven by `evm` at its newest block.
pub fn batch(evm: &mut Evm, items: Vec<(Packet, ProvenClaim)>) -> RelayBatch {
    batch_of(attested(), evm, items)
}

/// The same, for another client of such a chain.
pub fn batch_of(client: ClientId, evm: &mut Evm, items: Vec<(Packet, ProvenClaim)>) -> RelayBatch {
    let update = evm.update();
    RelayBatch {
        client,
        height: Height(evm.head().number),
        update: Some(update),
        shared_proof: evm.account_proof(),
        items: items
            .into_iter()
            .map(|(packet, claim)| {
                let path = match claim {
                    ProvenClaim::Sent => packet.commitment_path(),
                    ProvenClaim::Acknowledged(_) => packet.ack_path(),
                    ProvenClaim::NotReceived => packet.receipt_path(),
                };
                let proof = evm.proof(&path);
                RelayItem { packet, claim, proof }
            })
            .collect(),
    }
}

pub fn sent_packet(events: &[Event]) -> Packet {
    let packet = events.iter().find_map(|event| match event {
        Event::PacketSent { packet, .. } => Some(packet.clone()),
        _ => None,
    });
    packet.unwrap()
}

pub fn outcomes(events: &[Event]) -> Vec<(Outcome, String)> {
    let outcome = |event: &Event| match event {
        Event::ItemOutcome { outcome, reason, .. } => Some((*outcome, reason.clone().unwrap_or_default())),
        _ => None,
    };
    events.iter().filter_map(outcome).collect()
}
