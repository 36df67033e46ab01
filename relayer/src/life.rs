//! The life of one packet as the relayer sees it: facts read from final blocks, and what is to be done next.
//!
//! ```text
//! Announced ─▶ RecvReady ─▶ RecvSubmitted ─▶ Held ─▶ ClaimReady ─▶ ClaimSubmitted ─▶ Claimed ─┐
//!                 │                           └────▶ VoidReady ──▶ VoidSubmitted ──▶ Voided ──┤
//!                 │                 └──────────────────────────────────────────────▶ Refused ─┤
//!                 └─▶ TimeoutReady ─▶ TimeoutSubmitted ─▶ TimedOut   Settled | Refunded ◀─ AckSubmitted
//! ```
//!
//! Facts may arrive in any order, because each chain is read at its own pace. The stage follows from the
//! facts; only the `…Ready` and `…Submitted` stages hold something the relayer itself decided or did.

use crate::retry::{Retry, RetryReason};
use crate::route::{PacketId, Route};
use crosspoint_adapters::chain::{ChainEvent, PacketEvent, Tip, TxId};
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::htlc::{AckCause, LockEnd};
use crosspoint_protocol::ids::{ChainId, ClientId, Timestamp};
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::{Hashlock, Preimage};
use crosspoint_protocol::terms::Forward;
use serde::{Deserialize, Serialize};

/// Where a packet is in its life. The number is its place in the journal's keys; never renumber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Stage {
    /// Its destination was read ahead of its source: it was received there, the packet itself is not known yet.
    Announced = 0,
    /// Sent and final; to be received.
    RecvReady = 1,
    /// A recv is in a block that is not final yet.
    RecvSubmitted = 2,
    /// Received: points wait in a hold for the preimage or the deadline.
    Held = 3,
    /// The watch-tower may claim the hold.
    ClaimReady = 4,
    /// A claim is in a block that is not final yet.
    ClaimSubmitted = 5,
    /// The claim deadline has passed; the hold is to be voided.
    VoidReady = 6,
    /// A void is in a block that is not final yet.
    VoidSubmitted = 7,
    /// Claimed; the success ack is to be brought to the source.
    Claimed = 8,
    /// Voided; the error ack is to be brought to the source.
    Voided = 9,
    /// Refused at receipt; the error ack is to be brought to the source.
    Refused = 10,
    /// An ack is in a block of the source that is not final yet.
    AckSubmitted = 11,
    /// Never received and no longer can be; the proof of that is to be brought to the source.
    TimeoutReady = 12,
    /// A timeout is in a block of the source that is not final yet.
    TimeoutSubmitted = 13,
    /// Ended: the success was proven to the source.
    Settled = 14,
    /// Ended: the failure was proven to the source.
    Refunded = 15,
    /// Ended: non-receipt was proven to the source.
    TimedOut = 16,
    /// The relayer cannot move it on; a person must look.
    Stuck = 17,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 18] = [
        Self::Announced,
        Self::RecvReady,
        Self::RecvSubmitted,
        Self::Held,
        Self::ClaimReady,
        Self::ClaimSubmitted,
        Self::VoidReady,
        Self::VoidSubmitted,
        Self::Claimed,
        Self::Voided,
        Self::Refused,
        Self::AckSubmitted,
        Self::TimeoutReady,
        Self::TimeoutSubmitted,
        Self::Settled,
        Self::Refunded,
        Self::TimedOut,
        Self::Stuck,
    ];

    /// Whether the transfer has ended on its source, for good.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Settled | Self::Refunded | Self::TimedOut)
    }

    /// The stage's name in metrics, JSON and the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Announced => "announced",
            Self::RecvReady => "recv_ready",
            Self::RecvSubmitted => "recv_submitted",
            Self::Held => "held",
            Self::ClaimReady => "claim_ready",
            Self::ClaimSubmitted => "claim_submitted",
            Self::VoidReady => "void_ready",
            Self::VoidSubmitted => "void_submitted",
            Self::Claimed => "claimed",
            Self::Voided => "voided",
            Self::Refused => "refused",
            Self::AckSubmitted => "ack_submitted",
            Self::TimeoutReady => "timeout_ready",
            Self::TimeoutSubmitted => "timeout_submitted",
            Self::Settled => "settled",
            Self::Refunded => "refunded",
            Self::TimedOut => "timed_out",
            Self::Stuck => "stuck",
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is no stage's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a stage of a transfer")]
pub struct UnknownStage(String);

