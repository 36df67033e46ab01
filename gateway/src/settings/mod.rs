//! Settings: a TOML file, then the environment over it.
//!
//! `CROSSPOINT__HTTP__LISTEN=0.0.0.0:8480` sets `listen` in `[http]`; two underscores stand for a dot.
//! Unknown keys are refused, and all problems are reported at once with their paths. A secret is never
//! a setting: settings name a key in the keystore, a passphrase file, or an environment variable.
//! `config/crosspoint.toml` is the commented reference.

mod chain;
mod endpoint;
mod reader;

pub use chain::{Attestors, ChainKind, ChainSettings, EvmChain, EvmFinality, HeaderSource, NativeChain};
pub use endpoint::{Endpoint, EndpointError};

use config::{Config, Environment, File, FileFormat};
use reader::Reader;
use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Largest settings file that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// One thing wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The key's path, such as `chains.ethereum.gateway`; empty for the file itself.
    pub path: String,
    /// What is wrong and what to do.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.what) } else { write!(f, "{} {}", self.path, self.what) }
    }
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings file {path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// The file is not TOML, or the environment is not text.
    #[error("the settings in {path} cannot be parsed: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// All that is wrong.
    #[error("{} in the settings of {}:{}", count(.problems), .path.display(), lines(.problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Every problem, in the order of the file's sections.
        problems: Vec<Problem>,
    },
}

fn count(problems: &[Problem]) -> String {
    if problems.len() == 1 { "1 problem".into() } else { format!("{} problems", problems.len()) }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|p| format!("\n  - {p}")).collect()
}

/// Who may POST.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// Whoever shows the token in this file.
    TokenFile(PathBuf),
    /// Everybody who reaches the port. Only on loopback.
    Off,
}

/// The HTTP API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Http {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who may change anything through it.
    pub auth: Auth,
    /// Largest request body in bytes.
    pub max_body_bytes: u64,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    People,
    /// One JSON object per line.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "people" => Ok(Self::People),
            "json" => Ok(Self::Json),
            _ => Err(format!("`{}` is neither", text.chars().take(32).collect::<String>())),
        }
    }
}

/// Logging.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Log {
    /// The form of a line.
    pub format: LogFormat,
    /// What is logged, in the language of `tracing`: `info`, or `info,crosspoint_relayer=debug`.
    pub filter: String,
}

/// Where keys are and how they are opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeystoreSettings {
    /// The folder with one encrypted file per key.
    pub dir: PathBuf,
    /// A file with the passphrase on its first line. `None`: the environment variable `CROSSPOINT_PASSPHRASE`.
    pub passphrase_file: Option<PathBuf>,
    /// The key of kind `seed` from which preimages of push transfers are derived. `None`: only transfers
    /// with a hashlock are taken.
    pub seed: Option<String>,
}

/// The relayer's bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RelayerSettings {
    /// Most packets in one transaction.
    pub batch_items: u64,
    /// Most batches of one route on their way at once.
    pub batches_at_once: u64,
    /// How long a batch waits for more packets, in milliseconds.
    pub batch_wait_ms: u64,
    /// Fewest seconds before a claim deadline at which a claim is still broadcast.
    pub claim_margin_seconds: u64,
    /// Seconds between two supply audits.
    pub audit_seconds: u64,
}

/// Deadlines of a transfer for which nobody chose any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Windows {
    /// Seconds from the payer's chain's time to the packet's timeout.
    pub timeout_seconds: u64,
    /// Seconds from the timeout to the claim deadline.
    pub hold_seconds: u64,
}

/// All settings of `crosspoint start`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Where the journal and all else that must outlive the process is kept.
    pub data_dir: PathBuf,
    /// The HTTP API.
    pub http: Http,
    /// Logging.
    pub log: Log,
    /// Keys.
    pub keystore: KeystoreSettings,
    /// The relayer.
    pub relayer: RelayerSettings,
    /// Default deadlines.
    pub windows: Windows,
    /// The chains, by the name their table has.
    pub chains: BTreeMap<String, ChainSettings>,
}

impl Settings {
    /// Reads a file and the process environment over it. Relative paths in the file are relative to the file's folder.
    ///
    /// # Errors
    /// The file cannot be read or parsed, or anything in it is wrong; then with every problem.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        Self::load_with(path, None)
    }

    /// As [`Settings::load`], with these variables instead of the process environment.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn load_with(path: &Path, environment: Option<HashMap<String, String>>) -> Result<Self, SettingsError> {
        let unreadable = |e: std::io::Error| SettingsError::Unreadable { path: path.into(), reason: e.to_string() };
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        if size > MAX_FILE {
            let reason = format!("it has {size} bytes; at most {MAX_FILE} are read");
            return Err(SettingsError::Unreadable { path: path.into(), reason });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text, path, environment)
    }

    fn parse(text: &str, path: &Path, environment: Option<HashMap<String, String>>) -> Result<Self, SettingsError> {
        let syntax = |e: config::ConfigError| SettingsError::Syntax { path: path.into(), reason: e.to_string() };
        let environment = environment.map(|vars| vars.into_iter().collect());
        let source = Environment::with_prefix("CROSSPOINT").prefix_separator("__").separator("__").source(environment);
        let built = Config::builder()
            .add_source(File::from_str(text, FileFormat::Toml))
            .add_source(source)
            .build()
            .map_err(syntax)?;
        let table = built.cache.into_table().map_err(syntax)?;
        let problems = Rc::new(RefCell::new(vec![]));
        let base = path.parent().unwrap_or(Path::new(""));
        let settings = read(Reader::root(table, &problems), base);
        let problems = problems.take();
        match settings {
            Some(settings) if problems.is_empty() => Ok(settings),
            _ => Err(SettingsError::Invalid { path: path.into(), problems }),
        }
    }
}

