//! A forwarded transfer is one transfer over several packets: what the links after the first say of it.

use super::{Desk, journal_error, view};
use crate::api::service::ServiceError;
use crate::api::types::{LinkView, TransferView};
use crosspoint_ledger::address::AccountId;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::terms::Hop;
use crosspoint_relayer::life::{HistoryEntry, Life, Stage};
use crosspoint_relayer::route::{PacketId, Route};

/// Most packets looked at under one hashlock; others may lock under it too, to other ends.
const MAX_ALIKE: usize = 1_024;

/// A link after the first.
pub(super) struct Onward {
    pub(super) route: Route,
    pub(super) hop: Hop,
    /// The packet that was sent over it, once the journal knows it.
    pub(super) life: Option<Life>,
}

impl Desk {
    /// A transfer with all its links as the API shows it.
    pub(super) fn whole(
        &self,
        life: &Life,
        packet: Option<&Packet>,
        history: &[HistoryEntry],
    ) -> Result<TransferView, ServiceError> {
        let mut whole = view::transfer(life, packet, history);
        let links = self.links_of(life)?;
        let Some(last) = links.last() else { return Ok(whole) };
        for link in &links {
            if let Ok(received) = whole
                .dest_denom
                .take()
                .map(|denom| denom.received(&link.route.source_client, &link.route.dest_client))
                .transpose()
            {
                whole.dest_denom = received.map(|received| received.denom().clone());
            }
            whole.onward.push(LinkView {
                id: link.life.as_ref().map(|life| life.id.clone()),
                from: link.route.source_chain.clone(),
                client: link.route.source_client.clone(),
                to: link.route.dest_chain.clone(),
                stage: link.life.as_ref().map(|life| life.stage.to_string()),
            });
        }
        (whole.to, whole.dest_client) = (last.route.dest_chain.clone(), last.route.dest_client.clone());
        whole.receiver = Some(last.hop.receiver.clone());
        (whole.timeout, whole.claim_deadline) = (Some(last.hop.timeout), Some(last.hop.claim_deadline));
        // While the hold is bound, the transfer is where its onward packet is.
        let farthest = links.iter().rev().find_map(|link| link.life.as_ref());
        if let Some(farthest) = farthest.filter(|_| life.stage == Stage::Held) {
            whole.stage = farthest.stage.to_string();
            whole.since_ms = farthest.since_ms;
            whole.trouble = whole.trouble.or_else(|| view::trouble(farthest));
        }
        if let (Some(receipt), Some(paid)) = (&mut whole.receipt, &last.life) {
            receipt.claimed = view::claimed(paid);
        }
        if !history.is_empty() {
            for life in links.iter().filter_map(|link| link.life.as_ref()) {
                let history = self.journal.history(&life.id).map_err(journal_error)?;
                whole.history.extend(history.iter().map(|entry| {
                    let mut line = view::history_line(entry);
                    let note = line.note.map_or_else(String::new, |note| format!(": {note}"));
                    line.note = Some(format!("{}{note}", life.id));
                    line
                }));
            }
            whole.history.sort_by_key(|line| line.at_ms);
        }
        Ok(whole)
    }

    /// The packet whose hold its receiver claims: a transfer's own, or the last that it is forwarded with.
    pub(super) fn last_packet(&self, id: &PacketId) -> Result<PacketId, ServiceError> {
        let Some(life) = self.journal.life(id).map_err(journal_error)? else { return Ok(id.clone()) };
        match self.links_of(&life)?.pop() {
            None => Ok(id.clone()),
            Some(Onward { life: Some(last), .. }) => Ok(last.id),
            Some(Onward { route, .. }) => Err(ServiceError::Conflict(format!(
                "transfer {id} was not sent on from {} yet; there is no hold on {} so far",
                route.source_chain, route.dest_chain
            ))),
        }
    }

    /// The links after the first, as far as this service knows their chains.
    pub(super) fn links_of(&self, life: &Life) -> Result<Vec<Onward>, ServiceError> {
        let Some(forward) = life.terms.as_ref().and_then(|terms| terms.onward.as_ref()) else { return Ok(vec![]) };
        let routes = self.journal.routes().map_err(journal_error)?;
        let mut links: Vec<Onward> = vec![];
        let (mut at, mut before) = (life.route.dest_chain.clone(), Some(life.clone()));
        for hop in forward.hops() {
            let route = routes.iter().find(|route| route.source_chain == at && route.source_client == hop.client);
            let Some(route) = route else { break };
            let sent = match &before {
                Some(before) => self.sent_on(before, route)?,
                None => None,
            };
            at = route.dest_chain.clone();
            before.clone_from(&sent);
            links.push(Onward { route: route.clone(), hop: hop.clone(), life: sent });
        }
        Ok(links)
    }

    /// The packet that was sent on over `route` for the one received: its sender is the received packet's own.
    fn sent_on(&self, received: &Life, route: &Route) -> Result<Option<Life>, ServiceError> {
        let Some(terms) = &received.terms else { return Ok(None) };
        let sender = AccountId::forwarding(&received.route.dest_client, received.id.sequence).to_string();
        for life in self.journal.by_hashlock(&terms.hashlock, MAX_ALIKE).map_err(journal_error)? {
            if life.route != *route {
                continue;
            }
            let packet = self.journal.packet(&life.id).map_err(journal_error)?;
            let lock = packet.and_then(|packet| packet.points_lock().ok());
            if lock.is_some_and(|lock| lock.sender.as_str() == sender) {
                return Ok(Some(life));
            }
        }
        Ok(None)
    }
}
