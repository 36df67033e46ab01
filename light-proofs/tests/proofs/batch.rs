//! Signatures checked in a batch are judged as `tendermint-light-client-verifier` judges them one by one.

use crate::chain::{Block, Validator, validators};
use crate::support::unhex;
use crosspoint_light_proofs::tendermint::{ClientState, Header, TendermintError, verify_update};
use crosspoint_protocol::ids::Timestamp;
use proptest::prelude::*;
use std::time::Duration;
use tendermint::block::CommitSig;
use tendermint::validator::Info;
use tendermint::{Hash, PublicKey, Signature, Time};
use tendermint_light_client_verifier::options::Options;
use tendermint_light_client_verifier::types::{TrustThreshold, TrustedBlockState, UntrustedBlockState};
use tendermint_light_client_verifier::{ProdVerifier, Verdict, Verifier};

const NOW: Timestamp = Timestamp(1_200);

/// What the public verifier says of a header, signatures checked one by one.
fn reference(client: &ClientState, trusted: &Block, header: &Header) -> Verdict {
    let state = trusted.consensus();
    let chain_id = tendermint::chain::Id::try_from(client.chain_id.as_str().to_owned()).unwrap();
    let trusted = TrustedBlockState {
        chain_id: &chain_id,
        header_time: Time::from_unix_timestamp(state.time.0 as i64, state.nanos).unwrap(),
        height: header.trusted_height.0.try_into().unwrap(),
        next_validators: &header.trusted_next_validators,
        next_validators_hash: Hash::Sha256(state.next_validators_hash),
    };
    let untrusted = UntrustedBlockState {
        signed_header: &header.signed_header,
        validators: &header.validators,
        next_validators: None,
    };
    let options = Options {
        trust_threshold: TrustThreshold::ONE_THIRD,
        trusting_period: Duration::from_secs(client.trusting_period),
        clock_drift: Duration::from_secs(client.max_clock_drift),
    };
    let now = Time::from_unix_timestamp(NOW.0 as i64, 0).unwrap();
    ProdVerifier::default().verify_update_header(untrusted, trusted, &options, now)
}

fn agree(trusted: &Block, header: &Header) -> Result<(), TendermintError> {
    let client = trusted.client();
    let expected = reference(&client, trusted, header);
    let found = verify_update(&client, &trusted.consensus(), header, NOW).map(|_| ());
    match (&expected, &found) {
        (Verdict::Success, Ok(())) => {}
        (Verdict::NotEnoughTrust(tally), Err(TendermintError::NotEnoughTrust { signed, total })) => {
            assert_eq!((tally.tallied, tally.total), (*signed, *total));
        }
        (Verdict::Invalid(_), Err(error)) if !matches!(error, TendermintError::NotEnoughTrust { .. }) => {}
        _ => panic!("the verifier says {expected:?}, we {found:?}"),
    }
    found
}

/// What is done to one signature of a commit.
#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    Absent,
    Nil,
    FlippedBit(usize),
    OthersSignature,
    OtherTime,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        12 => Just(Fault::None),
        3 => Just(Fault::Absent),
        1 => Just(Fault::Nil),
        1 => (0..512usize).prop_map(Fault::FlippedBit),
        1 => Just(Fault::OthersSignature),
        1 => Just(Fault::OtherTime),
    ]
}

fn apply(fault: Fault, at: usize, signatures: &mut [CommitSig]) {
    let other = signatures[(at + 1) % signatures.len()].clone();
    let CommitSig::BlockIdFlagCommit { validator_address, timestamp, signature } = &mut signatures[at] else { return };
    let (address, time) = (*validator_address, *timestamp);
    match fault {
        Fault::None => {}
        Fault::Absent => signatures[at] = CommitSig::BlockIdFlagAbsent,
        Fault::Nil => {
            signatures[at] =
                CommitSig::BlockIdFlagNil { validator_address: address, timestamp: time, signature: signature.clone() };
        }
        Fault::FlippedBit(bit) => {
            let mut bytes = signature.as_ref().unwrap().as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            *signature = Signature::new(bytes).unwrap();
        }
        Fault::OthersSignature => {
            if let CommitSig::BlockIdFlagCommit { signature: others, .. } = other {
                *signature = others;
            }
        }
        Fault::OtherTime => *timestamp = (time + Duration::from_nanos(1)).unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_batch_is_judged_as_its_signatures_are_one_by_one(
        powers in prop::collection::vec(1..40u64, 1..9),
        faults in prop::collection::vec(fault(), 9),
        (keep, height) in (0..9usize, prop_oneof![Just(11u64), Just(20)]),
    ) {
        let set: Vec<_> = validators(1..powers.len() as u8 + 1).into_iter().zip(&powers).map(|(v, power)| Validator(v.0, *power)).collect();
        // The trusted set shares all but some of its members with the one that signs.
        let mut before = set[..keep.min(set.len())].to_vec();
        before.extend(validators(100..101));
        let trusted = if height == 11 { Block::new(10, 1_000, &set) } else { Block::new(10, 1_000, &before) };
        let mut header = Block::new(height, 1_100, &set).update(&trusted);
        for (at, fault) in faults.iter().enumerate().take(set.len()) {
            apply(*fault, at, &mut header.signed_header.commit.signatures);
        }
        let _ = agree(&trusted, &header);
    }
}

/// Points of small order on the curve, canonical and not (ZIP-215, test vectors): with these as key and `R` and a zero
/// `s`, a signature holds for every message by the rules of ZIP-215, and by no stricter ones.
const SMALL_ORDER: [&str; 6] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

#[test]
fn signatures_that_only_the_rules_of_cometbft_accept_are_accepted_in_a_batch_too() {
    for key in SMALL_ORDER {
        for r in SMALL_ORDER {
            let key = PublicKey::from_raw_ed25519(&unhex(key)).unwrap();
            let signature = [unhex(r), vec![0; 32]].concat().try_into().unwrap();
            let crafted = vec![(Info::new(key, 10u64.try_into().unwrap()), signature)];
            let trusted = Block { crafted: crafted.clone(), ..Block::new(10, 1_000, &validators(1..3)) };
            // All three of equal power are needed.
            let block = Block { crafted, signers: 3, ..Block::new(11, 1_100, &validators(1..3)) };
            assert_eq!(agree(&trusted, &block.update(&trusted)), Ok(()), "{key:?} {r}");
            // A bad one beside it is found all the same.
            let mut forged = block.update(&trusted);
            let signatures = &mut forged.signed_header.commit.signatures;
            let honest = signatures.iter().position(|s| !is_crafted(s, &block)).unwrap();
            apply(Fault::FlippedBit(300), honest, signatures);
            assert!(matches!(agree(&trusted, &forged), Err(TendermintError::InvalidSignature { .. })));
        }
    }
}

fn is_crafted(signature: &CommitSig, block: &Block) -> bool {
    signature.validator_address() == block.crafted.first().map(|(info, _)| info.address)
}
