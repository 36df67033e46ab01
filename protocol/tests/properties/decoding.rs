//! Decoders take exactly what encoders write.

use crosspoint_protocol::ack::{Acknowledgement, UNIVERSAL_ERROR_ACK};
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::{Denom, Received};
use crosspoint_protocol::ids::{ClientId, Timestamp};
use crosspoint_protocol::lock::{PointsLock, Terms};
use crosspoint_protocol::secret::{Hashlock, Preimage};
use crosspoint_protocol::terms::{Forward, Hop, MAX_FORWARDS};
use proptest::prelude::*;

fn client() -> impl Strategy<Value = ClientId> {
    "[a-z0-9-]{4,32}".prop_map(|text| text.parse().unwrap())
}

fn denom() -> impl Strategy<Value = Denom> {
    (prop::collection::vec("[a-z0-9-]{4,12}", 0..8), "[a-z0-9._-]{3,40}").prop_map(|(hops, base)| {
        let text: String = hops.iter().map(|hop| format!("points/{hop}/")).collect();
        format!("{text}{base}").parse().unwrap()
    })
}

fn terms() -> impl Strategy<Value = Terms> {
    let hop =
        (client(), "[ -~]{1,128}", any::<u64>(), any::<u64>()).prop_map(|(client, receiver, timeout, deadline)| Hop {
            client,
            receiver: receiver.parse().unwrap(),
            timeout: Timestamp(timeout),
            claim_deadline: Timestamp(deadline),
        });
    let hops = prop::collection::vec(hop, 1..=MAX_FORWARDS);
    prop_oneof![Just(Terms::Plain), hops.prop_map(|hops| Terms::Forward(Forward::new(hops).unwrap()))]
}

fn lock() -> impl Strategy<Value = PointsLock> {
    let parties = ("[ -~]{1,128}", "[ -~]{1,128}", "[ -~]{0,512}");
    (denom(), 1u128.., parties, any::<[u8; 32]>(), any::<u64>(), terms()).prop_map(
        |(denom, amount, (sender, receiver, memo), hashlock, deadline, terms)| PointsLock {
            denom,
            amount: Amount::new(amount),
            sender: sender.parse().unwrap(),
            receiver: receiver.parse().unwrap(),
            hashlock: Hashlock(hashlock),
            claim_deadline: Timestamp(deadline),
            terms,
            memo,
        },
    )
}

proptest! {
    #[test]
    fn a_lock_decodes_to_itself(lock in lock()) {
        let bytes = lock.abi_encode();
        prop_assert_eq!(PointsLock::abi_decode(&bytes).unwrap(), lock);
    }

    /// Whatever decodes is what was written: a changed byte is refused or another lock, never the same one.
    #[test]
    fn no_lock_has_two_encodings(lock in lock(), at in any::<prop::sample::Index>(), flip in 1u8.., extra in prop::collection::vec(any::<u8>(), 1..40)) {
        let good = lock.abi_encode();
        let mut changed = good.clone();
        let at = at.index(changed.len());
        changed[at] ^= flip;
        if let Ok(other) = PointsLock::abi_decode(&changed) {
            prop_assert_ne!(&other, &lock);
            prop_assert_eq!(other.abi_encode(), changed);
        }
        prop_assert!(PointsLock::abi_decode(&[good.as_slice(), &extra].concat()).is_err());
        prop_assert!(PointsLock::abi_decode(&good[..at]).is_err());
    }

    #[test]
    fn no_terms_have_two_encodings(terms in terms(), at in any::<prop::sample::Index>(), flip in 1u8.., extra in prop::collection::vec(any::<u8>(), 1..40)) {
        let good = terms.encode();
        prop_assert_eq!(Terms::decode(&good), Ok(terms.clone()));
        if !good.is_empty() {
            let mut changed = good.clone();
            let at = at.index(changed.len());
            changed[at] ^= flip;
            if let Ok(other) = Terms::decode(&changed) {
                prop_assert_ne!(&other, &terms);
                prop_assert_eq!(other.encode(), changed);
            }
            prop_assert!(at == 0 || Terms::decode(&good[..at]).is_err());
        }
        prop_assert!(Terms::decode(&[good.as_slice(), &extra].concat()).is_err());
        if let Ok(any) = Terms::decode(&[&[1], extra.as_slice()].concat()) { prop_assert_eq!(any.encode()[1..].to_vec(), extra); }
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..700), text in ".{0,300}") {
        if let Ok(lock) = PointsLock::abi_decode(&bytes) { prop_assert_eq!(lock.abi_encode(), bytes.clone()); }
        if let Ok(denom) = text.parse::<Denom>() { prop_assert_eq!(denom.to_string(), text); }
        let _ = Acknowledgement::decode(&bytes, &Hashlock([0; 32]));
    }

    #[test]
    fn a_denom_is_its_text_and_returns_along_its_trace(denom in denom(), here in client(), there in client()) {
        prop_assert_eq!(denom.to_string().parse::<Denom>().unwrap(), denom.clone());
        // Over a route and back it is the same denom again, unless the trace would grow too long.
        if denom.came_through() != Some(&here) && let Ok(Received::Voucher(voucher)) = denom.received(&here, &there) {
            prop_assert_eq!(voucher.hops().len(), denom.hops().len() + 1);
            prop_assert_eq!(voucher.received(&there, &here).unwrap(), Received::Returned(denom));
        }
    }

    #[test]
    fn an_ack_is_a_success_with_the_preimage_or_the_universal_error(preimage in any::<[u8; 32]>(), bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let preimage = Preimage::new(preimage);
        let hashlock = preimage.hashlock();
        let success = Acknowledgement::Success(preimage).encode();
        prop_assert_eq!(success.len(), 33);
        for (at, bit) in (0..33).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut changed = success.clone();
            changed[at] ^= 1 << bit;
            prop_assert!(Acknowledgement::decode(&changed, &hashlock).is_err());
        }
        if bytes != UNIVERSAL_ERROR_ACK { prop_assert!(Acknowledgement::decode(&bytes, &hashlock).is_err()); }
    }
}
