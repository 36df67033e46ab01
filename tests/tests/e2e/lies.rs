//! RPC nodes that lie: alone they delay and never move a point; beside an honest one everything settles.

use std::sync::Arc;

use alloy::sol_types::SolEvent;
use anyhow::Result;
use crosspoint_adapters::chain::Chain;
use crosspoint_adapters::evm::contracts::ICrosspointGateway::Sent;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Preimage;
use crosspoint_relayer::life::Stage;
use crosspoint_tests::proxy::{Proxy, flip_base64, flip_hex};
use crosspoint_tests::{From, LONG, World, done, secret};
use serde_json::{Value, json};

type Lie = fn(&str, &Value, &mut Value);

/// What anvil's liar says.
const ABOUT_EVM: [(&str, Lie); 6] = [
    ("withheld logs", |method, _, result| {
        if method == "eth_getLogs" {
            *result = json!([]);
        }
    }),
    ("withheld receipts, claims and ends", |method, _, result| {
        if let Some(logs) = result.as_array_mut().filter(|_| method == "eth_getLogs") {
            logs.retain(|log| log["topics"][0] == Sent::SIGNATURE_HASH.to_string());
        }
    }),
    ("a wrong storage proof", |method, _, result| {
        if method == "eth_getProof"
            && let Some(node) = result.pointer_mut("/storageProof/0/proof/0")
        {
            flip_hex(node);
        }
    }),
    ("a wrong account proof", |method, _, result| {
        if method == "eth_getProof"
            && let Some(node) = result.pointer_mut("/accountProof/0")
        {
            flip_hex(node);
        }
    }),
    ("a wrong state root", |method, _, result| {
        if method == "eth_getBlockByNumber"
            && let Some(root) = result.get_mut("stateRoot")
        {
            flip_hex(root);
        }
    }),
    ("wrong amounts in logs", |method, _, result| {
        for log in result.as_array_mut().into_iter().flatten().filter(|_| method == "eth_getLogs") {
            flip_hex(&mut log["data"]);
        }
    }),
];

/// Leaves out events of transactions.
fn withhold(result: &mut Value, withheld: impl Fn(&Value) -> bool) {
    for tx in result["txs_results"].as_array_mut().into_iter().flatten() {
        if let Some(events) = tx["events"].as_array_mut() {
            events.retain(|event| !withheld(event));
        }
    }
}

/// What the native chain's liar says.
const ABOUT_NATIVE: [(&str, Lie); 5] = [
    ("withheld events", |method, _, result| {
        if method == "block_results" {
            withhold(result, |_| true);
        }
    }),
    ("withheld acknowledgements", |method, _, result| {
        if method == "block_results" {
            withhold(result, |event| event["type"] == "ack_written");
        }
    }),
    ("a wrong proof", |_, params, result| {
        if params["path"] == "/store"
            && let Some(data) = result.pointer_mut("/response/proofOps/ops/0/data")
        {
            flip_base64(data);
        }
    }),
    ("wrong state", |_, params, result| {
        if params["path"] == "/store"
            && let Some(value) = result.pointer_mut("/response/value")
        {
            flip_base64(value);
        }
    }),
    ("a wrong checkpoint", |_, params, result| {
        if params["path"] == "/checkpoint"
            && let Some(value) = result.pointer_mut("/response/value")
        {
            flip_base64(value);
        }
    }),
];

/// A payment each way, sent while the relayer sees the world through liars only.
struct Payments {
    out: (Packet, Preimage),
    back: (Packet, Preimage),
}

impl Payments {
    async fn send(world: &World) -> Result<Self> {
        let (out, back) = (secret(), secret());
        let sent = world.pay_merchant(70, &out, LONG).await?;
        let returned = world.send_back(30, "coffee", &back, LONG).await?;
        Ok(Self { out: (sent, out), back: (returned, back) })
    }

