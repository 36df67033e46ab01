//! The command line: what may be said. `--help` is written to be learned from.

mod evidence;
mod localnet;

pub use evidence::{At, EvidenceAnchorsArgs, EvidenceCommand, EvidenceExportArgs, EvidenceVerifyArgs, Pin};
pub use localnet::{
    LocalnetArgs, LocalnetCommand, LocalnetDownArgs, LocalnetLogsArgs, LocalnetRestartArgs, LocalnetUpArgs, NodeArgs,
};

use crate::keys::{KeyKind, KeyName};
use alloy::primitives::{Address as EvmAddress, B256};
use clap::{Args, Parser, Subcommand};
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{Address, ChainId, ClientId};
use crosspoint_protocol::secret::Hashlock;
use crosspoint_relayer::life::Stage;
use std::path::PathBuf;
use url::Url;

/// Where `transfer` and `audit` look for the service unless told.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8480";

/// The source revision this was built from.
pub const REVISION: &str = env!("CROSSPOINT_REVISION");

/// Version and source revision.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("CROSSPOINT_REVISION"), ")");

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed; the message says what, of what, and what to do
  2  the command line is wrong
  3  the settings or the input file are wrong; nothing was done
  4  the service or a chain cannot be reached
  5  the supply audit found an imbalance
  6  some transfers of a batch failed; the result file says which
  7  an evidence file does not hold; the message names the part that fails
130  interrupted; run the same command again to go on";

const EXAMPLES: &str = "\
Start here:
  crosspoint demo                         all of it on this machine, with a story
  crosspoint localnet up                  a native chain of 4 CometBFT nodes on this machine
  crosspoint config check --config my.toml
  crosspoint start --config my.toml       the service
  crosspoint transfer send --help         pay somebody on another chain

";

/// Loyalty points across chains, on proofs.
#[derive(Debug, Parser)]
#[command(name = "crosspoint", version = VERSION, about = "Loyalty points across chains, on proofs", propagate_version = true, max_term_width = 100,
    before_help = EXAMPLES, after_help = EXIT_CODES, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// Print one JSON value instead of text for people.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run both chains, attestors, relayer and API on this machine, and tell a story with real proofs.
    Demo(DemoArgs),
    /// Run the service: relay packets, answer the HTTP API.
    Start(ConfigArgs),
    /// Look at settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Send points, and see what became of them.
    #[command(subcommand)]
    Transfer(TransferCommand),
    /// Raise an invoice: a hashlock to be paid against, its secret kept by the service.
    #[command(subcommand)]
    Invoice(InvoiceCommand),
    /// Export what proves one transfer, and check such a file offline.
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    /// Compare what is locked and vaulted at home with the vouchers abroad, for every denom.
    Audit(ServiceArgs),
    /// Make, import and list keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Watch finalized headers of an EVM chain and serve signatures over them.
    Attest(AttestArgs),
    /// Bring the native chain the hand-over that the attestors of an EVM chain signed.
    RotateAttestors(RotateArgs),
    /// Run a native chain of CometBFT nodes on this machine, as processes.
    #[command(subcommand)]
    Localnet(LocalnetCommand),
    /// Run the ledger as the application of a CometBFT node on this machine.
    Node(NodeArgs),
    /// Bring the contracts on an EVM chain to what a plan says, or check that they stand so.
    Deploy(DeployArgs),
    /// What another chain needs to know of a native chain.
    #[command(subcommand)]
    Chain(ChainCommand),
    /// Open a route between two chains: a light client on each, from verified headers.
    #[command(subcommand)]
    Route(RouteCommand),
    /// Decide on a native chain, as a governor.
    #[command(subcommand)]
    Govern(GovernCommand),
    /// Look at every chain and route of the settings: what is well, what will be a problem, what is one, and what to do.
    Doctor(DoctorArgs),
    /// Print documentation that is made from the program.
    #[command(hide = true)]
    Docs(DocsArgs),
}

