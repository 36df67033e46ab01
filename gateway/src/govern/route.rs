//! Opens a route: a client on each chain that follows the other, from headers that their own signers vouch for, each
//! registered as the other's counterparty.
//!
//! What is there already is left alone, so that opening goes on where it stopped: at another governor, a delay, or the
//! council of an EVM chain.

use super::{Council, Decision, GovernError};
use crosspoint_adapters::chain::{Chain, ClientType};
use crosspoint_adapters::evm::EvmChain;
use crosspoint_ledger::tx::action::{Action, ClientSpec};
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{ChainId, ClientId};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait for a final block of an EVM chain that its attestors vouch for.
const PATIENCE: Duration = Duration::from_secs(30);

/// One chain of a route.
pub enum End {
    /// A native chain, by its governors.
    Native(Council),
    /// An EVM chain: `crosspoint deploy` and its council open clients there.
    Evm(Arc<EvmChain>),
}

/// Points of the other chain that are to be received as vouchers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voucher {
    /// The chain that receives them.
    pub on: ChainId,
    /// As the other chain names them.
    pub denom: Denom,
    /// A short name for people.
    pub symbol: String,
    /// Most there may be, in base units.
    pub cap: Amount,
}

/// A step, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The chain it is on.
    pub chain: ChainId,
    /// What.
    pub what: String,
    /// Whether it is done.
    pub done: bool,
    /// How far it is, and what to do next.
    pub state: String,
}

/// The clients of a route, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Pair {
    here: Option<ClientId>,
    there: Option<ClientId>,
}

/// What a chain has towards another: clients, with their counterparties.
type Clients = Vec<(ClientId, Option<ClientId>)>;

impl End {
    /// The chain.
    #[must_use]
    pub fn id(&self) -> &ChainId {
        match self {
            Self::Native(council) => council.chain().id(),
            Self::Evm(chain) => chain.id(),
        }
    }

    /// Of which type a client of this chain is, on a native one.
    fn followed_by(&self) -> ClientType {
        let Self::Evm(chain) = self else { return ClientType::Tendermint };
        [ClientType::Attested, ClientType::Qbft, ClientType::EthereumPos]
            .into_iter()
            .find(|kind| chain.moves(*kind))
            .unwrap_or(ClientType::Attested)
    }

    async fn spec(&self, trusting_period: u64) -> Result<ClientSpec, GovernError> {
        Ok(match self {
            Self::Native(council) => ClientSpec::Tendermint(council.chain().client_spec(trusting_period).await?),
            Self::Evm(chain) => chain.client_spec(trusting_period, PATIENCE).await?,
        })
    }

    /// Its clients of the other chain, frozen and closed ones left out.
    async fn clients_of(&self, other: &Self) -> Result<Clients, GovernError> {
        let kind = other.followed_by();
        Ok(match self {
            Self::Native(council) => {
                let views = council.chain().client_views().await?.into_iter();
                let open = views.filter(|view| {
                    view.counterparty_chain == *other.id()
                        && view.client_type == kind.as_str()
                        && !(view.frozen || view.closed)
                });
                open.map(|view| (view.client, view.counterparty_client)).collect()
            }
            Self::Evm(chain) => {
                let clients = chain.clients().await?.into_iter();
                let open = clients.filter(|client| client.counterparty_chain == *other.id() && !client.frozen);
                open.map(|client| (client.client, Some(client.counterparty_client))).collect()
            }
        })
    }
}

/// The two that belong together, or that can be made to: a pair that is registered on both sides first, then one of which
/// one side is registered, then the oldest that are free.
fn pair(here: &Clients, there: &Clients) -> Pair {
    let both = |(a, to): &(ClientId, Option<ClientId>)| {
        let back = there.iter().find(|(b, _)| Some(b) == to.as_ref())?;
        (back.1.as_ref() == Some(a)).then(|| (a.clone(), back.0.clone()))
    };
    if let Some((a, b)) = here.iter().find_map(both) {
        return Pair { here: Some(a), there: Some(b) };
    }
    let free = |clients: &Clients| clients.iter().find(|(_, to)| to.is_none()).map(|(client, _)| client.clone());
    if let Some((a, b)) = there.iter().find_map(|(b, to)| {
        let to = to.as_ref()?;
        here.iter().any(|(a, back)| a == to && back.is_none()).then(|| (to.clone(), b.clone()))
    }) {
        return Pair { here: Some(a), there: Some(b) };
    }
    if let Some((a, b)) = here.iter().find_map(|(a, to)| {
        let to = to.as_ref()?;
        there.iter().any(|(b, back)| b == to && back.is_none()).then(|| (a.clone(), to.clone()))
    }) {
        return Pair { here: Some(a), there: Some(b) };
    }
    Pair { here: free(here), there: free(there) }
}

