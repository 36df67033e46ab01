//! The RPC: every answer is read by the types of a CometBFT client; hostile input is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod engine_support;

use std::time::Duration;

use crosspoint_ledger::engine::mempool::MempoolLimits;
use crosspoint_ledger::engine::{Solo, SoloConfig};
use crosspoint_ledger::rpc::RpcLimits;
use crosspoint_light_proofs::jmt;
use crosspoint_protocol::ids::Height;
use engine_support::{Client, PATIENCE, by_hand, config, on_demand, start, transfer};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tendermint::Hash;
use tendermint_rpc::endpoint::{self, broadcast};
use tendermint_rpc::event::EventData;
use tendermint_rpc::{Order, Response};
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn a_cometbft_client_reads_every_answer() {
    let dir = tempfile::tempdir().unwrap();
    let chain = start(dir.path(), on_demand()).await;
    let client = Client::new(&chain);
    let tx = transfer("mall", 1, "alice", 5);
    let hash = Hash::Sha256(crosspoint_ledger::tx::hash(&tx));
    let height = client.commit(tx.clone()).await;
    chain.wait_height(Height(height + 1), PATIENCE).await.unwrap();
    let newest = chain.height().0;
    let at = tendermint::block::Height::try_from(height).unwrap();

    client.ask(endpoint::health::Request).await;
    let status = client.ask(endpoint::status::Request).await;
    assert_eq!(status.sync_info.latest_block_height.value(), newest);
    assert_eq!(status.sync_info.earliest_block_height.value(), 1);
    assert_eq!(status.node_info.network.as_str(), "crosspoint-1");
    assert!(!status.sync_info.catching_up);
    assert_eq!(client.ask(endpoint::abci_info::Request).await.response.last_block_height.value(), newest);
    assert_eq!(client.ask(endpoint::net_info::Request).await.n_peers, 0);
    let genesis = client.ask(endpoint::genesis::Request::<Value>::default()).await.genesis;
    assert_eq!((genesis.chain_id.as_str(), genesis.validators.len()), ("crosspoint-1", 4));

    let block = client.ask(endpoint::block::Request::new(at)).await;
    assert_eq!(block.block.data, std::slice::from_ref(&tx));
    let by_hash = client.ask(endpoint::block_by_hash::Request::new(block.block_id.hash)).await;
    assert_eq!(by_hash.block.unwrap().header, block.block.header);
    let header = client.ask(endpoint::header::Request::new(at)).await.header;
    assert_eq!(header, block.block.header);
    let header = client.call("header_by_hash", json!({"hash": header.hash().to_string()})).await;
    let header: endpoint::header_by_hash::Response = serde_json::from_value(header["result"].clone()).unwrap();
    assert_eq!(header.header.unwrap(), block.block.header);
    let chain_info = client.ask(endpoint::blockchain::Request::new(1_u32.into(), at)).await;
    assert_eq!(chain_info.block_metas.len() as u64, height);
    let commit = client.ask(endpoint::commit::Request::new(at)).await;
    assert!(commit.canonical);
    assert_eq!(commit.signed_header.commit.block_id, block.block_id);
    assert!(!client.ask(endpoint::commit::Request::default()).await.canonical || chain.height().0 > newest);
    client.ask(endpoint::consensus_params::Request::new(Some(at))).await;
    let results = client.ask(endpoint::block_results::Request::new(at)).await;
    assert!(!results.txs_results.unwrap()[0].events.is_empty());
    client.ask(endpoint::block_results::Request::new(1_u32.into())).await;

    let page = |page: usize, per_page: u8| {
        endpoint::validators::Request::new(Some(at), Some(page.into()), Some(per_page.into()))
    };
    let first = client.ask(page(1, 3)).await;
    assert_eq!((first.validators.len(), first.total), (3, 4));
    assert_eq!(client.ask(page(2, 3)).await.validators.len(), 1);

    let found = client.ask(endpoint::tx::Request::new(hash, true)).await;
    assert_eq!((found.height, &found.tx, found.hash), (at, &tx, hash));
    let proof = found.proof.unwrap();
    assert_eq!(Some(proof.root_hash), block.block.header.data_hash);
    for query in [
        format!("tx.hash='{hash}'"),
        format!("tx.height={height}"),
        format!("tm.event='Tx' AND tx.height>={height} AND tx.height<={height}"),
    ] {
        let search = endpoint::tx_search::Request::new(query.clone(), false, 1, 10, Order::Ascending);
        assert_eq!(client.ask(search).await.total_count, 1, "{query}");
    }
    let search = endpoint::tx_search::Request::new("transfer.nobody='x'", false, 1, 10, Order::Descending);
    assert_eq!(client.ask(search).await.total_count, 0);

    let sync = client.ask(broadcast::tx_sync::Request::new(transfer("mall", 2, "alice", 1))).await;
    assert!(sync.code.is_ok());
    let refused = client.ask(broadcast::tx_sync::Request::new(vec![1, 2, 3])).await;
    assert!(refused.code.is_err() && !refused.log.is_empty());
    client.ask(broadcast::tx_async::Request::new(transfer("mall", 3, "alice", 1))).await;
    let commit = client.ask(broadcast::tx_commit::Request::new(transfer("mall", 1, "alice", 1))).await;
    assert!(commit.check_tx.code.is_err(), "a used nonce");
    assert!(client.call("unconfirmed_txs", json!({"limit": "5"})).await["result"]["txs"].is_array());
    assert!(client.call("num_unconfirmed_txs", json!({})).await["result"]["total"].is_string());
    assert_eq!(client.call("check_tx", json!({"tx": "AQI="})).await["result"]["code"], refused.code.value());
    chain.stop().await.unwrap();
}

