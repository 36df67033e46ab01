//! An EVM chain with the gateway contract on it.

use super::block::{self, Block, BlockId};
use super::contracts::{IBindings, ICrosspointGateway, ICrosspointRegistry, IToken};
use super::record::{address_text, client_word, parse_address, parse_client};
use super::rpc::{Rpc, RpcError, Session};
use super::sender::Sender;
use super::settings::EvmSettings;
use super::source::HeaderSource;
use super::witness;
use crate::chain::{
    Chain, ChainEvent, ClientStatus, ClientType, DenomSupply, Head, LockRequest, PacketEnd, RelayItem, StoredPacket,
    Submitted, Tip, TxId,
};
use crate::error::ChainError;
use crate::http::Http;
use crate::observer::RpcObserver;
use crate::proven::Proven;
use crate::signer::Signer;
use crate::witness::{Brought, Mark, Misbehaviour, Witness};
use alloy::primitives::{Address as EvmAddress, B256, Bytes, U64, keccak256};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use async_trait::async_trait;
use crosspoint_light_proofs::attested;
use crosspoint_light_proofs::evidence::ChainEvidence;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{Address, ChainId, ClientId, Height, Timestamp};
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::path::Path;
use crosspoint_protocol::secret::{Hashlock, Preimage};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The storage slot of the gateway's `commitments` mapping.
pub const BASE_SLOT: B256 = B256::ZERO;
/// Most clients and denoms that a registry is believed to list.
const MAX_LISTED: u64 = 1_000;

/// An EVM chain with the gateway contract on it.
pub struct EvmChain {
    pub(super) settings: EvmSettings,
    pub(super) rpc: Arc<Rpc>,
    pub(super) sender: Sender,
    pub(super) wallet: PrivateKeySigner,
    pub(super) source: Option<HeaderSource>,
    witnesses: Vec<Arc<dyn Witness>>,
    pub(super) registry: EvmAddress,
}

impl std::fmt::Debug for EvmChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EvmChain")
            .field("rpc", &self.rpc)
            .field("gateway", &self.settings.gateway)
            .field("wallet", &self.wallet.address())
            .finish_non_exhaustive()
    }
}

impl EvmChain {
    /// Connects and checks that the endpoints serve this chain and that the gateway stands there.
    /// `wallet` pays for relaying. Without a source of headers nothing can be proven to clients of this chain.
    pub async fn connect(
        settings: EvmSettings,
        wallet: PrivateKeySigner,
        source: Option<HeaderSource>,
        observer: Option<Arc<dyn RpcObserver>>,
    ) -> Result<Self, ChainError> {
        let problems = settings.problems();
        if !problems.is_empty() {
            return Err(ChainError::InvalidRequest(format!("{}: {}", settings.chain, problems.join("; "))));
        }
        let witnesses = match &source {
            Some(source) => witness::witnesses(&settings, source, observer.clone())?,
            None => vec![],
        };
        let mut rpc = Rpc::new(settings.chain.clone(), &settings.endpoints, settings.bounds())?;
        if let Some(observer) = observer {
            rpc = rpc.observed_by(observer);
        }
        if let Some(HeaderSource::Qbft(encoding)) = &source {
            rpc = rpc.sealed_as(*encoding);
        }
        let rpc = Arc::new(rpc);
        let number: U64 = rpc.call("eth_chainId", json!([])).await?;
        if number.to::<u64>() != settings.chain_number {
            return Err(ChainError::InvalidRequest(format!(
                "{}: the endpoint serves chain {number}, not {}",
                settings.chain, settings.chain_number
            )));
        }
        let poll = Duration::from_millis(settings.poll_ms);
        let sender = Sender::new(Arc::clone(&rpc), settings.chain_number, settings.fees.clone(), poll);
        let gateway = settings.gateway;
        let registry =
            read(&rpc, &sender, gateway, &IBindings::registryCall {}, BlockId::Latest).await.map_err(|error| {
                match error {
                    ChainError::Malformed { .. } | ChainError::Rejected { .. } => ChainError::NotFound {
                        chain: settings.chain.clone(),
                        what: format!("a gateway contract at {gateway}"),
                    },
                    other => other,
                }
            })?;
        Ok(Self { settings, rpc, sender, wallet, source, witnesses, registry })
    }

