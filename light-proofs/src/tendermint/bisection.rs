//! Which headers lead from a trusted one to a far one (CometBFT specification, light client, `VerifyToTarget`).

use crosspoint_protocol::ids::{Height, Timestamp};
use tendermint::block::signed_header::SignedHeader;
use tendermint::validator::Set as ValidatorSet;

use super::state::{ClientState, ConsensusState, Header};
use super::verify::{TendermintError, verify_update};

/// Plans the heights to try, one after another: first the target; while too many validators changed, half the way;
/// from each header that was believed, the target again. Pure, so that its user may fetch headers as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bisection {
    trusted: Height,
    target: Height,
    next: Height,
}

impl Bisection {
    /// From a trusted height to a target above it; `None` if it is not above.
    #[must_use]
    pub fn new(trusted: Height, target: Height) -> Option<Self> {
        (target > trusted).then_some(Self { trusted, target, next: target })
    }

    /// The height whose header to verify next, from the one at [`Self::trusted`].
    #[must_use]
    pub const fn height(&self) -> Height {
        self.next
    }

    /// The height to verify it from: the first, or the last that was believed.
    #[must_use]
    pub const fn trusted(&self) -> Height {
        self.trusted
    }

    /// The header was believed: the rest of the way; `None` if it was the target.
    #[must_use]
    pub fn believed(self) -> Option<Self> {
        Self::new(self.next, self.target)
    }

    /// Not enough of the trusted set signed the header ([`TendermintError::NotEnoughTrust`]): a nearer one; `None` if
    /// there is none between.
    #[must_use]
    pub fn not_enough_trust(self) -> Option<Self> {
        let nearer = Height(self.trusted.0.midpoint(self.next.0));
        (nearer > self.trusted).then_some(Self { next: nearer, ..self })
    }
}

/// A header with the sets of its height and of the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LightBlock {
    /// The header and its commit.
    pub signed_header: SignedHeader,
    /// The set that signed it.
    pub validators: ValidatorSet,
    /// The set that signs the next.
    pub next_validators: ValidatorSet,
}

/// One update of the way, and what the client knows after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The update.
    pub header: Header,
    /// The client after it.
    pub client: ClientState,
    /// The state it adds.
    pub state: ConsensusState,
}

/// Why there is no way to the target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BisectionError<E> {
    /// A header could not be had.
    #[error("header {height}: {source}")]
    Source {
        /// Its height.
        height: Height,
        /// Why.
        source: E,
    },
    /// The block given is not of the height asked for.
    #[error("asked for header {asked}, given {found}")]
    WrongHeight {
        /// The height asked for.
        asked: Height,
        /// That of the block given.
        found: Height,
    },
    /// A header is not believed.
    #[error("header {height}: {error}")]
    Refused {
        /// Its height.
        height: Height,
        /// Why.
        error: TendermintError,
    },
    /// The way would be longer than allowed.
    #[error("more than {0} headers were asked for")]
    TooLong(usize),
}

/// The updates that bring a client from its state at `trusted` (with the set that signs after it) to the header at
/// `target`, in order; none if that is not above. Asks `source` for at most `most` headers.
pub fn bisect<E>(
    client: &ClientState,
    trusted: (&ConsensusState, &ValidatorSet),
    target: Height,
    now: Timestamp,
    most: usize,
    mut source: impl FnMut(Height) -> Result<LightBlock, E>,
) -> Result<Vec<Step>, BisectionError<E>> {
    let mut steps: Vec<Step> = vec![];
    let mut next_validators = trusted.1.clone();
    let mut plan = Bisection::new(client.latest.height, target);
    for _ in 0..most {
        let Some(at) = plan else { return Ok(steps) };
        let height = at.height();
        let block = source(height).map_err(|source| BisectionError::Source { height, source })?;
        let header = Header {
            signed_header: block.signed_header,
            validators: block.validators,
            trusted_height: at.trusted(),
            trusted_next_validators: next_validators.clone(),
        };
        if header.height() != height {
            return Err(BisectionError::WrongHeight { asked: height, found: header.height() });
        }
        let (client, state) = steps.last().map_or((client, trusted.0), |step| (&step.client, &step.state));
        plan = match verify_update(client, state, &header, now) {
            Ok((client, state)) => {
                steps.push(Step { header, client, state });
                next_validators = block.next_validators;
                at.believed()
            }
            Err(error @ TendermintError::NotEnoughTrust { .. }) => {
                Some(at.not_enough_trust().ok_or(BisectionError::Refused { height, error })?)
            }
            Err(error) => return Err(BisectionError::Refused { height, error }),
        };
    }
    if plan.is_none() { Ok(steps) } else { Err(BisectionError::TooLong(most)) }
}
