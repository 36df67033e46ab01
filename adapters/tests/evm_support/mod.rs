//! What the EVM tests share: anvil with the contracts, and a native chain in memory.
#![allow(dead_code, unreachable_pub, missing_docs)]

pub mod attestors;
pub mod native;
pub mod proxy;

use alloy::primitives::{Address, U256};
use alloy::signers::local::PrivateKeySigner;
use crosspoint_adapters::chain::{Chain, LockRequest, RelayItem};
use crosspoint_adapters::evm::anvil::{Anvil, AnvilOptions, development_key};
use crosspoint_adapters::evm::deploy::{ClientPlan, DeployPlan, LimitsPlan, Manifest, VoucherPlan, deploy};
use crosspoint_adapters::evm::record::address_text;
use crosspoint_adapters::evm::{EvmChain, EvmSettings};
use crosspoint_adapters::signer::Signer;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::ids::{Height, Timestamp};
use crosspoint_protocol::lock::Terms;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Preimage;
use crosspoint_protocol::window::WindowRules;
use native::{Native, client};

pub struct World {
    pub anvil: Anvil,
    pub native: Native,
    pub plan: DeployPlan,
    pub manifest: Manifest,
    pub chain: EvmChain,
}

pub fn key(index: usize) -> PrivateKeySigner {
    development_key(index).unwrap()
}

/// An account as packets name it.
pub fn account(index: usize) -> String {
    address_text(&key(index).address())
}

pub async fn now(anvil: &Anvil) -> u64 {
    let block: serde_json::Value =
        anvil.rpc().call("eth_getBlockByNumber", serde_json::json!(["latest", false])).await.unwrap();
    u64::from_str_radix(block["timestamp"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

pub fn plan(anvil: &Anvil, native: &Native) -> DeployPlan {
    DeployPlan {
        chain: anvil.chain().clone(),
        chain_number: anvil.chain_number(),
        endpoints: vec![anvil.url().clone()],
        clients: vec![ClientPlan {
            client: client("checkpoint-0"),
            counterparty: client("attested-0"),
            anchor: native.header().checkpoint,
            rules: WindowRules { max_timeout: 3600, min_hold: 60, trusting_period: 14 * 24 * 3600 },
            members_only: false,
            vouchers: vec![VoucherPlan {
                denom: "sfs".parse().unwrap(),
                name: "Storefront Stars".into(),
                symbol: "SFS".into(),
                decimals: 0,
                cap: Amount::new(910_000_000),
                limits: LimitsPlan::default(),
            }],
            tokens: vec![],
        }],
        governance: None,
        fees: Default::default(),
    }
}

pub fn settings(anvil: &Anvil, manifest: &Manifest) -> EvmSettings {
    let mut settings = manifest.settings(vec![anvil.url().clone()]).unwrap();
    settings.poll_ms = 20;
    settings.block_ms = 1_000;
    settings.request_timeout_ms = 5_000;
    settings
}

impl World {
    pub async fn new() -> Self {
        let anvil = Anvil::start(&AnvilOptions::default()).await.unwrap();
        let mut native = Native::new();
        native.commit(now(&anvil).await);
        let plan = plan(&anvil, &native);
        let manifest = deploy(&plan, &key(0), None, &mut |_| {}).await.unwrap();
        let chain = EvmChain::connect(settings(&anvil, &manifest), key(1), None, None).await.unwrap();
        Self { anvil, native, plan, manifest, chain }
    }

    pub async fn now(&self) -> u64 {
        now(&self.anvil).await
    }

    /// Ends the native block and signs its header at the EVM chain's time.
    pub async fn commit(&mut self) {
        let now = self.now().await;
        self.native.commit(now);
    }

    pub async fn balance(&self, index: usize) -> u128 {
        let denom = "points/checkpoint-0/sfs".parse().unwrap();
        self.chain.balance(&account(index).parse().unwrap(), &denom).await.unwrap().get()
    }

    pub fn gateway(&self) -> Address {
        self.chain.settings().gateway
    }
}

/// A received and claimed packet with the block it was received in, and a packet sent with its block.
pub async fn life(world: &mut World) -> [(Packet, Height); 2] {
    let now = world.now().await;
    let preimage = Preimage::new([1; 32]);
    let claimed = world.native.send("sfs", 500, &account(4), &preimage, now + 600, now + 1200);
    world.commit().await;
    let proven = world.native.prove(vec![RelayItem::Recv { packet: claimed.clone() }]);
    let received = world.chain.submit(&client("checkpoint-0"), &proven).await.unwrap().block.height;
    world.chain.claim(&[(claimed.clone(), preimage)]).await.unwrap();
    let request = LockRequest {
        client: client("checkpoint-0"),
        denom: "points/checkpoint-0/sfs".parse().unwrap(),
        amount: Amount::new(40),
        receiver: "point1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq".parse().unwrap(),
        hashlock: Preimage::new([7; 32]).hashlock(),
        timeout: Timestamp(now + 600),
        claim_deadline: Timestamp(now + 1200),
        terms: Terms::Plain,
        memo: "back home".into(),
    };
    let (submitted, sent) = world.chain.lock(&Signer::Evm(Box::new(key(4))), &request).await.unwrap();
    world.anvil.mine(4).await.unwrap();
    [(claimed, received), (sent, submitted.block.height)]
}

pub fn ether(amount: u64) -> U256 {
    U256::from(amount) * U256::from(10).pow(U256::from(18))
}
