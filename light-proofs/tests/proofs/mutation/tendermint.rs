//! The headers of a public devnet, each verified from the one before. The state to believe them from is fixed here; a chain
//! looks it up by `trusted_height`, which is why a change of that alone is no error of the verifier.

use super::Outcomes;
use crate::tendermint_vectors::{client, devnet, state_of};
use crosspoint_light_proofs::tendermint::{CodecError, Header, TendermintError, verify_update};
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tendermint_proto::v0_38::types::{SignedHeader, ValidatorSet};

/// An update as a transaction carries it, with whatever in it.
#[derive(Clone, PartialEq, Message)]
struct Update {
    #[prost(message, optional, tag = "1")]
    signed_header: Option<SignedHeader>,
    #[prost(message, optional, tag = "2")]
    validators: Option<ValidatorSet>,
    #[prost(uint64, tag = "3")]
    trusted_height: u64,
    #[prost(message, optional, tag = "4")]
    trusted_next_validators: Option<ValidatorSet>,
}

fn read<T: DeserializeOwned>(value: &Value, name: &str) -> Option<T> {
    serde_json::from_value(value.get(name)?.clone()).ok()
}

/// What the client reads: of bytes that no library has looked at before.
fn header(value: &Value) -> Option<Result<Header, CodecError>> {
    let update = Update {
        signed_header: Some(read(value, "signed_header")?),
        validators: Some(read(value, "validators")?),
        trusted_height: read(value, "trusted_height")?,
        trusted_next_validators: Some(read(value, "trusted_next_validators")?),
    };
    Some(Header::decode(&update.encode_to_vec()))
}

#[derive(Debug)]
#[allow(dead_code)] // for its name
enum Refused {
    Codec(CodecError),
    Client(TendermintError),
}

#[test]
fn each_changed_field_of_a_recorded_header_is_named() {
    let mut outcomes = Outcomes::default();
    for pair in devnet().windows(2) {
        let [(height, trusted, _), (_, signed, set)] = pair else { unreachable!() };
        let (client, state, now) = (client(trusted, 100_000), state_of(trusted), state_of(signed).time);
        let good = json!({
            "signed_header": signed, "validators": set, "trusted_height": height, "trusted_next_validators": set,
        });
        let mut unsummed = good.clone();
        // A power is refused by its sum alone; without it, it is the set's hash that tells.
        for set in ["validators", "trusted_next_validators"] {
            unsummed[set].as_object_mut().unwrap().remove("total_voting_power");
        }
        for good in [good, unsummed] {
            outcomes.of(&good, |value| {
                let header = match header(value)? {
                    Ok(header) => header,
                    Err(error) => return Some(Err(Refused::Codec(error))),
                };
                Some(verify_update(&client, &state, &header, now).map_err(Refused::Client))
            });
        }
    }
    outcomes.check(include_str!("tables/recorded_header.txt"));
}
