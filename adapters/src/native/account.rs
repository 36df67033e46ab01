//! Transactions of one account: nonces, broadcast, and what became of them.
//!
//! A nonce is used once and in order, so a transaction can never take effect twice. The chain says which
//! is the next; while transactions are on their way, the next ones are counted up from there, so that
//! many fit into a block. When a transaction is lost, those behind it wait, time out, and the count is
//! taken from the chain again.

use std::time::Duration;

use crosspoint_ledger::address::AccountId;
use crosspoint_ledger::code;
use crosspoint_ledger::events::Event;
use crosspoint_ledger::query::AccountView;
use crosspoint_ledger::tx::message::Message;
use crosspoint_ledger::tx::{MAX_TX_BYTES, TxBuilder};
use crosspoint_protocol::ids::{ChainId, Height};
use ed25519_dalek::SigningKey;
use tendermint::Hash;
use tendermint::abci::types::ExecTxResult;
use tendermint_rpc::endpoint::broadcast::tx_sync;
use tendermint_rpc::endpoint::tx;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::endpoints::Endpoints;
use super::events::ledger_events;
use super::query::seconds;
use super::rpc::{Endpoint, RpcError};
use super::watch::Heights;
use crate::chain::{Tip, TxId};
use crate::error::ChainError;

/// How often a transaction is signed anew because its nonce was taken.
const NONCE_ATTEMPTS: usize = 5;
/// The longest wait for a block before that.
const NONCE_PAUSE: Duration = Duration::from_secs(2);

/// How soon after a block was announced it is asked once more for a transaction.
const INDEX_PAUSE: Duration = Duration::from_millis(100);

/// A transaction in a block.
#[derive(Debug, Clone)]
pub struct Included {
    /// Its hash.
    pub tx: TxId,
    /// Its block.
    pub block: Tip,
    /// The gas it used; the ledger has none and says 0.
    pub gas_used: u64,
    /// What it says happened.
    pub events: Vec<Event>,
}

/// What is known of a transaction.
#[derive(Debug, Clone)]
pub enum TxFate {
    /// It is in a block and took effect.
    Included(Included),
    /// It is in a block and had no effect.
    Failed {
        /// One of the codes of [`crosspoint_ledger::code`].
        code: u32,
        /// The chain's reason.
        reason: String,
    },
    /// No endpoint knows it: it may be on its way, or lost.
    Unknown,
}

/// One account's key and the count of its transactions.
#[derive(Debug)]
pub(crate) struct Account {
    chain: ChainId,
    key: SigningKey,
    id: AccountId,
    // Held from asking for the nonce to the answer of the broadcast, so that nonces go out in order.
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    next: Option<u64>,
    in_flight: std::sync::Weak<()>,
}

/// A transaction that an endpoint has taken.
struct Sent {
    hash: [u8; 32],
    nonce: u64,
    // Counts as in flight while this lives.
    _flight: std::sync::Arc<()>,
}

/// Why a transaction was not taken, or did not take effect.
enum Refused {
    /// The nonce was used or is too far ahead: sign anew.
    Nonce,
    /// The mempool does not take it now: its nonce waits there already, or it is full. The node's words.
    Mempool(String),
    /// Something else.
    Other(ChainError),
}

impl Account {
    /// The account of a key on a chain.
    pub(crate) fn new(chain: ChainId, key: SigningKey) -> Self {
        let id = AccountId::of_key(&key.verifying_key());
        Self { chain, key, id, queue: Mutex::default() }
    }

    /// The account's address.
    pub(crate) const fn id(&self) -> AccountId {
        self.id
    }

