//! The running hash of the whole plain state: LtHash (Bellare and Micciancio 1997; parameters of Lewi, Kim,
//! Maykov and Weis, "Securing Update Propagation with Homomorphic Hashing", 2019: 1,024 lanes of 16 bits, more than
//! 200 bits of security).
//!
//! Each record is expanded to 1,024 numbers with BLAKE3 as an extendable output function; the state's hash is their sum, lane by
//! lane, modulo 2^16. So a block's changes are added and subtracted at a cost that does not depend on the size of the state, and
//! the order in which records were written does not matter.

use crosspoint_protocol::sha256;

const LANES: usize = 1024;
const BYTES: usize = 2 * LANES;
const ELEMENT_DOMAIN: &str = "crosspoint 2026 plain state element v1";
const DIGEST_DOMAIN: &[u8] = b"crosspoint/plain-state/v1";

/// The running hash of a set of records.
#[derive(Clone, PartialEq, Eq)]
pub struct SetHash(Box<[u16; LANES]>);

impl std::fmt::Debug for SetHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SetHash({})", hex::encode(self.digest()))
    }
}

impl Default for SetHash {
    /// The hash of the empty set.
    fn default() -> Self {
        Self(Box::new([0; LANES]))
    }
}

fn expand(key: &[u8], value: &[u8], mut lane: impl FnMut(usize, u16)) {
    let mut hasher = blake3::Hasher::new_derive_key(ELEMENT_DOMAIN);
    // The length keeps (ab, c) apart from (a, bc).
    hasher.update(&(key.len() as u64).to_be_bytes()).update(key).update(value);
    let mut bytes = [0; BYTES];
    hasher.finalize_xof().fill(&mut bytes);
    for (index, pair) in bytes.chunks_exact(2).enumerate() {
        if let [low, high] = pair {
            lane(index, u16::from_le_bytes([*low, *high]));
        }
    }
}

impl SetHash {
    /// Adds a record that was not in the set.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) {
        expand(key, value, |at, n| {
            if let Some(lane) = self.0.get_mut(at) {
                *lane = lane.wrapping_add(n);
            }
        });
    }

    /// Removes a record that was in the set.
    pub fn remove(&mut self, key: &[u8], value: &[u8]) {
        expand(key, value, |at, n| {
            if let Some(lane) = self.0.get_mut(at) {
                *lane = lane.wrapping_sub(n);
            }
        });
    }

    /// What goes into the provable store: 32 bytes.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        sha256(&[DIGEST_DOMAIN, &self.to_bytes()])
    }

    /// The lanes, little-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|lane| lane.to_le_bytes()).collect()
    }

    /// The hash of these lanes; `None` if there are not 2,048 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut hash = Self::default();
        if bytes.len() != BYTES {
            return None;
        }
        for (lane, pair) in hash.0.iter_mut().zip(bytes.chunks_exact(2)) {
            *lane = u16::from_le_bytes(pair.try_into().ok()?);
        }
        Some(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_depends_on_the_set_alone() {
        let mut one = SetHash::default();
        one.insert(b"a", b"1");
        one.insert(b"b", b"2");
        one.remove(b"a", b"1");
        one.insert(b"a", b"3");
        let mut other = SetHash::default();
        other.insert(b"a", b"3");
        other.insert(b"b", b"2");
        assert_eq!(one, other);
        assert_eq!(SetHash::from_bytes(&one.to_bytes()), Some(one.clone()));
        other.remove(b"a", b"3");
        assert_ne!(one.digest(), other.digest());
        let (mut joined, mut split) = (SetHash::default(), SetHash::default());
        joined.insert(b"ab", b"c");
        split.insert(b"a", b"bc");
        assert_ne!(joined, split);
    }
}
