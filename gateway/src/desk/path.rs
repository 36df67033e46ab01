//! Which way points go: over one pair of clients, or forwarded by native chains in between. Found from the clients that are
//! registered on the chains of this service; nobody has to name them.

use super::{Desk, DeskChain};
use crate::api::service::ServiceError;
use crate::api::types::{LinkView, SendRequest};
use crate::batch::rows::AddressForm;
use crosspoint_adapters::chain::{Chain, ClientStatus};
use crosspoint_adapters::error::ChainError;
use crosspoint_ledger::address::AccountId;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{Address, ChainId, Timestamp};
use crosspoint_protocol::lock::Terms;
use crosspoint_protocol::terms::{Forward, Hop, MAX_FORWARDS};

/// One pair of clients that points go over.
#[derive(Clone)]
pub(super) struct Link<'a> {
    /// The client on the chain that sends.
    pub(super) client: ClientStatus,
    /// The chain that receives.
    pub(super) to: &'a DeskChain,
}

/// The links from the payer's chain to the receiver's, in order; never empty.
pub(super) struct Way<'a> {
    pub(super) first: Link<'a>,
    pub(super) onward: Vec<Link<'a>>,
}

/// The packet's receiver, deadlines and terms, as the way makes them.
pub(super) struct Addressed {
    pub(super) receiver: Address,
    pub(super) timeout: Timestamp,
    pub(super) claim_deadline: Timestamp,
    pub(super) terms: Terms,
}

impl<'a> Way<'a> {
    fn links(&self) -> impl Iterator<Item = &Link<'a>> {
        std::iter::once(&self.first).chain(&self.onward)
    }

    /// The links after the first, before anything was sent over them.
    pub(super) fn planned(&self) -> Vec<LinkView> {
        let planned = self.links().zip(&self.onward).map(|(before, link)| LinkView {
            id: None,
            from: before.to.chain.id().clone(),
            client: link.client.client.clone(),
            to: link.to.chain.id().clone(),
            stage: None,
        });
        planned.collect()
    }

    /// What the receiver's chain calls these points.
    pub(super) fn arrives_as(&self, denom: &Denom) -> Result<Denom, ServiceError> {
        let mut denom = denom.clone();
        for link in self.links() {
            let received = denom.received(&link.client.client, &link.client.counterparty_client);
            denom = received.map_err(|e| ServiceError::Invalid(e.to_string()))?.denom().clone();
        }
        Ok(denom)
    }

    /// The latest time that any chain on the way tells.
    pub(super) async fn now(&self, source: &DeskChain) -> Result<Timestamp, ServiceError> {
        let mut now = source.chain.head().await?.latest.time;
        for link in self.links() {
            now = now.max(link.to.chain.head().await?.latest.time);
        }
        Ok(now)
    }

    /// Deadlines for each link. A packet is sent on after the one before was received, so each link has one timeout more
    /// than the link before; which of the claim deadlines is the earlier one matters to nobody's points.
    pub(super) fn address(
        &self,
        receiver: &Address,
        now: Timestamp,
        timeout: u64,
        hold: u64,
    ) -> Result<Addressed, ServiceError> {
        let late = || ServiceError::Invalid("the deadlines leave the range of the chains' clocks".into());
        let window = |links: u64| {
            let timeout = timeout.checked_mul(links).and_then(|all| now.checked_add(all)).ok_or_else(late)?;
            Ok::<_, ServiceError>((timeout, timeout.checked_add(hold).ok_or_else(late)?))
        };
        // What a chain forwards is addressed to that chain itself.
        let forwarder =
            || AccountId::forwarder().to_address().ok_or_else(|| ServiceError::Internal("no forwarder".into()));
        let mut hops = vec![];
        for (link, number) in self.onward.iter().zip(2_u64..) {
            let (timeout, claim_deadline) = window(number)?;
            let last = hops.len().saturating_add(1) == self.onward.len();
            let receiver = if last { receiver.clone() } else { forwarder()? };
            hops.push(Hop { client: link.client.client.clone(), receiver, timeout, claim_deadline });
        }
        let (timeout, claim_deadline) = window(1)?;
        if hops.is_empty() {
            return Ok(Addressed { receiver: receiver.clone(), timeout, claim_deadline, terms: Terms::Plain });
        }
        let terms = Terms::Forward(Forward::new(hops).map_err(|e| ServiceError::Invalid(e.to_string()))?);
        Ok(Addressed { receiver: forwarder()?, timeout, claim_deadline, terms })
    }
}

