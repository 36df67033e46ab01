//! Which headers the client believes.

use crosspoint_protocol::ids::{ChainId, Height, Timestamp};
use std::time::Duration;
use tendermint::chain::Id;
use tendermint::trust_threshold::TrustThresholdFraction;
use tendermint::{Hash, Time};
use tendermint_light_client_verifier::errors::VerificationErrorDetail;
use tendermint_light_client_verifier::operations::ProdCommitValidator;
use tendermint_light_client_verifier::options::Options;
use tendermint_light_client_verifier::predicates::ProdPredicates;
use tendermint_light_client_verifier::types::{TrustedBlockState, UntrustedBlockState};
use tendermint_light_client_verifier::{PredicateVerifier, Verdict, Verifier};

use super::codec::MAX_VALIDATORS;
use super::commit::BatchCalculator;
use super::state::{ClientState, ConsensusState, Header, Latest, join, split};

/// Why a header is not believed, or evidence shows no misbehaviour.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TendermintError {
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
    /// Another chain's header.
    #[error("the header is of chain {found}, the client follows {expected}")]
    WrongChain {
        /// The header's chain.
        found: String,
        /// The client's chain.
        expected: ChainId,
    },
    /// A set or commit is larger than any the client handles.
    #[error("a set or commit of {0} entries is above the limit of {MAX_VALIDATORS}")]
    TooManyValidators(usize),
    /// A time or height that no header can have.
    #[error("the {0} is out of range")]
    OutOfRange(&'static str),
    /// The height does not rise.
    #[error("the header's height {found} is not above the trusted {trusted}")]
    HeightNotAbove {
        /// The header's.
        found: Height,
        /// The trusted one.
        trusted: Height,
    },
    /// The time does not rise above that of a trusted lower header.
    #[error("the header's time is not after that of the trusted header {trusted}")]
    TimeNotAfter {
        /// The trusted header's height.
        trusted: Height,
    },
    /// The header's time is further ahead of `now` than clocks may drift.
    #[error("the header's time {time} is too far ahead of {now}")]
    FromTheFuture {
        /// The header's time.
        time: Timestamp,
        /// The time given.
        now: Timestamp,
    },
    /// The trusted set given is not the one the consensus state names.
    #[error("the trusted validator set given is not the one whose hash the client has")]
    TrustedSetMismatch,
    /// The set given is not the one the header names.
    #[error("the validator set given is not the one whose hash the header has")]
    SetMismatch,
    /// The next header's set is not the one the trusted header named.
    #[error("the header's validator set is not the one the trusted header before it names")]
    NextSetMismatch,
    /// The commit is for another header.
    #[error("the commit is for another header")]
    CommitMismatch,
    /// Not enough of the trusted set signed for so large a step: give the headers between.
    #[error("power {signed} of {total} of the trusted set signed, not enough to skip; give a header between")]
    NotEnoughTrust {
        /// The power that signed.
        signed: u64,
        /// The trusted set's.
        total: u64,
    },
    /// Not more than two thirds of the header's own set signed.
    #[error("power {signed} of {total} signed; more than two thirds are needed")]
    QuorumNotReached {
        /// The power that signed.
        signed: u64,
        /// The set's.
        total: u64,
    },
    /// A signature does not verify.
    #[error("the signature of validator {validator} does not verify")]
    InvalidSignature {
        /// The validator's address in hex.
        validator: String,
    },
    /// One validator stands in the commit twice.
    #[error("validator {0} signed twice")]
    DuplicateSigner(String),
    /// The commit's list does not fit the set.
    #[error("the commit is malformed: {0}")]
    MalformedCommit(&'static str),
    /// The app hash is not 32 bytes, so it is no root of a provable store.
    #[error("the app hash has {0} bytes, not 32")]
    AppHash(usize),
    /// Another failure of the verifier.
    #[error("the header is invalid: {0}")]
    Other(String),
    /// The evidence given contradicts neither itself nor what the client trusts.
    #[error("the evidence shows no conflict")]
    NoConflict,
}

/// Checks a header against the client, from the consensus state at `header.trusted_height`; the
/// client's next state and the header's consensus state.
pub fn verify_update(
    client: &ClientState,
    trusted: &ConsensusState,
    header: &Header,
    now: Timestamp,
) -> Result<(ClientState, ConsensusState), TendermintError> {
    let height = header.height();
    if height <= client.latest.height && !client.frozen {
        return Err(TendermintError::HeightNotAbove { found: height, trusted: client.latest.height });
    }
    let state = verify_header(client, trusted, header, now, Strictness::Update)?;
    if state.time < client.latest.time {
        return Err(TendermintError::TimeNotAfter { trusted: client.latest.height });
    }
    let latest = Latest { height, time: state.time, hash: header.hash() };
    Ok((ClientState { latest, ..client.clone() }, state))
}

/// What a header is verified for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    /// An update: its time must not be ahead of `now`.
    Update,
    /// Evidence: its time may be.
    Misbehaviour,
}

