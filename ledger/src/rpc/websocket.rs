//! JSON-RPC over a WebSocket, with subscriptions to blocks and transactions.
//!
//! One task serves one connection: it answers requests and sends events in the order of the blocks. Nothing is
//! buffered beyond the node's feed: a client that takes too long to read is cut off.

use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use warp::Reply;
use warp::ws::{Message, WebSocket, Ws};

use super::jsonrpc::{Id, Request, RpcError, response};
use super::methods;
use super::params::Params;
use super::query::{Attributes, EventQuery, MAX_QUERY_BYTES, attributes, tx_attributes};
use super::server::{Context, answer_request};
use super::views::{events, exec_result};
use crate::engine::node::CommittedBlock;

/// The status a connection is closed with when its client breaks the rules (RFC 6455).
const POLICY_VIOLATION: u16 = 1008;

pub(super) fn upgrade(socket: Ws, context: Context) -> warp::reply::Response {
    let max = context.limits.max_body_bytes;
    // Room for one message beyond the one being written.
    let socket = socket.max_message_size(max).max_frame_size(max).max_write_buffer_size(max.saturating_mul(16));
    socket.on_upgrade(move |socket| serve(socket, context)).into_response()
}

struct Subscription {
    id: Id,
    query: EventQuery,
}

/// Why a connection ends.
enum End {
    /// The client left, or the network failed.
    Gone,
    /// The client is too slow.
    Slow,
}

struct Connection {
    socket: WebSocket,
    context: Context,
    subscriptions: Vec<Subscription>,
}

async fn serve(socket: WebSocket, context: Context) {
    let stop = context.stop.clone();
    let mut feed = context.node.feed();
    let mut connection = Connection { socket, context, subscriptions: Vec::new() };
    let end = loop {
        let step = tokio::select! {
            () = stop.cancelled() => Err(End::Gone),
            message = connection.socket.next() => match message {
                Some(Ok(message)) => connection.receive(message).await,
                Some(Err(_)) | None => Err(End::Gone),
            },
            block = feed.recv() => match block {
                Ok(block) => connection.announce(&block).await,
                Err(RecvError::Lagged(_)) if connection.subscriptions.is_empty() => Ok(()),
                Err(RecvError::Lagged(_)) => Err(End::Slow),
                Err(RecvError::Closed) => Err(End::Gone),
            },
        };
        if let Err(end) = step {
            break end;
        }
    };
    let close = match end {
        End::Gone => Message::close(),
        End::Slow => {
            tracing::debug!("a subscriber was too slow and is cut off");
            Message::close_with(POLICY_VIOLATION, "too slow: events were lost; subscribe again and catch up by height")
        }
    };
    // The client may be gone already; one that does not read is not waited for.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), connection.socket.send(close)).await;
}

