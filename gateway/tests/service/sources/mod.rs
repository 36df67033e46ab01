//! The service follows the EVM chain by seals or by sync committees instead of attestors, with other settings and nothing
//! else: payments both ways, refunds, and sources that fail or lie.

mod beacon;
mod blocks;
mod role;
mod sealing;

use anyhow::{Context, Result, bail, ensure};
use crosspoint_adapters::chain::{Chain, LockRequest, SignersView, Tip};
use crosspoint_adapters::evm::BASE_SLOT;
use crosspoint_gateway::localnet::{evm_signer, member};
use crosspoint_ledger::tx::action::{ClientSpec, EthereumPosSpec, QbftSpec};
use crosspoint_light_proofs::qbft::Encoding;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{ClientId, Timestamp};
use crosspoint_protocol::lock::Terms;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Preimage;
use serde_json::{Value, json};
use url::Url;

use crate::process::{run, until};
use crate::stand::{EVM, MERCHANT, NATIVE, Stand, mall, merchant, private_file};
use crate::transfers::send;
use beacon::BeaconNode;
use role::{Role, Stage};
use sealing::SealingNode;

/// SFS on the EVM chain, as it came through the second pair of clients.
const VOUCHER: &str = "points/checkpoint-1/sfs";
/// Room for everything on a slow machine.
const LONG: u64 = 600;
const TRUSTING_PERIOD: u64 = 14 * 86_400;

/// A network whose second pair of clients is followed by another source than attestors.
struct Story {
    stand: Stand,
    /// The pair's client on the native chain.
    client: ClientId,
}

/// Both chains. On the EVM chain each second has one block from now on, as validators would have it.
async fn stand() -> Result<Stand> {
    let stand = Stand::without_attestors().await?;
    let anvil = stand.net.anvil.rpc();
    for method in ["evm_setIntervalMining", "anvil_setBlockTimestampInterval"] {
        anvil.call::<Value>(method, json!([1])).await?;
    }
    Ok(stand)
}

impl Story {
    /// Opens the second pair: on the native chain with this specification.
    async fn open(mut stand: Stand, spec: ClientSpec, client: &str) -> Result<Self> {
        let client = client.parse()?;
        stand.net.open_pair(spec, &client, &"checkpoint-1".parse()?).await?;
        stand.routes = 4;
        Ok(Self { stand, client })
    }

    /// Starts the service with this node of the EVM chain and these lines on the source of its headers.
    async fn follow(&mut self, node: &Url, source: &str) -> Result<()> {
        self.stand.configure(node, source)?;
        let config = self.stand.config().display().to_string();
        run(&["config", "check", "--config", &config]).await?.good()?;
        self.stand.start_service().await?;
        self.stand.ready().await
    }

    /// What the ledger's client trusts.
    async fn trusted(&self) -> Result<Tip> {
        Ok(self.stand.net.native.client(&self.client).await?.trusted)
    }

    async fn merchant_holds(&self) -> Result<u128> {
        Ok(self.stand.net.evm.balance(&merchant(), &VOUCHER.parse()?).await?.get())
    }

    /// The merchant sends points home, with more arguments.
    async fn send_home(&self, amount: &str, more: &[&str]) -> Result<Value> {
        let receiver = mall().to_string();
        let home = ["transfer", "send", "--payer", "merchant", "--from", EVM, "--to", NATIVE, "--denom", VOUCHER];
        self.stand.json(&[&home[..], &["--amount", amount, "--receiver", &receiver], more].concat()).await
    }

    /// The receiver's claim once the points are held; then the end.
    async fn claim(&self, id: &str, secret: u8) -> Result<()> {
        self.stand.at_stage(id, &["held"]).await?;
        let file = self.stand.path(&format!("preimage-{secret}"));
        private_file(&file, &hex::encode([secret; 32]))?;
        let file = file.display().to_string();
        self.stand.cli(&["transfer", "claim", id, "--preimage-file", &file]).await?.good()?;
        self.stand.at_stage(id, &["settled"]).await.map(drop)
    }

    /// A lock that the service had no part in, to be received within so many seconds of the destination's clock; the
    /// transfer's name and the packet.
    async fn lock(&self, amount: u128, seconds: u64, secret: u8) -> Result<(String, Packet)> {
        let now = self.stand.net.evm.head().await?.latest.time.0;
        let request = LockRequest {
            client: self.client.clone(),
            denom: Denom::base("sfs")?,
            amount: Amount::new(amount),
            receiver: merchant(),
            hashlock: Preimage::new([secret; 32]).hashlock(),
            timeout: Timestamp(now + seconds),
            claim_deadline: Timestamp(now + seconds + LONG),
            terms: Terms::Plain,
            memo: String::new(),
        };
        let (_, packet) = self.stand.net.native.lock(&member("mall"), &request).await?;
        Ok((format!("{NATIVE}/{}/{}", self.client, packet.sequence), packet))
    }

