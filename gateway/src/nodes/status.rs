//! What has become of a network: its processes, and what its nodes say.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::Nodes;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A validator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// Its number.
    pub index: u16,
    /// The node's process id; `None` if it does not run.
    pub node_pid: Option<u32>,
    /// The application's.
    pub app_pid: Option<u32>,
    /// Where its RPC is.
    pub rpc: String,
    /// What its node says; `None` if it does not answer.
    pub chain: Option<ChainStatus>,
    /// Where its files are.
    pub home: std::path::PathBuf,
}

/// What a node says of its chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChainStatus {
    /// The chain's id.
    pub chain_id: String,
    /// Its newest block.
    pub height: u64,
    /// The hash of that block's header.
    pub hash: String,
    /// The app hash in that header.
    pub app_hash: String,
    /// Whether it is still fetching blocks.
    pub catching_up: bool,
    /// How many peers it is connected to.
    pub peers: u64,
}

/// A question to a node's RPC.
pub(super) async fn ask(http: &reqwest::Client, rpc: SocketAddr, method: &str) -> Option<Value> {
    let answer = http.get(format!("http://{rpc}/{method}")).timeout(PATIENCE).send().await.ok()?;
    let answer: Value = answer.json().await.ok()?;
    answer.get("result").cloned()
}

fn number(value: &Value) -> Option<u64> {
    value.as_str()?.parse().ok()
}

/// What a node says of its chain.
pub(super) async fn chain(http: &reqwest::Client, rpc: SocketAddr) -> Option<ChainStatus> {
    let (status, network) = tokio::join!(ask(http, rpc, "status"), ask(http, rpc, "net_info"));
    let status = status?;
    let sync = status.get("sync_info")?;
    let text = |field: &str| Some(sync.get(field)?.as_str()?.to_owned());
    Some(ChainStatus {
        chain_id: status.get("node_info")?.get("network")?.as_str()?.to_owned(),
        height: number(sync.get("latest_block_height")?)?,
        hash: text("latest_block_hash")?,
        app_hash: text("latest_app_hash")?,
        catching_up: sync.get("catching_up")?.as_bool()?,
        peers: network.as_ref().and_then(|network| number(network.get("n_peers")?)).unwrap_or(0),
    })
}

impl Nodes {
    /// The state of every validator.
    pub async fn status(&self) -> Vec<NodeStatus> {
        let http = reqwest::Client::new();
        let each = self.all().map(|index| {
            let http = &http;
            async move {
                NodeStatus {
                    index,
                    node_pid: self.node(index).pid(),
                    app_pid: self.app(index).pid(),
                    rpc: format!("http://{}", self.plan().rpc(index)),
                    chain: chain(http, self.plan().rpc(index)).await,
                    home: self.home(index).dir().to_owned(),
                }
            }
        });
        futures::future::join_all(each).await
    }
}