#[tokio::test]
async fn a_proof_from_after_block_h_holds_against_header_h_plus_1() {
    let dir = tempfile::tempdir().unwrap();
    let chain = start(dir.path(), by_hand()).await;
    let client = Client::new(&chain);
    chain.node().submit(transfer("mall", 1, "alice", 5)).unwrap();
    let height = chain.make_block().await.unwrap().0;
    chain.make_block().await.unwrap();
    let header = client.ask(endpoint::header::Request::new((height + 1).try_into().unwrap())).await.header;
    let root: [u8; 32] = header.app_hash.as_bytes().try_into().unwrap();
    let ask = async |key: &[u8]| {
        let height = Some(height.try_into().unwrap());
        let request = endpoint::abci_query::Request::new(Some("/store".into()), key.to_vec(), height, true);
        let answer = client.ask(request).await.response;
        assert!(answer.code.is_ok(), "{}", answer.log);
        let op = answer.proof.unwrap().ops.into_iter().next().unwrap();
        assert_eq!(op.field_type, crosspoint_ledger::rpc::state::PROOF_TYPE);
        (answer.value, op.data)
    };
    let (value, proof) = ask(b"chain/plain").await;
    jmt::verify_membership(&root, b"chain/plain", &value, &proof).unwrap();
    let (value, proof) = ask(b"no/such/key").await;
    assert!(value.is_empty());
    jmt::verify_absence(&root, b"no/such/key", &proof).unwrap();
    chain.stop().await.unwrap();
}

