//! Evidence files: what they prove, and that nothing in one can be changed unnoticed.

use crate::chain::{Block, set, validators};
use crate::evidence_case::{Native, acknowledged, all, evidence, paid_after_it_was_open, record, settled};
use crosspoint_light_proofs::evidence::{
    AckRecord, Anchor, ChainEvidence, Claim, Evidence, EvidenceError, Fault, Outcome, TendermintAnchor, verify,
};
use serde_json::Value;

fn check(text: &str) -> Result<(), EvidenceError> {
    verify(&Evidence::read(text)?, &[]).map(|_| ())
}

#[test]
fn a_file_proves_how_far_its_transfer_is() {
    let expected = [
        ("settled", Outcome::Settled),
        ("listed", Outcome::Settled),
        ("paid", Outcome::Paid),
        ("refunded", Outcome::Refunded),
        ("never received", Outcome::Refunded),
        ("held", Outcome::Held),
        ("under way", Outcome::UnderWay),
        ("to qbft", Outcome::Settled),
        ("to ibft2", Outcome::Settled),
        ("from ibft1", Outcome::Settled),
        ("to ethereum", Outcome::Settled),
        ("from ethereum", Outcome::Settled),
    ];
    for ((name, evidence), (same, outcome)) in all().into_iter().zip(expected) {
        assert_eq!(name, same);
        let text = evidence.to_text().unwrap();
        let read = Evidence::read(&text).unwrap();
        assert_eq!(read, evidence, "{name}");
        let found = verify(&read, &[]).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(found.outcome, outcome, "{name}");
        assert!(found.source.shows(Claim::Sent), "{name}");
    }
    let found = verify(&settled(), &[]).unwrap();
    assert!(found.source.registered.unwrap().vouches, "the native chain vouches for the attestors");
}

/// Every leaf of a JSON value, with its path as errors write it.
fn leaves(at: &str, value: &Value, all: &mut Vec<(String, String)>, pointer: &str) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                leaves(&at, inner, all, &format!("{pointer}/{name}"));
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                leaves(&format!("{at}[{index}]"), inner, all, &format!("{pointer}/{index}"));
            }
        }
        _ => all.push((at.to_owned(), pointer.to_owned())),
    }
}

/// Other values that could stand in a leaf's place.
fn changes(leaf: &Value, step: usize) -> Vec<Value> {
    match leaf {
        Value::Number(number) => {
            let n = number.as_u64().unwrap();
            vec![Value::from(n + 1), Value::from(n ^ 1), Value::from(n.wrapping_sub(1)), Value::Null]
        }
        Value::String(text) => {
            let mut all = vec![Value::from(format!("{text}0")), Value::from(""), Value::Null];
            for at in (0..text.len()).step_by(step) {
                let mut bytes = text.clone().into_bytes();
                bytes[at] = if bytes[at].is_ascii_digit() { b'0' + (bytes[at] - b'0' + 1) % 10 } else { bytes[at] ^ 1 };
                all.extend(String::from_utf8(bytes).ok().map(Value::from));
            }
            all
        }
        Value::Null => vec![Value::from(0), Value::from("")],
        other => panic!("no leaf is {other}"),
    }
}

#[test]
fn every_changed_leaf_is_found_and_its_part_is_named() {
    let mut tried = 0;
    for (name, evidence) in all() {
        // Two files thoroughly, of the others each leaf.
        let step = if matches!(name, "settled" | "listed") { 5 } else { 31 };
        let text = evidence.to_text().unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let mut paths = vec![];
        leaves("", &value, &mut paths, "");
        assert!(paths.len() > 100, "{name}: {}", paths.len());
        for (at, pointer) in paths {
            let leaf = value.pointer(&pointer).unwrap();
            for change in changes(leaf, step).into_iter().filter(|change| change != leaf) {
                let mut changed = value.clone();
                *changed.pointer_mut(&pointer).unwrap() = change.clone();
                // Not by its text, of which any other byte is refused: what is found here is found by form and proofs.
                let checked = Evidence::from_value(changed).and_then(|evidence| verify(&evidence, &[]));
                let Err(error) = checked else { panic!("{name}: {at} changed to {change} went unnoticed") };
                let named = at.starts_with(error.at.as_str()) || error.at.starts_with(at.as_str());
                assert!(named, "{name}: {at} was changed to {change}, blamed is {error}");
                tried += 1;
            }
        }
    }
    assert!(tried > 5_000, "{tried}");
}

