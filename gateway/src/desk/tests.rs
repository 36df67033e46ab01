//! The desk over chains whose blocks are never read: what is left is what the chain itself says.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::api::problem::Problem;
use crate::keys::{KeyKind, Secret, generate, signer, signer_address};
use crosspoint_adapters::chain::{
    ChainEvent, ClientStatus, ClientType, DenomSupply, Head, LockRequest, RelayItem, StoredPacket, Tip, TxId,
};
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::proven::Proven;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{ClientId, Height, Timestamp};
use crosspoint_protocol::lock::PointsLock;
use crosspoint_protocol::packet::Payload;
use crosspoint_protocol::path::Path;
use crosspoint_protocol::secret::Preimage;
use crosspoint_relayer::{Relayer, RelayerConfig};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A chain that takes or refuses locks as told, and whose events nobody can read.
struct Deaf {
    id: ChainId,
    client: ClientStatus,
    /// Beside the first.
    others: Mutex<Vec<ClientStatus>>,
    /// What its proofs move; `None`: anything.
    moved: Mutex<Option<ClientType>>,
    refusal: Mutex<Option<ChainError>>,
    /// Whether it answers nothing about its clients.
    silent: Mutex<bool>,
    /// The last lock asked for.
    locked: Mutex<Option<LockRequest>>,
    used: AtomicBool,
}

fn deaf(error: &str) -> ChainError {
    ChainError::NotYet(error.into())
}

#[async_trait]
impl Chain for Deaf {
    fn id(&self) -> &ChainId {
        &self.id
    }
    async fn head(&self) -> Result<Head, ChainError> {
        let tip = Tip { height: Height(10), time: Timestamp(1_000) };
        Ok(Head { latest: tip, finalized: tip })
    }
    async fn next_head(&self, _: Height) -> Result<Head, ChainError> {
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.head().await
    }
    async fn events(&self, _: Height, _: Height) -> Result<Vec<ChainEvent>, ChainError> {
        Err(deaf("events"))
    }
    async fn first_height(&self) -> Result<Height, ChainError> {
        Ok(Height(0))
    }
    async fn clients(&self) -> Result<Vec<ClientStatus>, ChainError> {
        Ok([vec![self.client.clone()], self.others.lock().unwrap().clone()].concat())
    }
    async fn client(&self, _: &ClientId) -> Result<ClientStatus, ChainError> {
        if *self.silent.lock().unwrap() {
            return Err(deaf("client"));
        }
        Ok(self.client.clone())
    }
    fn moves(&self, client: ClientType) -> bool {
        self.moved.lock().unwrap().is_none_or(|moved| moved == client)
    }
    async fn stored(&self, _: &Path, _: Height) -> Result<StoredPacket, ChainError> {
        Err(deaf("stored"))
    }
    async fn prove(&self, _: &ClientStatus, _: &[RelayItem]) -> Result<Proven, ChainError> {
        Err(deaf("prove"))
    }
    async fn prove_update(&self, _: &ClientStatus) -> Result<Proven, ChainError> {
        Err(deaf("prove_update"))
    }
    async fn submit(&self, _: &ClientId, _: &Proven) -> Result<Submitted, ChainError> {
        Err(deaf("submit"))
    }
    async fn claim(&self, _: &[(Packet, Preimage)]) -> Result<Submitted, ChainError> {
        Err(deaf("claim"))
    }
    async fn void(&self, _: &[Packet]) -> Result<Submitted, ChainError> {
        Err(deaf("void"))
    }
    async fn lock(&self, payer: &Signer, request: &LockRequest) -> Result<(Submitted, Packet), ChainError> {
        if let Some(error) = self.refusal.lock().unwrap().clone() {
            return Err(error);
        }
        *self.locked.lock().unwrap() = Some(request.clone());
        let points = PointsLock {
            denom: request.denom.clone(),
            amount: request.amount,
            sender: signer_address(payer).unwrap(),
            receiver: request.receiver.clone(),
            hashlock: request.hashlock,
            claim_deadline: request.claim_deadline,
            terms: request.terms.clone(),
            memo: request.memo.clone(),
        };
        let packet = Packet {
            sequence: crosspoint_protocol::ids::Sequence(1),
            source_client: request.client.clone(),
            dest_client: self.client.counterparty_client.clone(),
            timeout: request.timeout,
            payload: Payload::points(&points),
        };
        let outcomes = vec![ItemOutcome::Done];
        let block = self.head().await?.latest;
        Ok((Submitted { tx: TxId("AB".into()), block, gas_used: 1, outcomes }, packet))
    }
    async fn hashlock_used(&self, _: &Address, _: &Hashlock) -> Result<bool, ChainError> {
        Ok(self.used.load(Ordering::SeqCst))
    }
    async fn balance(&self, _: &Address, _: &Denom) -> Result<Amount, ChainError> {
        Err(deaf("balance"))
    }
    async fn supply(&self, _: Height) -> Result<Vec<DenomSupply>, ChainError> {
        Err(deaf("supply"))
    }
    async fn wallet(&self) -> Result<(Address, Option<u128>), ChainError> {
        Err(deaf("wallet"))
    }
}

