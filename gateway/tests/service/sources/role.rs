//! How a node behaves, changed while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    Honest,
    /// It answers nothing of use.
    Down,
    /// What it says is not what those signed who had to.
    Forging,
}

/// The role that a node plays now. Clones are of the same node.
#[derive(Clone)]
pub struct Stage(Arc<AtomicU8>);

impl Stage {
    pub fn new() -> Self {
        Self(Arc::new(AtomicU8::new(Role::Honest as u8)))
    }

    /// From now on.
    pub fn play(&self, role: Role) {
        self.0.store(role as u8, Ordering::SeqCst);
    }

    pub fn role(&self) -> Role {
        let now = self.0.load(Ordering::SeqCst);
        [Role::Down, Role::Forging].into_iter().find(|role| *role as u8 == now).unwrap_or(Role::Honest)
    }
}
