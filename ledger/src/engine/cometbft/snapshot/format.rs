//! What is in a piece: records `space(1) ‖ u32be(key length) ‖ key ‖ u32be(value length) ‖ value`, the provable
//! space (0) before the plain one (1), keys ascending. A piece ends before the record that would make it longer than
//! [`CHUNK_BYTES`]; a longer record is a piece of its own.

use crosspoint_protocol::sha256;

use crate::state::Space;

/// The format's number in ABCI.
pub const FORMAT: u32 = 1;
/// Bytes of a piece. CometBFT carries at most 16 MiB.
pub const CHUNK_BYTES: usize = 4 << 20;
/// Most pieces that are taken from strangers: 16 GiB.
pub const MAX_CHUNKS: u32 = 4_096;

const PROVABLE: u8 = 0;
const PLAIN: u8 = 1;

/// A record of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it is.
    pub space: Space,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// Cuts records into pieces.
#[derive(Debug, Default)]
pub struct Writer {
    piece: Vec<u8>,
}

impl Writer {
    /// Adds a record; gives the piece that it does not fit into any more.
    pub fn add(&mut self, space: Space, key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        let tag = match space {
            Space::Provable => PROVABLE,
            Space::Plain => PLAIN,
        };
        let size = key.len().saturating_add(value.len()).saturating_add(9);
        let full = !self.piece.is_empty() && self.piece.len().saturating_add(size) > CHUNK_BYTES;
        let done = full.then(|| std::mem::take(&mut self.piece));
        self.piece.push(tag);
        for part in [key, value] {
            // Keys and values of the state are far below 4 GiB.
            self.piece.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            self.piece.extend_from_slice(part);
        }
        done
    }

    /// The last piece.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.piece
    }
}

/// The records of a piece; `None` if it is not whole.
#[must_use]
pub fn records(mut piece: &[u8]) -> Option<Vec<Record>> {
    let mut records = vec![];
    while let Some((tag, rest)) = piece.split_first() {
        let space = match *tag {
            PROVABLE => Space::Provable,
            PLAIN => Space::Plain,
            _ => return None,
        };
        let (key, rest) = part(rest)?;
        let (value, rest) = part(rest)?;
        records.push(Record { space, key: key.to_vec(), value: value.to_vec() });
        piece = rest;
    }
    Some(records)
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)
}

/// The list of the pieces' hashes: a snapshot's metadata.
#[must_use]
pub fn metadata(pieces: &[[u8; 32]]) -> Vec<u8> {
    pieces.concat()
}

/// The pieces' hashes in metadata; `None` if there are not `chunks` of them.
#[must_use]
pub fn piece_hashes(metadata: &[u8], chunks: u32) -> Option<Vec<[u8; 32]>> {
    let (hashes, rest) = metadata.as_chunks::<32>();
    (rest.is_empty() && u32::try_from(hashes.len()) == Ok(chunks)).then(|| hashes.to_vec())
}

/// What names a snapshot: the hash of its metadata.
#[must_use]
pub fn hash(metadata: &[u8]) -> [u8; 32] {
    sha256(&[metadata])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn records_come_back_whatever_pieces_they_are_cut_into() {
        let mut writer = Writer::default();
        let records_in: Vec<Record> =
            (0..40_u8).map(|n| Record { space: Space::Plain, key: vec![n; 3], value: vec![n; 300_000] }).collect();
        let mut pieces: Vec<Vec<u8>> =
            records_in.iter().filter_map(|r| writer.add(r.space, &r.key, &r.value)).collect();
        pieces.push(writer.finish());
        assert!(pieces.len() > 2 && pieces.iter().all(|piece| piece.len() <= CHUNK_BYTES));
        let read: Vec<Record> = pieces.iter().flat_map(|piece| records(piece).unwrap()).collect();
        assert_eq!(read, records_in);
    }

    #[test]
    fn metadata_is_one_hash_per_piece() {
        let hashes = [[1; 32], [2; 32]];
        assert_eq!(piece_hashes(&metadata(&hashes), 2), Some(hashes.to_vec()));
        assert_eq!(piece_hashes(&metadata(&hashes), 3), None);
        assert_eq!(piece_hashes(&[0; 33], 1), None);
    }

    proptest! {
        #[test]
        fn no_piece_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = records(&bytes);
        }

        #[test]
        fn a_cut_piece_is_refused(cut in 1_usize..22) {
            let mut writer = Writer::default();
            writer.add(Space::Provable, b"key", b"value of it");
            let piece = writer.finish();
            prop_assert!(records(piece.split_at(piece.len().saturating_sub(cut)).0).is_none());
        }
    }
}
