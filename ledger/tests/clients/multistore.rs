//! The `tendermint` client on an IBC chain: a chain that keeps its packets in a store of the Cosmos SDK.

use crate::chain::{Block, Validator, validators};
use crate::common::evm::inbound;
use crate::common::{Chain, outcomes, preimage, sent_packet, sfs};
use crate::cosmos_tree::Multistore;
use crate::support::view;
use crosspoint_ledger::code;
use crosspoint_ledger::events::{Event, Outcome};
use crosspoint_ledger::query::QueryResult;
use crosspoint_ledger::tx::action::{Action, ClientSpec, TendermintSpec};
use crosspoint_ledger::tx::message::{ClaimItem, Message, ProvenClaim, RelayBatch, RelayItem};
use crosspoint_light_proofs::tendermint::{MerklePrefix, PacketStore};
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{ClientId, Height, Sequence, Timestamp};
use crosspoint_protocol::lock::PointsLock;
use crosspoint_protocol::packet::{Packet, Payload};
use crosspoint_protocol::path::Path;

const CHAIN_ID: &str = "simd-1";
/// Its client of the native chain.
const THERE: &str = "07-tendermint-0";

/// A chain with the stores and the header of a Cosmos SDK chain. What its IBC module writes is as ibc-go writes it.
struct Cosmos {
    stores: Multistore,
    /// What keys of packets begin with.
    prefix: &'static str,
    validators: Vec<Validator>,
    /// The newest block that clients were shown.
    trusted: Block,
    head: Block,
    last_sequence: u64,
}

impl Cosmos {
    fn new(prefix: &'static str) -> Self {
        let validators = validators(1..5);
        let genesis = Block { chain_id: CHAIN_ID, ..Block::new(1, crate::common::START - 20, &validators) };
        let stores = Multistore::new(&["acc", "bank", "ibc", "staking"]);
        let mut cosmos = Self { stores, prefix, validators, trusted: genesis.clone(), head: genesis, last_sequence: 0 };
        // Others' packets and clients, so that a path has neighbours and a tree some depth.
        for n in 0..40u64 {
            cosmos.store(&Path::ack("07-tendermint-9".parse().unwrap(), Sequence(n)), &[8; 32]);
            cosmos.store(&Path::receipt("07-tendermint-".parse().unwrap(), Sequence(n)), &[2]);
            cosmos.stores.set("ibc", format!("clients/{THERE}/{n}").into(), vec![1; 40]);
            cosmos.stores.set("bank", format!("balance/{n}").into(), vec![7]);
        }
        cosmos.mine(crate::common::START - 10);
        cosmos.trusted = cosmos.head.clone();
        cosmos
    }

    fn key(&self, path: &Path) -> Vec<u8> {
        [self.prefix.as_bytes(), &path.to_bytes()].concat()
    }

    fn store(&mut self, path: &Path, value: &[u8]) {
        let key = self.key(path);
        self.stores.set("ibc", key, value.to_vec());
    }

    /// A block whose header has the state as it is now.
    fn mine(&mut self, time: u64) {
        let app_hash = self.stores.commit();
        let block = Block::new(self.head.height + 1, time, &self.validators);
        self.head = Block { chain_id: CHAIN_ID, app_hash, ..block };
    }

    /// The newest header for a client that trusts the last one shown.
    fn update(&mut self) -> Vec<u8> {
        let update = self.head.update(&self.trusted).encode();
        self.trusted = self.head.clone();
        update
    }

    fn spec(&self, store: PacketStore) -> ClientSpec {
        ClientSpec::Tendermint(TendermintSpec {
            chain_id: CHAIN_ID.parse().unwrap(),
            store,
            header: self.trusted.update(&self.trusted).encode().into(),
            trusting_period: 86_400,
        })
    }

    /// ibc-go marks a packet as received by one byte.
    fn receive(&mut self, packet: &Packet) {
        self.store(&packet.receipt_path(), &[2]);
    }

    fn acknowledge(&mut self, packet: &Packet, ack: &Acknowledgement) {
        self.store(&packet.ack_path(), &ack.commitment());
    }

