//! ERC-20 points at home on the EVM chain: an honest one, and those that misbehave in the known ways.

use alloy::primitives::{Address as EvmAddress, Bytes, U256};
use alloy::sol;
use alloy::sol_types::SolCall;
use anyhow::{Context, Result};
use crosspoint_adapters::chain::Chain;
use crosspoint_adapters::evm::contracts::ICrosspointGateway::{owedCall, withdrawCall};
use crosspoint_adapters::evm::deploy::TokenPlan;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Preimage;
use crosspoint_relayer::life::Stage;
use crosspoint_tests::hand::STRANGER;
use crosspoint_tests::{
    From, LONG, MERCHANT, SHORT, Windows, World, done, evm_address, evm_key, evm_signer, member, member_address, secret,
};
use serde_json::{Value, json};

/// The contract of `contracts/test/utils/Tokens.sol`; `tests/artifacts/build.js` compiles it.
const ARTIFACT: &str = include_str!("../../artifacts/TestToken.json");

sol! {
    function mint(address to, uint256 amount) external;
    function setFee(bool on) external;
    function setReturnsFalse(bool on) external;
    function setBlacklisted(address account, bool on) external;
}

/// A listed token, of which the merchant has some.
struct Shop {
    world: World,
    token: EvmAddress,
    denom: Denom,
    voucher: Denom,
}

const MINTED: u128 = 10_000;

impl Shop {
    async fn open() -> Result<Self> {
        let world = World::start().await?;
        let artifact: Value = serde_json::from_str(ARTIFACT)?;
        let code: Bytes = artifact["bytecode"].as_str().context("bytecode")?.parse()?;
        let receipt = world.evm_send(STRANGER, None, code, None).await?;
        let token = receipt.contract_address.context("the token was not made")?;
        let plan = TokenPlan { token, limits: Default::default() };
        let denom = world.net.list_token(plan, "SHOP", 1_000_000).await?;
        let voucher = denom.received(&world.net.evm_client, &world.net.native_client)?.denom().clone();
        let shop = Self { world, token, denom, voucher };
        shop.tell(&mintCall { to: evm_key(MERCHANT)?.address(), amount: U256::from(MINTED) }).await?;
        Ok(shop)
    }

    /// Calls the token.
    async fn tell(&self, call: &impl SolCall) -> Result<()> {
        let receipt = self.world.evm_send(STRANGER, Some(self.token), call.abi_encode(), None).await?;
        anyhow::ensure!(receipt.succeeded(), "the token refused");
        Ok(())
    }

    /// What an EVM account holds of the token.
    async fn tokens(&self, account: usize) -> Result<u128> {
        self.world.balance(From::Evm, &evm_address(account)?, &self.denom).await
    }

    /// What a member of the native chain holds of the voucher.
    async fn vouchers(&self, name: &str) -> Result<u128> {
        self.world.balance(From::Native, &member_address(name)?, &self.voucher).await
    }

    async fn owed(&self, account: usize) -> Result<u128> {
        let call = owedCall { token: self.token, party: evm_key(account)?.address() };
        let request = json!({ "to": self.world.net.evm.settings().gateway, "data": Bytes::from(call.abi_encode()) });
        let answer: U256 = self.world.net.anvil.rpc().call("eth_call", json!([request, "latest"])).await?;
        Ok(answer.to())
    }

    /// Anyone may have what is owed paid out; the points go to whom they are owed.
    async fn withdraw(&self, account: usize) -> Result<bool> {
        let call = withdrawCall { token: self.token, party: evm_key(account)?.address() };
        Ok(self.world.gateway_send(&call).await?.succeeded())
    }

    /// The merchant sends its own points to alice on the native chain.
    async fn send(&self, amount: u128, secret: &Preimage, windows: Windows) -> Result<Packet> {
        let receiver = member_address("alice")?;
        self.world.lock(From::Evm, &evm_signer(MERCHANT)?, &self.denom, amount, receiver, secret, windows).await
    }

    /// Alice sends vouchers home to an EVM account.
    async fn home(&self, amount: u128, to: usize, secret: &Preimage, windows: Windows) -> Result<Packet> {
        let receiver = evm_address(to)?;
        self.world.lock(From::Native, &member("alice"), &self.voucher, amount, receiver, secret, windows).await
    }

    /// Sent, held, claimed, settled.
    async fn sent(&self, amount: u128) -> Result<()> {
        let secret = secret();
        let packet = self.send(amount, &secret, LONG).await?;
        self.end(From::Evm, &packet, &secret).await
    }

    /// Held, claimed, settled.
    async fn end(&self, from: From, packet: &Packet, secret: &Preimage) -> Result<()> {
        let id = self.world.id(from, packet);
        self.world.until(&id, Stage::Held).await?;
        done(&self.world.claim(from, packet, secret).await?)?;
        self.world.until(&id, Stage::Settled).await.map(drop)
    }

