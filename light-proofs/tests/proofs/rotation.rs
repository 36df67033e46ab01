//! What a client remembers of attestors that handed over to others.

use crate::attested::resign;
use crate::attested_world::{NOW, attest, header_rlp, rotation, world};
use alloy_primitives::B256;
use crosspoint_light_proofs::attested::{
    AttestedError, Attestors, ClientState, MAX_PAST, SignedRotation, Update, check_conflict, check_misbehaviour,
    verify_rotation, verify_update,
};
use crosspoint_light_proofs::signature::SigningKey;
use crosspoint_protocol::ids::{Height, Timestamp};

/// Three keys that are no attestor's yet.
fn others() -> (Vec<SigningKey>, Attestors) {
    let keys: Vec<_> = (60..63).map(|i| SigningKey::from_bytes([i; 32]).unwrap()).collect();
    let set = Attestors::from_unsorted(keys.iter().map(SigningKey::address).collect(), 3).unwrap();
    (keys, set)
}

#[test]
fn contradictions_of_and_with_a_rotated_out_set_freeze_as_long_as_its_word_counts() {
    let (old, client, header) = world();
    let (new, set) = others();
    let (client, _) = verify_update(&client, &header, NOW).unwrap();
    let trusted = (Height(10), B256::repeat_byte(2));
    let next = verify_rotation(&client, &SignedRotation::sign(rotation(&client, set), &old[..2]), NOW).unwrap();
    // The old set contradicts the header that is trusted on its word.
    let mut reorg = header.clone();
    (reorg.statement.number, reorg.statement.hash) = (Height(15), B256::repeat_byte(5));
    reorg.statement.prev_hash = B256::repeat_byte(6);
    let lie = resign(&reorg, &old[1..]);
    assert_eq!(check_conflict(&next, trusted, &lie), Ok(()));
    assert_eq!(check_misbehaviour(&next, &header, &lie), Ok(()));
    // Half of it does not, nor do the new attestors in its name, and what it says in agreement is no conflict.
    let few = check_conflict(&next, trusted, &resign(&reorg, &old[..1]));
    assert!(matches!(few, Err(AttestedError::QuorumNotReached { .. })), "{few:?}");
    let others = check_conflict(&next, trusted, &resign(&reorg, &new));
    assert!(matches!(others, Err(AttestedError::UnknownSigner(_))), "{others:?}");
    assert_eq!(check_conflict(&next, trusted, &header), Err(AttestedError::NoConflict));
    // The two sets contradict each other: about a number that the old one attested.
    let later = attest(&next, &header_rlp(30, 1_020, B256::repeat_byte(8), 21), 30, &new);
    let mut fork = later.clone();
    (fork.statement.epoch, fork.statement.hash) = (4, B256::repeat_byte(9));
    assert_eq!(check_misbehaviour(&next, &later, &resign(&fork, &old)), Ok(()));
    assert_eq!(check_misbehaviour(&next, &later, &header), Err(AttestedError::NoConflict));
    // It moves nothing any more.
    assert!(matches!(verify_update(&next, &resign(&fork, &old), NOW), Err(AttestedError::WrongEpoch { .. })));
    // Once nothing is trusted on its word, it is forgotten with the next update.
    let after = Timestamp(header_time(&client) + 600);
    let mut alive = next.clone();
    alive.latest.time = Timestamp(after.0 - 1);
    let kept = attest(&alive, &header_rlp(30, after.0, B256::repeat_byte(8), 21), 30, &new);
    let before = verify_update(&alive, &kept, Timestamp(after.0 - 1)).unwrap().0;
    assert_eq!(check_conflict(&before, trusted, &lie), Ok(()));
    let forgotten = verify_update(&alive, &kept, after).unwrap().0;
    assert!(matches!(check_conflict(&forgotten, trusted, &lie), Err(AttestedError::WrongEpoch { .. })));
}

fn header_time(client: &ClientState) -> u64 {
    client.latest.time.0
}

#[test]
fn no_set_is_forgotten_by_rotating_often() {
    let (old, mut client, _) = world();
    let set = client.attestors.clone();
    for _ in 0..MAX_PAST {
        let signed = SignedRotation::sign(rotation(&client, set.clone()), &old);
        client = verify_rotation(&client, &signed, NOW).unwrap();
    }
    let json = serde_json::to_string(&client).unwrap();
    assert_eq!(serde_json::from_str::<ClientState>(&json).unwrap(), client);
    let signed = SignedRotation::sign(rotation(&client, set), &old);
    assert_eq!(verify_rotation(&client, &signed, NOW), Err(AttestedError::TooManyRotations));
    client.latest.time = Timestamp(1_500);
    assert!(verify_rotation(&client, &signed, Timestamp(1_700)).is_ok());
}

#[test]
fn an_update_is_a_header_or_a_rotation_by_its_first_byte() {
    let (old, client, header) = world();
    let signed = SignedRotation::sign(rotation(&client, others().1), &old);
    assert_eq!(Update::decode(&signed.encode()).unwrap(), Update::Rotation(signed));
    assert_eq!(Update::decode(&header.encode()).unwrap(), Update::Header(header));
    assert!(Update::decode(&[]).is_err());
}
