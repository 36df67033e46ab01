//! A client's list of packets sent or acks written, as far back as the items to prove. What the node says is
//! hashed again, block by block, up to a head that is proven in the state.

use std::collections::BTreeMap;

use crosspoint_ledger::query::{OutboxBlockView, OutboxList, OutboxQuery, OutboxView};
use crosspoint_light_proofs::evidence::OutboxPath;
use crosspoint_light_proofs::jmt;
use crosspoint_protocol::ids::{ClientId, Height, Sequence};
use crosspoint_protocol::outbox::{self, Hash};
use crosspoint_protocol::path::Path;

use super::rpc::Endpoint;
use crate::error::ChainError;
use crate::proven::{OutboxBlock, OutboxEvidence};

/// Most pages of a list that one proof goes back; a page has at most 1,000 blocks.
const MAX_PAGES: usize = 5;

/// A part of a list whose blocks hash from one head to the next.
#[derive(Debug)]
pub(crate) struct List {
    client: ClientId,
    list: OutboxList,
    previous_head: Hash,
    // With the head after each block.
    blocks: Vec<(OutboxBlock, Hash)>,
    /// The state up to which the list is whole.
    pub(crate) whole_to: Height,
}

/// The path of an entry.
pub(crate) fn path(client: &ClientId, list: OutboxList, sequence: Sequence) -> Path {
    match list {
        OutboxList::Sent => Path::commitment(client.clone(), sequence),
        OutboxList::Acked => Path::ack(client.clone(), sequence),
    }
}

/// The provable key of a list's head.
pub(crate) fn key(client: &ClientId, list: OutboxList) -> Vec<u8> {
    format!("outbox/{client}/{}", list.as_str()).into_bytes()
}

impl List {
    /// Reads the list's blocks `from..=to`.
    pub(crate) async fn load(
        endpoint: &Endpoint,
        client: &ClientId,
        list: OutboxList,
        from: Height,
        to: Height,
    ) -> Result<Self, ChainError> {
        let mut loaded = Self { client: client.clone(), list, previous_head: [0; 32], blocks: vec![], whole_to: to };
        let mut next = from;
        for page in 0..MAX_PAGES {
            let query = OutboxQuery { client: client.clone(), list, from: next, to };
            let view: OutboxView = endpoint.view("/outbox", &query, Height(0)).await?;
            let more = view.more;
            loaded.add(endpoint, page == 0, next, to, view)?;
            let newest = loaded.blocks.last().map(|(block, _)| block.height);
            match (more, newest) {
                (false, _) => return Ok(loaded),
                (true, Some(newest)) if newest >= next => next = newest.next(),
                (true, _) => return Err(endpoint.malformed("/outbox", "more blocks are announced after none")),
            }
            loaded.whole_to = Height(next.0.saturating_sub(1));
        }
        Ok(loaded)
    }

    fn add(
        &mut self,
        endpoint: &Endpoint,
        first: bool,
        from: Height,
        to: Height,
        view: OutboxView,
    ) -> Result<(), ChainError> {
        let malformed = |detail: &str| endpoint.malformed("/outbox", detail);
        let previous = hash(&view.previous_head).ok_or_else(|| malformed("the previous head is not 32 bytes"))?;
        let mut head = match self.blocks.last() {
            Some((_, head)) => *head,
            None if first => {
                self.previous_head = previous;
                previous
            }
            None => self.previous_head,
        };
        if previous != head {
            return Err(endpoint.untrustworthy("the parts of an outbox do not follow each other"));
        }
        let mut lowest = from;
        for block in view.blocks {
            if block.height < lowest || block.height > to {
                return Err(malformed("blocks out of order or out of the range asked for"));
            }
            lowest = block.height.next();
            let (block, claimed) = self.block(block).ok_or_else(|| malformed("a block without 32-byte entries"))?;
            let root = outbox::root(&self.leaves(&block)).ok_or_else(|| malformed("a block without entries"))?;
            head = outbox::next_head(&head, &root);
            if head != claimed {
                return Err(endpoint.untrustworthy(format!("the outbox does not hash to its head at {}", block.height)));
            }
            self.blocks.push((block, head));
        }
        Ok(())
    }

    fn block(&self, view: OutboxBlockView) -> Option<(OutboxBlock, Hash)> {
        let entries: Option<Vec<_>> =
            view.entries.iter().map(|entry| Some((entry.sequence, hash(&entry.commitment)?))).collect();
        Some((OutboxBlock { height: view.height, entries: entries? }, hash(&view.head)?))
    }

    /// In which block each of these entries is.
    pub(crate) fn places(&self, wanted: &[(Sequence, Hash)]) -> Vec<Option<Height>> {
        let all: BTreeMap<(Sequence, Hash), Height> = self
            .blocks
            .iter()
            .flat_map(|(block, _)| block.entries.iter().map(|entry| (*entry, block.height)))
            .collect();
        wanted.iter().map(|entry| all.get(entry).copied()).collect()
    }

    /// The way from an entry of the block `at` to the head in the state after block `state`.
    pub(crate) fn path(&self, at: Height, entry: (Sequence, Hash), state: Height) -> Option<OutboxPath> {
        let mut previous_head = self.previous_head;
        let mut blocks = self.blocks.iter().take_while(|(block, _)| block.height <= state);
        let (block, _) = blocks.find(|(block, head)| {
            let found = block.height == at;
            if !found {
                previous_head = *head;
            }
            found
        })?;
        let index = u64::try_from(block.entries.iter().position(|known| *known == entry)?).ok()?;
        let leaves = self.leaves(block);
        Some(OutboxPath {
            previous_head,
            count: u64::try_from(leaves.len()).ok()?,
            index,
            siblings: outbox::prove(&leaves, &[index]),
            later_roots: blocks.map(|(block, _)| outbox::root(&self.leaves(block))).collect::<Option<_>>()?,
        })
    }

    fn leaves(&self, block: &OutboxBlock) -> Vec<Hash> {
        let path = |sequence| path(&self.client, self.list, sequence);
        block.entries.iter().map(|(sequence, value)| outbox::leaf(&path(*sequence), value)).collect()
    }

    /// The evidence from the block `first` on, in the state after block `state` whose root is `root`.
    pub(crate) async fn evidence(
        &self,
        endpoint: &Endpoint,
        first: Height,
        state: Height,
        root: &Hash,
    ) -> Result<OutboxEvidence, ChainError> {
        let mut previous_head = self.previous_head;
        let mut head = None;
        let mut blocks = Vec::new();
        for (block, after) in self.blocks.iter().take_while(|(block, _)| block.height <= state) {
            if block.height < first {
                previous_head = *after;
            } else {
                blocks.push(block.clone());
            }
            head = Some(*after);
        }
        let head = head.ok_or_else(|| endpoint.untrustworthy("the outbox ends before the items in it"))?;
        let key = key(&self.client, self.list);
        let stored = endpoint.stored(&key, state, true).await?;
        if stored.value != head {
            return Err(endpoint.untrustworthy(format!("the outbox given is not the one in the state after {state}")));
        }
        jmt::verify_membership(root, &key, &head, &stored.proof).map_err(|error| endpoint.untrustworthy(error))?;
        Ok(OutboxEvidence { head, membership: stored.proof, previous_head, blocks })
    }
}

fn hash(bytes: &[u8]) -> Option<Hash> {
    bytes.try_into().ok()
}
