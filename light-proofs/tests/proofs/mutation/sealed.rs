//! The recorded sealed headers: a GoQuorum chain (IBFT 1), a Besu header (QBFT), and our own of all three encodings.

use super::Outcomes;
use crate::sealed_chain::{Block, ENCODINGS, client};
use crate::support::{keys, unhex, vector};
use crosspoint_light_proofs::qbft::{Encoding, anchor};
use crosspoint_protocol::ids::Timestamp;
use serde_json::{Map, Value, json};

/// The fields of a header as forks added them.
const FIELDS: [&str; 21] = [
    "parentHash",
    "ommersHash",
    "coinbase",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "extraData",
    "mixHash",
    "nonce",
    "baseFee",
    "withdrawalsRoot",
    "blobGasUsed",
    "excessBlobGas",
    "beaconRoot",
    "requestsHash",
];
const EXTRA: [&str; 5] = ["vanity", "validators", "vote", "round", "seals"];
const EXTRA_IBFT1: [&str; 3] = ["validators", "proposerSeal", "seals"];

/// One item of RLP: bytes as hex, a list as a list.
fn item(bytes: &mut &[u8]) -> Value {
    let head = alloy_rlp::Header::decode(bytes).unwrap();
    let (mut payload, rest) = bytes.split_at(head.payload_length);
    *bytes = rest;
    if !head.list {
        return json!(format!("0x{}", hex::encode(payload)));
    }
    let mut items = vec![];
    while !payload.is_empty() {
        items.push(item(&mut payload));
    }
    items.into()
}

/// The RLP of an item; nothing for what is none.
fn rlp(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(alloy_rlp::encode(hex::decode(text.strip_prefix("0x")?).ok()?.as_slice())),
        Value::Array(items) => list(items.iter()),
        _ => None,
    }
}

fn list<'a>(items: impl Iterator<Item = &'a Value>) -> Option<Vec<u8>> {
    let payload = items.map(rlp).collect::<Option<Vec<_>>>()?.concat();
    let mut out = vec![];
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    Some([out, payload].concat())
}

/// A list of named items. Names come with their index, so that they keep their order and a missing one is noticed.
fn named(items: Value, names: &[&str]) -> Value {
    let items = items.as_array().unwrap().iter().zip(names).enumerate();
    items.map(|(at, (item, name))| (format!("{at:02} {name}"), item.clone())).collect::<Map<_, _>>().into()
}

fn to_json(encoding: Encoding, header: &[u8]) -> Value {
    let mut fields = named(item(&mut &header[..]), &FIELDS);
    let extra = unhex(fields["12 extraData"].as_str().unwrap());
    fields["12 extraData"] = match encoding {
        Encoding::Qbft | Encoding::Ibft2 => named(item(&mut extra.as_slice()), &EXTRA),
        Encoding::Ibft1 => {
            let mut parts = named(item(&mut &extra[32..]), &EXTRA_IBFT1);
            parts["0 vanity"] = json!(format!("0x{}", hex::encode(&extra[..32])));
            parts
        }
    };
    fields
}

fn from_json(encoding: Encoding, value: &Value) -> Option<Vec<u8>> {
    let mut fields = value.as_object()?.clone();
    if let Some(Value::Object(parts)) = fields.get("12 extraData") {
        let mut parts = parts.clone();
        let vanity = match encoding {
            Encoding::Ibft1 => {
                parts.remove("0 vanity").map_or(Some(vec![]), |v| hex::decode(&v.as_str()?[2..]).ok())?
            }
            _ => vec![],
        };
        let extra = [vanity, list(parts.values())?].concat();
        fields["12 extraData"] = json!(format!("0x{}", hex::encode(extra)));
    }
    list(fields.values())
}

fn run(outcomes: &mut Outcomes, encoding: Encoding, header: &[u8], now: Timestamp) {
    let good = to_json(encoding, header);
    assert_eq!(from_json(encoding, &good).unwrap(), header);
    outcomes.of(&good, |value| Some(anchor(client(encoding), &from_json(encoding, value)?, now)));
}

#[test]
fn each_changed_field_of_a_recorded_ibft1_header_is_named() {
    let mut outcomes = Outcomes::default();
    let recorded = vector("qbft/besu/ibft1_headers_devpart.json").unwrap_or_default();
    for block in recorded.as_array().into_iter().flatten().skip(1) {
        let header = unhex(block["header_rlp"].as_str().unwrap());
        run(&mut outcomes, Encoding::Ibft1, &header, Timestamp(u64::MAX));
    }
    outcomes.check(include_str!("tables/recorded_ibft1_header.txt"));
}

#[test]
fn each_changed_field_of_a_recorded_qbft_header_is_named() {
    let mut outcomes = Outcomes::default();
    if let Some(case) = vector("qbft/besu-qbft-elc/header_7528.json") {
        let header = unhex(case["header_rlp_with_seals"].as_str().unwrap());
        run(&mut outcomes, Encoding::Qbft, &header, Timestamp(case["timestamp"].as_u64().unwrap()));
    }
    outcomes.check(include_str!("tables/recorded_qbft_header.txt"));
}

#[test]
fn each_changed_field_of_a_header_of_later_forks_is_named() {
    let mut outcomes = Outcomes::default();
    for encoding in ENCODINGS.into_iter().filter(|encoding| *encoding != Encoding::Ibft1) {
        let block = Block { fields: FIELDS.len(), ..Block::new(encoding, 10, 1_000, &keys(4)) };
        run(&mut outcomes, encoding, &block.rlp(), Timestamp(1_100));
    }
    outcomes.check(include_str!("tables/header_of_later_forks.txt"));
}
