//! The files of one organisation's node: CometBFT's home, with the application's part beside it.
//!
//! | file | what |
//! |---|---|
//! | `config/genesis.json` | the chain, its application's genesis under `app_state`; both programs read it |
//! | `config/config.toml` | the node's settings |
//! | `config/node_key.json` | what names the node to its peers; mode 0600 |
//! | `config/priv_validator_key.json` | the consensus key; mode 0600 |
//! | `data/` | the node's blocks |
//! | `app/bridge.key` | the bridge key, 64 hex digits; mode 0600; absent where the node is no validator |
//! | `app/db/`, `app/snapshots/` | the application's state |

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crosspoint_light_proofs::signature::SigningKey as BridgeKey;
use serde_json::json;
use zeroize::Zeroizing;

use super::super::keys::{KeyError, read_secret, write_secret};
use super::super::params::{MAX_BLOCK_TXS, ParamsError, consensus_params, genesis_document, validator_set};
use super::super::validators::{ValidatorSetError, consensus_address};
use crate::genesis::{Genesis, GenesisError};
use crate::rpc::RpcLimits;
use crate::tx::MAX_TX_BYTES;

/// Why a node's files cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// A file.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A secret file.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The genesis file is not one of this chain.
    #[error("{path}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The genesis.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The genesis in CometBFT's form.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// The validators.
    #[error(transparent)]
    Validators(#[from] ValidatorSetError),
}

/// A node that this one keeps a connection to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its node id, 40 hex digits.
    pub id: String,
    /// Where it listens for peers.
    pub addr: SocketAddr,
}

/// How a node that has no blocks joins by a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSync {
    /// RPC addresses that headers are verified over, two or more.
    pub rpc_servers: Vec<SocketAddr>,
    /// A height that is trusted.
    pub trust_height: u64,
    /// The hash of its header, in hex.
    pub trust_hash: String,
}

/// The settings of a node that differ from CometBFT's own.
#[derive(Debug, Clone)]
pub struct NodeSettings {
    /// Its name for people.
    pub moniker: String,
    /// Where its application listens.
    pub app: SocketAddr,
    /// Where its RPC listens.
    pub rpc: SocketAddr,
    /// Where it listens for peers.
    pub p2p: SocketAddr,
    /// Its peers.
    pub peers: Vec<Peer>,
    /// From a block to the next.
    pub block_time: Duration,
    /// How it joins; `None`: by all blocks.
    pub state_sync: Option<StateSync>,
}