    /// The same on the EVM chain.
    async fn lock_home(&self, amount: u128, secret: u8) -> Result<(String, Packet)> {
        let now = self.stand.net.native.head().await?.latest.time.0;
        let request = LockRequest {
            client: "checkpoint-1".parse()?,
            denom: VOUCHER.parse()?,
            amount: Amount::new(amount),
            receiver: mall(),
            hashlock: Preimage::new([secret; 32]).hashlock(),
            timeout: Timestamp(now + LONG),
            claim_deadline: Timestamp(now + 2 * LONG),
            terms: Terms::Plain,
            memo: String::new(),
        };
        let (_, packet) = self.stand.net.evm.lock(&evm_signer(MERCHANT)?, &request).await?;
        Ok((format!("{EVM}/checkpoint-1/{}", packet.sequence), packet))
    }

    /// Waits until the EVM chain is past a packet's timeout. Nobody has received it.
    async fn late(&self, packet: &Packet) -> Result<()> {
        let evm = &self.stand.net.evm;
        until("the timeout to pass", async || Ok((evm.head().await?.latest.time > packet.timeout).then_some(())))
            .await?;
        let at = evm.head().await?.latest.height;
        ensure!(evm.stored(&packet.receipt_path(), at).await?.value.is_none(), "it was received");
        Ok(())
    }

    /// Points go over and back through the pair, which nobody has to name: it is the one that the settings fit.
    async fn pays_both_ways(&self) -> Result<()> {
        let before = self.merchant_holds().await?;
        let sent = self.stand.json(&send(&merchant().to_string(), "1250", &[])).await?;
        ensure!(sent["stage"] == "settled" && id(&sent)?.starts_with(&format!("{NATIVE}/{}/", self.client)), "{sent}");
        ensure!(sent["dest_denom"] == VOUCHER && sent["receipt"]["preimage"].is_string(), "{sent}");
        ensure!(self.merchant_holds().await? == before + 1250);
        let hashlock = Preimage::new([1; 32]).hashlock().to_string();
        let home = self.send_home("400", &["--hashlock", &hashlock, "--no-wait"]).await?;
        self.claim(&id(&home)?, 1).await?;
        ensure!(self.merchant_holds().await? == before + 850);
        Ok(())
    }

    /// A transfer waits for a reason of this kind, in these words.
    async fn waits(&self, id: &str, reason: &str, words: &str) -> Result<()> {
        let what = format!("{id} to wait: {reason}, {words}");
        let waits = until(&what, async || {
            let (_, view) = self.stand.get(&format!("/v1/transfers/{id}")).await?;
            let trouble = &view["trouble"];
            let told = trouble["detail"].as_str().is_some_and(|detail| detail.contains(words));
            ensure!(trouble["reason"] == reason && told, "it is {} with {trouble}", view["stage"]);
            Ok(Some(()))
        });
        waits.await.map_err(|error| self.stand.story(error))
    }

    /// The source now shows what those did not sign who had to: the transfer home still waits, the route says why, and the
    /// client believes nothing of it.
    async fn a_forgery_moves_nothing(&self, source: &Stage, home: &str, words: &str) -> Result<()> {
        let trusted = self.trusted().await?;
        source.play(Role::Forging);
        // It may not be known yet, nor wait.
        let _ = self.stand.cli(&["transfer", "retry", home]).await?;
        self.waits(home, "untrustworthy", words).await?;
        let route = self.route(self.client.as_str()).await?;
        ensure!(route["last_error"].as_str().is_some_and(|error| error.contains(words)), "{route}");
        ensure!(self.trusted().await? == trusted, "the client has moved");
        Ok(())
    }

    /// What the settings do not fit any more is no fault, and no dispute with witnesses of the new source.
    async fn the_first_pair_is_left_alone(&self) -> Result<()> {
        self.stand.ready().await?;
        let error = self.route("attested-0").await?["last_error"].to_string();
        ensure!(error.contains("is of type attested") && error.contains("another header_source"), "{error}");
        Ok(())
    }

    /// The route into a client.
    async fn route(&self, client: &str) -> Result<Value> {
        let (_, routes) = self.stand.get("/v1/routes").await?;
        let mut routes = routes.as_array().context("no routes")?.iter();
        Ok(routes.find(|route| route["dest_client"] == client).context("no such route")?.clone())
    }

    /// What waits is tried now.
    async fn retry(&self, ids: &[&str]) -> Result<()> {
        for id in ids {
            self.stand.json(&["transfer", "retry", id]).await?;
        }
        Ok(())
    }

    async fn end(self) -> Result<()> {
        self.the_first_pair_is_left_alone().await?;
        self.stand.audited().await?;
        self.stand.end().await
    }
}

