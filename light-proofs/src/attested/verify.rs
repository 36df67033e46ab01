//! The client: which statements it believes, and which evidence freezes it.

use alloy_primitives::{Address, B256};
use crosspoint_protocol::ids::{Height, Timestamp};
use serde::{Deserialize, Serialize};

use super::set::{Attestors, AttestorsError, MAX_PAST, PastAttestors};
use super::statement::{Header, Statement};
use crate::evm::{ExecutionHeader, HeaderError};
use crate::signature::SignatureError;

/// By how many seconds a header's time may be ahead of `now`. Attestors are the clock of their chain, so it is wide; but a
/// header from far ahead would lie beyond all that a witness knows, and keep its client from expiring.
pub const MAX_CLOCK_DRIFT: u64 = 3_600;

/// The newest header the client trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latest {
    /// Its number.
    pub number: Height,
    /// Its hash.
    pub hash: B256,
    /// Its time, in seconds.
    pub time: Timestamp,
    /// Its state root.
    pub state_root: B256,
}

/// What the client knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientState {
    /// The EIP-155 id of the chain it follows.
    pub evm_chain_id: u64,
    /// The hash of that chain's block 0.
    pub genesis_hash: B256,
    /// Who attests, and how many must.
    pub attestors: Attestors,
    /// How often the attestor set has changed.
    pub epoch: u64,
    /// The sets before, oldest first, as long as what they signed may still be trusted: their statements move nothing
    /// any more, but contradictions among them are evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<PastAttestors>,
    /// The newest header it trusts.
    pub latest: Latest,
    /// The number of the header that its present generation started from. What a quorum said of lower headers was
    /// judged by who anchored it, and is no evidence any more.
    pub anchor: Height,
    /// For how many seconds after `latest.time` it trusts its attestors.
    pub trusting_period: u64,
    /// The gateway contract whose storage is proven.
    pub store_address: Address,
    /// The slot of its mapping of commitments.
    pub base_slot: B256,
    /// Whether the attestors were seen to contradict themselves; then nothing is believed.
    pub frozen: bool,
    /// Counts re-anchorings by governance.
    pub generation: u64,
}

/// A state that proofs are checked against: root and time from one header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsensusState {
    /// The state root.
    pub root: B256,
    /// The header's time, in seconds.
    pub time: Timestamp,
}

/// Why an update or a proof is not believed, or evidence shows no misbehaviour.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttestedError {
    /// The client is frozen.
    #[error("the client is frozen")]
    Frozen,
    /// The client's newest header is older than its trusting period.
    #[error("the client expired at {expiry}; it is {now}")]
    Expired {
        /// From this second on it is expired.
        expiry: Timestamp,
        /// The time given.
        now: Timestamp,
    },
    /// Another chain's statement.
    #[error("the statement is of chain {found}, the client follows {expected}")]
    WrongChain {
        /// The statement's chain id.
        found: u64,
        /// The client's.
        expected: u64,
    },
    /// A chain with the same id but another first block.
    #[error("the statement is of a chain with another genesis, {found}")]
    WrongGenesis {
        /// The statement's genesis hash.
        found: B256,
    },
    /// Signed under another attestor set.
    #[error("the statement is of attestor epoch {found}, the client is at {expected}")]
    WrongEpoch {
        /// The statement's epoch.
        found: u64,
        /// The client's.
        expected: u64,
    },
    /// The header attested is not above the one it extends.
    #[error("header {number} is not above the {prev_number} it extends")]
    NumberNotAbove {
        /// The header attested.
        number: Height,
        /// The header it extends.
        prev_number: Height,
    },
    /// The statement extends another header than the client's newest.
    #[error("the statement extends header {found}, the client's newest is {trusted}")]
    NotLatest {
        /// The header the statement extends.
        found: Height,
        /// The client's newest.
        trusted: Height,
    },
    /// The statement extends a header of the client's newest number with another hash. By a quorum,
    /// this is misbehaviour.
    #[error("the statement extends another header {number} than the one the client trusts")]
    PreviousConflicts {
        /// The number of both.
        number: Height,
    },
    /// More signatures than attestors.
    #[error("{found} signatures by {attestors} attestors")]
    TooManySignatures {
        /// The signatures given.
        found: usize,
        /// The set's size.
        attestors: usize,
    },
    /// A signature is malformed or out of order.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Somebody signed who is no attestor (or the digest is another one).
    #[error("{0} signed, who is no attestor")]
    UnknownSigner(Address),
    /// Too few signed.
    #[error("{signed} of {of} attestors signed; {needed} are needed")]
    QuorumNotReached {
        /// How many signed.
        signed: usize,
        /// How many must.
        needed: usize,
        /// How many there are.
        of: usize,
    },
    /// The header given cannot be read.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The header given is not the one attested.
    #[error("the header given hashes to {found}, attested is {attested}")]
    HashMismatch {
        /// The hash of the header given.
        found: B256,
        /// The hash attested.
        attested: B256,
    },
    /// The header attested has another number than the statement.
    #[error("the header's number is {found}, attested is {attested}")]
    NumberMismatch {
        /// In the header.
        found: Height,
        /// In the statement.
        attested: Height,
    },
    /// The time decreases.
    #[error("the header's time {found} is before the trusted {trusted}")]
    TimeDecreases {
        /// The header's.
        found: Timestamp,
        /// The client's.
        trusted: Timestamp,
    },
    /// The header's time is further ahead of `now` than [`MAX_CLOCK_DRIFT`].
    #[error("the header's time {time} is too far ahead of {now}")]
    FromTheFuture {
        /// The header's time.
        time: Timestamp,
        /// The time given.
        now: Timestamp,
    },
    /// The new attestor set is not one.
    #[error(transparent)]
    Attestors(#[from] AttestorsError),
    /// So many sets signed what may still be trusted that none may be added: their contradictions could not be seen.
    #[error(
        "{MAX_PAST} attestor sets signed what is still within the trusting period; rotate again when the oldest is not"
    )]
    TooManyRotations,
    /// The evidence given contradicts neither itself nor what the client trusts.
    #[error("the evidence shows no conflict")]
    NoConflict,
}

