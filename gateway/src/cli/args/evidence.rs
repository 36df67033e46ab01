//! `crosspoint evidence …`: what may be said.

use super::OneArgs;
use alloy::primitives::B256;
use clap::{Args, Subcommand};
use crosspoint_protocol::ids::{ChainId, Timestamp};
use std::path::PathBuf;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// `crosspoint evidence …`
#[derive(Debug, Subcommand)]
pub enum EvidenceCommand {
    /// Write one file with all that shows what became of a transfer, as far as it is now.
    Export(EvidenceExportArgs),
    /// Check a file offline, and say in words what it proves and where trust begins.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(EvidenceVerifyArgs),
    /// Print the anchors in a file, to keep once you have compared them: `verify --anchor` takes them.
    Anchors(EvidenceAnchorsArgs),
}

const VERIFY_EXAMPLES: &str = "\
Asks no network and reads no settings. Whoever makes a file chooses the anchors in it, so name yours:
  crosspoint evidence verify FILE --pin crosspoint-1=0x… --pin eip155-31337=0x…
  crosspoint evidence verify FILE --anchor my-anchors.json

docs/evidence.md says what an anchor is and how to come by one.";

/// `crosspoint evidence export`
#[derive(Debug, Clone, Args)]
pub struct EvidenceExportArgs {
    /// Which transfer.
    #[command(flatten)]
    pub one: OneArgs,
    /// The file to write. Otherwise `evidence-CHAIN-CLIENT-NUMBER.json` here.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace a file that is there.
    #[arg(long)]
    pub force: bool,
}

/// `crosspoint evidence verify`
#[derive(Debug, Clone, Args)]
pub struct EvidenceVerifyArgs {
    /// The file.
    pub file: PathBuf,
    /// A file with anchors of your own, as `evidence anchors` prints them. For their chains trust begins there.
    #[arg(long, value_name = "FILE")]
    pub anchor: Vec<PathBuf>,
    /// The hash that a chain's anchor must have.
    #[arg(long, value_name = "CHAIN=HASH")]
    pub pin: Vec<Pin>,
    /// The time by which ages are told, such as 2026-01-31T12:00:00Z. Otherwise now.
    #[arg(long, value_name = "TIME")]
    pub at: Option<At>,
}

/// `crosspoint evidence anchors`
#[derive(Debug, Clone, Args)]
pub struct EvidenceAnchorsArgs {
    /// The evidence file.
    pub file: PathBuf,
}

/// The hash that a chain's anchor must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The chain.
    pub chain: ChainId,
    /// The anchor's hash.
    pub hash: B256,
}

impl std::str::FromStr for Pin {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (chain, hash) = text.split_once('=').ok_or("write CHAIN=HASH, such as crosspoint-1=0x…")?;
        Ok(Self {
            chain: chain.parse().map_err(|e: crosspoint_protocol::ids::IdError| e.to_string())?,
            hash: hash.parse().map_err(|_| "the hash is 64 hex digits".to_owned())?,
        })
    }
}

/// A time on the command line: RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At(pub Timestamp);

impl std::str::FromStr for At {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "write it as 2026-01-31T12:00:00Z".to_owned())?;
        u64::try_from(time.unix_timestamp()).map(|s| Self(Timestamp(s))).map_err(|_| "it is before 1970".to_owned())
    }
}
