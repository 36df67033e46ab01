//! What the tests stand on: both chains in this process; attestors and the service as processes beside it.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crosspoint_adapters::chain::Chain;
use crosspoint_gateway::keys::v3::Cost;
use crosspoint_gateway::keys::{KeyKind, KeyStore, Passphrase, Secret};
use crosspoint_gateway::localnet::{LocalNet, LocalNetConfig, RELAYER, evm_address, evm_key, member_address};
use crosspoint_ledger::demo::member_key;
use crosspoint_ledger::engine::BlockTiming;
use crosspoint_protocol::ids::Address;
use crosspoint_protocol::sha256;
use serde_json::Value;
use url::Url;

use crate::process::{PATIENCE, Ran, Service, command, run, tail, until};

/// The passphrase of the keystore.
pub const PASSPHRASE: &str = "correct horse battery staple";
/// The EVM account of the merchant.
pub const MERCHANT: usize = 1;
/// What preimages are derived from.
pub const SEED: [u8; 32] = [0x5e; 32];
pub const NATIVE: &str = "crosspoint-1";
pub const EVM: &str = "eip155-31337";
/// SFS as the EVM chain names it.
pub const VOUCHER: &str = "points/checkpoint-0/sfs";

pub struct Stand {
    pub net: LocalNet,
    pub attestors: Vec<Option<Service>>,
    attestor_ports: Vec<u16>,
    pub service: Option<Service>,
    port: u16,
    /// Routes that the service must find before it is ready: two for each pair of clients.
    pub routes: usize,
    pub dir: tempfile::TempDir,
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A file that only its owner reads.
pub fn private_file(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text)?;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?)
}

/// The key an attestor of the local network signs with: the process must be the one that the client knows.
fn attestor_secret(index: usize) -> [u8; 32] {
    sha256(&[b"crosspoint/demo/attestor/v1", &index.to_be_bytes()])
}

/// All secrets in the keystore, by name.
pub fn secrets() -> Result<Vec<(String, KeyKind, [u8; 32])>> {
    let evm = |index| Ok::<_, anyhow::Error>(evm_key(index)?.to_bytes().0);
    let mut secrets = vec![
        ("mall".to_owned(), KeyKind::Native, member_key("mall").to_bytes()),
        ("relayer-native".to_owned(), KeyKind::Native, member_key("relayer").to_bytes()),
        ("merchant".to_owned(), KeyKind::Evm, evm(MERCHANT)?),
        ("relayer-evm".to_owned(), KeyKind::Evm, evm(RELAYER)?),
        ("preimages".to_owned(), KeyKind::Seed, SEED),
    ];
    secrets.extend((0..3).map(|i| (format!("attestor-{i}"), KeyKind::Evm, attestor_secret(i))));
    Ok(secrets)
}

impl Stand {
    /// Both chains, three attestors and the service, ready.
    pub async fn start() -> Result<Self> {
        let mut stand = Self::chains().await?;
        stand.start_service().await?;
        stand.ready().await?;
        Ok(stand)
    }

    /// Both chains and three attestors, with keys and settings for a service that does not run yet.
    pub async fn chains() -> Result<Self> {
        let mut stand = Self::without_attestors().await?;
        // Their keys are used by processes from here on.
        stand.net.attestors.retire();
        stand.attestor_ports = (0..3).map(|_| free_port()).collect::<Result<Vec<_>>>()?;
        let urls: Vec<String> = stand.attestor_ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
        stand.configure(stand.net.anvil.url(), &stand.attested(&urls))?;
        for index in 0..3 {
            stand.attestors.push(None);
            stand.start_attestor(index).await?;
        }
        Ok(stand)
    }