    /// The adapter over answers that are there already. Which chain they are of is not asked.
    pub(crate) fn told(
        http: Http,
        settings: EvmSettings,
        registry: EvmAddress,
        wallet: PrivateKeySigner,
        source: Option<HeaderSource>,
    ) -> Result<Self, ChainError> {
        let mut rpc = Rpc::over(http, settings.chain.clone(), &settings.endpoints, settings.bounds())?;
        if let Some(HeaderSource::Qbft(encoding)) = &source {
            rpc = rpc.sealed_as(*encoding);
        }
        let rpc = Arc::new(rpc);
        let poll = Duration::from_millis(settings.poll_ms);
        let sender = Sender::new(Arc::clone(&rpc), settings.chain_number, settings.fees.clone(), poll);
        Ok(Self { settings, rpc, sender, wallet, source, witnesses: vec![], registry })
    }

    /// The settings it was made with.
    #[must_use]
    pub const fn settings(&self) -> &EvmSettings {
        &self.settings
    }

    /// The registry contract of the gateway.
    #[must_use]
    pub const fn registry(&self) -> EvmAddress {
        self.registry
    }

    /// What an `attested` client of this chain starts from: the hash of block 0 and the newest final block.
    pub async fn trust_anchor(&self) -> Result<(B256, attested::Latest), ChainError> {
        let finality = self.settings.finality;
        let genesis = self.rpc.each(|s| block::existing(s, BlockId::Number(Height(0)))).await?;
        let (_, finalized) = self.rpc.each(|s| block::head(s, finality)).await?;
        let Tip { height: number, time } = finalized.tip();
        let state_root = finalized.header.state_root;
        Ok((genesis.hash, attested::Latest { number, hash: finalized.hash, time, state_root }))
    }

    /// The client of the chain's endpoints.
    #[must_use]
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// Calls a contract without sending anything.
    pub(super) async fn read<C: SolCall>(
        &self,
        to: EvmAddress,
        call: &C,
        at: BlockId,
    ) -> Result<C::Return, ChainError> {
        read(&self.rpc, &self.sender, to, call, at).await
    }

    pub(super) async fn latest(&self) -> Result<Block, ChainError> {
        self.rpc.each(|s| block::existing(s, BlockId::Latest)).await
    }

    /// All clients as the registry lists them.
    pub(super) async fn client_infos(&self, at: BlockId) -> Result<Vec<ICrosspointRegistry::ClientInfo>, ChainError> {
        let count = self.read(self.registry, &ICrosspointRegistry::clientCountCall {}, at).await?;
        let count = self.bounded(count, "clients")?;
        let mut infos = vec![];
        for index in 0..count {
            let call = ICrosspointRegistry::clientAtCall { index: alloy::primitives::U256::from(index) };
            infos.push(self.read(self.registry, &call, at).await?);
        }
        Ok(infos)
    }

    pub(super) fn bounded(&self, count: alloy::primitives::U256, what: &str) -> Result<u64, ChainError> {
        match u64::try_from(count) {
            Ok(count) if count <= MAX_LISTED => Ok(count),
            _ => Err(self.malformed("eth_call", format!("the registry lists {count} {what}, more than {MAX_LISTED}"))),
        }
    }

    pub(super) fn malformed(&self, method: &str, detail: impl std::fmt::Display) -> ChainError {
        ChainError::Malformed { chain: self.id().clone(), method: method.into(), detail: detail.to_string() }
    }

