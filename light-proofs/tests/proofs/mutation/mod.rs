//! Every field of every kind of update and proof, changed one at a time. A table beside each client (`tables/`) says which
//! error each change must meet, and is exact both ways. *unreadable*: no message is left. *free*: what is believed is the
//! same as without the change, and that is checked. Free are, legitimately:
//!
//! - a field left out that held its default, or that may be left out (zeros in front of a branch, a branch of zeros that
//!   stands for none, a set that the receiver knows);
//! - one signature less than all, while a quorum is left; of a CometBFT commit, whatever stands past the two thirds that an
//!   update is judged by (evidence is judged by all, `evidence_needs_every_signature_to_verify_also_those_past_two_thirds`);
//! - of a CometBFT set, proposer, names and priorities, which its hash does not cover;
//! - `trusted_height`: who calls the verifier looks the trusted state up by it, here the state is fixed;
//! - `signature_slot` of a beacon update: only its fork and its period count;
//! - of an ICS-23 proof of absence, its own `key`, and the key asked for while it lies between the same neighbours.
//!
//! A changed digest makes every recovered signer a stranger: `UnknownSigner` names a change of what was signed.

mod beacon;
mod merkle;
mod quorums;
mod sealed;
mod tendermint;

use crate::support::vectors_dir;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// Longest list of which each item is changed; of longer ones the first, one in the middle and the last.
const ALL_ITEMS: usize = 40;

/// What came of the changes: by the path of the field, list indexes as `*`.
#[derive(Default)]
pub(crate) struct Outcomes(BTreeMap<String, BTreeSet<String>>);

impl Outcomes {
    /// Changes every value in `good`, one at a time. `judge` says what comes of a changed one: what is then believed,
    /// or the error; nothing if it cannot be read. `good` itself must be believed.
    pub(crate) fn of<T: PartialEq + Debug, E: Debug>(
        &mut self,
        good: &Value,
        judge: impl Fn(&Value) -> Option<Result<T, E>>,
    ) {
        let believed = judge(good).expect("the vector is read").expect("the vector is believed");
        for (path, changed) in changes(good) {
            let outcome = match judge(&changed) {
                // That a field is needed at all goes without saying.
                None if path.ends_with(" (absent)") => continue,
                None => "unreadable".to_owned(),
                Some(Err(error)) => name(&format!("{error:?}")),
                Some(Ok(other)) => {
                    assert_eq!(other, believed, "{path}: something else is believed");
                    "free".to_owned()
                }
            };
            self.0.entry(path).or_default().insert(outcome);
        }
    }

    /// The outcomes are exactly those of the table: lines of a path, a colon, and what may come of a change.
    pub(crate) fn check(&self, table: &str) {
        if self.0.is_empty() {
            assert_eq!(vectors_dir(), None, "there are vectors, but nothing was changed");
            return;
        }
        let found: Vec<String> = self
            .0
            .iter()
            .map(|(path, outcomes)| format!("{path}: {}", outcomes.iter().cloned().collect::<Vec<_>>().join(" ")))
            .collect();
        let expected: Vec<&str> = table.lines().collect();
        assert!(found == expected, "the table says otherwise; found:\n{}\n", found.join("\n"));
    }
}

/// The variants' names in an error's debug form: `Signature(HighS { index: 0 })` is `Signature.HighS`, and
/// `Field("number")`, like `Field { field: "number", .. }`, is `Field(number)`.
fn name(debug: &str) -> String {
    let ident = |text: &str| text.chars().take_while(|c| c.is_alphanumeric()).collect::<String>();
    let mut name = ident(debug);
    let mut rest = &debug[name.len()..];
    while let Some(inner) = rest.strip_prefix('(').filter(|inner| inner.starts_with(|c: char| c.is_uppercase())) {
        let next = ident(inner);
        rest = &inner[next.len()..];
        name = format!("{name}.{next}");
    }
    let text = rest.strip_prefix("(\"").or_else(|| rest.strip_prefix(" { field: \""));
    if let Some((text, _)) = text.and_then(|rest| rest.split_once('"')) {
        name = format!("{name}({text})");
    }
    name
}