fn chain(id: &str, other: &str, client: &str, counterparty: &str) -> Arc<Deaf> {
    let trusted = Tip { height: Height(5), time: Timestamp(900) };
    let client = ClientStatus {
        client: client.parse().unwrap(),
        client_type: ClientType::Attested,
        counterparty_chain: other.parse().unwrap(),
        counterparty_client: counterparty.parse().unwrap(),
        trusted,
        trusted_hash: vec![],
        signers: Default::default(),
        trusting_period: 1_000_000,
        frozen: false,
        generation: 0,
    };
    Arc::new(Deaf {
        id: id.parse().unwrap(),
        client,
        others: Mutex::default(),
        moved: Mutex::default(),
        refusal: Mutex::default(),
        silent: Mutex::default(),
        locked: Mutex::default(),
        used: AtomicBool::new(false),
    })
}

const HERE: &str = "crosspoint-1";
const THERE: &str = "eip155-31337";

struct World {
    source: Arc<Deaf>,
    dest: Arc<Deaf>,
    desk: Arc<Desk>,
    _dir: tempfile::TempDir,
}

/// A service that pays from `mall` on the native chain.
fn world() -> World {
    let source = chain(HERE, THERE, "attested-0", "checkpoint-0");
    let dest = chain(THERE, HERE, "checkpoint-0", "attested-0");
    let key = signer(KeyKind::Native, &Secret::new([7; 32])).unwrap();
    let payer = Payer { address: signer_address(&key).unwrap(), signer: key };
    let dir = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    let secrets = Arc::new(Secrets::new(generate(KeyKind::Seed).unwrap()));
    let both: Vec<Arc<dyn Chain>> = vec![Arc::clone(&source) as _, Arc::clone(&dest) as _];
    let relayer = Relayer::new(RelayerConfig::new(dir.path().into()), both, Arc::clone(&metrics))
        .with_secret_box(Arc::clone(&secrets) as _)
        .start()
        .unwrap();
    let payers = BTreeMap::from([("mall".parse().unwrap(), payer)]);
    let desk = Desk::new(DeskParts {
        chains: vec![
            DeskChain { chain: Arc::clone(&source) as _, form: AddressForm::Native, payers },
            DeskChain { chain: Arc::clone(&dest) as _, form: AddressForm::Evm, payers: BTreeMap::new() },
        ],
        attestors: vec![],
        relayer,
        metrics,
        secrets: Some(secrets),
        windows: Windows { timeout_seconds: 60, hold_seconds: 600 },
        claim_margin: 1,
    });
    World { source, dest, desk, _dir: dir }
}

fn request(hashlock: Option<u8>) -> SendRequest {
    SendRequest {
        payer: "mall".parse().unwrap(),
        from: HERE.parse().unwrap(),
        to: THERE.parse().unwrap(),
        client: None,
        denom: "sfs".parse().unwrap(),
        amount: Amount::new(5),
        receiver: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8".parse().unwrap(),
        hashlock: hashlock.map(|n| Preimage::new([n; 32]).hashlock()),
        memo: String::new(),
        timeout_seconds: None,
        hold_seconds: None,
    }
}

