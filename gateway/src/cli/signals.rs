//! SIGINT and SIGTERM ask a command to stop in order; the second one ends it at once.

use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a command may take to be dropped where it stands. It is mostly none; a prompt for a passphrase waits for ever.
const GRACE: Duration = Duration::from_secs(2);

/// Cancelled by the second signal. [`super::run`] then drops the command where it stands, and with it every child
/// process it has: leaving by `exit` would leave them running.
static AT_ONCE: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::new);

/// A folder to be removed when everything that wrote into it has ended.
static LEFT: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Has a folder removed by [`clean_up`]: a command that is dropped where it stands has threads that still write.
pub(crate) fn remove_at_the_end(folder: Option<PathBuf>) {
    *LEFT.lock().unwrap_or_else(PoisonError::into_inner) = folder;
}

/// Removes what a command left. For the very end of the process, when no thread writes any more.
pub fn clean_up() {
    if let Some(folder) = LEFT.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // Mostly gone already.
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// Waits for the second signal.
pub(super) async fn second_signal() {
    AT_ONCE.cancelled().await;
}

/// A token that is cancelled by the first SIGINT or SIGTERM. A second one ends the process at once, as anybody
/// who presses Ctrl-C twice expects.
#[must_use]
pub fn stop_on_signal() -> CancellationToken {
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        signal().await;
        stop.cancel();
        super::output::notice("stopping in order; once more ends at once");
        signal().await;
        AT_ONCE.cancel();
        tokio::time::sleep(GRACE).await;
        std::process::exit(130);
    });
    token
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

#[cfg(not(unix))]
async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}
