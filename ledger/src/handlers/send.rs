//! Sending a packet, whoever pays for it: a member that locks, or a bound hold whose points are sent on.

use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::htlc::LockState;
use crosspoint_protocol::ids::{Address, ClientId, Sequence};
use crosspoint_protocol::lock::{PointsLock, Terms};
use crosspoint_protocol::packet::{Packet, Payload};
use crosspoint_protocol::window::WindowRules;

use super::account::known_denom;
use super::error::HandlerError;
use super::limits::{self, Moved};
use super::{BlockEnv, client};
use crate::address::AccountId;
use crate::events::Event;
use crate::query::{OutboxList, PacketRef};
use crate::state::access::{ReadRecords, WriteRecords};
use crate::state::keys::{self, Direction};
use crate::state::records::SentPacket;
use crate::state::{OutboxEntry, Space, WriteState};
use crate::tx::message::LockMsg;

/// Who a packet is sent for.
#[derive(Debug, Clone)]
pub struct Payer {
    /// The sender that the packet names.
    pub sender: AccountId,
    /// Whose budget it is charged to.
    pub charged: AccountId,
    /// The packet whose bound hold pays; `None`: the sender's balance does.
    pub forwards: Option<PacketRef>,
}

/// Whether a packet may be sent now, but for limits and what its payer has. The client's counterparty.
pub fn check(state: &impl WriteState, env: &BlockEnv<'_>, msg: &LockMsg) -> Result<ClientId, HandlerError> {
    let id = &msg.client;
    let client = client::known(state, id)?;
    let counterparty = client::counterparty(&client, id)?;
    client.gate(state.governance()?.paused).check_open().map_err(client::shut(id))?;
    client::check_usable(&client, id, env.now)?;
    env.window(client.state.trusting_period()).check(env.now, msg.timeout, msg.claim_deadline)?;
    known_denom(state, &msg.denom)?;
    // The packet would be refused over there: its denom must have room for one more hop.
    msg.denom.received(id, counterparty)?;
    if client.state.is_evm() {
        check_expressible(msg)?;
    }
    if msg.terms.forward().is_some() {
        check_forwarder(&msg.receiver)?;
    }
    Ok(counterparty.clone())
}

/// Sends a packet that passed [`check`]. The caller takes the points from whoever pays.
pub fn send(
    state: &mut impl WriteState,
    env: &BlockEnv<'_>,
    msg: LockMsg,
    counterparty: ClientId,
    payer: Payer,
) -> Result<PacketRef, HandlerError> {
    let id = msg.client;
    let moved = Moved {
        client: &id,
        direction: Direction::Out,
        account: &payer.charged,
        denom: &msg.denom,
        amount: msg.amount,
    };
    let charged_day = limits::charge(state, &moved, env.now)?;
    if msg.denom.came_through() == Some(&id) {
        let mut book = state.voucher_book(&msg.denom)?;
        book.lock_return(msg.amount)?;
        state.put_json(Space::Provable, keys::voucher_book(&msg.denom), &book)?;
    } else {
        let mut book = state.home_book(&id, &msg.denom)?;
        book.lock(msg.amount)?;
        state.put_home_book(&id, &msg.denom, &book)?;
    }

    let sequence = Sequence(state.number(&keys::last_sequence(&id))?).next();
    state.put_number(keys::last_sequence(&id), sequence.0);
    let points = PointsLock {
        denom: msg.denom,
        amount: msg.amount,
        sender: payer.sender.to_address().ok_or(HandlerError::NotMember(payer.sender))?,
        receiver: msg.receiver,
        hashlock: msg.hashlock,
        claim_deadline: msg.claim_deadline,
        terms: msg.terms,
        memo: msg.memo,
    };
    points.validate()?;
    let packet = Packet {
        sequence,
        source_client: id.clone(),
        dest_client: counterparty.clone(),
        timeout: msg.timeout,
        payload: Payload::points(&points),
    };
    let commitment = packet.commitment();
    state.put(Space::Provable, packet.commitment_path().to_bytes(), commitment.to_vec());
    state.append_outbox(OutboxEntry { client: id.clone(), list: OutboxList::Sent, sequence, commitment });
    let record = SentPacket {
        packet: packet.clone(),
        state: LockState::Sent,
        sent: env.tip(),
        charged_day,
        forwards: payer.forwards,
    };
    state.put_json(Space::Plain, keys::sent(&id, sequence), &record)?;
    state.emit(Event::PacketSent {
        source_client: id.clone(),
        dest_client: counterparty,
        sequence,
        sender: payer.sender,
        receiver: points.receiver,
        denom: points.denom,
        amount: points.amount,
        hashlock: points.hashlock,
        timeout: packet.timeout,
        claim_deadline: points.claim_deadline,
        packet,
    });
    Ok(PacketRef { client: id, sequence })
}

/// What the compact records of the EVM contracts can express (docs/protocol.md).
fn check_expressible(msg: &LockMsg) -> Result<(), HandlerError> {
    if msg.terms != Terms::Plain {
        return Err(HandlerError::NotExpressible("points can be forwarded through a native chain alone"));
    }
    if msg.amount > Amount::MAX_COMPACT {
        return Err(HandlerError::NotExpressible("the amount is above 2^96 - 1"));
    }
    let digits = msg.receiver.as_str().strip_prefix("0x").unwrap_or_default();
    if digits.len() != 40 || !digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Err(HandlerError::NotExpressible("the receiver is not 0x and 40 lower-case hex digits"));
    }
    if digits.bytes().all(|b| b == b'0') {
        return Err(HandlerError::NotExpressible("the receiver is the zero address"));
    }
    Ok(())
}

/// Points to be forwarded are for nobody on the chain that forwards them: its own address for it is named.
pub fn check_forwarder(receiver: &Address) -> Result<(), HandlerError> {
    let forwarder = AccountId::forwarder();
    if AccountId::try_from(receiver) == Ok(forwarder) { Ok(()) } else { Err(HandlerError::NotForwarder(forwarder)) }
}

impl BlockEnv<'_> {
    /// The bounds on deadlines for a client with this trusting period.
    #[must_use]
    pub const fn window(&self, trusting_period: u64) -> WindowRules {
        WindowRules { max_timeout: self.params.max_timeout, min_hold: self.params.min_hold, trusting_period }
    }
}
