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
use super::events::{ledger_events, tx_id};
use super::query::seconds;
use super::rpc::{Endpoint, RpcError};
use super::watch::Heights;
use crate::chain::{Tip, TxId};
use crate::error::ChainError;

/// How often a transaction is signed anew because its nonce was taken.
const NONCE_ATTEMPTS: usize = 5;

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
        for _ in 0..NONCE_ATTEMPTS {
            let sent = match self.send(endpoints, &message).await {
                Ok(sent) => sent,
                Err(Refused::Nonce) => continue,
                Err(Refused::Other(error)) => return Err(error),
            };
            match self.wait(endpoints, heights, &sent, within).await {
                Ok(included) => return Ok(included),
                // It is in a block without effect, so another one with the next nonce is no repetition.
                Err(Refused::Nonce) => self.queue.lock().await.next = None,
                Err(Refused::Other(error)) => {
                    if matches!(error, ChainError::OutcomeUnknown { .. }) {
                        self.queue.lock().await.next = None;
                    }
                    return Err(error);
                }
            }
        }
        Err(ChainError::Rejected {
            chain: self.chain.clone(),
            reason: format!(
                "the nonce of {} was taken {NONCE_ATTEMPTS} times; does another program use this key?",
                self.id
            ),
            retryable: true,
        })
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
            seen = heights.above(seen, left.min(Duration::from_secs(1))).await;
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

/// Sends a transaction's bytes to the first endpoint that takes it. Sending the same bytes twice is
/// harmless: their nonce is used once.
async fn broadcast(endpoints: &Endpoints, bytes: &[u8]) -> Result<(), Refused> {
    let mut uncertain = false;
    let mut last = None;
    for endpoint in endpoints.by_health() {
        match endpoint.call(tx_sync::Request::new(bytes.to_vec())).await {
            Ok(answer) if answer.code.is_ok() => {
                endpoint.succeeded();
                return Ok(());
            }
            Ok(answer) if matches!(answer.code.value(), code::NONCE_USED | code::NONCE_AHEAD) => {
                // It may be this very transaction that used the nonce, sent through an endpoint that did not answer.
                return if uncertain { Err(unknown(&endpoint, bytes)) } else { Err(Refused::Nonce) };
            }
            Ok(answer) if uncertain => {
                tracing::warn!(endpoint = %endpoint.label(), code = answer.code.value(), "refused after no answer elsewhere");
                return Err(unknown(&endpoint, bytes));
            }
            Ok(answer) => {
                return Err(Refused::Other(rejected(endpoint.chain(), answer.code.value(), answer.log)));
            }
            Err(error) => {
                // CometBFT refuses by error what its mempool already has.
                if let RpcError::Refused(refusal) = &error
                    && refusal.data().unwrap_or_default().contains("already exists in cache")
                {
                    return Ok(());
                }
                // Without an answer the node may still have taken it.
                uncertain |= matches!(error, RpcError::Transport(_) | RpcError::TooLarge(_) | RpcError::Json(_));
                endpoint.failed();
                last = Some((endpoint, error));
            }
        }
    }
    Err(match last {
        Some((endpoint, _)) if uncertain => unknown(&endpoint, bytes),
        Some((endpoint, error)) => Refused::Other(endpoint.failure("broadcast_tx_sync", error)),
        None => Refused::Other(ChainError::Unreachable {
            chain: endpoints.chain().clone(),
            detail: "no endpoint is configured".into(),
        }),
    })
}

fn unknown(endpoint: &Endpoint, bytes: &[u8]) -> Refused {
    Refused::Other(ChainError::OutcomeUnknown { chain: endpoint.chain().clone(), tx: tx_id(bytes).0 })
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
            // Any refusal by a healthy node means that it does not have it.
            Err(RpcError::Refused(_)) => failure = failure.or(None),
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
        let reason = result.log.chars().filter(|c| !c.is_control()).take(300).collect();
        return Ok(TxFate::Failed { code: result.code.value(), reason });
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
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(300).collect();
    if code == code::INSUFFICIENT {
        return ChainError::InsufficientFunds { chain: chain.clone(), detail: reason };
    }
    ChainError::Rejected { chain: chain.clone(), reason, retryable: code::is_retryable(code) }
}
