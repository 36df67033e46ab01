//! The folder of a demo, and those that were left behind by demos that were killed.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tempfile::TempDir;

const PREFIX: &str = "crosspoint-demo-";
/// Locked while a demo runs in its folder. Where nobody locks it, the demo is no more; a folder without it is kept.
const RUNNING: &str = "running";

/// A folder that is removed in the end, by the next demo at the latest.
#[derive(Debug)]
pub(super) struct Folder {
    dir: TempDir,
    _running: Option<File>,
}

impl Folder {
    /// A new one below `parent`. `keep`: no later demo removes it.
    pub(super) fn new(parent: &Path, keep: bool) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        let owner = dir.path().metadata()?.uid();
        sweep(parent, owner);
        let running = if keep { None } else { Some(locked(&dir.path().join(RUNNING))?) };
        Ok(Self { dir, _running: running })
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves it as it is; its path.
    pub(super) fn keep(self) -> std::path::PathBuf {
        self.dir.keep()
    }
}

fn locked(path: &Path) -> io::Result<File> {
    let file = File::create_new(path)?;
    file.lock()?;
    Ok(file)
}

/// Removes what demos of this user left when they were killed. What cannot be removed stays.
fn sweep(parent: &Path, owner: u32) {
    for entry in parent.read_dir().into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == owner);
        if ours && File::open(entry.path().join(RUNNING)).is_ok_and(|running| running.try_lock().is_ok()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_demo_removes_what_a_killed_one_left_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let other = parent.path().join("crosspoint-demo-mine");
        std::fs::create_dir(&other).unwrap();
        let kept = Folder::new(parent.path(), true).unwrap();
        let running = Folder::new(parent.path(), false).unwrap();
        // Killed: the lock is gone with the process, the folder is not.
        let killed = Folder { _running: None, ..Folder::new(parent.path(), false).unwrap() }.keep();
        assert!(killed.exists());
        let next = Folder::new(parent.path(), false).unwrap();
        assert!(!killed.exists());
        for path in [other.as_path(), kept.path(), running.path(), next.path()] {
            assert!(path.exists(), "{}", path.display());
        }
        let path = next.path().to_owned();
        drop(next);
        assert!(!path.exists());
    }
}
