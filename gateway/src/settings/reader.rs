//! Reads settings key by key and collects every problem on the way.
//!
//! serde stops at the first error; an operator who mends a file wants them all. A key that nobody
//! asked for is a problem too: a misspelt key must never be ignored.

use super::Problem;
use config::{Map, Value, ValueKind};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::rc::Rc;
use std::str::FromStr;

/// Most values of one list.
const MAX_LIST: usize = 64;

/// One table of the settings. Call [`Reader::finish`] when all its keys are read.
pub(super) struct Reader {
    path: String,
    table: Map<String, Value>,
    known: BTreeSet<&'static str>,
    problems: Rc<RefCell<Vec<Problem>>>,
}

impl Reader {
    pub(super) fn root(table: Map<String, Value>, problems: &Rc<RefCell<Vec<Problem>>>) -> Self {
        Self { path: String::new(), table, known: BTreeSet::new(), problems: Rc::clone(problems) }
    }

    /// Notes a problem with `key` of this table.
    pub(super) fn problem(&self, key: &str, what: impl Into<String>) {
        self.problems.borrow_mut().push(Problem { path: self.join(key), what: what.into() });
    }

    /// An optional value. `expected` says in words what the text must be.
    pub(super) fn maybe<T>(&mut self, key: &'static str, expected: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let value = self.take(key)?;
        let from = origin(&value);
        let Some(text) = leaf(&value) else {
            self.problem(key, format!("must be {expected}, not a table or a list{from}"));
            return None;
        };
        text.parse().map_err(|e: T::Err| self.problem(key, format!("must be {expected}{from}: {e}"))).ok()
    }