    pub(super) fn status(&self, info: &ICrosspointRegistry::ClientInfo) -> Result<ClientStatus, ChainError> {
        let odd = |what: &str| self.malformed("eth_call", format!("the registry's {what} is not valid"));
        Ok(ClientStatus {
            client: parse_client(&info.client.0).map_err(|_| odd("client id"))?,
            client_type: ClientType::Checkpoint,
            counterparty_chain: info.chainId.parse().map_err(|_| odd("chain id"))?,
            counterparty_client: parse_client(&info.counterparty.0).map_err(|_| odd("counterparty"))?,
            trusted: Tip { height: Height(info.trustedHeight), time: Timestamp(info.trustedTime) },
            trusted_hash: vec![],
            signers: Default::default(),
            trusting_period: info.rules.trustingPeriod.into(),
            frozen: info.frozen,
            generation: info.generation.into(),
        })
    }

    /// The token of a denom as this chain names it.
    pub(super) async fn token(&self, denom: &Denom, at: BlockId) -> Result<EvmAddress, ChainError> {
        let not_found = || ChainError::NotFound { chain: self.id().clone(), what: format!("denom {denom}") };
        let Some(client) = denom.came_through() else {
            let text: Address = denom.base_name().parse().map_err(|_| not_found())?;
            return parse_address(&text).map_err(|_| not_found());
        };
        let call = ICrosspointRegistry::tokenOfCall { client: client_word(client).into(), denom: denom.to_string() };
        let token = self.read(self.registry, &call, at).await?;
        if token.is_zero() { Err(not_found()) } else { Ok(token) }
    }
}

/// Calls a contract without sending anything.
pub(super) async fn read<C: SolCall>(
    rpc: &Rpc,
    sender: &Sender,
    to: EvmAddress,
    call: &C,
    at: BlockId,
) -> Result<C::Return, ChainError> {
    let data = Bytes::from(call.abi_encode());
    let answer = sender.simulate(EvmAddress::ZERO, to, &data, at).await?;
    C::abi_decode_returns_validate(&answer).map_err(|_| ChainError::Malformed {
        chain: rpc.chain().clone(),
        method: "eth_call".into(),
        detail: format!("{} returned {} bytes that are not its answer", C::SIGNATURE, answer.len()),
    })
}

/// A failure to read state at a height: a node that has the block but not its state has pruned it.
pub(super) fn state_error(session: Session<'_>, error: RpcError, method: &str, height: Height) -> ChainError {
    match error {
        RpcError::Node(_) => ChainError::Pruned { chain: session.chain().clone(), height },
        other => other.into_chain_error(session.chain(), method),
    }
}

#[async_trait]
impl Chain for EvmChain {
    fn id(&self) -> &ChainId {
        &self.settings.chain
    }

    async fn head(&self) -> Result<Head, ChainError> {
        let finality = self.settings.finality;
        let (latest, finalized) = self.rpc.each(|s| block::head(s, finality)).await?;
        Ok(block::to_head(&latest, &finalized))
    }

    async fn next_head(&self, height: Height) -> Result<Head, ChainError> {
        let start = Instant::now();
        let wait = Duration::from_millis(self.settings.block_ms);
        loop {
            let number: U64 = self.rpc.call("eth_blockNumber", json!([])).await?;
            if number.to::<u64>() > height.0 || start.elapsed() >= wait {
                return self.head().await;
            }
            tokio::time::sleep(Duration::from_millis(self.settings.poll_ms)).await;
        }
    }

    async fn events(&self, from: Height, to: Height) -> Result<Vec<ChainEvent>, ChainError> {
        self.read_events(from, to).await
    }

    fn doubt(&self) {
        self.rpc.doubt();
    }

    async fn first_height(&self) -> Result<Height, ChainError> {
        Ok(self.settings.deployed_at)
    }

    async fn clients(&self) -> Result<Vec<ClientStatus>, ChainError> {
        self.client_infos(BlockId::Latest).await?.iter().map(|info| self.status(info)).collect()
    }

    async fn client(&self, client: &ClientId) -> Result<ClientStatus, ChainError> {
        let call = ICrosspointRegistry::clientInfoCall { client: client_word(client).into() };
        match self.read(self.registry, &call, BlockId::Latest).await {
            Ok(info) => self.status(&info),
            Err(ChainError::Rejected { .. }) => {
                Err(ChainError::NotFound { chain: self.id().clone(), what: format!("client {client}") })
            }
            Err(error) => Err(error),
        }
    }

