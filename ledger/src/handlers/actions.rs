//! What governance's actions do.

use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{ClientId, Timestamp};

use super::error::HandlerError;
use super::{BlockEnv, account, client};
use crate::address::AccountId;
use crate::events::Event;
use crate::genesis::{is_member_name, is_symbol};
use crate::state::access::{ReadRecords, WriteRecords};
use crate::state::records::{Client, Consensus, DenomInfo, LightClient, Member};
use crate::state::{Space, WriteState, keys};
use crate::tx::action::{Action, ClientSpec, Limits, NewDenom, NewMember};

fn fail<T>(reason: impl Into<String>) -> Result<T, HandlerError> {
    Err(HandlerError::Action(reason.into()))
}

/// Executes an action that governance decided.
pub fn execute(state: &mut impl WriteState, env: &BlockEnv<'_>, action: Action) -> Result<(), HandlerError> {
    match action {
        Action::AddMember(member) => add_member(state, &member),
        Action::SuspendMember { account } => set_suspended(state, &account, true),
        Action::RestoreMember { account } => set_suspended(state, &account, false),
        Action::CreateDenom(denom) => create_denom(state, &denom),
        Action::CreateClient { spec } => create_client(state, env, &spec),
        Action::RegisterCounterparty { client, counterparty_client } => register(state, &client, counterparty_client),
        Action::SetLimits { client, denom, limits } => set_limits(state, &client, &denom, &limits),
        Action::SetVoucherCap { denom, symbol, cap } => set_voucher_cap(state, denom, symbol, cap),
        Action::ReanchorClient { client, spec } => reanchor(state, env, &client, &spec),
        Action::CloseClient { client, spec } => close(state, env, &client, &spec),
        Action::SetGovernors { governors, quorum, delay } => {
            check_members(state, &governors)?;
            if quorum == 0 || usize::try_from(quorum).unwrap_or(usize::MAX) > governors.len() {
                return fail(format!("a quorum of {quorum} of {} governors can never be, or is none", governors.len()));
            }
            let mut governance = state.governance()?;
            (governance.governors, governance.quorum, governance.delay) = (governors, quorum, delay);
            Ok(state.put_json(Space::Provable, keys::GOVERNANCE.to_vec(), &governance)?)
        }
        Action::SetOperators { operators } => {
            check_members(state, &operators)?;
            let mut governance = state.governance()?;
            governance.operators = operators;
            Ok(state.put_json(Space::Provable, keys::GOVERNANCE.to_vec(), &governance)?)
        }
    }
}

fn check_members(state: &impl WriteState, accounts: &[AccountId]) -> Result<(), HandlerError> {
    for (index, one) in accounts.iter().enumerate() {
        account::check_active(state, one)?;
        if accounts.iter().skip(index.saturating_add(1)).any(|other| other == one) {
            return fail(format!("{one} is named twice"));
        }
    }
    Ok(())
}

fn add_member(state: &mut impl WriteState, new: &NewMember) -> Result<(), HandlerError> {
    if !is_member_name(&new.name) {
        return fail("a member's name is 1 to 64 of a-z, 0-9, `.`, `_`, `-`");
    }
    if new.account.is_reserved() {
        return Err(HandlerError::ReservedReceiver(new.account));
    }
    if state.member(&new.account)?.is_some() || state.account_of(&new.name)?.is_some() {
        return fail(format!("there is a member with the name {} or the account {}", new.name, new.account));
    }
    Ok(state.put_member(&new.account, &Member { name: new.name.clone(), role: new.role, suspended: false })?)
}

fn set_suspended(state: &mut impl WriteState, account: &AccountId, suspended: bool) -> Result<(), HandlerError> {
    let mut member = state.member(account)?.ok_or(HandlerError::NotMember(*account))?;
    member.suspended = suspended;
    Ok(state.put_member(account, &member)?)
}

fn create_denom(state: &mut impl WriteState, new: &NewDenom) -> Result<(), HandlerError> {
    if !new.denom.is_home() || new.denom.base_is_token_address() {
        return fail(format!("{} cannot be a home denom: it has hops or is a token address", new.denom));
    }
    if !is_symbol(&new.symbol) {
        return fail("a symbol is 1 to 16 of A-Z, a-z, 0-9");
    }
    if state.denom_info(&new.denom)?.is_some() {
        return fail(format!("denom {} exists", new.denom));
    }
    account::check_active(state, &new.issuer)?;
    let info = DenomInfo {
        symbol: new.symbol.clone(),
        decimals: new.decimals,
        issuer: Some(new.issuer),
        cap: new.cap,
        closed: false,
    };
    Ok(state.put_denom(&new.denom, &info)?)
}

