//! What the transactions of a run weigh on each chain.

use std::collections::BTreeMap;

use alloy::primitives::{U64, hex};
use alloy::sol_types::SolCall;
use anyhow::{Context, Result};
use base64::Engine as _;
use crosspoint_adapters::evm::contracts::ICrosspointGateway::{ackCall, claimCall, recvCall, sendCall, timeoutCall};
use crosspoint_protocol::ids::Height;
use serde_json::{Value, json};

use crate::Bench;

/// Transactions of one kind.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weight {
    pub(crate) transactions: u64,
    pub(crate) bytes: u64,
    pub(crate) gas: u64,
}

/// The newest block of each chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heights {
    pub(crate) native: u64,
    pub(crate) evm: u64,
}

impl Heights {
    pub(crate) async fn now(bench: &Bench) -> Result<Self> {
        let evm: U64 = bench.net.evm.rpc().call("eth_blockNumber", json!([])).await?;
        Ok(Self { native: bench.net.solo.height().0, evm: evm.to() })
    }
}

fn kind(input: &[u8]) -> &'static str {
    match input.get(..4).and_then(|selector| selector.try_into().ok()) {
        Some(sendCall::SELECTOR) => "send",
        Some(recvCall::SELECTOR) => "recv",
        Some(claimCall::SELECTOR) => "claim",
        Some(ackCall::SELECTOR) => "ack",
        Some(timeoutCall::SELECTOR) => "timeout",
        _ => "other",
    }
}

/// The EVM transactions in blocks above `from`, by kind. Bytes are those of the call data.
pub(crate) async fn evm(bench: &Bench, from: Heights, to: Heights) -> Result<BTreeMap<&'static str, Weight>> {
    let rpc = bench.net.evm.rpc();
    let mut all: BTreeMap<&'static str, Weight> = BTreeMap::new();
    for number in from.evm + 1..=to.evm {
        let at = U64::from(number);
        let block: Value = rpc.call("eth_getBlockByNumber", json!([at, true])).await?;
        let receipts: Vec<Value> = rpc.call("eth_getBlockReceipts", json!([at])).await?;
        for (tx, receipt) in block["transactions"].as_array().context("transactions")?.iter().zip(&receipts) {
            let input = hex::decode(tx["input"].as_str().context("input")?)?;
            let gas: U64 = serde_json::from_value(receipt["gasUsed"].clone())?;
            let weight = all.entry(kind(&input)).or_default();
            weight.transactions += 1;
            weight.bytes += input.len() as u64;
            weight.gas += gas.to::<u64>();
        }
    }
    Ok(all)
}

/// The native transactions in blocks above `from`, and how many of those blocks hold any.
pub(crate) async fn native(bench: &Bench, from: Heights, to: Heights) -> Result<(Weight, u64)> {
    let http = reqwest::Client::new();
    let (mut weight, mut blocks) = (Weight::default(), 0);
    for height in from.native + 1..=to.native {
        let url = format!("{}/block?height={}", bench.net.solo.rpc_url(), Height(height).0);
        let answer: Value = serde_json::from_str(&http.get(url).send().await?.text().await?)?;
        let txs = answer["result"]["block"]["data"]["txs"].as_array().cloned().unwrap_or_default();
        blocks += u64::from(!txs.is_empty());
        for tx in txs {
            weight.transactions += 1;
            weight.bytes += base64::engine::general_purpose::STANDARD.decode(tx.as_str().context("tx")?)?.len() as u64;
        }
    }
    Ok((weight, blocks))
}
