//! How a node behaves, changed while it runs.

use std::sync::{Arc, Mutex};

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    #[default]
    Honest,
    /// It answers nothing of use.
    Down,
    /// What it says is not what those signed who had to.
    Forging,
}

/// The role that a node plays now. Clones are of the same node.
#[derive(Clone, Default)]
pub struct Stage(Arc<Mutex<Role>>);

impl Stage {
    /// From now on.
    pub fn play(&self, role: Role) {
        *self.0.lock().unwrap() = role;
    }

    pub fn role(&self) -> Role {
        *self.0.lock().unwrap()
    }
}
