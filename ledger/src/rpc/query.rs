//! Event queries: `tm.event='Tx' AND transfer.sender='…' AND tx.height>=5`.
//!
//! The grammar is that of CometBFT, parsed by `tendermint-rpc`; what matches is decided here.

use std::collections::BTreeMap;

use tendermint_proto::v0_38::abci;
use tendermint_rpc::query::{Condition, Operand, Operation, Query};

use super::jsonrpc::RpcError;

/// Longest query, in bytes, as in CometBFT.
pub const MAX_QUERY_BYTES: usize = 512;
/// Most conditions of a query.
const MAX_CONDITIONS: usize = 16;

/// Every value of each event attribute, by `type.key`.
pub type Attributes = BTreeMap<String, Vec<String>>;

/// A parsed query.
#[derive(Debug, Clone, PartialEq)]
pub struct EventQuery {
    text: String,
    conditions: Vec<Condition>,
}

impl EventQuery {
    /// Parses a query.
    ///
    /// # Errors
    /// [`RpcError::InvalidParams`] when it is too long or malformed.
    pub fn parse(text: &str) -> Result<Self, RpcError> {
        if text.len() > MAX_QUERY_BYTES {
            return Err(RpcError::InvalidParams(format!("a query has at most {MAX_QUERY_BYTES} bytes")));
        }
        let query: Query = text.trim().parse().map_err(|_| {
            RpcError::InvalidParams("the query is malformed; an example: tm.event='Tx' AND tx.height>=5".into())
        })?;
        let kind = query.event_type.map(|kind| Condition::eq("tm.event".into(), kind.to_string().into()));
        let conditions: Vec<Condition> = kind.into_iter().chain(query.conditions).collect();
        if conditions.len() > MAX_CONDITIONS {
            return Err(RpcError::InvalidParams(format!("a query has at most {MAX_CONDITIONS} conditions")));
        }
        Ok(Self { text: text.to_owned(), conditions })
    }

    /// The query as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether some value of each attribute named satisfies its condition.
    #[must_use]
    pub fn matches(&self, attributes: &Attributes) -> bool {
        self.conditions.iter().all(|condition| {
            let values = attributes.get(&condition.key).map(Vec::as_slice).unwrap_or_default();
            values.iter().any(|value| satisfies(value, &condition.operation))
        })
    }

    /// The conditions on one key.
    pub fn on<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Operation> {
        self.conditions.iter().filter(move |c| c.key == key).map(|c| &c.operation)
    }

    /// The heights that conditions on `key` leave, within `low..=high`.
    #[must_use]
    pub fn heights(&self, key: &str, mut low: u64, mut high: u64) -> (u64, u64) {
        for operation in self.on(key) {
            match operation {
                Operation::Eq(operand) => {
                    if let Some(n) = whole(operand) {
                        (low, high) = (low.max(n), high.min(n));
                    }
                }
                Operation::Gt(operand) => low = low.max(whole(operand).map_or(low, |n| n.saturating_add(1))),
                Operation::Gte(operand) => low = low.max(whole(operand).unwrap_or(low)),
                Operation::Lt(operand) => high = high.min(whole(operand).map_or(high, |n| n.saturating_sub(1))),
                Operation::Lte(operand) => high = high.min(whole(operand).unwrap_or(high)),
                Operation::Contains(_) | Operation::Exists => {}
            }
        }
        (low, high)
    }
}

fn whole(operand: &Operand) -> Option<u64> {
    match operand {
        Operand::Unsigned(n) => Some(*n),
        Operand::Signed(n) => Some(u64::try_from(*n).unwrap_or(0)),
        Operand::String(text) => text.parse().ok(),
        Operand::Float(_) | Operand::Date(_) | Operand::DateTime(_) => None,
    }
}

