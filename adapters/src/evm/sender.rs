//! Sends transactions: gas, fees, nonces, replacement, receipts.
//!
//! The chain is the truth about nonces. A nonce is taken, signed and broadcast under the wallet's lock; after
//! that the transaction is watched outside the lock, so that several can be on their way. What did
//! not reach the chain gives its nonce back; what is stuck is replaced with a higher fee; a gap left by an earlier
//! run of the program is filled. A restart therefore needs no file.

use super::block::{self, BlockId};
use super::revert;
use super::rpc::{NodeError, Rpc, RpcError};
use super::settings::FeeSettings;
use crate::error::ChainError;
use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{Address, B256, Bytes, TxKind, U64, U128, U256};
use alloy::rpc::types::Log;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A transaction's receipt; only what is used.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The transaction.
    pub transaction_hash: B256,
    /// Its block.
    pub block_number: U64,
    /// Gas used.
    pub gas_used: U64,
    /// 1 if it took effect.
    status: Option<U64>,
    /// What it logged.
    pub logs: Vec<Log>,
    /// The contract it made, if it made one.
    pub contract_address: Option<Address>,
}

impl Receipt {
    /// Whether it took effect.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status == Some(U64::from(1))
    }
}

/// A transaction to be sent.
#[derive(Debug, Clone)]
pub struct Call {
    /// Whom it calls; `None` makes a contract.
    pub to: Option<Address>,
    /// Call data, or the contract's creation code.
    pub data: Bytes,
    /// Gas beyond the estimate and its headroom. Batches skip items that run short of gas, so that an
    /// estimate may find too little enough. Cut where the settings' cap is reached.
    pub extra_gas: u64,
}

#[derive(Default)]
struct Wallet {
    in_flight: tokio::sync::Mutex<BTreeSet<u64>>,
}

#[derive(Debug, Clone, Copy)]
enum Fee {
    Market { max: u128, tip: u128 },
    Legacy(u128),
}

/// Sends transactions of any number of wallets to one chain.
pub struct Sender {
    rpc: Arc<Rpc>,
    chain_number: u64,
    fees: FeeSettings,
    poll: Duration,
    wallets: Mutex<HashMap<Address, Arc<Wallet>>>,
}

impl Sender {
    /// A sender over `rpc`; receipts are looked for every `poll`.
    #[must_use]
    pub fn new(rpc: Arc<Rpc>, chain_number: u64, fees: FeeSettings, poll: Duration) -> Self {
        Self { rpc, chain_number, fees, poll, wallets: Mutex::default() }
    }

    fn wallet(&self, address: Address) -> Arc<Wallet> {
        let mut wallets = self.wallets.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(wallets.entry(address).or_default())
    }

    fn rejected(&self, reason: String, retryable: bool) -> ChainError {
        ChainError::Rejected { chain: self.rpc.chain().clone(), reason, retryable }
    }

    /// Runs a call without sending it. A revert is [`ChainError::Rejected`] with the reason in words.
    pub async fn simulate(&self, from: Address, to: Address, data: &Bytes, at: BlockId) -> Result<Bytes, ChainError> {
        let params = &json!([{ "from": from, "to": to, "data": data }, at.to_param()]);
        self.rpc
            .each(|s| async move { s.request("eth_call", params).await.map_err(|e| self.refusal(e, "eth_call")) })
            .await
    }

    fn refusal(&self, error: RpcError, method: &str) -> ChainError {
        match error {
            RpcError::Node(NodeError { revert: Some(data), .. }) => revert::to_error(self.rpc.chain(), &data),
            other => other.into_chain_error(self.rpc.chain(), method),
        }
    }

    async fn gas(&self, from: Address, call: &Call) -> Result<u64, ChainError> {
        const METHOD: &str = "eth_estimateGas";
        let mut request = json!({ "from": from, "data": call.data });
        if let (Some(to), Some(fields)) = (call.to, request.as_object_mut()) {
            fields.insert("to".into(), json!(to));
        }
        let params = &json!([request]);
        let estimate: U64 = self
            .rpc
            .each(|s| async move { s.request(METHOD, params).await.map_err(|e| self.refusal(e, METHOD)) })
            .await?;
        let estimate = estimate.to::<u64>();
        let headroom = u128::from(estimate).saturating_mul(u128::from(self.fees.gas_headroom_percent)) / 100;
        let gas = estimate.saturating_add(u64::try_from(headroom).unwrap_or(u64::MAX));
        let max = self.fees.max_gas;
        if gas > max {
            return Err(ChainError::InvalidRequest(format!(
                "{}: the transaction needs {gas} gas, more than the {max} that the settings allow",
                self.rpc.chain()
            )));
        }
        let gas = gas.saturating_add(call.extra_gas).min(max);
        Ok(gas)
    }

