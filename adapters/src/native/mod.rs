//! The native permissioned chain and its sub-chains, over the CometBFT RPC.
//!
//! - [`settings`]: what an adapter is told.
//! - `rpc`, `endpoints`: one node with bounded answers; several of them with fallback.
//! - `watch`: new blocks by WebSocket, else by asking.
//! - `query`, `events`, `complete`: what a node says of state and blocks, and whether it left events out.
//! - `checkpoint`, `tendermint`, `outbox`: proofs for light clients, verified before they are handed on.
//! - `evidence`: proofs for people.
//! - `witness`: nodes of others, to compare headers with.
//! - [`account`], `submit`: transactions and what became of them.
//!
//! The state after block h is proven by header h + 1, so what a block did can be proven one block later.

pub mod account;
mod checkpoint;
mod complete;
mod endpoints;
mod events;
mod evidence;
mod governance;
mod outbox;
mod places;
mod query;
mod rpc;
pub mod settings;
mod submit;
mod tendermint;
mod watch;
mod witness;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use crosspoint_ledger::address::AccountId;
use crosspoint_ledger::handlers::client::join_evidence;
use crosspoint_ledger::query::{AccountView, ClientView, HashlockQuery, SupplyView};
use crosspoint_ledger::tx::action::TendermintSpec;
use crosspoint_ledger::tx::message::{Message, RelayBatch};
use crosspoint_light_proofs::attested::SignedRotation;
use crosspoint_light_proofs::checkpoint::Checkpoint;
use crosspoint_light_proofs::evidence::ChainEvidence;
use crosspoint_light_proofs::tendermint::PacketStore;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{Address, ChainId, ClientId, Height, Timestamp};
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::path::Path;
use crosspoint_protocol::secret::{Hashlock, Preimage};
use ed25519_dalek::SigningKey;

use crate::chain::{
    Chain, ChainEvent, ClientStatus, ClientType, DenomSupply, Head, LockRequest, PacketEnd, RelayItem, StoredPacket,
    Submitted, Tip, TxId,
};
use crate::error::ChainError;
use crate::http::Http;
use crate::observer::RpcObserver;
use crate::proven::Proven;
use crate::signer::Signer;
use crate::witness::{Brought, Misbehaviour, Witness};
use account::{Account, TxFate};
use complete::LastHeads;
use endpoints::Endpoints;
use places::Places;
use rpc::Endpoint;
use submit::Tally;
use watch::Heights;
use witness::NativeWitness;

pub use settings::NativeSettings;

/// Most items that one batch should have: what is proven at once and fits into one transaction of the ledger with
/// proofs of usual size.
pub const MAX_BATCH: usize = 100;
/// Most blocks whose events one call asks for.
pub const MAX_BLOCKS: u64 = 100_000;
/// Blocks that one endpoint is asked for before another may be.
const BLOCKS_AT_ONCE: u64 = 500;
/// Most payers whose count of transactions is kept.
const MAX_ACCOUNTS: usize = 10_000;

/// One native chain.
pub struct NativeChain {
    settings: NativeSettings,
    endpoints: Endpoints,
    witnesses: Vec<Arc<dyn Witness>>,
    heights: Arc<Heights>,
    relayer: Arc<Account>,
    accounts: Mutex<HashMap<AccountId, Arc<Account>>>,
    last_heads: LastHeads,
    seen: Mutex<Option<Head>>,
    places: Places,
}

impl std::fmt::Debug for NativeChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NativeChain").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

impl NativeChain {
    /// The adapter of a chain, with the relayer's own key. Must be called within a tokio runtime; nothing is sent
    /// yet but the subscription to new blocks.
    pub fn new(settings: NativeSettings, relayer: SigningKey) -> Result<Self, ChainError> {
        Self::with_observer(settings, relayer, None)
    }

    /// The same, telling `observer` of every request.
    pub fn with_observer(
        settings: NativeSettings,
        relayer: SigningKey,
        observer: Option<Arc<dyn RpcObserver>>,
    ) -> Result<Self, ChainError> {
        if let Some(problem) = settings.problems().into_iter().next() {
            return Err(ChainError::InvalidRequest(format!("{}: {problem}", settings.chain)));
        }
        let limits = settings.limits();
        let endpoints = Endpoints::new(&settings.chain, &settings.endpoints, limits, observer.clone())?;
        let witnesses = if settings.witnesses.is_empty() {
            vec![]
        } else {
            let nodes = Endpoints::new(&settings.chain, &settings.witnesses, limits, observer)?;
            NativeWitness::all(nodes.by_health())
        };
        let heights = Heights::start(endpoints.clone(), settings.block_time());
        Ok(Self::over(settings, relayer, endpoints, witnesses, heights))
    }

