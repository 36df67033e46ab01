//! Secrets, limits and the pause: what may not pass leaves no trace, and what must end still ends.

use std::time::Duration;

use anyhow::Result;
use crosspoint_adapters::chain::{Chain, ItemOutcome};
use crosspoint_adapters::evm::contracts::ICrosspointGateway::{SkipReason, claimCall};
use crosspoint_adapters::evm::record::{Batch, Direction, client_word};
use crosspoint_ledger::events::{Event, Outcome};
use crosspoint_ledger::tx::action::Limits;
use crosspoint_ledger::tx::message::{ClaimItem, Message};
use crosspoint_protocol::amount::Amount;
use crosspoint_relayer::life::Stage;
use crosspoint_tests::hand::{at_most, recv};
use crosspoint_tests::{From, LONG, Windows, World, done, evm_address, member, secret, sfs};

/// Secrets that do not open what `right` opens: another one, one byte less, one byte more, nothing.
fn wrong_secrets(right: [u8; 32]) -> [Vec<u8>; 4] {
    [secret().reveal().to_vec(), right[..31].to_vec(), [right.as_slice(), &[0]].concat(), vec![]]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_short_or_long_preimage_leaves_the_hold_open_on_evm() -> Result<()> {
    let world = World::start().await?;
    let right = secret();
    let packet = world.pay_merchant(120, &right, LONG).await?;
    let id = world.id(From::Native, &packet);
    world.until(&id, Stage::Held).await?;
    // The adapter would send none of these: ask the contract itself.
    for wrong in wrong_secrets(*right.reveal()) {
        let mut batch = Batch::new(Direction::In);
        batch.push(&wrong, &packet)?;
        let client = client_word(&packet.dest_client).into();
        let receipt = world.gateway_send(&claimCall { client, claims: batch.into_bytes().into() }).await?;
        if wrong.len() == 32 {
            assert!(matches!(world.skips(&receipt)[..], [(0, SkipReason::WrongPreimage)]));
        } else {
            // The record is not where it should be: the batch is malformed as a whole.
            assert!(!receipt.succeeded(), "{} bytes", wrong.len());
        }
        assert_eq!(world.merchant_vouchers().await?, 0);
    }
    let adapter = world.claim(From::Native, &packet, &secret()).await?;
    assert!(matches!(adapter.outcomes[..], [ItemOutcome::Skipped { retryable: false, .. }]), "{adapter:?}");
    done(&world.claim(From::Native, &packet, &right).await?)?;
    world.until(&id, Stage::Settled).await?;
    assert_eq!(world.merchant_vouchers().await?, 120);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_short_or_long_preimage_leaves_the_hold_open_on_the_native_chain() -> Result<()> {
    let world = World::start().await?;
    world.paid_merchant(300).await?;
    let right = secret();
    let packet = world.send_back(200, "coffee", &right, LONG).await?;
    let id = world.id(From::Evm, &packet);
    world.until(&id, Stage::Held).await?;
    for wrong in wrong_secrets(*right.reveal()) {
        let (client, sequence) = (packet.dest_client.clone(), packet.sequence);
        let length = wrong.len();
        let message = Message::Claim(vec![ClaimItem { client, sequence, secret: wrong }]);
        // A node may refuse the transaction at once; if it is in a block, the item is skipped for good.
        if let Ok(included) = world.net.native.execute(&member("bob"), message).await {
            let skipped = included
                .events
                .iter()
                .any(|event| matches!(event, Event::ItemOutcome { outcome: Outcome::Skipped, retryable: false, .. }));
            assert!(skipped, "{length} bytes: {:?}", included.events);
        }
        assert_eq!(world.member_sfs("coffee").await?, 0, "{length} bytes");
    }
    done(&world.claim(From::Evm, &packet, &right).await?)?;
    world.until(&id, Stage::Settled).await?;
    assert_eq!(world.member_sfs("coffee").await?, 200);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hashlock_is_good_for_one_lock_of_a_sender_even_after_it_ended() -> Result<()> {
    let world = World::start().await?;
    let used = secret();
    let packet = world.pay_merchant(100, &used, LONG).await?;
    let id = world.id(From::Native, &packet);
    let open = world.pay_merchant(50, &used, LONG).await.unwrap_err();
    world.until(&id, Stage::Held).await?;
    done(&world.claim(From::Native, &packet, &used).await?)?;
    world.until(&id, Stage::Settled).await?;
    let ended = world.pay_merchant(50, &used, LONG).await.unwrap_err();
    // Another sender, on another chain, may use it: it is theirs that they put at risk.
    let back = world.send_back(30, "coffee", &used, LONG).await?;
    let again = world.send_back(30, "coffee", &used, LONG).await.unwrap_err();
    for error in [open, ended, again] {
        assert!(error.to_string().contains("hashlock"), "{error}");
    }
    let id = world.id(From::Evm, &back);
    // The preimage is public by now, so the watch-tower may be first; the receiver is paid once all the same.
    world
        .eventually("the claim", async || {
            let _ = world.claim(From::Evm, &back, &used).await;
            Ok(world.member_sfs("coffee").await? == 30)
        })
        .await?;
    world.until(&id, Stage::Settled).await?;
    assert_eq!(world.member_sfs("coffee").await?, 30);
    assert_eq!(world.merchant_vouchers().await?, 70);
    world.finish().await
}

fn up_to(max: u128) -> Limits {
    Limits { max: Amount::new(max), ..Limits::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn above_a_limit_nothing_is_locked_and_what_comes_in_waits_until_the_limit_is_raised() -> Result<()> {
    let mut world = World::start().await?;
    world.paid_merchant(1_000).await?;
    world.stop_relayer().await;

    // Towards EVM.
    world.limit_evm(at_most(100)).await?;
    let refused = world.send_back(101, "coffee", &secret(), LONG).await.unwrap_err();
    assert!(refused.to_string().contains("above the most allowed"), "{refused}");
    assert_eq!(world.merchant_vouchers().await?, 1_000);
    let out = secret();
    let packet = world.pay_merchant(500, &out, LONG).await?;
    let skipped = world.carry(From::Native, &[recv(&packet)]).await?;
    assert!(matches!(skipped.outcomes[..], [ItemOutcome::Skipped { retryable: true, .. }]), "{skipped:?}");
    assert!(!world.was_received(From::Native, &packet).await?, "a skipped item leaves no state");
    world.limit_evm(at_most(10_000)).await?;

    // Towards the native chain.
    world.limit_native(up_to(100)).await?;
    let mall = world.member_sfs("mall").await?;
    let refused = world.pay_merchant(101, &secret(), LONG).await.unwrap_err();
    assert!(refused.to_string().contains("limit"), "{refused}");
    assert_eq!(world.member_sfs("mall").await?, mall);
    let back = secret();
    let home = world.send_back(400, "coffee", &back, LONG).await?;
    let skipped = world.carry(From::Evm, &[recv(&home)]).await?;
    assert!(matches!(skipped.outcomes[..], [ItemOutcome::Skipped { retryable: true, .. }]), "{skipped:?}");
    assert!(!world.was_received(From::Evm, &home).await?, "a skipped item leaves no state");
    // A relayer keeps trying; once the limit is raised both arrive.
    world.start_relayer().await?;
    world.until(&world.id(From::Native, &packet), Stage::Held).await?;
    assert!(!world.was_received(From::Evm, &home).await?);
    world.limit_native(up_to(10_000)).await?;
    world.until(&world.id(From::Evm, &home), Stage::Held).await?;

    done(&world.claim(From::Native, &packet, &out).await?)?;
    done(&world.claim(From::Evm, &home, &back).await?)?;
    world.until(&world.id(From::Native, &packet), Stage::Settled).await?;
    world.until(&world.id(From::Evm, &home), Stage::Settled).await?;
    assert_eq!((world.merchant_vouchers().await?, world.member_sfs("coffee").await?), (1_100, 400));
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_stops_locks_and_receipts_while_claims_settles_and_refunds_go_on() -> Result<()> {
    let mut world = World::start().await?;
    let mall = world.member_sfs("mall").await?;
    world.paid_merchant(1_000).await?;
    let windows = Windows { timeout: 120, hold: 60 };
    // Before the pause: holds on both sides, one of which is claimed during it, and packets on their way.
    let paid = secret();
    let claimed = world.pay_merchant(10, &paid, windows).await?;
    let held = world.pay_merchant(20, &secret(), windows).await?;
    let held_home = world.send_back(40, "coffee", &secret(), windows).await?;
    for (from, packet) in [(From::Native, &claimed), (From::Native, &held), (From::Evm, &held_home)] {
        world.until(&world.id(from, packet), Stage::Held).await?;
    }
    world.stop_relayer().await;
    let sent = world.pay_merchant(80, &secret(), windows).await?;
    let sent_home = world.send_back(160, "coffee", &secret(), windows).await?;
    let before = (world.member_sfs("mall").await?, world.merchant_vouchers().await?);

    world.set_paused(true).await?;
    for refused in [
        world.pay_merchant(1, &secret(), LONG).await.unwrap_err(),
        world.send_back(1, "coffee", &secret(), LONG).await.unwrap_err(),
    ] {
        assert!(refused.to_string().contains("paused"), "{refused}");
    }
    assert_eq!((world.member_sfs("mall").await?, world.merchant_vouchers().await?), before);
    for (from, packet) in [(From::Native, &sent), (From::Evm, &sent_home)] {
        if let Ok(submitted) = world.carry(from, &[recv(packet)]).await {
            assert!(matches!(submitted.outcomes[..], [ItemOutcome::Skipped { retryable: true, .. }]), "{submitted:?}");
        }
        assert!(!world.was_received(from, packet).await?);
    }

    world.start_relayer().await?;
    done(&world.claim(From::Native, &claimed, &paid).await?)?;
    world.until(&world.id(From::Native, &claimed), Stage::Settled).await?;
    world.net.solo.advance_time(Duration::from_secs(400)).await?;
    world.net.anvil.increase_time(400).await?;
    world.until(&world.id(From::Native, &held), Stage::Refunded).await?;
    world.until(&world.id(From::Evm, &held_home), Stage::Refunded).await?;
    world.until(&world.id(From::Native, &sent), Stage::TimedOut).await?;
    world.until(&world.id(From::Evm, &sent_home), Stage::TimedOut).await?;
    assert_eq!(world.member_sfs("mall").await?, mall - 1_010);
    assert_eq!(world.merchant_vouchers().await?, 1_010);

    world.set_paused(false).await?;
    world.paid_merchant(5).await?;
    let home = secret();
    let packet = world.send_back(15, "coffee", &home, LONG).await?;
    world.until(&world.id(From::Evm, &packet), Stage::Held).await?;
    done(&world.claim(From::Evm, &packet, &home).await?)?;
    world.until(&world.id(From::Evm, &packet), Stage::Settled).await?;
    assert_eq!(world.member_sfs("coffee").await?, 15);
    let merchant = evm_address(crosspoint_tests::MERCHANT)?;
    let voucher = world.net.voucher_on_evm(&sfs())?;
    assert_eq!(world.net.evm.balance(&merchant, &voucher).await?.get(), 1_000);
    world.finish().await
}