impl std::str::FromStr for Stage {
    type Err = UnknownStage;
    fn from_str(text: &str) -> Result<Self, UnknownStage> {
        let found = Self::ALL.into_iter().find(|stage| stage.as_str() == text);
        found.ok_or_else(|| UnknownStage(text.chars().take(32).collect()))
    }
}

/// What the relayer does to a packet in a transaction. The number is the order of work: acks and timeouts go
/// before recvs, because a return draws on a vault that only settled acks fill (`docs/protocol.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Action {
    /// Bring an acknowledgement to the source.
    Ack = 0,
    /// Bring proof of non-receipt to the source.
    Timeout = 1,
    /// Bring the packet to its destination.
    Recv = 2,
    /// Show the preimage on the destination.
    Claim = 3,
    /// Give the hold up on the destination.
    Void = 4,
}

impl Action {
    /// The stage while the action's transaction is in a block that is not final.
    #[must_use]
    pub const fn submitted(self) -> Stage {
        match self {
            Self::Ack => Stage::AckSubmitted,
            Self::Timeout => Stage::TimeoutSubmitted,
            Self::Recv => Stage::RecvSubmitted,
            Self::Claim => Stage::ClaimSubmitted,
            Self::Void => Stage::VoidSubmitted,
        }
    }

    /// Its name in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Timeout => "timeout",
            Self::Recv => "recv",
            Self::Claim => "claim",
            Self::Void => "void",
        }
    }
}

/// Where a fact was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The block.
    pub block: Tip,
    /// The transaction.
    pub tx: TxId,
}

/// The acknowledgement that was written on the destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AckSeen {
    /// Where.
    pub seen: Seen,
    /// Its bytes.
    #[serde(with = "crosspoint_protocol::packet::hex_bytes")]
    pub ack: Vec<u8>,
    /// Why it was written.
    pub cause: AckCause,
}

/// How the lock ended on the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndSeen {
    /// Where.
    pub seen: Seen,
    /// How.
    pub end: LockEnd,
}

/// What final blocks say about one packet. Each fact is written once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// It was sent.
    pub sent: Option<Seen>,
    /// It was received.
    pub received: Option<Seen>,
    /// It was acknowledged.
    pub acked: Option<AckSeen>,
    /// Its lock ended.
    pub ended: Option<EndSeen>,
}

/// Where a packet's points stand in the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Sent, not received.
    Sent,
    /// In a hold.
    Held,
    /// Claimed, not settled yet.
    Claimed,
    /// Voided or refused, not refunded yet.
    Voided,
    /// Settled.
    Settled,
    /// Refunded, by error ack or timeout.
    Refunded,
}

/// Two facts that cannot both be true of honest chains (I5 and I6 of `docs/protocol.md`): a person must look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anomaly {
    /// The lock was settled, but the destination says that the hold was not claimed.
    SettledNotClaimed,
    /// The lock was refunded, but the destination says that the hold was claimed.
    RefundedButClaimed,
    /// The lock timed out, but the destination received the packet.
    TimedOutButReceived,
    /// The same event was seen twice with different contents.
    Contradiction,
    /// The acknowledgement's bytes do not fit its cause or the hashlock.
    AckUnknown,
    /// The packet's payload is no points transfer.
    NotPoints,
}

impl Facts {
    /// Adds what an event says. `true` if something was learned.
    pub fn learn(&mut self, event: &ChainEvent) -> Result<bool, Anomaly> {
        let seen = Seen { block: event.block, tx: event.tx.clone() };
        match &event.event {
            PacketEvent::Sent { .. } => note(&mut self.sent, seen, |a, b| a.block.height == b.block.height),
            PacketEvent::Received { .. } => note(&mut self.received, seen, |a, b| a.block.height == b.block.height),
            PacketEvent::AckWritten { ack, cause, .. } => {
                let new = AckSeen { seen, ack: ack.clone(), cause: *cause };
                note(&mut self.acked, new, |a, b| a.ack == b.ack)
            }
            PacketEvent::Ended { end, .. } => note(&mut self.ended, EndSeen { seen, end: *end }, |a, b| a.end == b.end),
        }
    }

