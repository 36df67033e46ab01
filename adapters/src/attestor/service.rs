//! One attestor: decides what to sign by its own node and its journal, and signs.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use alloy::primitives::B256;
use crosspoint_light_proofs::attested::{Attestors, Rotation, Statement};
use crosspoint_light_proofs::signature::SigningKey;
use crosspoint_protocol::ids::{ChainId, Height};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::api::{Attestation, AttestationRequest, AttestorStatus, FinalizedBlock, RotationShare};
use super::journal::{JournalError, SignedJournal};
use crate::error::ChainError;
use crate::evm::block::{self, Block, BlockId};
use crate::evm::rpc::{Bounds, Rpc, Session};
use crate::evm::settings::Finality;

/// What an attestor is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestorSettings {
    /// The chain it attests, such as `eip155-31337`.
    pub chain: ChainId,
    /// Its EIP-155 id.
    pub chain_number: u64,
    /// The hash of its block 0.
    pub genesis_hash: B256,
    /// The attestor set it signs for: how often the set has changed.
    pub epoch: u64,
    /// The set that its operator wants to follow this one: it signs the hand-over for whoever asks.
    #[serde(default)]
    pub next: Option<Attestors>,
    /// Its own node's JSON-RPC over HTTP. A node shared with other attestors makes them one.
    pub endpoint: Url,
    /// Which blocks are final.
    pub finality: Finality,
    /// The file that remembers what was signed.
    pub journal: PathBuf,
    /// The longest wait for the node, in milliseconds.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
}

const fn default_timeout_ms() -> u64 {
    5_000
}

/// Most bytes of an answer of the node: a block's header and its transactions' hashes.
const MAX_ANSWER: usize = 4 << 20;

/// Why an attestor does not sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalReason {
    /// The request contradicts itself.
    BadRequest,
    /// The block is not final yet.
    NotFinal,
    /// Another hash was signed for this number or is trusted by the client.
    Conflict,
    /// The block is below what the journal remembers.
    TooOld,
    /// The node is down, or serves another chain.
    NodeUnavailable,
    /// The journal cannot be written: nothing is signed without it.
    JournalUnavailable,
    /// Its operator named no set to follow.
    NoRotation,
    /// Too many requests at once.
    Busy,
}

impl RefusalReason {
    /// The reason as one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::NotFinal => "not-final",
            Self::Conflict => "conflict",
            Self::TooOld => "too-old",
            Self::NodeUnavailable => "node-unavailable",
            Self::JournalUnavailable => "journal-unavailable",
            Self::NoRotation => "no-rotation",
            Self::Busy => "busy",
        }
    }

    /// The HTTP status that says it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::NotFinal => 425,
            Self::Conflict => 409,
            Self::TooOld => 410,
            Self::NoRotation => 404,
            Self::NodeUnavailable | Self::JournalUnavailable => 503,
            Self::Busy => 429,
        }
    }
}

/// Why an attestor cannot start or did not sign.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The block asked for does not follow the one trusted.
    #[error("block {number} does not follow block {prev_number}")]
    NotAfter {
        /// The block asked for.
        number: Height,
        /// The block the client trusts.
        prev_number: Height,
    },
    /// The block is not final.
    #[error("block {number} is not final; the newest that is, is {finalized}")]
    NotFinal {
        /// The block asked for.
        number: Height,
        /// The newest final block.
        finalized: Height,
    },
    /// The block that the client trusts is another one on this attestor's chain.
    #[error("the client trusts block {number} as {asked}, this attestor's node has {found}")]
    OtherPrevious {
        /// The block's number.
        number: Height,
        /// The hash that the client trusts.
        asked: B256,
        /// The hash that the node has.
        found: B256,
    },
    /// The node serves another chain than the attestor is for.
    #[error(
        "the node serves chain {chain_id} with genesis {genesis}, the settings say chain {expected}; check the endpoint"
    )]
    OtherChain {
        /// The node's chain id.
        chain_id: u64,
        /// Its block 0.
        genesis: B256,
        /// The chain id in the settings.
        expected: u64,
    },
    /// Its operator named no set to follow.
    #[error("this attestor's operator named no set to follow its own")]
    NoRotation,
    /// The chain changed while the answer was made.
    #[error("the node's chain changed while block {0} was read; ask again")]
    Moved(Height),
    /// The node fails.
    #[error(transparent)]
    Node(#[from] ChainError),
    /// The journal fails, or forbids it.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The task that writes the journal was stopped.
    #[error("the attestor is stopping")]
    Stopping,
}

