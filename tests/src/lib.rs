//! What the end-to-end tests stand on: a whole network with real chains and real proofs, a relayer, and the
//! words to tell a transfer's story. Every test ends with [`World::finish`], which audits the supply.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::too_many_arguments
)]

pub mod hand;
pub mod ledger_process;
pub mod proxy;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use crosspoint_adapters::chain::{Chain, ItemOutcome, LockRequest, Submitted};
use crosspoint_adapters::signer::Signer;
use crosspoint_gateway::localnet::{LocalNet, LocalNetConfig};
use crosspoint_ledger::engine::BlockTiming;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{Address, Timestamp};
use crosspoint_protocol::lock::Terms;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::{Hashlock, Preimage};
use crosspoint_relayer::audit::{AuditReport, audit_once};
use crosspoint_relayer::journal::{Journal, Transfer};
use crosspoint_relayer::life::Stage;
use crosspoint_relayer::metrics::Metrics;
use crosspoint_relayer::probe::Probe;
use crosspoint_relayer::route::PacketId;
use crosspoint_relayer::{Relayer, RelayerConfig, RelayerHandle};

pub use crosspoint_gateway::localnet::{evm_address, evm_key, evm_signer, member, member_address};

/// The longest a test waits for what must come. Generous: machines are slow and shared.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// The EVM account of the merchant in the stories.
pub const MERCHANT: usize = 1;

/// A network and (most of the time) a relayer.
pub struct World {
    pub net: LocalNet,
    pub relayer: Option<RelayerHandle>,
    dir: tempfile::TempDir,
}

/// Which chain a payer is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    Native,
    Evm,
}

/// When a lock's windows end, in seconds of the destination's clock from now.
#[derive(Debug, Clone, Copy)]
pub struct Windows {
    pub timeout: u64,
    pub hold: u64,
}

/// Room for everything on a slow machine.
pub const LONG: Windows = Windows { timeout: 600, hold: 600 };
/// Nobody claims: the hold can be voided soon after it was received.
pub const SHORT: Windows = Windows { timeout: 12, hold: 3 };

/// A fresh secret.
#[must_use]
pub fn secret() -> Preimage {
    Preimage::new(rand::random())
}

/// The network of the tests: quick blocks and short holds.
#[must_use]
pub fn local_config(dir: PathBuf) -> LocalNetConfig {
    let mut config = LocalNetConfig::new(dir);
    config.min_hold = 3;
    config.evm_block_time = Duration::from_millis(400);
    config.native_timing = BlockTiming {
        interval: Duration::from_millis(500),
        when_waiting: Some(Duration::from_millis(200)),
        when_idle: None,
    };
    config
}

impl World {
    /// A network with a relayer.
    pub async fn start() -> Result<Self> {
        let mut world = Self::without_relayer().await?;
        world.start_relayer().await?;
        Ok(world)
    }

    /// A network that nobody relays on.
    pub async fn without_relayer() -> Result<Self> {
        Self::with(|_| {}).await
    }