    fn send(&mut self, client: &ClientId, lock: &PointsLock, timeout: u64) -> Packet {
        self.last_sequence += 1;
        let packet = Packet {
            sequence: Sequence(self.last_sequence),
            source_client: THERE.parse().unwrap(),
            dest_client: client.clone(),
            timeout: Timestamp(timeout),
            payload: Payload::points(lock),
        };
        self.store(&packet.commitment_path(), &packet.commitment());
        packet
    }

    fn item(&self, packet: &Packet, claim: ProvenClaim) -> RelayItem {
        let path = match claim {
            ProvenClaim::Sent => packet.commitment_path(),
            ProvenClaim::Acknowledged(_) => packet.ack_path(),
            ProvenClaim::NotReceived => packet.receipt_path(),
        };
        RelayItem { packet: packet.clone(), claim, proof: vec![self.stores.proof("ibc", &self.key(&path))] }
    }
}

fn multistore(name: &str, key_prefix: &str) -> PacketStore {
    PacketStore::Multistore(MerklePrefix::new(name, key_prefix).unwrap())
}

/// A client that looks for packets there, open for packets.
fn open(chain: &mut Chain, cosmos: &Cosmos, store: PacketStore) -> ClientId {
    let events = chain.decide(Action::CreateClient { spec: Box::new(cosmos.spec(store)) });
    let created = events.iter().find_map(|event| match event {
        Event::ClientCreated { client, .. } => Some(client.clone()),
        _ => None,
    });
    let client = created.unwrap();
    let counterparty_client = THERE.parse().unwrap();
    chain.decide(Action::RegisterCounterparty { client: client.clone(), counterparty_client });
    client
}

fn relay(
    chain: &mut Chain,
    client: &ClientId,
    height: u64,
    update: Option<Vec<u8>>,
    items: Vec<RelayItem>,
) -> Vec<(Outcome, String)> {
    let batch = RelayBatch { client: client.clone(), height: Height(height), update, shared_proof: vec![], items };
    outcomes(&chain.ok("relayer", Message::Relay(batch)))
}

/// The same with the newest header, which is brought along.
fn relay_newest(chain: &mut Chain, client: &ClientId, cosmos: &mut Cosmos, items: Vec<RelayItem>) -> Vec<Outcome> {
    let update = cosmos.update();
    let found = relay(chain, client, cosmos.head.height, Some(update), items);
    found
        .into_iter()
        .map(|(outcome, reason)| {
            assert_eq!(reason.is_empty(), outcome != Outcome::Skipped, "{reason}");
            outcome
        })
        .collect()
}

fn lock(chain: &mut Chain, name: &str, client: &ClientId, denom: &Denom, amount: u128, n: u8) -> Packet {
    let mut msg = chain.lock_msg(amount, preimage(n).hashlock());
    (msg.client, msg.denom) = (client.clone(), denom.clone());
    msg.receiver = "cosmos1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5lzv7xu".parse().unwrap();
    sent_packet(&chain.ok(name, Message::Lock(msg)))
}

fn lock_there(denom: &str, amount: u128, receiver: &str, n: u8, now: u64) -> PointsLock {
    let sender = "cosmos1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5lzv7xu".parse().unwrap();
    PointsLock { sender, ..inbound(denom, amount, receiver, preimage(n).hashlock(), now + 300) }
}

fn claim(chain: &mut Chain, packet: &Packet, n: u8) {
    let secret = preimage(n).reveal().to_vec();
    let item = ClaimItem { client: packet.dest_client.clone(), sequence: packet.sequence, secret };
    chain.ok("relayer", Message::Claim(vec![item]));
}