impl ServiceError {
    /// The reason as one word.
    #[must_use]
    pub const fn reason(&self) -> RefusalReason {
        match self {
            Self::NotAfter { .. } => RefusalReason::BadRequest,
            Self::NotFinal { .. } => RefusalReason::NotFinal,
            Self::NoRotation => RefusalReason::NoRotation,
            Self::OtherPrevious { .. } | Self::Journal(JournalError::Conflict { .. }) => RefusalReason::Conflict,
            Self::Journal(JournalError::BelowFloor { .. }) => RefusalReason::TooOld,
            Self::OtherChain { .. } | Self::Moved(_) | Self::Node(_) => RefusalReason::NodeUnavailable,
            Self::Journal(
                JournalError::Io { .. }
                | JournalError::InUse(_)
                | JournalError::Damaged { .. }
                | JournalError::OtherChain { .. },
            )
            | Self::Stopping => RefusalReason::JournalUnavailable,
        }
    }
}

/// One attestor. Cheap to clone: clones share key, node and journal.
#[derive(Debug, Clone)]
pub struct AttestorService {
    settings: Arc<AttestorSettings>,
    key: Arc<SigningKey>,
    rpc: Arc<Rpc>,
    journal: Arc<Mutex<SignedJournal>>,
}

impl AttestorService {
    /// Opens the journal and checks that the node serves the right chain.
    pub async fn start(settings: AttestorSettings, key: SigningKey) -> Result<Self, ServiceError> {
        let bounds =
            Bounds { timeout: std::time::Duration::from_millis(settings.timeout_ms.max(1)), max_response: MAX_ANSWER };
        let rpc = Rpc::new(settings.chain.clone(), std::slice::from_ref(&settings.endpoint), bounds)?;
        let journal = SignedJournal::open(&settings.journal, settings.chain_number, settings.genesis_hash)?;
        let service = Self {
            settings: Arc::new(settings),
            key: Arc::new(key),
            rpc: Arc::new(rpc),
            journal: Arc::new(Mutex::new(journal)),
        };
        service.on_node(|session| service.check_chain(session)).await?;
        Ok(service)
    }

    /// What it was told.
    #[must_use]
    pub fn settings(&self) -> &AttestorSettings {
        &self.settings
    }

    /// The attestor's address and how far its node is.
    pub async fn status(&self) -> Result<AttestorStatus, ServiceError> {
        let finalized = self
            .on_node(|session| async move {
                self.check_chain(session).await?;
                Ok(block::head(session, self.settings.finality).await?.1)
            })
            .await?;
        Ok(AttestorStatus {
            attestor: self.key.address(),
            chain_id: self.settings.chain_number,
            genesis_hash: self.settings.genesis_hash,
            epoch: self.settings.epoch,
            finalized: FinalizedBlock {
                number: finalized.tip().height,
                hash: finalized.hash,
                time: finalized.tip().time,
            },
        })
    }

