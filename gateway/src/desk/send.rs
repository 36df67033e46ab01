//! From a request to a lock, once.
//!
//! What makes it once: the hashlock. A chain takes a hashlock once per sender, and a repeated request has the
//! same one, given by the caller or derived from the idempotency key. So nothing of a request need be stored
//! before it is sent, and a crash at any point leaves either no lock or one that the next try finds.

use super::path::{Addressed, Way};
use super::{Desk, DeskChain, Payer, journal_error, lock, stopping};
use crate::api::service::{IdempotencyKey, ServiceError};
use crate::api::types::{SendRequest, TransferView};
use crate::batch::rows::AddressForm;
use crate::keys::v3::random_id;
use crate::secrets::Purpose;
use crosspoint_adapters::chain::LockRequest;
use crosspoint_adapters::error::ChainError;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{Address, Timestamp};
use crosspoint_protocol::lock::{MAX_MEMO_LEN, PointsLock};
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::{Hashlock, Preimage};
use crosspoint_relayer::journal::Invoice;
use crosspoint_relayer::route::PacketId;
use std::time::{Duration, Instant};

/// The longest wait for the journal to read a lock that the chain says it has.
pub(super) const CATCH_UP: Duration = Duration::from_secs(20);
/// How often the journal is asked meanwhile.
const POLL: Duration = Duration::from_millis(100);
/// Most packets looked at under one hashlock; others may lock under it too, to other ends.
const MAX_ALIKE: usize = 64;
/// The stage of a lock whose block is not final.
const SUBMITTED: &str = "submitted";

/// A lock that the journal has not read yet.
pub(super) struct Recent {
    pub(super) view: TransferView,
    hashlock: Hashlock,
    sender: Address,
}

/// A request, checked, with all that follows from it.
struct Order<'a> {
    source: &'a DeskChain,
    payer: &'a Payer,
    way: Way<'a>,
    request: SendRequest,
    /// What the receiver's chain calls the points.
    dest_denom: Denom,
    hashlock: Hashlock,
    /// For a push transfer: the secret, and the hold it may be shown for.
    push: Option<(Preimage, Invoice)>,
    key: Option<IdempotencyKey>,
}

/// Keeps two requests from locking under one hashlock at the same time.
struct Busy<'a> {
    desk: &'a Desk,
    hashlock: Hashlock,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        lock(&self.desk.busy).remove(&self.hashlock);
    }
}

impl Desk {
    pub(super) async fn send_once(
        &self,
        request: SendRequest,
        key: Option<IdempotencyKey>,
    ) -> Result<TransferView, ServiceError> {
        let order = self.order(request, key).await?;
        if !lock(&self.busy).insert(order.hashlock) {
            return Err(ServiceError::Unavailable(
                "the same transfer is being sent by another request; ask again in a moment".into(),
            ));
        }
        let _busy = Busy { desk: self, hashlock: order.hashlock };
        if let Some(found) = self.sent_before(&order)? {
            return Ok(found);
        }
        if let Some((preimage, invoice)) = &order.push {
            let relayer = self.relayer.read().await;
            relayer.as_ref().ok_or_else(stopping)?.register_preimage(preimage, invoice.clone()).await.map_err(|e| {
                match (e, &order.key) {
                    (crosspoint_relayer::journal::JournalError::OtherInvoice, Some(key)) => {
                        ServiceError::KeyReused(key.as_str().to_owned())
                    }
                    (other, _) => journal_error(other),
                }
            })?;
        }
        let lock_request = order.lock_request().await?;
        match order.source.chain.lock(&order.payer.signer, &lock_request).await {
            Ok((done, packet)) => Ok(self.remember(&order, &packet, done.block.time)),
            Err(error) => self.not_locked(&order, error).await,
        }
    }

    /// A lock failed. It may have been the repeat of one that went through: the chain notes every hashlock with
    /// its lock, so a refusal is the last word exactly if the hashlock is unused.
    async fn not_locked(&self, order: &Order<'_>, error: ChainError) -> Result<TransferView, ServiceError> {
        match &error {
            ChainError::Rejected { .. } | ChainError::InsufficientFunds { .. } => {
                let chain = &order.source.chain;
                if !chain.hashlock_used(&order.payer.address, &order.hashlock).await? {
                    return Err(error.into());
                }
                self.find_repeat(order).await?.ok_or_else(|| {
                    ServiceError::Conflict(format!(
                        "{} has locked under the hashlock {} on {} before, in a transfer that no route of this service carries; a hashlock is paid once, so ask for a new invoice",
                        order.request.payer, order.hashlock, order.request.from
                    ))
                })
            }
            ChainError::OutcomeUnknown { .. } => match self.find_repeat(order).await? {
                Some(found) => Ok(found),
                None => Err(error.into()),
            },
            ChainError::Unreachable { .. }
            | ChainError::Malformed { .. }
            | ChainError::Untrustworthy { .. }
            | ChainError::NotYet(_)
            | ChainError::NotFound { .. }
            | ChainError::Pruned { .. }
            | ChainError::Frozen(_)
            | ChainError::Expired(_)
            | ChainError::InvalidRequest(_) => Err(error.into()),
        }
    }