/// `crosspoint docs …`
#[derive(Debug, Clone, Copy, Args)]
pub struct DocsArgs {
    /// Which.
    #[command(subcommand)]
    pub command: DocsCommand,
}

/// What can be printed.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum DocsCommand {
    /// The command reference as Markdown.
    Cli,
}

/// `crosspoint demo`
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Takes about a minute. Everything runs on loopback, in a folder that is removed at the end.\nanvil is looked for in contracts/node_modules and in PATH, unless CROSSPOINT_ANVIL names it."
)]
pub struct DemoArgs {
    /// Stop when the story is told, instead of staying up for a look.
    #[arg(long)]
    pub exit: bool,
    /// Rows of the CSV batch.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=2000))]
    pub batch: u32,
    /// Keep the data folder and say where it is.
    #[arg(long)]
    pub keep: bool,
}

/// A settings file.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// The settings; `config/crosspoint.toml` is the commented reference.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// `crosspoint config …`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check a settings file, with the environment over it, and list every problem.
    #[command(
        after_help = "Example:\n  crosspoint config check --config crosspoint.toml\n  CROSSPOINT__HTTP__LISTEN=0.0.0.0:80 crosspoint config check --config crosspoint.toml --json"
    )]
    Check(ConfigArgs),
}

/// Where the service is.
#[derive(Debug, Clone, Args)]
pub struct ServiceArgs {
    /// The running service.
    #[arg(long, env = "CROSSPOINT_URL", default_value = DEFAULT_URL)]
    pub url: Url,
    /// A file with the API's token, where it asks for one.
    #[arg(long, env = "CROSSPOINT_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// `crosspoint transfer …`
#[derive(Debug, Subcommand)]
pub enum TransferCommand {
    /// Lock points on one chain for a receiver on another.
    #[command(after_help = SEND_EXAMPLES)]
    Send(Box<SendArgs>),
    /// List transfers, the newest first.
    List(ListArgs),
    /// Show one transfer with its whole history.
    Show(OneArgs),
    /// Claim a hold whose preimage you have (or whose invoice this service raised).
    Claim(ClaimArgs),
    /// Give up a hold whose claim deadline has passed, so that the sender is refunded by proof.
    Void(OneArgs),
    /// Try a transfer again now: one that waits for its next try, or is stuck.
    Retry(OneArgs),
}

const SEND_EXAMPLES: &str = "\
Without --hashlock the service makes a secret and claims for the receiver: a push transfer.
With --hashlock you pay an invoice: only its owner can claim, and the claim's proof is your receipt.

Examples:
  crosspoint transfer send --payer mall --from crosspoint-1 --to eip155-31337 \\
      --denom sfs --amount 1250 --receiver 0x70997970c51812dc3a010c7d01b50e0d17dc79c8
  crosspoint transfer send --payer mall --from crosspoint-1 --to eip155-31337 --denom sfs --file transfers.csv

A file has a header and one transfer per line; only receiver and amount must be there:
  receiver,amount,denom,memo,hashlock
  0x70997970c51812dc3a010c7d01b50e0d17dc79c8,1250,sfs,order 4711,
All lines are checked before any is sent. Interrupted, run the same command again: nothing is paid twice.";

/// `crosspoint transfer send`
#[derive(Debug, Clone, Args)]
pub struct SendArgs {
    /// Where the service is.
    #[command(flatten)]
    pub service: ServiceArgs,
    /// The service's key that pays.
    #[arg(long, value_name = "KEY")]
    pub payer: KeyName,
    /// The payer's chain.
    #[arg(long, value_name = "CHAIN")]
    pub from: ChainId,
    /// The receiver's chain. If no client leads there, the points are forwarded by native chains in between.
    #[arg(long, value_name = "CHAIN")]
    pub to: ChainId,
    /// The client on the payer's chain to send through; needed only if several lead to the receiver's.
    #[arg(long)]
    pub client: Option<ClientId>,
    /// What to send, as the payer's chain names it.
    #[arg(long)]
    pub denom: Option<Denom>,
    /// How much, in base units.
    #[arg(long, required_unless_present = "file", conflicts_with = "file", allow_negative_numbers = true)]
    pub amount: Option<Amount>,
    /// Who gets it, on the receiver's chain.
    #[arg(long, required_unless_present = "file", conflicts_with = "file", value_name = "ADDRESS")]
    pub receiver: Option<Address>,
    /// The invoice's hashlock. Without it: a push transfer.
    #[arg(long, conflicts_with = "file")]
    pub hashlock: Option<Hashlock>,
    /// A note for people, public on both chains.
    #[arg(long, conflicts_with = "file", default_value = "")]
    pub memo: String,
    /// Seconds until the packet can no longer be received. The service has a default.
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// Seconds from then on until the hold can no longer be claimed. The service has a default.
    #[arg(long, value_name = "SECONDS")]
    pub hold: Option<u64>,
    /// Makes a repeated request harmless. A random one unless given.
    #[arg(long, conflicts_with = "file", value_name = "TEXT")]
    pub idempotency_key: Option<String>,
    /// A CSV file with one transfer per line.
    #[arg(long, value_name = "CSV")]
    pub file: Option<PathBuf>,
    /// Send the good lines of a file that has bad ones.
    #[arg(long, requires = "file")]
    pub skip_invalid: bool,
    /// Return when the points are locked, without waiting for the end.
    #[arg(long)]
    pub no_wait: bool,
    /// Most requests at a time for a file.
    #[arg(long, requires = "file", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub parallel: u16,
}

/// `crosspoint transfer list`
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Where the service is.
    #[command(flatten)]
    pub service: ServiceArgs,
    /// Most lines.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub limit: u16,
    /// Go on after this cursor, as the previous page gave it.
    #[arg(long)]
    pub cursor: Option<String>,
    /// Only those at this stage, such as held, stuck or settled.
    #[arg(long)]
    pub stage: Option<Stage>,
    /// Only those sent on this chain.
    #[arg(long, value_name = "CHAIN")]
    pub from: Option<ChainId>,
    /// Only those to this chain.
    #[arg(long, value_name = "CHAIN")]
    pub to: Option<ChainId>,
    /// Only those with this hashlock, such as an invoice's.
    #[arg(long)]
    pub hashlock: Option<Hashlock>,
}

