//! Attestors hand over on the ledger.

use crate::common::evm::Evm;
use crate::common::{Chain, attested};
use crate::support::{evidence, packets_cross, refused, update, view};
use crosspoint_ledger::events::Event;
use crosspoint_ledger::query::SignersView;
use crosspoint_light_proofs::attested::{Attestors, Header, Rotation, SignedRotation};
use crosspoint_light_proofs::signature::SigningKey;

/// A rotation to five others, of whom four must sign.
fn rotation(evm: &Evm) -> (Vec<SigningKey>, Rotation) {
    let keys: Vec<_> = (50..55).map(|n| SigningKey::from_bytes([n; 32]).unwrap()).collect();
    let attestors = Attestors::from_unsorted(keys.iter().map(SigningKey::address).collect(), 4).unwrap();
    let spec = evm.spec();
    let (chain_id, genesis_hash, epoch) = (spec.chain_id, spec.genesis_hash, spec.epoch);
    (keys, Rotation { chain_id, genesis_hash, epoch, attestors })
}

#[test]
fn attestors_signed_in_by_the_old_quorum_carry_packets_and_the_old_ones_do_not() {
    let mut evm = Evm::new();
    let mut chain = Chain::linked(&evm);
    let (new, rotation) = rotation(&evm);
    let by_new = SignedRotation::sign(rotation.clone(), &new[..3]);
    let why = refused(&mut chain, &attested(), by_new.encode());
    assert!(why.contains("who is no attestor"), "{why}");
    let by_one = SignedRotation::sign(rotation.clone(), &evm.keys[..1]);
    let why = refused(&mut chain, &attested(), by_one.encode());
    assert!(why.contains("1 of 3 attestors signed; 2 are needed"), "{why}");
    let signed = SignedRotation::sign(rotation, &evm.keys[1..]).encode();
    let events = update(&mut chain, &attested(), signed.clone());
    assert!(matches!(&events[..], [Event::AttestorsRotated { epoch: 1, .. }]), "{events:?}");
    assert_eq!(view(&chain, &attested()).signers, SignersView::Attestors { epoch: 1 });
    let why = refused(&mut chain, &attested(), signed);
    assert!(why.contains("epoch 0, the client is at 1"), "{why}");
    evm.mine(chain.now);
    let old = evm.signed(&evm.keys.clone()).encode();
    let why = refused(&mut chain, &attested(), old);
    assert!(why.contains("epoch 0, the client is at 1"), "{why}");
    packets_cross(&mut chain, &attested(), &mut evm, &mut |evm, time| {
        evm.mine(time);
        let mut header = evm.signed(&[]);
        header.statement.epoch = 1;
        evm.update();
        Header::sign(header.statement, header.header_rlp, &new[1..]).encode()
    });
}

#[test]
fn an_old_quorum_that_contradicts_what_was_trusted_on_its_word_freezes_the_client_after_it_left() {
    let mut evm = Evm::new();
    let mut chain = Chain::linked(&evm);
    let base = evm.head().clone();
    evm.mine(chain.now);
    let honest = evm.update();
    let trusted = evm.head().clone();
    update(&mut chain, &attested(), honest.clone());
    let (_, rotation) = rotation(&evm);
    update(&mut chain, &attested(), SignedRotation::sign(rotation, &evm.keys).encode());
    // What it said in agreement is no evidence.
    chain.refused("bob", evidence(&attested(), std::slice::from_ref(&honest)), crosspoint_ledger::code::CLIENT);
    evm.mine(chain.now);
    let mut statement = evm.statement(&base, evm.head());
    statement.number.0 = trusted.number;
    let lie = Header::sign(statement, evm.head().rlp.clone(), &evm.keys[..2]).encode();
    let events = chain.ok("bob", evidence(&attested(), &[lie]));
    assert!(matches!(events[0], Event::ClientFrozen { .. }));
    assert!(view(&chain, &attested()).frozen);
}