impl Desk {
    /// The way to the receiver's chain: the pair of clients that leads there, or else the shortest way over native chains.
    pub(super) async fn way<'a>(&'a self, request: &SendRequest) -> Result<Way<'a>, ServiceError> {
        let (source, dest) = (self.chain(&request.from)?, self.chain(&request.to)?);
        if let Some(client) = direct(source.chain.as_ref(), dest.chain.as_ref(), request).await? {
            return Ok(Way { first: Link { client, to: dest }, onward: vec![] });
        }
        let mut silent = None;
        let mut found = self.over_others(source, request, &mut silent).await?;
        let (from, to) = (&request.from, &request.to);
        let Some(way) = found.pop() else {
            // A way may lead over what does not answer now.
            return Err(silent.unwrap_or_else(|| {
                ServiceError::Invalid(format!(
                    "no route leads from {from} to {to}, neither directly nor over {MAX_FORWARDS} native chains in between that this service is connected to; see `GET /v1/routes`"
                ))
            }));
        };
        let hub = way.first.to.chain.id();
        if source.form == AddressForm::Evm {
            return Err(ServiceError::Invalid(format!(
                "points cannot be sent from {from} over {hub} to {to} in one transfer: the contracts on {from} take plain transfers alone; send them to {hub} first, and on from there"
            )));
        }
        if !found.is_empty() {
            return Err(ServiceError::Invalid(format!(
                "several ways lead from {from} to {to}, one of them through client {} over {hub}; name the first client as `client`",
                way.first.client.client
            )));
        }
        Ok(way)
    }

    /// Every shortest way with at least one chain in between.
    async fn over_others<'a>(
        &'a self,
        source: &'a DeskChain,
        request: &SendRequest,
        silent: &mut Option<ServiceError>,
    ) -> Result<Vec<Way<'a>>, ServiceError> {
        let mut ways = vec![];
        for link in self.links_from(source, silent).await? {
            if request.client.as_ref().is_none_or(|wanted| *wanted == link.client.client) {
                ways.push(Way { first: link, onward: vec![] });
            }
        }
        for _ in 0..MAX_FORWARDS {
            let mut longer: Vec<Way<'a>> = vec![];
            for way in ways {
                let last = way.links().last().map_or(source, |link| link.to);
                if last.form != AddressForm::Native {
                    continue;
                }
                let visited = |id: &ChainId| *id == request.from || way.links().any(|link| link.to.chain.id() == id);
                let links = match self.links_from(last, silent).await {
                    Ok(links) => links,
                    Err(error) => {
                        *silent = Some(error);
                        continue;
                    }
                };
                for link in links {
                    if !visited(link.to.chain.id()) {
                        let onward = way.onward.iter().cloned().chain([link]).collect();
                        longer.push(Way { first: way.first.clone(), onward });
                    }
                }
            }
            let (there, others): (Vec<_>, Vec<_>) = longer
                .into_iter()
                .partition(|way| way.links().last().is_some_and(|link| *link.to.chain.id() == request.to));
            if !there.is_empty() {
                return Ok(there);
            }
            ways = others;
        }
        Ok(vec![])
    }

    /// The clients of a chain that points can leave through now, to chains of this service. One of these that does not
    /// answer is left out and noted: it must not keep points from going over others.
    async fn links_from<'a>(
        &'a self,
        from: &DeskChain,
        silent: &mut Option<ServiceError>,
    ) -> Result<Vec<Link<'a>>, ServiceError> {
        let mut links = vec![];
        for client in from.chain.clients().await? {
            let Some(to) = self.chains.get(&client.counterparty_chain).filter(|_| !client.frozen) else { continue };
            match carries(from.chain.as_ref(), to.chain.as_ref(), &client).await {
                Ok(true) => links.push(Link { client, to }),
                Ok(false) => {}
                Err(error) => *silent = Some(error),
            }
        }
        Ok(links)
    }
}

/// The client that leads to the receiver's chain: of several, that of the only pair that this service can carry both ways.
/// `None` if none leads there.
async fn direct(
    source: &dyn Chain,
    dest: &dyn Chain,
    request: &SendRequest,
) -> Result<Option<ClientStatus>, ServiceError> {
    let all = source.clients().await?;
    let leading: Vec<_> = all
        .into_iter()
        .filter(|client| client.counterparty_chain == request.to)
        .filter(|client| request.client.as_ref().is_none_or(|wanted| *wanted == client.client))
        .collect();
    let found = leading.len();
    let mut fitting = vec![];
    for client in leading {
        if carries(source, dest, &client).await? {
            fitting.push(client);
        }
    }
    let (from, to) = (&request.from, &request.to);
    match (fitting.pop(), fitting.is_empty()) {
        (Some(client), true) if client.frozen => Err(ServiceError::Unavailable(format!(
            "client {} is frozen: nothing can be proven through it, so nothing is sent",
            client.client
        ))),
        (Some(client), true) => Ok(Some(client)),
        (Some(_), false) => {
            Err(ServiceError::Invalid(format!("several clients lead from {from} to {to}; name one as `client`")))
        }
        (None, _) if found > 0 => Err(ServiceError::Unavailable(format!(
            "the clients between {from} and {to} believe other headers than those of this service's header_source: nothing could be proven to them, so nothing is sent"
        ))),
        (None, _) => Ok(None),
    }
}

/// Whether what either chain proves moves the pair's client on the other.
async fn carries(source: &dyn Chain, dest: &dyn Chain, client: &ClientStatus) -> Result<bool, ServiceError> {
    if !dest.moves(client.client_type) {
        return Ok(false);
    }
    match dest.client(&client.counterparty_client).await {
        Ok(other) => Ok(source.moves(other.client_type)),
        // The pair is not complete yet.
        Err(ChainError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
