//! Relaying by hand: each step alone, so that a test can do it twice, wrongly, or with too little gas.

use std::time::Instant;

use alloy::primitives::aliases::U96;
use alloy::primitives::{Address as EvmAddress, Bytes};
use alloy::sol_types::{SolCall, SolEventInterface};
use anyhow::{Context, Result, ensure};
use crosspoint_adapters::chain::{Chain, ClientStatus, ItemOutcome, RelayItem, Submitted};
use crosspoint_adapters::evm::contracts::ICrosspointGateway::{ICrosspointGatewayEvents, SkipReason};
use crosspoint_adapters::evm::contracts::ICrosspointRegistry::{self, Limits as EvmLimits};
use crosspoint_adapters::evm::record::client_word;
use crosspoint_adapters::evm::sender::Receipt;
use crosspoint_adapters::proven::{AttestedEvidence, CheckpointEvidence, Evidence, Proven};
use crosspoint_gateway::localnet::{ADMIN, evm_key};
use crosspoint_ledger::tx::action::{Action, Limits};
use crosspoint_ledger::tx::message::Message;
use crosspoint_protocol::ack::UNIVERSAL_ERROR_ACK;
use crosspoint_protocol::ids::ClientId;
use crosspoint_protocol::lock::PointsLock;
use crosspoint_protocol::packet::{Packet, Payload};
use crosspoint_protocol::secret::Preimage;
use serde_json::{Value, json};

use crate::{From, PATIENCE, World, member, sfs};

/// A funded account of the EVM chain that is nobody in the stories and that no adapter uses.
pub const STRANGER: usize = 5;

/// A receive item.
#[must_use]
pub fn recv(packet: &Packet) -> RelayItem {
    RelayItem::Recv { packet: packet.clone() }
}

/// An ack item that brings a success home.
#[must_use]
pub fn success(packet: &Packet, secret: &Preimage) -> RelayItem {
    RelayItem::Ack { packet: packet.clone(), ack: [&[1], secret.reveal().as_slice()].concat() }
}

/// An ack item that brings a failure home.
#[must_use]
pub fn failure(packet: &Packet) -> RelayItem {
    RelayItem::Ack { packet: packet.clone(), ack: UNIVERSAL_ERROR_ACK.to_vec() }
}

/// A timeout item.
#[must_use]
pub fn timeout(packet: &Packet) -> RelayItem {
    RelayItem::Timeout { packet: packet.clone() }
}

/// What was proven to the EVM chain.
#[must_use]
pub fn checkpoint(proven: &Proven) -> &CheckpointEvidence {
    match &proven.evidence {
        Evidence::Checkpoint(evidence) => evidence,
        other => panic!("not checkpoint evidence: {other:?}"),
    }
}

/// What was proven to the native chain.
#[must_use]
pub fn attestation(proven: &Proven) -> &AttestedEvidence {
    match &proven.evidence {
        Evidence::Attested(evidence) => evidence,
        other => panic!("not attested evidence: {other:?}"),
    }
}

/// Nothing took effect.
pub fn refused<E>(outcome: &Result<Submitted, E>) -> bool {
    outcome.as_ref().map_or(true, |submitted| {
        submitted.outcomes.iter().all(|outcome| matches!(outcome, ItemOutcome::Skipped { .. }))
    })
}

/// The packet with one field of its lock changed.
#[must_use]
pub fn with_lock(packet: &Packet, change: impl FnOnce(&mut PointsLock)) -> Packet {
    let mut lock = packet.points_lock().unwrap();
    change(&mut lock);
    Packet { payload: Payload::points(&lock), ..packet.clone() }
}

/// One bit in the middle flipped.
#[must_use]
pub fn flip_middle(bytes: &Bytes) -> Bytes {
    let mut flipped = bytes.to_vec();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    flipped.into()
}

/// Limits of the EVM chain of which only the largest amount binds.
#[must_use]
pub fn at_most(max: u64) -> EvmLimits {
    EvmLimits { minAmount: U96::ZERO, maxAmount: U96::from(max), memberPerDay: u128::MAX, inFlight: u128::MAX }
}

/// Gas for what is refused or skipped, with plenty to spare.
const PLENTY: u64 = 5_000_000;
/// Gas for one of many forgeries: enough that no item is skipped for want of gas.
const FORGERY_GAS: u64 = 1_500_000;