    /// A value that must be there.
    pub(super) fn need<T>(&mut self, key: &'static str, expected: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        if !self.table.contains_key(key) {
            self.known.insert(key);
            self.problem(key, format!("is missing; set it to {expected}"));
            return None;
        }
        self.maybe(key, expected)
    }

    /// A value with a default. A wrong value yields the default, and its problem.
    pub(super) fn or<T>(&mut self, key: &'static str, default: T, expected: &str) -> T
    where
        T: FromStr,
        T::Err: Display,
    {
        self.maybe(key, expected).unwrap_or(default)
    }

    /// A value with a default, on which other settings depend. A wrong value yields `None`, and its problem.
    pub(super) fn choice<T>(&mut self, key: &'static str, default: T, expected: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let before = self.problems.borrow().len();
        let value = self.maybe(key, expected);
        if value.is_none() && self.problems.borrow().len() > before { None } else { Some(value.unwrap_or(default)) }
    }

    /// A whole number within bounds, with a default.
    pub(super) fn number(&mut self, key: &'static str, default: u64, min: u64, max: u64) -> u64 {
        let n = self.or(key, default, &format!("a whole number from {min} to {max}"));
        if (min..=max).contains(&n) {
            return n;
        }
        self.problem(key, format!("is {n}; it must be from {min} to {max}"));
        default
    }

    /// A list: an array, or one text with commas (for the environment). Missing is empty.
    pub(super) fn list<T>(&mut self, key: &'static str, expected: &str) -> Vec<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let Some(value) = self.take(key) else { return vec![] };
        let from = origin(&value);
        let texts: Vec<Option<String>> = match &value.kind {
            ValueKind::Array(values) => values.iter().map(leaf).collect(),
            _ => match leaf(&value) {
                Some(text) => text.split(',').map(|part| Some(part.trim().to_owned())).collect(),
                None => vec![None],
            },
        };
        if texts.len() > MAX_LIST {
            self.problem(key, format!("has {} values{from}; at most {MAX_LIST} are allowed", texts.len()));
            return vec![];
        }
        let mut read = Vec::with_capacity(texts.len());
        for (i, text) in texts.into_iter().enumerate() {
            let entry = format!("{key}[{i}]");
            match text.map(|t| t.parse::<T>()) {
                Some(Ok(value)) => read.push(value),
                Some(Err(e)) => self.problem(&entry, format!("must be {expected}{from}: {e}")),
                None => self.problem(&entry, format!("must be {expected}, not a table or a list{from}")),
            }
        }
        read
    }

    /// A table inside this one; an empty one if missing.
    pub(super) fn section(&mut self, key: &'static str) -> Self {
        self.maybe_section(key).unwrap_or_else(|| self.child(key, Map::new()))
    }

    /// A table inside this one, if it is there.
    pub(super) fn maybe_section(&mut self, key: &'static str) -> Option<Self> {
        let value = self.take(key)?;
        match value.kind {
            ValueKind::Table(table) => Some(self.child(key, table)),
            _ => {
                let from = origin(&value);
                self.problem(key, format!("must be a table, [{}]{from}", self.join(key)));
                None
            }
        }
    }

    /// The named tables inside a table: `[chains.native]`, `[chains.ethereum]`.
    pub(super) fn named_sections(&mut self, key: &'static str) -> Vec<(String, Self)> {
        let Some(mut parent) = self.maybe_section(key) else { return vec![] };
        let mut tables: Vec<_> = std::mem::take(&mut parent.table).into_iter().collect();
        tables.sort_by(|a, b| a.0.cmp(&b.0));
        if tables.len() > MAX_LIST {
            self.problem(key, format!("has {} tables; at most {MAX_LIST} are allowed", tables.len()));
            return vec![];
        }
        let mut sections = vec![];
        for (name, value) in tables {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            if name.is_empty() || name.len() > 32 || !name.bytes().all(plain) {
                let shown: String = name.chars().take(40).collect();
                parent.problem(
                    &shown,
                    "must be named with 1 to 32 of a-z, 0-9 and _, so that the environment can name it",
                );
                continue;
            }
            match value.kind {
                ValueKind::Table(table) => {
                    let child = parent.child(&name, table);
                    sections.push((name, child));
                }
                _ => parent.problem(&name, format!("must be a table, [{}]", parent.join(&name))),
            }
        }
        sections
    }

    /// Drops keys that cannot be judged because of another problem.
    pub(super) fn ignore(&mut self, keys: &[&'static str]) {
        for key in keys {
            self.take(key);
        }
    }

    /// Reports the keys nobody asked for.
    pub(super) fn finish(self) {
        let known: Vec<_> = self.known.iter().copied().collect();
        let mut unknown: Vec<_> = self.table.iter().collect();
        unknown.sort_by(|a, b| a.0.cmp(b.0));
        for (key, value) in unknown {
            let shown: String = key.chars().take(64).collect();
            self.problem(&shown, format!("is not a setting{}; here are known: {}", origin(value), known.join(", ")));
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.insert(key);
        self.table.remove(key).filter(|value| !matches!(value.kind, ValueKind::Nil))
    }

    fn child(&self, key: &str, table: Map<String, Value>) -> Self {
        Self { path: self.join(key), table, known: BTreeSet::new(), problems: Rc::clone(&self.problems) }
    }

    fn join(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// Where a value came from, when that is not the file everybody expects.
fn origin(value: &Value) -> String {
    match value.origin() {
        Some("the environment") => " (from the environment)".into(),
        _ => String::new(),
    }
}

fn leaf(value: &Value) -> Option<String> {
    match &value.kind {
        ValueKind::String(text) => Some(text.clone()),
        ValueKind::Boolean(b) => Some(b.to_string()),
        ValueKind::I64(n) => Some(n.to_string()),
        ValueKind::I128(n) => Some(n.to_string()),
        ValueKind::U64(n) => Some(n.to_string()),
        ValueKind::U128(n) => Some(n.to_string()),
        ValueKind::Float(n) => Some(n.to_string()),
        ValueKind::Nil | ValueKind::Table(_) | ValueKind::Array(_) => None,
    }
}
