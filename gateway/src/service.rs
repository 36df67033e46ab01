//! Wiring: chains, relayer, desk and HTTP server become one running service.

use crate::api::Api;
use crate::api::auth::Guard;
use crate::cli::args::REVISION;
use crate::desk::{Desk, DeskChain, DeskParts};
use crate::secrets::Secrets;
use crate::settings::{Auth, Windows};
use anyhow::{Context, Result, bail};
use crosspoint_adapters::attestor::AttestorPool;
use crosspoint_adapters::chain::Chain;
use crosspoint_adapters::observer::RpcObserver;
use crosspoint_protocol::ids::ChainId;
use crosspoint_relayer::journal::SecretBox;
use crosspoint_relayer::metrics::Metrics;
use crosspoint_relayer::{Relayer, RelayerConfig};
use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The longest wait for requests and relayer to finish when stopping.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Counts RPC requests in the relayer's metrics.
pub struct CountRequests(pub Arc<Metrics>);

impl RpcObserver for CountRequests {
    fn request(&self, chain: &ChainId, method: &'static str, outcome: &'static str, took: Duration) {
        self.0.rpc(chain, method, outcome, took);
    }
}

/// What a service is made of.
pub struct ServiceParts {
    /// The chains, with the keys that may pay on them.
    pub chains: Vec<DeskChain>,
    /// The attestors of those of them that have attestors.
    pub attestors: Vec<AttestorPool>,
    /// The relayer's settings.
    pub relayer: RelayerConfig,
    /// The metrics that everything counts in.
    pub metrics: Arc<Metrics>,
    /// The secrets; without them only transfers with a hashlock are taken.
    pub secrets: Option<Arc<Secrets>>,
    /// Default deadlines.
    pub windows: Windows,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Who may change anything through it.
    pub auth: Auth,
    /// Largest request body in bytes.
    pub max_body_bytes: usize,
}

/// A running service.
pub struct RunningService {
    desk: Arc<Desk>,
    address: SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<()>,
    /// Held while this process may write the journal; the system lets it go when the process ends.
    journal_lock: File,
}

impl RunningService {
    /// Starts relayer and API.
    ///
    /// # Errors
    /// The token cannot be read, the port is taken, or the journal cannot be opened.
    pub async fn start(parts: ServiceParts) -> Result<Self> {
        let guard = Guard::new(&parts.auth)?;
        // The port first: a second service on it must not get as far as the journal.
        let listener = TcpListener::bind(parts.listen)
            .await
            .with_context(|| format!("cannot listen on {}; is another service running there?", parts.listen))?;
        let address = listener.local_addr().context("the listening socket has no address")?;
        parts.metrics.build_info(env!("CARGO_PKG_VERSION"), REVISION);
        let chains: Vec<Arc<dyn Chain>> = parts.chains.iter().map(|entry| Arc::clone(&entry.chain)).collect();
        let claim_margin = parts.relayer.claim_margin_s;
        std::fs::create_dir_all(&parts.relayer.journal)
            .with_context(|| format!("cannot make the journal's folder {}", parts.relayer.journal.display()))?;
        let journal_lock = lock_journal(&parts.relayer.journal)?;
        let mut relayer = Relayer::new(parts.relayer, chains, Arc::clone(&parts.metrics));
        if let Some(secrets) = &parts.secrets {
            relayer = relayer.with_secret_box(Arc::clone(secrets) as Arc<dyn SecretBox>);
        }
        let relayer = relayer.start()?;
        let desk = Desk::new(DeskParts {
            chains: parts.chains,
            attestors: parts.attestors,
            relayer,
            metrics: parts.metrics,
            secrets: parts.secrets,
            windows: parts.windows,
            claim_margin,
        });
        let api = Api::new(Arc::clone(&desk), guard, parts.max_body_bytes);
        let stop = CancellationToken::new();
        let server = tokio::spawn(api.serve(listener, stop.clone().cancelled_owned()));
        Ok(Self { desk, address, stop, server, journal_lock })
    }

    /// Where the API listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The service behind the API.
    #[must_use]
    pub const fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Lets requests in progress finish, writes down what the relayer submitted, and ends.
    pub async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(STOP_LIMIT, self.server).await.is_err() {
            tracing::warn!("some requests did not finish in time");
        }
        self.desk.stop(STOP_LIMIT).await;
        drop(self.journal_lock);
    }
}

/// Keeps a second process from the journal, with words instead of a database's.
fn lock_journal(journal: &Path) -> Result<File> {
    let path = journal.with_extension("lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "the journal {} is in use by another process; stop that one, or give this one a data_dir of its own",
            journal.display()
        ),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}