    /// What a unit of gas should cost now. Above the settings' cap it waits for better times.
    async fn market_fee(&self) -> Result<Fee, ChainError> {
        let cap = self.fees.max_fee_per_gas;
        let latest = self.rpc.each(|s| block::existing(s, BlockId::Latest)).await?;
        let base = latest.header.base_fee_per_gas.map(u128::from).filter(|_| self.fees.eip1559);
        let (price, fee) = match base {
            Some(base) => {
                let tip: Result<U128, ChainError> = self.rpc.call("eth_maxPriorityFeePerGas", json!([])).await;
                let tip = tip.map_or(0, |tip| tip.to::<u128>()).max(self.fees.min_priority_fee).min(cap);
                // Twice the base fee outlasts six full blocks in a row.
                let max = base.saturating_mul(2).saturating_add(tip).min(cap);
                (base, Fee::Market { max, tip: tip.min(max) })
            }
            None => {
                let price: U128 = self.rpc.call("eth_gasPrice", json!([])).await?;
                (price.to(), Fee::Legacy(price.to::<u128>().min(cap)))
            }
        };
        if price > cap {
            return Err(
                self.rejected(format!("gas costs {price} wei now, above the cap of {cap} wei in the settings"), true)
            );
        }
        Ok(fee)
    }

    /// `fee` raised by the settings' step, and at least to the market; `None` when that would pass the cap.
    fn bumped(&self, fee: Fee, market: Fee) -> Option<Fee> {
        let raise = |value: u128| {
            let step = value.saturating_mul(u128::from(self.fees.bump_percent)).div_ceil(100);
            value.saturating_add(step.max(1))
        };
        let cap = self.fees.max_fee_per_gas;
        let fee = match (fee, market) {
            (Fee::Market { max, tip }, Fee::Market { max: market_max, tip: market_tip }) => {
                Fee::Market { max: raise(max).max(market_max), tip: raise(tip).max(market_tip) }
            }
            (Fee::Market { max, tip }, Fee::Legacy(_)) => Fee::Market { max: raise(max), tip: raise(tip) },
            (Fee::Legacy(price), Fee::Market { max, .. } | Fee::Legacy(max)) => Fee::Legacy(raise(price).max(max)),
        };
        match fee {
            Fee::Market { max, .. } | Fee::Legacy(max) if max > cap => None,
            Fee::Market { .. } | Fee::Legacy(_) => Some(fee),
        }
    }

    fn sign(
        &self,
        signer: &PrivateKeySigner,
        call: &Call,
        nonce: u64,
        gas: u64,
        fee: Fee,
    ) -> Result<(B256, Bytes), ChainError> {
        let to = call.to.map_or(TxKind::Create, TxKind::Call);
        let input = call.data.clone();
        let failed = |_| ChainError::InvalidRequest("the key could not sign the transaction".into());
        let envelope: TxEnvelope = match fee {
            Fee::Market { max, tip } => {
                let tx = TxEip1559 {
                    chain_id: self.chain_number,
                    nonce,
                    gas_limit: gas,
                    max_fee_per_gas: max,
                    max_priority_fee_per_gas: tip.min(max),
                    to,
                    value: U256::ZERO,
                    access_list: Default::default(),
                    input,
                };
                let signature = signer.sign_hash_sync(&tx.signature_hash()).map_err(failed)?;
                tx.into_signed(signature).into()
            }
            Fee::Legacy(gas_price) => {
                let tx = TxLegacy {
                    chain_id: Some(self.chain_number),
                    nonce,
                    gas_price,
                    gas_limit: gas,
                    to,
                    value: U256::ZERO,
                    input,
                };
                let signature = signer.sign_hash_sync(&tx.signature_hash()).map_err(failed)?;
                tx.into_signed(signature).into()
            }
        };
        Ok((*envelope.tx_hash(), envelope.encoded_2718().into()))
    }