    /// Both are held, claimed and settled.
    async fn settle(&self, world: &World) -> Result<()> {
        for (from, (packet, secret)) in [(From::Native, &self.out), (From::Evm, &self.back)] {
            let id = world.id(from, packet);
            world.until(&id, Stage::Held).await?;
            done(&world.claim(from, packet, secret).await?)?;
            world.until(&id, Stage::Settled).await?;
        }
        Ok(())
    }
}

/// Lets a relayer work through liars for eight blocks of both chains, and looks whether anything is wrong.
async fn lied_to(world: &mut World, chains: Vec<Arc<dyn Chain>>, what: &str) -> Result<Payments> {
    let (mall, coffee) = (world.member_sfs("mall").await?, world.member_sfs("coffee").await?);
    let merchant = world.merchant_vouchers().await?;
    world.start_relayer_over(chains, None).await?;
    let payments = Payments::send(world).await?;
    let start = world.net.evm.head().await?.latest.height.0;
    let from = world.net.solo.height().0;
    world
        .eventually("eight blocks", async || {
            Ok(world.net.evm.head().await?.latest.height.0 >= start + 8 && world.net.solo.height().0 >= from + 8)
        })
        .await?;
    world.stop_relayer().await;
    // What was locked is locked; nobody was paid and nothing refunded, whatever the nodes said.
    assert_eq!(world.member_sfs("mall").await?, mall - 70, "{what}");
    assert_eq!(world.merchant_vouchers().await?, merchant - 30, "{what}");
    assert_eq!(world.member_sfs("coffee").await?, coffee, "{what}");
    let report = world.audit().await?;
    assert!(report.is_balanced(), "{what}: {report:#?}");
    Ok(payments)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evm_node_that_lies_moves_no_point_and_an_honest_one_beside_it_is_enough() -> Result<()> {
    let mut world = World::start().await?;
    world.paid_merchant(1_000).await?;
    world.stop_relayer().await;
    let honest = world.net.anvil.url().clone();
    for (what, lie) in ABOUT_EVM {
        let liar = Proxy::start(honest.clone()).await?;
        let alone = world.net.evm_over(vec![liar.url.clone()], None).await?;
        let both = world.net.evm_over(vec![liar.url.clone(), honest.clone()], None).await?;
        liar.tell(lie);
        let chains = vec![world.chain(From::Native), Arc::new(alone) as Arc<dyn Chain>];
        let payments = lied_to(&mut world, chains, what).await?;
        let chains = vec![world.chain(From::Native), Arc::new(both) as Arc<dyn Chain>];
        world.start_relayer_over(chains, None).await?;
        payments.settle(&world).await.map_err(|error| error.context(what))?;
        assert!(liar.changed() > 0, "{what}: the lie was never told");
        world.stop_relayer().await;
    }
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_native_node_that_lies_moves_no_point_and_an_honest_one_beside_it_is_enough() -> Result<()> {
    let mut world = World::start().await?;
    world.paid_merchant(1_000).await?;
    world.stop_relayer().await;
    let honest: url::Url = world.net.solo.rpc_url().parse()?;
    for (what, lie) in ABOUT_NATIVE {
        let liar = Proxy::start(honest.clone()).await?;
        liar.tell(lie);
        let alone = world.net.native_over(vec![liar.url.clone()])?;
        let both = world.net.native_over(vec![liar.url.clone(), honest.clone()])?;
        let chains = vec![Arc::new(alone) as Arc<dyn Chain>, world.chain(From::Evm)];
        let payments = lied_to(&mut world, chains, what).await?;
        let chains = vec![Arc::new(both) as Arc<dyn Chain>, world.chain(From::Evm)];
        world.start_relayer_over(chains, None).await?;
        payments.settle(&world).await.map_err(|error| error.context(what))?;
        assert!(liar.changed() > 0, "{what}: the lie was never told");
        world.stop_relayer().await;
    }
    world.finish().await
}
