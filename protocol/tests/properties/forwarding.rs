//! A bound hold: no person and no clock moves it, and it ends once, as its onward lock does.

use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::htlc::{
    HoldEffect, HoldEvent, HoldEventError, HoldState, HoldTerms, LockEffect, LockEvent, LockState, LockTerms,
};
use crosspoint_protocol::ids::Timestamp;
use crosspoint_protocol::lock::Terms;
use crosspoint_protocol::secret::Preimage;
use crosspoint_protocol::terms::{Forward, Hop};
use proptest::prelude::*;

/// What somebody tries, or somebody proves of the onward packet.
#[derive(Debug, Clone)]
enum Try {
    /// With the right secret, or another.
    Claim {
        right: bool,
        now: u64,
    },
    Void {
        now: u64,
    },
    /// The other chain is proven to have acknowledged this.
    Acked {
        right: bool,
    },
    Refused,
    Garbage(Vec<u8>),
    NotReceived {
        time: u64,
    },
}

fn attempt() -> impl Strategy<Value = Try> {
    prop_oneof![
        (any::<bool>(), 0u64..40).prop_map(|(right, now)| Try::Claim { right, now }),
        (0u64..40).prop_map(|now| Try::Void { now }),
        any::<bool>().prop_map(|right| Try::Acked { right }),
        Just(Try::Refused),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Try::Garbage),
        (0u64..40).prop_map(|time| Try::NotReceived { time }),
    ]
}

proptest! {
    #[test]
    fn a_bound_hold_ends_only_with_its_onward_lock_and_as_it_does(tries in prop::collection::vec(attempt(), 1..40)) {
        let (right, wrong) = (Preimage::new([7; 32]), Preimage::new([8; 32]));
        let hashlock = right.hashlock();
        let hold_terms = HoldTerms { hashlock, claim_deadline: Timestamp(20) };
        let lock_terms = LockTerms { hashlock, timeout: Timestamp(10) };
        let hop = Hop {
            client: "client-1".parse().unwrap(),
            receiver: "r".parse().unwrap(),
            timeout: lock_terms.timeout,
            claim_deadline: hold_terms.claim_deadline,
        };
        let mut hold = HoldState::made_under(&Terms::Forward(Forward::new(vec![hop]).unwrap()));
        let (mut lock, mut ends) = (LockState::Sent, 0);
        prop_assert_eq!((hold, HoldState::made_under(&Terms::Plain)), (HoldState::Bound, HoldState::Open));
        for one in tries {
            let secret = |right_one| if right_one { right.clone() } else { wrong.clone() };
            let by_hand = match &one {
                Try::Claim { right, now } => {
                    Some(hold.apply(&hold_terms, &HoldEvent::Claim { secret: secret(*right).reveal(), now: Timestamp(*now) }))
                }
                Try::Void { now } => Some(hold.apply(&hold_terms, &HoldEvent::Void { now: Timestamp(*now) })),
                Try::Acked { .. } | Try::Refused | Try::Garbage(_) | Try::NotReceived { .. } => None,
            };
            if let Some(verdict) = by_hand {
                let refusal = if hold == HoldState::Bound { HoldEventError::Bound } else { HoldEventError::Ended(hold) };
                prop_assert_eq!(verdict, Err(refusal));
                continue;
            }
            let bytes = match &one {
                Try::Acked { right } => Acknowledgement::Success(secret(*right)).encode(),
                Try::Refused => Acknowledgement::Error.encode(),
                Try::Garbage(bytes) => bytes.clone(),
                Try::Claim { .. } | Try::Void { .. } | Try::NotReceived { .. } => vec![],
            };
            let event = match one {
                Try::NotReceived { time } => LockEvent::NonReceiptProven { consensus_time: Timestamp(time) },
                _ => LockEvent::AckProven(&bytes),
            };
            let Ok((next, effect)) = lock.apply(&lock_terms, &event) else { continue };
            let (state, done) = hold.release(&hashlock, &effect).unwrap();
            (lock, hold, ends) = (next, state, ends + 1);
            match (lock, hold, done) {
                (LockState::Settled, HoldState::Claimed, HoldEffect::PassOn(shown)) => prop_assert_eq!(&shown, &right),
                (LockState::Refunded, HoldState::Void, HoldEffect::GiveUp) => {}
                other => return Err(TestCaseError::fail(format!("lock and hold part: {other:?}"))),
            }
        }
        prop_assert!(ends <= 1);
        prop_assert_eq!(hold == HoldState::Bound, ends == 0);
    }

    #[test]
    fn a_preimage_that_does_not_open_the_hold_never_passes_it_on(bytes in any::<[u8; 32]>()) {
        let hashlock = Preimage::new([7; 32]).hashlock();
        let verdict = HoldState::Bound.release(&hashlock, &LockEffect::Settle(Preimage::new(bytes)));
        if bytes != [7; 32] { prop_assert_eq!(verdict, Err(HoldEventError::WrongPreimage(hashlock))); }
        let open = HoldState::Open.release(&hashlock, &LockEffect::Refund);
        prop_assert_eq!(open, Err(HoldEventError::NotBound), "a hold that people may claim is nobody's to release");
    }
}