fn id(view: &Value) -> Result<String> {
    Ok(view["id"].as_str().context("no id")?.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_is_followed_by_its_seals_with_nothing_but_settings_changed() -> Result<()> {
    let stand = stand().await?;
    let node = SealingNode::start(stand.net.anvil.url().clone()).await?;
    let spec = QbftSpec {
        chain_id: stand.net.manifest.chain_number,
        encoding: Encoding::Qbft,
        gateway: stand.net.evm.settings().gateway,
        base_slot: BASE_SLOT,
        header: node.header(stand.net.evm.head().await?.latest.height.0).await?,
        trusting_period: TRUSTING_PERIOD,
    };
    let mut story = Story::open(stand, ClientSpec::Qbft(spec), "qbft-0").await?;
    story.follow(&node.url, "header_source = \"qbft\"").await?;
    story.pays_both_ways().await?;

    // The node, which is the source too, goes away, and what is locked meanwhile waits. It comes back as a liar.
    node.stage.play(Role::Down);
    let down =
        until("the service to miss the node", async || Ok((story.stand.get("/readyz").await?.0 == 503).then_some(())));
    down.await?;
    let (late, packet) = story.lock(30, 4, 2).await?;
    let (kept, _) = story.lock(20, LONG, 3).await?;
    let (home, _) = story.lock_home(10, 4).await?;
    story.late(&packet).await?;
    story.a_forgery_moves_nothing(&node.stage, &home, "sealed, who is no validator of the header").await?;

    // Nothing is lost: what is not too late is paid, the rest refunded.
    node.stage.play(Role::Honest);
    story.retry(&[&home, &late]).await?;
    story.stand.at_stage(&late, &["timed_out"]).await?;
    story.claim(&home, 4).await?;
    story.claim(&kept, 3).await?;
    story.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_is_followed_by_its_sync_committees_with_nothing_but_settings_changed() -> Result<()> {
    // First by attestors.
    let mut stand = stand().await?;
    let anvil = stand.net.anvil.url().clone();
    let urls: Vec<String> = stand.net.attestors.urls().iter().map(Url::to_string).collect();
    stand.configure(&anvil, &stand.attested(&urls))?;
    stand.start_service().await?;
    stand.ready().await?;
    let sent = stand.json(&send(&merchant().to_string(), "100", &[])).await?;
    ensure!(sent["stage"] == "settled" && stand.merchant_holds().await? == 100, "{sent}");
    stand.stop_service().await?;

    let beacon = BeaconNode::start(anvil.clone()).await?;
    let bootstrap = beacon.anchor().await?;
    let network = beacon.network();
    let first = network.period(bootstrap.header.beacon.slot);
    let spec = EthereumPosSpec {
        chain_id: stand.net.manifest.chain_number,
        network: network.clone(),
        gateway: stand.net.evm.settings().gateway,
        base_slot: BASE_SLOT,
        block_root: bootstrap.header.beacon.root(),
        bootstrap,
        trusting_period: TRUSTING_PERIOD,
    };
    let mut story = Story::open(stand, ClientSpec::EthereumPos(Box::new(spec)), "ethereum-pos-0").await?;
    // Sent while nobody relays, until it is too late.
    let (late, packet) = story.lock(30, 4, 2).await?;
    story.late(&packet).await?;
    let witness = BeaconNode::start(anvil.clone()).await?;
    let source = format!("header_source = \"ethereum-pos\"\nbeacon_endpoints = [\"{}\"]", beacon.url);
    story.follow(&anvil, &format!("{source}\nwitnesses = [\"{}\"]", witness.url)).await?;
    story.stand.at_stage(&late, &["timed_out"]).await?;
    story.pays_both_ways().await?;

    // The beacon node goes away. The EVM chain still receives; what it says waits for its proof. Meanwhile the committees
    // change.
    beacon.stage.play(Role::Down);
    let home = id(&story.send_home("50", &["--no-wait"]).await?)?;
    let out = id(&story.stand.json(&send(&merchant().to_string(), "70", &["--no-wait"])).await?)?;
    story.waits(&home, "unreachable", "beacon node").await?;
    story.waits(&out, "unreachable", "beacon node").await?;
    ensure!(story.stand.at_stage(&out, &["claimed"]).await?["receipt"].is_null());
    until("the next committee", async || Ok((beacon.period().await? > first).then_some(()))).await?;
    story.a_forgery_moves_nothing(&beacon.stage, &home, "the committee's signature does not verify").await?;

    beacon.stage.play(Role::Honest);
    story.retry(&[&home, &out]).await?;
    story.stand.at_stage(&home, &["settled"]).await?;
    story.stand.at_stage(&out, &["settled"]).await?;
    let SignersView::SyncCommittees { state, .. } = story.stand.net.native.client(&story.client).await?.signers else {
        bail!("the client does not say which committees it knows");
    };
    ensure!(network.period(state.slot) > first, "the client is still in period {first}");
    story.end().await
}
