//! Counts the bytes between the relayer and a node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// A forwarder before a node.
pub(crate) struct Tap {
    pub(crate) url: Url,
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
}

impl Tap {
    pub(crate) async fn before(node: Url) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?).parse()?;
        let target = node.socket_addrs(|| None)?.pop().context("an address")?;
        let (sent, received) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (up, down) = (Arc::clone(&sent), Arc::clone(&received));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(node) = TcpStream::connect(target).await else { continue };
                let _ = (client.set_nodelay(true), node.set_nodelay(true));
                let ((from_client, to_client), (from_node, to_node)) = (client.into_split(), node.into_split());
                tokio::spawn(forward(from_client, to_node, Arc::clone(&up)));
                tokio::spawn(forward(from_node, to_client, Arc::clone(&down)));
            }
        });
        Ok(Self { url, sent, received })
    }

    /// Bytes to the node and from it, so far.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, count: Arc<AtomicU64>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        count.fetch_add(read as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
