//! m-of-n governance over typed actions, and the operators' pause.

use crosspoint_protocol::ids::{ClientId, Timestamp};

use super::error::HandlerError;
use super::{BlockEnv, actions, client};
use crate::address::AccountId;
use crate::events::Event;
use crate::state::access::{ReadRecords, WriteRecords, from_json};
use crate::state::records::Proposal;
use crate::state::{Space, StateError, WriteState, keys};
use crate::tx::action::Action;

/// Most proposals that wait at one time.
const MAX_OPEN: usize = 256;
const PROPOSALS: &str = "proposals";

/// Stops or resumes locks and receipts, of one client or of the chain.
pub fn set_pause(
    state: &mut impl WriteState,
    sender: &AccountId,
    client: Option<ClientId>,
    paused: bool,
) -> Result<(), HandlerError> {
    let mut governance = state.governance()?;
    if !governance.operators.contains(sender) {
        return Err(HandlerError::NotAllowed { account: *sender, needed: "an operator" });
    }
    match &client {
        None => {
            governance.paused = paused;
            state.put_json(Space::Provable, keys::GOVERNANCE.to_vec(), &governance)?;
        }
        Some(id) => {
            let mut record = client::known(state, id)?;
            record.paused = paused;
            state.put_client(id, &record)?;
        }
    }
    state.emit(if paused { Event::Paused { client } } else { Event::Unpaused { client } });
    Ok(())
}

fn check_governor(state: &impl WriteState, account: &AccountId) -> Result<(), HandlerError> {
    if state.governance()?.governors.contains(account) {
        return Ok(());
    }
    Err(HandlerError::NotAllowed { account: *account, needed: "a governor" })
}

/// Proposes an action, and approves it.
pub fn propose(
    state: &mut impl WriteState,
    env: &BlockEnv<'_>,
    sender: &AccountId,
    action: Action,
) -> Result<(), HandlerError> {
    check_governor(state, sender)?;
    if state.scan(Space::Plain, &keys::proposals())?.len() >= MAX_OPEN {
        return Err(HandlerError::Action(format!("{MAX_OPEN} proposals wait already")));
    }
    let number = state.number(&keys::counter(PROPOSALS))?.saturating_add(1);
    state.put_number(keys::counter(PROPOSALS), number);
    let text = serde_json::to_string(&action).map_err(|error| HandlerError::Action(error.to_string()))?;
    state.emit(Event::ProposalCreated { proposal: number, action: text });
    let proposal = Proposal { action, approvals: vec![], created: env.now, ready_at: None };
    count_approval(state, env, sender, number, proposal)
}

/// Approves a proposal. With the last approval needed, and no delay, it takes effect at once; if it cannot, the approval
/// fails with the reason.
pub fn approve(
    state: &mut impl WriteState,
    env: &BlockEnv<'_>,
    sender: &AccountId,
    number: u64,
) -> Result<(), HandlerError> {
    check_governor(state, sender)?;
    let proposal = state.proposal(number)?.ok_or(HandlerError::UnknownProposal(number))?;
    if proposal.approvals.contains(sender) {
        return Err(HandlerError::Action(format!("{sender} has approved proposal {number} already")));
    }
    count_approval(state, env, sender, number, proposal)
}

fn count_approval(
    state: &mut impl WriteState,
    env: &BlockEnv<'_>,
    sender: &AccountId,
    number: u64,
    mut proposal: Proposal,
) -> Result<(), HandlerError> {
    let governance = state.governance()?;
    proposal.approvals.push(*sender);
    state.emit(Event::ProposalApproved { proposal: number, governor: *sender });
    // Governors may have changed since: only today's count.
    let count = proposal.approvals.iter().filter(|account| governance.governors.contains(account)).count();
    if proposal.ready_at.is_none() && count >= usize::try_from(governance.quorum).unwrap_or(usize::MAX) {
        if governance.delay == 0 {
            state.delete(Space::Plain, keys::proposal(number));
            actions::execute(state, env, proposal.action)?;
            state.emit(Event::ProposalExecuted { proposal: number, ok: true, error: None });
            return Ok(());
        }
        proposal.ready_at = Some(Timestamp(env.now.0.saturating_add(governance.delay)));
    }
    Ok(state.put_json(Space::Plain, keys::proposal(number), &proposal)?)
}

/// At the start of a block: executes what has come due, drops what waited too long.
pub fn run_due(state: &mut impl WriteState, env: &BlockEnv<'_>) -> Result<(), StateError> {
    for (key, value) in state.scan(Space::Plain, &keys::proposals())? {
        let proposal: Proposal = from_json(&key, &value)?;
        let expired = proposal.ready_at.is_none() && env.now.since(proposal.created) >= env.params.proposal_lifetime;
        let due = proposal.ready_at.is_some_and(|at| at <= env.now);
        if !due && !expired {
            continue;
        }
        let number = key.get(1..).and_then(|n| n.try_into().ok()).map(u64::from_be_bytes).unwrap_or_default();
        state.delete(Space::Plain, key);
        let done = if due {
            state.attempt(|inner| actions::execute(inner, env, proposal.action))
        } else {
            Err(HandlerError::Action("the quorum did not approve in time".into()))
        };
        let error = match done {
            Ok(()) => None,
            Err(HandlerError::State(error)) => return Err(error),
            Err(error) => Some(error.to_string()),
        };
        state.emit(Event::ProposalExecuted { proposal: number, ok: error.is_none(), error });
    }
    Ok(())
}