#[test]
fn points_cross_to_an_ibc_chain_and_back_and_its_own_tokens_come_and_go() {
    for prefix in ["", "points/"] {
        let (mut cosmos, mut chain) = (Cosmos::new(prefix), Chain::new());
        let client = open(&mut chain, &cosmos, multistore("ibc", prefix));
        let found = view(&chain, &client);
        assert_eq!((found.client_type.as_str(), found.counterparty_chain.as_str()), ("tendermint", CHAIN_ID));

        // Out: one is paid over there, one never arrives, one is refused.
        let paid = lock(&mut chain, "mall", &client, &sfs(), 30, 1);
        let never = lock(&mut chain, "mall", &client, &sfs(), 20, 2);
        let refused = lock(&mut chain, "mall", &client, &sfs(), 5, 3);
        cosmos.receive(&paid);
        cosmos.mine(chain.now);
        let ack = Acknowledgement::Success(preimage(1));
        let items = |cosmos: &Cosmos| {
            vec![
                cosmos.item(&paid, ProvenClaim::Acknowledged(ack.encode())),
                cosmos.item(&never, ProvenClaim::NotReceived),
                cosmos.item(&refused, ProvenClaim::Acknowledged(Acknowledgement::Error.encode())),
            ]
        };
        let early = items(&cosmos);
        assert_eq!(relay_newest(&mut chain, &client, &mut cosmos, early), [Outcome::Skipped; 3]);
        cosmos.acknowledge(&paid, &ack);
        cosmos.receive(&refused);
        cosmos.acknowledge(&refused, &Acknowledgement::Error);
        chain.now = never.timeout.0;
        cosmos.mine(chain.now);
        let late = items(&cosmos);
        assert_eq!(relay_newest(&mut chain, &client, &mut cosmos, late), [Outcome::Done; 3]);
        assert_eq!(chain.balance("mall", &sfs()), 600_000_000 - 30);

        // Back: of what was paid, 10 return to bob. Of its own token, 7 come to alice.
        let voucher: Denom = format!("points/{client}/uatom").parse().unwrap();
        chain.decide(Action::SetVoucherCap { denom: voucher.clone(), symbol: "ATOM".into(), cap: Amount::new(1_000) });
        let home = lock_there(&format!("points/{THERE}/sfs"), 10, "bob", 4, chain.now);
        let token = lock_there("uatom", 7, "alice", 5, chain.now);
        let home = cosmos.send(&client, &home, chain.now + 100);
        let token = cosmos.send(&client, &token, chain.now + 100);
        cosmos.mine(chain.now);
        let sent = [&home, &token].map(|packet| cosmos.item(packet, ProvenClaim::Sent)).to_vec();
        assert_eq!(relay_newest(&mut chain, &client, &mut cosmos, sent.clone()), [Outcome::Done; 2]);
        let again = relay(&mut chain, &client, cosmos.head.height, None, sent);
        assert!(again.iter().all(|(outcome, _)| *outcome == Outcome::Duplicate), "{again:?}");
        claim(&mut chain, &home, 4);
        claim(&mut chain, &token, 5);
        assert_eq!((chain.balance("bob", &sfs()), chain.balance("alice", &voucher)), (10, 7));

        // And its token goes home.
        let burned = lock(&mut chain, "alice", &client, &voucher, 7, 6);
        let ack = Acknowledgement::Success(preimage(6));
        cosmos.receive(&burned);
        cosmos.acknowledge(&burned, &ack);
        cosmos.mine(chain.now);
        let item = cosmos.item(&burned, ProvenClaim::Acknowledged(ack.encode()));
        assert_eq!(relay_newest(&mut chain, &client, &mut cosmos, vec![item]), [Outcome::Done]);
        let supply = chain.check_books();
        let of = |denom: &Denom| supply.denoms.iter().find(|found| found.denom == *denom).unwrap();
        assert_eq!(of(&voucher).circulating.get(), 0);
        let book = of(&sfs()).home[&client];
        assert_eq!((book.vault.get(), book.locked.get()), (20, 0));
    }
}

/// A chain with a client of `store`, and a packet that a Cosmos chain sent to it.
struct Sent {
    cosmos: Cosmos,
    chain: Chain,
    client: ClientId,
    packet: Packet,
}

impl Sent {
    fn to(store: PacketStore) -> Self {
        let (mut cosmos, mut chain) = (Cosmos::new(""), Chain::new());
        let client = open(&mut chain, &cosmos, store);
        let voucher = format!("points/{client}/uatom").parse().unwrap();
        chain.decide(Action::SetVoucherCap { denom: voucher, symbol: "ATOM".into(), cap: Amount::new(1_000) });
        let lock = lock_there("uatom", 7, "alice", 1, chain.now);
        let packet = cosmos.send(&client, &lock, chain.now + 100);
        cosmos.mine(chain.now);
        let update = cosmos.update();
        relay(&mut chain, &client, cosmos.head.height, Some(update), vec![]);
        Self { cosmos, chain, client, packet }
    }

