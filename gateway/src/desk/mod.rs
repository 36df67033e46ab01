//! The service behind the HTTP API: locks points for payers whose keys it keeps, and says what the journal knows.
//!
//! - [`Desk`]: the chains, the relayer, the payers' keys. It is the [`Service`] of the API.
//! - `evidence`: what an auditor is given of a transfer.
//! - `path`: which way points go to a chain, directly or forwarded by others.
//! - `onward`: a forwarded transfer's further packets.
//! - `quorum`: whether enough attestors answer.
//! - `send`: from a request to a lock, once.
//! - `view`: from the journal's words to the API's.

mod evidence;
mod onward;
mod path;
mod quorum;
mod send;
#[cfg(test)]
mod tests;
mod view;

use crate::api::service::{IdempotencyKey, ListQuery, Service, ServiceError};
use crate::api::types::{
    ChainView, Check, ClaimRequest, HoldEndView, InvoiceRequest, InvoiceView, PayerView, Place, Readiness, RouteView,
    SendRequest, SupplyView, TransferPage, TransferView,
};
use crate::batch::rows::AddressForm;
use crate::keys::KeyName;
use crate::secrets::{Purpose, Secrets};
use crate::settings::Windows;
use async_trait::async_trait;
use crosspoint_adapters::attestor::AttestorPool;
use crosspoint_adapters::chain::{Chain, ItemOutcome, Submitted};
use crosspoint_adapters::signer::Signer;
use crosspoint_protocol::ids::{Address, ChainId};
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Hashlock;
use crosspoint_relayer::RelayerHandle;
use crosspoint_relayer::audit::AuditError;
use crosspoint_relayer::journal::{Invoice, Journal, JournalError, PageToken};
use crosspoint_relayer::life::Stage;
use crosspoint_relayer::metrics::Metrics;
use crosspoint_relayer::route::PacketId;
use quorum::Quorum;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{RwLock, Semaphore};
use tokio_util::sync::CancellationToken;

/// Entries of one page unless asked for otherwise.
const DEFAULT_PAGE: usize = 50;
/// Most evidence files in the making: each asks both chains and all attestors.
const MAX_EVIDENCE: usize = 4;
/// Most locks remembered until the journal has read them.
const MAX_RECENT: usize = 20_000;

/// One chain, with the keys that may pay on it.
pub struct DeskChain {
    /// The chain.
    pub chain: Arc<dyn Chain>,
    /// How it writes addresses, which also names its family.
    pub form: AddressForm,
    /// Who may pay.
    pub payers: BTreeMap<KeyName, Payer>,
}

/// A key that may pay.
pub struct Payer {
    /// Signs.
    pub signer: Signer,
    /// Its account.
    pub address: Address,
}

/// The service.
pub struct Desk {
    chains: BTreeMap<ChainId, DeskChain>,
    quorums: Vec<Quorum>,
    /// Ends what runs beside requests.
    stop: CancellationToken,
    /// Taken out when the service stops.
    relayer: RwLock<Option<RelayerHandle>>,
    journal: Arc<Journal>,
    metrics: Arc<Metrics>,
    secrets: Option<Arc<Secrets>>,
    windows: Windows,
    /// Seconds before a deadline in which no claim is sent.
    claim_margin: u64,
    /// Locks in blocks that are not final: the journal does not know them yet.
    recent: Mutex<HashMap<PacketId, send::Recent>>,
    /// Hashlocks that a request is at work on.
    busy: Mutex<HashSet<Hashlock>>,
    /// Evidence files that may be begun.
    evidence: Semaphore,
    /// The longest wait for the journal to read a lock that the chain says it has.
    catch_up: Duration,
}

