//! The watch-tower: a preimage that is known opens every open hold it may be shown for.
//!
//! A preimage registered for an invoice is shown only for a hold on that chain of exactly that denom, amount and
//! receiver: else a stranger could lock one point under the same hashlock and get it revealed
//! (`docs/protocol.md`). One that a claim has published is spread to the holds that are like the claimed one.

use crate::journal::step::{Cause, Step};
use crate::journal::{Invoice, Journal, JournalError};
use crate::life::{Life, Stage};
use crosspoint_adapters::chain::Tip;
use crosspoint_protocol::secret::{Hashlock, Preimage};
use std::sync::Arc;

/// Most packets with one hashlock that are looked at when a packet changes.
const MAX_ALIKE: usize = 1_024;

/// What the hold of a packet pays, as an invoice would ask for it. A bound hold pays nobody.
fn paid_by(life: &Life) -> Option<Invoice> {
    let terms = life.terms.as_ref().filter(|terms| terms.onward.is_none())?;
    Some(Invoice {
        chain: life.route.dest_chain.clone(),
        denom: terms.dest_denom.clone(),
        amount: terms.amount,
        receiver: terms.receiver.clone(),
    })
}

/// Whether two packets make holds of one denom, amount and receiver under one hashlock on one chain.
fn alike(a: &Life, b: &Life) -> bool {
    let pays = paid_by(a);
    hashlock(a) == hashlock(b) && pays.is_some() && pays == paid_by(b)
}

fn hashlock(life: &Life) -> Option<Hashlock> {
    life.terms.as_ref().map(|terms| terms.hashlock)
}

/// Marks an open hold whose preimage is known and may be shown for it.
pub(crate) fn consider(step: &Step<'_>, life: &mut Life) -> Result<(), JournalError> {
    let Some(hashlock) = hashlock(life).filter(|_| !life.claimable && life.facts.stage() == Stage::Held) else {
        return Ok(());
    };
    let invoiced = step.secret(&hashlock)?.is_some_and(|secret| Some(secret.invoice) == paid_by(life));
    life.claimable = invoiced
        || step
            .with_hashlock(&hashlock, MAX_ALIKE)?
            .iter()
            .any(|other| alike(other, life) && other.revealed().is_some());
    Ok(())
}

/// A claim has published a preimage: open holds that are like the claimed one become claimable.
pub(crate) fn spread(step: &mut Step<'_>, claimed: &Life) -> Result<(), JournalError> {
    let Some(hashlock) = hashlock(claimed).filter(|_| claimed.revealed().is_some()) else { return Ok(()) };
    let others = step.with_hashlock(&hashlock, MAX_ALIKE)?;
    for life in others.into_iter().filter(|other| other.id != claimed.id && alike(other, claimed)) {
        make_claimable(step, life, "another hold's claim has published the preimage")?;
    }
    Ok(())
}

fn make_claimable(step: &mut Step<'_>, mut life: Life, note: &str) -> Result<(), JournalError> {
    if life.claimable {
        return Ok(());
    }
    life.claimable = true;
    if life.stage == Stage::Held {
        step.enter(&mut life, Stage::ClaimReady, Cause { note: Some(note.to_owned()), ..Cause::default() })?;
    }
    step.put(life)
}

/// The preimage to show for a hold, if it is known and may be shown.
pub(crate) fn preimage_for(journal: &Journal, life: &Life) -> Result<Option<Preimage>, JournalError> {
    let Some(hashlock) = hashlock(life) else { return Ok(None) };
    if let Some(secret) = journal.secret(&hashlock)?
        && Some(&secret.invoice) == paid_by(life).as_ref()
    {
        return journal.unseal(&hashlock, &secret).map(Some);
    }
    let others = journal.by_hashlock(&hashlock, MAX_ALIKE)?;
    Ok(others.iter().filter(|other| alike(other, life)).find_map(Life::revealed))
}

/// Seconds left to claim at the chain's newest block, if they are more than `margin` and two block times:
/// a claim that comes too late would fail and still publish the preimage.
pub(crate) fn time_to_claim(life: &Life, latest: Tip, block_time: u64, margin: u64) -> Option<u64> {
    let left = life.terms.as_ref()?.claim_deadline.since(latest.time);
    let needed = margin.saturating_add(block_time.saturating_mul(2));
    (left > needed).then_some(left)
}

impl Journal {
    /// Keeps the preimage of an invoice, sealed, and claims every hold that pays it, now or when it comes.
    /// Doing so again is a no-op; another invoice under the same hashlock is refused.
    pub async fn register_preimage(
        self: &Arc<Self>,
        preimage: &Preimage,
        invoice: Invoice,
    ) -> Result<(), JournalError> {
        let hashlock = preimage.hashlock();
        let secret = self.seal(preimage, invoice.clone())?;
        self.step(move |step| {
            match step.secret(&hashlock)? {
                Some(known) if known.invoice != invoice => return Err(JournalError::OtherInvoice),
                Some(_) => {}
                None => step.put_secret(hashlock, secret),
            }
            // Here nobody but the invoice's owner chose how many there are to look at, and none may be missed.
            for life in step.with_hashlock(&hashlock, usize::MAX)? {
                if paid_by(&life).as_ref() == Some(&invoice) && life.facts.stage() == Stage::Held {
                    make_claimable(step, life, "the invoice's preimage was registered")?;
                }
            }
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::keys;
    use crate::life::{Seen, Terms};
    use crate::route::Route;
    use crosspoint_adapters::chain::TxId;
    use crosspoint_protocol::amount::Amount;
    use crosspoint_protocol::ids::{Height, Sequence, Timestamp};
    use crosspoint_protocol::terms::{Forward, Hop};

    fn held(onward: Option<Forward>) -> Life {
        let route = Route {
            source_chain: "latte-1".parse().unwrap(),
            source_client: "tendermint-0".parse().unwrap(),
            dest_chain: "crosspoint-1".parse().unwrap(),
            dest_client: "tendermint-0".parse().unwrap(),
        };
        let mut life = Life::new(route.packet(Sequence(1)), route, Timestamp(1), 1);
        let seen = Seen { block: Tip { height: Height(1), time: Timestamp(1) }, tx: TxId("AB".into()) };
        (life.facts.sent, life.facts.received) = (Some(seen.clone()), Some(seen));
        life.terms = Some(Terms {
            denom: "latte".parse().unwrap(),
            dest_denom: "points/tendermint-0/latte".parse().unwrap(),
            amount: Amount::new(5),
            receiver: "receiver".parse().unwrap(),
            hashlock: Preimage::new([7; 32]).hashlock(),
            timeout: Timestamp(10),
            claim_deadline: Timestamp(20),
            onward,
        });
        life.stage = life.resting_stage();
        life
    }

    #[test]
    fn a_bound_hold_waits_for_no_preimage_and_no_clock() {
        let hop = Hop {
            client: "attested-0".parse().unwrap(),
            receiver: "0xab".parse().unwrap(),
            timeout: Timestamp(30),
            claim_deadline: Timestamp(40),
        };
        let (plain, bound) = (held(None), held(Some(Forward::new(vec![hop]).unwrap())));
        assert_eq!((plain.stage, bound.stage), (Stage::Held, Stage::Held));
        assert!(alike(&plain, &plain) && keys::clock(&plain).is_some());
        assert!(!alike(&bound, &bound) && !alike(&bound, &plain) && !alike(&plain, &bound));
        assert_eq!((paid_by(&bound), keys::clock(&bound)), (None, None));
    }
}
