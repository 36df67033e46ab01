//! The `solo` engine: one process that runs all validators of a chain. It makes real Tendermint headers and
//! commits; what it leaves out is the voting over a network. For development, demos and tests.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crosspoint_protocol::ids::{Height, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::clock::BlockClock;
use super::keys::{KeyError, SEED_FILE, Seed, ValidatorKeys};
use super::mempool::{Mempool, MempoolLimits};
use super::node::Node;
use super::producer::{ProduceError, Producer};
use crate::app::{App, AppError};
use crate::genesis::{Genesis, GenesisError};
use crate::rpc::{self, RpcLimits};

/// Whose keys sign.
#[derive(Debug, Clone)]
pub enum Validators {
    /// This many development validators of power 10 take the place of those in the genesis. Their keys are
    /// derived from the seed, or from a random one kept in the data directory.
    Derived {
        /// How many.
        count: u32,
        /// The seed; `None`: the file [`SEED_FILE`] in the data directory, made if it is not there.
        seed: Option<Seed>,
    },
    /// The genesis names its validators; these are their keys.
    Given(Vec<ValidatorKeys>),
}

/// When blocks are made.
#[derive(Debug, Clone, Copy)]
pub struct BlockTiming {
    /// From one block to the next.
    pub interval: Duration,
    /// From one block to the next while transactions wait, or the last block's await the header that proves
    /// them. `None`: as `interval`.
    pub when_waiting: Option<Duration>,
    /// From one block to the next while nothing waits. `None`: as `interval`.
    pub when_idle: Option<Duration>,
}

impl Default for BlockTiming {
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), when_waiting: None, when_idle: None }
    }
}

impl BlockTiming {
    /// A block each `interval`, whatever there is to do.
    #[must_use]
    pub const fn every(interval: Duration) -> Self {
        Self { interval, when_waiting: None, when_idle: None }
    }

    fn pause(&self, waiting: bool) -> Duration {
        let special = if waiting { self.when_waiting } else { self.when_idle };
        special.unwrap_or(self.interval)
    }
}

/// What a solo chain is started with.
#[derive(Debug, Clone)]
pub struct SoloConfig {
    /// Where the chain is kept.
    pub data_dir: PathBuf,
    /// What it starts from.
    pub genesis: Genesis,
    /// Whose keys sign.
    pub validators: Validators,
    /// Where the RPC listens. Port 0 takes a free one.
    pub rpc_addr: SocketAddr,
    /// When blocks are made.
    pub timing: BlockTiming,
    /// What may wait for a block.
    pub mempool: MempoolLimits,
    /// What clients of the RPC may ask for.
    pub rpc: RpcLimits,
}

impl SoloConfig {
    /// Four derived validators, a block each second, the RPC on a free loopback port.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>, genesis: Genesis) -> Self {
        Self {
            data_dir: data_dir.into(),
            genesis,
            validators: Validators::Derived { count: 4, seed: None },
            rpc_addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            timing: BlockTiming::default(),
            mempool: MempoolLimits::default(),
            rpc: RpcLimits::default(),
        }
    }
}

