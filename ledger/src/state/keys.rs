//! Every key of the state, and nothing else.
//!
//! Provable keys are text with a `/` after the first word, or the paths of IBC v2, whose client id is followed by
//! 0x01, 0x02 or 0x03: neither can be taken for the other. Plain keys start with the byte of their table; a client id in
//! one is followed by 0x00, which no id contains.

use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{ClientId, Height, Sequence};
use crosspoint_protocol::secret::Hashlock;

use crate::address::AccountId;
use crate::query::OutboxList;

/// Whether points leave or come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Direction {
    /// Locks.
    Out = 0,
    /// Holds.
    In = 1,
}

/// Height and time of the newest block → [`super::records::ChainTip`].
pub const CHAIN_TIP: &[u8] = b"chain/tip";
/// Digest of the plain state's set hash → 32 bytes.
pub const PLAIN_DIGEST: &[u8] = b"chain/plain";
/// → [`super::records::Governance`].
pub const GOVERNANCE: &[u8] = b"chain/governance";

/// Outbox head → 32 bytes.
#[must_use]
pub fn outbox_head(client: &ClientId, list: OutboxList) -> Vec<u8> {
    format!("outbox/{client}/{}", list.as_str()).into_bytes()
}

/// → [`super::records::DenomInfo`].
#[must_use]
pub fn denom_info(denom: &Denom) -> Vec<u8> {
    format!("denom/{denom}").into_bytes()
}

/// → [`super::records::Supply`].
#[must_use]
pub fn supply(denom: &Denom) -> Vec<u8> {
    format!("supply/{denom}").into_bytes()
}

/// → `HomeBook`.
#[must_use]
pub fn home_book(client: &ClientId, denom: &Denom) -> Vec<u8> {
    format!("home/{client}/{denom}").into_bytes()
}

/// → `VoucherBook`. The client is the denom's first hop.
#[must_use]
pub fn voucher_book(denom: &Denom) -> Vec<u8> {
    format!("voucher/{denom}").into_bytes()
}

/// → [`super::records::Client`].
#[must_use]
pub fn client(client: &ClientId) -> Vec<u8> {
    format!("client/{client}").into_bytes()
}

/// A state that a client trusts → [`super::records::Consensus`].
#[must_use]
pub fn consensus(client: &ClientId, generation: u64, height: Height) -> Vec<u8> {
    format!("consensus/{client}/{generation}/{height}").into_bytes()
}

/// → `Limits`.
#[must_use]
pub fn limits(client: &ClientId, denom: &Denom) -> Vec<u8> {
    format!("limits/{client}/{denom}").into_bytes()
}

const MEMBER: u8 = 1;
const MEMBER_NAME: u8 = 2;
const NONCE: u8 = 3;
const BALANCE: u8 = 4;
const OWED: u8 = 5;
const HASHLOCK: u8 = 6;
const SENT: u8 = 7;
const HOLD: u8 = 8;
const NEXT_SEQUENCE: u8 = 9;
const OUTBOX: u8 = 10;
const CLIENT_INDEX: u8 = 11;
const DENOM_INDEX: u8 = 12;
const HOME_INDEX: u8 = 13;
const DAILY: u8 = 14;
const IN_FLIGHT: u8 = 15;
const PROPOSAL: u8 = 16;
const COUNTER: u8 = 17;

