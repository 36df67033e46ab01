//! `crosspoint localnet …` and `crosspoint node`: what may be said.

use clap::{Args, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// `crosspoint localnet …`
#[derive(Debug, Subcommand)]
pub enum LocalnetCommand {
    /// Start it; the first time make keys, genesis and settings. What runs already is left alone.
    #[command(after_help = UP_EXAMPLES)]
    Up(LocalnetUpArgs),
    /// Stop it. Data stays, unless told.
    Down(LocalnetDownArgs),
    /// Show what runs, and what each node says of the chain.
    Status(LocalnetArgs),
    /// Show the end of a validator's logs.
    Logs(LocalnetLogsArgs),
    /// Stop and start one validator, its node and its application.
    Restart(LocalnetRestartArgs),
}

const UP_EXAMPLES: &str = "\
Validator I listens on 127.0.0.1: base port + 10 I for peers, + 1 for the RPC, + 2 for its application.
CometBFT is installed by `make setup`; CROSSPOINT_COMETBFT names another one.

Examples:
  crosspoint localnet up --validators 4
  curl http://127.0.0.1:26601/status
  crosspoint localnet status
  crosspoint localnet down --wipe";

/// Where a network is.
#[derive(Debug, Clone, Args)]
pub struct LocalnetArgs {
    /// The network's folder.
    #[arg(long, env = "CROSSPOINT_LOCALNET", default_value = "localnet", value_name = "FOLDER")]
    pub home: PathBuf,
}

/// `crosspoint localnet up`
#[derive(Debug, Clone, Args)]
pub struct LocalnetUpArgs {
    /// Where it is.
    #[command(flatten)]
    pub localnet: LocalnetArgs,
    /// How many validators a new network has: 4 unless told.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub validators: Option<u16>,
    /// The first port of a new network: 26600 unless told.
    #[arg(long, value_name = "PORT")]
    pub base_port: Option<u16>,
    /// Milliseconds from a block to the next in a new network: 1000 unless told.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(50..=60_000))]
    pub block_ms: Option<u64>,
    /// A snapshot every so many blocks in a new network: 100 unless told.
    #[arg(long, value_name = "BLOCKS", value_parser = clap::value_parser!(u64).range(1..))]
    pub snapshot_every: Option<u64>,
    /// The genesis of a new network, as TOML; its validators and its time are replaced. Otherwise that of the demo,
    /// whose members' keys everybody knows.
    #[arg(long, value_name = "FILE")]
    pub genesis: Option<PathBuf>,
}

/// `crosspoint localnet down`
#[derive(Debug, Clone, Args)]
pub struct LocalnetDownArgs {
    /// Where it is.
    #[command(flatten)]
    pub localnet: LocalnetArgs,
    /// Remove its folder too: keys, blocks, state.
    #[arg(long)]
    pub wipe: bool,
}

/// `crosspoint localnet logs`
#[derive(Debug, Clone, Args)]
pub struct LocalnetLogsArgs {
    /// Where it is.
    #[command(flatten)]
    pub localnet: LocalnetArgs,
    /// The validator's number, from 0.
    pub validator: u16,
    /// How many lines of each log.
    #[arg(long, default_value_t = 20, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=2000))]
    pub lines: u16,
}

/// `crosspoint localnet restart`
#[derive(Debug, Clone, Args)]
pub struct LocalnetRestartArgs {
    /// Where it is.
    #[command(flatten)]
    pub localnet: LocalnetArgs,
    /// The validator's number, from 0.
    pub validator: u16,
    /// Remove its blocks and state first, and join again by a snapshot of the others (state sync). Its keys stay.
    #[arg(long)]
    pub resync: bool,
}

/// `crosspoint node`
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "The folder is the home of a CometBFT 0.38 node: config/genesis.json with the ledger's genesis under app_state, and\nproxy_app = \"tcp://127.0.0.1:26658\" in config/config.toml. The application keeps its state in app/db; app/bridge.key\nholds the validator's bridge key (64 hex digits, mode 600), with which it signs checkpoints in its votes.\n\nExample:\n  crosspoint node --home node0 &\n  cometbft start --home node0"
)]
pub struct NodeArgs {
    /// The node's home.
    #[arg(long, value_name = "FOLDER")]
    pub home: PathBuf,
    /// Where to listen for the node: a loopback address.
    #[arg(long, default_value = "127.0.0.1:26658", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Make a snapshot of the state every so many blocks, for nodes that join; 0: never.
    #[arg(long, default_value_t = 1_000, value_name = "BLOCKS")]
    pub snapshot_every: u64,
    /// How many of the newest snapshots are kept.
    #[arg(long, default_value_t = 2, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub snapshots: u16,
}
