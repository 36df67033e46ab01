//! Two native chains, a hub and a brand's own, each following the other by a `tendermint` client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use crosspoint_adapters::chain::{Chain, ItemOutcome, LockRequest, RelayItem};
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::native::{NativeChain, NativeSettings};
use crosspoint_adapters::proven::Evidence;
use crosspoint_gateway::localnet::{member, member_address};
use crosspoint_ledger::demo;
use crosspoint_ledger::engine::{BlockTiming, Seed, Solo, SoloConfig, SoloHandle, Validators, testing};
use crosspoint_ledger::handlers::client::join_evidence;
use crosspoint_ledger::tx::action::{Action, ClientSpec};
use crosspoint_ledger::tx::message::Message;
use crosspoint_light_proofs::evidence::{Evidence as EvidenceFile, Outcome, verify};
use crosspoint_light_proofs::tendermint::Header;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{ClientId, Height, Timestamp};
use crosspoint_protocol::lock::Terms;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Preimage;
use crosspoint_relayer::audit::audit_once;
use crosspoint_relayer::evidence::gather;
use crosspoint_relayer::life::Stage;
use crosspoint_relayer::metrics::Metrics;
use crosspoint_relayer::route::PacketId;
use crosspoint_relayer::{Relayer, RelayerConfig, RelayerHandle};
use crosspoint_tests::{LONG, PATIENCE, SHORT, Windows, done, secret};

pub(crate) const TRUSTING_PERIOD: u64 = 14 * 24 * 3_600;

/// One of the two chains.
pub(crate) struct Side {
    pub(crate) solo: SoloHandle,
    pub(crate) chain: Arc<NativeChain>,
}

impl Side {
    /// A chain whose mall issued all points of `denom`.
    pub(crate) async fn start(dir: &std::path::Path, name: &str, denom: &str) -> Result<Self> {
        let mut genesis = demo::genesis_of(name, 4)?;
        genesis.params.min_hold = 3;
        genesis.denoms[0].denom = denom.parse()?;
        let mut config = SoloConfig::new(dir.join(name), genesis);
        config.validators = Validators::Derived { count: 4, seed: Some(Seed::new(demo::SEED)) };
        let quick = Some(Duration::from_millis(200));
        config.timing = BlockTiming { interval: Duration::from_millis(500), when_waiting: quick, when_idle: None };
        let solo = Solo::start(config).await?;
        solo.wait_height(Height(2), Duration::from_secs(30)).await?;
        let mut settings = NativeSettings::new(name.parse()?, vec![solo.rpc_url().parse()?]);
        settings.block_ms = 500;
        settings.claim_margin_secs = 1;
        let chain = Arc::new(NativeChain::new(settings, demo::member_key("relayer"))?);
        Ok(Self { solo, chain })
    }

    pub(crate) async fn decide(&self, action: Action) -> Result<()> {
        let proposed = self.chain.execute(&member("mall"), Message::Propose { action: Box::new(action) }).await?;
        let proposal = proposed.events.iter().find_map(|event| match event {
            crosspoint_ledger::events::Event::ProposalCreated { proposal, .. } => Some(*proposal),
            _ => None,
        });
        let proposal = proposal.context("no proposal")?;
        self.chain.execute(&member("marketing"), Message::Approve { proposal }).await?;
        Ok(())
    }

    pub(crate) async fn balance(&self, name: &str, denom: &Denom) -> Result<u128> {
        Ok(self.chain.balance(&member_address(name)?, denom).await?.get())
    }
}

/// Both chains, joined.
pub(crate) struct Pair {
    pub(crate) hub: Side,
    pub(crate) brand: Side,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) relayer: Option<RelayerHandle>,
}

pub(crate) fn client() -> ClientId {
    "tendermint-0".parse().unwrap()
}

pub(crate) fn latte() -> Denom {
    "latte".parse().unwrap()
}

/// What the hub calls the brand's points.
fn latte_on_hub() -> Denom {
    latte().received(&client(), &client()).unwrap().denom().clone()
}