    fn honest(&self) -> Vec<u8> {
        self.cosmos.item(&self.packet, ProvenClaim::Sent).proof.remove(0)
    }

    /// What becomes of the packet by each of these proofs, checked against the newest header the client was shown.
    fn try_all(&mut self, proofs: Vec<Vec<Vec<u8>>>) -> Vec<(Outcome, String)> {
        let item = |proof| RelayItem { packet: self.packet.clone(), claim: ProvenClaim::Sent, proof };
        let items = proofs.into_iter().map(item).collect();
        relay(&mut self.chain, &self.client, self.cosmos.trusted.height, None, items)
    }

    #[track_caller]
    fn refuses(&mut self, proof: Vec<u8>, why: &str) {
        let found = self.try_all(vec![vec![proof]]).remove(0);
        assert!(found.0 == Outcome::Skipped && found.1.contains(why), "{found:?}");
    }
}

/// What the native chain itself proves of one of its keys.
fn native_proof(chain: &Chain) -> Vec<u8> {
    let answer: QueryResult = chain.app.query("/store", b"chain/tip", chain.app.last_block().height, true);
    answer.proof.unwrap()
}

#[test]
fn a_proof_from_anywhere_but_the_clients_store_is_refused_and_says_why() {
    let mut right = Sent::to(multistore("ibc", ""));
    let honest = right.honest();
    let (key, value) = (right.packet.commitment_path().to_bytes(), right.packet.commitment().to_vec());
    let jmt = native_proof(&right.chain);
    right.refuses(jmt, "in a multistore: the bytes are not a MerkleProof");
    let absent = right.cosmos.stores.proof("ibc", &right.packet.ack_path().to_bytes());
    right.refuses(absent, "the store's proof is of another kind");
    let receipt = Path::receipt("07-tendermint-".parse().unwrap(), Sequence(3)).to_bytes();
    let other_key = right.cosmos.stores.proof("ibc", &receipt);
    right.refuses(other_key, "the proof is about another key");
    // The same packet as somebody wrote it elsewhere in that state: in another store, under another prefix.
    right.cosmos.stores.set("bank", key.clone(), value.clone());
    right.cosmos.stores.set("ibc", [b"fees/".as_slice(), &key].concat(), value.clone());
    right.cosmos.mine(right.chain.now);
    right.refuses(right.cosmos.item(&right.packet, ProvenClaim::Sent).proof.remove(0), "not under the app hash");
    let update = right.cosmos.update();
    relay(&mut right.chain, &right.client, right.cosmos.head.height, Some(update), vec![]);
    let elsewhere = right.cosmos.stores.proof("bank", &key);
    right.refuses(elsewhere, "the proof is about another store");
    let prefixed = right.cosmos.stores.proof("ibc", &[b"fees/".as_slice(), &key].concat());
    right.refuses(prefixed, "the proof is about another key");
    right.refuses(honest.clone(), "the store's root is not under the app hash");
    // Another packet under the path.
    let mut other = right.packet.clone();
    other.timeout.0 += 1;
    let packet = std::mem::replace(&mut right.packet, other);
    let proof = right.cosmos.item(&packet, ProvenClaim::Sent).proof.remove(0);
    right.refuses(proof.clone(), "the proof is about another value");
    right.packet = packet;
    // One proof, neither none nor two.
    for count in [0, 2] {
        let found = right.try_all(vec![vec![proof.clone(); count]]).remove(0);
        assert!(found.1.contains(&format!("one ICS-23 proof, not {count}")), "{found:?}");
    }
    assert_eq!(right.try_all(vec![vec![proof]])[0].0, Outcome::Done);

    for (store, why) in [
        (multistore("bank", ""), "the proof is about another store"),
        (multistore("ibc", "fees/"), "the proof is about another key"),
        (PacketStore::Jmt, "in a JMT store: the leaf operation is not that"),
    ] {
        let mut wrong = Sent::to(store);
        let honest = wrong.honest();
        wrong.refuses(honest, why);
        assert_eq!(wrong.chain.query::<serde_json::Value>("/supply", b"")["denoms"][0]["circulating"], "0");
    }
}