    fn over(
        settings: NativeSettings,
        relayer: SigningKey,
        endpoints: Endpoints,
        witnesses: Vec<Arc<dyn Witness>>,
        heights: Arc<Heights>,
    ) -> Self {
        let relayer = Arc::new(Account::new(settings.chain.clone(), relayer));
        Self {
            settings,
            endpoints,
            witnesses,
            heights,
            relayer,
            accounts: Mutex::default(),
            last_heads: LastHeads::default(),
            seen: Mutex::default(),
            places: Places::default(),
        }
    }

    /// The adapter over answers that are there already.
    pub(crate) fn told(http: Http, settings: NativeSettings, relayer: SigningKey) -> Result<Self, ChainError> {
        let endpoints = Endpoints::over(http, &settings.chain, &settings.endpoints, settings.limits(), None)?;
        Ok(Self::over(settings, relayer, endpoints, vec![], Heights::still()))
    }

    /// What the adapter was told.
    #[must_use]
    pub const fn settings(&self) -> &NativeSettings {
        &self.settings
    }

    /// A `tendermint` client of this chain that trusts its newest header, for another chain's governance to decide on.
    /// The header is only as honest as the first endpoint that answers: compare it before approving.
    pub async fn client_spec(&self, trusting_period: u64) -> Result<TendermintSpec, ChainError> {
        let header = self.endpoints.first_good(|endpoint| async move { tendermint::anchor(&endpoint).await }).await?;
        Ok(TendermintSpec {
            chain_id: self.id().clone(),
            store: PacketStore::Jmt,
            header: header.encode().into(),
            trusting_period,
        })
    }

    /// The newest header that the bridge keys signed, for a `checkpoint` client to start from. The same caution holds: what
    /// is checked is that its signers sign for each other.
    pub async fn checkpoint_anchor(&self) -> Result<Checkpoint, ChainError> {
        let signed = self.endpoints.first_good(|endpoint| async move { checkpoint::newest(&endpoint).await }).await?;
        Ok(signed.checkpoint)
    }

    /// What the bridge keys signed of a header, by the first endpoint that answers.
    pub async fn checkpoint_at(&self, height: Height) -> Result<Checkpoint, ChainError> {
        let signed =
            self.endpoints.first_good(|endpoint| async move { checkpoint::checkpoint(&endpoint, height).await });
        Ok(signed.await?.checkpoint)
    }

    /// What became of a transaction, by its hash: the answer to [`ChainError::OutcomeUnknown`].
    pub async fn transaction(&self, tx: &TxId) -> Result<TxFate, ChainError> {
        let mut hash = [0; 32];
        hex::decode_to_slice(&tx.0, &mut hash).map_err(|_| {
            ChainError::InvalidRequest(format!("{}: a transaction is named by 64 hex digits", self.id()))
        })?;
        account::fate(&self.endpoints, hash).await
    }

    /// Signs any message of the ledger and waits for its block: for governance, issue, transfers and the like.
    pub async fn execute(&self, signer: &Signer, message: Message) -> Result<account::Included, ChainError> {
        let account = self.account(signer)?;
        self.run(&account, message).await
    }

    /// Brings a client of this chain the rotation that its attestors signed.
    pub async fn rotate_attestors(
        &self,
        client: &ClientId,
        rotation: &SignedRotation,
    ) -> Result<account::Included, ChainError> {
        let (client, update) = (client.clone(), Some(rotation.encode()));
        let batch = RelayBatch { client, height: Height(0), update, shared_proof: vec![], items: vec![] };
        self.run(&self.relayer, Message::Relay(batch)).await
    }

    async fn run(&self, account: &Account, message: Message) -> Result<account::Included, ChainError> {
        let within = Duration::from_millis(self.settings.inclusion_timeout_ms);
        let included = account.execute(&self.endpoints, &self.heights, message, within).await?;
        self.heights.saw(included.block.height);
        Ok(included)
    }