/// What a desk is made of.
pub struct DeskParts {
    /// The chains.
    pub chains: Vec<DeskChain>,
    /// The attestors of those of them that have attestors.
    pub attestors: Vec<AttestorPool>,
    /// The running relayer between them.
    pub relayer: RelayerHandle,
    /// The relayer's metrics.
    pub metrics: Arc<Metrics>,
    /// The secrets; without them only transfers with a hashlock are taken.
    pub secrets: Option<Arc<Secrets>>,
    /// Default deadlines.
    pub windows: Windows,
    /// Seconds before a deadline in which no claim is sent.
    pub claim_margin: u64,
}

impl Desk {
    /// The service over these parts, on the current tokio runtime.
    #[must_use]
    pub fn new(parts: DeskParts) -> Arc<Self> {
        let desk = Arc::new(Self::of(parts));
        if !desk.quorums.is_empty() {
            let watched = Arc::clone(&desk);
            tokio::spawn(async move {
                let watches = watched.quorums.iter().map(|quorum| quorum.watch(watched.stop.clone()));
                futures::future::join_all(watches).await;
            });
        }
        desk
    }

    fn of(parts: DeskParts) -> Self {
        let journal = parts.relayer.journal();
        let chains = parts.chains.into_iter().map(|entry| (entry.chain.id().clone(), entry)).collect();
        Self {
            chains,
            quorums: parts.attestors.into_iter().map(Quorum::new).collect(),
            stop: CancellationToken::new(),
            relayer: RwLock::new(Some(parts.relayer)),
            journal,
            metrics: parts.metrics,
            secrets: parts.secrets,
            windows: parts.windows,
            claim_margin: parts.claim_margin,
            recent: Mutex::default(),
            busy: Mutex::default(),
            evidence: Semaphore::new(MAX_EVIDENCE),
            catch_up: send::CATCH_UP,
        }
    }

    /// Stops the relayer: no new work, what was submitted is written down.
    pub async fn stop(&self, limit: Duration) {
        self.stop.cancel();
        let relayer = self.relayer.write().await.take();
        if let Some(relayer) = relayer {
            relayer.stop(limit).await;
        }
    }

    fn chain(&self, id: &ChainId) -> Result<&DeskChain, ServiceError> {
        self.chains.get(id).ok_or_else(|| {
            let known: Vec<_> = self.chains.keys().map(ChainId::as_str).collect();
            ServiceError::Invalid(format!("chain {id} is not connected here; there are {}", known.join(" and ")))
        })
    }

    /// The packet of a transfer that is in the journal, with its stage.
    fn held(&self, id: &PacketId) -> Result<(Packet, Stage, ChainId), ServiceError> {
        let found = match self.journal.transfer(id) {
            Err(JournalError::NoPacket(_)) => return Err(self.unread(id)),
            found => found.map_err(journal_error)?,
        };
        let packet = found.packet.ok_or_else(|| not_read_yet(id))?;
        Ok((packet, found.life.stage, found.life.route.dest_chain))
    }

    /// Why the journal does not have a transfer: it was sent from here a moment ago, or nobody knows it.
    fn unread(&self, id: &PacketId) -> ServiceError {
        if lock(&self.recent).contains_key(id) {
            not_read_yet(id)
        } else {
            ServiceError::NotFound(format!("there is no transfer {id}, or its block is not final yet"))
        }
    }

