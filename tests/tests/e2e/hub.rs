//! Two brands' chains, the hub and Ethereum: points of a brand go over the hub, as one transfer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use crosspoint_adapters::chain::{Chain, ItemOutcome, LockRequest};
use crosspoint_adapters::native::NativeChain;
use crosspoint_gateway::api::service::Service;
use crosspoint_gateway::api::types::{SendRequest, TransferView};
use crosspoint_gateway::batch::rows::AddressForm;
use crosspoint_gateway::desk::{Desk, DeskChain, DeskParts, Payer};
use crosspoint_gateway::keys::{KeyKind, generate};
use crosspoint_gateway::secrets::Secrets;
use crosspoint_ledger::address::AccountId;
use crosspoint_ledger::tx::action::{Action, ClientSpec, Limits};
use crosspoint_light_proofs::evidence::{Evidence as EvidenceFile, Outcome, verify};
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{Address, ChainId, ClientId, Timestamp};
use crosspoint_protocol::lock::Terms;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Preimage;
use crosspoint_protocol::terms::{Forward, Hop};
use crosspoint_relayer::audit::audit_once;
use crosspoint_relayer::evidence::gather;
use crosspoint_relayer::life::{Life, Stage};
use crosspoint_relayer::metrics::Metrics;
use crosspoint_relayer::route::PacketId;
use crosspoint_relayer::{Relayer, RelayerConfig, RelayerHandle};
use crosspoint_tests::{MERCHANT, PATIENCE, World, done, evm_address, evm_signer, member, member_address, secret};

use crate::pair::{Side, TRUSTING_PERIOD};

fn id(client: &str) -> ClientId {
    client.parse().unwrap()
}

fn latte() -> Denom {
    "latte".parse().unwrap()
}

/// What the hub, the other brand's chain and Ethereum call the brand's points.
fn on_hub() -> Denom {
    "points/tendermint-0/latte".parse().unwrap()
}

fn on_cafe() -> Denom {
    "points/tendermint-0/points/tendermint-0/latte".parse().unwrap()
}

fn on_evm() -> Denom {
    "points/checkpoint-0/points/tendermint-0/latte".parse().unwrap()
}

/// Where a transfer goes from the brand's chain, over the hub.
#[derive(Clone, Copy, PartialEq)]
enum To {
    Evm,
    Cafe,
}

struct Star {
    world: World,
    brand: Side,
    cafe: Side,
    dir: tempfile::TempDir,
    relayer: Option<RelayerHandle>,
}

impl Star {
    async fn start() -> Result<Self> {
        let mut star = Self::without_relayer().await?;
        star.start_relayer()?;
        Ok(star)
    }

