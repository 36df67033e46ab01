//! Finding a cut on which the books can be compared, from the journal or by reading the chains anew.

use super::books::Books;
use super::{AuditReport, audit_books};
use crate::journal::{JournalError, Totals};
use crate::life::{Life, Terms};
use crate::route::Route;
use crate::shared::{RelayError, Shared};
use crosspoint_adapters::chain::{Chain, ChainEvent, DenomSupply, PacketEvent};
use crosspoint_adapters::error::ChainError;
use crosspoint_protocol::ids::{ChainId, ClientId, Height};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How often a cut is tried before the audit gives up: each chain moves on between tries.
const TRIES: u32 = 40;
/// Most blocks asked for in one call when the chains are read anew.
const SPAN: u64 = 1_000;

/// Why there was no audit.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A chain failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// No two heights were found at which the chains' events fit together.
    #[error(
        "no consistent cut was found: {waiting} packets rest on events that were not read; is a chain stalled or a node withholding events?"
    )]
    NoCut {
        /// Packets with a fact that rests on one not read.
        waiting: u64,
    },
}

impl From<RelayError> for AuditError {
    fn from(error: RelayError) -> Self {
        match error {
            RelayError::Chain(error) => Self::Chain(error),
            RelayError::Journal(error) => Self::Journal(error),
            other @ (RelayError::Intake(_) | RelayError::Disputed(_)) => {
                Self::Journal(JournalError::Totals(other.to_string()))
            }
        }
    }
}

/// What the journal knew at one instant.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    heights: BTreeMap<ChainId, Height>,
    routes: Vec<Route>,
    totals: BTreeMap<(ChainId, ClientId), Totals>,
}

impl Cut {
    fn waiting(&self) -> u64 {
        self.totals.values().fold(0, |n, totals| n.saturating_add(totals.unread))
    }
}

/// Audits on what the journal has read. Chains that do not answer, and the routes to them, are left out.
pub(crate) async fn audit_journal(shared: &Arc<Shared>) -> Result<AuditReport, AuditError> {
    let mut waiting = 0;
    for _ in 0..TRIES {
        let cut = cut_journal(shared).await?;
        waiting = cut.waiting();
        if waiting == 0 && !cut.heights.is_empty() {
            let mut supply = BTreeMap::new();
            for (id, height) in &cut.heights {
                let chain = shared.chain(id)?;
                match shared.call(id, "supply", chain.supply(*height)).await {
                    Ok(denoms) => {
                        supply.insert(id.clone(), denoms);
                    }
                    Err(error) => tracing::warn!(chain = %id, %error, "left out of the supply audit"),
                }
            }
            if supply.is_empty() {
                return Err(AuditError::NoCut { waiting });
            }
            return Ok(audit_books(&books(cut, supply)));
        }
        if !shared.rest(Duration::from_millis(shared.config.tick_ms)).await {
            break;
        }
    }
    Err(AuditError::NoCut { waiting })
}

fn books(cut: Cut, supply: BTreeMap<ChainId, Vec<DenomSupply>>) -> Books {
    let both = |route: &Route| supply.contains_key(&route.source_chain) && supply.contains_key(&route.dest_chain);
    let routes = cut.routes.into_iter().filter(both).collect();
    let heights = cut.heights.into_iter().filter(|(id, _)| supply.contains_key(id)).collect();
    Books { cut: heights, supply, routes, totals: cut.totals }
}

/// Reads heights and totals between two steps, so that they belong together. Chains whose events are being
/// read again are left out.
async fn cut_journal(shared: &Arc<Shared>) -> Result<Cut, JournalError> {
    let chains: Vec<ChainId> = shared.chains.keys().cloned().collect();
    shared
        .journal
        .step(move |step| {
            let journal = step.journal();
            let mut cut = Cut::default();
            for id in chains {
                if let Some(cursor) = journal.cursor(&id)?.filter(|cursor| cursor.height >= cursor.read) {
                    cut.heights.insert(id, cursor.height);
                }
            }
            let there = |route: &Route| {
                cut.heights.contains_key(&route.source_chain) && cut.heights.contains_key(&route.dest_chain)
            };
            cut.routes = journal.routes()?.into_iter().filter(there).collect();
            for route in &cut.routes {
                let totals = journal.totals(&route.source_chain, &route.source_client)?;
                cut.totals.insert((route.source_chain.clone(), route.source_client.clone()), totals);
            }
            Ok(cut)
        })
        .await
}