#[test]
fn every_changed_byte_of_the_text_is_found() {
    let text = settled().to_text().unwrap();
    check(&text).unwrap();
    for at in (0..text.len()).step_by(7) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= if at % 2 == 0 { 1 } else { 0x20 };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(check(&changed).is_err(), "byte {at} of the file: {:?}", &text[at.saturating_sub(20)..at + 1]);
    }
    for other in [text.replace("\": ", "\":"), format!("{text}\n"), text.trim_end().to_owned()] {
        assert_eq!(*check(&other).unwrap_err().why, Fault::NotCanonical);
    }
    // The very line is named, also of what is no text, and of what editors do to line ends.
    let lines: Vec<&str> = text.split('\n').collect();
    for at in (0..lines.len() - 1).step_by(9) {
        let before: usize = lines[..at].iter().map(|line| line.len() + 1).sum();
        let mut bytes = text.clone().into_bytes();
        bytes[before] |= 0x80;
        let error = Evidence::from_bytes(&bytes).unwrap_err();
        assert_eq!((error.at, *error.why), (format!("line {}", at + 1), Fault::NotText));
        let mut ended = lines.clone();
        let with_return = format!("{}\r", lines[at]);
        ended[at] = &with_return;
        let error = check(&ended.join("\n")).unwrap_err();
        assert_eq!((error.at, *error.why), (format!("line {}", at + 1), Fault::NotCanonical));
    }
}

#[test]
fn what_cannot_be_read_is_named_by_its_path() {
    for (name, evidence) in all() {
        let value: Value = serde_json::from_str(&evidence.to_text().unwrap()).unwrap();
        let mut paths = vec![];
        leaves("", &value, &mut paths, "");
        let mut exact = 0;
        let texts = paths.iter().filter(|(_, pointer)| value.pointer(pointer).unwrap().is_string());
        let count = texts.clone().count();
        for (at, pointer) in texts {
            let mut changed = value.clone();
            *changed.pointer_mut(pointer).unwrap() = format!("0x{}", "\u{202e}g\n".repeat(1_000_000)).into();
            let error = Evidence::from_value(changed).and_then(|file| verify(&file, &[]).map(drop)).unwrap_err();
            exact += usize::from(error.at == *at);
            let said = error.to_string();
            assert!(said.len() < 2_000 && !said.contains(['\n', '\u{202e}']), "{name} {at}: {} bytes said", said.len());
        }
        assert!(exact * 4 >= count * 3, "{name}: {exact} of {count} are named to the letter");
    }
}

#[test]
fn unknown_fields_and_missing_parts_are_named() {
    let text = settled().to_text().unwrap();
    let extra = text.replacen("\"packet\": {", "\"note\": 1,\n  \"packet\": {", 1);
    let error = check(&extra).unwrap_err();
    assert_eq!((error.at.as_str(), *error.why), ("note", Fault::Unknown));
    let inside = text.replacen("\"light_client\"", "\"trust\": \"me\",\n    \"light_client\"", 1);
    assert_eq!(check(&inside).unwrap_err().at, "source.trust");
    // A second field of the same name: JSON readers would take the last.
    let twice = text.replacen("\"format\"", "\"ack\": \"error\",\n  \"format\"", 1);
    assert!(check(&twice).unwrap_err().at.starts_with("line "));
    let without = settled();
    let Evidence { ack: Some(_), .. } = &without else { panic!("no ack") };
    let error = verify(&Evidence { ack: None, ..without }, &[]).unwrap_err();
    assert_eq!(error.at, "ack");
    assert_eq!(check("{}").unwrap_err().at, "format");
    assert_eq!(check(&"[".repeat(100_000)).unwrap_err().at, "file");
}