    async fn without_relayer() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let (world, brand, cafe) = tokio::try_join!(
            World::without_relayer(),
            Side::start(dir.path(), "latte-1", "latte"),
            Side::start(dir.path(), "mocha-1", "mocha"),
        )?;
        let hub = &world.net.native;
        // The hub's clients are tendermint-0 for the brand and tendermint-1 for the café; each of these has one of the hub.
        for (side, client) in [(&brand, "tendermint-0"), (&cafe, "tendermint-1")] {
            join(hub, &world, side, client).await?;
        }
        let cap = Amount::new(1_000_000);
        world.net.govern(Action::SetVoucherCap { denom: on_hub(), symbol: "LATTE".into(), cap }).await?;
        cafe.decide(Action::SetVoucherCap { denom: on_cafe(), symbol: "LATTE".into(), cap }).await?;
        world.net.open_voucher(&on_hub(), "LATTE", 1_000_000).await?;
        Ok(Self { world, brand, cafe, dir, relayer: None })
    }

    fn hub(&self) -> &Arc<NativeChain> {
        &self.world.net.native
    }

    fn chains(&self) -> Vec<Arc<dyn Chain>> {
        let mut chains = self.world.net.chains();
        chains.extend([Arc::clone(&self.brand.chain) as Arc<dyn Chain>, Arc::clone(&self.cafe.chain) as _]);
        chains
    }

    fn relayer(&self, metrics: &Arc<Metrics>) -> Relayer {
        let mut config = RelayerConfig::new(self.dir.path().join("journal"));
        (config.max_wait_ms, config.tick_ms, config.discovery_ms, config.client_poll_ms) = (100, 100, 500, 500);
        (config.recv_margin_s, config.claim_margin_s) = (1, 1);
        Relayer::new(config, self.chains(), Arc::clone(metrics))
    }

    fn start_relayer(&mut self) -> Result<()> {
        self.relayer = Some(self.relayer(&Arc::new(Metrics::new()?)).start()?);
        Ok(())
    }

    async fn stop_relayer(&mut self) {
        if let Some(relayer) = self.relayer.take() {
            relayer.stop(Duration::from_secs(20)).await;
        }
    }

    /// The mall of the brand's chain sends over the hub, each window in seconds of the hub's clock.
    async fn send(&self, to: To, amount: u128, secret: &Preimage, (timeout, hold): (u64, u64)) -> Result<Packet> {
        let now = self.hub().head().await?.latest.time.0;
        let (client, receiver) = match to {
            To::Evm => ("attested-0", evm_address(MERCHANT)?),
            To::Cafe => ("tendermint-1", member_address("coffee")?),
        };
        let window = |links: u64| (Timestamp(now + links * timeout), Timestamp(now + links * timeout + hold));
        let (onward, first) = (window(2), window(1));
        let hop = Hop { client: id(client), receiver, timeout: onward.0, claim_deadline: onward.1 };
        let request = LockRequest {
            client: id("tendermint-0"),
            denom: latte(),
            amount: Amount::new(amount),
            receiver: forwarder(),
            hashlock: secret.hashlock(),
            timeout: first.0,
            claim_deadline: first.1,
            terms: Terms::Forward(Forward::new(vec![hop])?),
            memo: "over the hub".into(),
        };
        Ok(self.brand.chain.lock(&member("mall"), &request).await?.1)
    }

    fn life(&self, id: &PacketId) -> Option<Life> {
        Some(self.relayer.as_ref()?.journal().transfer(id).ok()?.life)
    }

    fn first(&self, packet: &Packet) -> PacketId {
        PacketId {
            chain: self.brand.chain.id().clone(),
            client: packet.source_client.clone(),
            sequence: packet.sequence,
        }
    }

    async fn until(&self, id: &PacketId, stage: Stage) -> Result<Life> {
        let started = Instant::now();
        loop {
            match self.life(id) {
                Some(life) if life.stage == stage => return Ok(life),
                Some(life) if life.stage.is_final() => bail!("{id} ended as {}, not {stage}", life.stage),
                life => ensure!(started.elapsed() < PATIENCE, "{id} did not become {stage}: {life:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The onward packet, once the hub has sent it.
    async fn onward(&self, packet: &Packet) -> Result<(PacketId, Packet)> {
        let hashlock = packet.points_lock()?.hashlock;
        let sender = AccountId::forwarding(&packet.dest_client, packet.sequence).to_string();
        let started = Instant::now();
        loop {
            let journal = self.relayer.as_ref().context("no relayer")?.journal();
            for life in journal.by_hashlock(&hashlock, 100)? {
                if let Some(found) = journal.packet(&life.id)?
                    && found.points_lock()?.sender.as_str() == sender
                {
                    return Ok((life.id, found));
                }
            }
            ensure!(started.elapsed() < PATIENCE, "the hub did not send {packet:?} on");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The supply adds up, now, over all four chains.
    async fn audit(&self) -> Result<()> {
        let report = audit_once(&self.chains(), &|_, _, _| {}).await?;
        ensure!(report.is_balanced(), "the supply does not add up: {report:#?}");
        ensure!(report.denoms.iter().any(|denom| denom.denom == latte()), "the audit did not see LATTE: {report:#?}");
        Ok(())
    }

    /// What a file of the first packet's evidence proves to anybody.
    async fn proved(&self, packet: &Packet) -> Result<Outcome> {
        let transfer = self.relayer.as_ref().context("no relayer")?.journal().transfer(&self.first(packet))?;
        let text = gather(&transfer, self.brand.chain.as_ref(), self.hub().as_ref()).await?.to_text()?;
        Ok(verify(&EvidenceFile::read(&text)?, &[])?.outcome)
    }

    async fn merchant(&self) -> Result<u128> {
        Ok(self.world.net.evm.balance(&evm_address(MERCHANT)?, &on_evm()).await?.get())
    }

    async fn finish(mut self) -> Result<()> {
        self.audit().await?;
        self.stop_relayer().await;
        self.brand.solo.stop().await?;
        self.cafe.solo.stop().await?;
        self.world.net.stop().await
    }
}

fn forwarder() -> Address {
    AccountId::forwarder().to_address().unwrap()
}

/// A client of each on the other.
async fn join(hub: &NativeChain, world: &World, side: &Side, client: &str) -> Result<()> {
    let spec = ClientSpec::Tendermint(side.chain.client_spec(TRUSTING_PERIOD).await?);
    world.net.govern(Action::CreateClient { spec: Box::new(spec) }).await?;
    let counterparty_client = id("tendermint-0");
    world.net.govern(Action::RegisterCounterparty { client: id(client), counterparty_client }).await?;
    let spec = ClientSpec::Tendermint(hub.client_spec(TRUSTING_PERIOD).await?);
    side.decide(Action::CreateClient { spec: Box::new(spec) }).await?;
    side.decide(Action::RegisterCounterparty { client: id("tendermint-0"), counterparty_client: id(client) }).await
}

/// A lock on Ethereum towards the hub.
async fn plain(star: &Star) -> Result<LockRequest> {
    let world = &star.world;
    let (from, receiver, hashlock) = (crosspoint_tests::From::Evm, member_address("mall")?, secret().hashlock());
    world.request(from, &on_evm(), 1, receiver, hashlock, crosspoint_tests::LONG).await
}

const LONG: (u64, u64) = (300, 300);

/// A service over all four chains, which makes the secrets, finds the ways and claims.
fn desk(star: &Star) -> Result<Arc<Desk>> {
    let metrics = Arc::new(Metrics::new()?);
    let secrets = Arc::new(Secrets::new(generate(KeyKind::Seed)?));
    let relayer = star.relayer(&metrics).with_secret_box(Arc::clone(&secrets) as _).start()?;
    let payers = |signer, address| BTreeMap::from([("mall".parse().unwrap(), Payer { signer, address })]);
    let chains = star.chains().into_iter().map(|chain| {
        let evm = chain.id().as_str().starts_with("eip155");
        let (form, payers) = if evm {
            (AddressForm::Evm, payers(evm_signer(MERCHANT)?, evm_address(MERCHANT)?))
        } else {
            (AddressForm::Native, payers(member("mall"), member_address("mall")?))
        };
        Ok(DeskChain { chain, form, payers })
    });
    Ok(Desk::new(DeskParts {
        chains: chains.collect::<Result<_>>()?,
        attestors: vec![],
        relayer,
        metrics,
        secrets: Some(secrets),
        windows: crosspoint_gateway::settings::Windows { timeout_seconds: 300, hold_seconds: 300 },
        claim_margin: 1,
    }))
}

async fn ended(desk: &Desk, sent: TransferView) -> Result<TransferView> {
    let started = Instant::now();
    loop {
        match desk.transfer(&sent.id).await {
            Ok(view) if view.ended => return Ok(view),
            other => ensure!(started.elapsed() < PATIENCE, "{} did not end: {other:?}", sent.id),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_brands_points_go_over_the_hub_to_ethereum_and_to_another_brand_as_one_transfer() -> Result<()> {
    let star = Star::without_relayer().await?;
    let desk = desk(&star)?;
    let (brand, cafe, evm): (ChainId, ChainId, ChainId) =
        (star.brand.chain.id().clone(), star.cafe.chain.id().clone(), star.world.net.evm.id().clone());
    let request = |from: &ChainId, to: &ChainId, denom: &Denom, amount, receiver| SendRequest {
        payer: "mall".parse().unwrap(),
        from: from.clone(),
        to: to.clone(),
        client: None,
        denom: denom.clone(),
        amount: Amount::new(amount),
        receiver,
        hashlock: None,
        memo: String::new(),
        timeout_seconds: None,
        hold_seconds: None,
    };
    // Nobody names a path, a client, or a secret.
    let to_merchant = request(&brand, &evm, &latte(), 500, evm_address(MERCHANT)?);
    let to_mall = request(&brand, &cafe, &latte(), 80, member_address("mall")?);
    let (to_merchant, to_mall) = tokio::try_join!(desk.send(to_merchant, None), desk.send(to_mall, None)).unwrap();
    for (sent, dest, denom, amount) in [(to_merchant, &evm, on_evm(), 500), (to_mall, &cafe, on_cafe(), 80)] {
        let view = ended(&desk, sent).await?;
        assert_eq!((view.stage.as_str(), &view.from, &view.to), ("settled", &brand, dest), "{view:#?}");
        assert_eq!((view.dest_denom, view.amount), (Some(denom), Some(Amount::new(amount))));
        let [link] = &view.onward[..] else { bail!("{:?}", view.onward) };
        assert_eq!((link.from.as_str(), &link.to, link.stage.as_deref()), ("crosspoint-1", dest, Some("settled")));
        // The receipt names the claim on the receiver's chain and the settlement on the payer's.
        let receipt = view.receipt.context("a receipt")?;
        assert_eq!((&receipt.claimed.context("a claim")?.chain, &receipt.settled.chain), (dest, &brand));
        assert!(view.history.iter().any(|line| line.place.as_ref().is_some_and(|place| place.chain == *dest)));
    }
    assert_eq!((star.merchant().await?, star.cafe.balance("mall", &on_cafe()).await?), (500, 80));
    star.audit().await?;

    // Back home over the hub: burned at the café, un-vaulted hop by hop.
    let mall = star.brand.balance("coffee", &latte()).await?;
    let home = request(&cafe, &brand, &on_cafe(), 30, member_address("coffee")?);
    let view = ended(&desk, desk.send(home, None).await.unwrap()).await?;
    assert_eq!((view.stage.as_str(), view.dest_denom), ("settled", Some(latte())), "{:#?}", view.onward);
    assert_eq!(star.brand.balance("coffee", &latte()).await?, mall + 30);
    assert_eq!(star.cafe.balance("mall", &on_cafe()).await?, 50);

    // The contracts' compact records have no room for a forward.
    let from_evm = request(&evm, &brand, &on_evm(), 1, member_address("mall")?);
    let refused = desk.send(from_evm, None).await.unwrap_err().to_string();
    assert!(refused.contains("send them to crosspoint-1 first"), "{refused}");
    desk.stop(Duration::from_secs(20)).await;
    star.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forward_that_fails_at_any_hop_is_refunded_at_its_origin_by_proof() -> Result<()> {
    let star = Star::start().await?;
    let mall = star.brand.balance("mall", &latte()).await?;
    // The receiver never claims, on either kind of chain; and the hub's limit on the way to Ethereum is 100.
    let limits = Limits { max: Amount::new(100), ..Limits::default() };
    star.world.net.govern(Action::SetLimits { client: id("attested-0"), denom: on_hub(), limits }).await?;
    let unclaimed = star.send(To::Evm, 7, &secret(), (15, 3)).await?;
    let unclaimed_too = star.send(To::Cafe, 8, &secret(), (15, 3)).await?;
    let refused = star.send(To::Evm, 101, &secret(), LONG).await?;
    assert_eq!(star.brand.balance("mall", &latte()).await?, mall - 116);
    let (onward, _) = star.onward(&unclaimed).await?;
    // The contracts' records have no room for terms.
    let mut from_evm = plain(&star).await?;
    from_evm.terms = unclaimed.points_lock()?.terms;
    let no = star.world.net.evm.lock(&evm_signer(MERCHANT)?, &from_evm).await.unwrap_err();
    assert!(no.to_string().contains("the contracts take plain transfers alone"), "{no}");
    star.audit().await?;
    for packet in [&refused, &unclaimed, &unclaimed_too] {
        star.until(&star.first(packet), Stage::Refunded).await?;
        assert_eq!(star.proved(packet).await?, Outcome::Refunded);
        // The first hold's own deadline came and went before the onward packet ended; nobody tried to void it.
        let history = star.relayer.as_ref().context("a relayer")?.journal().history(&star.first(packet))?;
        assert!(history.iter().all(|entry| entry.stage != Stage::VoidReady), "{history:#?}");
    }
    let why = star.life(&star.first(&refused)).and_then(|life| life.refusal).context("why it was refused")?;
    assert!(why.contains("cannot be forwarded through attested-0") && why.contains("limits"), "{why}");
    assert_eq!(star.life(&onward).context("the onward packet")?.stage, Stage::Refunded);
    assert_eq!(star.brand.balance("mall", &latte()).await?, mall);
    assert_eq!((star.merchant().await?, star.cafe.balance("coffee", &on_cafe()).await?), (0, 0));
    star.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forward_survives_its_relayer_and_a_second_claim_does_nothing() -> Result<()> {
    let mut star = Star::start().await?;
    let invoice = secret();
    let packet = star.send(To::Cafe, 40, &invoice, LONG).await?;
    let (onward_id, onward) = star.onward(&packet).await?;
    star.until(&onward_id, Stage::Held).await?;
    star.until(&star.first(&packet), Stage::Held).await?;
    // Bound: the secret opens nothing at the hub, not even before it is shown to the receiver's chain.
    let early = star.hub().claim(&[(packet.clone(), invoice.clone())]).await?;
    assert!(matches!(&early.outcomes[0], ItemOutcome::Skipped { reason, .. } if reason.contains("bound")), "{early:?}");
    star.audit().await?;

    // The relayer dies; the receiver claims while nobody relays; another relayer starts with an empty journal.
    star.relayer.take().context("a relayer")?.kill().await;
    done(&star.cafe.chain.claim(&[(onward.clone(), invoice.clone())]).await?)?;
    star.audit().await?;
    std::fs::rename(star.dir.path().join("journal"), star.dir.path().join("lost"))?;
    star.start_relayer()?;
    star.until(&star.first(&packet), Stage::Settled).await?;
    assert_eq!(
        star.until(&onward_id, Stage::Settled).await?.facts.acked.context("an ack")?.ack[1..],
        invoice.reveal()[..]
    );
    assert_eq!(star.proved(&packet).await?, Outcome::Settled);
    assert_eq!(star.cafe.balance("coffee", &on_cafe()).await?, 40);

    // Again: at the receiver's chain, at the hub, and the void of what was passed on.
    let again = star.cafe.chain.claim(&[(onward.clone(), invoice.clone())]).await?;
    assert_eq!(again.outcomes, [ItemOutcome::Duplicate]);
    let hub = star.hub().claim(&[(packet.clone(), invoice)]).await?.outcomes;
    let void = star.hub().void(&[packet]).await?.outcomes;
    assert!(!hub.contains(&ItemOutcome::Done) && !void.contains(&ItemOutcome::Done), "{hub:?} {void:?}");
    assert_eq!(star.cafe.balance("coffee", &on_cafe()).await?, 40);
    star.finish().await
}
