//! Two model chains and a relayer between them.

use super::*;
use crosspoint_relayer::audit::{AuditReport, audit_once};
use crosspoint_relayer::journal::{Filter, SecretBox, SecretBoxError};
use crosspoint_relayer::life::{Life, Stage};
use crosspoint_relayer::metrics::Metrics;
use crosspoint_relayer::probe::Probe;
use crosspoint_relayer::retry::Backoff;
use crosspoint_relayer::route::{PacketId, Route};
use crosspoint_relayer::{Relayer, RelayerConfig, RelayerHandle};
use std::time::Instant;

/// The longest any condition may take.
pub const BOUND: Duration = Duration::from_secs(60);

/// A cipher for tests: not secret, but sealed text differs and a changed context is refused.
pub struct Mask;

impl SecretBox for Mask {
    fn seal(&self, plain: &[u8], context: &[u8]) -> Result<Vec<u8>, SecretBoxError> {
        let masked = plain.iter().map(|b| b ^ 0x5a);
        Ok(masked.chain(crosspoint_protocol::sha256(&[context])).collect())
    }

    fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Vec<u8>, SecretBoxError> {
        let (masked, tag) = sealed.split_at_checked(sealed.len().saturating_sub(32)).ok_or(SecretBoxError::Open)?;
        if tag != crosspoint_protocol::sha256(&[context]) {
            return Err(SecretBoxError::Open);
        }
        Ok(masked.iter().map(|b| b ^ 0x5a).collect())
    }
}

pub struct World {
    pub a: Arc<ModelChain>,
    pub b: Arc<ModelChain>,
    pub folder: tempfile::TempDir,
    pub metrics: Arc<Metrics>,
    pub config: RelayerConfig,
}

/// The voucher of `sfs` on the second chain.
pub const VOUCHER: &str = "points/client-ba/sfs";

impl World {
    pub fn new() -> Self {
        let (a, b) = pair();
        let folder = tempfile::tempdir().unwrap();
        let config = RelayerConfig {
            tick_ms: 20,
            max_wait_ms: 0,
            backoff: Backoff { first_ms: 10, longest_ms: 200 },
            client_poll_ms: 20,
            discovery_ms: 100,
            audit_interval_ms: 0,
            call_timeout_ms: 5_000,
            claim_margin_s: 5,
            ..RelayerConfig::new(folder.path().join("journal"))
        };
        Self { a, b, folder, metrics: Arc::new(Metrics::new().unwrap()), config }
    }

    pub fn chains(&self) -> Vec<Arc<dyn Chain>> {
        vec![self.a.as_chain(), self.b.as_chain()]
    }

    pub fn relayer(&self) -> Relayer {
        Relayer::new(self.config.clone(), self.chains(), Arc::clone(&self.metrics)).with_secret_box(Arc::new(Mask))
    }

    pub async fn start(&self) -> RelayerHandle {
        self.start_with(None).await
    }

    /// Starts; waits for the journal's lock if the relayer before was killed a moment ago.
    pub async fn start_with(&self, probe: Option<Arc<dyn Probe>>) -> RelayerHandle {
        let start = Instant::now();
        loop {
            let relayer = match &probe {
                Some(probe) => self.relayer().with_probe(Arc::clone(probe)),
                None => self.relayer(),
            };
            match relayer.start() {
                Ok(handle) => return handle,
                Err(error) => assert!(start.elapsed() < BOUND, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// 1,000 sfs from alice to bob, under the n-th preimage.
    pub fn pay(&self, n: u64) -> Packet {
        let hashlock = preimage(n).hashlock();
        self.a.pay("alice", &self.a.request("client-ab", "sfs", 1_000, "bob", hashlock))
    }

    pub fn route(&self) -> Route {
        Route {
            source_chain: self.a.id().clone(),
            source_client: client_id("client-ab"),
            dest_chain: self.b.id().clone(),
            dest_client: client_id("client-ba"),
        }
    }

    pub fn id(&self, packet: &Packet) -> PacketId {
        let chain = if packet.source_client == client_id("client-ab") { self.a.id() } else { self.b.id() };
        PacketId { chain: chain.clone(), client: packet.source_client.clone(), sequence: packet.sequence }
    }

    pub fn life(&self, relayer: &RelayerHandle, packet: &Packet) -> Option<Life> {
        relayer.journal().life(&self.id(packet)).unwrap()
    }

    pub fn stage(&self, relayer: &RelayerHandle, packet: &Packet) -> Option<Stage> {
        self.life(relayer, packet).map(|life| life.stage)
    }

    pub async fn reaches(&self, relayer: &RelayerHandle, packet: &Packet, stage: Stage) {
        let stuck = || format!("{:?}", relayer.journal().transfer(&self.id(packet)).map(|t| (t.life, t.history)));
        until(|| self.stage(relayer, packet) == Some(stage), || format!("{stage}: {}", stuck())).await;
    }

    /// An audit from the chains alone; it must balance.
    pub async fn balances(&self) -> AuditReport {
        let report = tokio::time::timeout(BOUND, audit_once(&self.chains(), &|_, _, _| {})).await.unwrap().unwrap();
        assert!(report.is_balanced(), "{report:#?}");
        report
    }

    pub fn everything() -> Filter {
        Filter::default()
    }
}

/// Awaits a condition, looking every few milliseconds, for at most [`BOUND`].
pub async fn until(mut condition: impl FnMut() -> bool, what: impl Fn() -> String) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < BOUND, "did not come about: {}", what());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub async fn stop(relayer: RelayerHandle) {
    relayer.stop(Duration::from_secs(10)).await;
}