    /// Both chains, with keys for a service that has no settings yet. The attestors are those of the network itself.
    pub async fn without_attestors() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut config = LocalNetConfig::new(dir.path().join("chains"));
        config.min_hold = 3;
        config.evm_block_time = Duration::from_millis(400);
        config.native_timing = BlockTiming {
            interval: Duration::from_millis(500),
            when_waiting: Some(Duration::from_millis(200)),
            when_idle: None,
        };
        std::fs::create_dir_all(&config.dir)?;
        let net = LocalNet::start(config, |_| {}).await?;
        let store = KeyStore::new(dir.path().join("keys")).with_cost(Cost::Light);
        for (name, kind, secret) in secrets()? {
            store.add(&name.parse()?, kind, &Secret::new(secret), &Passphrase::new(PASSPHRASE.into()))?;
        }
        private_file(&dir.path().join("passphrase"), PASSPHRASE)?;
        let port = free_port()?;
        Ok(Self { net, attestors: vec![], attestor_ports: vec![], service: None, port, routes: 2, dir })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.path("crosspoint.toml")
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The settings of attestors as the source of headers, where these answer.
    pub fn attested(&self, urls: &[String]) -> String {
        let quoted = |items: &[String]| items.iter().map(|i| format!("\"{i}\"")).collect::<Vec<_>>().join(", ");
        let addresses: Vec<String> =
            self.net.attestors.keys().iter().map(|key| format!("{:#x}", key.address())).collect();
        format!(
            "attestors = [{}]\nattestor_addresses = [{}]\nquorum = 2\ngenesis_hash = \"{}\"",
            quoted(urls),
            quoted(&addresses),
            self.net.manifest.genesis_hash
        )
    }

    /// Writes the service's settings: with this node of the EVM chain, and these lines on the source of its headers.
    pub fn configure(&self, node: &Url, source: &str) -> Result<()> {
        Ok(std::fs::write(self.config(), self.settings(node, source)?)?)
    }

    fn settings(&self, node: &Url, source: &str) -> Result<String> {
        let gateway = self.net.manifest.settings(vec![]).context("no gateway")?;
        Ok(format!(
            r#"
data_dir = "data"
[http]
listen = "127.0.0.1:{port}"
auth = "off"
[log]
filter = "debug,hyper_util=info"
[keystore]
dir = "keys"
passphrase_file = "passphrase"
seed = "preimages"
[relayer]
batch_wait_ms = 100
claim_margin_seconds = 1
audit_seconds = 2
[windows]
timeout_seconds = 600
hold_seconds = 600
[chains.native]
id = "{NATIVE}"
kind = "native"
endpoints = ["{native}"]
relayer_key = "relayer-native"
payer_keys = ["mall"]
block_ms = 500
[chains.ethereum]
id = "{EVM}"
kind = "evm"
endpoints = ["{node}"]
relayer_key = "relayer-evm"
payer_keys = ["merchant"]
block_ms = {block_ms}
gateway = "{gateway:#x}"
deployed_at = {deployed_at}
{source}
"#,
            port = self.port,
            native = self.net.solo.rpc_url(),
            block_ms = self.net.config.evm_block_time.as_millis(),
            gateway = gateway.gateway,
            deployed_at = gateway.deployed_at,
        ))
    }

    /// Starts one attestor on its journal of before, its passphrase from the environment.
    pub async fn start_attestor(&mut self, index: usize) -> Result<()> {
        self.start_attestor_with(index, &[]).await
    }

    /// The same with more arguments.
    pub async fn start_attestor_with(&mut self, index: usize, more: &[&str]) -> Result<()> {
        let (keys, key) = (self.path("keys"), format!("attestor-{index}"));
        let listen = format!("127.0.0.1:{}", self.attestor_ports[index]);
        let journal = self.path(&format!("{key}.journal"));
        let genesis = self.net.manifest.genesis_hash.to_string();
        let mut command = command(&[
            "attest",
            "--endpoint",
            self.net.anvil.url().as_str(),
            "--chain",
            EVM,
            "--genesis-hash",
            &genesis,
            "--key",
            &key,
            "--listen",
            &listen,
        ]);
        command.args(more);
        command.arg("--keystore").arg(keys).arg("--journal").arg(journal).env("CROSSPOINT_PASSPHRASE", PASSPHRASE);
        let mut attestor = Service::start(command, &self.path(&format!("{key}.log")))?;
        attestor.says("attesting eip155-31337").await?;
        self.attestors[index] = Some(attestor);
        Ok(())
    }

    /// `kill -9` of one attestor.
    pub async fn kill_attestor(&mut self, index: usize) -> Result<()> {
        self.attestors[index].take().context("it does not run")?.kill().await
    }

    /// Starts the service and waits until it listens.
    pub async fn start_service(&mut self) -> Result<()> {
        ensure!(self.service.is_none(), "the service runs already");
        let mut command = command(&["start", "--config"]);
        command.arg(self.config());
        self.service = Some(Service::start(command, &self.path("service.log"))?);
        until("the service to listen", async || Ok(Some(self.get("/healthz").await?)))
            .await
            .map_err(|e| self.story(e))?;
        Ok(())
    }