impl Pair {
    pub(crate) async fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let hub = Side::start(dir.path(), "crosspoint-1", "sfs").await?;
        let brand = Side::start(dir.path(), "latte-1", "latte").await?;
        for (here, there) in [(&hub, &brand), (&brand, &hub)] {
            let spec = ClientSpec::Tendermint(there.chain.client_spec(TRUSTING_PERIOD).await?);
            here.decide(Action::CreateClient { spec: Box::new(spec) }).await?;
            here.decide(Action::RegisterCounterparty { client: client(), counterparty_client: client() }).await?;
        }
        let cap = Amount::new(1_000_000);
        hub.decide(Action::SetVoucherCap { denom: latte_on_hub(), symbol: "LATTE".into(), cap }).await?;
        let mut pair = Self { hub, brand, dir, relayer: None };
        pair.start_relayer()?;
        Ok(pair)
    }

    fn chains(&self) -> Vec<Arc<dyn Chain>> {
        vec![Arc::clone(&self.hub.chain) as Arc<dyn Chain>, Arc::clone(&self.brand.chain) as Arc<dyn Chain>]
    }

    fn start_relayer(&mut self) -> Result<()> {
        let mut config = RelayerConfig::new(self.dir.path().join("journal"));
        (config.max_wait_ms, config.tick_ms, config.discovery_ms, config.client_poll_ms) = (100, 100, 500, 500);
        (config.recv_margin_s, config.claim_margin_s) = (1, 1);
        self.relayer = Some(Relayer::new(config, self.chains(), Arc::new(Metrics::new()?)).start()?);
        Ok(())
    }

    pub(crate) async fn stop_relayer(&mut self) {
        if let Some(relayer) = self.relayer.take() {
            relayer.stop(Duration::from_secs(20)).await;
        }
    }

    /// The mall of one chain pays coffee on the other.
    pub(crate) async fn pay(
        from: &Side,
        to: &Side,
        payer: &str,
        denom: &Denom,
        amount: u128,
        secret: &Preimage,
        windows: Windows,
    ) -> Result<Packet> {
        let timeout = Timestamp(to.chain.head().await?.latest.time.0 + windows.timeout);
        let request = LockRequest {
            client: client(),
            denom: denom.clone(),
            amount: Amount::new(amount),
            receiver: member_address("coffee")?,
            hashlock: secret.hashlock(),
            timeout,
            claim_deadline: Timestamp(timeout.0 + windows.hold),
            terms: Terms::Plain,
            memo: String::new(),
        };
        Ok(from.chain.lock(&member(payer), &request).await?.1)
    }

    pub(crate) async fn until(&self, from: &Side, packet: &Packet, stage: Stage) -> Result<()> {
        let id = PacketId {
            chain: from.chain.id().clone(),
            client: packet.source_client.clone(),
            sequence: packet.sequence,
        };
        let relayer = self.relayer.as_ref().context("no relayer")?;
        let started = Instant::now();
        loop {
            let life = relayer.journal().transfer(&id).ok().map(|transfer| transfer.life);
            match &life {
                Some(life) if life.stage == stage => return Ok(()),
                Some(life) if life.stage.is_final() => bail!("{id} ended as {}, not {stage}", life.stage),
                _ => ensure!(started.elapsed() < PATIENCE, "{id} did not become {stage}: {life:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a file of the transfer's evidence proves: each chain vouches for the other by its own record of the client.
    async fn proved(&self, from: &Side, to: &Side, packet: &Packet) -> Result<Outcome> {
        let id = PacketId {
            chain: from.chain.id().clone(),
            client: packet.source_client.clone(),
            sequence: packet.sequence,
        };
        let transfer = self.relayer.as_ref().context("no relayer")?.journal().transfer(&id)?;
        let text = gather(&transfer, from.chain.as_ref(), to.chain.as_ref()).await?.to_text()?;
        let found = verify(&EvidenceFile::read(&text)?, &[])?;
        ensure!(found.source.registered.is_some() && found.destination.registered.is_some(), "no client in {text}");
        Ok(found.outcome)
    }

    pub(crate) async fn finish(mut self) -> Result<()> {
        let report = audit_once(&self.chains(), &|_, _, _| {}).await?;
        ensure!(report.is_balanced(), "the supply does not add up: {report:#?}");
        ensure!(report.denoms.len() == 2, "SFS and LATTE: {report:#?}");
        self.stop_relayer().await;
        self.hub.solo.stop().await?;
        Ok(self.brand.solo.stop().await?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn points_of_a_brand_cross_to_the_hub_and_home_and_come_back_when_nobody_claims() -> Result<()> {
    let pair = Pair::start().await?;
    let invoice = secret();
    let packet = Pair::pay(&pair.brand, &pair.hub, "mall", &latte(), 500, &invoice, LONG).await?;
    pair.until(&pair.brand, &packet, Stage::Held).await?;
    done(&pair.hub.chain.claim(&[(packet.clone(), invoice)]).await?)?;
    pair.until(&pair.brand, &packet, Stage::Settled).await?;
    assert_eq!(pair.hub.balance("coffee", &latte_on_hub()).await?, 500);
    assert_eq!(pair.proved(&pair.brand, &pair.hub, &packet).await?, Outcome::Settled);

    let back = secret();
    let packet = Pair::pay(&pair.hub, &pair.brand, "coffee", &latte_on_hub(), 200, &back, LONG).await?;
    pair.until(&pair.hub, &packet, Stage::Held).await?;
    done(&pair.brand.chain.claim(&[(packet.clone(), back)]).await?)?;
    pair.until(&pair.hub, &packet, Stage::Settled).await?;
    assert_eq!(pair.brand.balance("coffee", &latte()).await?, 200);

    let mall = pair.brand.balance("mall", &latte()).await?;
    let packet = Pair::pay(&pair.brand, &pair.hub, "mall", &latte(), 7, &secret(), SHORT).await?;
    pair.until(&pair.brand, &packet, Stage::Refunded).await?;
    assert_eq!(pair.brand.balance("mall", &latte()).await?, mall);
    assert_eq!(pair.proved(&pair.brand, &pair.hub, &packet).await?, Outcome::Refunded);
    pair.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_that_was_never_relayed_between_native_chains_times_out_by_proof_of_absence() -> Result<()> {
    let mut pair = Pair::start().await?;
    pair.stop_relayer().await;
    let mall = pair.brand.balance("mall", &latte()).await?;
    let brief = Windows { timeout: 3, hold: 3 };
    let packet = Pair::pay(&pair.brand, &pair.hub, "mall", &latte(), 9, &secret(), brief).await?;
    // Past the timeout, but no further ahead of the other chain's clock than its client believes.
    pair.hub.solo.advance_time(Duration::from_secs(6)).await?;
    pair.start_relayer()?;
    pair.until(&pair.brand, &packet, Stage::TimedOut).await?;
    assert_eq!(pair.brand.balance("mall", &latte()).await?, mall);
    pair.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_proofs_of_a_native_chain_move_nothing_and_a_forked_header_freezes_its_client() -> Result<()> {
    let mut pair = Pair::start().await?;
    pair.stop_relayer().await;
    let invoice = secret();
    let packet = Pair::pay(&pair.brand, &pair.hub, "mall", &latte(), 30, &invoice, LONG).await?;
    let item = RelayItem::Recv { packet: packet.clone() };
    let status = pair.hub.chain.client(&client()).await?;
    let started = Instant::now();
    let proven = loop {
        match pair.brand.chain.prove(&status, std::slice::from_ref(&item)).await {
            Ok(proven) => break proven,
            Err(error) => ensure!(error.is_transient() && started.elapsed() < PATIENCE, "{error}"),
        }
    };
    let Evidence::Tendermint(evidence) = &proven.evidence else { bail!("{proven:?}") };

    // Too few of the validators, then a proof with one bit flipped, then another amount.
    let update = evidence.update.clone().context("an update")?;
    let node = pair.brand.solo.node();
    let set = node.validators(update.height().0)?.context("a validator set")?;
    let sign = |change: &dyn Fn(&mut tendermint::block::Header), signers: usize| -> Result<Header> {
        let mut header = update.signed_header.header.clone();
        change(&mut header);
        let signed_header = testing::sign_header(header, &set, &pair.brand.solo.keys()[..signers])?;
        Ok(Header { signed_header, ..update.clone() })
    };
    let mut short = proven.clone();
    let mut flipped = proven.clone();
    let mut richer = proven.clone();
    if let Evidence::Tendermint(evidence) = &mut short.evidence {
        evidence.update = Some(sign(&|_| {}, 2)?);
    }
    if let Evidence::Tendermint(evidence) = &mut flipped.evidence {
        let middle = evidence.proofs[0].len() / 2;
        evidence.proofs[0][middle] ^= 1;
    }
    if let RelayItem::Recv { packet } = &mut richer.items[0] {
        packet.payload.value[64 + 31] ^= 1;
    }
    for bad in [&short, &flipped, &richer] {
        let outcome = pair.hub.chain.submit(&client(), bad).await;
        let moved = matches!(&outcome, Ok(submitted) if submitted.outcomes.contains(&ItemOutcome::Done));
        ensure!(!moved, "a forgery was believed: {outcome:?}");
    }
    let at = pair.hub.chain.head().await?.latest.height;
    assert_eq!(pair.hub.chain.stored(&packet.receipt_path(), at).await?.value, None);

    // All the validators' keys sign another header of a height that the client trusts.
    done(&pair.hub.chain.submit(&client(), &proven).await?)?;
    let fork = sign(&|header| header.app_hash = vec![7; 32].try_into().unwrap(), 4)?;
    let evidence = join_evidence(&[fork.encode()]);
    pair.hub.chain.execute(&member("bob"), Message::SubmitMisbehaviour { client: client(), evidence }).await?;
    assert!(pair.hub.chain.client(&client()).await?.frozen);
    let refused = Pair::pay(&pair.hub, &pair.brand, "mall", &"sfs".parse()?, 1, &secret(), LONG).await;
    let refused = refused.expect_err("nothing is sent through a frozen client");
    assert!(
        refused.downcast_ref::<ChainError>().is_some_and(|error| error.to_string().contains("frozen")),
        "{refused}"
    );

    // Governance starts trust anew; what is under way ends.
    let spec = ClientSpec::Tendermint(pair.brand.chain.client_spec(TRUSTING_PERIOD).await?);
    pair.hub.decide(Action::ReanchorClient { client: client(), spec: Box::new(spec) }).await?;
    pair.start_relayer()?;
    pair.until(&pair.brand, &packet, Stage::Held).await?;
    done(&pair.hub.chain.claim(&[(packet.clone(), invoice)]).await?)?;
    pair.until(&pair.brand, &packet, Stage::Settled).await?;
    pair.finish().await
}