fn key(table: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![table];
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

/// → [`super::records::Member`].
#[must_use]
pub fn member(account: &AccountId) -> Vec<u8> {
    key(MEMBER, &[account.as_bytes()])
}

/// All members.
#[must_use]
pub fn members() -> Vec<u8> {
    key(MEMBER, &[])
}

/// A member's name → its account's 20 bytes.
#[must_use]
pub fn member_name(name: &str) -> Vec<u8> {
    key(MEMBER_NAME, &[name.as_bytes()])
}

/// An account's last nonce → u64, big-endian.
#[must_use]
pub fn nonce(account: &AccountId) -> Vec<u8> {
    key(NONCE, &[account.as_bytes()])
}

/// An account's balance of a denom → u128, big-endian; absent is 0.
#[must_use]
pub fn balance(account: &AccountId, denom: &Denom) -> Vec<u8> {
    key(BALANCE, &[account.as_bytes(), denom.to_string().as_bytes()])
}

/// All balances of an account; the rest of the key is the denom.
#[must_use]
pub fn balances_of(account: &AccountId) -> Vec<u8> {
    key(BALANCE, &[account.as_bytes()])
}

/// All balances; 20 bytes of account follow, then the denom.
#[must_use]
pub fn balances() -> Vec<u8> {
    key(BALANCE, &[])
}

/// What a party is owed of a denom → u128, big-endian; absent is 0.
#[must_use]
pub fn owed(account: &AccountId, denom: &Denom) -> Vec<u8> {
    key(OWED, &[account.as_bytes(), denom.to_string().as_bytes()])
}

/// All that an account is owed.
#[must_use]
pub fn owed_of(account: &AccountId) -> Vec<u8> {
    key(OWED, &[account.as_bytes()])
}

/// All that is owed.
#[must_use]
pub fn all_owed() -> Vec<u8> {
    key(OWED, &[])
}

/// A hashlock that a sender used → empty.
#[must_use]
pub fn hashlock(sender: &AccountId, hashlock: &Hashlock) -> Vec<u8> {
    key(HASHLOCK, &[sender.as_bytes(), &hashlock.0])
}

/// A packet sent → [`super::records::SentPacket`].
#[must_use]
pub fn sent(client: &ClientId, sequence: Sequence) -> Vec<u8> {
    key(SENT, &[client.as_bytes(), &[0], &sequence.0.to_be_bytes()])
}

/// A packet received → [`super::records::Hold`].
#[must_use]
pub fn hold(client: &ClientId, sequence: Sequence) -> Vec<u8> {
    key(HOLD, &[client.as_bytes(), &[0], &sequence.0.to_be_bytes()])
}

/// The number of the last packet sent → u64, big-endian.
#[must_use]
pub fn last_sequence(client: &ClientId) -> Vec<u8> {
    key(NEXT_SEQUENCE, &[client.as_bytes()])
}

/// All blocks of an outbox list; the height follows.
#[must_use]
pub fn outbox_blocks(client: &ClientId, list: OutboxList) -> Vec<u8> {
    let list = match list {
        OutboxList::Sent => 1,
        OutboxList::Acked => 3,
    };
    key(OUTBOX, &[client.as_bytes(), &[0, list]])
}

/// A block's part of an outbox list → [`super::records::OutboxBlock`].
#[must_use]
pub fn outbox_block(client: &ClientId, list: OutboxList, height: Height) -> Vec<u8> {
    let mut key = outbox_blocks(client, list);
    key.extend_from_slice(&height.0.to_be_bytes());
    key
}

/// Clients there are → empty.
#[must_use]
pub fn client_index(client: &ClientId) -> Vec<u8> {
    key(CLIENT_INDEX, &[client.as_bytes()])
}

/// All clients; the rest of the key is the id.
#[must_use]
pub fn clients() -> Vec<u8> {
    key(CLIENT_INDEX, &[])
}

/// Denoms there are → empty.
#[must_use]
pub fn denom_index(denom: &Denom) -> Vec<u8> {
    key(DENOM_INDEX, &[denom.to_string().as_bytes()])
}

/// All denoms; the rest of the key is the denom.
#[must_use]
pub fn denoms() -> Vec<u8> {
    key(DENOM_INDEX, &[])
}

/// Clients a denom went out through → empty.
#[must_use]
pub fn home_index(denom: &Denom, client: &ClientId) -> Vec<u8> {
    key(HOME_INDEX, &[denom.to_string().as_bytes(), &[0], client.as_bytes()])
}

/// All clients a denom went out through; the rest of the key is the id.
#[must_use]
pub fn home_clients(denom: &Denom) -> Vec<u8> {
    key(HOME_INDEX, &[denom.to_string().as_bytes(), &[0]])
}

/// What a member moved through a client on one day → u128, big-endian.
#[must_use]
pub fn daily(client: &ClientId, direction: Direction, day: u64, account: &AccountId, denom: &Denom) -> Vec<u8> {
    let denom = denom.to_string();
    key(DAILY, &[client.as_bytes(), &[0, direction as u8], &day.to_be_bytes(), account.as_bytes(), denom.as_bytes()])
}

/// What is in flight of a denom through a client → u128, big-endian.
#[must_use]
pub fn in_flight(client: &ClientId, direction: Direction, denom: &Denom) -> Vec<u8> {
    key(IN_FLIGHT, &[client.as_bytes(), &[0, direction as u8], denom.to_string().as_bytes()])
}

/// → [`super::records::Proposal`].
#[must_use]
pub fn proposal(number: u64) -> Vec<u8> {
    key(PROPOSAL, &[&number.to_be_bytes()])
}

/// All proposals.
#[must_use]
pub fn proposals() -> Vec<u8> {
    key(PROPOSAL, &[])
}

/// A running number of this name → u64, big-endian.
#[must_use]
pub fn counter(name: &str) -> Vec<u8> {
    key(COUNTER, &[name.as_bytes()])
}