    async fn order(&self, mut request: SendRequest, key: Option<IdempotencyKey>) -> Result<Order<'_>, ServiceError> {
        let invalid = |text: String| Err(ServiceError::Invalid(text));
        let (source, dest) = (self.chain(&request.from)?, self.chain(&request.to)?);
        if request.from == request.to {
            return invalid("from and to are the same chain; this service moves points between chains".into());
        }
        let Some(payer) = source.payers.get(&request.payer) else {
            let known: Vec<_> = source.payers.keys().map(|key| key.as_str()).collect();
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            return invalid(format!(
                "key {} may not pay on {} through this service; there are: {known}",
                request.payer, request.from
            ));
        };
        request.receiver = dest.form.read(request.receiver.as_str()).map_err(ServiceError::Invalid)?;
        if request.amount.is_zero() {
            return invalid("amount is 0".into());
        }
        if dest.form == AddressForm::Evm && request.amount > Amount::MAX_COMPACT {
            return invalid("amount is above 2^96 - 1, the most that an EVM chain takes".into());
        }
        if request.memo.len() > MAX_MEMO_LEN || !request.memo.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            let len = request.memo.len();
            return invalid(if len > MAX_MEMO_LEN {
                format!("memo has {len} bytes; chains take at most {MAX_MEMO_LEN}")
            } else {
                "memo holds something other than printable ASCII, which is all that chains take".into()
            });
        }
        let way = self.way(&request).await?;
        let dest_denom = way.arrives_as(&request.denom)?;
        let (hashlock, push) = match request.hashlock {
            Some(hashlock) => (hashlock, None),
            None => {
                let secrets = self.secrets.as_ref().ok_or_else(|| {
                    ServiceError::Invalid(
                        "name a hashlock: this service keeps no secrets (keystore.seed is not set)".into(),
                    )
                })?;
                let label = match &key {
                    Some(key) => key.as_str().to_owned(),
                    None => random_id().map_err(|e| ServiceError::Internal(e.to_string()))?,
                };
                let scope = [request.from.as_str(), payer.address.as_str()];
                let preimage = secrets.preimage(Purpose::Push, &scope, &label);
                let invoice = Invoice {
                    chain: request.to.clone(),
                    denom: dest_denom.clone(),
                    amount: request.amount,
                    receiver: request.receiver.clone(),
                };
                (preimage.hashlock(), Some((preimage, invoice)))
            }
        };
        let (timeout, hold) = self.windows(&request);
        request.timeout_seconds = Some(timeout);
        request.hold_seconds = Some(hold);
        Ok(Order { source, payer, way, request, dest_denom, hashlock, push, key })
    }

    fn windows(&self, request: &SendRequest) -> (u64, u64) {
        (
            request.timeout_seconds.unwrap_or(self.windows.timeout_seconds),
            request.hold_seconds.unwrap_or(self.windows.hold_seconds),
        )
    }

    /// The transfer this payer sent under this hashlock, if any. Refuses if it was another one.
    fn sent_before(&self, order: &Order<'_>) -> Result<Option<TransferView>, ServiceError> {
        let recent = lock(&self.recent)
            .values()
            .find(|recent| recent.hashlock == order.hashlock && recent.sender == order.payer.address)
            .map(|recent| recent.view.clone());
        if let Some(view) = recent {
            return order.same(view).map(Some);
        }
        for life in self.journal.by_hashlock(&order.hashlock, MAX_ALIKE).map_err(journal_error)? {
            let packet = self.journal.packet(&life.id).map_err(journal_error)?;
            let sender = packet.as_ref().and_then(|packet| packet.points_lock().ok()).map(|found| found.sender);
            if life.route.source_chain == order.request.from && sender.as_ref() == Some(&order.payer.address) {
                return order.same(self.whole(&life, packet.as_ref(), &[])?).map(Some);
            }
        }
        Ok(None)
    }

    /// Looks for a lock that the chain has, or may have, once the journal has read what is in the chain by now.
    async fn find_repeat(&self, order: &Order<'_>) -> Result<Option<TransferView>, ServiceError> {
        let until = order.source.chain.head().await?.latest.height;
        let started = Instant::now();
        loop {
            if let Some(found) = self.sent_before(order)? {
                return Ok(Some(found));
            }
            let read = self.journal.cursor(&order.request.from).map_err(journal_error)?;
            if read.is_some_and(|cursor| cursor.height >= until) {
                return self.sent_before(order);
            }
            if started.elapsed() > self.catch_up {
                return Err(ServiceError::Unavailable(format!(
                    "{} did not make its newest blocks final in time to see whether the transfer was sent before; repeat the request with the same idempotency key",
                    order.request.from
                )));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Until its block is final, a lock is known here only.
    fn remember(&self, order: &Order<'_>, packet: &Packet, at: Timestamp) -> TransferView {
        let id = PacketId {
            chain: order.request.from.clone(),
            client: packet.source_client.clone(),
            sequence: packet.sequence,
        };
        let found = packet.points_lock().ok();
        let view = submitted(id.clone(), order, packet, found.as_ref(), at);
        let mut recent = lock(&self.recent);
        if recent.len() >= super::MAX_RECENT {
            recent.retain(|id, _| !matches!(self.journal.life(id), Ok(Some(_))));
        }
        let entry = Recent { view: view.clone(), hashlock: order.hashlock, sender: order.payer.address.clone() };
        recent.insert(id, entry);
        view
    }
}

fn submitted(
    id: PacketId,
    order: &Order<'_>,
    packet: &Packet,
    found: Option<&PointsLock>,
    at: Timestamp,
) -> TransferView {
    let hop = found.and_then(|l| l.terms.forward()?.hops().last().cloned());
    TransferView {
        id,
        from: order.request.from.clone(),
        to: order.request.to.clone(),
        dest_client: order.way.onward.last().unwrap_or(&order.way.first).client.counterparty_client.clone(),
        stage: SUBMITTED.to_owned(),
        ended: false,
        since_ms: at.0.saturating_mul(1000),
        denom: found.map(|l| l.denom.clone()),
        dest_denom: Some(order.dest_denom.clone()),
        amount: found.map(|l| l.amount),
        sender: found.map(|l| l.sender.clone()),
        receiver: Some(order.request.receiver.clone()),
        hashlock: found.map(|l| l.hashlock),
        timeout: Some(hop.as_ref().map_or(packet.timeout, |hop| hop.timeout)),
        claim_deadline: hop.map(|hop| hop.claim_deadline).or_else(|| found.map(|l| l.claim_deadline)),
        memo: found.map(|l| l.memo.clone()),
        trouble: None,
        receipt: None,
        history: vec![],
        onward: order.way.planned(),
    }
}

impl Order<'_> {
    /// `view` is what was sent under this order's hashlock: is it this order?
    fn same(&self, view: TransferView) -> Result<TransferView, ServiceError> {
        let same = view.to == self.request.to
            && view.denom.as_ref() == Some(&self.request.denom)
            && view.amount == Some(self.request.amount)
            && view.receiver.as_ref() == Some(&self.request.receiver)
            && view.memo.as_ref() == Some(&self.request.memo)
            && self.request.client.as_ref().is_none_or(|wanted| *wanted == view.id.client);
        match (same, &self.key, self.request.hashlock) {
            (true, _, _) => Ok(view),
            (false, Some(key), None) => Err(ServiceError::KeyReused(key.as_str().to_owned())),
            (false, _, _) => Err(ServiceError::Conflict(format!(
                "{} has already paid under the hashlock {} (transfer {}), for something else; a hashlock is paid once",
                self.request.payer, self.hashlock, view.id
            ))),
        }
    }

    /// The deadlines count from the latest of the chains' clocks, since all of them check theirs.
    async fn lock_request(&self) -> Result<LockRequest, ServiceError> {
        let now = self.way.now(self.source).await?;
        let windows = (self.request.timeout_seconds.unwrap_or_default(), self.request.hold_seconds.unwrap_or_default());
        let Addressed { receiver, timeout, claim_deadline, terms } =
            self.way.address(&self.request.receiver, now, windows.0, windows.1)?;
        Ok(LockRequest {
            client: self.way.first.client.client.clone(),
            denom: self.request.denom.clone(),
            amount: self.request.amount,
            receiver,
            hashlock: self.hashlock,
            timeout,
            claim_deadline,
            terms,
            memo: self.request.memo.clone(),
        })
    }
}
