//! The relayer killed in the middle: nothing is lost and nothing happens twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use async_trait::async_trait;
use crosspoint_relayer::life::Stage;
use crosspoint_relayer::probe::{Point, Probe};
use crosspoint_tests::{From, LONG, Windows, World, done, secret};

/// Holds the task that reaches one point, and says so.
struct Hold {
    at: Point,
    reached: AtomicBool,
    told: tokio::sync::Notify,
}

#[async_trait]
impl Probe for Hold {
    async fn reached(&self, point: Point) {
        if point == self.at {
            self.reached.store(true, Ordering::SeqCst);
            self.told.notify_waiters();
            self.told.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

/// Starts a relayer, ends it where it stands as soon as it reaches a point, and starts another one: on the same
/// journal, or on none.
async fn kill_at(world: &mut World, at: Point, forget: bool) -> Result<()> {
    let hold = Arc::new(Hold { at, reached: AtomicBool::new(false), told: tokio::sync::Notify::new() });
    world.start_relayer_over(world.net.chains(), Some(Arc::clone(&hold) as Arc<dyn Probe>)).await?;
    tokio::time::timeout(crosspoint_tests::PATIENCE, hold.told.notified()).await?;
    assert!(hold.reached.load(Ordering::SeqCst));
    world.kill_relayer().await;
    if forget {
        world.forget_journal().await?;
    }
    world.start_relayer().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relayer_killed_at_every_stage_loses_nothing_and_repeats_nothing() -> Result<()> {
    let mut world = World::without_relayer().await?;
    let mall = world.member_sfs("mall").await?;
    let mut paid = 0;
    let windows = Windows { timeout: 60, hold: 60 };
    for (round, at) in Point::ALL.into_iter().enumerate() {
        let secret = secret();
        let amount = 100 + round as u128;
        let claimed = world.pay_merchant(amount, &secret, LONG).await?;
        let unclaimed = world.pay_merchant(amount, &crosspoint_tests::secret(), windows).await?;
        let (claimed_id, unclaimed_id) = (world.id(From::Native, &claimed), world.id(From::Native, &unclaimed));
        // On the way there. Half of the relayers find their journal gone, too. No hold ends yet.
        if at != Point::HoldEnded {
            kill_at(&mut world, at, round % 2 == 1).await?;
        } else {
            world.start_relayer().await?;
        }
        for id in [&claimed_id, &unclaimed_id] {
            world.until(id, Stage::Held).await?;
        }
        world.stop_relayer().await;
        // And on the way home: a claim's success is to be proven, a hold to be given up and its failure proven.
        done(&world.claim(From::Native, &claimed, &secret).await?)?;
        world.net.anvil.increase_time(200).await?;
        kill_at(&mut world, at, round % 2 == 0).await?;
        world.until(&claimed_id, Stage::Settled).await?;
        world.until(&unclaimed_id, Stage::Refunded).await?;
        paid += amount;
        assert_eq!(world.merchant_vouchers().await?, paid, "killed at {at:?}");
        assert_eq!(world.member_sfs("mall").await?, mall - paid, "killed at {at:?}");
        world.stop_relayer().await;
    }
    world.finish().await
}