    /// Signs a transaction, sends it and waits for its block, at most `within`.
    pub(crate) async fn execute(
        &self,
        endpoints: &Endpoints,
        heights: &Heights,
        message: Message,
        within: Duration,
    ) -> Result<Included, ChainError> {
        let mut reason = String::new();
        for attempt in 0..NONCE_ATTEMPTS {
            if attempt > 0 {
                // What took the nonce is in the next block, or in the state of a node that is behind.
                heights.above(heights.newest(), NONCE_PAUSE).await;
            }
            let refused = match self.send(endpoints, &message).await {
                Ok(sent) => match self.wait(endpoints, heights, &sent, within).await {
                    Ok(included) => return Ok(included),
                    Err(refused) => refused,
                },
                Err(refused) => refused,
            };
            match refused {
                // It is in no block, or in one without effect: another one with the next nonce is no repetition.
                Refused::Nonce => "its nonce was taken".clone_into(&mut reason),
                Refused::Mempool(said) => reason = said,
                Refused::Other(error) => {
                    if matches!(error, ChainError::OutcomeUnknown { .. }) {
                        self.queue.lock().await.next = None;
                    }
                    return Err(error);
                }
            }
            self.queue.lock().await.next = None;
        }
        let id = self.id;
        let reason = format!("{reason} ({NONCE_ATTEMPTS} attempts by {id}; does another program use its key?)");
        Err(ChainError::Rejected { chain: self.chain.clone(), reason, retryable: true })
    }

    async fn send(&self, endpoints: &Endpoints, message: &Message) -> Result<Sent, Refused> {
        let mut queue = self.queue.lock().await;
        let (nonce, flight) = match (queue.next, queue.in_flight.upgrade()) {
            // Others are on their way: the chain does not count them yet.
            (Some(next), Some(flight)) => (next, flight),
            _ => (self.chain_nonce(endpoints).await.map_err(Refused::Other)?.saturating_add(1), Default::default()),
        };
        let bytes = TxBuilder::new(self.chain.clone(), nonce).message(message.clone()).sign(&self.key);
        if bytes.len() > MAX_TX_BYTES {
            let len = bytes.len();
            return Err(Refused::Other(ChainError::InvalidRequest(format!(
                "{}: a transaction of {len} bytes is longer than {MAX_TX_BYTES}; make the batch smaller",
                self.chain
            ))));
        }
        let hash = crosspoint_ledger::tx::hash(&bytes);
        match broadcast(endpoints, &bytes).await {
            Ok(()) => {
                queue.next = nonce.checked_add(1);
                queue.in_flight = std::sync::Arc::downgrade(&flight);
                Ok(Sent { hash, nonce, _flight: flight })
            }
            Err(error) => {
                queue.next = None;
                Err(error)
            }
        }
    }

    async fn chain_nonce(&self, endpoints: &Endpoints) -> Result<u64, ChainError> {
        let account = self.id.to_string();
        let view: AccountView = endpoints
            .first_good(|endpoint| {
                let account = account.clone();
                async move { endpoint.view_named("/account", &account).await }
            })
            .await?;
        Ok(view.nonce)
    }

    async fn wait(
        &self,
        endpoints: &Endpoints,
        heights: &Heights,
        sent: &Sent,
        within: Duration,
    ) -> Result<Included, Refused> {
        let started = Instant::now();
        let mut seen = heights.newest();
        let mut heard = false;
        loop {
            match fate(endpoints, sent.hash).await {
                Ok(TxFate::Included(included)) => return Ok(included),
                Ok(TxFate::Failed { code: code::NONCE_USED | code::NONCE_AHEAD, .. }) => return Err(Refused::Nonce),
                Ok(TxFate::Failed { code, reason }) => {
                    return Err(Refused::Other(rejected(&self.chain, code, reason)));
                }
                // A node that is down now may know later: the deadline decides.
                Ok(TxFate::Unknown) | Err(_) => {}
            }
            let left = within.saturating_sub(started.elapsed());
            if left.is_zero() {
                break;
            }
            if std::mem::take(&mut heard) {
                // CometBFT announces a block before its transactions can be found.
                tokio::time::sleep(INDEX_PAUSE.min(left)).await;
                continue;
            }
            let newest = heights.above(seen, left.min(Duration::from_secs(1))).await;
            heard = newest > seen;
            seen = newest;
        }
        // Asked before the transaction is: if the nonce is used and still nobody knows the transaction, another one used it.
        let used = self.chain_nonce(endpoints).await.is_ok_and(|nonce| nonce >= sent.nonce);
        match fate(endpoints, sent.hash).await {
            Ok(TxFate::Included(included)) => Ok(included),
            Ok(TxFate::Failed { code, reason }) => Err(Refused::Other(rejected(&self.chain, code, reason))),
            Ok(TxFate::Unknown) if used => Err(Refused::Other(ChainError::Rejected {
                chain: self.chain.clone(),
                reason: "another transaction of the account took its nonce".into(),
                retryable: true,
            })),
            Ok(TxFate::Unknown) | Err(_) => {
                let tx = hex::encode_upper(sent.hash);
                Err(Refused::Other(ChainError::OutcomeUnknown { chain: self.chain.clone(), tx }))
            }
        }
    }
}