    /// Where the points stand; `None` until the packet is known to be sent.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        self.sent.as_ref()?;
        Some(match (&self.ended, &self.acked, &self.received) {
            (Some(ended), _, _) => match ended.end {
                LockEnd::Settled => Standing::Settled,
                LockEnd::Refunded | LockEnd::TimedOut => Standing::Refunded,
            },
            (None, Some(acked), _) => match acked.cause {
                AckCause::Claimed => Standing::Claimed,
                AckCause::Voided | AckCause::Refused => Standing::Voided,
            },
            (None, None, Some(_)) => Standing::Held,
            (None, None, None) => Standing::Sent,
        })
    }

    /// Whether one of the facts rests on another chain's fact that is not here yet: a receipt on a
    /// packet not known to be sent, an end on an ack not known to be written.
    #[must_use]
    pub fn rests_on_unread(&self) -> bool {
        let received_early = (self.received.is_some() || self.acked.is_some()) && self.sent.is_none();
        let by_ack = |end: LockEnd| matches!(end, LockEnd::Settled | LockEnd::Refunded);
        received_early || (self.ended.as_ref().is_some_and(|e| by_ack(e.end)) && self.acked.is_none())
    }

    /// Facts that contradict each other.
    #[must_use]
    pub fn anomaly(&self) -> Option<Anomaly> {
        let end = self.ended.as_ref()?.end;
        let cause = self.acked.as_ref().map(|acked| acked.cause);
        match (end, cause) {
            (LockEnd::Settled, Some(AckCause::Voided | AckCause::Refused)) => Some(Anomaly::SettledNotClaimed),
            (LockEnd::Refunded, Some(AckCause::Claimed)) => Some(Anomaly::RefundedButClaimed),
            (LockEnd::TimedOut, _) if self.received.is_some() => Some(Anomaly::TimedOutButReceived),
            (LockEnd::Settled | LockEnd::Refunded | LockEnd::TimedOut, _) => None,
        }
    }

    /// The stage that follows from the facts alone.
    #[must_use]
    pub fn stage(&self) -> Stage {
        if let Some(ended) = &self.ended {
            return match ended.end {
                LockEnd::Settled => Stage::Settled,
                LockEnd::Refunded => Stage::Refunded,
                LockEnd::TimedOut => Stage::TimedOut,
            };
        }
        match (&self.sent, &self.acked, &self.received) {
            (None, _, _) => Stage::Announced,
            (Some(_), Some(acked), _) => match acked.cause {
                AckCause::Claimed => Stage::Claimed,
                AckCause::Voided => Stage::Voided,
                AckCause::Refused => Stage::Refused,
            },
            (Some(_), None, Some(_)) => Stage::Held,
            (Some(_), None, None) => Stage::RecvReady,
        }
    }
}

fn note<T>(slot: &mut Option<T>, new: T, same: impl Fn(&T, &T) -> bool) -> Result<bool, Anomaly> {
    match slot {
        Some(old) if same(old, &new) => Ok(false),
        Some(_) => Err(Anomaly::Contradiction),
        None => {
            *slot = Some(new);
            Ok(true)
        }
    }
}

/// The parts of a lock that the relayer's decisions and indexes need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// As the source names it.
    pub denom: Denom,
    /// As the destination names it.
    pub dest_denom: Denom,
    /// How much, in base units.
    pub amount: Amount,
    /// Who gets it.
    pub receiver: crosspoint_protocol::ids::Address,
    /// What a claim must open.
    pub hashlock: Hashlock,
    /// From when on it cannot be received.
    pub timeout: Timestamp,
    /// From when on it cannot be claimed.
    pub claim_deadline: Timestamp,
    /// Over which links it is sent on. Its hold is bound then: it ends as the onward packet does, and there is nothing to
    /// claim or to void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onward: Option<Forward>,
}

