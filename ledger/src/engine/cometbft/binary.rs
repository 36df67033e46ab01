//! Where the node's program is.

use std::path::PathBuf;

/// The version that `make setup` installs.
pub const VERSION: &str = "0.38.26";
/// The variable that names another program.
pub const VARIABLE: &str = "CROSSPOINT_COMETBFT";

/// The node's program is not on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no CometBFT node at {}: run `make setup`, which installs version {VERSION}, or name one with {VARIABLE}",
    .0.display()
)]
pub struct Missing(pub PathBuf);

/// The program: what [`VARIABLE`] names, else the one in Crosspoint's cache directory.
///
/// # Errors
/// When there is none.
pub fn find() -> Result<PathBuf, Missing> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let path = variable(VARIABLE).unwrap_or_else(|| {
        let home = || variable("HOME").unwrap_or_default().join(".cache");
        let caches = || variable("XDG_CACHE_HOME").unwrap_or_else(home);
        let cache = variable("CROSSPOINT_CACHE").unwrap_or_else(|| caches().join("crosspoint"));
        cache.join("bin/cometbft")
    });
    if path.is_file() { Ok(path) } else { Err(Missing(path)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setup_installs_the_version_that_is_named_here() {
        let script = include_str!("../../../../scripts/lib.sh");
        assert!(script.lines().any(|line| line == format!("cometbft_version={VERSION}")));
    }
}