impl ListArgs {
    /// The filters, as the command line writes them and the HTTP API names them.
    #[must_use]
    pub fn filters(&self) -> Vec<(&'static str, String)> {
        let named = [
            ("stage", self.stage.map(|stage| stage.to_string())),
            ("from", self.from.as_ref().map(ToString::to_string)),
            ("to", self.to.as_ref().map(ToString::to_string)),
            ("hashlock", self.hashlock.map(|hashlock| hashlock.to_string())),
        ];
        named.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// One transfer.
#[derive(Debug, Clone, Args)]
pub struct OneArgs {
    /// Where the service is.
    #[command(flatten)]
    pub service: ServiceArgs,
    /// The transfer's id, as `send` and `list` print it.
    pub id: String,
}

/// `crosspoint transfer claim`
#[derive(Debug, Clone, Args)]
pub struct ClaimArgs {
    /// Which transfer.
    #[command(flatten)]
    pub one: OneArgs,
    /// A file with the preimage as 64 hex digits. Without it the service uses the secret it keeps.
    #[arg(long, value_name = "FILE")]
    pub preimage_file: Option<PathBuf>,
}

/// `crosspoint invoice …`
#[derive(Debug, Subcommand)]
pub enum InvoiceCommand {
    /// Make a secret, keep it in the service, and print its hashlock for the payer.
    New(InvoiceArgs),
}

/// `crosspoint invoice new`
#[derive(Debug, Clone, Args)]
pub struct InvoiceArgs {
    /// Where the service is.
    #[command(flatten)]
    pub service: ServiceArgs,
    /// The chain to be paid on.
    #[arg(long, value_name = "CHAIN")]
    pub chain: ChainId,
    /// Who is to be paid, on that chain.
    #[arg(long, value_name = "ADDRESS")]
    pub receiver: Address,
    /// What is to be paid, as that chain names it. A hold of anything else is not claimed.
    #[arg(long)]
    pub denom: Denom,
    /// How much, in base units.
    #[arg(long, allow_negative_numbers = true)]
    pub amount: Amount,
    /// Your number for this invoice: the same number gives the same hashlock again.
    #[arg(long, value_name = "TEXT")]
    pub reference: String,
}

/// Where keys are.
#[derive(Debug, Clone, Args)]
pub struct KeystoreArgs {
    /// The keystore's folder.
    #[arg(long, env = "CROSSPOINT_KEYSTORE", default_value = "keys", value_name = "FOLDER")]
    pub keystore: PathBuf,
}

/// A keystore and how it is opened.
#[derive(Debug, Clone, Args)]
pub struct OpenKeystoreArgs {
    /// Where keys are.
    #[command(flatten)]
    pub keystore: KeystoreArgs,
    /// A file with the passphrase. Without it CROSSPOINT_PASSPHRASE is read, then you are asked.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// `crosspoint keys …`
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key from the system's randomness.
    #[command(after_help = "Example:\n  crosspoint keys new --name mall --kind native")]
    New(NewKeyArgs),
    /// Encrypt a key you have.
    #[command(
        after_help = "The key is read from a file or asked for, never taken from the command line, where others could see it."
    )]
    Import(ImportKeyArgs),
    /// Names, kinds and addresses. Needs no passphrase.
    List(KeystoreArgs),
}