#[test]
fn no_changed_byte_of_a_proof_brings_a_packet_in() {
    let mut sent = Sent::to(multistore("ibc", ""));
    let honest = sent.honest();
    let changed: Vec<_> = (0..honest.len())
        .map(|at| {
            let mut changed = honest.clone();
            changed[at] ^= 1;
            vec![changed]
        })
        .collect();
    let tried = changed.len();
    let mut refused = 0;
    for part in changed.chunks(100) {
        let found = sent.try_all(part.to_vec());
        assert!(
            found.iter().all(|(outcome, why)| *outcome == Outcome::Skipped && why.contains("multistore")),
            "{found:?}"
        );
        refused += found.len();
    }
    assert!(refused == tried && tried > 500, "{refused} of {tried}");
    assert_eq!(sent.try_all(vec![vec![honest]])[0].0, Outcome::Done);
}

#[test]
fn absence_is_that_of_the_receipt_in_the_clients_store_at_a_time_past_the_timeout() {
    let (mut cosmos, mut chain) = (Cosmos::new(""), Chain::new());
    let client = open(&mut chain, &cosmos, multistore("ibc", ""));
    let late = lock(&mut chain, "mall", &client, &sfs(), 20, 1);
    let received = lock(&mut chain, "mall", &client, &sfs(), 30, 2);
    cosmos.receive(&received);
    chain.now = late.timeout.0;
    cosmos.mine(chain.now);
    let update = cosmos.update();
    // In a store that never has receipts every path is absent.
    let bank = RelayItem {
        proof: vec![cosmos.stores.proof("bank", &received.receipt_path().to_bytes())],
        packet: received.clone(),
        claim: ProvenClaim::NotReceived,
    };
    let other = RelayItem { proof: cosmos.item(&late, ProvenClaim::NotReceived).proof, ..bank.clone() };
    let honest = cosmos.item(&received, ProvenClaim::NotReceived);
    let found = relay(&mut chain, &client, cosmos.head.height, Some(update), vec![bank, other, honest]);
    for ((outcome, reason), why) in found.iter().zip(["another store", "another key", "of another kind"]) {
        assert!(*outcome == Outcome::Skipped && reason.contains(why), "{found:?}");
    }
    let item = cosmos.item(&late, ProvenClaim::NotReceived);
    assert_eq!(relay(&mut chain, &client, cosmos.head.height, None, vec![item])[0].0, Outcome::Done);
    assert_eq!(chain.balance("mall", &sfs()), 600_000_000 - 30);
    chain.check_books();
}

#[test]
fn where_a_client_looks_for_packets_never_changes() {
    let (mut cosmos, mut chain) = (Cosmos::new(""), Chain::new());
    let client = open(&mut chain, &cosmos, multistore("ibc", ""));
    cosmos.mine(chain.now);
    cosmos.trusted = cosmos.head.clone();
    for other in [multistore("ibc", "x"), multistore("bank", ""), PacketStore::Jmt] {
        for action in [
            Action::ReanchorClient { client: client.clone(), spec: Box::new(cosmos.spec(other.clone())) },
            Action::CloseClient { client: client.clone(), spec: Box::new(cosmos.spec(other.clone())) },
        ] {
            let events = chain.ok("mall", Message::Propose { action: Box::new(action) });
            let Event::ProposalCreated { proposal, .. } = events[0] else { panic!("{events:?}") };
            let why = chain.refused("marketing", Message::Approve { proposal }, code::INVALID);
            assert!(why.contains("another chain or store"), "{why}");
        }
    }
    let spec = Box::new(cosmos.spec(multistore("ibc", "")));
    chain.decide(Action::ReanchorClient { client: client.clone(), spec });
    assert_eq!(view(&chain, &client).generation, 1);
}

#[test]
fn a_specification_says_where_packets_are() {
    let spec = serde_json::to_value(Cosmos::new("").spec(multistore("ibc", ""))).unwrap();
    assert_eq!(spec["store"], serde_json::json!({ "type": "multistore", "store": "ibc", "key_prefix": "0x" }));
    let mut unsaid = spec.clone();
    unsaid.as_object_mut().unwrap().remove("store");
    let mut nameless = spec;
    nameless["store"]["store"] = "".into();
    for (spec, why) in [(unsaid, "missing field `store`"), (nameless, "a store's name is 1 to 64")] {
        let error = serde_json::from_value::<ClientSpec>(spec).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