    /// A network without a relayer, its settings changed first.
    pub async fn with(change: impl FnOnce(&mut LocalNetConfig)) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut config = local_config(dir.path().to_owned());
        change(&mut config);
        let net = LocalNet::start(config, |_| {}).await?;
        Ok(Self { net, relayer: None, dir })
    }

    fn relayer_config(&self) -> RelayerConfig {
        let mut config = RelayerConfig::new(self.dir.path().join("journal"));
        config.max_wait_ms = 100;
        config.tick_ms = 100;
        config.discovery_ms = 500;
        config.client_poll_ms = 500;
        config.recv_margin_s = 1;
        config.claim_margin_s = 1;
        config
    }

    /// Starts a relayer on the journal, the one left by the last relayer if there was one.
    pub async fn start_relayer(&mut self) -> Result<()> {
        self.start_relayer_over(self.net.chains(), None).await
    }

    /// Starts a relayer over other adapters, told of each point its pipelines reach.
    pub async fn start_relayer_over(
        &mut self,
        chains: Vec<Arc<dyn Chain>>,
        probe: Option<Arc<dyn Probe>>,
    ) -> Result<()> {
        ensure!(self.relayer.is_none(), "a relayer runs already");
        let started = Instant::now();
        loop {
            let mut relayer = Relayer::new(self.relayer_config(), chains.clone(), Arc::new(Metrics::new()?));
            if let Some(probe) = &probe {
                relayer = relayer.with_probe(Arc::clone(probe));
            }
            match relayer.start() {
                Ok(relayer) => {
                    self.relayer = Some(relayer);
                    return Ok(());
                }
                // A write that was under way when the last relayer was killed still has the journal open.
                Err(_) if started.elapsed() < Duration::from_secs(10) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Stops the relayer in an orderly way.
    pub async fn stop_relayer(&mut self) {
        if let Some(relayer) = self.relayer.take() {
            relayer.stop(Duration::from_secs(20)).await;
        }
    }

    /// Ends the relayer's tasks where they stand.
    pub async fn kill_relayer(&mut self) {
        if let Some(relayer) = self.relayer.take() {
            relayer.kill().await;
        }
    }

    /// Stops the native chain, so that another process can go on with its data at the same address. Until a chain is
    /// put back, one that nobody asks stands in [`LocalNet::solo`].
    pub async fn release_ledger(&mut self) -> Result<()> {
        let idle = local_config(self.dir.path().join("idle"));
        let idle = ledger_process::start_on(&idle, SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        std::mem::replace(&mut self.net.solo, idle).stop().await?;
        Ok(())
    }

    /// Throws the journal away: the next relayer starts from the chains alone.
    pub async fn forget_journal(&self) -> Result<()> {
        ensure!(self.relayer.is_none(), "stop the relayer first");
        let journal = self.dir.path().join("journal");
        // A write that was under way when the relayer was killed still has it open; what is thrown away under its hands
        // it would damage.
        for _ in 0..200 {
            if Journal::open(&journal, None).is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        std::fs::remove_dir_all(journal).context("the journal")
    }

    #[must_use]
    pub fn chain(&self, from: From) -> Arc<dyn Chain> {
        match from {
            From::Native => Arc::clone(&self.net.native) as Arc<dyn Chain>,
            From::Evm => Arc::clone(&self.net.evm) as Arc<dyn Chain>,
        }
    }

    /// The chain on the other side.
    #[must_use]
    pub fn other(&self, from: From) -> Arc<dyn Chain> {
        self.chain(match from {
            From::Native => From::Evm,
            From::Evm => From::Native,
        })
    }

    /// What a payer asks for, its windows counted on the destination's clock.
    pub async fn request(
        &self,
        from: From,
        denom: &Denom,
        amount: u128,
        receiver: Address,
        hashlock: Hashlock,
        windows: Windows,
    ) -> Result<LockRequest> {
        let now = self.other(from).head().await?.latest.time.0;
        let client = match from {
            From::Native => self.net.native_client.clone(),
            From::Evm => self.net.evm_client.clone(),
        };
        let timeout = Timestamp(now + windows.timeout);
        Ok(LockRequest {
            client,
            denom: denom.clone(),
            amount: Amount::new(amount),
            receiver,
            hashlock,
            timeout,
            claim_deadline: Timestamp(timeout.0 + windows.hold),
            terms: Terms::Plain,
            memo: String::new(),
        })
    }

    /// `payer` locks points for `receiver`.
    pub async fn lock(
        &self,
        from: From,
        payer: &Signer,
        denom: &Denom,
        amount: u128,
        receiver: Address,
        secret: &Preimage,
        windows: Windows,
    ) -> Result<Packet> {
        let request = self.request(from, denom, amount, receiver, secret.hashlock(), windows).await?;
        Ok(self.chain(from).lock(payer, &request).await?.1)
    }

    /// The mall sends SFS to the merchant on the EVM chain.
    pub async fn pay_merchant(&self, amount: u128, secret: &Preimage, windows: Windows) -> Result<Packet> {
        self.lock(From::Native, &member("mall"), &sfs(), amount, evm_address(MERCHANT)?, secret, windows).await
    }

    /// The merchant sends SFS vouchers back to a member of the native chain.
    pub async fn send_back(&self, amount: u128, to: &str, secret: &Preimage, windows: Windows) -> Result<Packet> {
        let voucher = self.net.voucher_on_evm(&sfs())?;
        let receiver = member_address(to)?;
        self.lock(From::Evm, &evm_signer(MERCHANT)?, &voucher, amount, receiver, secret, windows).await
    }

    /// A packet's name in the journal.
    #[must_use]
    pub fn id(&self, from: From, packet: &Packet) -> PacketId {
        PacketId {
            chain: self.chain(from).id().clone(),
            client: packet.source_client.clone(),
            sequence: packet.sequence,
        }
    }

    /// What the journal knows of a packet; `None` if nothing yet.
    pub fn transfer(&self, id: &PacketId) -> Option<Transfer> {
        self.relayer.as_ref()?.journal().transfer(id).ok()
    }

    /// Waits until the journal shows a packet at `stage`. Fails at once when it has ended otherwise.
    pub async fn until(&self, id: &PacketId, stage: Stage) -> Result<Transfer> {
        let started = Instant::now();
        loop {
            let transfer = self.transfer(id);
            if let Some(transfer) = transfer {
                if transfer.life.stage == stage {
                    return Ok(transfer);
                }
                if transfer.life.stage.is_final() {
                    bail!("{id} ended as {}, not {stage}", transfer.life.stage);
                }
            }
            if started.elapsed() > PATIENCE {
                let life = self.transfer(id).map(|transfer| transfer.life);
                bail!("{id} did not become {stage} within {PATIENCE:?}: {life:?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for a condition, at most [`PATIENCE`].
    pub async fn eventually<F, Fut>(&self, what: &str, mut condition: F) -> Result<()>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<bool>>,
    {
        let started = Instant::now();
        while !condition().await? {
            ensure!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Claims a hold on the destination of `from`.
    pub async fn claim(&self, from: From, packet: &Packet, secret: &Preimage) -> Result<Submitted> {
        Ok(self.other(from).claim(&[(packet.clone(), secret.clone())]).await?)
    }

    pub async fn balance(&self, on: From, account: &Address, denom: &Denom) -> Result<u128> {
        Ok(self.chain(on).balance(account, denom).await?.get())
    }

    /// What the merchant holds of SFS on the EVM chain.
    pub async fn merchant_vouchers(&self) -> Result<u128> {
        self.balance(From::Evm, &evm_address(MERCHANT)?, &self.net.voucher_on_evm(&sfs())?).await
    }

    pub async fn member_sfs(&self, name: &str) -> Result<u128> {
        self.balance(From::Native, &member_address(name)?, &sfs()).await
    }

    /// A whole transfer native → EVM: locked, received, claimed, settled.
    pub async fn paid_merchant(&self, amount: u128) -> Result<Packet> {
        let secret = secret();
        let packet = self.pay_merchant(amount, &secret, LONG).await?;
        let id = self.id(From::Native, &packet);
        self.until(&id, Stage::Held).await?;
        done(&self.claim(From::Native, &packet, &secret).await?)?;
        self.until(&id, Stage::Settled).await?;
        Ok(packet)
    }

    /// Reads all events of both chains anew and adds everything up.
    pub async fn audit(&self) -> Result<AuditReport> {
        Ok(audit_once(&self.net.chains(), &|_, _, _| {}).await?)
    }

    /// The end of every test: the supply must add up for every denom, on every pair, with no anomaly.
    pub async fn finish(mut self) -> Result<()> {
        let report = self.audit().await?;
        ensure!(report.is_balanced(), "the supply does not add up: {report:#?}");
        for denom in &report.denoms {
            ensure!(denom.imbalance == 0 && denom.broken.is_empty(), "imbalance of {}: {denom:#?}", denom.denom);
        }
        ensure!(report.denoms.iter().any(|denom| denom.denom == sfs()), "the audit did not see SFS: {report:#?}");
        self.stop_relayer().await;
        self.net.stop().await
    }
}

/// The points of the stories.
#[must_use]
pub fn sfs() -> Denom {
    Denom::base("sfs").expect("a valid denom")
}

/// Fails unless every item took effect.
pub fn done(submitted: &Submitted) -> Result<()> {
    ensure!(
        submitted.outcomes.iter().all(|outcome| *outcome == ItemOutcome::Done),
        "not every item took effect: {:?}",
        submitted.outcomes
    );
    Ok(())
}
