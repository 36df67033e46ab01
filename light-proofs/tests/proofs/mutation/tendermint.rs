//! The headers of a public devnet, each verified from the one before. The state to believe them from is fixed here; a chain
//! looks it up by `trusted_height`, which is why a change of that alone is no error of the verifier.

use super::Outcomes;
use crate::tendermint_vectors::{client, devnet, state_of};
use crosspoint_light_proofs::tendermint::{CodecError, Header, TendermintError, verify_update};
use crosspoint_protocol::ids::Height;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn read<T: DeserializeOwned>(value: &Value, name: &str) -> Option<T> {
    serde_json::from_value(value.get(name)?.clone()).ok()
}

/// Through the bytes that a transaction carries, as an update comes in.
fn header(value: &Value) -> Option<Result<Header, CodecError>> {
    let header = Header {
        signed_header: read(value, "signed_header")?,
        validators: read(value, "validators")?,
        trusted_height: Height(read(value, "trusted_height")?),
        trusted_next_validators: read(value, "trusted_next_validators")?,
    };
    Some(Header::decode(&header.encode()))
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
        outcomes.of(&good, |value| {
            let header = match header(value)? {
                Ok(header) => header,
                Err(error) => return Some(Err(Refused::Codec(error))),
            };
            Some(verify_update(&client, &state, &header, now).map_err(Refused::Client))
        });
    }
    outcomes.check(include_str!("tables/recorded_header.txt"));
}
