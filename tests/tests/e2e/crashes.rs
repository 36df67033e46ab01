//! Killed in the middle: nothing is lost and nothing happens twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use async_trait::async_trait;
use crosspoint_relayer::life::Stage;
use crosspoint_relayer::probe::{Point, Probe};
use crosspoint_tests::{From, LONG, SHORT, World, done, secret};

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

#[tokio::test(flavor = "multi_thread")]
async fn the_relayer_killed_at_every_stage_loses_nothing_and_repeats_nothing() -> Result<()> {
    let mut world = World::without_relayer().await?;
    let mall = world.member_sfs("mall").await?;
    let mut paid = 0;
    for (round, at) in Point::ALL.into_iter().enumerate() {
        let secret = secret();
        let amount = 100 + round as u128;
        let (claimed, unclaimed) = (
            world.pay_merchant(amount, &secret, LONG).await?,
            world.pay_merchant(amount, &crosspoint_tests::secret(), SHORT).await?,
        );
        let hold = Arc::new(Hold { at, reached: AtomicBool::new(false), told: tokio::sync::Notify::new() });
        world.start_relayer_over(world.net.chains(), Some(Arc::clone(&hold) as Arc<dyn Probe>)).await?;
        tokio::time::timeout(crosspoint_tests::PATIENCE, hold.told.notified()).await?;
        assert!(hold.reached.load(Ordering::SeqCst));
        world.kill_relayer().await;

        // Half of the rounds find their journal gone, too.
        if round % 2 == 1 {
            world.forget_journal()?;
        }
        world.start_relayer().await?;
        let id = world.id(From::Native, &claimed);
        if world.until(&id, Stage::Held).await.is_ok() {
            done(&world.claim(From::Native, &claimed, &secret).await?)?;
        }
        world.until(&id, Stage::Settled).await?;
        paid += amount;
        let id = world.id(From::Native, &unclaimed);
        let started = std::time::Instant::now();
        while !world.transfer(&id).is_some_and(|transfer| transfer.life.stage.is_final()) {
            assert!(started.elapsed() < crosspoint_tests::PATIENCE, "{id}: {:?}", world.transfer(&id));
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(world.merchant_vouchers().await?, paid, "killed at {at:?}");
        assert_eq!(world.member_sfs("mall").await?, mall - paid, "killed at {at:?}");
        world.stop_relayer().await;
    }
    world.finish().await
}