fn satisfies(value: &str, operation: &Operation) -> bool {
    use std::cmp::Ordering;
    let compare = |operand: &Operand| -> Option<Ordering> {
        match operand {
            Operand::String(text) => Some(value.cmp(text.as_str())),
            Operand::Unsigned(n) => value.parse::<u128>().ok().map(|v| v.cmp(&u128::from(*n))),
            Operand::Signed(n) => value.parse::<i128>().ok().map(|v| v.cmp(&i128::from(*n))),
            Operand::Float(n) => value.parse::<f64>().ok().and_then(|v| v.partial_cmp(n)),
            // No event of this chain carries dates.
            Operand::Date(_) | Operand::DateTime(_) => None,
        }
    };
    match operation {
        Operation::Eq(operand) => compare(operand) == Some(Ordering::Equal),
        Operation::Lt(operand) => compare(operand) == Some(Ordering::Less),
        Operation::Lte(operand) => compare(operand).is_some_and(Ordering::is_le),
        Operation::Gt(operand) => compare(operand) == Some(Ordering::Greater),
        Operation::Gte(operand) => compare(operand).is_some_and(Ordering::is_ge),
        Operation::Contains(part) => value.contains(part.as_str()),
        Operation::Exists => true,
    }
}

/// The attributes of events as queries see them.
#[must_use]
pub fn attributes(events: &[abci::Event]) -> Attributes {
    let mut all = Attributes::new();
    for event in events {
        for attribute in &event.attributes {
            all.entry(format!("{}.{}", event.r#type, attribute.key)).or_default().push(attribute.value.clone());
        }
    }
    all
}

/// The attributes of one transaction: its events, and what CometBFT adds.
#[must_use]
pub fn tx_attributes(events: &[abci::Event], height: u64, hash: &[u8; 32]) -> Attributes {
    let mut all = attributes(events);
    all.insert("tm.event".into(), vec!["Tx".into()]);
    all.insert("tx.height".into(), vec![height.to_string()]);
    all.insert("tx.hash".into(), vec![hex::encode_upper(hash)]);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tx() -> Attributes {
        let attribute =
            |key: &str, value: &str| abci::EventAttribute { key: key.into(), value: value.into(), index: true };
        let event = abci::Event {
            r#type: "transfer".into(),
            attributes: vec![
                attribute("sender", "a"),
                attribute("sender", "b"),
                attribute("amount", "340282366920938463463374607431768211455"),
            ],
        };
        tx_attributes(&[event], 7, &[0xab; 32])
    }

    #[test]
    fn all_conditions_must_hold_each_by_some_value() {
        for (query, expected) in [
            ("tm.event='Tx'", true),
            ("tm.event = 'Tx' AND tx.height = 7", true),
            ("tx.height > 7", false),
            ("tx.height >= 7 AND transfer.sender = 'b'", true),
            ("transfer.sender = 'c'", false),
            ("transfer.amount > 5", true),
            ("transfer.nothing EXISTS", false),
            ("transfer.sender EXISTS", true),
            ("tm.event='NewBlockHeader'", false),
            ("tx.hash='ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB'", true),
        ] {
            assert_eq!(EventQuery::parse(query).unwrap().matches(&tx()), expected, "{query}");
        }
    }

    #[test]
    fn heights_are_narrowed_by_all_conditions() {
        let query = EventQuery::parse("tx.height > 5 AND tx.height <= 9").unwrap();
        assert_eq!(query.heights("tx.height", 1, 100), (6, 9));
        assert_eq!(EventQuery::parse("tx.height = 4").unwrap().heights("tx.height", 1, 3), (4, 3));
    }

    #[test]
    fn long_and_malformed_queries_are_refused() {
        assert!(EventQuery::parse(&"a".repeat(513)).is_err());
        assert!(EventQuery::parse("tm.event=").is_err());
        assert!(EventQuery::parse(&vec!["a EXISTS"; 17].join(" AND ")).is_err());
    }

    proptest! {
        #[test]
        fn no_query_panics(text in "\\PC{0,120}", shaped in "[a-z.]{1,8}(=|<=| CONTAINS |>)('[a-z]*'|[0-9]{1,25}|DATE [0-9-]{10}|TIME [0-9T:Z-]{20})") {
            for text in [text, shaped] {
                if let Ok(query) = EventQuery::parse(&text) {
                    let _ = query.matches(&tx());
                }
            }
        }
    }
}