/// A client that trusts this header from the start, and the header's state. Who it may trust is decided by
/// governance; what is checked is that the header is one: of this chain, signed by more than two thirds of its own
/// set, not from the future. The header's trusted height and set are ignored.
pub fn anchor(
    client: ClientState,
    header: &Header,
    now: Timestamp,
) -> Result<(ClientState, ConsensusState), TendermintError> {
    check_bounds(&client, header)?;
    let untrusted = untrusted(header);
    let verifier = verifier();
    let state = consensus_state(header)?;
    if state.time.0 > now.0.saturating_add(client.max_clock_drift) {
        return Err(TendermintError::FromTheFuture { time: state.time, now });
    }
    for verdict in [verifier.verify_validator_sets(&untrusted), verifier.verify_commit(&untrusted)] {
        believed(verdict, header, state.time, now)?;
    }
    let latest = Latest { height: header.height(), time: state.time, hash: header.hash() };
    Ok((ClientState { latest, ..client }, state))
}

/// Verifies one header from a trusted consensus state.
pub(super) fn verify_header(
    client: &ClientState,
    trusted: &ConsensusState,
    header: &Header,
    now: Timestamp,
    strictness: Strictness,
) -> Result<ConsensusState, TendermintError> {
    if client.frozen {
        return Err(TendermintError::Frozen);
    }
    let expiry = Timestamp(trusted.time.0.saturating_add(client.trusting_period));
    if now >= expiry {
        return Err(TendermintError::Expired { expiry, now });
    }
    check_bounds(client, header)?;
    let next_validators_hash = Hash::Sha256(trusted.next_validators_hash);
    if header.trusted_next_validators.hash() != next_validators_hash {
        return Err(TendermintError::TrustedSetMismatch);
    }
    if header.height() <= header.trusted_height {
        return Err(TendermintError::HeightNotAbove { found: header.height(), trusted: header.trusted_height });
    }
    let (header_time, _) = split(header.signed_header.header.time).ok_or(TendermintError::OutOfRange("header time"))?;
    let trusted_id =
        Id::try_from(client.chain_id.as_str().to_owned()).map_err(|_| TendermintError::OutOfRange("chain id"))?;
    let trusted_state = TrustedBlockState {
        chain_id: &trusted_id,
        header_time: time(trusted.time, trusted.nanos)?,
        height: header.trusted_height.0.try_into().map_err(|_| TendermintError::OutOfRange("trusted height"))?,
        next_validators: &header.trusted_next_validators,
        next_validators_hash,
    };
    let (numerator, denominator) = client.trust_level.parts();
    let options = Options {
        trust_threshold: TrustThresholdFraction::new(numerator, denominator)
            .map_err(|_| TendermintError::OutOfRange("trust level"))?,
        trusting_period: Duration::from_secs(client.trusting_period),
        clock_drift: Duration::from_secs(client.max_clock_drift),
    };
    let clock = time(now, 0)?;
    let verifier = verifier();
    let untrusted = untrusted(header);
    let verdict = match strictness {
        Strictness::Update => verifier.verify_update_header(untrusted, trusted_state, &options, clock),
        Strictness::Misbehaviour => verifier.verify_misbehaviour_header(untrusted, trusted_state, &options, clock),
    };
    believed(verdict, header, header_time, now)?;
    consensus_state(header)
}

/// The verifier of `tendermint-light-client-verifier`, which checks signatures in a batch here.
fn verifier() -> PredicateVerifier<ProdPredicates, BatchCalculator, ProdCommitValidator> {
    PredicateVerifier::new(ProdPredicates, BatchCalculator, ProdCommitValidator)
}

const fn untrusted(header: &Header) -> UntrustedBlockState<'_> {
    UntrustedBlockState { signed_header: &header.signed_header, validators: &header.validators, next_validators: None }
}

