//! What several tests share.

use crosspoint_light_proofs::signature::SigningKey;
use serde_json::Value;
use std::fmt::Debug;

#[path = "../../../protocol/tests/vectors/mod.rs"]
#[allow(clippy::duplicate_mod)]
mod vectors_on_disk;
#[allow(unused_imports)]
pub(crate) use vectors_on_disk::{vector, vector_bytes, vectors_dir};

/// What was made of the vectors is exactly all there is; asked only where there are any.
pub(crate) fn assert_all_seen<T: PartialEq + Debug>(seen: T, all: T) {
    if vectors_dir().is_some() {
        assert_eq!(seen, all, "seen of the vectors, and all of them");
    }
}

/// The text of a vector file; `None` if there are no vectors at all.
pub(crate) fn vector_text(path: &str) -> Option<String> {
    Some(String::from_utf8(vector_bytes(path)?).unwrap())
}

/// The JSON files of a vector folder, by name, exactly this many; none if there are no vectors at all.
pub(crate) fn vectors(folder: &str, count: usize) -> Vec<(String, Value)> {
    let Some(dir) = vectors_dir() else { return vec![] };
    let files =
        std::fs::read_dir(dir.join(folder)).unwrap_or_else(|error| panic!("the vectors lack {folder}: {error}"));
    let mut all: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .map(|path| {
            let value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            (path.file_name().unwrap().to_string_lossy().into_owned(), value)
        })
        .collect();
    assert_eq!(all.len(), count, "JSON files in {folder}");
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).unwrap()
}

/// `n` keys in ascending order of address.
pub(crate) fn keys(n: u8) -> Vec<SigningKey> {
    let mut keys: Vec<_> = (1..=n).map(|i| SigningKey::from_bytes([i; 32]).unwrap()).collect();
    keys.sort_by_key(SigningKey::address);
    keys
}

/// The other form of a signature: `n - s`, the other `v`.
pub(crate) fn high_s(signature: &[u8; 65]) -> [u8; 65] {
    use alloy_primitives::{U256, uint};
    const ORDER: U256 = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);
    let mut other = *signature;
    let s = U256::from_be_slice(&signature[32..64]);
    other[32..64].copy_from_slice(&(ORDER - s).to_be_bytes::<32>());
    other[64] = 27 + 28 - signature[64];
    other
}