impl World {
    async fn send(&self, request: SendRequest, key: Option<&str>) -> Result<TransferView, Problem> {
        let key = key.map(|key| key.parse().unwrap());
        Ok(self.desk.send(request, key).await?)
    }

    fn refuse(&self, error: ChainError, used: bool) {
        *self.source.refusal.lock().unwrap() = Some(error);
        self.source.used.store(used, Ordering::SeqCst);
    }
}

const BRAND: &str = "latte-1";

/// A service of three chains: a brand's chain and an EVM chain, both joined to the hub alone. Pays from the brand's and from
/// the EVM chain; nothing is read, so what it says of a lock is what was locked.
fn star() -> (Arc<Deaf>, Arc<Deaf>, World) {
    let (mut world, brand) = (world(), chain(BRAND, HERE, "tendermint-0", "tendermint-0"));
    let towards_brand = ClientStatus {
        client: "tendermint-0".parse().unwrap(),
        counterparty_chain: BRAND.parse().unwrap(),
        counterparty_client: "tendermint-0".parse().unwrap(),
        ..world.source.client.clone()
    };
    world.source.others.lock().unwrap().push(towards_brand);
    let payer = |kind| {
        let key = signer(kind, &Secret::new([7; 32])).unwrap();
        BTreeMap::from([("mall".parse().unwrap(), Payer { address: signer_address(&key).unwrap(), signer: key })])
    };
    let desk = Arc::get_mut(&mut world.desk).unwrap();
    let entry =
        |chain: &Arc<Deaf>, form, payers| (chain.id.clone(), DeskChain { chain: Arc::clone(chain) as _, form, payers });
    desk.chains.extend([
        entry(&brand, AddressForm::Native, payer(KeyKind::Native)),
        entry(&world.dest, AddressForm::Evm, payer(KeyKind::Evm)),
    ]);
    (brand, Arc::clone(&world.source), world)
}

fn from_brand(hashlock: u8) -> SendRequest {
    SendRequest { from: BRAND.parse().unwrap(), denom: "latte".parse().unwrap(), ..request(Some(hashlock)) }
}

#[tokio::test]
async fn a_transfer_to_a_chain_that_no_client_leads_to_goes_over_the_hub() {
    let (brand, hub, world) = star();
    let sent = world.send(from_brand(1), None).await.unwrap();
    assert_eq!((sent.from.as_str(), sent.to.as_str(), sent.id.client.as_str()), (BRAND, THERE, "tendermint-0"));
    assert_eq!(sent.dest_denom.unwrap().to_string(), "points/checkpoint-0/points/tendermint-0/latte");
    assert_eq!(sent.receiver.unwrap().as_str(), "0x70997970c51812dc3a010c7d01b50e0d17dc79c8");
    // The second link has one timeout more than the first.
    assert_eq!((sent.timeout, sent.claim_deadline), (Some(Timestamp(1_120)), Some(Timestamp(1_720))));
    let [link] = &sent.onward[..] else { panic!("{:?}", sent.onward) };
    assert_eq!((link.from.as_str(), link.client.as_str(), link.to.as_str()), (HERE, "attested-0", THERE));
    let locked = brand.locked.lock().unwrap().clone().unwrap();
    let forwarder = crosspoint_ledger::address::AccountId::forwarder().to_string();
    assert_eq!((locked.receiver.as_str(), locked.timeout), (forwarder.as_str(), Timestamp(1_060)));
    let forward = locked.terms.forward().unwrap();
    assert_eq!((forward.first().client.as_str(), forward.first().timeout), ("attested-0", Timestamp(1_120)));
    // The same again is the same; another amount under its hashlock is not.
    assert_eq!(world.send(from_brand(1), None).await.unwrap().id, sent.id);
    let other = SendRequest { amount: Amount::new(9), ..from_brand(1) };
    assert_eq!(world.send(other, None).await.unwrap_err().status, 409);

    // Two clients of the hub lead on: neither is chosen for the payer.
    let second = ClientStatus { client: "attested-1".parse().unwrap(), ..hub.client.clone() };
    hub.others.lock().unwrap().push(second);
    let problem = world.send(from_brand(2), None).await.unwrap_err();
    assert!(problem.status == 422 && problem.detail.contains("several ways lead"), "{}", problem.detail);
}

