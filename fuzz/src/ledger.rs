//! What is fed with any bytes of the ledger: transactions, and what its RPC takes.

use crosspoint_ledger::demo;
use crosspoint_ledger::rpc::jsonrpc::{Request, response};
use crosspoint_ledger::rpc::params::Params;
use crosspoint_ledger::rpc::query::EventQuery;
use crosspoint_ledger::tx::message::Message;
use crosspoint_ledger::tx::{Tx, TxBuilder, weight};
use crosspoint_protocol::amount::Amount;

/// Name, function, and inputs to start from.
pub(crate) type Target = (&'static str, fn(&[u8]), fn() -> Vec<Vec<u8>>);

/// All targets of the ledger.
pub(crate) const TARGETS: &[Target] = &[
    ("transaction", transaction, transactions),
    ("rpc_request", rpc_request, rpc_requests),
    ("event_query", event_query, event_queries),
];

fn transaction(bytes: &[u8]) {
    let _ = weight::weight(bytes);
    if let Ok(tx) = Tx::decode(bytes) {
        assert!(!tx.messages.is_empty());
        let _ = tx.verify();
    }
}

fn transactions() -> Vec<Vec<u8>> {
    let (chain, key) = (|| demo::CHAIN_ID.parse().expect("a chain id"), demo::member_key("alice"));
    let denom = || "gold".parse().expect("a denom");
    let messages = [
        Message::Burn { denom: denom(), amount: Amount::new(7) },
        Message::WithdrawOwed { denom: denom() },
        Message::Pause { client: Some("evm-0".parse().expect("a client id")) },
        Message::SubmitMisbehaviour { client: "evm-0".parse().expect("a client id"), evidence: vec![1; 40] },
    ];
    let mut all = TxBuilder::new(chain(), 1);
    let mut inputs = vec![];
    for message in messages {
        inputs.push(TxBuilder::new(chain(), 1).message(message.clone()).sign(&key));
        all = all.message(message);
    }
    inputs.push(all.sign(&key));
    inputs
}

/// A request's body, and the same bytes as a query string.
fn rpc_request(bytes: &[u8]) {
    const NAMES: [&str; 3] = ["path", "data", "height"];
    let read = |params: &Params| {
        let _ = (params.text("path", 64), params.number("height"), params.height("height"), params.flag("prove"));
        let _ = (params.hex("data", 1_024), params.base64("data", 1_024));
    };
    if let Ok(value) = serde_json::from_slice(bytes) {
        match Request::parse(value) {
            Ok(request) => {
                let _ = Params::from_json(request.params, &NAMES).map(|params| read(&params));
            }
            // Whatever the request was, the answer is JSON.
            Err((id, error)) => {
                drop(serde_json::from_str::<serde_json::Value>(&response(&id, &Err(error))).expect("JSON"))
            }
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Params::from_query(text).map(|params| read(&params));
    }
}

fn rpc_requests() -> Vec<Vec<u8>> {
    vec![
        br#"{"jsonrpc":"2.0","id":7,"method":"abci_query","params":{"path":"/store","data":"00ff","height":"5","prove":true}}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":"a","method":"abci_query","params":["/store","AP8=",5]}"#.to_vec(),
        br#"path="/store"&data=0x00ff&height=5&prove=true&x=%41%e2"#.to_vec(),
    ]
}

fn event_query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(query) = EventQuery::parse(text) {
        assert_eq!(query.as_str(), text);
        let _ = query.heights("tx.height", 1, 100);
        let _ = query.matches(&[("transfer.sender".into(), vec!["alice".into(), "5".into()])].into());
    }
}

fn event_queries() -> Vec<Vec<u8>> {
    [
        "tm.event='Tx' AND transfer.sender='alice' AND tx.height>=5",
        "tm.event='NewBlock'",
        "transfer.amount EXISTS AND transfer.amount < 5.5 AND x CONTAINS 'y' AND block.time > TIME 2026-01-01T00:00:00Z",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
