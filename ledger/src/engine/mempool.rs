//! Transactions that wait for a block: bounded in number and bytes, each sender's in the order of its nonces.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The SHA-256 of a transaction's bytes.
pub type TxHash = [u8; 32];

/// Who signed a transaction, as the application tells senders apart.
pub type SenderId = [u8; 20];

/// For how many blocks a sender's next nonce is remembered after its last transaction was included.
const RECENT_BLOCKS: u64 = 16;

/// The bounds of a mempool.
#[derive(Debug, Clone, Copy)]
pub struct MempoolLimits {
    /// Most transactions.
    pub max_txs: usize,
    /// Most bytes of all transactions together.
    pub max_bytes: usize,
    /// Most bytes of one transaction.
    pub max_tx_bytes: usize,
    /// Most transactions of one sender.
    pub max_per_sender: usize,
    /// Most bytes of all transactions of one sender together, so that no member can keep the others out.
    pub max_bytes_per_sender: usize,
    /// After how many blocks a transaction that could not be included is dropped.
    pub ttl_blocks: u64,
}

impl Default for MempoolLimits {
    fn default() -> Self {
        Self {
            max_txs: 20_000,
            max_bytes: 64 * 1024 * 1024,
            max_tx_bytes: 1024 * 1024,
            max_per_sender: 5_000,
            max_bytes_per_sender: 8 * 1024 * 1024,
            ttl_blocks: 600,
        }
    }
}

/// Why a transaction was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MempoolError {
    /// The transaction alone is too large.
    #[error("the transaction has {size} bytes; at most {max} are taken")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// The mempool is full; a block makes room.
    #[error("the mempool is full ({count} transactions, {bytes} bytes); try again after the next block")]
    Full {
        /// Transactions waiting.
        count: usize,
        /// Their bytes.
        bytes: usize,
    },
    /// This sender has as many transactions waiting as it may.
    #[error("the sender already has {max} transactions waiting; try again after the next block")]
    SenderFull {
        /// The limit.
        max: usize,
    },
    /// This sender's transactions waiting have as many bytes as they may.
    #[error("the sender's transactions waiting would have more than {max} bytes; try again after the next block")]
    SenderBytes {
        /// The limit.
        max: usize,
    },
    /// The same transaction waits already.
    #[error("tx already exists in cache")]
    Duplicate,
    /// Another transaction of this sender with this nonce waits already.
    #[error("another transaction of this sender with nonce {nonce} is waiting")]
    NonceTaken {
        /// The nonce of both.
        nonce: u64,
    },
    /// The nonce was used by a transaction in a block.
    #[error("nonce {nonce} is used; the sender's next is {next}")]
    NonceUsed {
        /// The transaction's nonce.
        nonce: u64,
        /// The next one.
        next: u64,
    },
    /// The nonce is so far ahead that the ones before it could not all wait here.
    #[error("nonce {nonce} is too far ahead; the sender's next is {next}")]
    NonceAhead {
        /// The transaction's nonce.
        nonce: u64,
        /// The next one.
        next: u64,
    },
}

impl MempoolError {
    /// Whether the same transaction can be taken later without anybody changing it.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Full { .. } | Self::SenderFull { .. } | Self::SenderBytes { .. } | Self::NonceAhead { .. } => true,
            Self::TooLarge { .. } | Self::Duplicate | Self::NonceTaken { .. } | Self::NonceUsed { .. } => false,
        }
    }
}

/// A transaction that passed the application's check.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its bytes.
    pub tx: Vec<u8>,
    /// Its hash.
    pub hash: TxHash,
    /// Who signed it.
    pub sender: SenderId,
    /// Its number among the sender's.
    pub nonce: u64,
    /// The sender's next nonce by the committed state.
    pub next_nonce: u64,
    /// What it costs ([`crate::tx::weight`]).
    pub weight: usize,
}

#[derive(Debug)]
struct Waiting {
    tx: Vec<u8>,
    weight: usize,
    hash: TxHash,
    arrival: u64,
    height: u64,
}

#[derive(Debug, Default)]
struct Sender {
    /// Its next nonce by the committed state.
    next: u64,
    /// The bytes of its transactions.
    bytes: usize,
    /// By nonce.
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug, Default)]
struct Inner {
    senders: HashMap<SenderId, Sender>,
    /// Whose turn it is, in order of arrival.
    turns: BTreeMap<u64, SenderId>,
    hashes: HashMap<TxHash, (SenderId, u64)>,
    /// The next nonce of senders who were in one of the newest blocks, with its height: a check against the
    /// state before that block may still be on its way here.
    recent: HashMap<SenderId, (u64, u64)>,
    bytes: usize,
    arrivals: u64,
    height: u64,
}