/// Checks an update against the client; the client's next state and the state it may prove against.
///
/// Believed iff the client is neither frozen nor expired; chain, genesis and epoch are the client's;
/// the statement extends the client's newest header; at least `threshold` attestors signed, strictly
/// ascending; and the header given hashes to what was attested, has its number, and a time that does
/// not decrease and is at most [`MAX_CLOCK_DRIFT`] ahead of `now`.
pub fn verify_update(
    client: &ClientState,
    header: &Header,
    now: Timestamp,
) -> Result<(ClientState, ConsensusState), AttestedError> {
    client.check_usable(now)?;
    let statement = &header.statement;
    client.check_domain(statement.chain_id, statement.genesis_hash, statement.epoch)?;
    check_order(statement)?;
    if statement.prev_number != client.latest.number {
        return Err(AttestedError::NotLatest { found: statement.prev_number, trusted: client.latest.number });
    }
    client.attestors.verify_quorum(&statement.digest(), &header.signatures)?;
    if statement.prev_hash != client.latest.hash {
        return Err(AttestedError::PreviousConflicts { number: statement.prev_number });
    }
    let execution = attested_header(header)?;
    if execution.time < client.latest.time {
        return Err(AttestedError::TimeDecreases { found: execution.time, trusted: client.latest.time });
    }
    if execution.time.0 > now.0.saturating_add(MAX_CLOCK_DRIFT) {
        return Err(AttestedError::FromTheFuture { time: execution.time, now });
    }
    let latest = Latest {
        number: execution.number,
        hash: execution.hash,
        time: execution.time,
        state_root: execution.state_root,
    };
    let next = ClientState { latest, past: client.past_at(now), ..client.clone() };
    Ok((next, ConsensusState { root: execution.state_root, time: execution.time }))
}

/// Whether two statements by quorums of the client's attestors, present or past, contradict each other. `Ok` means
/// proven: freeze. They do if they give one number two hashes, as the header attested or as the one
/// extended, or if the header with the higher number has the earlier time. Headers below the client's anchor do not
/// count: else what froze it once would freeze it again after each re-anchoring.
pub fn check_misbehaviour(client: &ClientState, one: &Header, other: &Header) -> Result<(), AttestedError> {
    client.check_not_frozen()?;
    for header in [one, other] {
        client.check_evidence(header)?;
    }
    let claims = |s: &Statement| [(s.number, s.hash), (s.prev_number, s.prev_hash)];
    let (a, b) = (claims(&one.statement), claims(&other.statement));
    let counts = |number: &Height| *number >= client.anchor;
    if a.iter().any(|(number, hash)| counts(number) && b.iter().any(|(n, h)| n == number && h != hash)) {
        return Ok(());
    }
    // The times count only where both headers are the ones attested.
    if let (Ok(a), Ok(b)) = (attested_header(one), attested_header(other)) {
        let (low, high) = if a.number <= b.number { (a, b) } else { (b, a) };
        if counts(&low.number) && low.number < high.number && high.time < low.time {
            return Ok(());
        }
    }
    Err(AttestedError::NoConflict)
}