    /// Audits: also that the token is seen at all.
    async fn finish(self) -> Result<()> {
        let report = self.world.audit().await?;
        assert!(report.denoms.iter().any(|denom| denom.denom == self.denom), "{report:#?}");
        self.world.finish().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn points_of_an_erc20_cross_to_the_native_chain_and_come_home_from_the_vault() -> Result<()> {
    let shop = Shop::open().await?;
    shop.sent(1_000).await?;
    assert_eq!((shop.tokens(MERCHANT).await?, shop.vouchers("alice").await?), (MINTED - 1_000, 1_000));
    let back = secret();
    let packet = shop.home(300, MERCHANT, &back, LONG).await?;
    shop.end(From::Native, &packet, &back).await?;
    assert_eq!((shop.tokens(MERCHANT).await?, shop.vouchers("alice").await?), (MINTED - 700, 700));
    // And refunds, both ways.
    let away = shop.send(50, &secret(), SHORT).await?;
    let home = shop.home(60, MERCHANT, &secret(), SHORT).await?;
    shop.world.until(&shop.world.id(From::Evm, &away), Stage::Refunded).await?;
    shop.world.until(&shop.world.id(From::Native, &home), Stage::Refunded).await?;
    assert_eq!((shop.tokens(MERCHANT).await?, shop.vouchers("alice").await?), (MINTED - 700, 700));
    let gateway = crosspoint_adapters::evm::record::address_text(&shop.world.net.evm.settings().gateway).parse()?;
    assert_eq!(shop.world.net.evm.balance(&gateway, &shop.denom).await?.get(), 700, "the vault backs every voucher");
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_takes_a_fee_or_returns_false_is_not_locked() -> Result<()> {
    let shop = Shop::open().await?;
    shop.sent(500).await?;
    shop.tell(&setFeeCall { on: true }).await?;
    let refused = shop.send(100, &secret(), LONG).await.unwrap_err();
    assert!(refused.to_string().contains("fee"), "{refused}");
    shop.tell(&setFeeCall { on: false }).await?;
    shop.tell(&setReturnsFalseCall { on: true }).await?;
    let refused = shop.send(100, &secret(), LONG).await.unwrap_err();
    assert!(refused.to_string().contains("refused"), "{refused}");
    assert_eq!(shop.tokens(MERCHANT).await?, MINTED - 500, "nothing was taken");
    shop.tell(&setReturnsFalseCall { on: false }).await?;
    shop.sent(100).await?;
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_that_the_token_refuses_is_owed_and_the_transfer_settles_all_the_same() -> Result<()> {
    let shop = Shop::open().await?;
    shop.sent(1_000).await?;

    // The receiver is blacklisted.
    let customer = 3;
    let address = evm_key(customer)?.address();
    let blocked = secret();
    let packet = shop.home(200, customer, &blocked, LONG).await?;
    shop.tell(&setBlacklistedCall { account: address, on: true }).await?;
    shop.end(From::Native, &packet, &blocked).await?;
    assert_eq!((shop.tokens(customer).await?, shop.owed(customer).await?), (0, 200));
    assert!(!shop.withdraw(customer).await?, "still blacklisted");
    assert_eq!(shop.owed(customer).await?, 200);
    assert!(shop.world.audit().await?.is_balanced(), "what is owed is not lost");
    shop.tell(&setBlacklistedCall { account: address, on: false }).await?;
    assert!(shop.withdraw(customer).await?);
    assert_eq!((shop.tokens(customer).await?, shop.owed(customer).await?), (200, 0));
    assert!(!shop.withdraw(customer).await?, "paid once");

    // The token returns false at a claim, and at a refund.
    let unpaid = secret();
    let claimed = shop.home(100, customer, &unpaid, LONG).await?;
    let refunded = shop.send(70, &secret(), SHORT).await?;
    shop.world.until(&shop.world.id(From::Evm, &refunded), Stage::Held).await?;
    shop.tell(&setReturnsFalseCall { on: true }).await?;
    shop.end(From::Native, &claimed, &unpaid).await?;
    shop.world.until(&shop.world.id(From::Evm, &refunded), Stage::Refunded).await?;
    assert_eq!((shop.owed(customer).await?, shop.owed(MERCHANT).await?), (100, 70));
    assert!(shop.world.audit().await?.is_balanced());
    shop.tell(&setReturnsFalseCall { on: false }).await?;
    assert!(shop.withdraw(customer).await? && shop.withdraw(MERCHANT).await?);
    assert_eq!((shop.tokens(customer).await?, shop.tokens(MERCHANT).await?), (300, MINTED - 1_000));
    shop.finish().await
}