#[tokio::test]
async fn a_way_that_cannot_be_gone_is_refused_in_words() {
    let (_, hub, world) = star();
    let receiver = crosspoint_ledger::address::AccountId::forwarder().to_string().parse().unwrap();
    let from_evm =
        SendRequest { from: THERE.parse().unwrap(), to: BRAND.parse().unwrap(), receiver, ..request(Some(1)) };
    let problem = world.send(from_evm, None).await.unwrap_err();
    let words = "the contracts on eip155-31337 take plain transfers alone; send them to crosspoint-1 first";
    assert!(problem.status == 422 && problem.detail.contains(words), "{}", problem.detail);
    let wrong = SendRequest { client: Some("tendermint-7".parse().unwrap()), ..from_brand(1) };
    let problem = world.send(wrong, None).await.unwrap_err();
    assert!(problem.detail.contains("no route leads from latte-1 to eip155-31337"), "{}", problem.detail);
    // What does not answer may be on the way: that is no final word.
    *world.dest.silent.lock().unwrap() = true;
    let problem = world.send(from_brand(1), None).await.unwrap_err();
    assert!(problem.retryable && problem.detail.contains("client"), "{} {}", problem.status, problem.detail);
    *world.dest.silent.lock().unwrap() = false;
    // Nothing goes on from the hub through what cannot be proven to.
    *hub.moved.lock().unwrap() = Some(ClientType::Qbft);
    let problem = world.send(from_brand(1), None).await.unwrap_err();
    assert!(
        problem.detail.contains("nothing could be proven") || problem.detail.contains("no route"),
        "{}",
        problem.detail
    );
}

fn rejected(reason: &str) -> ChainError {
    ChainError::Rejected { chain: HERE.parse().unwrap(), reason: reason.into(), retryable: false }
}

#[tokio::test]
async fn a_refusal_arrives_at_once_if_the_hashlock_is_unused() {
    let world = world();
    let poor = ChainError::InsufficientFunds { chain: HERE.parse().unwrap(), detail: "mall has 3 of 5".into() };
    for error in [rejected("the timeout is too far away"), poor] {
        let words = error.to_string();
        world.refuse(error, false);
        let started = Instant::now();
        let problem = world.send(request(Some(1)), None).await.unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(5), "it took {:?}", started.elapsed());
        assert_eq!((problem.status, problem.retryable, problem.detail), (422, false, words));
    }
}

#[tokio::test]
async fn a_used_hashlock_whose_lock_is_not_read_yet_is_no_final_refusal() {
    let mut world = world();
    Arc::get_mut(&mut world.desk).unwrap().catch_up = Duration::from_millis(300);
    world.refuse(rejected("the hashlock was used before"), true);
    let problem = world.send(request(Some(1)), Some("k")).await.unwrap_err();
    assert_eq!((problem.status, problem.retryable), (503, true));
    assert!(problem.detail.contains("repeat the request with the same idempotency key"), "{}", problem.detail);
}

#[tokio::test]
async fn a_repeated_request_finds_its_lock_before_its_block_is_final() {
    let world = world();
    let first = world.send(request(None), Some("order-1")).await.unwrap();
    assert_eq!((first.stage.as_str(), first.ended), ("submitted", false));
    world.refuse(rejected("nothing more is sent"), true);
    assert_eq!(world.send(request(None), Some("order-1")).await.unwrap(), first);
    assert_eq!(world.desk.transfer(&first.id).await.unwrap(), first);
    let other = SendRequest { amount: Amount::new(6), ..request(None) };
    let problem = world.send(other, Some("order-1")).await.unwrap_err();
    assert_eq!(problem.kind, "urn:crosspoint:problem:idempotency-key-reused");
}

#[tokio::test]
async fn a_hashlock_is_paid_once_by_one_payer() {
    let world = world();
    let first = world.send(request(Some(1)), None).await.unwrap();
    assert_eq!(world.send(request(Some(1)), None).await.unwrap().id, first.id);
    let other = SendRequest { amount: Amount::new(6), ..request(Some(1)) };
    let problem = world.send(other, None).await.unwrap_err();
    assert_eq!(problem.status, 409);
    assert!(problem.detail.contains("a hashlock is paid once"), "{}", problem.detail);
}