    async fn check_ready(&self) -> Result<Vec<Check>, ServiceError> {
        let relayer = self.relayer.read().await;
        let relayer = relayer.as_ref().ok_or_else(stopping)?;
        let status = relayer.status().map_err(journal_error)?;
        let mut checks = vec![];
        for chain in &status.chains {
            let read = chain.is_read();
            let detail = match (&chain.last_error, chain.up, read) {
                (Some(error), false, _) => error.clone(),
                (None, false, _) => "no answer yet".into(),
                (_, true, false) => "its blocks are still being read".into(),
                (_, true, true) => "read up to its newest final block".into(),
            };
            checks.push(Check { name: format!("chain {}", chain.chain), ok: chain.up && read, detail });
        }
        for route in &status.routes {
            let detail = match &route.halt {
                None => "open".into(),
                Some(halt) => view::halt(halt),
            };
            checks.push(Check { name: format!("route {}", route.route), ok: route.halt.is_none(), detail });
        }
        checks.extend(self.quorums.iter().map(Quorum::check));
        let stopped = status.halted_denoms.len();
        let detail = if stopped == 0 {
            "no denom is stopped".into()
        } else {
            format!("{stopped} denoms are stopped by the supply audit")
        };
        checks.push(Check { name: "supply".into(), ok: stopped == 0, detail });
        Ok(checks)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stopping() -> ServiceError {
    ServiceError::Unavailable("the service is stopping".into())
}

fn not_read_yet(id: &PacketId) -> ServiceError {
    ServiceError::Conflict(format!("transfer {id} was not read from its source yet; try again in a moment"))
}

fn journal_error(error: JournalError) -> ServiceError {
    match error {
        JournalError::NoPacket(id) => ServiceError::NotFound(format!("there is no transfer {id}")),
        JournalError::PageToken => ServiceError::Invalid("the cursor is not one that a list gave out".into()),
        JournalError::NoCipher => ServiceError::Invalid(
            "this service keeps no secrets; set keystore.seed in its settings, or name a hashlock".into(),
        ),
        JournalError::OtherInvoice => {
            ServiceError::Conflict("this reference was used for an invoice with other terms; use a new one".into())
        }
        other => ServiceError::Internal(other.to_string()),
    }
}

/// How a claim or void of one hold ended.
fn hold_end(id: &PacketId, chain: &ChainId, done: Submitted, what: &str) -> Result<HoldEndView, ServiceError> {
    let place = Place { chain: chain.clone(), height: done.block.height, time: done.block.time, tx: done.tx.0 };
    let note = match done.outcomes.into_iter().next() {
        Some(ItemOutcome::Done) => what.to_owned(),
        Some(ItemOutcome::Duplicate) => format!("it was {what} before; nothing changed"),
        Some(ItemOutcome::Skipped { reason, retryable }) => {
            let more = if retryable { "; try again later" } else { "" };
            return Err(ServiceError::Conflict(format!("{chain} skipped it: {reason}{more}")));
        }
        None => return Err(ServiceError::Internal(format!("{chain} reported no outcome for {id}"))),
    };
    Ok(HoldEndView { id: id.clone(), place: Some(place), gas_used: done.gas_used, note })
}

#[async_trait]
impl Service for Desk {
    async fn chains(&self) -> Result<Vec<ChainView>, ServiceError> {
        let status = {
            let relayer = self.relayer.read().await;
            relayer.as_ref().ok_or_else(stopping)?.status().map_err(journal_error)?
        };
        let mut views = vec![];
        for (id, entry) in &self.chains {
            let known = status.chains.iter().find(|chain| chain.chain == *id);
            let wallet = entry.chain.wallet().await.ok();
            views.push(ChainView {
                id: id.clone(),
                kind: match entry.form {
                    AddressForm::Native => "native".into(),
                    AddressForm::Evm => "evm".into(),
                },
                head: known.and_then(|chain| chain.head),
                trouble: known.filter(|chain| !chain.up).and_then(|chain| chain.last_error.clone()),
                relayer: wallet.as_ref().map(|(address, _)| address.clone()),
                fee_balance: wallet.and_then(|(_, balance)| balance).map(|wei| wei.to_string()),
                payers: entry
                    .payers
                    .iter()
                    .map(|(key, payer)| PayerView { key: key.clone(), address: payer.address.clone() })
                    .collect(),
            });
        }
        Ok(views)
    }

    async fn routes(&self) -> Result<Vec<RouteView>, ServiceError> {
        let relayer = self.relayer.read().await;
        let status = relayer.as_ref().ok_or_else(stopping)?.status().map_err(journal_error)?;
        Ok(status.routes.iter().map(view::route).collect())
    }

    async fn send(&self, request: SendRequest, key: Option<IdempotencyKey>) -> Result<TransferView, ServiceError> {
        self.send_once(request, key).await
    }

    async fn list(&self, query: ListQuery) -> Result<TransferPage, ServiceError> {
        let journal = Arc::clone(&self.journal);
        let token: Option<PageToken> = query.cursor.as_deref().map(str::parse).transpose().map_err(journal_error)?;
        let limit = query.limit.unwrap_or(DEFAULT_PAGE);
        let page = tokio::task::spawn_blocking(move || journal.list(&query.filter, token.as_ref(), limit))
            .await
            .map_err(|_| ServiceError::Internal("the reader of the journal ended early".into()))?
            .map_err(journal_error)?;
        let items = page.items.iter().map(|life| self.whole(life, None, &[])).collect::<Result<_, _>>()?;
        Ok(TransferPage { items, next_cursor: page.next.map(|token| token.as_str().to_owned()) })
    }

    async fn transfer(&self, id: &PacketId) -> Result<TransferView, ServiceError> {
        match self.journal.transfer(id) {
            Ok(found) if found.packet.is_some() => {
                lock(&self.recent).remove(id);
                self.whole(&found.life, found.packet.as_ref(), &found.history)
            }
            Ok(_) | Err(JournalError::NoPacket(_)) => {
                let recent = lock(&self.recent).get(id).map(|recent| recent.view.clone());
                recent.ok_or_else(|| self.unread(id))
            }
            Err(error) => Err(journal_error(error)),
        }
    }

    async fn evidence(&self, id: &PacketId) -> Result<String, ServiceError> {
        self.gather_evidence(id).await
    }

    async fn claim(&self, id: &PacketId, request: ClaimRequest) -> Result<HoldEndView, ServiceError> {
        let id = &self.last_packet(id)?;
        let (packet, stage, dest) = self.held(id)?;
        let terms = packet
            .points_lock()
            .map_err(|e| ServiceError::Invalid(format!("transfer {id} is no points transfer: {e}")))?;
        match stage {
            Stage::Held | Stage::ClaimReady | Stage::ClaimSubmitted => {}
            Stage::Announced | Stage::RecvReady | Stage::RecvSubmitted => {
                return Err(ServiceError::Conflict(format!(
                    "transfer {id} has not reached {dest} yet; try again in a moment"
                )));
            }
            ended => {
                return Err(ServiceError::Conflict(format!("transfer {id} is {ended}; there is no hold to claim")));
            }
        }
        let Some(preimage) = request.preimage.map(|sent| sent.0) else {
            if self.journal.invoice(&terms.hashlock).map_err(journal_error)?.is_some() {
                let note = "the service keeps this secret and claims by itself".to_owned();
                return Ok(HoldEndView { id: id.clone(), place: None, gas_used: 0, note });
            }
            return Err(ServiceError::Invalid(format!(
                "the service keeps no secret for transfer {id}; give its preimage"
            )));
        };
        if !preimage.opens(&terms.hashlock) {
            return Err(ServiceError::Invalid(format!("the preimage does not open the hashlock {}", terms.hashlock)));
        }
        let chain = &self.chain(&dest)?.chain;
        let now = chain.head().await?.latest.time;
        if terms.claim_deadline.since(now) <= self.claim_margin {
            return Err(ServiceError::Conflict(format!(
                "the claim deadline of transfer {id} is {} s away: a claim could fail and still show the preimage to everybody, so none is sent",
                terms.claim_deadline.since(now)
            )));
        }
        let done = chain.claim(&[(packet, preimage)]).await?;
        hold_end(id, &dest, done, "claimed")
    }

    async fn void(&self, id: &PacketId) -> Result<HoldEndView, ServiceError> {
        let id = &self.last_packet(id)?;
        let (packet, stage, dest) = self.held(id)?;
        let terms = packet
            .points_lock()
            .map_err(|e| ServiceError::Invalid(format!("transfer {id} is no points transfer: {e}")))?;
        match stage {
            Stage::Held | Stage::ClaimReady | Stage::VoidReady | Stage::VoidSubmitted => {}
            other => return Err(ServiceError::Conflict(format!("transfer {id} is {other}; there is no hold to void"))),
        }
        let chain = &self.chain(&dest)?.chain;
        let now = chain.head().await?.latest.time;
        if now < terms.claim_deadline {
            let left = terms.claim_deadline.since(now);
            return Err(ServiceError::Conflict(format!(
                "transfer {id} can be claimed for {left} s more; until then nobody can void it"
            )));
        }
        let done = chain.void(&[packet]).await?;
        hold_end(id, &dest, done, "voided")
    }

    async fn retry(&self, id: &PacketId) -> Result<TransferView, ServiceError> {
        let relayer = self.relayer.read().await;
        let retried = relayer.as_ref().ok_or_else(stopping)?.retry(id).await;
        match retried {
            Ok(_) => self.transfer(id).await,
            Err(JournalError::NoPacket(_)) => Err(self.unread(id)),
            Err(error) => Err(journal_error(error)),
        }
    }

    async fn invoice(&self, request: InvoiceRequest) -> Result<InvoiceView, ServiceError> {
        let secrets = self.secrets.as_ref().ok_or_else(|| journal_error(JournalError::NoCipher))?;
        let entry = self.chain(&request.chain)?;
        let receiver = entry.form.read(request.receiver.as_str()).map_err(ServiceError::Invalid)?;
        if request.amount.is_zero() {
            return Err(ServiceError::Invalid("amount is 0".into()));
        }
        let plain = |b: u8| b.is_ascii_graphic() || b == b' ';
        if request.reference.is_empty() || request.reference.len() > 128 || !request.reference.bytes().all(plain) {
            return Err(ServiceError::Invalid("reference must be 1 to 128 printable ASCII characters".into()));
        }
        let scope = [request.chain.as_str(), receiver.as_str()];
        let preimage = secrets.preimage(Purpose::Invoice, &scope, &request.reference);
        let invoice = Invoice {
            chain: request.chain.clone(),
            denom: request.denom.clone(),
            amount: request.amount,
            receiver: receiver.clone(),
        };
        let relayer = self.relayer.read().await;
        relayer.as_ref().ok_or_else(stopping)?.register_preimage(&preimage, invoice).await.map_err(journal_error)?;
        Ok(InvoiceView { hashlock: preimage.hashlock(), request: InvoiceRequest { receiver, ..request } })
    }

    async fn supply(&self) -> Result<SupplyView, ServiceError> {
        let relayer = self.relayer.read().await;
        let audited = relayer.as_ref().ok_or_else(stopping)?.audit().await;
        match audited {
            Ok(report) => Ok(view::supply(&report)),
            Err(AuditError::Chain(error)) => Err(error.into()),
            Err(AuditError::Journal(error)) => Err(journal_error(error)),
            Err(error @ AuditError::NoCut { .. }) => Err(ServiceError::Unavailable(error.to_string())),
        }
    }

    async fn readiness(&self) -> Readiness {
        match self.check_ready().await {
            Ok(checks) => Readiness { ready: checks.iter().all(|check| check.ok), checks },
            Err(error) => {
                let check = Check { name: "service".into(), ok: false, detail: error.to_string() };
                Readiness { ready: false, checks: vec![check] }
            }
        }
    }

    fn metrics(&self) -> Result<String, ServiceError> {
        self.metrics.encode().map_err(|e| ServiceError::Internal(format!("metrics cannot be written: {e}")))
    }

    fn count(&self, endpoint: &'static str, method: &'static str, status: u16) {
        self.metrics.http(endpoint, method, status);
    }
}
