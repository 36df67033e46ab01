//! Known answers of the deployed IBC v2 implementations, read from the shared vectors
//! (`CROSSPOINT_VECTORS`, by default `../../shared/vectors` from the crate).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]

use alloy_sol_types::SolValue;
use crosspoint_protocol::ids::{ClientId, Sequence, Timestamp};
use crosspoint_protocol::packet::{Packet, Payload};
use crosspoint_protocol::path::Path;
use crosspoint_protocol::{ack, sha256};
use serde_json::Value;

mod vectors;

fn vectors() -> Option<Value> {
    vectors::vector("ibc-v2/known_answers.json")
}

fn client(v: &Value) -> ClientId {
    v.as_str().unwrap().parse().unwrap()
}

#[test]
fn packet_commitment_is_that_of_ibc_go() {
    let Some(v) = vectors() else { return };
    let (packet, payload) = (&v["packet_commitment"]["packet"], &v["packet_commitment"]["payload"]);
    let text = |name: &str| payload[name].as_str().unwrap().to_owned();
    let args = &payload["value"]["args"];
    let arg = |i: usize| args[i].as_str().unwrap().to_owned();
    // The vector's struct is ICS-20's; a one-element tuple around the fields is the encoding of a dynamic struct.
    let value = ((arg(0), arg(1), arg(2), alloy_primitives::U256::from(arg(3).parse::<u64>().unwrap()), arg(4)),)
        .abi_encode_params();
    let packet = Packet {
        sequence: Sequence(packet["sequence"].as_u64().unwrap()),
        source_client: client(&packet["source_client"]),
        dest_client: client(&packet["dest_client"]),
        timeout: Timestamp(packet["timeout_timestamp"].as_u64().unwrap()),
        payload: Payload {
            source_port: text("source_port"),
            dest_port: text("dest_port"),
            version: text("version"),
            encoding: text("encoding"),
            value,
        },
    };
    assert_eq!(hex::encode(packet.commitment()), v["packet_commitment"]["commitment"].as_str().unwrap());
}

#[test]
fn ack_commitment_and_universal_error_are_those_of_ibc_go() {
    let Some(v) = vectors() else { return };
    let acks = v["ack_commitment"]["acks_utf8"].as_array().unwrap();
    assert_eq!(acks.len(), 1);
    assert_eq!(
        hex::encode(ack::commitment(acks[0].as_str().unwrap().as_bytes())),
        v["ack_commitment"]["commitment"].as_str().unwrap()
    );
    let error = &v["universal_error_ack"];
    assert_eq!(hex::encode(ack::UNIVERSAL_ERROR_ACK), error["sha256"].as_str().unwrap());
    assert_eq!(sha256(&[error["preimage_utf8"].as_str().unwrap().as_bytes()]), ack::UNIVERSAL_ERROR_ACK);
}

#[test]
fn paths_are_those_of_ibc_go() {
    let Some(v) = vectors() else { return };
    for case in v["paths"].as_array().unwrap() {
        let make = match case["kind"].as_str().unwrap() {
            "packet_commitment" => Path::commitment,
            "packet_receipt" => Path::receipt,
            "acknowledgement" => Path::ack,
            other => panic!("unknown kind {other}"),
        };
        let path = make(client(&case["client"]), Sequence(case["sequence"].as_u64().unwrap()));
        assert_eq!(hex::encode(path.to_bytes()), case["path"].as_str().unwrap());
    }
}
