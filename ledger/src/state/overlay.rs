//! Changes on top of a state.

use std::collections::BTreeMap;

use super::{OutboxEntry, Pairs, ReadState, Space, StateError, WriteState};
use crate::events::Event;

/// New values by key; `None` is a removal.
pub type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What an overlay collected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// In the provable space.
    pub provable: Writes,
    /// In the plain space.
    pub plain: Writes,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// Outbox entries, in order.
    pub outbox: Vec<OutboxEntry>,
}

impl Changes {
    fn writes(&self, space: Space) -> &Writes {
        match space {
            Space::Provable => &self.provable,
            Space::Plain => &self.plain,
        }
    }

    fn writes_mut(&mut self, space: Space) -> &mut Writes {
        match space {
            Space::Provable => &mut self.provable,
            Space::Plain => &mut self.plain,
        }
    }
}

/// A state with changes that its base does not see.
pub struct Overlay<'a> {
    base: &'a dyn ReadState,
    changes: Changes,
}

impl<'a> Overlay<'a> {
    /// No changes yet.
    pub fn new(base: &'a dyn ReadState) -> Self {
        Self { base, changes: Changes::default() }
    }

    /// What was changed.
    #[must_use]
    pub fn into_changes(self) -> Changes {
        self.changes
    }

    /// Takes the events and leaves the changes.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.changes.events)
    }

    /// Takes the outbox entries and leaves the changes.
    pub fn take_outbox(&mut self) -> Vec<OutboxEntry> {
        std::mem::take(&mut self.changes.outbox)
    }
}

impl ReadState for Overlay<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self.changes.writes(space).get(key) {
            Some(value) => Ok(value.clone()),
            None => self.base.get(space, key),
        }
    }

    fn scan(&self, space: Space, prefix: &[u8]) -> Result<Pairs, StateError> {
        let mut found: BTreeMap<_, _> = self.base.scan(space, prefix)?.into_iter().collect();
        let changed = self.changes.writes(space).range(prefix.to_vec()..);
        for (key, value) in changed.take_while(|(key, _)| key.starts_with(prefix)) {
            match value {
                Some(value) => found.insert(key.clone(), value.clone()),
                None => found.remove(key),
            };
        }
        Ok(found.into_iter().collect())
    }
}

impl WriteState for Overlay<'_> {
    fn put(&mut self, space: Space, key: Vec<u8>, value: Vec<u8>) {
        self.changes.writes_mut(space).insert(key, Some(value));
    }

    fn delete(&mut self, space: Space, key: Vec<u8>) {
        self.changes.writes_mut(space).insert(key, None);
    }

    fn emit(&mut self, event: Event) {
        self.changes.events.push(event);
    }

    fn append_outbox(&mut self, entry: OutboxEntry) {
        self.changes.outbox.push(entry);
    }

    fn merge(&mut self, changes: Changes) {
        self.changes.provable.extend(changes.provable);
        self.changes.plain.extend(changes.plain);
        self.changes.events.extend(changes.events);
        self.changes.outbox.extend(changes.outbox);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Empty;
    impl ReadState for Empty {
        fn get(&self, _: Space, _: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
            Ok(None)
        }
        fn scan(&self, _: Space, _: &[u8]) -> Result<Pairs, StateError> {
            Ok(vec![])
        }
    }

    #[test]
    fn a_failed_attempt_leaves_no_trace() {
        let mut block = Overlay::new(&Empty);
        block.put(Space::Plain, b"a1".to_vec(), vec![1]);
        let failed: Result<(), ()> = block.attempt(|tx| {
            tx.put(Space::Plain, b"a1".to_vec(), vec![2]);
            tx.emit(Event::Paused { client: None });
            Err(())
        });
        assert!(failed.is_err());
        let done: Result<(), ()> = block.attempt(|tx| {
            assert_eq!(tx.get(Space::Plain, b"a1"), Ok(Some(vec![1])));
            tx.put(Space::Plain, b"a2".to_vec(), vec![3]);
            tx.delete(Space::Plain, b"a1".to_vec());
            assert_eq!(tx.scan(Space::Plain, b"a"), Ok(vec![(b"a2".to_vec(), vec![3])]));
            Ok(())
        });
        assert!(done.is_ok());
        assert_eq!(block.scan(Space::Plain, b"a"), Ok(vec![(b"a2".to_vec(), vec![3])]));
        assert!(block.into_changes().events.is_empty());
    }
}