/// Whether one statement by a quorum of the client's attestors, present or past, contradicts a header the client
/// trusts, by its number and hash (the newest, or an older one that the chain has kept), or has an
/// earlier time than the newest. `Ok` means proven: freeze.
pub fn check_conflict(client: &ClientState, trusted: (Height, B256), header: &Header) -> Result<(), AttestedError> {
    client.check_not_frozen()?;
    client.check_evidence(header)?;
    let statement = &header.statement;
    for (number, hash) in [(statement.number, statement.hash), (statement.prev_number, statement.prev_hash)] {
        for (known, known_hash) in [trusted, (client.latest.number, client.latest.hash)] {
            if number == known && hash != known_hash {
                return Ok(());
            }
        }
    }
    match attested_header(header) {
        Ok(new) if new.number > client.latest.number && new.time < client.latest.time => Ok(()),
        _ => Err(AttestedError::NoConflict),
    }
}

/// The header given, if it is the one attested.
fn attested_header(header: &Header) -> Result<ExecutionHeader, AttestedError> {
    let execution = ExecutionHeader::decode(&header.header_rlp)?;
    let statement = &header.statement;
    if execution.hash != statement.hash {
        return Err(AttestedError::HashMismatch { found: execution.hash, attested: statement.hash });
    }
    if execution.number != statement.number {
        return Err(AttestedError::NumberMismatch { found: execution.number, attested: statement.number });
    }
    Ok(execution)
}

impl ClientState {
    /// The state that the newest header gives.
    #[must_use]
    pub const fn latest_consensus(&self) -> ConsensusState {
        ConsensusState { root: self.latest.state_root, time: self.latest.time }
    }

    /// From which second on the client is expired.
    #[must_use]
    pub const fn expiry(&self) -> Timestamp {
        Timestamp(self.latest.time.0.saturating_add(self.trusting_period))
    }

    /// Fails if the client is frozen, or expired at `now`: then none of its states proves anything.
    pub fn check_usable(&self, now: Timestamp) -> Result<(), AttestedError> {
        self.check_not_frozen()?;
        let expiry = self.expiry();
        if now >= expiry { Err(AttestedError::Expired { expiry, now }) } else { Ok(()) }
    }

    /// Whether `other` follows the same chain and the same store on it: what a client never changes.
    #[must_use]
    pub fn same_counterparty(&self, other: &Self) -> bool {
        let of = |client: &Self| (client.evm_chain_id, client.genesis_hash, client.store_address, client.base_slot);
        of(self) == of(other)
    }

    fn check_not_frozen(&self) -> Result<(), AttestedError> {
        if self.frozen { Err(AttestedError::Frozen) } else { Ok(()) }
    }

    /// Fails unless a quorum of the set of the statement's epoch signed it.
    fn check_evidence(&self, header: &Header) -> Result<(), AttestedError> {
        let statement = &header.statement;
        let past = self.past.iter().find(|past| past.epoch == statement.epoch);
        let (epoch, attestors) = past.map_or((self.epoch, &self.attestors), |past| (past.epoch, &past.attestors));
        self.check_chain(statement.chain_id, statement.genesis_hash)?;
        check_epoch(statement.epoch, epoch)?;
        check_order(statement)?;
        attestors.verify_quorum(&statement.digest(), &header.signatures)
    }

    /// The sets before, less those on whose word nothing is trusted any more.
    pub(super) fn past_at(&self, now: Timestamp) -> Vec<PastAttestors> {
        let lives = |past: &&PastAttestors| now.0 < past.last_time.0.saturating_add(self.trusting_period);
        self.past.iter().filter(lives).cloned().collect()
    }

    pub(super) fn check_domain(&self, chain_id: u64, genesis: B256, epoch: u64) -> Result<(), AttestedError> {
        self.check_chain(chain_id, genesis)?;
        check_epoch(epoch, self.epoch)
    }

    fn check_chain(&self, chain_id: u64, genesis: B256) -> Result<(), AttestedError> {
        if chain_id != self.evm_chain_id {
            return Err(AttestedError::WrongChain { found: chain_id, expected: self.evm_chain_id });
        }
        if genesis != self.genesis_hash {
            return Err(AttestedError::WrongGenesis { found: genesis });
        }
        Ok(())
    }
}

const fn check_epoch(found: u64, expected: u64) -> Result<(), AttestedError> {
    if found == expected { Ok(()) } else { Err(AttestedError::WrongEpoch { found, expected }) }
}

fn check_order(statement: &Statement) -> Result<(), AttestedError> {
    if statement.number <= statement.prev_number {
        return Err(AttestedError::NumberNotAbove { number: statement.number, prev_number: statement.prev_number });
    }
    Ok(())
}