/// `crosspoint keys new`
#[derive(Debug, Clone, Args)]
pub struct NewKeyArgs {
    /// The keystore.
    #[command(flatten)]
    pub open: OpenKeystoreArgs,
    /// The key's name: a-z, 0-9, - and _.
    #[arg(long)]
    pub name: KeyName,
    /// native: a member of a native chain. evm: an account on an EVM chain, or an attestor. seed: for preimages.
    #[arg(long)]
    pub kind: KeyKind,
}

/// `crosspoint keys import`
#[derive(Debug, Clone, Args)]
pub struct ImportKeyArgs {
    /// The new key.
    #[command(flatten)]
    pub new: NewKeyArgs,
    /// A file with the secret as 64 hex digits. Without it you are asked.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
}

/// `crosspoint attest`
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Example:\n  crosspoint attest --endpoint http://127.0.0.1:8545 --chain eip155-31337 \\\n      --genesis-hash 0x… --key attestor-0 --listen 127.0.0.1:8491"
)]
pub struct AttestArgs {
    /// The keystore.
    #[command(flatten)]
    pub open: OpenKeystoreArgs,
    /// This attestor's own node of the chain. Never one it does not run: that is the point of attestors.
    #[arg(long, value_name = "URL")]
    pub endpoint: crate::settings::Endpoint,
    /// The chain, such as eip155-1.
    #[arg(long)]
    pub chain: ChainId,
    /// The hash of the chain's block 0, so that a node of another chain with the same number is noticed.
    #[arg(long, value_name = "HASH")]
    pub genesis_hash: B256,
    /// The attestor set it signs for: how often the set has changed.
    #[arg(long, default_value_t = 0)]
    pub epoch: u64,
    /// The addresses of the attestors that are to follow this set, with commas: it signs the hand-over for whoever asks.
    /// See `crosspoint rotate-attestors`.
    #[arg(long, value_delimiter = ',', value_name = "ADDRESS", requires = "next_quorum")]
    pub next_attestors: Vec<EvmAddress>,
    /// How many of those must sign.
    #[arg(long, value_name = "N", requires = "next_attestors")]
    pub next_quorum: Option<u64>,
    /// The key that signs, of kind evm.
    #[arg(long, value_name = "KEY")]
    pub key: KeyName,
    /// Where to serve signatures.
    #[arg(long, default_value = "127.0.0.1:8491", value_name = "ADDRESS")]
    pub listen: std::net::SocketAddr,
    /// Which blocks are signed: `finalized`, or a number of blocks below the newest.
    #[arg(long, default_value = "finalized")]
    pub finality: crate::settings::EvmFinality,
    /// Where what was signed is remembered, so that two blocks of one height are never both signed.
    #[arg(long, default_value = "attestor.journal", value_name = "FILE")]
    pub journal: PathBuf,
}