#[test]
fn a_proof_of_another_transfer_serves_none_but_its_own() {
    let mut other = record();
    other.sequence = crosspoint_protocol::ids::Sequence(8);
    let claimed = AckRecord::Claimed { preimage: crate::evidence_case::PREIMAGE };
    let elsewhere = acknowledged(&other.packet(), &claimed);
    let error = verify(&Evidence { destination: elsewhere, ..settled() }, &[]).unwrap_err();
    assert!(matches!(*error.why, Fault::OtherPacket { .. }), "{error}");
    // An error acknowledgement cannot be told as a payment, nor a payment as an error.
    let refused = acknowledged(&record().packet(), &AckRecord::Error);
    let error = verify(&Evidence { destination: refused, ..settled() }, &[]).unwrap_err();
    assert_eq!(error.at, "ack");
    let error = verify(&Evidence { ack: Some(AckRecord::Error), ..settled() }, &[]).unwrap_err();
    assert_eq!(error.at, "ack");
}

#[test]
fn trust_begins_where_the_auditor_says() {
    let evidence = settled();
    let own = |height: u64, keys: std::ops::Range<u8>| {
        let block = Block::new(height, 900 + height, &validators(keys));
        Anchor::Tendermint(Box::new(TendermintAnchor::new(block.inner(), &set(&block.next))))
    };
    // A later header of the same validators leads to the same, and is said to be the auditor's.
    let found = verify(&evidence, &[own(5, 1..5)]).unwrap();
    assert!(!found.source.anchor.in_file() && found.destination.anchor.in_file());
    // Validators whom the chain never had do not vouch for it, nor does a header past those that prove.
    let strangers = verify(&evidence, &[own(5, 20..24)]).unwrap_err();
    assert_eq!(strangers.at, "source.headers[0].signed_header");
    let past = verify(&evidence, &[own(12, 1..5)]).unwrap_err();
    assert!(matches!(*past.why, Fault::Order { .. }), "{past}");
    // Attestors of the auditor's own: one who did not sign, another threshold, another contract.
    let anchor = crate::evidence_case::anchor();
    assert!(verify(&evidence, &[Anchor::Attested(anchor.clone())]).is_ok());
    let elsewhere = crosspoint_light_proofs::evidence::AttestedAnchor { genesis_hash: [2; 32].into(), ..anchor };
    let error = verify(&evidence, &[Anchor::Attested(elsewhere.sealed())]).unwrap_err();
    assert_eq!(error.at, "destination.headers[0]");
}

#[test]
fn what_was_open_before_it_was_received_is_not_held() {
    let packet = record().packet();
    let file = evidence(Native::attested().source(&packet, false), None, paid_after_it_was_open(&packet));
    assert_eq!(verify(&file, &[]).unwrap().outcome, Outcome::Unclear);
}

#[test]
fn claims_that_contradict_each_other_prove_nothing() {
    let evidence = settled();
    // The commitment standing after it was gone.
    let back = Native::attested().source_that_comes_back(&record().packet());
    let error = verify(&Evidence { source: back, ..evidence.clone() }, &[]).unwrap_err();
    assert_eq!((error.at.as_str(), *error.why), ("source", Fault::Contradiction(Claim::Ended, Claim::Sent)));
    // Gone before it was sent, and listed while it stands.
    let later = Native::attested().source_listed_later(&record().packet());
    let error = verify(&Evidence { source: later, ..evidence.clone() }, &[]).unwrap_err();
    assert_eq!((error.at.as_str(), *error.why), ("source", Fault::Contradiction(Claim::Ended, Claim::Sent)));
    // The same thing twice.
    let ChainEvidence::Attested(mut twice) = evidence.destination.clone() else { panic!("attested") };
    let again = twice.headers[0].proofs[0].clone();
    twice.headers[0].proofs.push(again);
    let error = verify(&Evidence { destination: ChainEvidence::Attested(twice), ..evidence }, &[]).unwrap_err();
    assert_eq!(*error.why, Fault::Twice(Claim::Received));
}
