//! Which part of a file fails, and why.

use alloy_primitives::B256;
use crosspoint_protocol::ack::AckError;
use crosspoint_protocol::ids::{Height, IdError};
use crosspoint_protocol::lock::LockError;

use super::file::{Claim, FORMAT, MAX_FILE_BYTES};
use crate::attested::AttestedError;
use crate::ethereum_pos::PosError;
use crate::evm::HeaderError;
use crate::jmt::JmtError;
use crate::mpt::MptError;
use crate::qbft::QbftError;
use crate::tendermint::TendermintError;

/// Which part of an evidence file fails, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {why}")]
pub struct EvidenceError {
    /// The part, as a path into the JSON: `source.headers[1].proofs[0]`.
    pub at: String,
    /// What is wrong with it.
    pub why: Box<Fault>,
}

impl EvidenceError {
    /// This part fails for this reason.
    pub fn new(at: impl Into<String>, why: impl Into<Fault>) -> Self {
        Self { at: at.into(), why: Box::new(why.into()) }
    }
}

/// Most characters of a file's content that are said again.
const MAX_SAID: usize = 200;

/// What a library says, as far as it can be shown: it may hold any part of the file.
pub(super) fn shown(error: &impl std::fmt::Display) -> String {
    let is_plain = |c: &char| {
        !c.is_control() && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    error.to_string().chars().filter(is_plain).take(MAX_SAID).collect()
}

/// What is wrong with a part of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Longer than [`MAX_FILE_BYTES`].
    #[error("{0} bytes are more than the {MAX_FILE_BYTES} that a file may have")]
    TooLong(usize),
    /// Not JSON.
    #[error("it is not JSON: {0}")]
    Json(String),
    /// Not text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// JSON of another form.
    #[error("it is not of the form it must have: {0}")]
    Form(String),
    /// A part that must be there is not.
    #[error("it is missing")]
    Missing,
    /// A part that no file has.
    #[error("no evidence file has such a field")]
    Unknown,
    /// Another format, or another version of it.
    #[error("it is `{0}`, this program reads `{FORMAT}`")]
    Format(String),
    /// The same content, written otherwise.
    #[error("it is not written as this program writes it; verify the file as it was exported")]
    NotCanonical,
    /// The lock in the packet is none.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A chain's name is none.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The hash beside an anchor is not the anchor's.
    #[error("the anchor given has the hash {found}")]
    AnchorHash {
        /// What it hashes to.
        found: B256,
    },
    /// The anchor is not the one that the auditor named.
    #[error("the anchor {found} is not the {pinned} that you named")]
    NotPinned {
        /// The hash named.
        pinned: B256,
        /// The anchor's.
        found: B256,
    },
    /// A header is not above the one before it.
    #[error("header {found} is not above {before}, from which it is to be believed")]
    Order {
        /// The header's height.
        found: Height,
        /// That of the one before it.
        before: Height,
    },
    /// A header's time is before that of the one before it.
    #[error("its time is before that of the header before it")]
    Time,
    /// A header of a CometBFT chain is not believed.
    #[error(transparent)]
    Tendermint(#[from] TendermintError),
    /// A set of validators is none, or not in its order.
    #[error("it is no set of validators in the order that CometBFT gives it")]
    Validators,
    /// Who signs the next header is not who the header says.
    #[error("the validators given are not those that the header names as the next")]
    NextValidators,
    /// A vote that is no validator's for this block.
    #[error("it is neither a vote of the validator in this place for this block nor an absent one")]
    Vote,
    /// A header of an EVM chain is not believed.
    #[error(transparent)]
    Attested(#[from] AttestedError),
    /// A sealed header is not believed.
    #[error(transparent)]
    Qbft(#[from] QbftError),
    /// An update of sync committees is not believed.
    #[error(transparent)]
    EthereumPos(#[from] PosError),
    /// Another slot of signature than the lowest that changes nothing.
    #[error("its signature slot is not the lowest of the same committee and fork")]
    SignatureSlot,
    /// More than are handled.
    #[error("there are more than {0} of them")]
    TooMany(usize),
    /// The RLP is no header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A Jellyfish Merkle Tree proof fails.
    #[error("{0}")]
    Jmt(#[from] JmtError),
    /// A Merkle-Patricia proof fails.
    #[error("{0}")]
    Mpt(#[from] MptError),
    /// The outbox path leads nowhere.
    #[error("the path through the outbox cannot be followed")]
    Outbox,
    /// A header that nothing rests on.
    #[error("nothing is proven from this header")]
    Idle,
    /// The key is not one that shows this.
    #[error("what stands under this key cannot show `{0}`")]
    Key(Claim),
    /// Something else is to be shown on this side.
    #[error("`{0}` is not shown by this chain")]
    Side(Claim),
    /// A value where there should be none, or none where there should be one.
    #[error("`{0}` is shown by {1}, which is not what is here")]
    Presence(Claim, &'static str),
    /// Shown twice.
    #[error("`{0}` is shown twice")]
    Twice(Claim),
    /// Two things are shown that cannot both be.
    #[error("`{0}` and `{1}` cannot both be shown")]
    Contradiction(Claim, Claim),
    /// The packet is not the one that the proofs are about.
    #[error("it is not the packet that {proof} is about")]
    OtherPacket {
        /// The proof.
        proof: String,
    },
    /// The acknowledgement is not the one that was proven.
    #[error("it is not the acknowledgement that {proof} is about")]
    OtherAck {
        /// The proof.
        proof: String,
    },
    /// An acknowledgement that nothing proves.
    #[error("no proof shows that this acknowledgement was written")]
    UnprovenAck,
    /// The acknowledgement is none of this packet.
    #[error(transparent)]
    Ack(#[from] AckError),
    /// Both sides are one chain.
    #[error("it is the same chain as the source")]
    SameChain,
    /// The registered client is of another chain or another client than those in this file.
    #[error("the client registered there has another {0} than this file")]
    Registered(&'static str),
}

impl Fault {
    pub(super) fn json(error: &serde_json::Error) -> Self {
        Self::Json(shown(error))
    }

    pub(super) fn form(error: &serde_json::Error) -> Self {
        Self::Form(shown(error))
    }
}

/// What could not be read in `part`, by its path.
pub(super) fn unread(part: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> EvidenceError {
    let inner = shown(error.path());
    let at = match inner.as_str() {
        "." => part.to_owned(),
        list if list.starts_with('[') => format!("{part}{list}"),
        field => format!("{part}.{field}"),
    };
    EvidenceError::new(at, Fault::form(error.inner()))
}
