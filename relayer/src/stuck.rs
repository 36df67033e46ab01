//! Packets the relayer gave up on: they are tried again, by hand at once, by themselves after a long wait. What made
//! a chain refuse may pass (a proof of a state that is gone, a fault mended by an upgrade), and points must not
//! wait for ever for a person to notice.

use crate::journal::JournalError;
use crate::journal::step::{Cause, Step, now_ms};
use crate::life::{Life, Stage};
use crate::retry::Backoff;
use crate::route::PacketId;
use crate::shared::{Shared, lock};
use std::sync::Arc;
use std::time::Duration;

/// How many of the longest waits between tries a stuck packet waits.
const WAITS: u64 = 10;
/// Most packets freed in one step.
const AT_ONCE: usize = 100;

/// How long a stuck packet waits until it is tried again, in milliseconds.
pub(crate) const fn wait_ms(backoff: &Backoff) -> u64 {
    backoff.longest_ms.saturating_mul(WAITS)
}

/// Lets a packet that waits, or is stuck, be tried now.
pub(crate) fn free(step: &mut Step<'_>, id: &PacketId, note: &str) -> Result<Life, JournalError> {
    let mut life = step.life(id)?.ok_or_else(|| JournalError::NoPacket(id.clone()))?;
    if life.retry.is_some() {
        let stage = if life.stage == Stage::Stuck { life.resting_stage() } else { life.stage };
        step.enter(&mut life, stage, Cause { note: Some(note.to_owned()), ..Cause::default() })?;
        step.put(life.clone())?;
    }
    Ok(life)
}

/// Frees stuck packets when their wait is over, until the relayer stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let wait = wait_ms(&shared.config.backoff);
    while shared.rest(Duration::from_millis(shared.config.tick_ms)).await {
        match free_due(&shared, now_ms().saturating_sub(wait)).await {
            Ok(0) => {}
            Ok(freed) => {
                tracing::warn!(packets = freed, "stuck packets are tried again");
                shared.nudge.send_modify(|n| *n = n.wrapping_add(1));
            }
            Err(error) => tracing::error!(%error, "looking after stuck packets failed"),
        }
    }
}

/// Frees packets that are stuck since before `since_ms`; how many.
async fn free_due(shared: &Shared, since_ms: u64) -> Result<usize, JournalError> {
    let mut due = vec![];
    for route in lock(&shared.routes).keys() {
        due.extend(shared.journal.at_stage_since(route, Stage::Stuck, since_ms, AT_ONCE)?);
    }
    let count = due.len();
    if count > 0 {
        let write = shared.journal.step::<(), JournalError>(move |step| {
            due.iter().try_for_each(|id| free(step, id, "tried again after a long wait").map(drop))
        });
        write.await?;
    }
    Ok(count)
}