/// Every change: of a leaf, to another value of its form; of a list, one item less, and the last one again; of an object,
/// one field less.
fn changes(value: &Value) -> Vec<(String, Value)> {
    let mut all = vec![];
    let child = |name: &str, rest: &str| match rest {
        "" => name.to_owned(),
        remark if remark.starts_with(' ') => format!("{name}{remark}"),
        rest => format!("{name}/{rest}"),
    };
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                for (rest, changed) in changes(field) {
                    let mut fields = fields.clone();
                    fields.insert(name.clone(), changed);
                    all.push((child(name, &rest), fields.into()));
                }
                let mut fields = fields.clone();
                fields.remove(name);
                all.push((format!("{name} (absent)"), fields.into()));
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                if items.len() > ALL_ITEMS && ![0, items.len() / 2, items.len() - 1].contains(&at) {
                    continue;
                }
                for (rest, changed) in changes(item) {
                    let mut items = items.clone();
                    items[at] = changed;
                    all.push((child("*", &rest), items.into()));
                }
            }
            if let Some(last) = items.last() {
                all.push((" (one less)".into(), items[..items.len() - 1].into()));
                all.push((" (last twice)".into(), [items.as_slice(), std::slice::from_ref(last)].concat().into()));
            } else {
                all.push((" (no longer empty)".into(), vec![Value::from("0x01")].into()));
            }
        }
        Value::String(text) => all.extend(other_text(text).map(|text| (String::new(), text.into()))),
        Value::Number(number) => {
            all.push((
                String::new(),
                number.as_u64().map_or_else(|| number.as_i64().unwrap().wrapping_add(1).into(), |n| (n ^ 1).into()),
            ));
        }
        Value::Bool(bool) => all.push((String::new(), (!bool).into())),
        Value::Null => {}
    }
    all
}

/// A text with its middle character changed to another of its kind, so that hex stays hex and digits stay digits.
fn other_text(text: &str) -> Option<String> {
    let start = if text.starts_with("0x") { 2 } else { 0 };
    let middle = start + (text.len() - start) / 2;
    if text == "0x" {
        return Some("0x01".into());
    }
    let change = |at: &usize| text.as_bytes()[*at].is_ascii_alphanumeric();
    let at = (middle..text.len()).chain((start..middle).rev()).find(change)?;
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = match bytes[at] {
        b'9' => b'8',
        b'f' => b'e',
        b'F' => b'E',
        b'z' | b'Z' => bytes[at] - 1,
        other => other + 1,
    };
    Some(String::from_utf8(bytes).unwrap())
}

#[test]
fn changes_reach_every_value() {
    let value = serde_json::json!({ "a": "0x0f", "b": [1, "9"], "c": true });
    let found: Vec<(String, String)> = changes(&value).into_iter().map(|(path, v)| (path, v.to_string())).collect();
    let expected = [
        ("a", r#"{"a":"0x0e","b":[1,"9"],"c":true}"#),
        ("a (absent)", r#"{"b":[1,"9"],"c":true}"#),
        ("b/*", r#"{"a":"0x0f","b":[0,"9"],"c":true}"#),
        ("b/*", r#"{"a":"0x0f","b":[1,"8"],"c":true}"#),
        ("b (one less)", r#"{"a":"0x0f","b":[1],"c":true}"#),
        ("b (last twice)", r#"{"a":"0x0f","b":[1,"9","9"],"c":true}"#),
        ("b (absent)", r#"{"a":"0x0f","c":true}"#),
        ("c", r#"{"a":"0x0f","b":[1,"9"],"c":false}"#),
        ("c (absent)", r#"{"a":"0x0f","b":[1,"9"]}"#),
    ];
    assert_eq!(found, expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
    assert_eq!(name("Signature(HighS { index: 0 })"), "Signature.HighS");
    assert_eq!(name("UnknownSigner(0xab)"), "UnknownSigner");
    assert_eq!(name(r#"Header(Field("number"))"#), "Header.Field(number)");
}
