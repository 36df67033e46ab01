//! Transfers that end well.

use anyhow::Result;
use crosspoint_relayer::life::Stage;
use crosspoint_tests::{From, LONG, World, done, evm_address, member_address, secret, sfs};

#[tokio::test(flavor = "multi_thread")]
async fn points_cross_to_evm_and_home_again_and_the_vouchers_are_burned() -> Result<()> {
    let world = World::start().await?;
    let mall = world.member_sfs("mall").await?;

    let invoice = secret();
    let packet = world.pay_merchant(1_250, &invoice, LONG).await?;
    assert_eq!(world.member_sfs("mall").await?, mall - 1_250);
    let id = world.id(From::Native, &packet);
    world.until(&id, Stage::Held).await?;
    assert_eq!(world.merchant_vouchers().await?, 0, "a hold is not a payment");
    done(&world.claim(From::Native, &packet, &invoice).await?)?;
    assert_eq!(world.merchant_vouchers().await?, 1_250);
    let transfer = world.until(&id, Stage::Settled).await?;
    let ack = transfer.life.facts.acked.expect("an ack is the payer's receipt").ack;
    assert_eq!(ack, [&[1], invoice.reveal().as_slice()].concat());

    let back = secret();
    let coffee = world.member_sfs("coffee").await?;
    let packet = world.send_back(400, "coffee", &back, LONG).await?;
    assert_eq!(world.merchant_vouchers().await?, 850);
    let id = world.id(From::Evm, &packet);
    world.until(&id, Stage::Held).await?;
    done(&world.claim(From::Evm, &packet, &back).await?)?;
    world.until(&id, Stage::Settled).await?;
    assert_eq!(world.member_sfs("coffee").await?, coffee + 400);

    let report = world.audit().await?;
    let denom = report.denoms.iter().find(|denom| denom.denom == sfs()).expect("SFS");
    assert_eq!((denom.vault.get(), denom.locked.get(), denom.held.get()), (850, 0, 0));
    assert_eq!(denom.vouchers.get(), 850, "the vouchers that went home were burned");
    assert_eq!(denom.issued.unwrap().get(), 910_000_000);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_transfers_at_once_all_settle() -> Result<()> {
    let world = World::start().await?;
    let mut sent = vec![];
    for amount in 1..=30u128 {
        let secret = secret();
        sent.push((world.pay_merchant(amount, &secret, LONG).await?, secret));
    }
    for (packet, secret) in &sent {
        world.until(&world.id(From::Native, packet), Stage::Held).await?;
        done(&world.claim(From::Native, packet, secret).await?)?;
    }
    for (packet, _) in &sent {
        world.until(&world.id(From::Native, packet), Stage::Settled).await?;
    }
    assert_eq!(world.merchant_vouchers().await?, (1..=30).sum::<u128>());
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn anyone_may_claim_but_only_the_receiver_is_paid() -> Result<()> {
    let world = World::start().await?;
    let secret = secret();
    let packet = world.pay_merchant(77, &secret, LONG).await?;
    world.until(&world.id(From::Native, &packet), Stage::Held).await?;
    // The claim is signed by the relayer's account.
    done(&world.claim(From::Native, &packet, &secret).await?)?;
    let relayer = evm_address(crosspoint_gateway::localnet::RELAYER)?;
    let voucher = world.net.voucher_on_evm(&sfs())?;
    assert_eq!(world.balance(From::Evm, &relayer, &voucher).await?, 0);
    assert_eq!(world.merchant_vouchers().await?, 77);
    world.until(&world.id(From::Native, &packet), Stage::Settled).await?;
    assert_eq!(world.member_sfs("relayer").await?, 0);
    assert_ne!(member_address("relayer")?, member_address("mall")?);
    world.finish().await
}