#[tokio::test]
async fn calls_by_get_take_quoted_texts_and_hex() {
    let dir = tempfile::tempdir().unwrap();
    let chain = start(dir.path(), on_demand()).await;
    let client = Client::new(&chain);
    let tx = transfer("mall", 1, "alice", 5);
    let (status, done) = client.get(&format!("/broadcast_tx_commit?tx=0x{}", hex::encode(&tx))).await;
    assert_eq!((status, &done["result"]["tx_result"]["code"]), (200, &json!(0)), "{done}");
    let height = done["result"]["height"].as_str().unwrap();
    let (_, block) = client.get(&format!("/block?height={height}")).await;
    assert_eq!(block["result"]["block"]["header"]["height"], height);
    let (_, found) =
        client.get(&format!("/tx?hash=0x{}&prove=true", hex::encode(crosspoint_ledger::tx::hash(&tx)))).await;
    assert_eq!(found["result"]["height"], height);
    let (_, found) = client.get(&format!("/tx_search?query=%22tx.height={height}%22")).await;
    assert_eq!(found["result"]["total_count"], "1");
    let (_, answer) = client.get("/abci_query?path=%22/denoms%22").await;
    assert_eq!(answer["result"]["response"]["code"], 0);
    let (status, error) = client.get("/block?height=abc").await;
    assert_eq!((status, &error["error"]["code"]), (400, &json!(-32602)));
    assert_eq!(client.get("/no_such_method").await.0, 404);
    assert_eq!(client.get("/block?height=99999").await.0, 500);
    chain.stop().await.unwrap();
}

#[tokio::test]
async fn hostile_requests_are_refused_and_the_server_lives_on() {
    let dir = tempfile::tempdir().unwrap();
    let limits = RpcLimits { max_body_bytes: 10_000, max_batch: 3, ..RpcLimits::default() };
    let chain = Solo::start(SoloConfig { rpc: limits, ..config(dir.path(), by_hand()) }).await.unwrap();
    chain.make_block().await.unwrap();
    let client = Client::new(&chain);
    let one = r#"{"jsonrpc":"2.0","id":1,"method":"health"}"#;
    let deep = format!("{}{}", "[".repeat(4_000), "]".repeat(4_000));
    for (body, status, code) in [
        ("{".to_owned(), 400, -32700),
        ("\u{0}".into(), 400, -32700),
        (deep, 400, -32700),
        ("[]".into(), 400, -32600),
        (format!("[{one},{one},{one},{one}]"), 400, -32600),
        ("{}".into(), 200, -32600),
        ("7".into(), 200, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"nothing"}"#.into(), 200, -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"query":"tm.event='Tx'"}}"#.into(), 200, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"block","params":{"height":"-5"}}"#.into(), 200, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"block","params":{"height":"18446744073709551616"}}"#.into(), 200, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"block","params":{"height":9223372036854775807}}"#.into(), 200, -32603),
        (r#"{"jsonrpc":"2.0","id":1,"method":"validators","params":{"page":"0"}}"#.into(), 200, -32602),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"validators","params":{"height":"9223372036854775807"}}"#.into(),
            200,
            -32603,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"blockchain","params":{"minHeight":"5","maxHeight":"1"}}"#.into(),
            200,
            -32602,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tx","params":{"hash":"AAAA"}}"#.into(), 200, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tx"}"#.into(), 200, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tx_search","params":{"query":"=="}}"#.into(), 200, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"broadcast_tx_sync","params":{"tx":"***"}}"#.into(), 200, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"broadcast_tx_sync","params":{}}"#.into(), 200, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"abci_query","params":{"data":"zz"}}"#.into(), 200, -32602),
    ] {
        let (got, text) = client.post(body.clone()).await;
        let cut: String = body.chars().take(120).collect();
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((got, &answer["error"]["code"]), (status, &json!(code)), "{cut}: {text}");
    }
    let answer = client.call("abci_query", json!({"path": "/no/such/path"})).await;
    assert_ne!(answer["result"]["response"]["code"], 0);
    let answer = client.call("abci_query", json!({"path": "checkpoint", "data": "00"})).await;
    assert_ne!(answer["result"]["response"]["code"], 0);
    let answer = client.call("abci_query", json!({"path": "checkpoint", "data": "ffffffffffffffff"})).await;
    assert_ne!(answer["result"]["response"]["code"], 0);
    assert_eq!(client.post(vec![b' '; 10_001]).await.0, 413);
    assert_eq!(client.post(format!("[{one},{one}]")).await.0, 200);
    assert_eq!(client.post(r#"{"jsonrpc":"2.0","method":"health"}"#).await, (200, String::new()));
    chain.stop().await.unwrap();
}

#[tokio::test]
async fn a_full_mempool_refuses_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let mempool = MempoolLimits { max_txs: 3, ..MempoolLimits::default() };
    let chain = Solo::start(SoloConfig { mempool, ..config(dir.path(), by_hand()) }).await.unwrap();
    let client = Client::new(&chain);
    for nonce in 1..=3 {
        assert!(client.ask(broadcast::tx_sync::Request::new(transfer("mall", nonce, "alice", 1))).await.code.is_ok());
    }
    let send = async |nonce| {
        use base64::Engine as _;
        let tx = base64::engine::general_purpose::STANDARD.encode(transfer("mall", nonce, "alice", 1));
        client.call("broadcast_tx_sync", json!({"tx": tx})).await
    };
    let full = send(4).await;
    assert!(full["error"]["data"].as_str().unwrap().contains("mempool is full"), "{full}");
    assert!(send(2).await["error"]["data"].as_str().unwrap().contains("already exists"));
    chain.make_block().await.unwrap();
    assert_eq!(send(4).await["result"]["code"], 0);
    chain.make_block().await.unwrap();
    assert_eq!(client.balance("alice").await, 4);
    chain.stop().await.unwrap();
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn connect(client: &Client) -> Socket {
    let url = format!("{}/websocket", client.url.replace("http", "ws"));
    tokio_tungstenite::connect_async(url).await.unwrap().0
}

async fn next_text(socket: &mut Socket) -> String {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => return text.to_string(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    });
    waited.await.unwrap()
}

async fn request(socket: &mut Socket, id: u64, method: &str, query: &str) -> Value {
    let text = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {"query": query}}).to_string();
    socket.send(Message::text(text)).await.unwrap();
    serde_json::from_str(&next_text(socket).await).unwrap()
}

