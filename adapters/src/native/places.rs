//! Where entries of the outboxes are, as far as events told: it saves asking for each packet. Only a hint:
//! an entry that is not where it was said to be is looked for again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crosspoint_protocol::ids::Height;
use crosspoint_protocol::path::Path;

use crate::chain::{ChainEvent, PacketEvent};

/// Most places remembered; the oldest are forgotten.
const MAX_PLACES: usize = 50_000;

/// The blocks of packets sent and acks written.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    heights: HashMap<Path, Height>,
    order: VecDeque<Path>,
}

impl Places {
    /// Remembers where these events were.
    pub(crate) fn note(&self, events: &[ChainEvent]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            let path = match &event.event {
                PacketEvent::Sent { packet } => packet.commitment_path(),
                PacketEvent::AckWritten { dest_client, sequence, .. } => Path::ack(dest_client.clone(), *sequence),
                PacketEvent::Received { .. } | PacketEvent::Ended { .. } => continue,
            };
            if known.heights.insert(path.clone(), event.block.height).is_none() {
                known.order.push_back(path);
            }
            if known.order.len() > MAX_PLACES
                && let Some(oldest) = known.order.pop_front()
            {
                known.heights.remove(&oldest);
            }
        }
    }

    /// The block an entry was said to be in.
    pub(crate) fn hint(&self, path: &Path) -> Option<Height> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).heights.get(path).copied()
    }
}