    async fn stored(&self, path: &Path, at: Height) -> Result<StoredPacket, ChainError> {
        let call = ICrosspointGateway::commitmentsCall { pathHash: keccak256(path.to_bytes()) };
        let word = self.read(self.settings.gateway, &call, BlockId::Number(at)).await.map_err(|error| match error {
            // The getter cannot revert: the node has no state there.
            ChainError::Rejected { .. } => ChainError::Pruned { chain: self.id().clone(), height: at },
            other => other,
        })?;
        Ok(StoredPacket { value: (!word.is_zero()).then_some(word.0) })
    }

    async fn prove(&self, client: &ClientStatus, items: &[RelayItem]) -> Result<Proven, ChainError> {
        self.prove_items(client, items).await
    }

    async fn prove_update(&self, client: &ClientStatus) -> Result<Proven, ChainError> {
        self.prove_client_update(client).await
    }

    fn moves(&self, client: ClientType) -> bool {
        self.source.as_ref().is_some_and(|source| source.client_type() == client)
    }

    fn witnesses(&self) -> &[Arc<dyn Witness>] {
        &self.witnesses
    }

    async fn trusts(&self, client: &ClientStatus, mark: &Mark) -> Result<bool, ChainError> {
        self.trusts_checkpoint(&client.client, mark).await
    }

    async fn updates(&self, client: &ClientStatus, from: Height, to: Height) -> Result<Vec<Brought>, ChainError> {
        self.client_updates(&client.client, from, to).await
    }

    async fn submit_misbehaviour(&self, client: &ClientId, evidence: &Misbehaviour) -> Result<TxId, ChainError> {
        self.show_misbehaviour(client, evidence).await
    }

    async fn evidence(
        &self,
        packet: &Packet,
        end: PacketEnd,
        client: &ClientStatus,
    ) -> Result<ChainEvidence, ChainError> {
        self.packet_evidence(packet, end, client).await
    }

    async fn submit(&self, client: &ClientId, proven: &Proven) -> Result<Submitted, ChainError> {
        self.submit_batch(client, proven).await
    }

    async fn claim(&self, holds: &[(Packet, Preimage)]) -> Result<Submitted, ChainError> {
        self.claim_holds(holds).await
    }

    async fn void(&self, holds: &[Packet]) -> Result<Submitted, ChainError> {
        self.void_holds(holds).await
    }

    async fn lock(&self, payer: &Signer, request: &LockRequest) -> Result<(Submitted, Packet), ChainError> {
        self.lock_points(payer, request).await
    }

    async fn hashlock_used(&self, sender: &Address, hashlock: &Hashlock) -> Result<bool, ChainError> {
        let sender = parse_address(sender).map_err(|e| ChainError::InvalidRequest(e.to_string()))?;
        let call = ICrosspointGateway::hashlockUsedCall { sender, hashlock: hashlock.0.into() };
        self.read(self.settings.gateway, &call, BlockId::Latest).await
    }

    async fn balance(&self, account: &Address, denom: &Denom) -> Result<Amount, ChainError> {
        let account = parse_address(account).map_err(|e| ChainError::InvalidRequest(e.to_string()))?;
        let token = self.token(denom, BlockId::Latest).await?;
        let balance = self.read(token, &IToken::balanceOfCall { account }, BlockId::Latest).await?;
        u128::try_from(balance)
            .map(Amount::new)
            .map_err(|_| self.malformed("eth_call", format!("the balance {balance} is above 2^128 - 1")))
    }

    async fn supply(&self, at: Height) -> Result<Vec<DenomSupply>, ChainError> {
        self.read_supply(at).await
    }

    async fn wallet(&self) -> Result<(Address, Option<u128>), ChainError> {
        let address = self.wallet.address();
        let wei = self.sender.ether(address).await?;
        let text = address_text(&address).parse().map_err(|_| self.malformed("wallet", "not an address"))?;
        Ok((text, Some(u128::try_from(wei).unwrap_or(u128::MAX))))
    }
}
