//! Data of other implementations and of real networks, that tests of every crate read: each includes this file by its
//! path. Where there is no such folder, tests that need it do nothing but say so, and fail in continuous integration.
//! Where it is there, all of it must be.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use serde_json::Value;
use std::path::PathBuf;

/// The folder; `None`, with a word on standard error, if it is not there.
pub fn vectors_dir() -> Option<PathBuf> {
    let dir = std::env::var("CROSSPOINT_VECTORS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors").into());
    let dir = PathBuf::from(dir);
    if dir.is_dir() {
        return Some(dir);
    }
    let missing = format!("no vectors in {}; set CROSSPOINT_VECTORS", dir.display());
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    eprintln!("SKIPPED: {missing}");
    None
}

/// A file of it; `None` if there are no vectors at all.
pub fn vector_bytes(path: &str) -> Option<Vec<u8>> {
    let file = vectors_dir()?.join(path);
    Some(std::fs::read(&file).unwrap_or_else(|error| panic!("the vectors lack {}: {error}", file.display())))
}

/// A file as JSON, likewise.
pub fn vector(path: &str) -> Option<Value> {
    Some(serde_json::from_slice(&vector_bytes(path)?).unwrap())
}