/// A node's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home(PathBuf);

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> HomeError {
    let path = path.to_owned();
    move |source| HomeError::Io { path, source }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// An ed25519 key as CometBFT writes it: the seed and the public key.
fn private_key(key: &ed25519_dalek::SigningKey) -> Zeroizing<String> {
    Zeroizing::new(base64(&key.to_keypair_bytes()))
}

/// A node's id: the address of its key, in small hex digits.
#[must_use]
pub fn node_id(key: &ed25519_dalek::SigningKey) -> String {
    hex::encode(consensus_address(&key.verifying_key().to_bytes()).as_bytes())
}

impl Home {
    /// A directory. Nothing is read or written yet.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// The application's directory.
    #[must_use]
    pub fn app_dir(&self) -> PathBuf {
        self.0.join("app")
    }

    /// The genesis file.
    #[must_use]
    pub fn genesis_file(&self) -> PathBuf {
        self.0.join("config/genesis.json")
    }

    fn bridge_file(&self) -> PathBuf {
        self.app_dir().join("bridge.key")
    }

    /// Makes the directories and writes genesis, settings and a node's key.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn write(
        &self,
        genesis: &Genesis,
        settings: &NodeSettings,
        node_key: &ed25519_dalek::SigningKey,
    ) -> Result<(), HomeError> {
        for dir in ["config", "data", "app"] {
            let dir = self.0.join(dir);
            std::fs::create_dir_all(&dir).map_err(io(&dir))?;
        }
        self.write_text("config/genesis.json", &genesis_text(genesis)?)?;
        self.write_settings(settings)?;
        let key = json!({ "priv_key": { "type": "tendermint/PrivKeyEd25519", "value": *private_key(node_key) } });
        Ok(write_secret(&self.0.join("config/node_key.json"), &Zeroizing::new(format!("{key:#}\n")))?)
    }

    /// Writes the settings alone.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn write_settings(&self, settings: &NodeSettings) -> Result<(), HomeError> {
        self.write_text("config/config.toml", &settings.text())
    }

    /// Writes a validator's keys: the consensus key and the secret of the bridge key.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn write_keys(&self, consensus: &ed25519_dalek::SigningKey, bridge: &[u8; 32]) -> Result<(), HomeError> {
        let public = consensus.verifying_key().to_bytes();
        let key = json!({
            "address": hex::encode_upper(consensus_address(&public).as_bytes()),
            "pub_key": { "type": "tendermint/PubKeyEd25519", "value": base64(&public) },
            "priv_key": { "type": "tendermint/PrivKeyEd25519", "value": *private_key(consensus) },
        });
        write_secret(&self.0.join("config/priv_validator_key.json"), &Zeroizing::new(format!("{key:#}\n")))?;
        // What was signed last: nothing.
        self.write_text("data/priv_validator_state.json", "{ \"height\": \"0\", \"round\": 0, \"step\": 0 }\n")?;
        let secret = Zeroizing::new(format!("{}\n", hex::encode(bridge)));
        Ok(write_secret(&self.bridge_file(), &secret)?)
    }

    fn write_text(&self, name: &str, text: &str) -> Result<(), HomeError> {
        let path = self.0.join(name);
        let write = || {
            let mut file = std::fs::File::create(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(io(&path))
    }

    /// The application's genesis, from the node's genesis file.
    ///
    /// # Errors
    /// [`HomeError`] when it is not there, or not whole.
    pub fn genesis(&self) -> Result<Genesis, HomeError> {
        let path = self.genesis_file();
        let malformed = |reason: String| HomeError::Malformed { path: path.clone(), reason };
        let text = std::fs::read(&path).map_err(io(&path))?;
        let document: serde_json::Value = serde_json::from_slice(&text).map_err(|e| malformed(e.to_string()))?;
        let state = document.get("app_state").cloned().ok_or_else(|| malformed("there is no `app_state`".into()))?;
        let genesis: Genesis = serde_json::from_value(state).map_err(|e| malformed(format!("app_state: {e}")))?;
        genesis.validate()?;
        if document.get("chain_id").and_then(|id| id.as_str()) != Some(genesis.chain_id.as_str()) {
            return Err(malformed(format!("`chain_id` is not that of `app_state`, {}", genesis.chain_id)));
        }
        Ok(genesis)
    }

    /// The bridge key; `None` where there is none.
    ///
    /// # Errors
    /// [`HomeError`] when it is no key, or others may read it.
    pub fn bridge_key(&self) -> Result<Option<BridgeKey>, HomeError> {
        let path = self.bridge_file();
        if !path.exists() {
            return Ok(None);
        }
        let secret = read_secret(&path)?;
        let key = BridgeKey::from_bytes(*secret);
        key.map(Some).map_err(|_| HomeError::Malformed { path, reason: "it is no secp256k1 key".into() })
    }
}

/// The genesis file.
fn genesis_text(genesis: &Genesis) -> Result<String, HomeError> {
    let mut params = consensus_params();
    params.abci.vote_extensions_enable_height = Some(1_u32.into());
    let document = genesis_document(genesis, &params, &validator_set(&genesis.validators)?)?;
    Ok(format!("{document:#}\n"))
}

impl NodeSettings {
    /// The settings file.
    fn text(&self) -> String {
        let Self { moniker, app, rpc, p2p, peers, block_time, state_sync } = self;
        let peers: Vec<String> = peers.iter().map(|peer| format!("{}@{}", peer.id, peer.addr)).collect();
        let peers = peers.join(",");
        let ms = block_time.as_millis();
        let body = RpcLimits::default().max_body_bytes;
        let sync = match state_sync {
            None => "enable = false".to_owned(),
            Some(sync) => {
                let servers: Vec<String> = sync.rpc_servers.iter().map(|addr| format!("http://{addr}")).collect();
                format!(
                    "enable = true\nrpc_servers = \"{}\"\ntrust_height = {}\ntrust_hash = \"{}\"\ntrust_period = \"168h0m0s\"\n\
                     discovery_time = \"5s\"\nchunk_request_timeout = \"10s\"",
                    servers.join(","),
                    sync.trust_height,
                    sync.trust_hash
                )
            }
        };
        let moniker: String = moniker.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
        format!(
            r#"# The settings of a CometBFT 0.38 node, as far as they differ from its own. Others may be added
# (https://docs.cometbft.com/v0.38/core/configuration).

moniker = "{moniker}"
# The application: `crosspoint node`, on this machine.
proxy_app = "tcp://{app}"
abci = "socket"
log_level = "info"

[rpc]
laddr = "tcp://{rpc}"
# A transaction of the ledger has at most 1 MiB, in base64.
max_body_bytes = {body}

[p2p]
laddr = "tcp://{p2p}"
persistent_peers = "{peers}"
# Peers are those named above.
pex = false
addr_book_strict = false
allow_duplicate_ip = true

[mempool]
size = {MAX_BLOCK_TXS}
max_txs_bytes = 67108864
max_tx_bytes = {MAX_TX_BYTES}

[consensus]
# From a block to the next. What a block did is proven by the header of the next, so blocks come all the time.
timeout_commit = "{ms}ms"
create_empty_blocks = true

[tx_index]
indexer = "kv"

[statesync]
{sync}
"#
        )
    }
}
