//! Which headers the client believes, and which evidence freezes it.

use alloy_primitives::{Address, B256};
use crosspoint_protocol::ids::{Height, Timestamp};
use std::cmp::Ordering;

use super::header::{SealedHeader, SealedHeaderError};
use super::state::{ClientState, ConsensusState, Header, Latest, Validators, ValidatorsError};
use crate::signature::SignatureError;

/// Why a header is not believed, or evidence shows no misbehaviour.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QbftError {
    /// The client is frozen.
    #[error("the client is frozen")]
    Frozen,
    /// The consensus state to believe from is older than the trusting period.
    #[error("the trusted state expired at {expiry}; it is {now}")]
    Expired {
        /// From this second on it is expired.
        expiry: Timestamp,
        /// The time given.
        now: Timestamp,
    },
    /// The header cannot be read.
    #[error(transparent)]
    Header(#[from] SealedHeaderError),
    /// The header's validators are no set.
    #[error(transparent)]
    Validators(#[from] ValidatorsError),
    /// The number does not rise.
    #[error("the header's number {found} is not above the trusted {trusted}")]
    NumberNotAbove {
        /// The header's.
        found: Height,
        /// The trusted one.
        trusted: Height,
    },
    /// The time does not rise with the number.
    #[error("the header's time {found} is not after the trusted header's {trusted}")]
    TimeNotAfter {
        /// The header's.
        found: Timestamp,
        /// The trusted one.
        trusted: Timestamp,
    },
    /// The header's time is further ahead of `now` than clocks may drift.
    #[error("the header's time {time} is too far ahead of {now}")]
    FromTheFuture {
        /// The header's time.
        time: Timestamp,
        /// The time given.
        now: Timestamp,
    },
    /// A seal is malformed.
    #[error(transparent)]
    Seal(#[from] SignatureError),
    /// A validator sealed twice.
    #[error("{0} sealed twice")]
    DuplicateSigner(Address),
    /// Somebody sealed who is not in the header's set.
    #[error("{0} sealed, who is no validator of the header")]
    UnknownSigner(Address),
    /// Fewer than two thirds of the header's set sealed.
    #[error("{sealed} of {of} validators sealed; two thirds are needed")]
    QuorumNotReached {
        /// How many sealed.
        sealed: usize,
        /// The set's size.
        of: usize,
    },
    /// Not more than a third of the trusted set sealed: give a header between.
    #[error("{sealed} of the {of} trusted validators sealed, not enough to skip; give a header between")]
    NotEnoughTrust {
        /// How many of them sealed.
        sealed: usize,
        /// The trusted set's size.
        of: usize,
    },
    /// The evidence given contradicts neither itself nor what the client trusts.
    #[error("the evidence shows no conflict")]
    NoConflict,
}

/// A header that a quorum of its own set sealed.
struct Sealed {
    header: SealedHeader,
    validators: Validators,
    signers: Vec<Address>,
}

/// Checks a header against the client, from the consensus state at `header.trusted_height`; the client's next state
/// and the header's consensus state.
///
/// Believed iff the client is not frozen and the trusted state not expired; number and time are above both the trusted
/// and the newest header's, and the time at most `max_clock_drift` ahead of `now`; every seal is of another validator
/// of the header's own set, and these are at least two thirds of it; and more than a third of the trusted set is among
/// them.
pub fn verify_update(
    client: &ClientState,
    trusted: &ConsensusState,
    header: &Header,
    now: Timestamp,
) -> Result<(ClientState, ConsensusState), QbftError> {
    client.check_frozen()?;
    let sealed = verify_header(client, trusted, header, now)?;
    let (number, time) = (sealed.header.number, sealed.header.time);
    if number <= client.latest.number {
        return Err(QbftError::NumberNotAbove { found: number, trusted: client.latest.number });
    }
    if time <= client.latest.time {
        return Err(QbftError::TimeNotAfter { found: time, trusted: client.latest.time });
    }
    check_drift(client, time, now)?;
    Ok((ClientState { latest: sealed.latest(), ..client.clone() }, sealed.consensus()))
}

/// A client that trusts this header from the start, and the header's state. Whom it may trust is decided by
/// governance; what is checked is that a quorum of the header's own set sealed it.
pub fn anchor(client: ClientState, rlp: &[u8], now: Timestamp) -> Result<(ClientState, ConsensusState), QbftError> {
    let sealed = verify_seals(&client, rlp)?;
    check_drift(&client, sealed.header.time, now)?;
    Ok((ClientState { latest: sealed.latest(), ..client }, sealed.consensus()))
}

/// Whether two headers prove that the chain contradicts itself: both are believed, each from the consensus state at
/// its `trusted_height`, and they are two blocks of one number, or the higher one is the earlier one. `Ok` means proven:
/// freeze. Chains with several blocks in a second give them one time. One block sealed in two rounds has one hash, so it is no conflict.
pub fn check_misbehaviour(
    client: &ClientState,
    (one, one_trusted): (&Header, &ConsensusState),
    (other, other_trusted): (&Header, &ConsensusState),
    now: Timestamp,
) -> Result<(), QbftError> {
    client.check_frozen()?;
    let one = verify_header(client, one_trusted, one, now)?.latest();
    let other = verify_header(client, other_trusted, other, now)?.latest();
    conflict(&one, &other)
}

/// Whether one header that is believed contradicts a header the client trusts. `Ok` means proven: freeze.
pub fn check_conflict(
    client: &ClientState,
    trusted: &ConsensusState,
    header: &Header,
    known: &Latest,
    now: Timestamp,
) -> Result<(), QbftError> {
    client.check_frozen()?;
    conflict(&verify_header(client, trusted, header, now)?.latest(), known)
}

fn conflict(one: &Latest, other: &Latest) -> Result<(), QbftError> {
    let contradict = match one.number.cmp(&other.number) {
        Ordering::Equal => one.hash != other.hash,
        Ordering::Greater => one.time < other.time,
        Ordering::Less => one.time > other.time,
    };
    if contradict { Ok(()) } else { Err(QbftError::NoConflict) }
}

/// A header believed from a trusted state, its time and number apart.
fn verify_header(
    client: &ClientState,
    trusted: &ConsensusState,
    header: &Header,
    now: Timestamp,
) -> Result<Sealed, QbftError> {
    let expiry = Timestamp(trusted.time.0.saturating_add(client.trusting_period));
    if now >= expiry {
        return Err(QbftError::Expired { expiry, now });
    }
    let sealed = verify_seals(client, &header.rlp)?;
    let (number, time) = (sealed.header.number, sealed.header.time);
    if number <= header.trusted_height {
        return Err(QbftError::NumberNotAbove { found: number, trusted: header.trusted_height });
    }
    if time <= trusted.time {
        return Err(QbftError::TimeNotAfter { found: time, trusted: trusted.time });
    }
    let count = sealed.signers.iter().filter(|signer| trusted.validators.contains(signer)).count();
    let of = trusted.validators.addresses().len();
    if count.saturating_mul(3) > of { Ok(sealed) } else { Err(QbftError::NotEnoughTrust { sealed: count, of }) }
}

/// A header that at least two thirds of its own set sealed, each once, and nobody else.
fn verify_seals(client: &ClientState, rlp: &[u8]) -> Result<Sealed, QbftError> {
    let header = SealedHeader::decode(client.encoding, rlp)?;
    let validators = Validators::new(header.extra.validators.clone())?;
    let of = validators.addresses().len();
    // Before any signature is recovered: a header cannot make us work for seals it may not have.
    if header.extra.seals.len() > of {
        return Err(QbftError::Header(super::extra::ExtraError::TooMany("seals").into()));
    }
    let mut signers = header.signers()?;
    if let Some(stranger) = signers.iter().find(|signer| !validators.contains(signer)) {
        return Err(QbftError::UnknownSigner(*stranger));
    }
    signers.sort_unstable();
    if let Some(pair) = signers.windows(2).find(|pair| pair.first() == pair.last()) {
        return Err(QbftError::DuplicateSigner(pair.first().copied().unwrap_or_default()));
    }
    if signers.len().saturating_mul(3) < of.saturating_mul(2) {
        return Err(QbftError::QuorumNotReached { sealed: signers.len(), of });
    }
    Ok(Sealed { header, validators, signers })
}

const fn check_drift(client: &ClientState, time: Timestamp, now: Timestamp) -> Result<(), QbftError> {
    if time.0 > now.0.saturating_add(client.max_clock_drift) {
        Err(QbftError::FromTheFuture { time, now })
    } else {
        Ok(())
    }
}

impl Sealed {
    const fn latest(&self) -> Latest {
        Latest { number: self.header.number, hash: self.header.hash, time: self.header.time }
    }

    fn consensus(&self) -> ConsensusState {
        let SealedHeader { state_root, time, .. } = self.header;
        ConsensusState { root: state_root, time, validators: self.validators.clone() }
    }
}

impl ClientState {
    const fn check_frozen(&self) -> Result<(), QbftError> {
        if self.frozen { Err(QbftError::Frozen) } else { Ok(()) }
    }

    /// Fails if nothing can be proven to the client now: it is frozen, or its newest header too old.
    pub fn check_usable(&self, now: Timestamp) -> Result<(), QbftError> {
        self.check_frozen()?;
        let expiry = Timestamp(self.latest.time.0.saturating_add(self.trusting_period));
        if now >= expiry { Err(QbftError::Expired { expiry, now }) } else { Ok(()) }
    }

    /// The hash of the newest header it trusts.
    #[must_use]
    pub const fn latest_hash(&self) -> B256 {
        self.latest.hash
    }
}