fn set_voucher_cap(
    state: &mut impl WriteState,
    denom: Denom,
    symbol: String,
    cap: crosspoint_protocol::amount::Amount,
) -> Result<(), HandlerError> {
    let Some(through) = denom.came_through() else { return fail(format!("{denom} is no voucher")) };
    client::known(state, through)?;
    if !is_symbol(&symbol) {
        return fail("a symbol is 1 to 16 of A-Z, a-z, 0-9");
    }
    let info = DenomInfo { symbol, decimals: 0, issuer: None, cap, closed: false };
    Ok(state.put_denom(&denom, &info)?)
}

fn set_limits(state: &mut impl WriteState, id: &ClientId, denom: &Denom, limits: &Limits) -> Result<(), HandlerError> {
    client::known(state, id)?;
    account::known_denom(state, denom)?;
    if limits.min > limits.max {
        return fail(format!("the smallest transfer, {}, is above the largest, {}", limits.min, limits.max));
    }
    Ok(state.put_json(Space::Provable, keys::limits(id, denom), limits)?)
}

fn create_client(state: &mut impl WriteState, env: &BlockEnv<'_>, spec: &ClientSpec) -> Result<(), HandlerError> {
    let (light, consensus) = client::anchor(spec, 0, env.now)?;
    let name = light.type_name();
    let number = state.number(&keys::counter(name))?;
    state.put_number(keys::counter(name), number.saturating_add(1));
    let id: ClientId = format!("{name}-{number}").parse().or_else(|error| fail(format!("{error}")))?;
    let client = Client { state: light, counterparty: None, paused: false, closed: false };
    client::check_usable(&client, &id, env.now)?;
    client::put(state, &id, &client, &consensus)?;
    state.emit(Event::ClientCreated { client: id, client_type: name.into() });
    Ok(())
}

fn register(state: &mut impl WriteState, id: &ClientId, counterparty: ClientId) -> Result<(), HandlerError> {
    let mut client = client::known(state, id)?;
    if let Some(other) = &client.counterparty {
        return fail(format!("client {id} has the counterparty {other}; it never changes"));
    }
    client.counterparty = Some(counterparty.clone());
    state.put_client(id, &client)?;
    state.emit(Event::CounterpartyRegistered { client: id.clone(), counterparty_client: counterparty });
    Ok(())
}

/// The same chain and store, with a new anchor of the next generation.
fn next_generation(
    client: &Client,
    id: &ClientId,
    spec: &ClientSpec,
    now: Timestamp,
) -> Result<(LightClient, Consensus), HandlerError> {
    let (next, consensus) = client::anchor(spec, client.state.generation().saturating_add(1), now)?;
    if !client.state.same_counterparty(&next) {
        return fail(format!("client {id} follows another chain or store; that never changes"));
    }
    if let (LightClient::Attested(old), LightClient::Attested(new)) = (&client.state, &next) {
        let same = old.attestors == new.attestors;
        if new.epoch < old.epoch || (new.epoch == old.epoch && !same) {
            let (epoch, above) = (old.epoch, if same { "at least" } else { "above" });
            return fail(format!(
                "client {id} is at attestor epoch {epoch}; these attestors need one {above} that: what was signed under an epoch that comes again could be replayed"
            ));
        }
    }
    Ok((next, consensus))
}

fn reanchor(
    state: &mut impl WriteState,
    env: &BlockEnv<'_>,
    id: &ClientId,
    spec: &ClientSpec,
) -> Result<(), HandlerError> {
    let mut client = client::known(state, id)?;
    if client.closed {
        return Err(HandlerError::ClientClosed(id.clone()));
    }
    let (next, consensus) = next_generation(&client, id, spec, env.now)?;
    client.state = next;
    client::check_usable(&client, id, env.now)?;
    client::put(state, id, &client, &consensus)?;
    state.emit(Event::ClientReanchored { client: id.clone(), generation: client.state.generation() });
    Ok(())
}

/// A final state with a time after every timeout; nothing can follow it.
fn close(
    state: &mut impl WriteState,
    env: &BlockEnv<'_>,
    id: &ClientId,
    spec: &ClientSpec,
) -> Result<(), HandlerError> {
    let mut client = client::known(state, id)?;
    if client.closed {
        return Err(HandlerError::ClientClosed(id.clone()));
    }
    let (mut last, mut consensus) = next_generation(&client, id, spec, env.now)?;
    last.set_time(Timestamp(u64::MAX));
    consensus.set_time(Timestamp(u64::MAX));
    (client.state, client.closed) = (last, true);
    client::put(state, id, &client, &consensus)?;
    state.emit(Event::ClientClosed { client: id.clone() });
    Ok(())
}