/// Audits by reading every event of the chains anew, without a journal: for an auditor who trusts no relayer.
/// `progress` is told the chain, the block read up to and the last block to read. Memory grows with the
/// number of packets.
pub async fn audit_once(
    chains: &[Arc<dyn Chain>],
    progress: &(dyn Fn(&ChainId, Height, Height) + Send + Sync),
) -> Result<AuditReport, AuditError> {
    let mut scan = Scan::default();
    let ours: BTreeSet<&ChainId> = chains.iter().map(|chain| chain.id()).collect();
    for chain in chains {
        for client in chain.clients().await? {
            if ours.contains(&client.counterparty_chain) {
                let route = Route::into_client(chain.id(), &client);
                scan.into.insert((chain.id().clone(), client.client), route.clone());
                scan.cut.routes.push(route);
            }
        }
    }
    for _ in 0..TRIES {
        for chain in chains {
            let head = match scan.cut.heights.get(chain.id()) {
                Some(height) => chain.next_head(*height).await?,
                None => chain.head().await?,
            };
            scan.read(chain, head.finalized.height, progress).await?;
        }
        if scan.cut.waiting() == 0 {
            let mut supply = BTreeMap::new();
            for chain in chains {
                let at = scan.cut.heights.get(chain.id()).copied().unwrap_or_default();
                supply.insert(chain.id().clone(), chain.supply(at).await?);
            }
            return Ok(audit_books(&books(scan.cut, supply)));
        }
    }
    Err(AuditError::NoCut { waiting: scan.cut.waiting() })
}

#[derive(Default)]
struct Scan {
    cut: Cut,
    /// The route into each client, by the chain and the client.
    into: BTreeMap<(ChainId, ClientId), Route>,
    lives: BTreeMap<crate::route::PacketId, Life>,
}

impl Scan {
    async fn read(
        &mut self,
        chain: &Arc<dyn Chain>,
        to: Height,
        progress: &(dyn Fn(&ChainId, Height, Height) + Send + Sync),
    ) -> Result<(), AuditError> {
        let mut at = match self.cut.heights.get(chain.id()) {
            Some(at) => *at,
            None => Height(chain.first_height().await?.0.saturating_sub(1)),
        };
        let mut span = SPAN;
        while at < to {
            let end = Height(at.0.saturating_add(span).min(to.0));
            let events = match chain.events(at.next(), end).await {
                // Blocks full of events are read one by one.
                Err(ChainError::InvalidRequest(_)) if end > at.next() => {
                    span = end.0.saturating_sub(at.0).div_ceil(2);
                    continue;
                }
                events => events?,
            };
            for event in events {
                self.absorb(chain.id(), &event)?;
            }
            at = end;
            progress(chain.id(), at, to);
        }
        self.cut.heights.insert(chain.id().clone(), at);
        Ok(())
    }

    fn absorb(&mut self, chain: &ChainId, event: &ChainEvent) -> Result<(), AuditError> {
        let (client, sequence, sent_here) = match &event.event {
            PacketEvent::Sent { packet } => (&packet.source_client, packet.sequence, true),
            PacketEvent::Ended { source_client, sequence, .. } => (source_client, *sequence, true),
            PacketEvent::Received { dest_client, sequence, .. }
            | PacketEvent::AckWritten { dest_client, sequence, .. } => (dest_client, *sequence, false),
        };
        let Some(into) = self.into.get(&(chain.clone(), client.clone())) else { return Ok(()) };
        let route = if sent_here { into.reversed() } else { into.clone() };
        let id = route.packet(sequence);
        let before = self.lives.get(&id).cloned();
        let mut life = before.clone().unwrap_or_else(|| Life::new(id.clone(), route.clone(), event.block.time, 0));
        if let Err(anomaly) = life.facts.learn(event) {
            life.anomaly = Some(anomaly);
        }
        if let PacketEvent::Sent { packet } = &event.event {
            life.terms = Terms::of(packet);
        }
        life.anomaly = life.anomaly.or_else(|| life.facts.anomaly());
        let key = (route.source_chain.clone(), route.source_client.clone());
        self.cut.totals.entry(key).or_default().replace(before.as_ref(), &life)?;
        self.lives.insert(id, life);
        Ok(())
    }
}
