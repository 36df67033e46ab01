//! Clients whose cost is their signatures: each beside those signatures alone.

use crate::{NOW, beacon_chain, chain, sealed_chain, support};
use blst::BLST_ERROR;
use blst::min_pk::{PublicKey as BlsKey, Signature as BlsSignature};
use chain::{Block, validators};
use criterion::Criterion;
use crosspoint_light_proofs::ethereum_pos::{self, Preset};
use crosspoint_light_proofs::qbft;
use crosspoint_light_proofs::signature::recover;
use crosspoint_light_proofs::tendermint::{Header, verify_update};
use ed25519_zebra::{Signature, VerificationKey, VerificationKeyBytes, batch};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::hint::black_box;
use std::time::Duration;
use tendermint::block::CommitSig;
use tendermint::vote::{SignedVote, Type, ValidatorIndex, Vote};
use tendermint::{Hash, PublicKey, Time};
use tendermint_light_client_verifier::options::Options;
use tendermint_light_client_verifier::types::{TrustThreshold, TrustedBlockState, UntrustedBlockState};
use tendermint_light_client_verifier::{ProdVerifier, Verdict, Verifier};

type Signed = (VerificationKeyBytes, Signature, Vec<u8>);

/// The signatures of a commit that its quorum rests on, the first just above two thirds: keys, signatures, messages.
fn needed(header: &Header) -> Vec<Signed> {
    let signed = &header.signed_header;
    let of = header.validators.validators().len();
    let read = |(index, signature): (usize, &CommitSig)| {
        let CommitSig::BlockIdFlagCommit { validator_address, timestamp, signature } = signature else {
            panic!("absent")
        };
        let vote = Vote {
            vote_type: Type::Precommit,
            height: signed.commit.height,
            round: signed.commit.round,
            block_id: Some(signed.commit.block_id),
            timestamp: Some(*timestamp),
            validator_address: *validator_address,
            validator_index: ValidatorIndex::try_from(index).unwrap(),
            signature: signature.clone(),
            extension: vec![],
            extension_signature: None,
        };
        let vote = SignedVote::from_vote(vote, signed.header.chain_id.clone()).unwrap();
        let PublicKey::Ed25519(key) = header.validators.validator(*validator_address).unwrap().pub_key else {
            panic!("another key")
        };
        let signature = Signature::from_slice(vote.signature().as_bytes()).unwrap();
        (VerificationKeyBytes::try_from(key.as_bytes()).unwrap(), signature, vote.sign_bytes())
    };
    signed.commit.signatures.iter().enumerate().take(of * 2 / 3 + 1).map(read).collect()
}

/// What `tendermint-light-client-verifier` says, by itself.
fn public_verifier(trusted: &Block, header: &Header) -> Verdict {
    let state = trusted.consensus();
    let chain_id = trusted.inner().chain_id;
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
        trusting_period: Duration::from_secs(1_000),
        clock_drift: Duration::from_secs(10),
    };
    let now = Time::from_unix_timestamp(NOW.0 as i64, 0).unwrap();
    ProdVerifier::default().verify_update_header(untrusted, trusted, &options, now)
}

pub(crate) fn tendermint_headers(c: &mut Criterion) {
    for n in [4, 50, 100, 150] {
        let trusted = Block::new(10, 1_000, &validators(1..n + 1));
        let (client, state) = (trusted.client(), trusted.consensus());
        for (kind, height) in [("adjacent", 11), ("skipping", 20)] {
            let header = Block::new(height, 1_050, &trusted.next).update(&trusted);
            c.bench_function(&format!("tendermint/{kind}/{n}"), |b| {
                b.iter(|| verify_update(&client, &state, black_box(&header), NOW).unwrap());
            });
            c.bench_function(&format!("tendermint/public verifier, {kind}/{n}"), |b| {
                b.iter(|| assert_eq!(public_verifier(&trusted, black_box(&header)), Verdict::Success));
            });
        }
        let signed = needed(&Block::new(11, 1_050, &trusted.next).update(&trusted));
        c.bench_function(&format!("tendermint/signatures one by one/{n}"), |b| {
            b.iter(|| {
                for (key, signature, message) in black_box(&signed) {
                    VerificationKey::try_from(*key).unwrap().verify(signature, message).unwrap();
                }
            });
        });
        c.bench_function(&format!("tendermint/signatures in a batch/{n}"), |b| {
            b.iter(|| {
                let mut all = batch::Verifier::new();
                black_box(&signed).iter().for_each(|(key, signature, message)| all.queue((*key, *signature, message)));
                all.verify(StdRng::from_seed([7; 32])).unwrap();
            });
        });
    }
}

/// All keys decoded, summed, and the signature checked against the sum, as the specification says it.
fn bls(header: &ethereum_pos::Header, message: &[u8]) {
    let keys: Vec<BlsKey> = header
        .signers
        .pubkeys
        .iter()
        .enumerate()
        .filter(|(member, _)| header.update.sync_aggregate.signed(*member))
        .map(|(_, key)| BlsKey::uncompress(key.as_slice()).unwrap())
        .collect();
    let signature = header.update.sync_aggregate.sync_committee_signature;
    let signature = BlsSignature::sig_validate(signature.as_slice(), true).unwrap();
    let keys: Vec<&BlsKey> = keys.iter().collect();
    assert_eq!(signature.fast_aggregate_verify(false, message, beacon_chain::SUITE, &keys), BLST_ERROR::BLST_SUCCESS);
}

pub(crate) fn sync_committee(c: &mut Criterion) {
    let preset = Preset::MAINNET;
    let (client, state) = beacon_chain::start(preset);
    for signers in [512, 342] {
        let header = beacon_chain::Block::new(40, 24).with(preset).signed(signers);
        c.bench_function(&format!("sync committee/{signers} of 512 signed"), |b| {
            let verify = || ethereum_pos::verify_update(&client, &state, black_box(&header), beacon_chain::NOW);
            b.iter(|| verify().unwrap());
        });
        let root = header.update.attested_header.beacon.root();
        let root = beacon_chain::network(preset).signing_root(root, header.update.signature_slot).unwrap();
        c.bench_function(&format!("sync committee/blst, {signers}"), |b| {
            b.iter(|| bls(black_box(&header), root.as_slice()));
        });
    }
}

pub(crate) fn sealed_headers(c: &mut Criterion) {
    for n in [4, 21] {
        let encoding = qbft::Encoding::Qbft;
        let validators = support::keys(n);
        let trusted = sealed_chain::Block::new(encoding, 10, 1_000, &validators);
        let block = sealed_chain::Block::new(encoding, 20, 1_050, &validators);
        let (client, state, header) = (trusted.client(), trusted.consensus(), block.update(&trusted));
        c.bench_function(&format!("qbft/{n}"), |b| {
            b.iter(|| qbft::verify_update(&client, &state, black_box(&header), NOW).unwrap());
        });
        let digest = block.digest().0;
        let seals: Vec<_> = validators.iter().map(|key| key.sign(&digest)).collect();
        c.bench_function(&format!("qbft/signatures, {n}"), |b| {
            b.iter(|| {
                for (index, seal) in black_box(&seals).iter().enumerate() {
                    recover(&digest, seal, index).unwrap();
                }
            });
        });
    }
}