impl Terms {
    /// Reads them from a packet; `None` if it is no points transfer.
    #[must_use]
    pub fn of(packet: &Packet) -> Option<Self> {
        let lock = packet.points_lock().ok()?;
        let received = lock.denom.received(&packet.source_client, &packet.dest_client).ok()?;
        Some(Self {
            dest_denom: received.denom().clone(),
            denom: lock.denom,
            amount: lock.amount,
            receiver: lock.receiver,
            hashlock: lock.hashlock,
            timeout: packet.timeout,
            claim_deadline: lock.claim_deadline,
            onward: lock.terms.forward().cloned(),
        })
    }
}

/// A transaction of the relayer that is not final yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// What it does.
    pub action: Action,
    /// The transaction.
    pub tx: TxId,
    /// The block it is in.
    pub block: Tip,
    /// The chain said that the item had already taken effect.
    pub duplicate: bool,
}

/// One packet as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// Its name.
    pub id: PacketId,
    /// Its way.
    pub route: Route,
    /// Where it is.
    pub stage: Stage,
    /// When it came to that stage, in milliseconds since 1970 by the relayer's clock.
    pub since_ms: u64,
    /// The block time of the first event seen of it.
    pub opened: Timestamp,
    /// What final blocks say about it.
    #[serde(flatten)]
    pub facts: Facts,
    /// From its payload; `None` while the packet is not known, or if it is no points transfer.
    pub terms: Option<Terms>,
    /// The preimage is known and may be shown for this hold.
    pub claimable: bool,
    /// The relayer's transaction that is not final yet.
    pub submission: Option<Submission>,
    /// Why it is not moving, and when it is tried again.
    pub retry: Option<Retry>,
    /// Facts that contradict each other.
    pub anomaly: Option<Anomaly>,
    /// Why the destination refused it at receipt, in its words.
    #[serde(default)]
    pub refusal: Option<String>,
    /// How many entries its history has.
    pub history_len: u32,
}

/// One line of a packet's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When the relayer wrote it, in milliseconds since 1970.
    pub at_ms: u64,
    /// The stage from here on.
    pub stage: Stage,
    /// The chain the cause is on, if it is a block's event or a transaction of ours.
    pub chain: Option<ChainId>,
    /// The block.
    pub block: Option<Tip>,
    /// The transaction.
    pub tx: Option<TxId>,
    /// Why a try failed, if one did.
    pub reason: Option<RetryReason>,
    /// In words, for people.
    pub note: Option<String>,
}

impl Life {
    /// A packet nothing is known of yet.
    #[must_use]
    pub fn new(id: PacketId, route: Route, opened: Timestamp, now_ms: u64) -> Self {
        Self {
            id,
            route,
            stage: Stage::Announced,
            since_ms: now_ms,
            opened,
            facts: Facts::default(),
            terms: None,
            claimable: false,
            submission: None,
            retry: None,
            anomaly: None,
            refusal: None,
            history_len: 0,
        }
    }

    /// What is to be done next, by the stage.
    #[must_use]
    pub const fn action(&self) -> Option<Action> {
        match self.stage {
            Stage::RecvReady => Some(Action::Recv),
            Stage::ClaimReady => Some(Action::Claim),
            Stage::VoidReady => Some(Action::Void),
            Stage::Claimed | Stage::Voided | Stage::Refused => Some(Action::Ack),
            Stage::TimeoutReady => Some(Action::Timeout),
            Stage::Announced
            | Stage::RecvSubmitted
            | Stage::Held
            | Stage::ClaimSubmitted
            | Stage::VoidSubmitted
            | Stage::AckSubmitted
            | Stage::TimeoutSubmitted
            | Stage::Settled
            | Stage::Refunded
            | Stage::TimedOut
            | Stage::Stuck => None,
        }
    }

    /// The chain and the client that take the transaction of an action.
    #[must_use]
    pub const fn target(&self, action: Action) -> (&ChainId, &ClientId) {
        match action {
            Action::Ack | Action::Timeout => (&self.route.source_chain, &self.route.source_client),
            Action::Recv | Action::Claim | Action::Void => (&self.route.dest_chain, &self.route.dest_client),
        }
    }

