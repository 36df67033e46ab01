//! How a command fails: what happened, to what, what to do next, and the exit code.

use crate::client::ClientError;
use crate::keys::{KeyError, KeyStoreError, PassphraseError};
use crate::settings::SettingsError;
use crosspoint_adapters::error::ChainError;
use serde::Serialize;
use std::process::ExitCode;

/// The classes of exit codes; `crosspoint --help` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The operation failed.
    Failed,
    /// The settings or an input file are wrong.
    Input,
    /// The service or a chain cannot be reached.
    Unreachable,
    /// The audit found an imbalance.
    Imbalance,
    /// Part of a batch failed.
    Partial,
    /// Evidence does not hold.
    Evidence,
    /// Interrupted.
    Interrupted,
}

impl Class {
    /// The process's exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Input => 3,
            Self::Unreachable => 4,
            Self::Imbalance => 5,
            Self::Partial => 6,
            Self::Evidence => 7,
            Self::Interrupted => 130,
        }
    }
}

/// A command's failure.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Which exit code.
    pub class: Class,
    /// What happened, to what, and what to do next.
    pub message: String,
}

#[derive(Serialize)]
struct FailureJson<'a> {
    error: &'a str,
    class: Class,
    exit_code: u8,
}

impl Failure {
    /// A failure of this class.
    #[must_use]
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }

    /// Prints the failure and gives the exit code.
    #[must_use]
    pub fn report(&self, json: bool) -> ExitCode {
        if json {
            let value = FailureJson { error: &self.message, class: self.class, exit_code: self.class.code() };
            super::output::notice(&serde_json::to_string(&value).unwrap_or_default());
        } else {
            super::output::notice(&format!("error: {}", self.message));
        }
        ExitCode::from(self.class.code())
    }
}

/// An error and its causes. Many errors tell their cause already; it is not told twice.
fn words(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            let gap = if text.is_empty() { "" } else { ": " };
            text.extend([gap, &cause]);
        }
    }
    text
}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Self {
        Self::new(Class::Failed, format!("cannot write the output: {e}"))
    }
}

impl From<anyhow::Error> for Failure {
    fn from(e: anyhow::Error) -> Self {
        let unreachable = e.chain().any(|cause| matches!(cause.downcast_ref(), Some(ChainError::Unreachable { .. })));
        Self::new(if unreachable { Class::Unreachable } else { Class::Failed }, words(&e))
    }
}

impl From<ChainError> for Failure {
    fn from(e: ChainError) -> Self {
        anyhow::Error::new(e).into()
    }
}

impl From<SettingsError> for Failure {
    fn from(e: SettingsError) -> Self {
        Self::new(Class::Input, e.to_string())
    }
}

impl From<KeyStoreError> for Failure {
    fn from(e: KeyStoreError) -> Self {
        Self::new(Class::Failed, e.to_string())
    }
}

impl From<KeyError> for Failure {
    fn from(e: KeyError) -> Self {
        Self::new(Class::Failed, e.to_string())
    }
}

impl From<PassphraseError> for Failure {
    fn from(e: PassphraseError) -> Self {
        Self::new(Class::Failed, e.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(e: ClientError) -> Self {
        let class = match &e {
            ClientError::Unreachable { .. } => Class::Unreachable,
            ClientError::TokenFile { .. } => Class::Input,
            ClientError::Problem(problem) if problem.status == 503 => Class::Unreachable,
            ClientError::Problem(_) | ClientError::Malformed { .. } | ClientError::Interrupted => Class::Failed,
        };
        Self::new(class, e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_cause_is_told_once_and_a_dead_node_has_its_own_exit_code() {
        let unreachable = ChainError::Unreachable { chain: "eip155-1".parse().unwrap(), detail: "refused".into() };
        let told = Failure::from(Err::<(), _>(unreachable.clone()).context("chain eip155-1").unwrap_err());
        assert_eq!((told.class.code(), told.message), (4, format!("chain eip155-1: {unreachable}")));
        let inner = std::io::Error::other("no space");
        let outer = anyhow::Error::new(inner).context("cannot write x: no space");
        assert_eq!(Failure::from(outer).message, "cannot write x: no space");
    }
}
