//! The committee's signature: BLS12-381, minimal public keys, proof of possession
//! (`draft-irtf-cfrg-bls-signature-05`, `BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_`), by `blst`.

use alloy_primitives::{B256, FixedBytes};
use blst::BLST_ERROR;
use blst::min_pk::{AggregatePublicKey, PublicKey, Signature};

use super::types::{SyncAggregate, SyncCommittee};

const SUITE: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
/// In a compressed point: which of the two square roots `y` is. Flipping it negates the point.
const SIGN: u8 = 0x20;

/// Whether the members that the bits name signed the root.
///
/// The keys come out of a beacon state, where each was proven to be a valid key before it entered, so only decoding is
/// checked. When most signed, the sum of their keys is the committee's aggregate less the others: fewer points to
/// decode, which is most of the cost.
pub(super) fn verify(committee: &SyncCommittee, aggregate: &SyncAggregate, root: &B256) -> Result<bool, BLST_ERROR> {
    let signature = Signature::sig_validate(aggregate.sync_committee_signature.as_slice(), true)?;
    let (signed, missing): (Vec<_>, Vec<_>) =
        committee.pubkeys.iter().enumerate().partition(|(member, _)| aggregate.signed(*member));
    let sum = if signed.len() <= missing.len().saturating_add(1) {
        sum(None, signed.into_iter().map(|(_, key)| *key))?
    } else {
        sum(Some(committee.aggregate_pubkey), missing.into_iter().map(|(_, key)| negated(*key)))?
    };
    Ok(signature.verify(false, root.as_slice(), SUITE, &[], &sum, false) == BLST_ERROR::BLST_SUCCESS)
}

fn negated(mut key: FixedBytes<48>) -> FixedBytes<48> {
    if let Some(first) = key.0.first_mut() {
        *first ^= SIGN;
    }
    key
}

fn sum(start: Option<FixedBytes<48>>, keys: impl Iterator<Item = FixedBytes<48>>) -> Result<PublicKey, BLST_ERROR> {
    let mut total: Option<AggregatePublicKey> = None;
    for key in start.into_iter().chain(keys) {
        let key = PublicKey::uncompress(key.as_slice())?;
        match &mut total {
            Some(total) => total.add_public_key(&key, false)?,
            None => total = Some(AggregatePublicKey::from_public_key(&key)),
        }
    }
    // Nobody: the point at infinity is no key.
    total.map(|total| total.to_public_key()).ok_or(BLST_ERROR::BLST_PK_IS_INFINITY)
}