/// Does what can be done of a route between two chains, of which one is native; says how far it is.
///
/// # Errors
/// What failed; what was done before stays, and the next run goes on from it.
pub async fn open(a: &End, b: &End, trusting_period: u64, vouchers: &[Voucher]) -> Result<Vec<Step>, GovernError> {
    if a.id() == b.id() {
        return Err(GovernError::Cannot(format!("a route leads from a chain to another, not from {0} to {0}", a.id())));
    }
    if let (End::Evm(_), End::Evm(_)) = (a, b) {
        let what = format!("a route between {} and {} needs a native chain between them: the hub", a.id(), b.id());
        return Err(GovernError::Cannot(what));
    }
    let mut steps = vec![];
    for (on, other) in [(a, b), (b, a)] {
        steps.push(client(on, other, pair_of(on, other).await?, trusting_period).await?);
    }
    for (on, other) in [(a, b), (b, a)] {
        let pair = pair_of(on, other).await?;
        if let (End::Native(council), Some(client), Some(counterparty)) = (on, pair.here, pair.there) {
            steps.push(register(council, client, counterparty).await?);
        }
    }
    for voucher in vouchers {
        let (on, other) = if voucher.on == *a.id() { (a, b) } else { (b, a) };
        if voucher.on != *on.id() {
            return Err(GovernError::Cannot(format!("{} is no end of this route", voucher.on)));
        }
        let pair = pair_of(on, other).await?;
        if let (Some(client), Some(counterparty)) = (pair.here, pair.there) {
            steps.push(admit(on, voucher, &client, &counterparty).await?);
        }
    }
    Ok(steps)
}

async fn pair_of(on: &End, other: &End) -> Result<Pair, GovernError> {
    Ok(pair(&on.clients_of(other).await?, &other.clients_of(on).await?))
}

fn step(chain: &ChainId, what: String, decision: &Decision, done: &str) -> Step {
    let (done, state) = match decision {
        Decision::Done(_) => (true, done.to_owned()),
        Decision::Waits { proposal, ready_at: Some(at), .. } => (
            false,
            format!("proposal {proposal} takes effect at {}; then run this again", crate::cli::output::utc(at.0)),
        ),
        Decision::Waits { proposal, approvals, quorum, .. } => (
            false,
            format!(
                "proposal {proposal} has {approvals} of {quorum} approvals; another governor: crosspoint govern approve --chain {chain} --proposal {proposal}"
            ),
        ),
    };
    Step { chain: chain.clone(), what, done, state }
}

/// The client on one chain that follows the other.
async fn client(on: &End, other: &End, known: Pair, trusting_period: u64) -> Result<Step, GovernError> {
    let what = format!("client of {}", other.id());
    if let Some(client) = known.here {
        return Ok(Step { chain: on.id().clone(), what, done: true, state: format!("{client} is there") });
    }
    let End::Native(council) = on else {
        let counterparty = known.there.map_or_else(|| "its client".into(), |client| client.to_string());
        let state = format!(
            "not there: put a client with the counterparty {counterparty} into the plan, and deploy it (or have the council open it); then run this again"
        );
        return Ok(Step { chain: on.id().clone(), what, done: false, state });
    };
    let kind = other.followed_by();
    let is_it = |action: &Action| match action {
        Action::CreateClient { spec } => chain_of(spec) == other.id().as_str() && type_of(spec) == kind,
        _ => false,
    };
    let spec = Box::new(other.spec(trusting_period).await?);
    let decision = council.decide(Action::CreateClient { spec }, is_it).await?;
    let made = match &decision {
        Decision::Done(_) => pair_of(on, other).await?.here.map(|client| format!("{client} is made")),
        Decision::Waits { .. } => None,
    };
    Ok(step(on.id(), what, &decision, &made.unwrap_or_else(|| "made".into())))
}

