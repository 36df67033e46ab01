//! Running sums of points by standing, so that the supply audit need not read every packet.

use super::JournalError;
use crate::life::{Life, Standing};
use crosspoint_protocol::amount::Amount;
pub use crosspoint_protocol::audit::StandingTotals;
use crosspoint_protocol::denom::Denom;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a packet's points are counted.
const fn slot(totals: &mut StandingTotals, standing: Standing) -> &mut Amount {
    match standing {
        Standing::Sent => &mut totals.sent,
        Standing::Held => &mut totals.held,
        Standing::Claimed => &mut totals.claimed,
        Standing::Voided => &mut totals.voided,
        Standing::Settled => &mut totals.settled,
        Standing::Refunded => &mut totals.refunded,
    }
}

/// All that was sent through one client.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// By denom, as the source names it.
    pub denoms: BTreeMap<Denom, StandingTotals>,
    /// Packets with a fact that rests on another chain's fact not read yet. 0 at a consistent cut.
    pub unread: u64,
    /// Packets whose facts contradict each other.
    pub anomalies: u64,
}

/// What one packet adds to the totals.
type Share = (Option<(Denom, Standing, Amount)>, bool, bool);

fn share(life: &Life) -> Share {
    let points = life.terms.as_ref().zip(life.facts.standing());
    let points = points.map(|(terms, standing)| (terms.denom.clone(), standing, terms.amount));
    (points, life.facts.rests_on_unread(), life.anomaly.is_some())
}

impl Totals {
    /// Replaces what a packet added before by what it adds now.
    pub fn replace(&mut self, before: Option<&Life>, now: &Life) -> Result<(), JournalError> {
        let range = || JournalError::Totals(now.route.to_string());
        let (old, new) = (before.map(share), share(now));
        if old.as_ref() == Some(&new) {
            return Ok(());
        }
        if let Some((points, unread, anomaly)) = old {
            if let Some((denom, standing, amount)) = points {
                let slot = slot(self.denoms.entry(denom).or_default(), standing);
                *slot = slot.checked_sub(amount).ok_or_else(range)?;
            }
            self.unread = self.unread.checked_sub(unread.into()).ok_or_else(range)?;
            self.anomalies = self.anomalies.checked_sub(anomaly.into()).ok_or_else(range)?;
        }
        let (points, unread, anomaly) = new;
        if let Some((denom, standing, amount)) = points {
            let slot = slot(self.denoms.entry(denom).or_default(), standing);
            *slot = slot.checked_add(amount).ok_or_else(range)?;
        }
        self.unread = self.unread.checked_add(unread.into()).ok_or_else(range)?;
        self.anomalies = self.anomalies.checked_add(anomaly.into()).ok_or_else(range)?;
        Ok(())
    }
}