/// `crosspoint rotate-attestors`
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "A quorum of the present attestors must run with --next-attestors and --next-quorum, all naming the same set.\nAfter it, every attestor and every service needs the new settings: docs/operators.md.\n\nExample:\n  crosspoint rotate-attestors --config crosspoint.toml --chain eip155-31337"
)]
pub struct RotateArgs {
    /// The settings of the service: attestors of the present set, and the native chain with the relayer's key.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The EVM chain whose attestors hand over, such as eip155-1.
    #[arg(long)]
    pub chain: ChainId,
}

/// `crosspoint deploy`
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "The plan is all there is to trust: read it, then deploy. Run again with the same plan and manifest, it goes on where it\nstopped, and changes nothing that stands. --check sends nothing and needs no key.\n\nExamples:\n  crosspoint deploy --chain eip155-1337 --plan deploy.toml --key deployer\n  crosspoint deploy --chain eip155-1337 --plan deploy.toml --check"
)]
pub struct DeployArgs {
    /// The chain, such as eip155-1: it must be the plan's.
    #[arg(long)]
    pub chain: ChainId,
    /// What is to stand; `config/deploy.toml` is the commented reference.
    #[arg(long, default_value = "deploy.toml", value_name = "FILE")]
    pub plan: PathBuf,
    /// What stands: written after each contract, read when run again. CHAIN.manifest.json unless given.
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Compare the code, the wiring and all that is open with plan and manifest; send nothing.
    #[arg(long, conflicts_with = "key")]
    pub check: bool,
    /// The keystore.
    #[command(flatten)]
    pub open: OpenKeystoreArgs,
    /// The key that pays, of kind evm. Until the plan's council governs, it does.
    #[arg(long, value_name = "KEY", required_unless_present = "check")]
    pub key: Option<KeyName>,
}

/// `crosspoint chain …`
#[derive(Debug, Subcommand)]
pub enum ChainCommand {
    /// Print the newest signed header, as the plan of a deployment trusts it.
    #[command(
        after_help = "Ask nodes of several members: all must know the header that is printed.\n\nExample:\n  crosspoint chain anchor --chain crosspoint-1 --endpoint http://127.0.0.1:26657 --endpoint http://10.0.0.2:26657"
    )]
    Anchor(AnchorArgs),
}

/// `crosspoint chain anchor`
#[derive(Debug, Clone, Args)]
pub struct AnchorArgs {
    /// The native chain, such as crosspoint-1.
    #[arg(long)]
    pub chain: ChainId,
    /// A node of it; may be given several times.
    #[arg(long, value_name = "URL", required = true)]
    pub endpoint: Vec<crate::settings::Endpoint>,
}

/// `crosspoint route …`
#[derive(Debug, Subcommand)]
pub enum RouteCommand {
    /// Make both clients from the newest headers, register each as the other's counterparty, admit points as vouchers.
    #[command(
        after_help = "Does what the keys given can do, and says what is left: approvals of other governors, a delay, the council of an EVM chain.\nRun it again: what is there is left alone. The exit code is 6 while something is left.\n\nExample:\n  crosspoint route open brand-1 crosspoint-1 --config crosspoint.toml --key governor \\\n      --voucher crosspoint-1:stars:STARS:1000000"
    )]
    Open(RouteArgs),
}