/// Sends a transaction's bytes until an endpoint takes them. Sending the same bytes twice is harmless: their
/// nonce is used once. Where an endpoint did not answer it may have taken them, so whatever another one says
/// then, the transaction must be waited for.
async fn broadcast(endpoints: &Endpoints, bytes: &[u8]) -> Result<(), Refused> {
    let mut maybe_sent = false;
    let mut failure = ChainError::Unreachable { chain: endpoints.chain().clone(), detail: "no endpoint".into() };
    for endpoint in endpoints.by_health() {
        match endpoint.call(tx_sync::Request::new(bytes.to_vec())).await {
            Ok(_) if maybe_sent => return Ok(()),
            Ok(answer) => {
                endpoint.succeeded();
                return match answer.code.value() {
                    code::OK => Ok(()),
                    code::NONCE_USED | code::NONCE_AHEAD => Err(Refused::Nonce),
                    code => Err(Refused::Other(rejected(endpoint.chain(), code, answer.log))),
                };
            }
            Err(RpcError::Refused(_)) if maybe_sent => return Ok(()),
            Err(RpcError::Refused(said)) => return Err(Refused::Mempool(words(said.data().unwrap_or(said.message())))),
            Err(error) => {
                maybe_sent |= !matches!(error, RpcError::NoConnection(_));
                endpoint.failed();
                failure = endpoint.failure("broadcast_tx_sync", error);
            }
        }
    }
    if maybe_sent { Ok(()) } else { Err(Refused::Other(failure)) }
}

/// A node's words as they may be shown: bounded, and on one line.
fn words(said: &str) -> String {
    said.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// What became of a transaction, by all endpoints until one knows it.
pub(crate) async fn fate(endpoints: &Endpoints, hash: [u8; 32]) -> Result<TxFate, ChainError> {
    let mut failure = None;
    for endpoint in endpoints.by_health() {
        match endpoint.call(tx::Request::new(Hash::Sha256(hash), false)).await {
            Ok(answer) => match included(&endpoint, hash, answer).await {
                Ok(fate) => {
                    endpoint.succeeded();
                    return Ok(fate);
                }
                Err(error) => failure = Some(error),
            },
            // A healthy node that refuses does not have it.
            Err(RpcError::Refused(_)) => {}
            Err(error) => {
                endpoint.failed();
                failure = Some(endpoint.failure("tx", error));
            }
        }
    }
    failure.map_or(Ok(TxFate::Unknown), Err)
}

async fn included(endpoint: &Endpoint, hash: [u8; 32], answer: tx::Response) -> Result<TxFate, ChainError> {
    if crosspoint_ledger::tx::hash(&answer.tx) != hash {
        return Err(endpoint.untrustworthy("it answered with another transaction"));
    }
    let result: ExecTxResult = answer.tx_result;
    if result.code.is_err() {
        return Ok(TxFate::Failed { code: result.code.value(), reason: words(&result.log) });
    }
    let height = Height(answer.height.value());
    let header = endpoint.signed_header(height).await?.header;
    let time = seconds(header.time).ok_or_else(|| endpoint.malformed("commit", "a time before 1970"))?;
    Ok(TxFate::Included(Included {
        tx: TxId(hex::encode_upper(hash)),
        block: Tip { height, time },
        gas_used: u64::try_from(result.gas_used).unwrap_or(0),
        events: ledger_events(endpoint, &result.events)?,
    }))
}

fn rejected(chain: &ChainId, code: u32, reason: String) -> ChainError {
    let reason = words(&reason);
    if code == code::INSUFFICIENT {
        return ChainError::InsufficientFunds { chain: chain.clone(), detail: reason };
    }
    // What a light client refuses is proven anew before it is sent again: another relayer may have moved the client
    // on, or this chain's clock lag behind the header's.
    let retryable = code::is_retryable(code) || code == code::CLIENT;
    ChainError::Rejected { chain: chain.clone(), reason, retryable }
}
