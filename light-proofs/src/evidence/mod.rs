//! Evidence files: all that shows what became of one transfer, in one JSON text that anybody checks offline
//! (`docs/evidence.md` is the schema).
//!
//! - [`Evidence`]: the file. [`Evidence::read`] takes only what [`Evidence::to_text`] writes, byte for byte.
//! - [`verify`]: every header from an anchor, every proof from a header, the packet and the acknowledgement from the
//!   proofs. What comes out, [`Findings`], holds nothing that was not checked.
//! - [`TendermintSide`], [`AttestedSide`], [`QbftSide`], [`EthereumPosSide`]: one chain's part, by the light client
//!   that believes its headers.
//!
//! What is checked, and in which order, decides what is blamed: first anchors, then headers, then proofs; what still
//! does not fit then is the packet or the acknowledgement.

mod attested;
mod error;
mod ethereum_pos;
mod evm;
mod file;
mod findings;
mod native;
mod qbft;
mod registered;
mod verify;

pub use attested::{AttestedAnchor, AttestedHeader, AttestedSide};
pub use error::{EvidenceError, Fault};
pub use ethereum_pos::{EthereumPosAnchor, EthereumPosHeader, EthereumPosSide, SyncWalk, written};
pub use evm::{Contract, EvmProof, MAX_HEADERS};
pub use file::{AckRecord, Anchor, ChainEvidence, Claim, Evidence, FORMAT, MAX_FILE_BYTES, PacketRecord};
pub use findings::{AnchorFindings, Findings, HeaderFindings, Outcome, Registered, Shown, SideFindings};
pub use native::{NativeProof, OutboxPath, TendermintAnchor, TendermintHeader, TendermintSide, ValidatorRecord};
pub use qbft::{QbftAnchor, QbftHeader, QbftSide, SealedWalk};
pub use verify::verify;