/// Whose keys decide.
#[derive(Debug, Clone, Args)]
pub struct GovernorArgs {
    /// The settings that name the chains.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// A governor's key in the settings' keystore, of kind native; may be given several times.
    #[arg(long, value_name = "KEY")]
    pub key: Vec<KeyName>,
}

/// `crosspoint route open`
#[derive(Debug, Clone, Args)]
pub struct RouteArgs {
    /// One chain, as its id is in the settings.
    pub a: ChainId,
    /// The other.
    pub b: ChainId,
    /// Who decides.
    #[command(flatten)]
    pub governor: GovernorArgs,
    /// For how many seconds new clients trust a header. All deadlines lie within a third of it.
    #[arg(long, default_value_t = 14 * 24 * 3600, value_name = "SECONDS")]
    pub trusting_period: u64,
    /// Points of the other chain to be received: CHAIN:DENOM:SYMBOL:CAP, the chain that receives them, their name at home,
    /// a short name, and the most there may ever be. May be given several times.
    #[arg(long, value_name = "CHAIN:DENOM:SYMBOL:CAP")]
    pub voucher: Vec<String>,
}

/// `crosspoint govern …`
#[derive(Debug, Subcommand)]
pub enum GovernCommand {
    /// List proposals that wait, whole.
    List(GovernListArgs),
    /// Approve a proposal that you have read.
    #[command(
        after_help = "Example:\n  crosspoint govern list --chain crosspoint-1 --config crosspoint.toml\n  crosspoint govern approve --chain crosspoint-1 --proposal 4 --config crosspoint.toml --key governor"
    )]
    Approve(ApproveArgs),
    /// Propose an action, as JSON in a file: the form that `list` prints.
    #[command(
        after_help = "Example, to suspend a member (docs/protocol.md has all actions):\n  echo '{\"suspend_member\": {\"account\": \"point1…\"}}' > action.json\n  crosspoint govern propose --chain crosspoint-1 --action action.json --config crosspoint.toml --key governor"
    )]
    Propose(ProposeArgs),
}

/// `crosspoint govern list`
#[derive(Debug, Clone, Args)]
pub struct GovernListArgs {
    /// The settings that name the chain.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The native chain.
    #[arg(long)]
    pub chain: ChainId,
}

/// `crosspoint govern approve`
#[derive(Debug, Clone, Args)]
pub struct ApproveArgs {
    /// Who decides.
    #[command(flatten)]
    pub governor: GovernorArgs,
    /// The native chain.
    #[arg(long)]
    pub chain: ChainId,
    /// The proposal's number.
    #[arg(long, value_name = "NUMBER")]
    pub proposal: u64,
}

/// `crosspoint govern propose`
#[derive(Debug, Clone, Args)]
pub struct ProposeArgs {
    /// Who decides.
    #[command(flatten)]
    pub governor: GovernorArgs,
    /// The native chain.
    #[arg(long)]
    pub chain: ChainId,
    /// The action.
    #[arg(long, value_name = "FILE")]
    pub action: PathBuf,
}

/// `crosspoint doctor`
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Needs no running service and no passphrase, and sends nothing. The exit code is 1 if a line says fail.\n\nExamples:\n  crosspoint doctor --config crosspoint.toml\n  crosspoint doctor brand-1 crosspoint-1 --config crosspoint.toml"
)]
pub struct DoctorArgs {
    /// Only the route between these two chains.
    #[arg(value_name = "CHAIN", num_args = 2)]
    pub route: Vec<ChainId>,
    /// The settings.
    #[command(flatten)]
    pub config: ConfigArgs,
}
