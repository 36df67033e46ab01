//! Attestors: m-of-n signers of statements about an EVM chain whose consensus no light client can check.
//!
//! Each attestor runs an [`service::AttestorService`] beside a node of its own, remembers all it signed in a
//! [`journal::SignedJournal`], and answers over HTTP ([`http`]). A relayer gathers a quorum with an
//! [`pool::AttestorPool`]. What is signed and when a client believes it: `docs/protocol.md`, Attestations.

pub mod api;
pub mod http;
pub mod journal;
pub mod pool;
pub mod service;

pub use api::{Attestation, AttestationRequest, AttestorStatus, FinalizedBlock, Problem, RotationShare};
pub use journal::{JournalError, SignedJournal};
pub use pool::{AttestorPool, PoolSettings};
pub use service::{AttestorService, AttestorSettings, RefusalReason, ServiceError};