    fn account(&self, signer: &Signer) -> Result<Arc<Account>, ChainError> {
        let Signer::Native(key) = signer else {
            return Err(ChainError::InvalidRequest(format!("{}: the key is of another chain's kind", self.id())));
        };
        let id = AccountId::of_key(&key.verifying_key());
        if id == self.relayer.id() {
            return Ok(Arc::clone(&self.relayer));
        }
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= MAX_ACCOUNTS {
            accounts.retain(|_, account| Arc::strong_count(account) > 1);
        }
        let new = || Arc::new(Account::new(self.settings.chain.clone(), key.as_ref().clone()));
        Ok(Arc::clone(accounts.entry(id).or_insert_with(new)))
    }

    /// Sends messages of items one after the other. Once one is in a block, a failure of a later one is told in
    /// the outcomes of its items.
    async fn run_batch(&self, mut tally: Tally, messages: Vec<(Message, Vec<usize>)>) -> Result<Submitted, ChainError> {
        for (message, places) in messages {
            match self.run(&self.relayer, message).await {
                Ok(included) => tally.record(included, &places),
                Err(error) if !tally.has_any() => return Err(error),
                Err(error) => {
                    tracing::warn!(chain = %self.id(), %error, "a later transaction of a batch failed");
                    break;
                }
            }
        }
        tally.finish(self.id())
    }

    fn status(&self, endpoint: &Endpoint, view: ClientView) -> Result<Option<ClientStatus>, ChainError> {
        let Some(counterparty_client) = view.counterparty_client else { return Ok(None) };
        use ClientType::{Attested, Checkpoint, EthereumPos, Qbft, Tendermint};
        let client_type = [Tendermint, Attested, Qbft, EthereumPos, Checkpoint]
            .into_iter()
            .find(|known| known.as_str() == view.client_type)
            .ok_or_else(|| endpoint.malformed("/client", format!("client {} is of no known type", view.client)))?;
        Ok(Some(ClientStatus {
            client: view.client,
            client_type,
            counterparty_chain: view.counterparty_chain,
            counterparty_client,
            trusted: Tip { height: view.trusted.height, time: view.trusted.time },
            trusted_hash: view.trusted_hash,
            signers: view.signers,
            trusting_period: view.trusting_period,
            frozen: view.frozen,
            generation: view.generation,
        }))
    }

    /// A CometBFT chain's blocks are final when they are committed. But what a block did is proven by the header after
    /// it, and to EVM chains by that header's checkpoint: the newest block with such a header is as far as anything is
    /// relayed.
    async fn head_of(&self, endpoint: &Endpoint) -> Result<Head, ChainError> {
        let latest = endpoint.status().await?.latest;
        let signed = match checkpoint::newest_tip(endpoint).await {
            Ok(newest) => newest.height.min(latest.height),
            Err(ChainError::NotFound { .. } | ChainError::NotYet(_)) => Height(0),
            Err(error) => return Err(error),
        };
        let below = Height(signed.0.saturating_sub(1));
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.into_iter().flat_map(|head| [head.latest, head.finalized]).find(|tip| tip.height == below);
        let finalized = match known {
            Some(tip) => tip,
            None if below.0 == 0 => Tip { height: below, time: Timestamp(0) },
            None => endpoint.tip(below).await?,
        };
        Ok(Head { latest, finalized })
    }

    /// The events of blocks `from..=to` from an endpoint that shows that it left out none.
    async fn whole_range(&self, from: Height, to: Height) -> Result<Vec<ChainEvent>, ChainError> {
        if self.heights.newest() <= to {
            self.heights.above(to, self.settings.block_time().saturating_mul(2)).await;
        }
        let checked = |endpoint: Arc<Endpoint>| async move {
            let events = events::range(&endpoint, from, to).await?;
            complete::check(&endpoint, &self.last_heads, from, to, &events).await?;
            Ok(events)
        };
        match self.endpoints.first_good(checked).await {
            Err(ChainError::Pruned { .. }) => {
                // Nobody has this state any more. A packet left out so far back shows as a gap before the next.
                tracing::warn!(chain = %self.id(), %from, %to, "the state is pruned: events cannot be checked");
                self.endpoints.first_good(|endpoint| async move { events::range(&endpoint, from, to).await }).await
            }
            other => other,
        }
    }

    async fn prove_items(&self, client: &ClientStatus, items: &[RelayItem]) -> Result<Proven, ChainError> {
        if client.counterparty_chain != *self.id() {
            let (client, of) = (&client.client, &client.counterparty_chain);
            return Err(ChainError::InvalidRequest(format!("client {client} follows {of}, not {}", self.id())));
        }
        let items = items.get(..MAX_BATCH).unwrap_or(items);
        let proven = self
            .endpoints
            .first_good(|endpoint| async move {
                match client.client_type {
                    ClientType::Checkpoint => checkpoint::prove(&endpoint, &self.places, client, items).await,
                    ClientType::Tendermint => tendermint::prove(&endpoint, client, items).await,
                    ClientType::Attested | ClientType::Qbft | ClientType::EthereumPos => Err(
                        ChainError::InvalidRequest(format!("client {} takes headers of an EVM chain", client.client)),
                    ),
                }
            })
            .await?;
        self.heights.saw(proven.height);
        Ok(proven)
    }
}