impl Connection {
    async fn send(&mut self, text: String) -> Result<(), End> {
        let sent =
            tokio::time::timeout(self.context.limits.client_timeout, self.socket.send(Message::text(text))).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Slow),
        }
    }

    async fn receive(&mut self, message: Message) -> Result<(), End> {
        if message.is_close() {
            return Err(End::Gone);
        }
        // Pings are answered by the library.
        if !message.is_text() && !message.is_binary() {
            return Ok(());
        }
        let parsed = serde_json::from_slice::<Value>(message.as_bytes())
            .map_err(|error| (Id::NONE, RpcError::Parse(error.to_string())))
            .and_then(Request::parse);
        let answer = match parsed {
            Err((id, error)) => Some(response(&id, &Err(error))),
            Ok(request) => match request.method.as_str() {
                "subscribe" | "unsubscribe" | "unsubscribe_all" => self.change(request),
                _ => answer_request(request, &self.context).await,
            },
        };
        match answer {
            Some(answer) => self.send(answer).await,
            None => Ok(()),
        }
    }

    /// Subscribes or unsubscribes.
    fn change(&mut self, request: Request) -> Option<String> {
        let Request { id, method, params } = request;
        let id = id.unwrap_or(Id::NONE);
        let outcome = self.changed(&id, &method, params).map(|()| "{}".to_owned());
        Some(response(&id, &outcome))
    }

    fn changed(&mut self, id: &Id, method: &str, params: Value) -> Result<(), RpcError> {
        if method == "unsubscribe_all" {
            self.subscriptions.clear();
            return Ok(());
        }
        let params = Params::from_json(params, methods::parameters(method).unwrap_or_default())?;
        let text = params.text("query", MAX_QUERY_BYTES)?;
        let query =
            EventQuery::parse(&text.ok_or_else(|| RpcError::InvalidParams("parameter `query` is missing".into()))?)?;
        let at = self.subscriptions.iter().position(|s| s.query.as_str() == query.as_str());
        match (method, at) {
            ("subscribe", Some(_)) => Err(RpcError::Internal("already subscribed".into())),
            ("subscribe", None) if self.subscriptions.len() >= self.context.limits.max_subscriptions => {
                let max = self.context.limits.max_subscriptions;
                Err(RpcError::Internal(format!("a connection has at most {max} subscriptions")))
            }
            ("subscribe", None) => {
                self.subscriptions.push(Subscription { id: id.clone(), query });
                Ok(())
            }
            (_, Some(at)) => {
                self.subscriptions.remove(at);
                Ok(())
            }
            (_, None) => Err(RpcError::Internal("subscription not found".into())),
        }
    }

    /// Sends what of a block the subscriptions ask for.
    async fn announce(&mut self, block: &Arc<CommittedBlock>) -> Result<(), End> {
        if self.subscriptions.is_empty() {
            return Ok(());
        }
        let mut texts = Vec::new();
        for event in block_events(block) {
            let mut data = None;
            for subscription in self.subscriptions.iter().filter(|s| s.query.matches(&event.attributes)) {
                if data.is_none() {
                    data = event_data(&event, block)
                        .inspect_err(|error| tracing::error!(%error, "an event cannot be told"))
                        .ok();
                }
                let Some(data) = &data else { break };
                let result = json!({ "query": subscription.query.as_str(), "data": data, "events": event.attributes });
                texts.push(response(&subscription.id, &Ok(result.to_string())));
            }
        }
        for text in texts {
            self.send(text).await?;
        }
        Ok(())
    }
}

enum EventKind {
    NewBlock,
    NewBlockHeader,
    Tx(usize),
}

struct BlockEvent {
    kind: EventKind,
    attributes: Attributes,
}

/// What can be subscribed to in a block, in the order CometBFT tells it.
fn block_events(block: &CommittedBlock) -> Vec<BlockEvent> {
    let height = block.header.height.value();
    let with = |kind: EventKind, name: &str| {
        let mut attributes = attributes(&block.results.events);
        attributes.insert("tm.event".into(), vec![name.to_owned()]);
        attributes.insert("block.height".into(), vec![height.to_string()]);
        BlockEvent { kind, attributes }
    };
    let mut all = vec![with(EventKind::NewBlock, "NewBlock"), with(EventKind::NewBlockHeader, "NewBlockHeader")];
    for (index, (result, hash)) in block.results.tx_results.iter().zip(&block.tx_hashes).enumerate() {
        all.push(BlockEvent { kind: EventKind::Tx(index), attributes: tx_attributes(&result.events, height, hash) });
    }
    all
}

fn event_data(event: &BlockEvent, block: &CommittedBlock) -> Result<Value, RpcError> {
    match event.kind {
        EventKind::NewBlock => {
            let results = block.results.tx_results.iter().cloned().map(exec_result).collect::<Result<Vec<_>, _>>()?;
            Ok(json!({
                "type": "tendermint/event/NewBlock",
                "value": {
                    "block": block.block,
                    "block_id": block.id,
                    "result_finalize_block": {
                        "events": events(block.results.events.clone())?,
                        "tx_results": results,
                        "validator_updates": null,
                        "app_hash": base64(&block.results.app_hash),
                    },
                },
            }))
        }
        EventKind::NewBlockHeader => {
            Ok(json!({ "type": "tendermint/event/NewBlockHeader", "value": { "header": block.header } }))
        }
        EventKind::Tx(index) => {
            let absent = || super::views::damaged("a block without its results");
            let tx = block.block.data.as_ref().and_then(|data| data.txs.get(index)).ok_or_else(absent)?;
            let result = block.results.tx_results.get(index).cloned().ok_or_else(absent)?;
            Ok(json!({
                "type": "tendermint/event/Tx",
                "value": { "TxResult": {
                    "height": block.header.height.value().to_string(),
                    "index": index,
                    "tx": base64(tx),
                    "result": exec_result(result)?,
                } },
            }))
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
