//! Writes `contracts/test/vectors/known_answers.json`: what the Rust side makes of packets, outboxes and
//! checkpoints, for the Solidity tests to agree with. Deterministic; run it from the repository's root:
//! `cargo run -p crosspoint-light-proofs --example solidity_vectors > contracts/test/vectors/known_answers.json`

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crosspoint_light_proofs::checkpoint::{BridgeSet, BridgeValidator, Checkpoint, SigningKey};
use crosspoint_protocol::ack;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::ids::{Height, Sequence, Timestamp};
use crosspoint_protocol::lock::{PointsLock, Terms};
use crosspoint_protocol::outbox;
use crosspoint_protocol::packet::{Packet, Payload};
use crosspoint_protocol::path::Path;
use crosspoint_protocol::secret::{Hashlock, Preimage};
use crosspoint_protocol::sha256;
use serde_json::{Value, json};

const LOCAL: &str = "0x00beef00000000000000000000000000000000be";
const REMOTE: &str = "point1qyqszqgpqyqszqgpqyqszqgpqyqszqgpe4w2ar";

fn hex(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn packet(n: u64) -> Value {
    let incoming = n.is_multiple_of(2);
    let (sender, receiver) = if incoming { (REMOTE, LOCAL) } else { (LOCAL, REMOTE) };
    let (source, dest) = if incoming { ("attested-0", "checkpoint-0") } else { ("checkpoint-0", "attested-0") };
    let denoms =
        ["sfs", "points/checkpoint-0/sfs", "points/attested-0/0x00beef00000000000000000000000000000000be", "a.b_c-d"];
    let memo = "m".repeat([0, 1, 31, 32, 33, 64, 512][usize::try_from(n % 7).unwrap()]);
    let lock = PointsLock {
        denom: denoms[usize::try_from(n % 4).unwrap()].parse().unwrap(),
        amount: Amount::new(if n == 5 { (1 << 96) - 1 } else { u128::from(n * 1000 + 1) }),
        sender: sender.parse().unwrap(),
        receiver: receiver.parse().unwrap(),
        hashlock: Hashlock(sha256(&[&n.to_be_bytes()])),
        claim_deadline: Timestamp(1_800_007_200 + n),
        terms: Terms::Plain,
        memo: memo.clone(),
    };
    let packet = Packet {
        sequence: Sequence(n * n * n + 1),
        source_client: source.parse().unwrap(),
        dest_client: dest.parse().unwrap(),
        timeout: Timestamp(1_800_003_600 + n),
        payload: Payload::points(&lock),
    };
    let commitment = packet.commitment();
    json!({
        "incoming": u8::from(incoming), "sequence": packet.sequence.0, "timeout": packet.timeout.0,
        "claimDeadline": lock.claim_deadline.0, "amount": lock.amount.to_string(), "local": LOCAL, "remote": REMOTE,
        "hashlock": hex(&lock.hashlock.0), "denom": lock.denom.to_string(), "memo": hex(memo.as_bytes()),
        "commitment": hex(&commitment), "receiptPath": hex(&packet.receipt_path().to_bytes()),
        "leaf": hex(&outbox::leaf(&packet.commitment_path(), &commitment)),
    })
}

fn tree(count: u64, indices: &[u64]) -> Value {
    let leaves: Vec<_> = (0..count)
        .map(|n| {
            outbox::leaf(
                &Path::commitment("attested-0".parse().unwrap(), Sequence(n + 1)),
                &sha256(&[&n.to_be_bytes()]),
            )
        })
        .collect();
    let root = outbox::root(&leaves).unwrap();
    let proof = outbox::prove(&leaves, indices);
    let asked: Vec<_> = indices.iter().flat_map(|i| leaves[usize::try_from(*i).unwrap()]).collect();
    let places: Vec<_> = indices.iter().flat_map(|i| u32::try_from(*i).unwrap().to_be_bytes()).collect();
    json!({
        "count": count, "items": indices.len(), "indices": hex(&places), "leaves": hex(&asked),
        "nodes": hex(proof.as_flattened()), "head": hex(&outbox::next_head(&[7; 32], &root)),
    })
}

fn checkpoint(validators: u8, signers: usize) -> Value {
    let mut keys: Vec<_> = (1..=validators).map(|n| SigningKey::from_bytes([n; 32]).unwrap()).collect();
    keys.sort_by_key(SigningKey::address);
    let set =
        BridgeSet::new(keys.iter().map(|k| BridgeValidator { address: k.address(), power: 10 }).collect()).unwrap();
    let words: Vec<_> = set
        .validators()
        .iter()
        .flat_map(|v| [v.address.as_slice(), &u128::from(v.power).to_be_bytes()[4..]].concat())
        .collect();
    let statement = Checkpoint {
        chain_id: "crosspoint-1".parse().unwrap(),
        height: Height(42),
        time: Timestamp(1_799_999_990),
        app_hash: sha256(&[b"app"]),
        set_hash: set.hash(),
        next_set_hash: set.hash(),
    };
    let mut bitmap = vec![0u8; usize::from(validators).div_ceil(8)];
    let mut signatures = vec![];
    for (i, key) in keys.iter().enumerate().take(signers) {
        bitmap[i / 8] |= 1 << (i % 8);
        let mut signature = statement.sign(key);
        signature[32] |= (signature[64] - 27) << 7;
        signatures.extend_from_slice(&signature[..64]);
    }
    let update = [
        &[1][..],
        &statement.height.0.to_be_bytes(),
        &statement.time.0.to_be_bytes(),
        &statement.app_hash,
        &[validators],
        &words,
        &bitmap,
        &signatures,
    ]
    .concat();
    json!({ "update": hex(&update), "setHash": hex(&set.hash()), "digest": hex(&statement.digest()) })
}

fn main() {
    let preimage = Preimage::new([9; 32]);
    let success = ack::Acknowledgement::Success(preimage.clone());
    let answers = json!({
        "packets": (0..14).map(packet).collect::<Vec<_>>(),
        "trees": [
            tree(1, &[0]), tree(2, &[1]), tree(3, &[2]), tree(5, &[0, 4]), tree(7, &[1, 2, 6]), tree(8, &[0, 1, 2, 3, 4, 5, 6, 7]),
            tree(50, &[0, 3, 4, 17, 31, 32, 48, 49]), tree(1000, &[999]), tree(257, &[0, 128, 255, 256]),
        ],
        "checkpoints": [checkpoint(4, 3), checkpoint(9, 7), checkpoint(1, 1)],
        "acks": {
            "preimage": hex(preimage.reveal()), "hashlock": hex(&preimage.hashlock().0),
            "success": hex(&success.commitment()), "error": hex(&ack::Acknowledgement::Error.commitment()),
        },
    });
    let text = serde_json::to_string_pretty(&answers).unwrap();
    #[allow(clippy::print_stdout)]
    {
        println!("{text}");
    }
}