#[async_trait]
impl Chain for NativeChain {
    fn id(&self) -> &ChainId {
        &self.settings.chain
    }

    async fn head(&self) -> Result<Head, ChainError> {
        let head = self.endpoints.first_good(|endpoint| async move { self.head_of(&endpoint).await }).await?;
        self.heights.saw(head.latest.height);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
        Ok(head)
    }

    async fn next_head(&self, height: Height) -> Result<Head, ChainError> {
        self.heights.above(height, self.settings.block_time()).await;
        self.head().await
    }

    async fn events(&self, from: Height, to: Height) -> Result<Vec<ChainEvent>, ChainError> {
        if from > to || to.0.saturating_sub(from.0) >= MAX_BLOCKS {
            return Err(ChainError::InvalidRequest(format!(
                "{}: events of blocks {from} to {to} are asked for; 1 to {MAX_BLOCKS} blocks are allowed",
                self.id()
            )));
        }
        let mut all = Vec::new();
        let mut first = from;
        // In parts, so that an endpoint that fails does not cost the whole range.
        while first <= to {
            let last = to.min(Height(first.0.saturating_add(BLOCKS_AT_ONCE).saturating_sub(1)));
            all.extend(self.whole_range(first, last).await?);
            if all.len() > events::MAX_EVENTS && from < to {
                return Err(events::too_many(self.id(), from, to));
            }
            first = last.next();
        }
        self.places.note(&all);
        Ok(all)
    }

    fn doubt(&self) {
        self.endpoints.doubt();
    }

    async fn first_height(&self) -> Result<Height, ChainError> {
        Ok(self.settings.first_height)
    }

    async fn clients(&self) -> Result<Vec<ClientStatus>, ChainError> {
        self.endpoints
            .first_good(|endpoint| async move {
                let views: Vec<ClientView> = endpoint.view_all("/clients", Height(0)).await?;
                let open = views.into_iter().filter(|view| !view.closed);
                let statuses: Result<Vec<_>, _> = open.map(|view| self.status(&endpoint, view)).collect();
                Ok(statuses?.into_iter().flatten().collect())
            })
            .await
    }

    async fn client(&self, client: &ClientId) -> Result<ClientStatus, ChainError> {
        self.endpoints
            .first_good(|endpoint| async move {
                let view: ClientView = endpoint.view_named("/client", client.as_str()).await?;
                if view.client != *client {
                    return Err(endpoint.untrustworthy("it answered about another client"));
                }
                self.status(&endpoint, view)?.ok_or_else(|| ChainError::NotFound {
                    chain: self.id().clone(),
                    what: format!("counterparty of client {client}"),
                })
            })
            .await
    }

    async fn stored(&self, path: &Path, at: Height) -> Result<StoredPacket, ChainError> {
        let key = &path.to_bytes();
        self.endpoints
            .first_good(|endpoint| async move {
                let stored = endpoint.stored(key, at, false).await?;
                if stored.value.is_empty() {
                    return Ok(StoredPacket { value: None });
                }
                let value = stored.value.try_into().map_err(|_| endpoint.malformed("/store", "not 32 bytes"))?;
                Ok(StoredPacket { value: Some(value) })
            })
            .await
    }

    async fn prove(&self, client: &ClientStatus, items: &[RelayItem]) -> Result<Proven, ChainError> {
        if items.is_empty() {
            return Err(ChainError::InvalidRequest(format!("{}: there is nothing to prove", self.id())));
        }
        self.prove_items(client, items).await
    }

    async fn prove_update(&self, client: &ClientStatus) -> Result<Proven, ChainError> {
        self.prove_items(client, &[]).await
    }

    fn witnesses(&self) -> &[Arc<dyn Witness>] {
        &self.witnesses
    }

    async fn updates(&self, client: &ClientStatus, from: Height, to: Height) -> Result<Vec<Brought>, ChainError> {
        self.endpoints.first_good(|endpoint| async move { events::updates(&endpoint, client, from, to).await }).await
    }