impl World {
    /// The client on the other chain that `prover` proves to.
    #[must_use]
    pub const fn client_beyond(&self, prover: From) -> &ClientId {
        match prover {
            From::Native => &self.net.evm_client,
            From::Evm => &self.net.native_client,
        }
    }

    /// The state of the client on the other chain that `prover` proves to.
    pub async fn client_status(&self, prover: From) -> Result<ClientStatus> {
        Ok(self.other(prover).client(self.client_beyond(prover)).await?)
    }

    /// Proves all of `items`, which happened on `prover`, once that can be done.
    pub async fn prove(&self, prover: From, items: &[RelayItem]) -> Result<Proven> {
        let started = Instant::now();
        loop {
            let client = self.client_status(prover).await?;
            match self.chain(prover).prove(&client, items).await {
                Ok(proven) if proven.items.len() == items.len() => return Ok(proven),
                Err(error) if !error.is_transient() => return Err(error.into()),
                outcome => ensure!(started.elapsed() < PATIENCE, "not proven within {PATIENCE:?}: {outcome:?}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// Submits what `prover` proved to the other chain.
    pub async fn submit(&self, prover: From, proven: &Proven) -> Result<Submitted> {
        Ok(self.other(prover).submit(self.client_beyond(prover), proven).await?)
    }

    /// Proves and submits.
    pub async fn carry(&self, prover: From, items: &[RelayItem]) -> Result<Submitted> {
        let proven = self.prove(prover, items).await?;
        self.submit(prover, &proven).await
    }

    /// Whether the destination of `from` holds a receipt of a packet.
    pub async fn was_received(&self, from: From, packet: &Packet) -> Result<bool> {
        let chain = self.other(from);
        let at = chain.head().await?.latest.height;
        Ok(chain.stored(&packet.receipt_path(), at).await?.value.is_some())
    }

    /// Sends a transaction behind the adapter's back, from one of anvil's funded accounts. Without `gas` it has plenty.
    pub async fn evm_send(
        &self,
        account: usize,
        to: Option<EvmAddress>,
        data: impl Into<Bytes>,
        gas: Option<u64>,
    ) -> Result<Receipt> {
        let hash = self.evm_post(account, to, data.into(), gas).await?;
        self.receipt(&hash).await
    }

    /// Hands a transaction to the node without waiting for its block; its hash.
    pub async fn evm_post(
        &self,
        account: usize,
        to: Option<EvmAddress>,
        data: Bytes,
        gas: Option<u64>,
    ) -> Result<String> {
        let gas = format!("0x{:x}", gas.unwrap_or(PLENTY));
        let mut request = json!({ "from": evm_key(account)?.address(), "data": data, "gas": gas });
        if let Some(to) = to {
            request["to"] = json!(to);
        }
        Ok(self.net.anvil.rpc().call("eth_sendTransaction", json!([request])).await?)
    }

    /// The receipt of a transaction, once it is in a block.
    pub async fn receipt(&self, hash: &str) -> Result<Receipt> {
        let started = Instant::now();
        loop {
            let rpc = self.net.anvil.rpc();
            let receipt: Option<Receipt> = rpc.call("eth_getTransactionReceipt", json!([hash])).await?;
            if let Some(receipt) = receipt {
                return Ok(receipt);
            }
            ensure!(started.elapsed() < PATIENCE, "{hash} is in no block");
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
    }

    /// Calls the gateway contract in many transactions, as many to a block as fit.
    pub async fn gateway_send_all(&self, calls: &[impl SolCall]) -> Result<Vec<Receipt>> {
        let gateway = self.net.evm.settings().gateway;
        let mut receipts = vec![];
        let mut hashes = vec![];
        // One after the other: the node counts the account's nonces by what it has.
        for call in calls {
            hashes.push(self.evm_post(STRANGER, Some(gateway), call.abi_encode().into(), Some(FORGERY_GAS)).await?);
        }
        for hash in hashes {
            receipts.push(self.receipt(&hash).await?);
        }
        Ok(receipts)
    }

    /// Calls the gateway contract in a transaction, behind the adapter's back.
    pub async fn gateway_send(&self, call: &impl SolCall) -> Result<Receipt> {
        self.evm_send(STRANGER, Some(self.net.evm.settings().gateway), call.abi_encode(), None).await
    }

    /// Stops the EVM chain's clockwork: from now on a block is made only by [`World::gateway_send_at`].
    pub async fn stop_evm_blocks(&self) -> Result<()> {
        self.set_evm_interval(0).await
    }

    /// A block each second again.
    pub async fn resume_evm_blocks(&self) -> Result<()> {
        self.set_evm_interval(1).await
    }

    async fn set_evm_interval(&self, seconds: u64) -> Result<()> {
        let _: Value = self.net.anvil.rpc().call("evm_setIntervalMining", json!([seconds])).await?;
        Ok(())
    }

    /// Makes one block with exactly this time, with these calls of the gateway contract in order.
    pub async fn gateway_send_at(&self, time: u64, calls: &[Vec<u8>]) -> Result<Vec<Receipt>> {
        let gateway = self.net.evm.settings().gateway;
        let mut hashes = vec![];
        for call in calls {
            hashes.push(self.evm_post(STRANGER, Some(gateway), call.clone().into(), None).await?);
        }
        self.net.anvil.mine_at(time).await?;
        let mut receipts = vec![];
        for hash in hashes {
            receipts.push(self.receipt(&hash).await?);
        }
        let head = self.net.evm.head().await?.latest;
        ensure!(head.time.0 == time && receipts.iter().all(|r| r.block_number.to::<u64>() == head.height.0));
        Ok(receipts)
    }

    /// Whether the gateway contract would take a call at all: `false` if it reverts.
    pub async fn gateway_takes(&self, call: &impl SolCall) -> Result<bool> {
        let request = json!({
            "from": evm_key(STRANGER)?.address(),
            "to": self.net.evm.settings().gateway,
            "data": Bytes::from(call.abi_encode()),
        });
        let answer: Result<Bytes, _> = self.net.anvil.rpc().call("eth_call", json!([request, "latest"])).await;
        match answer {
            Ok(_) => Ok(true),
            Err(crosspoint_adapters::error::ChainError::Rejected { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Why the gateway contract skipped items of a transaction: place in the batch and reason.
    #[must_use]
    pub fn skips(&self, receipt: &Receipt) -> Vec<(u64, SkipReason)> {
        let gateway = self.net.evm.settings().gateway;
        let ours = receipt.logs.iter().filter(|log| log.inner.address == gateway);
        ours.filter_map(|log| match ICrosspointGatewayEvents::decode_log(&log.inner).ok()?.data {
            ICrosspointGatewayEvents::Skipped(skipped) => Some((skipped.index.to(), skipped.reason)),
            _ => None,
        })
        .collect()
    }

    /// A decision of the EVM chain's governance.
    pub async fn evm_govern(&self, call: &impl SolCall) -> Result<()> {
        let receipt = self.evm_send(ADMIN, Some(self.net.evm.registry()), call.abi_encode(), None).await?;
        ensure!(receipt.succeeded(), "the registry refused");
        Ok(())
    }

    /// Sets the limits of SFS on the EVM chain.
    pub async fn limit_evm(&self, limits: EvmLimits) -> Result<()> {
        let denom = self.net.voucher_on_evm(&sfs())?.to_string();
        let client = client_word(&self.net.evm_client).into();
        self.evm_govern(&ICrosspointRegistry::setLimitsCall { client, denom, limits }).await
    }

    /// Sets the limits of SFS on the native chain.
    pub async fn limit_native(&self, limits: Limits) -> Result<()> {
        self.net.govern(Action::SetLimits { client: self.net.native_client.clone(), denom: sfs(), limits }).await
    }

    /// The operators of both chains stop locks and receipts, or let them go on.
    pub async fn set_paused(&self, paused: bool) -> Result<()> {
        let client = Some(self.net.native_client.clone());
        let message = if paused { Message::Pause { client } } else { Message::Unpause { client } };
        self.net.native.execute(&member("operator"), message).await.context("the native operator")?;
        let client = client_word(&self.net.evm_client).into();
        if paused {
            self.evm_govern(&ICrosspointRegistry::pauseCall { client }).await
        } else {
            self.evm_govern(&ICrosspointRegistry::unpauseCall { client }).await
        }
    }
}