fn chain_of(spec: &ClientSpec) -> String {
    match spec {
        ClientSpec::Tendermint(spec) => spec.chain_id.to_string(),
        ClientSpec::Attested(spec) => format!("eip155-{}", spec.chain_id),
        ClientSpec::Qbft(spec) => format!("eip155-{}", spec.chain_id),
        ClientSpec::EthereumPos(spec) => format!("eip155-{}", spec.chain_id),
    }
}

const fn type_of(spec: &ClientSpec) -> ClientType {
    match spec {
        ClientSpec::Tendermint(_) => ClientType::Tendermint,
        ClientSpec::Attested(_) => ClientType::Attested,
        ClientSpec::Qbft(_) => ClientType::Qbft,
        ClientSpec::EthereumPos(_) => ClientType::EthereumPos,
    }
}

async fn register(council: &Council, client: ClientId, counterparty: ClientId) -> Result<Step, GovernError> {
    let what = format!("{client} with {counterparty} as its counterparty");
    let views = council.chain().client_views().await?;
    if views.iter().any(|view| view.client == client && view.counterparty_client.as_ref() == Some(&counterparty)) {
        let state = "registered".into();
        return Ok(Step { chain: council.chain().id().clone(), what, done: true, state });
    }
    let action = Action::RegisterCounterparty { client, counterparty_client: counterparty };
    let wanted = action.clone();
    let decision = council.decide(action, |known| *known == wanted).await?;
    Ok(step(council.chain().id(), what, &decision, "registered"))
}

async fn admit(on: &End, voucher: &Voucher, client: &ClientId, counterparty: &ClientId) -> Result<Step, GovernError> {
    let what = format!("vouchers of {}", voucher.denom);
    let End::Native(council) = on else {
        let state = "of an EVM chain: put them into the plan, and deploy it".into();
        return Ok(Step { chain: on.id().clone(), what, done: false, state });
    };
    let received = voucher.denom.received(counterparty, client);
    let received = received.map_err(|e| GovernError::Cannot(format!("{}: {e}", voucher.denom)))?;
    let (denom, cap) = (received.denom().clone(), voucher.cap);
    let open = council.chain().cap(&denom).await?;
    if let Some(found) = open {
        let done = found == cap;
        let state =
            if done { format!("{denom}, at most {cap}") } else { format!("{denom} has the cap {found}, not {cap}") };
        return Ok(Step { chain: on.id().clone(), what, done, state });
    }
    let action = Action::SetVoucherCap { denom: denom.clone(), symbol: voucher.symbol.clone(), cap };
    let wanted = action.clone();
    let decision = council.decide(action, |known| *known == wanted).await?;
    Ok(step(on.id(), what, &decision, &format!("{denom}, at most {cap}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(of: &[(&str, Option<&str>)]) -> Clients {
        of.iter().map(|(a, to)| (a.parse().unwrap(), to.map(|to| to.parse().unwrap()))).collect()
    }

    #[test]
    fn clients_are_paired_as_they_are_registered_and_free_ones_with_each_other() {
        type Side = &'static [(&'static str, Option<&'static str>)];
        let cases: [(Side, Side, Option<&str>, Option<&str>); 7] = [
            (&[], &[], None, None),
            (&[("tend-0", None)], &[], Some("tend-0"), None),
            (&[("tend-0", None)], &[("othe-0", None)], Some("tend-0"), Some("othe-0")),
            (
                &[("tend-0", None), ("tend-1", Some("othe-1"))],
                &[("othe-0", None), ("othe-1", Some("tend-1"))],
                Some("tend-1"),
                Some("othe-1"),
            ),
            (&[("tend-0", None), ("tend-1", None)], &[("othe-0", Some("tend-1"))], Some("tend-1"), Some("othe-0")),
            (&[("tend-0", Some("othe-1"))], &[("othe-0", None), ("othe-1", None)], Some("tend-0"), Some("othe-1")),
            // One that belongs to a client which is not there is nobody's.
            (&[("tend-0", Some("othe-9")), ("tend-1", None)], &[("othe-0", None)], Some("tend-1"), Some("othe-0")),
        ];
        for (here, there, a, b) in cases {
            let found = pair(&clients(here), &clients(there));
            let text = |client: &Option<ClientId>| client.as_ref().map(ToString::to_string);
            assert_eq!((text(&found.here).as_deref(), text(&found.there).as_deref()), (a, b), "{here:?} {there:?}");
        }
    }
}
