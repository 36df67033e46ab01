//! The contracts' side: anvil with a clock in the test's hand, and why a call failed.

use crate::evm_support::native::Native;
use crate::evm_support::{World, key, now, plan, settings};
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::{SolCall, SolEventInterface};
use crosspoint_adapters::evm::EvmChain;
use crosspoint_adapters::evm::anvil::{Anvil, AnvilOptions};
use crosspoint_adapters::evm::contracts::ICheckpointClient::ICheckpointClientErrors;
use crosspoint_adapters::evm::contracts::ICrosspointGateway::{ICrosspointGatewayErrors, ICrosspointGatewayEvents};
use crosspoint_adapters::evm::contracts::{IBindings, ICrosspointRegistry, IToken};
use crosspoint_adapters::evm::deploy::{DeployPlan, deploy};
use crosspoint_adapters::evm::sender::Receipt;
use serde_json::{Value, json};
use std::time::Duration;

/// Where every run starts, in seconds, so that a seed is a whole run.
const START: u64 = 2_000_000_000;
/// Who decides on the contracts' registry.
const ADMIN: usize = 0;
/// Anybody who submits.
const ANYBODY: usize = 9;

pub(crate) struct OnChain {
    pub(crate) world: World,
    pub(crate) now: u64,
}

/// What a transaction did.
pub(crate) enum Sent {
    /// It went through, with these events of the gateway.
    Done(Vec<ICrosspointGatewayEvents>),
    /// It reverted, for this reason: an error's name.
    Reverted(String),
}

impl OnChain {
    pub(crate) async fn start(change: impl FnOnce(&mut DeployPlan)) -> Self {
        let options = AnvilOptions { timestamp: Some(START), ..AnvilOptions::default() };
        let anvil = Anvil::start(&options).await.unwrap();
        let mut native = Native::new();
        native.commit(now(&anvil).await);
        let mut plan = plan(&anvil, &native);
        change(&mut plan);
        let manifest = deploy(&plan, &key(0), None, &mut |_| {}).await.unwrap();
        let chain = EvmChain::connect(settings(&anvil, &manifest), key(1), None, None).await.unwrap();
        // Past the deployment's blocks, whose times are the machine's.
        let now = START + 1_000;
        Self { world: World { anvil, native, plan, manifest, chain }, now }
    }

    async fn rpc<T: serde::de::DeserializeOwned>(&self, method: &'static str, params: Value) -> T {
        self.world.anvil.rpc().call(method, params).await.unwrap()
    }

    pub(crate) async fn read<C: SolCall>(&self, to: Address, call: &C) -> C::Return {
        let request = json!({ "to": to, "data": Bytes::from(call.abi_encode()) });
        let answer: Bytes = self.rpc("eth_call", json!([request, "latest"])).await;
        C::abi_decode_returns(&answer).unwrap()
    }

    /// The contract that has this client.
    pub(crate) async fn light_client(&self, client: B256) -> Address {
        let registry = self.world.chain.registry();
        self.read(registry, &ICrosspointRegistry::clientInfoCall { client }).await.lightClient
    }

    /// Anvil answers before its block is made.
    async fn receipt(&self, hash: &str) -> Receipt {
        for _ in 0..5_000 {
            if let Some(receipt) = self.rpc::<Option<Receipt>>("eth_getTransactionReceipt", json!([hash])).await {
                return receipt;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("{hash} is in no block");
    }

    /// One transaction in a block of exactly this time.
    pub(crate) async fn send_at(&mut self, time: u64, from: usize, to: Address, call: &impl SolCall) -> Sent {
        assert!(time > self.now, "each block is later than the one before");
        self.now = time;
        let _: Value = self.rpc("evm_setNextBlockTimestamp", json!([time])).await;
        let request = json!({
            "from": key(from).address(), "to": to, "data": Bytes::from(call.abi_encode()), "gas": "0x4c4b40",
        });
        let hash: String = self.rpc("eth_sendTransaction", json!([request])).await;
        let receipt = self.receipt(&hash).await;
        if receipt.succeeded() {
            let gateway = self.world.gateway();
            let ours = receipt.logs.iter().filter(|log| log.inner.address == gateway);
            return Sent::Done(
                ours.filter_map(|log| Some(ICrosspointGatewayEvents::decode_log(&log.inner).ok()?.data)).collect(),
            );
        }
        let trace: Value = self.rpc("debug_traceTransaction", json!([hash, { "tracer": "callTracer" }])).await;
        let output: Bytes = trace["output"].as_str().unwrap_or("0x").parse().unwrap();
        Sent::Reverted(error_name(&output))
    }

    pub(crate) async fn anybody(&mut self, time: u64, to: Address, call: &impl SolCall) -> Sent {
        self.send_at(time, ANYBODY, to, call).await
    }

    /// A decision of the registry's governance, a second later.
    pub(crate) async fn decide(&mut self, call: &impl SolCall) -> Sent {
        let registry = self.world.chain.registry();
        self.send_at(self.now + 1, ADMIN, registry, call).await
    }

    pub(crate) async fn balance(&self, token: Address, account: Address) -> u128 {
        self.read(token, &IToken::balanceOfCall { account }).await.try_into().unwrap()
    }
}

pub(crate) fn to_u128(value: U256) -> u128 {
    value.try_into().unwrap()
}

/// The error's name in the contracts.
fn error_name(output: &[u8]) -> String {
    let Some(selector) = output.first_chunk::<4>().copied() else { return "none".into() };
    ICrosspointGatewayErrors::name_by_selector(selector)
        .or_else(|| ICheckpointClientErrors::name_by_selector(selector))
        .or_else(|| IBindings::IBindingsErrors::name_by_selector(selector))
        .or_else(|| IToken::ITokenErrors::name_by_selector(selector))
        .map_or_else(|| format!("{selector:02x?}"), str::to_owned)
}