/// Why a solo chain did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum SoloError {
    /// The data directory.
    #[error("data directory {path}: {source}")]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The genesis.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The application.
    #[error(transparent)]
    App(#[from] AppError),
    /// Making blocks.
    #[error(transparent)]
    Produce(#[from] ProduceError),
    /// The RPC could not listen.
    #[error("the RPC cannot listen on {addr}: {source}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A task of the engine ended without saying why.
    #[error("the {0} ended unexpectedly")]
    Ended(&'static str),
    /// A block did not come in time.
    #[error("no block at height {wanted} after {within:?}; the newest is {newest}")]
    NoBlock {
        /// The height waited for.
        wanted: u64,
        /// How long.
        within: Duration,
        /// The newest height.
        newest: u64,
    },
}

/// The engine.
#[derive(Debug)]
pub struct Solo;

/// A running solo chain. Dropping it stops the chain without waiting; [`SoloHandle::stop`] waits.
#[derive(Debug)]
pub struct SoloHandle {
    rpc_addr: SocketAddr,
    node: Arc<Node>,
    clock: Arc<BlockClock>,
    keys: Vec<ValidatorKeys>,
    genesis: Genesis,
    make_block: mpsc::Sender<oneshot::Sender<u64>>,
    stop: CancellationToken,
    blocks: JoinHandle<Result<(), SoloError>>,
    server: JoinHandle<()>,
}

impl Solo {
    /// Opens the chain in the data directory, or starts it from the genesis; makes blocks and serves the RPC
    /// until it is stopped.
    ///
    /// # Errors
    /// [`SoloError`] says what of the settings, the directory or the network is in the way.
    pub async fn start(config: SoloConfig) -> Result<SoloHandle, SoloError> {
        let SoloConfig { data_dir, mut genesis, validators, rpc_addr, timing, mempool, rpc } = config;
        std::fs::create_dir_all(&data_dir).map_err(|source| SoloError::DataDir { path: data_dir.clone(), source })?;
        let keys = match validators {
            Validators::Given(keys) => keys,
            Validators::Derived { count, seed } => {
                let seed = seed.map_or_else(|| Seed::load_or_create(&data_dir.join(SEED_FILE)), Ok)?;
                let keys = ValidatorKeys::derive_all(&seed, count)?;
                let name = |index: usize| format!("validator-{index}");
                let validator =
                    |(index, k): (usize, &ValidatorKeys)| k.genesis_validator(&genesis.chain_id, &name(index), 10);
                genesis.validators = keys.iter().enumerate().map(validator).collect();
                keys
            }
        };
        genesis.validate()?;

        let app = App::open(&data_dir.join("db"), &genesis)?;
        let (mut producer, node, clock) = Producer::open(app, &genesis, keys.clone(), Mempool::new(mempool))?;
        if node.latest().height == 0 {
            // So that whoever asks a running chain finds a header.
            producer = produced(producer).await?.0;
        }
        let listener = tokio::net::TcpListener::bind(rpc_addr).await;
        let listen = |source| SoloError::Listen { addr: rpc_addr, source };
        let listener = listener.map_err(listen)?;
        let rpc_addr = listener.local_addr().map_err(listen)?;

        let stop = CancellationToken::new();
        let (make_block, requests) = mpsc::channel(16);
        let server = tokio::spawn(rpc::serve(listener, Arc::clone(&node), rpc, stop.clone()));
        let blocks = tokio::spawn(make_blocks(producer, Arc::clone(&node), timing, requests, stop.clone()));
        tracing::info!(chain = %node.chain_id, %rpc_addr, height = node.latest().height, "solo chain started");
        Ok(SoloHandle { rpc_addr, node, clock, keys, genesis, make_block, stop, blocks, server })
    }
}

/// Makes one block. Execution and the database's synced write would hold up the tasks of this thread, so another
/// one does it.
async fn produced(mut producer: Producer) -> Result<(Producer, u64), SoloError> {
    let made = tokio::task::spawn_blocking(move || {
        let height = producer.produce()?;
        Ok::<_, ProduceError>((producer, height))
    });
    Ok(made.await.map_err(|_| SoloError::Ended("block producer"))??)
}

/// The block loop. Ends when told to, after the block at hand; or when a block cannot be made.
async fn make_blocks(
    mut producer: Producer,
    node: Arc<Node>,
    timing: BlockTiming,
    mut requests: mpsc::Receiver<oneshot::Sender<u64>>,
    stop: CancellationToken,
) -> Result<(), SoloError> {
    // Whatever way this ends, the RPC must not go on serving a chain that stands still.
    let _stop_all = stop.clone().drop_guard();
    let mut last = tokio::time::Instant::now();
    loop {
        let waiting = producer.awaits_proof() || node.mempool.has_ready();
        let wake = last.checked_add(timing.pause(waiting)).unwrap_or(last);
        let mut asked = None;
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            request = requests.recv() => match request {
                Some(request) => asked = Some(request),
                // The handle is gone; its drop has cancelled `stop` too.
                None => return Ok(()),
            },
            () = tokio::time::sleep_until(wake) => {}
            () = node.mempool.arrival(), if !waiting => continue,
        }
        last = tokio::time::Instant::now();
        let (returned, height) = produced(producer).await.inspect_err(|error| {
            tracing::error!(%error, "no block can be made; the chain stops");
        })?;
        producer = returned;
        if let Some(asked) = asked {
            // Who asked may have gone.
            let _ = asked.send(height);
        }
    }
}

impl SoloHandle {
    /// Where the RPC listens.
    #[must_use]
    pub const fn rpc_addr(&self) -> SocketAddr {
        self.rpc_addr
    }

    /// The RPC's base URL.
    #[must_use]
    pub fn rpc_url(&self) -> String {
        format!("http://{}", self.rpc_addr)
    }

    /// The genesis the chain runs by, its validators filled in.
    #[must_use]
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The keys of the validators.
    #[must_use]
    pub fn keys(&self) -> &[ValidatorKeys] {
        &self.keys
    }

    /// What the engine and the RPC share, for use in the same process.
    #[must_use]
    pub const fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// The newest height.
    #[must_use]
    pub fn height(&self) -> Height {
        Height(self.node.latest().height)
    }

    /// The time in the newest header; `None` before the first block.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        let seconds = self.node.latest().header?.time.unix_timestamp();
        u64::try_from(seconds).ok().map(Timestamp)
    }

    /// Makes a block now and gives its height.
    ///
    /// # Errors
    /// [`SoloError::Ended`] when the chain has stopped.
    pub async fn make_block(&self) -> Result<Height, SoloError> {
        let (asked, made) = oneshot::channel();
        self.make_block.send(asked).await.map_err(|_| SoloError::Ended("block loop"))?;
        made.await.map(Height).map_err(|_| SoloError::Ended("block loop"))
    }

    /// Moves the time of all later headers forward, and makes a block with the new time. For tests.
    ///
    /// # Errors
    /// [`SoloError::Ended`] when the chain has stopped.
    pub async fn advance_time(&self, by: Duration) -> Result<Height, SoloError> {
        self.clock.advance(by);
        self.make_block().await
    }

    /// Waits for a block at `height`, at most `within`.
    ///
    /// # Errors
    /// [`SoloError::NoBlock`] when it does not come in time.
    pub async fn wait_height(&self, height: Height, within: Duration) -> Result<Height, SoloError> {
        let reached = self.node.wait_height(height.0, within).await;
        reached.map(Height).map_err(|newest| SoloError::NoBlock { wanted: height.0, within, newest })
    }

    /// Whether the chain still makes blocks.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.blocks.is_finished()
    }

    /// Stops after the block at hand: no more blocks, no more answers; then the database is closed.
    ///
    /// # Errors
    /// Why the chain had stopped by itself before, if it had.
    pub async fn stop(mut self) -> Result<(), SoloError> {
        self.stop.cancel();
        let ended = (&mut self.blocks).await.map_err(|_| SoloError::Ended("block loop"))?;
        (&mut self.server).await.map_err(|_| SoloError::Ended("RPC server"))?;
        ended
    }
}

impl Drop for SoloHandle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