    /// Waits until the service says that it is ready.
    pub async fn ready(&self) -> Result<()> {
        let ready = until("readiness", async || {
            let (status, body) = self.get("/readyz").await?;
            ensure!(status == 200, "{body}");
            ensure!(
                self.get("/v1/routes").await?.1.as_array().is_some_and(|found| found.len() == self.routes),
                "no routes"
            );
            Ok(Some(()))
        });
        ready.await.map_err(|e| self.story(e))
    }

    /// An error with the end of the service's log.
    pub fn story(&self, error: anyhow::Error) -> anyhow::Error {
        let log = self.service.as_ref().map(Service::log).unwrap_or_default();
        let quiet: Vec<_> = log.lines().filter(|line| !line.contains("DEBUG")).collect();
        error.context(format!("the service's log ends:\n{}", tail(&quiet.join("\n"))))
    }

    /// `kill -9` of the service.
    pub async fn kill_service(&mut self) -> Result<()> {
        self.service.take().context("it does not run")?.kill().await
    }

    /// SIGTERM to the service; it must end in order.
    pub async fn stop_service(&mut self) -> Result<()> {
        let mut service = self.service.take().context("it does not run")?;
        service.signal("TERM")?;
        let status = service.ended().await?;
        ensure!(status.code() == Some(0), "it ended with {status}:\n{}", tail(&service.log()));
        Ok(())
    }

    /// Runs a command against the service.
    pub async fn cli(&self, args: &[&str]) -> Result<Ran> {
        let url = self.url();
        run(&[args, &["--url", &url]].concat()).await
    }

    /// The same with JSON out.
    pub async fn json(&self, args: &[&str]) -> Result<Value> {
        self.cli(&[args, &["--json"]].concat()).await?.json()
    }

    /// GET: the status and the body as JSON (text where it is none).
    pub async fn get(&self, path: &str) -> Result<(u16, Value)> {
        let answer = reqwest::Client::new().get(format!("{}{path}", self.url())).timeout(PATIENCE).send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// POST of JSON: the status and the body.
    pub async fn post(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        let request = reqwest::Client::new().post(format!("{}{path}", self.url())).timeout(PATIENCE).json(body);
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    /// Waits until a transfer has one of these stages.
    pub async fn at_stage(&self, id: &str, stages: &[&str]) -> Result<Value> {
        let what = format!("{id} to be {}", stages.join(" or "));
        let seen = until(&what, async || {
            let (_, view) = self.get(&format!("/v1/transfers/{id}")).await?;
            let stage = view["stage"].as_str().context("no stage")?;
            ensure!(stages.contains(&stage), "it is {stage}: {}", view["trouble"]);
            Ok(Some(view))
        });
        seen.await.map_err(|e| self.story(e))
    }

    /// What the merchant holds on the EVM chain.
    pub async fn merchant_holds(&self) -> Result<u128> {
        Ok(self.net.evm.balance(&merchant(), &VOUCHER.parse()?).await?.get())
    }

    /// Audits the supply through the command line once nothing is in flight: it must balance.
    pub async fn audited(&self) -> Result<Value> {
        let audited = until("the books to meet", async || {
            let supply = self.json(&["audit"]).await?;
            let denoms = supply["denoms"].as_array().context("no denoms")?;
            let done = |d: &Value| d["locked"] == "0" && d["in_flight"] == "0" && d["held"] == "0";
            Ok(denoms.iter().all(done).then_some(supply))
        });
        let supply = audited.await.map_err(|e| self.story(e))?;
        ensure!(supply["balanced"] == true, "{supply}");
        ensure!(supply["denoms"].as_array().is_some_and(|d| d.iter().all(|d| d["imbalance"] == "0")), "{supply}");
        Ok(supply)
    }

    /// Stops the chains. Every test ends with it.
    pub async fn end(mut self) -> Result<()> {
        if self.service.is_some() {
            self.stop_service().await?;
        }
        drop(self.attestors);
        self.net.stop().await
    }
}

pub fn merchant() -> Address {
    evm_address(MERCHANT).unwrap()
}

pub fn mall() -> Address {
    member_address("mall").unwrap()
}