    /// Signs that a final block follows the one that a client trusts, or says why not.
    ///
    /// Both blocks must be on the node's chain and final, and neither number may have been signed with
    /// another hash, ever. The journal is on disk before the signature leaves.
    pub async fn attest(&self, request: AttestationRequest) -> Result<Attestation, ServiceError> {
        let block = self.on_node(|session| self.block_to_sign(session, request.clone())).await?;
        let statement = Statement {
            chain_id: self.settings.chain_number,
            genesis_hash: self.settings.genesis_hash,
            epoch: self.settings.epoch,
            prev_number: request.prev_number,
            prev_hash: request.prev_hash,
            number: block.tip().height,
            hash: block.hash,
        };
        let journal = Arc::clone(&self.journal);
        let allowed = tokio::task::spawn_blocking(move || {
            // A panic in another holder cannot leave it half changed: memory changes after the disk.
            let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
            journal.allow((statement.prev_number.0, statement.prev_hash), (statement.number.0, statement.hash))
        });
        let allowed = allowed.await.map_err(|_| ServiceError::Stopping)?;
        if let Err(error @ JournalError::Conflict { .. }) = &allowed {
            tracing::error!(chain = %self.settings.chain, %error, "finality was broken or the node lies: not signed");
        }
        allowed?;
        Ok(Attestation {
            attestor: self.key.address(),
            statement,
            signature: statement.sign(&self.key),
            header_rlp: block.rlp(),
        })
    }

    /// Signs that the attestors hand over to the set that the operator named, or says that it named none. Nothing else
    /// is needed: a signature under the same hand-over says the same whenever it is made.
    pub fn rotation(&self) -> Result<RotationShare, ServiceError> {
        let attestors = self.settings.next.clone().ok_or(ServiceError::NoRotation)?;
        let AttestorSettings { chain_number: chain_id, genesis_hash, epoch, .. } = *self.settings;
        let rotation = Rotation { chain_id, genesis_hash, epoch, attestors };
        let signature = self.key.sign(&rotation.digest());
        Ok(RotationShare { attestor: self.key.address(), rotation, signature })
    }

    async fn block_to_sign(&self, session: Session<'_>, request: AttestationRequest) -> Result<Block, ServiceError> {
        let prev_number = request.prev_number;
        if let Some(number) = request.number.filter(|number| *number <= prev_number) {
            return Err(ServiceError::NotAfter { number, prev_number });
        }
        self.check_chain(session).await?;
        let (_, newest) = block::head(session, self.settings.finality).await?;
        let finalized = newest.tip().height;
        let number = request.number.unwrap_or(finalized);
        if number > finalized || number <= prev_number {
            let number = number.max(prev_number.next());
            return Err(ServiceError::NotFinal { number, finalized });
        }
        self.check_previous(session, &request).await?;
        let block =
            if number == finalized { newest } else { block::existing(session, BlockId::Number(number)).await? };
        // Read again: had the chain changed in between, the two blocks could be of different branches.
        self.check_previous(session, &request).await?;
        let again = block::existing(session, BlockId::Number(number)).await?;
        if again.hash == block.hash { Ok(block) } else { Err(ServiceError::Moved(number)) }
    }

    async fn check_previous(&self, session: Session<'_>, request: &AttestationRequest) -> Result<(), ServiceError> {
        let (number, asked) = (request.prev_number, request.prev_hash);
        let found = block::existing(session, BlockId::Number(number)).await?.hash;
        if found == asked { Ok(()) } else { Err(ServiceError::OtherPrevious { number, asked, found }) }
    }

    async fn check_chain(&self, session: Session<'_>) -> Result<(), ServiceError> {
        let chain_id: alloy::primitives::U64 = session.call("eth_chainId", &Value::Array(vec![])).await?;
        let (chain_id, genesis) = (chain_id.to(), block::existing(session, BlockId::Number(Height(0))).await?.hash);
        let expected = self.settings.chain_number;
        if chain_id == expected && genesis == self.settings.genesis_hash {
            Ok(())
        } else {
            Err(ServiceError::OtherChain { chain_id, genesis, expected })
        }
    }

    /// Work against the attestor's one node.
    async fn on_node<'a, T, W>(&'a self, work: impl Fn(Session<'a>) -> W) -> Result<T, ServiceError>
    where
        W: Future<Output = Result<T, ServiceError>>,
    {
        let done = self.rpc.each(|session| {
            let work = work(session);
            async move {
                match work.await {
                    // A failure of the node is the pool of endpoints' to count, any other is an answer.
                    Err(ServiceError::Node(error)) => Err(error),
                    other => Ok(other),
                }
            }
        });
        done.await?
    }
}
