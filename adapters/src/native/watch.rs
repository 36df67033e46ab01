//! New blocks as they come: by WebSocket subscription, and by asking when there is none.

use std::sync::Arc;
use std::time::Duration;

use crosspoint_protocol::ids::Height;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_tungstenite::connect_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::endpoints::Endpoints;
use super::rpc::Endpoint;

/// Most bytes of a message on the WebSocket: a block with its results.
const MAX_MESSAGE: usize = 64 << 20;
/// The query that headers of new blocks match.
const QUERY: &str = "tm.event='NewBlockHeader'";
/// Silence on the WebSocket after which it is given up, in block times.
const SILENT_BLOCKS: u32 = 10;
/// The longest pause before the WebSocket is tried again.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// The newest height heard of. It is a hint to look, never believed: whoever is woken asks.
#[derive(Debug)]
pub(crate) struct Heights {
    newest: watch::Sender<Height>,
    _stop: DropGuard,
}

impl Heights {
    /// Starts listening; it ends when the value is dropped. `block_time` is how often blocks are expected.
    pub(crate) fn start(endpoints: Endpoints, block_time: Duration) -> Arc<Self> {
        let stop = CancellationToken::new();
        let (newest, _) = watch::channel(Height(0));
        let listener = listen(endpoints, newest.clone(), block_time);
        let stopped = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = listener => {}
            }
        });
        Arc::new(Self { newest, _stop: stop.drop_guard() })
    }

    /// Hears of nothing, and waits for nothing.
    pub(crate) fn still() -> Arc<Self> {
        let (newest, _) = watch::channel(Height(u64::MAX));
        Arc::new(Self { newest, _stop: CancellationToken::new().drop_guard() })
    }

    /// The newest height heard of.
    pub(crate) fn newest(&self) -> Height {
        *self.newest.borrow()
    }

    /// Waits until a block above `height` is heard of, at most `within`; then the newest height.
    pub(crate) async fn above(&self, height: Height, within: Duration) -> Height {
        let mut receiver = self.newest.subscribe();
        let heard = receiver.wait_for(|newest| *newest > height);
        match tokio::time::timeout(within, heard).await {
            Ok(Ok(newest)) => *newest,
            Ok(Err(_)) | Err(_) => self.newest(),
        }
    }

    /// A block was seen otherwise.
    pub(crate) fn saw(&self, height: Height) {
        raise(&self.newest, height);
    }
}

fn raise(newest: &watch::Sender<Height>, height: Height) {
    newest.send_if_modified(|known| {
        let higher = height > *known;
        if higher {
            *known = height;
        }
        higher
    });
}

/// Subscribes at the healthiest endpoint for as long as that works. In between, asks for the status once per block time.
async fn listen(endpoints: Endpoints, newest: watch::Sender<Height>, block_time: Duration) {
    let block_time = block_time.max(Duration::from_millis(50));
    let mut pause = block_time;
    loop {
        for endpoint in endpoints.by_health().into_iter().take(1) {
            if subscribe(&endpoint, &newest, block_time).await.is_some() {
                pause = block_time;
            }
        }
        let started = tokio::time::Instant::now();
        while started.elapsed() < pause {
            let status = endpoints.first_good(|endpoint| async move { endpoint.status().await }).await;
            if let Ok(status) = status {
                raise(&newest, status.latest.height);
            }
            tokio::time::sleep(block_time).await;
        }
        pause = pause.saturating_mul(2).min(MAX_PAUSE);
    }
}

/// Listens at one endpoint until it falls silent. `None` if it never said anything.
async fn subscribe(endpoint: &Endpoint, newest: &watch::Sender<Height>, block_time: Duration) -> Option<()> {
    let url = endpoint.websocket()?;
    let silence = block_time.saturating_mul(SILENT_BLOCKS).max(Duration::from_secs(5));
    let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    let connecting = connect_async_with_config(url.as_str(), Some(config), true);
    let (mut socket, _) = tokio::time::timeout(silence, connecting).await.ok()?.ok()?;
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": { "query": QUERY } });
    socket.send(Message::text(request.to_string())).await.ok()?;
    let mut heard = None;
    while let Ok(Some(Ok(message))) = tokio::time::timeout(silence, socket.next()).await {
        match message {
            Message::Text(text) => {
                if let Some(height) = serde_json::from_str(&text).ok().and_then(|value| announced(&value)) {
                    raise(newest, height);
                    heard = Some(());
                }
            }
            Message::Close(_) => break,
            Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => {}
        }
    }
    heard
}

/// The height in a `NewBlockHeader` message. Numbers are texts in CometBFT's JSON.
fn announced(message: &Value) -> Option<Height> {
    let header = message.pointer("/result/data/value/header")?;
    header.get("height")?.as_str()?.parse().ok().map(Height)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_a_header_of_a_new_block_announces_a_height() {
        let header = json!({"result": {"data": {"type": "tendermint/event/NewBlockHeader", "value": {"header": {"height": "7"}}}}});
        assert_eq!(announced(&header), Some(Height(7)));
        for other in
            [json!({}), json!({"result": {}}), json!({"result": {"data": {"value": {"header": {"height": 7}}}}})]
        {
            assert_eq!(announced(&other), None);
        }
    }
}
