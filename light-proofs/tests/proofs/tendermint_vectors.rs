//! Known answers: the model-based verdicts of tendermint-rs, and headers of a devnet.

use crate::support::{assert_all_seen, unhex, vectors};
use crosspoint_light_proofs::tendermint::{
    ClientState, ConsensusState, Header, Latest, PacketStore, TendermintError, TrustLevel, verify_update,
};
use crosspoint_protocol::ids::{Height, Timestamp};
use serde_json::{Value, json};
use tendermint::block::signed_header::SignedHeader;
use tendermint::validator::Set;
use tendermint::{Hash, Time};

pub(crate) fn state_of(signed: &SignedHeader) -> ConsensusState {
    let inner = &signed.header;
    let nanos = inner.time.unix_timestamp_nanos();
    let Hash::Sha256(next_validators_hash) = inner.next_validators_hash else { panic!("no hash") };
    ConsensusState {
        root: inner.app_hash.as_bytes().try_into().unwrap_or([0; 32]),
        time: Timestamp((nanos / 1_000_000_000) as u64),
        nanos: (nanos % 1_000_000_000) as u32,
        next_validators_hash,
    }
}

pub(crate) fn client(signed: &SignedHeader, trusting_period: u64) -> ClientState {
    ClientState {
        chain_id: signed.header.chain_id.as_str().parse().unwrap(),
        store: PacketStore::Jmt,
        trust_level: TrustLevel::ONE_THIRD,
        trusting_period,
        max_clock_drift: 10,
        latest: Latest {
            height: Height(signed.header.height.value()),
            time: state_of(signed).time,
            hash: signed.header.hash().as_bytes().try_into().unwrap(),
        },
        frozen: false,
        generation: 0,
    }
}

#[test]
fn single_step_verdicts_are_those_of_the_model() {
    let mut verdicts = 0;
    for (name, case) in vectors("tendermint/tendermint-rs/single_step", 27) {
        let initial = &case["initial"];
        let mut signed: SignedHeader = serde_json::from_value(initial["signed_header"].clone()).unwrap();
        let mut next: Set = serde_json::from_value(initial["next_validator_set"].clone()).unwrap();
        let period = initial["trusting_period"].as_str().unwrap().parse::<u64>().unwrap() / 1_000_000_000;
        for input in case["input"].as_array().unwrap() {
            let verdict = input["verdict"].as_str().unwrap();
            let block = &input["block"];
            let parsed = (
                serde_json::from_value::<SignedHeader>(block["signed_header"].clone()),
                serde_json::from_value::<Set>(block["validator_set"].clone()),
            );
            verdicts += 1;
            let (Ok(untrusted), Ok(validators)) = parsed else {
                assert_eq!(verdict, "INVALID", "{name}: only an invalid block is not read");
                continue;
            };
            let header = Header {
                signed_header: untrusted.clone(),
                validators,
                trusted_height: Height(signed.header.height.value()),
                trusted_next_validators: next.clone(),
            };
            let now = Time::parse_from_rfc3339(input["now"].as_str().unwrap()).unwrap();
            let now = Timestamp(now.unix_timestamp() as u64);
            let found = match verify_update(&client(&signed, period), &state_of(&signed), &header, now) {
                // These blocks have no app hash, which is refused only after all else holds.
                Ok(_) | Err(TendermintError::AppHash(0)) => "SUCCESS",
                Err(TendermintError::NotEnoughTrust { .. }) => "NOT_ENOUGH_TRUST",
                Err(_) => "INVALID",
            };
            assert_eq!(found, verdict, "{name}");
            if verdict == "SUCCESS" {
                next = serde_json::from_value(block["next_validator_set"].clone()).unwrap();
                signed = untrusted;
            }
        }
    }
    assert_all_seen(verdicts, 66);
}