#[tokio::test]
async fn what_is_wrong_in_itself_is_told_before_anything_is_sent() {
    let world = world();
    world.refuse(rejected("it must not get here"), false);
    let good = request(Some(1));
    let cases = [
        (SendRequest { amount: Amount::new(0), ..good.clone() }, "amount is 0"),
        (SendRequest { to: HERE.parse().unwrap(), ..good.clone() }, "from and to are the same chain"),
        (SendRequest { to: "nowhere-1".parse().unwrap(), ..good.clone() }, "chain nowhere-1 is not connected here"),
        (SendRequest { payer: "thief".parse().unwrap(), ..good.clone() }, "key thief may not pay on crosspoint-1"),
        (SendRequest { receiver: "point1x".parse().unwrap(), ..good.clone() }, "0x"),
        (SendRequest { memo: "\u{1b}[2J".into(), ..good.clone() }, "memo holds something other than printable ASCII"),
        (SendRequest { client: Some("attested-9".parse().unwrap()), ..good.clone() }, "no route leads from"),
    ];
    for (request, words) in cases {
        let problem = world.send(request, None).await.unwrap_err();
        assert_eq!(problem.status, 422, "{}", problem.detail);
        assert!(problem.detail.contains(words), "{} does not say `{words}`", problem.detail);
    }
}

#[tokio::test]
async fn of_several_pairs_that_is_taken_whose_headers_the_settings_can_prove() {
    let world = world();
    let second = ClientStatus {
        client: "qbft-0".parse().unwrap(),
        client_type: ClientType::Qbft,
        ..world.source.client.clone()
    };
    world.source.others.lock().unwrap().push(second);
    let sent = async |moved, hashlock, client: Option<&str>| {
        *world.dest.moved.lock().unwrap() = moved;
        let client = client.map(|client| client.parse().unwrap());
        world.send(SendRequest { client, ..request(Some(hashlock)) }, None).await
    };
    // The chain counts locks per client, so two are called alike.
    assert_eq!(sent(Some(ClientType::Attested), 1, None).await.unwrap().id.client.as_str(), "attested-0");
    let through = sent(Some(ClientType::Qbft), 2, None).await.unwrap();
    assert_eq!(through.id.client.as_str(), "qbft-0");
    // Asked for again after the settings were changed, it is the same transfer.
    assert_eq!(sent(Some(ClientType::Attested), 2, None).await.unwrap(), through);
    for client in [None, Some("attested-0")] {
        let problem = sent(Some(ClientType::EthereumPos), 3, client).await.unwrap_err();
        assert_eq!(problem.status, 503);
        assert!(problem.detail.contains("header_source"), "{}", problem.detail);
    }
    let problem = sent(None, 3, None).await.unwrap_err();
    assert!(problem.status == 422 && problem.detail.contains("name one as `client`"), "{}", problem.detail);
    assert_eq!(sent(None, 3, Some("qbft-0")).await.unwrap().id.client.as_str(), "qbft-0");
}

#[test]
fn the_outcome_of_a_hold_is_told_in_words() {
    let id: PacketId = "crosspoint-1/attested-0/1".parse().unwrap();
    let chain: ChainId = THERE.parse().unwrap();
    let done = |outcome| Submitted {
        tx: TxId("0xab".into()),
        block: Tip { height: Height(3), time: Timestamp(7) },
        gas_used: 9,
        outcomes: vec![outcome],
    };
    let skipped = ItemOutcome::Skipped { reason: "the receiver is suspended".into(), retryable: true };
    assert_eq!(hold_end(&id, &chain, done(ItemOutcome::Done), "claimed").unwrap().note, "claimed");
    let again = hold_end(&id, &chain, done(ItemOutcome::Duplicate), "claimed").unwrap();
    assert_eq!(again.note, "it was claimed before; nothing changed");
    let problem: Problem = hold_end(&id, &chain, done(skipped), "claimed").unwrap_err().into();
    assert_eq!((problem.status, problem.detail.ends_with("suspended; try again later")), (409, true));
}