/// Reads every section before it gives up, so that all problems are found.
fn read(mut root: Reader, base: &Path) -> Option<Settings> {
    let data_dir = root.or("data_dir", PathBuf::from("data"), "a folder");
    let http = read_http(root.section("http"), base);
    let log = read_log(root.section("log"));
    let keystore = read_keystore(root.section("keystore"), base);
    let relayer = read_relayer(root.section("relayer"));
    let windows = read_windows(root.section("windows"));
    let mut chains = BTreeMap::new();
    let sections = root.named_sections("chains");
    if sections.len() < 2 {
        root.problem("chains", "must name at least two chains, such as [chains.native] and [chains.ethereum]");
    }
    let mut complete = true;
    for (name, section) in sections {
        match chain::read(section) {
            Some(chain) => {
                if let Some((other, _)) = chains.iter().find(|(_, c): &(_, &ChainSettings)| c.id == chain.id) {
                    root.problem(
                        "chains",
                        format!("name chain {} twice, as {other} and as {name}; remove one", chain.id),
                    );
                }
                chains.insert(name, chain);
            }
            None => complete = false,
        }
    }
    root.finish();
    let (http, keystore) = (http?, keystore?);
    complete.then(|| Settings { data_dir: base.join(data_dir), http, log, keystore, relayer, windows, chains })
}

fn read_http(mut r: Reader, base: &Path) -> Option<Http> {
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 8480));
    let listen: SocketAddr = r.or("listen", default, "an address and port, such as 127.0.0.1:8480");
    let token_file: Option<PathBuf> = r.maybe("token_file", "a file that holds the token");
    let mode: String = r.or("auth", "token".to_owned(), "`token` or `off`");
    let max_body_bytes = r.number("max_body_bytes", 64 * 1024, 1024, 16 * 1024 * 1024);
    let auth = match (mode.as_str(), token_file) {
        ("token", Some(file)) => Some(Auth::TokenFile(base.join(file))),
        ("token", None) => {
            r.problem("token_file", "is missing; name a file with at least 32 random characters, or set auth = \"off\" on a loopback address");
            None
        }
        ("off", _) if listen.ip().is_loopback() => Some(Auth::Off),
        ("off", _) => {
            r.problem(
                "auth",
                format!(
                    "is off, but listen = {listen} can be reached by others; listen on 127.0.0.1 or set a token_file"
                ),
            );
            None
        }
        _ => {
            r.problem("auth", "must be `token` or `off`");
            None
        }
    };
    r.finish();
    Some(Http { listen, auth: auth?, max_body_bytes })
}

fn read_log(mut r: Reader) -> Log {
    let format = r.or("format", LogFormat::People, "`people` or `json`");
    let filter: String = r.or("filter", "info".to_owned(), "a tracing filter, such as info");
    if let Err(e) = tracing_subscriber::EnvFilter::try_new(&filter) {
        r.problem("filter", format!("must be a tracing filter, such as info: {e}"));
    }
    r.finish();
    Log { format, filter }
}

fn read_keystore(mut r: Reader, base: &Path) -> Option<KeystoreSettings> {
    let dir: Option<PathBuf> = r.need("dir", "the folder that `crosspoint keys new` writes to");
    let passphrase_file: Option<PathBuf> = r.maybe("passphrase_file", "a file that holds the passphrase");
    let seed: Option<crate::keys::KeyName> = r.maybe("seed", "the name of a key of kind seed");
    r.finish();
    Some(KeystoreSettings {
        dir: base.join(dir?),
        passphrase_file: passphrase_file.map(|file| base.join(file)),
        seed: seed.map(|name| name.to_string()),
    })
}

fn read_relayer(mut r: Reader) -> RelayerSettings {
    let settings = RelayerSettings {
        batch_items: r.number("batch_items", 50, 1, 200),
        batches_at_once: r.number("batches_at_once", 4, 1, 16),
        batch_wait_ms: r.number("batch_wait_ms", 200, 0, 60_000),
        claim_margin_seconds: r.number("claim_margin_seconds", 30, 1, 86_400),
        audit_seconds: r.number("audit_seconds", 15, 1, 86_400),
    };
    r.finish();
    settings
}

fn read_windows(mut r: Reader) -> Windows {
    let windows = Windows {
        timeout_seconds: r.number("timeout_seconds", 3600, 5, 86_400),
        hold_seconds: r.number("hold_seconds", 7200, 1, 30 * 86_400),
    };
    r.finish();
    windows
}

#[cfg(test)]
mod tests;