fn believed(verdict: Verdict, header: &Header, time: Timestamp, now: Timestamp) -> Result<(), TendermintError> {
    match verdict {
        Verdict::Success => Ok(()),
        Verdict::NotEnoughTrust(tally) => {
            Err(TendermintError::NotEnoughTrust { signed: tally.tallied, total: tally.total })
        }
        Verdict::Invalid(detail) => Err(named(detail, header, time, now)),
    }
}

/// The sizes that the client handles, and the chain that it follows.
fn check_bounds(client: &ClientState, header: &Header) -> Result<(), TendermintError> {
    let counts = [
        header.validators.validators().len(),
        header.trusted_next_validators.validators().len(),
        header.signed_header.commit.signatures.len(),
    ];
    if let Some(count) = counts.into_iter().find(|count| *count > MAX_VALIDATORS) {
        return Err(TendermintError::TooManyValidators(count));
    }
    let chain_id = &header.signed_header.header.chain_id;
    if chain_id.as_str() == client.chain_id.as_str() {
        Ok(())
    } else {
        Err(TendermintError::WrongChain { found: chain_id.as_str().into(), expected: client.chain_id.clone() })
    }
}

impl ClientState {
    /// Fails if nothing can be proven to the client now: it is frozen, or its newest header too old.
    pub fn check_usable(&self, now: Timestamp) -> Result<(), TendermintError> {
        if self.frozen {
            return Err(TendermintError::Frozen);
        }
        let expiry = Timestamp(self.latest.time.0.saturating_add(self.trusting_period));
        if now >= expiry { Err(TendermintError::Expired { expiry, now }) } else { Ok(()) }
    }
}

fn time(secs: Timestamp, nanos: u32) -> Result<Time, TendermintError> {
    join(secs, nanos).ok_or(TendermintError::OutOfRange("time"))
}

fn consensus_state(header: &Header) -> Result<ConsensusState, TendermintError> {
    ConsensusState::of(&header.signed_header.header)
}

impl ConsensusState {
    /// The state that a header gives, whoever believes it.
    pub fn of(header: &tendermint::block::Header) -> Result<Self, TendermintError> {
        let (secs, nanos) = split(header.time).ok_or(TendermintError::OutOfRange("header time"))?;
        let root = header.app_hash.as_bytes();
        let Hash::Sha256(next_validators_hash) = header.next_validators_hash else {
            return Err(TendermintError::OutOfRange("next validators hash"));
        };
        let root = root.try_into().map_err(|_| TendermintError::AppHash(root.len()))?;
        Ok(Self { root, time: secs, nanos, next_validators_hash })
    }
}

/// The verifier's failure in our terms.
pub(super) fn named(
    detail: VerificationErrorDetail,
    header: &Header,
    time: Timestamp,
    now: Timestamp,
) -> TendermintError {
    use VerificationErrorDetail as Detail;
    match detail {
        Detail::HeaderFromTheFuture(_) => TendermintError::FromTheFuture { time, now },
        Detail::NonMonotonicBftTime(_) => TendermintError::TimeNotAfter { trusted: header.trusted_height },
        Detail::NonIncreasingHeight(_) => {
            TendermintError::HeightNotAbove { found: header.height(), trusted: header.trusted_height }
        }
        Detail::InvalidValidatorSet(_) => TendermintError::SetMismatch,
        Detail::InvalidNextValidatorSet(_) => TendermintError::NextSetMismatch,
        Detail::InvalidCommitValue(_) => TendermintError::CommitMismatch,
        Detail::NotEnoughTrust(e) => TendermintError::NotEnoughTrust { signed: e.tally.tallied, total: e.tally.total },
        Detail::InsufficientSignersOverlap(e) => {
            TendermintError::QuorumNotReached { signed: e.tally.tallied, total: e.tally.total }
        }
        Detail::InvalidSignature(e) => TendermintError::InvalidSignature { validator: e.validator.address.to_string() },
        Detail::DuplicateValidator(e) => TendermintError::DuplicateSigner(e.address.to_string()),
        Detail::MissingSignature(_) => TendermintError::MalformedCommit("a signature is missing"),
        Detail::NoSignatureForCommit(_) => TendermintError::MalformedCommit("nobody signed"),
        Detail::MismatchPreCommitLength(_) => TendermintError::MalformedCommit("its length is not that of the set"),
        Detail::FaultySigner(_) => TendermintError::MalformedCommit("somebody signed who is not in the set"),
        Detail::NotWithinTrustPeriod(_) => TendermintError::Expired { expiry: now, now },
        Detail::ChainIdMismatch(_) | Detail::Tendermint(_) => TendermintError::Other("the verifier refused it".into()),
    }
}
