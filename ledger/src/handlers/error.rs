//! Why a message or an item does not take effect.

use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::book::BookError;
use crosspoint_protocol::denom::{Denom, DenomError};
use crosspoint_protocol::htlc::{HoldEventError, LockEventError};
use crosspoint_protocol::ids::{ClientId, Height, Sequence, Timestamp};
use crosspoint_protocol::lock::LockError;
use crosspoint_protocol::secret::Hashlock;
use crosspoint_protocol::window::WindowError;

use super::client::{ClientCodecError, LightClientError};
use super::limits::LimitError;
use crate::address::AccountId;
use crate::code;
use crate::state::StateError;

/// Why a message or an item of a batch does not take effect. Nothing of it stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandlerError {
    /// The node failed, not the message: the block is not executed further.
    #[error(transparent)]
    State(#[from] StateError),
    /// An account that is no member's.
    #[error("{0} is no member; members are admitted by governance")]
    NotMember(AccountId),
    /// A member that is suspended.
    #[error("{0} is suspended")]
    Suspended(AccountId),
    /// A receiver that nobody may send to.
    #[error("{0} belongs to the ledger itself; points cannot be sent there")]
    ReservedReceiver(AccountId),
    /// Only somebody else may do this.
    #[error("{account} is not {needed}")]
    NotAllowed {
        /// Who tried.
        account: AccountId,
        /// What it would have to be.
        needed: &'static str,
    },
    /// A denom this chain does not know.
    #[error("denom {0} is not known here")]
    UnknownDenom(Denom),
    /// Something can be done with home denoms only.
    #[error("{0} is not at home here: it can be neither issued nor burned here")]
    NotHome(Denom),
    /// Issuing has ended for good.
    #[error("issuing {0} has ended for good")]
    IssueClosed(Denom),
    /// Issuing would exceed the cap.
    #[error("{issued} {denom} are issued; {amount} more would exceed the cap of {cap}")]
    CapExceeded {
        /// The denom.
        denom: Denom,
        /// Issued so far.
        issued: Amount,
        /// What would be added.
        amount: Amount,
        /// The cap.
        cap: Amount,
    },
    /// Not enough points.
    #[error("{account} has {balance} {denom}, less than {amount}")]
    Insufficient {
        /// Whose.
        account: AccountId,
        /// The denom.
        denom: Denom,
        /// What it has.
        balance: Amount,
        /// What is needed.
        amount: Amount,
    },
    /// Nothing is owed.
    #[error("{account} is owed no {denom}")]
    NothingOwed {
        /// Whom.
        account: AccountId,
        /// The denom.
        denom: Denom,
    },
    /// The same sender used this hashlock before.
    #[error("{sender} has used the hashlock {hashlock} before; a secret is used once")]
    HashlockUsed {
        /// Who.
        sender: AccountId,
        /// The hashlock.
        hashlock: Hashlock,
    },
    /// The deadlines are outside the window.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// What an EVM chain's compact records cannot express.
    #[error("an EVM chain cannot take this: {0}")]
    NotExpressible(&'static str),
    /// Points to be forwarded that are for somebody else than the forwarder.
    #[error("points to be forwarded are sent to {0}, the address of the chain that forwards them")]
    NotForwarder(AccountId),
    /// A forward through the client that the points just came in through.
    #[error("the points came in through {0}; they cannot be forwarded back through it")]
    ForwardBack(ClientId),
    /// The lock's fields are invalid.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The denom cannot go further.
    #[error(transparent)]
    Denom(#[from] DenomError),
    /// A client that does not exist.
    #[error("there is no client {0}")]
    UnknownClient(ClientId),
    /// A client whose counterparty governance has not registered.
    #[error("client {0} is not open for packets: its counterparty is not registered")]
    NotOpen(ClientId),
    /// A client that governance closed.
    #[error("client {0} is closed for good")]
    ClientClosed(ClientId),
    /// A light client refuses.
    #[error("client {client}: {source}")]
    LightClient {
        /// The client.
        client: ClientId,
        /// Why.
        source: Box<LightClientError>,
    },
    /// An update, evidence or proof that cannot be read.
    #[error("client {client}: {source}")]
    Codec {
        /// The client.
        client: ClientId,
        /// Why.
        source: ClientCodecError,
    },
    /// No trusted state at this height.
    #[error("client {client} trusts no state at height {height}")]
    NoConsensus {
        /// The client.
        client: ClientId,
        /// The height.
        height: Height,
    },
    /// The state is too old to prove anything.
    #[error("client {client}: the state of {time} is older than the trusting period")]
    ConsensusExpired {
        /// The client.
        client: ClientId,
        /// The state's time.
        time: Timestamp,
    },
    /// Locks and receipts are stopped.
    #[error("locks and receipts are paused by the operators")]
    Paused,
    /// A limit is reached.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The books refuse.
    #[error(transparent)]
    Book(#[from] BookError),
    /// A packet for another pair of clients.
    #[error("the packet goes from {source_client} to {dest_client}, not along this client's pair")]
    WrongRoute {
        /// The packet's source.
        source_client: ClientId,
        /// The packet's destination.
        dest_client: ClientId,
    },
    /// Another packet has this number.
    #[error("packet {client}/{sequence} is another one here")]
    OtherPacket {
        /// The client on this chain.
        client: ClientId,
        /// The number.
        sequence: Sequence,
    },
    /// No packet of this number.
    #[error("there is no packet {client}/{sequence} here")]
    UnknownPacket {
        /// The client on this chain.
        client: ClientId,
        /// The number.
        sequence: Sequence,
    },
    /// Received too late.
    #[error("the packet timed out at {timeout}; it is {now}")]
    TimedOut {
        /// Its timeout.
        timeout: Timestamp,
        /// The block's time.
        now: Timestamp,
    },
    /// The lock does not move.
    #[error(transparent)]
    LockEvent(#[from] LockEventError),
    /// The hold does not move.
    #[error(transparent)]
    HoldEvent(#[from] HoldEventError),
    /// Refused at receipt; there is no hold.
    #[error("packet {client}/{sequence} was refused at receipt; there is no hold")]
    NoHold {
        /// The client.
        client: ClientId,
        /// The number.
        sequence: Sequence,
    },
    /// An action of governance that cannot be done.
    #[error("{0}")]
    Action(String),
    /// No such proposal.
    #[error("there is no proposal {0}")]
    UnknownProposal(u64),
    /// A sum past 2^128 - 1.
    #[error("an amount of {0} would exceed 2^128 - 1")]
    Overflow(Denom),
}

impl HandlerError {
    /// The result code.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::State(_) => code::INTERNAL,
            Self::NotMember(_) | Self::Suspended(_) => code::NOT_MEMBER,
            Self::NotAllowed { .. } => code::NOT_ALLOWED,
            Self::Insufficient { .. } | Self::NothingOwed { .. } => code::INSUFFICIENT,
            Self::UnknownDenom(_)
            | Self::UnknownClient(_)
            | Self::UnknownPacket { .. }
            | Self::UnknownProposal(_)
            | Self::NoHold { .. } => code::NOT_FOUND,
            Self::Paused => code::PAUSED,
            Self::Limit(_) | Self::Book(_) => code::LIMIT,
            Self::LightClient { .. }
            | Self::Codec { .. }
            | Self::NoConsensus { .. }
            | Self::ConsensusExpired { .. }
            | Self::NotOpen(_)
            | Self::ClientClosed(_) => code::CLIENT,
            Self::ReservedReceiver(_)
            | Self::NotHome(_)
            | Self::IssueClosed(_)
            | Self::CapExceeded { .. }
            | Self::HashlockUsed { .. }
            | Self::Window(_)
            | Self::NotExpressible(_)
            | Self::NotForwarder(_)
            | Self::ForwardBack(_)
            | Self::Lock(_)
            | Self::Denom(_)
            | Self::WrongRoute { .. }
            | Self::OtherPacket { .. }
            | Self::TimedOut { .. }
            | Self::LockEvent(_)
            | Self::HoldEvent(_)
            | Self::Action(_)
            | Self::Overflow(_) => code::INVALID,
        }
    }

    /// Whether the same item may take effect later without anybody changing it.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Paused | Self::Limit(_) | Self::Suspended(_) => true,
            Self::Book(error) => match error {
                BookError::VaultShort { .. } | BookError::CapExceeded { .. } => true,
                BookError::OutOfRange(_) => false,
            },
            Self::HoldEvent(error) => matches!(error, HoldEventError::DeadlineNotReached { .. }),
            // The relayer rebuilds the proof at a later height.
            Self::LockEvent(error) => matches!(error, LockEventError::TooEarly { .. }),
            Self::NoConsensus { .. } | Self::ConsensusExpired { .. } => true,
            Self::LightClient { source, .. } => source.is_retryable(),
            Self::State(_)
            | Self::NotMember(_)
            | Self::NotAllowed { .. }
            | Self::Insufficient { .. }
            | Self::NothingOwed { .. }
            | Self::UnknownDenom(_)
            | Self::UnknownClient(_)
            | Self::UnknownPacket { .. }
            | Self::UnknownProposal(_)
            | Self::NoHold { .. }
            | Self::Codec { .. }
            | Self::NotOpen(_)
            | Self::ClientClosed(_)
            | Self::ReservedReceiver(_)
            | Self::NotHome(_)
            | Self::IssueClosed(_)
            | Self::CapExceeded { .. }
            | Self::HashlockUsed { .. }
            | Self::Window(_)
            | Self::NotExpressible(_)
            | Self::NotForwarder(_)
            | Self::ForwardBack(_)
            | Self::Lock(_)
            | Self::Denom(_)
            | Self::WrongRoute { .. }
            | Self::OtherPacket { .. }
            | Self::TimedOut { .. }
            | Self::Action(_)
            | Self::Overflow(_) => false,
        }
    }
}
