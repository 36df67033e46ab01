//! A real CometBFT node with the application in this process.

#![allow(dead_code, unreachable_pub)] // each test binary uses its own part

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crosspoint_ledger::engine::cometbft::home::{Home, NodeSettings, Peer, node_id};
use crosspoint_ledger::engine::cometbft::{AbciServer, Application, ApplicationConfig, binary};
use crosspoint_ledger::engine::mempool::MempoolLimits;
use crosspoint_ledger::engine::{Seed, ValidatorKeys};
use crosspoint_ledger::genesis::Genesis;

use crate::engine_support::{Client, PATIENCE};

pub fn free_addr() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

/// A node, killed when it is dropped.
pub struct Node {
    pub home: Home,
    pub settings: NodeSettings,
    pub app: Arc<Application>,
    server: AbciServer,
    process: Child,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Node {
    pub fn client(&self) -> Client {
        Client::at(format!("http://{}", self.settings.rpc))
    }

    /// Waits for a block.
    pub async fn height(&self, height: u64) {
        let started = Instant::now();
        loop {
            if self.app.reader().last_block().unwrap().height.0 >= height {
                return;
            }
            let log = || std::fs::read_to_string(self.home.dir().join("node.log")).unwrap_or_default();
            assert!(started.elapsed() < PATIENCE, "no block {height}; the node says:\n{}", log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Starts `count` validators of a genesis whose keys come from the seed.
pub async fn start(dir: &Path, genesis: &Genesis, seed: &Seed, count: u32) -> Vec<Node> {
    let program = binary::find().unwrap_or_else(|error| panic!("{error}"));
    let addrs: Vec<[SocketAddr; 3]> = (0..count).map(|_| [free_addr(), free_addr(), free_addr()]).collect();
    let mut nodes = vec![];
    for index in 0..count {
        let [app, rpc, p2p] = addrs[index as usize];
        let others = (0..count).filter(|other| *other != index);
        let settings = NodeSettings {
            moniker: format!("node{index}"),
            app,
            rpc,
            p2p,
            peers: others
                .map(|other| Peer { id: node_id(&seed.node_key(other)), addr: addrs[other as usize][2] })
                .collect(),
            block_time: Duration::from_millis(200),
            state_sync: None,
        };
        let home = Home::new(dir.join(format!("node{index}")));
        home.write(genesis, &settings, &seed.node_key(index)).unwrap();
        let keys = ValidatorKeys::derive(seed, index).unwrap();
        home.write_keys(keys.consensus(), &seed.bridge_secret(index)).unwrap();
        let application = Application::open(ApplicationConfig {
            dir: home.app_dir(),
            genesis: home.genesis().unwrap(),
            bridge: home.bridge_key().unwrap(),
            snapshot_interval: 5,
            snapshot_keep: 2,
            mempool: MempoolLimits::default(),
        });
        let application = Arc::new(application.unwrap());
        let server = AbciServer::start(Arc::clone(&application), settings.app).unwrap();
        let log = std::fs::File::create(home.dir().join("node.log")).unwrap();
        let process = Command::new(&program)
            .args(["start", "--home"])
            .arg(home.dir())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        nodes.push(Node { home, settings, app: application, server, process });
    }
    nodes
}