    async fn count(&self, account: Address, tag: &str) -> Result<u64, ChainError> {
        let count: U64 = self.rpc.call("eth_getTransactionCount", json!([account, tag])).await?;
        Ok(count.to())
    }

    /// Hands a signed transaction to a node. A node that refuses one it already knows has it, which is fine.
    async fn broadcast(&self, hash: B256, raw: &Bytes) -> Result<(), ChainError> {
        let params = &json!([raw]);
        let sent = self
            .rpc
            .each(|s| async move {
                match s.request::<B256>("eth_sendRawTransaction", params).await {
                    Ok(_) => Ok(()),
                    Err(RpcError::Node(error)) => {
                        let known: Option<Value> = s.call("eth_getTransactionByHash", &json!([hash])).await?;
                        if known.is_some() {
                            Ok(())
                        } else {
                            Err(self.refusal(RpcError::Node(error), "eth_sendRawTransaction"))
                        }
                    }
                    Err(error) => Err(self.refusal(error, "eth_sendRawTransaction")),
                }
            })
            .await;
        match sent {
            // No answer does not mean that it did not arrive.
            Err(ChainError::Unreachable { .. } | ChainError::Malformed { .. }) => {
                Err(ChainError::OutcomeUnknown { chain: self.rpc.chain().clone(), tx: hash.to_string() })
            }
            other => other,
        }
    }

    /// Sends a transaction and waits for the block that includes it. A transaction that was included
    /// but reverted is [`ChainError::Rejected`] with the reason in words.
    pub async fn send(&self, signer: &PrivateKeySigner, call: &Call) -> Result<Receipt, ChainError> {
        let from = signer.address();
        let gas = self.gas(from, call).await?;
        let fee = self.market_fee().await?;
        self.check_funds(from, gas, fee).await?;
        let wallet = self.wallet(from);
        let mut in_flight = wallet.in_flight.lock().await;
        let mut nonce = self.count(from, "pending").await?;
        while in_flight.contains(&nonce) {
            nonce = nonce.saturating_add(1);
        }
        let (hash, raw) = self.sign(signer, call, nonce, gas, fee)?;
        match self.broadcast(hash, &raw).await {
            // With no answer it may still arrive: watch it like one that did.
            Ok(()) | Err(ChainError::OutcomeUnknown { .. }) => {}
            Err(error) => return Err(error),
        }
        in_flight.insert(nonce);
        drop(in_flight);
        let guard = InFlight { wallet: Arc::clone(&wallet), nonce: Some(nonce) };
        let watched = self.watch(signer, call, &wallet, Sent { nonce, gas, fee, raw, hashes: vec![hash] }).await;
        guard.release().await;
        let receipt = watched?;
        if receipt.succeeded() {
            return Ok(receipt);
        }
        Err(self.rejected(self.why_reverted(from, call, &receipt).await, false))
    }

    async fn check_funds(&self, from: Address, gas: u64, fee: Fee) -> Result<(), ChainError> {
        let (Fee::Market { max: price, .. } | Fee::Legacy(price)) = fee;
        let needed = U256::from(price).saturating_mul(U256::from(gas));
        let balance = self.ether(from).await?;
        if balance < needed {
            return Err(ChainError::InsufficientFunds {
                chain: self.rpc.chain().clone(),
                detail: format!("{from} has {balance} wei; the transaction may cost {needed} wei"),
            });
        }
        Ok(())
    }

    /// An account's ether, in wei, at the newest block.
    pub async fn ether(&self, account: Address) -> Result<U256, ChainError> {
        self.rpc.call("eth_getBalance", json!([account, "latest"])).await
    }