#[tokio::test]
async fn subscribers_are_told_of_blocks_and_of_the_transactions_they_ask_for() {
    let dir = tempfile::tempdir().unwrap();
    let chain = start(dir.path(), by_hand()).await;
    let client = Client::new(&chain);
    let mut blocks = connect(&client).await;
    assert_eq!(request(&mut blocks, 7, "subscribe", "tm.event='NewBlock'").await["result"], json!({}));
    let mut headers = connect(&client).await;
    request(&mut headers, 8, "subscribe", "tm.event='NewBlockHeader'").await;
    let mut txs = connect(&client).await;
    request(&mut txs, 9, "subscribe", "tm.event='Tx' AND tx.height=2").await;

    let tx = transfer("mall", 1, "alice", 5);
    chain.node().submit(tx.clone()).unwrap();
    chain.make_block().await.unwrap();

    let text = next_text(&mut blocks).await;
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["id"], 7);
    let event: tendermint_rpc::event::Event = tendermint_rpc::event::v0_38::DeEvent::from_string(&text).unwrap().into();
    let EventData::NewBlock { block, result_finalize_block, .. } = event.data else { panic!("{text}") };
    assert_eq!(block.unwrap().data, std::slice::from_ref(&tx));
    assert_eq!(result_finalize_block.unwrap().tx_results.len(), 1);

    let header: Value = serde_json::from_str(&next_text(&mut headers).await).unwrap();
    assert_eq!(header["result"]["data"]["value"]["header"]["height"], "2");

    let text = next_text(&mut txs).await;
    let event: tendermint_rpc::event::Event = tendermint_rpc::event::v0_38::DeEvent::from_string(&text).unwrap().into();
    let EventData::Tx { tx_result } = event.data else { panic!("{text}") };
    assert_eq!((tx_result.height, &tx_result.tx), (2, &tx));
    let hash = hex::encode_upper(crosspoint_ledger::tx::hash(&tx));
    assert_eq!(event.events.unwrap()["tx.hash"], [hash]);

    // Unsubscribed, the next message is the answer to the next request, not an event.
    assert_eq!(request(&mut blocks, 10, "unsubscribe", "tm.event='NewBlock'").await["result"], json!({}));
    chain.make_block().await.unwrap();
    assert_eq!(request(&mut blocks, 11, "health", "").await["id"], 11);
    chain.stop().await.unwrap();
}