/// Base64 with padding (RFC 4648): CometBFT JSON writes signatures and keys in it.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = [0; 3];
        word[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, word[0], word[1], word[2]]);
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// Union's form of the JSON turned into CometBFT's.
fn comet(value: &Value) -> Value {
    match value {
        Value::String(text) if text.starts_with("0x") => json!(text[2..].to_uppercase()),
        Value::Array(items) => items.iter().map(comet).collect(),
        Value::Object(fields) => match fields.get("@type").and_then(Value::as_str) {
            Some("absent") => {
                json!({ "block_id_flag": 1, "validator_address": "", "timestamp": "0001-01-01T00:00:00Z", "signature": null })
            }
            Some("commit") => {
                let vote = &fields["@value"];
                json!({
                    "block_id_flag": 2,
                    "validator_address": comet(&vote["validator_address"]),
                    "timestamp": vote["timestamp"],
                    "signature": base64(&unhex(vote["signature"].as_str().unwrap())),
                })
            }
            Some("ed25519") => {
                let key = base64(&unhex(fields["@value"].as_str().unwrap()));
                json!({ "type": "tendermint/PubKeyEd25519", "value": key })
            }
            Some(other) => panic!("unknown type {other}"),
            None => fields
                .iter()
                .map(|(name, field)| {
                    let field = match name.as_str() {
                        "height" | "voting_power" | "total_voting_power" | "proposer_priority" if field.is_number() => {
                            json!(field.to_string())
                        }
                        _ => comet(field),
                    };
                    (name.clone(), field)
                })
                .collect::<serde_json::Map<_, _>>()
                .into(),
        },
        other => other.clone(),
    }
}

/// The devnet's headers with their sets, ascending. The set never changed, so each header's is also the next one.
pub(crate) fn devnet() -> Vec<(u64, SignedHeader, Set)> {
    let mut blocks: Vec<(u64, SignedHeader, Set)> = vec![];
    for (name, file) in vectors("tendermint/union-simd-devnet", 39) {
        let file = comet(&file);
        let signed = serde_json::from_value::<SignedHeader>(file["signed_header"].clone())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let set =
            serde_json::from_value::<Set>(file["validator_set"].clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
        blocks.push((signed.header.height.value(), signed, set));
    }
    blocks.sort_by_key(|(height, ..)| *height);
    blocks
}

#[test]
fn devnet_headers_verify_one_after_another() {
    let blocks = devnet();
    let mut checked = 0;
    for (trusted, block) in blocks.iter().flat_map(|a| blocks.iter().map(move |b| (a, b))) {
        if trusted.0 >= block.0 {
            continue;
        }
        let header = Header {
            signed_header: block.1.clone(),
            validators: block.2.clone(),
            trusted_height: Height(trusted.0),
            trusted_next_validators: trusted.2.clone(),
        };
        let now = state_of(&block.1).time;
        let client = client(&trusted.1, 100_000);
        let (_, state) = verify_update(&client, &state_of(&trusted.1), &header, now).unwrap();
        assert_eq!(state, state_of(&block.1), "{} from {}", block.0, trusted.0);
        // The same through the bytes that a transaction carries.
        let again = Header::decode(&header.encode()).unwrap();
        assert_eq!(verify_update(&client, &state_of(&trusted.1), &again, now).unwrap().1, state);
        checked += 1;
    }
    assert_all_seen(checked, 39 * 38 / 2);
}

#[test]
fn headers_recorded_from_nodes_hash_to_their_block_ids() {
    let mut seen = 0;
    for (network, files) in [
        ("gaia_fixtures", 4),
        ("kvstore_fixtures_v0_34", 5),
        ("kvstore_fixtures_v0_37", 5),
        ("kvstore_fixtures_v0_38", 5),
    ] {
        for (name, file) in vectors(&format!("tendermint/tendermint-rs/rpc/{network}"), files) {
            let result = &file["result"];
            let pairs: Vec<(&Value, &Value)> = if let Some(metas) = result["block_metas"].as_array() {
                metas.iter().map(|meta| (&meta["header"], &meta["block_id"]["hash"])).collect()
            } else if result["signed_header"].is_object() {
                vec![(&result["signed_header"]["header"], &result["signed_header"]["commit"]["block_id"]["hash"])]
            } else if result["block"].is_object() {
                vec![(&result["block"]["header"], &result["block_id"]["hash"])]
            } else {
                continue;
            };
            for (header, hash) in pairs {
                let header: tendermint::block::Header = serde_json::from_value(header.clone()).unwrap();
                assert_eq!(header.hash().to_string(), hash.as_str().unwrap(), "{network} {name}");
                seen += 1;
            }
        }
    }
    assert_all_seen(seen, 52);
}
