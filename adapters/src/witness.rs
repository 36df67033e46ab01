//! A second source of a chain's headers, which is compared with what is relayed by.
//!
//! A light client believes whoever signs for a chain. If those sign two headers for one height, each client sees one of them,
//! and nothing in it tells. A witness is a node of somebody else: what it says is compared with what a client trusts,
//! and with what is about to be brought to it. Two headers that are both validly signed are proof of misbehaviour, and
//! the client freezes by it ([`Misbehaviour`]). One that the witness cannot prove is word against word.

use async_trait::async_trait;
use crosspoint_light_proofs::checkpoint::{Checkpoint, SignedCheckpoint};
use crosspoint_protocol::ids::{Height, Timestamp};

use crate::chain::{ClientStatus, SignersView};
use crate::error::ChainError;
use crate::proven::Evidence;

/// A header, by what the clients of one type know it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The block's number; of an `ethereum-pos` client the slot.
    pub height: Height,
    /// The block's hash; of a `checkpoint` client the digest of the checkpoint, of an `ethereum-pos` client the beacon block's root.
    pub hash: Vec<u8>,
}

/// What a witness has at a height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A header.
    Header(Mark),
    /// Nothing yet: it is not as far.
    NotYet,
    /// Nothing, and it will not have it.
    Gone,
}

/// A header that a client came to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// The header.
    pub mark: Mark,
    /// Its time.
    pub time: Timestamp,
}

impl ClientStatus {
    /// The height at which a witness is asked about what the client trusts: the slot of an `ethereum-pos` client.
    #[must_use]
    pub fn marked_height(&self) -> Height {
        match &self.signers {
            SignersView::SyncCommittees { state, .. } => Height(state.slot),
            _ => self.trusted.height,
        }
    }
}

/// What a header that a witness has is held against.
#[derive(Debug, Clone, Copy)]
pub enum Against<'a> {
    /// The newest header that the client trusts.
    Trusted,
    /// An earlier header that it trusts, which others have followed.
    Followed,
    /// The header that is about to be brought to it.
    Update(&'a Evidence),
}

/// Proof that those who sign for a chain signed two headers that exclude each other, in the form of the client.
#[derive(Debug, Clone)]
pub enum Misbehaviour {
    /// For a client on a native chain: one encoded header that contradicts what the client trusts, or two that contradict
    /// each other.
    Headers(Vec<Vec<u8>>),
    /// For a `checkpoint` client: another checkpoint of the newest height that it trusts.
    Contradiction(Box<SignedCheckpoint>),
    /// For a `checkpoint` client: two checkpoints that exclude each other, and one that it trusts and that is not above them.
    Checkpoints {
        /// The trusted one.
        trusted: Box<Checkpoint>,
        /// One of the two; `None`: the newest that the client trusts, whatever is in it.
        one: Option<Box<SignedCheckpoint>>,
        /// The other.
        other: Box<SignedCheckpoint>,
    },
}

/// One witness of a chain.
#[async_trait]
pub trait Witness: Send + Sync + 'static {
    /// Where it is: host and port, nothing secret.
    fn name(&self) -> &str;

    /// The header that this brings to the client; `None` if it brings none.
    fn brought(&self, client: &ClientStatus, evidence: &Evidence) -> Option<Mark>;

    /// What it has at this height, final as far as it knows, as clients of this type know it. Where it has none though its
    /// newest final block is later than `time`, the time that the header in question bears: that newest block, which
    /// contradicts it.
    async fn header_at(&self, client: &ClientStatus, height: Height, time: Timestamp) -> Result<Seen, ChainError>;

    /// Proof that its header at `at`, where [`Witness::header_at`] found it, contradicts another, verified as the client
    /// will. It is built from what the client trusts, or from one of `roots`: earlier states of the client, newest first.
    /// `None`: it cannot prove what it says.
    async fn accuse(
        &self,
        client: &ClientStatus,
        roots: &[ClientStatus],
        against: Against<'_>,
        at: Height,
    ) -> Result<Option<Misbehaviour>, ChainError>;
}

/// What a header may be proven from: against an update also what the client trusts now; else only what is below that.
pub(crate) fn roots<'a>(
    client: &'a ClientStatus,
    roots: &'a [ClientStatus],
    against: Against<'_>,
) -> impl Iterator<Item = &'a ClientStatus> {
    let newest = matches!(against, Against::Update(_)).then_some(client);
    let known = roots.iter().filter(|root| root.generation == client.generation);
    newest.into_iter().chain(known)
}

/// A witness's header as proof: alone against what is trusted, beside the other against an update.
pub(crate) fn headers(witnessed: Vec<u8>, against: Against<'_>) -> Option<Misbehaviour> {
    let updated = match against {
        Against::Trusted | Against::Followed => return Some(Misbehaviour::Headers(vec![witnessed])),
        // A vote that does not verify would spoil the header as evidence.
        Against::Update(Evidence::Tendermint(evidence)) => {
            evidence.update.as_ref()?.clone().without_spoilt_votes().encode()
        }
        Against::Update(evidence) => evidence.update_bytes()?,
    };
    Some(Misbehaviour::Headers(vec![updated, witnessed]))
}

/// Names for people, each another: two nodes at one host are told apart by a number.
pub(crate) fn distinct(labels: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = vec![];
    for label in labels {
        let same = names.iter().filter(|name| name.split('#').next() == Some(label.as_str())).count();
        names.push(if same == 0 { label } else { format!("{label}#{}", same.saturating_add(1)) });
    }
    names
}