    async fn watch(
        &self,
        signer: &PrivateKeySigner,
        call: &Call,
        wallet: &Wallet,
        mut sent: Sent,
    ) -> Result<Receipt, ChainError> {
        let (started, mut broadcast_at) = (Instant::now(), Instant::now());
        let stuck = Duration::from_secs(self.fees.stuck_after_secs);
        let mut overtaken = 0_u32;
        loop {
            for hash in &sent.hashes {
                let receipt: Result<Option<Receipt>, _> =
                    self.rpc.call("eth_getTransactionReceipt", json!([hash])).await;
                if let Ok(Some(receipt)) = receipt {
                    return Ok(receipt);
                }
            }
            let unknown = || ChainError::OutcomeUnknown {
                chain: self.rpc.chain().clone(),
                tx: sent.hashes.last().map(ToString::to_string).unwrap_or_default(),
            };
            if started.elapsed() >= Duration::from_secs(self.fees.give_up_after_secs) {
                return Err(unknown());
            }
            if broadcast_at.elapsed() >= stuck {
                let mined = self.count(signer.address(), "latest").await.unwrap_or(sent.nonce);
                if mined > sent.nonce {
                    // Some transaction with our nonce is in a block, yet none of ours has a receipt. A
                    // lagging endpoint may explain it once, not for ever.
                    overtaken = overtaken.saturating_add(1);
                    if overtaken > 1 {
                        return Err(unknown());
                    }
                } else if mined < sent.nonce && !wallet.in_flight.lock().await.contains(&mined) {
                    self.fill_gap(signer, mined).await;
                } else {
                    self.replace(signer, call, &mut sent).await;
                }
                broadcast_at = Instant::now();
            }
            tokio::time::sleep(self.poll).await;
        }
    }

    /// Sends the stuck transaction again, dearer if the cap allows. Failures show at the next look.
    async fn replace(&self, signer: &PrivateKeySigner, call: &Call, sent: &mut Sent) {
        let market = self.market_fee().await.unwrap_or(sent.fee);
        if let Some(fee) = self.bumped(sent.fee, market)
            && let Ok((hash, raw)) = self.sign(signer, call, sent.nonce, sent.gas, fee)
        {
            tracing::info!(chain = %self.rpc.chain(), nonce = sent.nonce, %hash, "replacing a stuck transaction");
            sent.fee = fee;
            sent.raw = raw;
            sent.hashes.push(hash);
        }
        if let Some(hash) = sent.hashes.last() {
            let _ = self.broadcast(*hash, &sent.raw).await;
        }
    }

    /// Fills a nonce that an earlier run of the program left in a node's pool or nowhere: a transfer
    /// of nothing to oneself, dear enough to replace what may be there.
    async fn fill_gap(&self, signer: &PrivateKeySigner, nonce: u64) {
        let Ok(market) = self.market_fee().await else { return };
        let twice = |value: u128| value.saturating_mul(2).min(self.fees.max_fee_per_gas);
        let fee = match market {
            Fee::Market { max, tip } => Fee::Market { max: twice(max), tip: twice(tip) },
            Fee::Legacy(price) => Fee::Legacy(twice(price)),
        };
        let nothing = Call { to: Some(signer.address()), data: Bytes::new(), extra_gas: 0 };
        if let Ok((hash, raw)) = self.sign(signer, &nothing, nonce, 21_000, fee) {
            tracing::warn!(chain = %self.rpc.chain(), nonce, %hash, "filling a nonce that nobody watches");
            let _ = self.broadcast(hash, &raw).await;
        }
    }

    async fn why_reverted(&self, from: Address, call: &Call, receipt: &Receipt) -> String {
        let tx = receipt.transaction_hash;
        let before = receipt.block_number.to::<u64>().saturating_sub(1);
        let at = BlockId::Number(crosspoint_protocol::ids::Height(before));
        match call.to {
            Some(to) => match self.simulate(from, to, &call.data, at).await {
                Err(ChainError::Rejected { reason, .. }) => format!("{reason} (transaction {tx})"),
                Err(error @ (ChainError::Frozen(_) | ChainError::Expired(_))) => format!("{error} (transaction {tx})"),
                _ => format!("transaction {tx} reverted; run alone before its block it would not have"),
            },
            None => format!("the creation of a contract in transaction {tx} reverted"),
        }
    }
}

struct Sent {
    nonce: u64,
    gas: u64,
    fee: Fee,
    raw: Bytes,
    hashes: Vec<B256>,
}

/// Takes the nonce off the list of those being watched, also when the watcher is dropped half-way.
struct InFlight {
    wallet: Arc<Wallet>,
    nonce: Option<u64>,
}

impl InFlight {
    async fn release(mut self) {
        if let Some(nonce) = self.nonce.take() {
            self.wallet.in_flight.lock().await.remove(&nonce);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // Where the lock is taken right now, the nonce stays listed: the next transaction then takes a
        // higher one, and the gap is filled by its watcher.
        if let Some(nonce) = self.nonce
            && let Ok(mut in_flight) = self.wallet.in_flight.try_lock()
        {
            in_flight.remove(&nonce);
        }
    }
}