/// The mempool.
#[derive(Debug)]
pub struct Mempool {
    limits: MempoolLimits,
    inner: Mutex<Inner>,
    arrived: tokio::sync::Notify,
}

impl Mempool {
    /// An empty mempool.
    #[must_use]
    pub fn new(limits: MempoolLimits) -> Self {
        Self { limits, inner: Mutex::default(), arrived: tokio::sync::Notify::new() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Each change below leaves the maps consistent between statements that can panic: there are none.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses what cannot be taken whatever the application says of it, before anything costly is done.
    ///
    /// # Errors
    /// [`MempoolError`] says why.
    pub fn precheck(&self, size: usize, hash: &TxHash) -> Result<(), MempoolError> {
        if size > self.limits.max_tx_bytes {
            return Err(MempoolError::TooLarge { size, max: self.limits.max_tx_bytes });
        }
        let inner = self.inner();
        if inner.hashes.contains_key(hash) {
            return Err(MempoolError::Duplicate);
        }
        self.room(&inner, size)
    }

    fn room(&self, inner: &Inner, size: usize) -> Result<(), MempoolError> {
        let full =
            inner.hashes.len() >= self.limits.max_txs || inner.bytes.saturating_add(size) > self.limits.max_bytes;
        if full { Err(MempoolError::Full { count: inner.hashes.len(), bytes: inner.bytes }) } else { Ok(()) }
    }

    /// Takes a transaction that the application's check passed.
    ///
    /// # Errors
    /// [`MempoolError`] says why not.
    pub fn insert(&self, candidate: Candidate) -> Result<(), MempoolError> {
        let Candidate { tx, hash, sender, nonce, next_nonce, weight } = candidate;
        let size = tx.len();
        if size > self.limits.max_tx_bytes {
            return Err(MempoolError::TooLarge { size, max: self.limits.max_tx_bytes });
        }
        let mut guard = self.inner();
        let inner = &mut *guard;
        if inner.hashes.contains_key(&hash) {
            return Err(MempoolError::Duplicate);
        }
        self.room(inner, size)?;
        // A block may have been committed since the check: what is known here then is newer.
        let known = inner.senders.get(&sender).map_or(0, |sender| sender.next);
        let recent = inner.recent.get(&sender).map_or(0, |(_, next)| *next);
        let next = next_nonce.max(known).max(recent);
        if nonce < next {
            return Err(MempoolError::NonceUsed { nonce, next });
        }
        let max = self.limits.max_per_sender;
        if nonce.saturating_sub(next) >= u64::try_from(max).unwrap_or(u64::MAX) {
            return Err(MempoolError::NonceAhead { nonce, next });
        }
        if let Some(Sender { bytes, waiting, .. }) = inner.senders.get(&sender) {
            if waiting.contains_key(&nonce) {
                return Err(MempoolError::NonceTaken { nonce });
            }
            if waiting.len() >= max {
                return Err(MempoolError::SenderFull { max });
            }
            let max = self.limits.max_bytes_per_sender;
            if bytes.saturating_add(size) > max {
                return Err(MempoolError::SenderBytes { max });
            }
        }
        let arrival = inner.arrivals;
        inner.arrivals = arrival.saturating_add(1);
        inner.bytes = inner.bytes.saturating_add(size);
        inner.hashes.insert(hash, (sender, nonce));
        inner.turns.insert(arrival, sender);
        let entry = inner.senders.entry(sender).or_default();
        entry.next = next;
        entry.bytes = entry.bytes.saturating_add(size);
        entry.waiting.insert(nonce, Waiting { tx, weight, hash, arrival, height: inner.height });
        drop(guard);
        self.arrived.notify_one();
        Ok(())
    }

    /// The transactions for the next block, within its size, weight and count. Turns go by arrival; at each turn a
    /// sender's lowest nonce goes, if it is the sender's next.
    #[must_use]
    pub fn reap(&self, max_bytes: usize, max_weight: usize, max_txs: usize) -> Vec<Vec<u8>> {
        let inner = self.inner();
        let mut next: HashMap<&SenderId, u64> = HashMap::new();
        let mut picked = Vec::new();
        let (mut bytes, mut weight) = (0_usize, 0_usize);
        for sender in inner.turns.values() {
            if picked.len() >= max_txs {
                break;
            }
            let Some(known) = inner.senders.get(sender) else { continue };
            let nonce = next.entry(sender).or_insert(known.next);
            let Some(entry) = known.waiting.get(nonce) else { continue };
            bytes = bytes.saturating_add(entry.tx.len());
            weight = weight.saturating_add(entry.weight);
            if bytes > max_bytes || weight > max_weight {
                break;
            }
            *nonce = nonce.saturating_add(1);
            picked.push(entry.tx.clone());
        }
        picked
    }

    /// Whether some transaction could go into a block now.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        self.inner().senders.values().any(|sender| sender.waiting.contains_key(&sender.next))
    }

    /// Waits until a transaction arrives; at once if one did since the last call.
    pub async fn arrival(&self) {
        self.arrived.notified().await;
    }

    /// Whether a transaction waits.
    #[must_use]
    pub fn contains(&self, hash: &TxHash) -> bool {
        self.inner().hashes.contains_key(hash)
    }

    /// After the block at `height`: drops what it included, what its senders' `next_nonce` makes
    /// impossible, and what has waited too long. `senders` are those of transactions that may never have been here.
    pub fn committed(
        &self,
        height: u64,
        included: &[TxHash],
        senders: &[SenderId],
        next_nonce: impl Fn(&SenderId) -> u64,
    ) {
        let mut guard = self.inner();
        let inner = &mut *guard;
        inner.height = height;
        let included_here = included.iter().filter_map(|hash| inner.hashes.get(hash).map(|(sender, _)| *sender));
        let mut touched: Vec<SenderId> = included_here.chain(senders.iter().copied()).collect();
        touched.sort_unstable();
        touched.dedup();
        let mut gone: Vec<TxHash> = included.to_vec();
        for sender in touched {
            let next = next_nonce(&sender);
            inner.recent.insert(sender, (height, next));
            if let Some(known) = inner.senders.get_mut(&sender) {
                known.next = next;
                gone.extend(known.waiting.range(..next).map(|(_, entry)| entry.hash));
            }
        }
        let ttl = self.limits.ttl_blocks;
        let stale = inner.senders.values().flat_map(|sender| sender.waiting.values());
        gone.extend(stale.filter(|entry| height.saturating_sub(entry.height) > ttl).map(|entry| entry.hash));
        for hash in gone {
            inner.remove(&hash);
        }
        inner.senders.retain(|_, sender| !sender.waiting.is_empty());
        inner.recent.retain(|_, (at, _)| height.saturating_sub(*at) < RECENT_BLOCKS);
    }

    /// Transactions waiting, their bytes, and the first `limit` of them by arrival.
    #[must_use]
    pub fn waiting(&self, limit: usize) -> (usize, usize, Vec<Vec<u8>>) {
        let inner = self.inner();
        let mut entries: Vec<&Waiting> = inner.senders.values().flat_map(|sender| sender.waiting.values()).collect();
        entries.sort_unstable_by_key(|entry| entry.arrival);
        (inner.hashes.len(), inner.bytes, entries.into_iter().take(limit).map(|entry| entry.tx.clone()).collect())
    }
}

impl Inner {
    fn remove(&mut self, hash: &TxHash) {
        let Some((sender, nonce)) = self.hashes.remove(hash) else { return };
        let Some(known) = self.senders.get_mut(&sender) else { return };
        if let Some(entry) = known.waiting.remove(&nonce) {
            self.turns.remove(&entry.arrival);
            self.bytes = self.bytes.saturating_sub(entry.tx.len());
            known.bytes = known.bytes.saturating_sub(entry.tx.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tx(sender: u8, nonce: u64, size: usize) -> Candidate {
        let mut tx = vec![sender; size.max(9)];
        tx[1..9].copy_from_slice(&nonce.to_be_bytes());
        let hash = crosspoint_protocol::sha256(&[&tx]);
        let weight = tx.len().saturating_mul(10);
        Candidate { tx, hash, sender: [sender; 20], nonce, next_nonce: 0, weight }
    }

    fn pool(limits: MempoolLimits) -> Mempool {
        Mempool::new(limits)
    }

    fn nonces(txs: &[Vec<u8>]) -> Vec<(u8, u64)> {
        txs.iter().map(|tx| (tx[0], u64::from_be_bytes(tx[1..9].try_into().unwrap()))).collect()
    }

    #[test]
    fn a_senders_transactions_go_by_nonce_whatever_order_they_came_in() {
        let pool = pool(MempoolLimits::default());
        for (sender, nonce) in [(1, 2), (1, 0), (2, 0), (1, 1), (3, 1)] {
            pool.insert(tx(sender, nonce, 9)).unwrap();
        }
        assert_eq!(nonces(&pool.reap(1_000, 10_000, 10)), [(1, 0), (1, 1), (2, 0), (1, 2)]);
        assert_eq!(nonces(&pool.reap(18, 10_000, 10)), [(1, 0), (1, 1)]);
        assert_eq!(nonces(&pool.reap(1_000, 10_000, 1)), [(1, 0)]);
        assert_eq!(nonces(&pool.reap(1_000, 180, 10)), [(1, 0), (1, 1)]);
    }

    #[test]
    fn a_full_mempool_says_so_and_takes_again_after_a_block() {
        let pool = pool(MempoolLimits { max_txs: 2, ..MempoolLimits::default() });
        pool.insert(tx(1, 0, 9)).unwrap();
        pool.insert(tx(2, 0, 9)).unwrap();
        let refused = tx(3, 0, 9);
        assert_eq!(pool.insert(refused.clone()), Err(MempoolError::Full { count: 2, bytes: 18 }));
        assert_eq!(pool.precheck(9, &refused.hash), Err(MempoolError::Full { count: 2, bytes: 18 }));
        pool.committed(1, &[tx(1, 0, 9).hash], &[], |_| 1);
        pool.insert(refused).unwrap();
    }

    #[test]
    fn bytes_are_bounded_too() {
        let pool = pool(MempoolLimits { max_bytes: 100, max_tx_bytes: 60, ..MempoolLimits::default() });
        assert_eq!(pool.insert(tx(1, 0, 61)), Err(MempoolError::TooLarge { size: 61, max: 60 }));
        pool.insert(tx(1, 0, 60)).unwrap();
        assert!(matches!(pool.insert(tx(2, 0, 60)), Err(MempoolError::Full { .. })));
    }

    #[test]
    fn one_sender_cannot_take_all_the_room() {
        let pool = pool(MempoolLimits { max_bytes: 400, max_bytes_per_sender: 100, ..MempoolLimits::default() });
        // Nonces that can never be included, because the one before them is missing.
        pool.insert(tx(1, 1, 60)).unwrap();
        assert_eq!(pool.insert(tx(1, 2, 60)), Err(MempoolError::SenderBytes { max: 100 }));
        pool.insert(tx(1, 2, 40)).unwrap();
        pool.insert(tx(2, 0, 100)).unwrap();
        assert_eq!(nonces(&pool.reap(1_000, 10_000, 10)), [(2, 0)]);
        // What a block took makes room again.
        pool.committed(1, &[tx(1, 1, 60).hash], &[], |_| 2);
        pool.insert(tx(1, 3, 60)).unwrap();
    }

    #[test]
    fn duplicates_and_taken_or_used_nonces_are_refused() {
        let pool = pool(MempoolLimits { max_per_sender: 2, ..MempoolLimits::default() });
        pool.insert(tx(1, 0, 9)).unwrap();
        assert_eq!(pool.insert(tx(1, 0, 9)), Err(MempoolError::Duplicate));
        assert_eq!(pool.insert(tx(1, 0, 10)), Err(MempoolError::NonceTaken { nonce: 0 }));
        assert_eq!(pool.insert(tx(1, 2, 10)), Err(MempoolError::NonceAhead { nonce: 2, next: 0 }));
        let used = Candidate { next_nonce: 5, ..tx(2, 4, 9) };
        assert_eq!(pool.insert(used), Err(MempoolError::NonceUsed { nonce: 4, next: 5 }));
    }

    #[test]
    fn a_check_older_than_the_last_block_does_not_let_a_transaction_in_twice() {
        let pool = pool(MempoolLimits::default());
        pool.insert(tx(1, 0, 9)).unwrap();
        pool.committed(1, &[tx(1, 0, 9).hash], &[], |_| 1);
        assert_eq!(pool.insert(tx(1, 0, 9)), Err(MempoolError::NonceUsed { nonce: 0, next: 1 }));
    }

    #[test]
    fn what_can_never_be_included_does_not_wait_for_ever() {
        let pool = pool(MempoolLimits { ttl_blocks: 10, ..MempoolLimits::default() });
        pool.insert(tx(1, 1, 9)).unwrap();
        pool.committed(10, &[], &[], |_| 0);
        assert_eq!(pool.waiting(10).0, 1);
        pool.committed(11, &[], &[], |_| 0);
        assert_eq!(pool.waiting(10), (0, 0, Vec::new()));
        assert!(!pool.has_ready());
    }
}