#[tokio::test]
async fn subscriptions_are_bounded_and_a_stop_closes_them() {
    let dir = tempfile::tempdir().unwrap();
    let rpc = RpcLimits { max_subscriptions: 2, ..RpcLimits::default() };
    let chain = Solo::start(SoloConfig { rpc, ..config(dir.path(), by_hand()) }).await.unwrap();
    let mut socket = connect(&Client::new(&chain)).await;
    assert!(request(&mut socket, 1, "subscribe", "tm.event='NewBlock'").await["error"].is_null());
    assert!(request(&mut socket, 2, "subscribe", "tm.event='NewBlock'").await["error"].is_object(), "twice");
    assert!(request(&mut socket, 3, "subscribe", "tm.event='Tx'").await["error"].is_null());
    assert!(request(&mut socket, 4, "subscribe", "tx.height=5").await["error"].is_object(), "a third");
    assert!(request(&mut socket, 5, "unsubscribe", "tx.height=6").await["error"].is_object());
    assert!(request(&mut socket, 6, "subscribe", &"x".repeat(600)).await["error"].is_object());
    socket.send(Message::text("{")).await.unwrap();
    assert!(next_text(&mut socket).await.contains("-32700"));
    tokio::time::timeout(Duration::from_secs(20), chain.stop()).await.unwrap().unwrap();
    let closed = tokio::time::timeout(PATIENCE, async {
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() {
                break;
            }
        }
    });
    closed.await.unwrap();
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_is_cut_off_and_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let rpc = RpcLimits { client_timeout: Duration::from_millis(200), ..RpcLimits::default() };
    let chain = Solo::start(SoloConfig { rpc, ..config(dir.path(), by_hand()) }).await.unwrap();
    let client = Client::new(&chain);
    let mut slow = connect(&client).await;
    request(&mut slow, 1, "subscribe", "tm.event='NewBlock'").await;
    // Blocks of half a megabyte fill whatever the sockets buffer; the slow client reads none of it.
    let mut nonce = 0;
    for _ in 0..40 {
        for _ in 0..4 {
            nonce += 1;
            chain.node().submit(large(nonce)).unwrap();
        }
        chain.make_block().await.unwrap();
    }
    assert!(chain.node().latest().height >= 40, "the chain went on");
    let mut seen = 0;
    let ended = tokio::time::timeout(PATIENCE, async {
        while let Some(Ok(message)) = slow.next().await {
            seen += u32::from(message.is_text());
        }
    });
    ended.await.unwrap();
    assert!(seen < 40, "{seen} blocks were told");
    chain.stop().await.unwrap();
}

/// A transaction of many messages, about 30 kB.
fn large(nonce: u64) -> Vec<u8> {
    use crosspoint_ledger::tx::TxBuilder;
    use crosspoint_ledger::tx::message::Message;
    let mut builder = TxBuilder::new(crosspoint_ledger::demo::CHAIN_ID.parse().unwrap(), nonce);
    for _ in 0..60 {
        builder = builder.message(Message::Transfer {
            to: engine_support::account("alice"),
            denom: "sfs".parse().unwrap(),
            amount: crosspoint_protocol::amount::Amount::new(1),
            memo: "m".repeat(500),
        });
    }
    builder.sign(&crosspoint_ledger::demo::member_key("mall"))
}
