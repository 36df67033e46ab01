//! Least and most per transfer, per member and day, and in flight, on both chains; refunds give budgets back, even
//! while locks are paused.

use std::time::Duration;

use alloy::primitives::aliases::U96;
use anyhow::Result;
use crosspoint_adapters::evm::contracts::ICrosspointRegistry::Limits as EvmLimits;
use crosspoint_adapters::signer::Signer;
use crosspoint_ledger::tx::action::Limits;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::packet::Packet;
use crosspoint_relayer::life::Stage;
use crosspoint_tests::{
    From, LONG, MERCHANT, Windows, World, done, evm_address, evm_signer, member, member_address, secret, sfs,
};

/// Another holder of vouchers on the EVM chain.
const CUSTOMER: usize = 3;
/// Time enough to be received on a slow machine; then time is moved.
const BRIEF: Windows = Windows { timeout: 100, hold: 60 };
const DAY: u64 = 86_400;

/// A member of the native chain pays the merchant.
async fn pay(world: &World, payer: &str, amount: u128) -> Result<Packet> {
    world.lock(From::Native, &member(payer), &sfs(), amount, evm_address(MERCHANT)?, &secret(), BRIEF).await
}

/// A holder of vouchers sends some back. Each has a receiver of its own: what comes in is limited per member, too.
async fn send_back(world: &World, payer: usize, amount: u128) -> Result<Packet> {
    let receiver = member_address(if payer == MERCHANT { "coffee" } else { "books" })?;
    let voucher = world.net.voucher_on_evm(&sfs())?;
    world.lock(From::Evm, &evm_signer(payer)?, &voucher, amount, receiver, &secret(), BRIEF).await
}

/// The daily limit counts by UTC days: none may end while the test runs.
async fn stay_clear_of_midnight(world: &World) -> Result<()> {
    for from in [From::Native, From::Evm] {
        let now = world.chain(from).head().await?.latest.time.0;
        let left = DAY - now % DAY;
        if left < 600 {
            match from {
                From::Native => world.net.solo.advance_time(Duration::from_secs(left + 1)).await.map(drop)?,
                From::Evm => world.net.anvil.increase_time(left + 1).await?,
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_limit_is_kept_on_both_chains_and_refunds_give_budgets_back_while_paused() -> Result<()> {
    let world = World::start().await?;
    stay_clear_of_midnight(&world).await?;
    world.paid_merchant(1_000).await?;
    let opened = secret();
    let mall: Signer = member("mall");
    let packet = world.lock(From::Native, &mall, &sfs(), 1_000, evm_address(CUSTOMER)?, &opened, LONG).await?;
    world.until(&world.id(From::Native, &packet), Stage::Held).await?;
    done(&world.claim(From::Native, &packet, &opened).await?)?;
    world.until(&world.id(From::Native, &packet), Stage::Settled).await?;

    let amount = Amount::new;
    let native = Limits { min: amount(10), max: amount(80), daily_per_member: amount(100), in_flight: amount(150) };
    world.limit_native(native).await?;
    let evm = EvmLimits { minAmount: U96::from(10), maxAmount: U96::from(80), memberPerDay: 100, inFlight: 150 };
    world.limit_evm(evm).await?;
    let before = balances(&world).await?;
    let mut packets = vec![];
    let refused = |outcome: Result<Packet>, why: &str| {
        let error = outcome.expect_err(why).to_string();
        assert!(error.contains(why), "{error}, not {why}");
    };
    for too_much_or_little in [9, 81] {
        refused(pay(&world, "mall", too_much_or_little).await, "limits of one transfer");
    }
    packets.push((From::Native, pay(&world, "mall", 60).await?));
    refused(pay(&world, "mall", 60).await, "per day");
    packets.push((From::Native, pay(&world, "marketing", 60).await?));
    refused(pay(&world, "marketing", 40).await, "in flight");

    refused(send_back(&world, MERCHANT, 9).await, "below the least");
    refused(send_back(&world, MERCHANT, 81).await, "above the most");
    packets.push((From::Evm, send_back(&world, MERCHANT, 60).await?));
    refused(send_back(&world, MERCHANT, 60).await, "limit for today");
    packets.push((From::Evm, send_back(&world, CUSTOMER, 60).await?));
    refused(send_back(&world, CUSTOMER, 40).await, "in flight");
    assert_eq!(balances(&world).await?, before.map(|balance| balance - 60), "only what was accepted was taken");

    // Refunds flow while nothing may be locked.
    for (from, packet) in &packets {
        world.until(&world.id(*from, packet), Stage::Held).await?;
    }
    world.set_paused(true).await?;
    refused(pay(&world, "mall", 10).await, "paused");
    refused(send_back(&world, MERCHANT, 10).await, "paused");
    world.net.anvil.increase_time(200).await?;
    world.net.solo.advance_time(Duration::from_secs(200)).await?;
    for (from, packet) in &packets {
        world.until(&world.id(*from, packet), Stage::Refunded).await?;
    }
    assert_eq!(balances(&world).await?, before);
    world.set_paused(false).await?;

    // With the points came the budgets.
    for (from, packet) in
        [(From::Native, pay(&world, "mall", 80).await?), (From::Evm, send_back(&world, MERCHANT, 80).await?)]
    {
        world.until(&world.id(from, &packet), Stage::Held).await?;
    }
    world.finish().await
}

/// Of everybody who pays in this story.
async fn balances(world: &World) -> Result<[u128; 4]> {
    let voucher = world.net.voucher_on_evm(&sfs())?;
    let customer = world.balance(From::Evm, &evm_address(CUSTOMER)?, &voucher).await?;
    let (mall, marketing) = (world.member_sfs("mall").await?, world.member_sfs("marketing").await?);
    Ok([mall, marketing, world.merchant_vouchers().await?, customer])
}
