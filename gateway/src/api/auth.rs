//! Who may change things: whoever shows the token.

use crate::settings::Auth;
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq;
use warp::http::HeaderMap;
use warp::http::header::{AUTHORIZATION, HOST};
use zeroize::Zeroizing;

use super::problem::{Problem, ProblemKind};

/// Fewest characters of a token.
pub const MIN_TOKEN: usize = 32;
/// Largest token file, in bytes.
const MAX_FILE: u64 = 4096;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("cannot read the token file {path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// Others may read it.
    #[error("the token file {0} can be read by others; run: chmod 600 {0}")]
    Permissions(PathBuf),
    /// Too short, or not one word of ASCII.
    #[error(
        "the token in {0} must be one line of at least {MIN_TOKEN} printable characters; for example: openssl rand -hex 32 > {0}"
    )]
    Form(PathBuf),
}

/// Reads a token file.
///
/// # Errors
/// It cannot be read, others may read it, or it holds no token.
pub fn read_token(path: &Path) -> Result<Zeroizing<String>, TokenError> {
    let failed = |e: std::io::Error| TokenError::File { path: path.into(), reason: e.to_string() };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if crate::keys::others_may_read(&metadata) {
        return Err(TokenError::Permissions(path.into()));
    }
    if metadata.len() > MAX_FILE {
        return Err(TokenError::Form(path.into()));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
    let token = text.trim();
    if token.len() < MIN_TOKEN || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(TokenError::Form(path.into()));
    }
    Ok(Zeroizing::new(token.to_owned()))
}

/// Decides who may POST.
pub enum Guard {
    /// Whoever shows a token with this SHA-256. Hashing makes the comparison independent of lengths.
    Token([u8; 32]),
    /// Everybody on this machine.
    Loopback,
}

impl Guard {
    /// The guard that the settings ask for.
    ///
    /// # Errors
    /// The token file cannot be used.
    pub fn new(auth: &Auth) -> Result<Self, TokenError> {
        match auth {
            Auth::TokenFile(path) => Ok(Self::Token(crosspoint_protocol::sha256(&[read_token(path)?.as_bytes()]))),
            Auth::Off => Ok(Self::Loopback),
        }
    }

    /// Whether a request that changes things may pass.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match self {
            Self::Token(expected) => {
                let shown = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(bearer).unwrap_or("");
                let shown = crosspoint_protocol::sha256(&[shown.as_bytes()]);
                if bool::from(shown.ct_eq(expected)) {
                    return Ok(());
                }
                Err(ProblemKind::Unauthorized
                    .with("send the service's token as `Authorization: Bearer …` (command line: --token-file)"))
            }
            Self::Loopback => self.known_host(headers),
        }
    }

    /// Whether any request under this name is answered. Without a token a web page could reach this port under a name of
    /// its own that it points at 127.0.0.1, and read what is here. Browsers send that name as the host.
    pub(super) fn known_host(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let host = headers.get(HOST).map(|host| host.to_str().unwrap_or(""));
        match (self, host) {
            (Self::Token(_), _) | (Self::Loopback, None) => Ok(()),
            (Self::Loopback, Some(host)) if is_loopback(host) => Ok(()),
            (Self::Loopback, Some(_)) => {
                Err(ProblemKind::Misdirected.with("ask for 127.0.0.1 or localhost; other names need a token"))
            }
        }
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for good in ["localhost", "localhost:8480", "127.0.0.1:8480", "[::1]:8480", "[::1]"] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in ["evil.example", "evil.example:8480", "127.0.0.1.evil.example", "localhost.evil.example:80", ""] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }
}