    async fn submit_misbehaviour(&self, client: &ClientId, evidence: &Misbehaviour) -> Result<TxId, ChainError> {
        let Misbehaviour::Headers(headers) = evidence else {
            return Err(ChainError::InvalidRequest(format!("{}: a native chain takes no checkpoints", self.id())));
        };
        let (client, evidence) = (client.clone(), join_evidence(headers));
        Ok(self.run(&self.relayer, Message::SubmitMisbehaviour { client, evidence }).await?.tx)
    }

    async fn evidence(&self, packet: &Packet, end: PacketEnd, _: &ClientStatus) -> Result<ChainEvidence, ChainError> {
        self.endpoints.first_good(|endpoint| async move { evidence::gather(&endpoint, packet, end).await }).await
    }

    async fn submit(&self, client: &ClientId, proven: &Proven) -> Result<Submitted, ChainError> {
        let relay = submit::relay(self.id(), client, proven)?;
        self.run_batch(Tally::new(proven.items.len()), relay.messages).await
    }

    async fn claim(&self, holds: &[(Packet, Preimage)]) -> Result<Submitted, ChainError> {
        let now = self.head().await?.latest.time;
        let latest_deadline = Timestamp(now.0.saturating_add(self.settings.claim_margin_secs));
        let mut tally = Tally::new(holds.len());
        let mut in_time = Vec::new();
        for (place, hold) in holds.iter().enumerate() {
            match hold.0.points_lock() {
                Ok(lock) if lock.claim_deadline > latest_deadline => in_time.push((place, hold)),
                Ok(_) => tally.skip(place, "too close to the claim deadline to show the preimage", false),
                Err(error) => tally.skip(place, &error.to_string(), false),
            }
        }
        self.run_batch(tally, submit::claims(&in_time)).await
    }

    async fn void(&self, holds: &[Packet]) -> Result<Submitted, ChainError> {
        self.run_batch(Tally::new(holds.len()), submit::voids(holds)).await
    }

    async fn lock(&self, payer: &Signer, request: &LockRequest) -> Result<(Submitted, Packet), ChainError> {
        let account = self.account(payer)?;
        let included = self.run(&account, submit::lock(request)).await?;
        let packet = submit::sent_packet(self.id(), &included)?;
        let submitted = Submitted {
            tx: included.tx,
            block: included.block,
            gas_used: included.gas_used,
            outcomes: vec![crate::chain::ItemOutcome::Done],
        };
        Ok((submitted, packet))
    }

    async fn hashlock_used(&self, sender: &Address, hashlock: &Hashlock) -> Result<bool, ChainError> {
        let sender = sender.as_str().parse().map_err(|e| {
            ChainError::InvalidRequest(format!("{}: {sender} is no account of this chain: {e}", self.id()))
        })?;
        let query = &HashlockQuery { sender, hashlock: *hashlock };
        self.endpoints.first_good(|endpoint| async move { endpoint.view("/hashlock", query, Height(0)).await }).await
    }

    async fn balance(&self, account: &Address, denom: &Denom) -> Result<Amount, ChainError> {
        self.endpoints
            .first_good(|endpoint| async move {
                let view: AccountView = endpoint.view_named("/account", account.as_str()).await?;
                Ok(view.balances.get(denom).copied().unwrap_or_default())
            })
            .await
    }

    async fn supply(&self, at: Height) -> Result<Vec<DenomSupply>, ChainError> {
        let view: SupplyView = self
            .endpoints
            .first_good(|endpoint| async move {
                let view: SupplyView = endpoint.view_all("/supply", at).await?;
                if at.0 != 0 && view.height != at {
                    return Err(endpoint.untrustworthy(format!("asked for supply at {at}, got it at {}", view.height)));
                }
                Ok(view)
            })
            .await?;
        let denoms = view.denoms.into_iter().map(|denom| DenomSupply {
            denom: denom.denom,
            symbol: denom.symbol,
            cap: denom.cap,
            issued: denom.issued,
            circulating: denom.circulating,
            owed: denom.owed,
            return_holds: denom.return_holds,
            bound: denom.bound,
            home: denom.home,
            escrowed: None,
            voucher: denom.voucher,
        });
        Ok(denoms.collect())
    }

    async fn wallet(&self) -> Result<(Address, Option<u128>), ChainError> {
        let address =
            self.relayer.id().to_address().ok_or_else(|| {
                ChainError::InvalidRequest(format!("{}: the relayer's address has no text", self.id()))
            })?;
        // The ledger takes no fees.
        Ok((address, None))
    }
}
