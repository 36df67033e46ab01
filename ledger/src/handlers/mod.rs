//! What each message does. A handler gets a state it can write and reports what happened by events; if it fails, nothing
//! of its transaction stays.

pub mod account;
pub mod actions;
pub mod batch;
pub mod client;
pub mod end;
pub mod error;
pub mod forward;
pub mod governance;
pub mod hold;
pub mod limits;
pub mod lock;
pub mod points;
pub mod recv;
pub mod send;

use crosspoint_protocol::ids::{Height, Timestamp};

use crate::address::AccountId;
use crate::genesis::Params;
use crate::query::TipView;
use crate::state::WriteState;
use crate::tx::message::Message;
pub(crate) use error::HandlerError;

/// What a handler knows of the block it runs in.
#[derive(Debug, Clone, Copy)]
pub struct BlockEnv<'a> {
    /// The block's height.
    pub height: Height,
    /// The block's time, in whole seconds: `now` to every rule.
    pub now: Timestamp,
    /// What the chain runs by.
    pub params: &'a Params,
}

impl BlockEnv<'_> {
    /// Height and time together.
    #[must_use]
    pub const fn tip(&self) -> TipView {
        TipView { height: self.height, time: self.now }
    }
}

/// How an item that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It took effect.
    Done,
    /// It had taken effect before.
    Duplicate,
}

/// Runs one message of a transaction.
pub fn handle(
    state: &mut impl WriteState,
    env: &BlockEnv<'_>,
    sender: &AccountId,
    index: u32,
    message: Message,
) -> Result<(), HandlerError> {
    match message {
        Message::Transfer { to, denom, amount, memo } => points::transfer(state, sender, &to, &denom, amount, &memo),
        Message::Issue { to, denom, amount } => points::issue(state, sender, &to, &denom, amount),
        Message::Burn { denom, amount } => points::burn(state, sender, &denom, amount),
        Message::Lock(msg) => lock::lock(state, env, sender, msg),
        Message::Claim(items) => batch::claims(state, env, index, &items),
        Message::Void(items) => batch::voids(state, env, index, &items),
        Message::Relay(relay) => batch::relay(state, env, index, &relay),
        Message::SubmitMisbehaviour { client, evidence } => client::misbehaviour(state, &client, &evidence, env.now),
        Message::WithdrawOwed { denom } => points::withdraw_owed(state, sender, &denom),
        Message::Pause { client } => governance::set_pause(state, sender, client, true),
        Message::Unpause { client } => governance::set_pause(state, sender, client, false),
        Message::Propose { action } => governance::propose(state, env, sender, *action),
        Message::Approve { proposal } => governance::approve(state, env, sender, proposal),
    }
}