    /// The preimage that a success ack has shown.
    #[must_use]
    pub fn revealed(&self) -> Option<Preimage> {
        let (acked, terms) = (self.facts.acked.as_ref()?, self.terms.as_ref()?);
        match Acknowledgement::decode(&acked.ack, &terms.hashlock) {
            Ok(Acknowledgement::Success(preimage)) => Some(preimage),
            Ok(Acknowledgement::Error) | Err(_) => None,
        }
    }

    /// The stage the packet falls back to when a transaction of ours did not become final.
    #[must_use]
    pub fn ready_stage(&self) -> Stage {
        match self.submission.as_ref().map(|s| s.action) {
            Some(Action::Timeout) if self.facts.stage() == Stage::RecvReady => Stage::TimeoutReady,
            Some(Action::Void) if self.facts.stage() == Stage::Held => Stage::VoidReady,
            Some(Action::Ack | Action::Recv | Action::Claim | Action::Timeout | Action::Void) | None => {
                self.resting_stage()
            }
        }
    }

    /// The stage that follows from the facts and from whether the preimage is known.
    #[must_use]
    pub fn resting_stage(&self) -> Stage {
        match self.facts.stage() {
            Stage::Held if self.claimable => Stage::ClaimReady,
            stage => stage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crosspoint_protocol::ids::{Height, Sequence};
    use proptest::prelude::*;

    fn event(height: u64, event: PacketEvent) -> ChainEvent {
        let block = Tip { height: Height(height), time: Timestamp(height) };
        ChainEvent { block, index: 0, tx: TxId(format!("tx-{height}")), event }
    }

    /// All that can be seen of a packet with this end, in the order it happens.
    fn story(end: LockEnd) -> Vec<ChainEvent> {
        let (client, sequence): (ClientId, _) = ("client-1".parse().unwrap(), Sequence(1));
        let packet = Packet {
            sequence,
            source_client: client.clone(),
            dest_client: client.clone(),
            timeout: Timestamp(9),
            payload: crosspoint_protocol::packet::Payload {
                source_port: String::new(),
                dest_port: String::new(),
                version: String::new(),
                encoding: String::new(),
                value: vec![],
            },
        };
        let ack = |cause| {
            let (dest_client, ack) = (client.clone(), vec![1]);
            event(3, PacketEvent::AckWritten { dest_client, sequence, ack, cause })
        };
        let received = event(2, PacketEvent::Received { dest_client: client.clone(), sequence, refusal: None });
        let ended = event(4, PacketEvent::Ended { source_client: client.clone(), sequence, end });
        let sent = event(1, PacketEvent::Sent { packet });
        match end {
            LockEnd::Settled => vec![sent, received, ack(AckCause::Claimed), ended],
            LockEnd::Refunded => vec![sent, received, ack(AckCause::Voided), ended],
            LockEnd::TimedOut => vec![sent, ended],
        }
    }

    proptest! {
        #[test]
        fn facts_in_any_order_and_repeated_lead_to_the_same_end(
            end in prop_oneof![Just(LockEnd::Settled), Just(LockEnd::Refunded), Just(LockEnd::TimedOut)],
            picks in proptest::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let events = story(end);
            let (mut told, mut shuffled) = (Facts::default(), Facts::default());
            for event in &events {
                told.learn(event).unwrap();
            }
            for event in picks.iter().map(|pick| pick.get(&events)).chain(&events) {
                shuffled.learn(event).unwrap();
            }
            prop_assert_eq!(&told, &shuffled);
            prop_assert!(told.stage().is_final() && told.anomaly().is_none() && !told.rests_on_unread());
        }
    }

    #[test]
    fn a_refund_of_what_was_claimed_is_an_anomaly() {
        let mut facts = Facts::default();
        for event in story(LockEnd::Settled).iter().take(3) {
            facts.learn(event).unwrap();
        }
        facts.learn(&story(LockEnd::Refunded)[3]).unwrap();
        assert_eq!(facts.anomaly(), Some(Anomaly::RefundedButClaimed));
    }
}
