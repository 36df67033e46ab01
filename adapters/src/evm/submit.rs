//! Submits proven batches, claims, voids and locks to the gateway contract.

use super::block::BlockId;
use super::calldata::{self, EncodeError, List, ProvenBatch};
use super::contracts::ICheckpointClient;
use super::contracts::ICrosspointGateway::{self, ICrosspointGatewayEvents as Event, SkipReason};
use super::contracts::{ICrosspointRegistry, IToken};
use super::gateway::EvmChain;
use super::record::{Batch, Direction, RecordError, address_text, client_word, decode_sent};
use super::sender::{Call, Receipt};
use crate::chain::{Chain, ItemOutcome, LockRequest, RelayItem, Submitted, Tip, TxId};
use crate::error::ChainError;
use crate::proven::{CheckpointEvidence, Evidence, Proven};
use crate::signer::Signer;
use crate::witness::{Mark, Misbehaviour};
use alloy::primitives::{Address as EvmAddress, B256, Bytes, U64, U256, aliases::U96};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolEventInterface};
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::ids::{ClientId, Height, Timestamp};
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Preimage;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

/// Most items of one transaction, and most that pay somebody: with the gas set aside for each, it
/// stays below the cap of 2^24 gas that some chains set (EIP-7825).
const MAX_ITEMS: usize = 100;
const MAX_PAYOUTS: usize = 75;
/// Gas set aside per item that may pay somebody (its payout and its own use), per other item, and once
/// per transaction: what the contract wants to see left before it starts on an item
/// (`contracts/src/gateway/Escrow.sol`, `_gasForItem`). An estimate finds too little, because skipping is a success too.
const PAYOUT_GAS: u64 = 165_000;
const ITEM_GAS: u64 = 60_000;
const RESERVE_GAS: u64 = 250_000;

impl From<EncodeError> for ChainError {
    fn from(error: EncodeError) -> Self {
        Self::InvalidRequest(error.to_string())
    }
}

impl From<RecordError> for ChainError {
    fn from(error: RecordError) -> Self {
        Self::InvalidRequest(error.to_string())
    }
}

/// One call of the gateway and which items are in it.
struct ItemCall {
    data: Bytes,
    places: Vec<usize>,
    gas_per_item: u64,
}

/// Adds up what several transactions did.
struct Tally {
    outcomes: Vec<ItemOutcome>,
    last: Option<(TxId, u64)>,
    gas_used: u64,
}

impl Tally {
    /// Every item starts as skipped: those in no transaction stay so.
    fn new(items: usize, reason: &str, retryable: bool) -> Self {
        let outcome = ItemOutcome::Skipped { reason: reason.into(), retryable };
        Self { outcomes: vec![outcome; items], last: None, gas_used: 0 }
    }

    fn set(&mut self, place: usize, outcome: ItemOutcome) {
        if let Some(slot) = self.outcomes.get_mut(place) {
            *slot = outcome;
        }
    }
}

fn skip_outcome(reason: SkipReason) -> ItemOutcome {
    let (reason, retryable) = match reason {
        SkipReason::Duplicate => return ItemOutcome::Duplicate,
        SkipReason::None => ("skipped without a reason", false),
        SkipReason::Expired => ("the packet's timeout has passed", false),
        SkipReason::LimitExceeded => ("a limit of the route is exceeded", true),
        SkipReason::CapExceeded => ("the voucher cap is reached", true),
        SkipReason::VaultShort => ("the vault is short; settle acks are still on their way", true),
        SkipReason::LowGas => ("the transaction ran short of gas", true),
        SkipReason::WrongPacket => ("this is not the packet under its path", false),
        SkipReason::WrongPreimage => ("the preimage does not open the hashlock", false),
        SkipReason::DeadlinePassed => ("the claim deadline has passed", false),
        SkipReason::DeadlineNotReached => ("the claim deadline is not reached", true),
        SkipReason::Suspended => ("the receiver is suspended", true),
        SkipReason::NotProven => ("the proof does not hold", true),
        SkipReason::TooEarly => ("the absence is of a time before the timeout", true),
        SkipReason::ClientFrozen => ("the client froze on this update", true),
        SkipReason::__Invalid => ("skipped for an unknown reason", false),
    };
    ItemOutcome::Skipped { reason: reason.into(), retryable }
}

impl EvmChain {
    pub(super) async fn submit_batch(&self, client: &ClientId, proven: &Proven) -> Result<Submitted, ChainError> {
        let evidence = match &proven.evidence {
            Evidence::Checkpoint(evidence) => evidence,
            Evidence::Tendermint(_) | Evidence::Attested(_) | Evidence::Qbft(_) | Evidence::EthereumPos(_) => {
                return Err(ChainError::InvalidRequest(format!("client {client} takes checkpoints")));
            }
        };
        let word = client_word(client).into();
        let (first, stored) = self.states(client, proven.height, evidence).await?;
        if proven.items.is_empty() {
            let info = self.client_info(client).await?;
            let data = ICheckpointClient::updateCall { client: word, state: first }.abi_encode();
            let receipt = self.transact(&self.wallet, info.lightClient, data.into(), 0).await?;
            let mut tally = Tally::new(0, "", false);
            self.record(&mut tally, &receipt, &[]);
            return self.submitted(tally).await;
        }
        // Acks first: they fill the vaults that returns draw on.
        let places: Vec<(usize, &RelayItem)> = proven.items.iter().enumerate().collect();
        let mut calls: Vec<(Kind, Vec<(usize, &RelayItem)>)> = vec![];
        for kind in [Kind::Ack, Kind::Recv, Kind::Timeout] {
            let of_kind: Vec<_> = places.iter().copied().filter(|(_, item)| Kind::of(item) == kind).collect();
            calls.extend(of_kind.chunks(kind.max_items()).map(|chunk| (kind, chunk.to_vec())));
        }
        let timeouts: BTreeMap<usize, usize> = places
            .iter()
            .filter(|(_, item)| Kind::of(item) == Kind::Timeout)
            .enumerate()
            .map(|(number, (place, _))| (*place, number))
            .collect();
        let mut tally = Tally::new(proven.items.len(), "the proof does not hold this item", true);
        let mut state = first;
        for (kind, items) in calls {
            let batch = self.batch(kind, evidence, &items, &timeouts)?;
            if batch.places.is_empty() {
                continue;
            }
            let (state_bytes, outbox, items) = (state.clone(), batch.outbox.into(), batch.items.into());
            let (data, gas_per_item) = match kind {
                Kind::Ack => {
                    let call = ICrosspointGateway::ackCall { client: word, state: state_bytes, outbox, acks: items };
                    (call.abi_encode(), PAYOUT_GAS)
                }
                Kind::Recv => {
                    let call =
                        ICrosspointGateway::recvCall { client: word, state: state_bytes, outbox, packets: items };
                    (call.abi_encode(), ITEM_GAS)
                }
                Kind::Timeout => {
                    let call = ICrosspointGateway::timeoutCall { client: word, state: state_bytes, packets: items };
                    (call.abi_encode(), PAYOUT_GAS)
                }
            };
            let call = ItemCall { data: data.into(), places: batch.places, gas_per_item };
            if let Err(error) = self.run(&mut tally, call).await {
                // What went through before stands; the rest is told as it is.
                if tally.last.is_none() {
                    return Err(error);
                }
                tracing::warn!(chain = %self.id(), %error, "a later transaction of a batch failed");
                break;
            }
            // From the second transaction on the update is stored already: its header is enough.
            state = stored.clone();
        }
        self.submitted(tally).await
    }

    fn batch(
        &self,
        kind: Kind,
        evidence: &CheckpointEvidence,
        items: &[(usize, &RelayItem)],
        timeouts: &BTreeMap<usize, usize>,
    ) -> Result<ProvenBatch, EncodeError> {
        match kind {
            Kind::Ack => {
                let outbox = evidence.acked.as_ref().ok_or(EncodeError::Missing("ack"))?;
                calldata::outbox_batch(List::Acked, outbox, items)
            }
            Kind::Recv => {
                let outbox = evidence.sent.as_ref().ok_or(EncodeError::Missing("recv"))?;
                calldata::outbox_batch(List::Sent, outbox, items)
            }
            Kind::Timeout => {
                let numbered: Vec<_> =
                    items.iter().filter_map(|(place, item)| Some((*place, *timeouts.get(place)?, *item))).collect();
                calldata::timeout_batch(evidence, &numbered)
            }
        }
    }

    /// `state` for the first transaction, and for those after it.
    async fn states(
        &self,
        client: &ClientId,
        height: Height,
        evidence: &CheckpointEvidence,
    ) -> Result<(Bytes, Bytes), ChainError> {
        if let Some(update) = &evidence.update {
            let stored = calldata::stored_state(&calldata::header(&update.checkpoint));
            return Ok((calldata::update(update)?.into(), stored.into()));
        }
        let Some(trusted) = &evidence.trusted else {
            return Err(ChainError::InvalidRequest(format!("client {client}: the proof comes without its header")));
        };
        let mark = Mark { height, hash: trusted.digest().to_vec() };
        if trusted.height != height || !self.trusts_checkpoint(client, &mark).await? {
            // Another anchor since, a state gone by, or a node that knows another header: what is proven anew will fit.
            return Err(ChainError::NotYet(format!("client {client} does not trust this state at height {height}")));
        }
        let stored = Bytes::from(calldata::stored_state(&calldata::header(trusted)));
        Ok((stored.clone(), stored))
    }

    /// Whether a client trusts the checkpoint with this digest, and has kept it.
    pub(super) async fn trusts_checkpoint(&self, client: &ClientId, mark: &Mark) -> Result<bool, ChainError> {
        let Ok(digest) = B256::try_from(mark.hash.as_slice()) else { return Ok(false) };
        let info = self.client_info(client).await?;
        let call =
            ICheckpointClient::isTrustedCall { client: client_word(client).into(), height: mark.height.0, digest };
        self.read(info.lightClient, &call, BlockId::Latest).await
    }

    /// Freezes a client by checkpoints that exclude each other.
    pub(super) async fn show_misbehaviour(
        &self,
        client: &ClientId,
        evidence: &Misbehaviour,
    ) -> Result<TxId, ChainError> {
        let word = client_word(client).into();
        let data = match evidence {
            Misbehaviour::Contradiction(signed) => {
                ICheckpointClient::updateCall { client: word, state: calldata::update(signed)?.into() }.abi_encode()
            }
            Misbehaviour::Checkpoints { trusted, one, other } => ICheckpointClient::misbehaviourCall {
                client: word,
                trusted: calldata::header(trusted).into(),
                a: one.as_ref().map(|one| calldata::update(one)).transpose()?.unwrap_or_default().into(),
                b: calldata::update(other)?.into(),
            }
            .abi_encode(),
            Misbehaviour::Headers(_) => {
                return Err(ChainError::InvalidRequest(format!("client {client} takes checkpoints")));
            }
        };
        let info = self.client_info(client).await?;
        let receipt = self.transact(&self.wallet, info.lightClient, data.into(), 0).await?;
        Ok(TxId(receipt.transaction_hash.to_string()))
    }

    pub(super) async fn client_info(&self, client: &ClientId) -> Result<ICrosspointRegistry::ClientInfo, ChainError> {
        let call = ICrosspointRegistry::clientInfoCall { client: client_word(client).into() };
        self.read(self.registry, &call, BlockId::Latest).await
    }

    async fn transact(
        &self,
        signer: &PrivateKeySigner,
        to: EvmAddress,
        data: Bytes,
        extra_gas: u64,
    ) -> Result<Receipt, ChainError> {
        self.sender.send(signer, &Call { to: Some(to), data, extra_gas }).await
    }

    /// Sends one call and notes what became of its items.
    async fn run(&self, tally: &mut Tally, call: ItemCall) -> Result<(), ChainError> {
        let items = u64::try_from(call.places.len()).unwrap_or(u64::MAX);
        let extra = call.gas_per_item.saturating_mul(items).saturating_add(RESERVE_GAS);
        let receipt = self.transact(&self.wallet, self.settings.gateway, call.data, extra).await?;
        self.record(tally, &receipt, &call.places);
        Ok(())
    }

    fn record(&self, tally: &mut Tally, receipt: &Receipt, places: &[usize]) {
        for place in places {
            tally.set(*place, ItemOutcome::Done);
        }
        for event in self.gateway_events(receipt) {
            if let Event::Skipped(skipped) = event
                && let Ok(index) = usize::try_from(skipped.index)
                && let Some(place) = places.get(index)
            {
                tally.set(*place, skip_outcome(skipped.reason));
            }
        }
        tally.last = Some((TxId(receipt.transaction_hash.to_string()), receipt.block_number.to()));
        tally.gas_used = tally.gas_used.saturating_add(receipt.gas_used.to());
    }

    fn gateway_events(&self, receipt: &Receipt) -> impl Iterator<Item = Event> {
        let gateway = self.settings.gateway;
        receipt
            .logs
            .iter()
            .filter(move |log| log.inner.address == gateway)
            .filter_map(|log| Event::decode_log(&log.inner).ok().map(|event| event.data))
    }

    async fn submitted(&self, tally: Tally) -> Result<Submitted, ChainError> {
        let Some((tx, number)) = tally.last else {
            // Nothing could be sent; the outcomes say why.
            let block = self.latest().await?.tip();
            return Ok(Submitted { tx: TxId(String::new()), block, gas_used: 0, outcomes: tally.outcomes });
        };
        let block = self.tip_of(Height(number)).await?;
        Ok(Submitted { tx, block, gas_used: tally.gas_used, outcomes: tally.outcomes })
    }

    async fn tip_of(&self, height: Height) -> Result<Tip, ChainError> {
        let id = BlockId::Number(height);
        Ok(self.rpc.each(|s| super::block::existing(s, id)).await?.tip())
    }

    /// The time that a block made now would have: the newest block's may be long past.
    async fn next_block_time(&self) -> Result<Timestamp, ChainError> {
        let latest = self.latest().await?.tip().time;
        let pending: Result<PendingBlock, _> = self.rpc.call("eth_getBlockByNumber", json!(["pending", false])).await;
        // Not every node knows a pending block.
        Ok(pending.map_or(latest, |pending| latest.max(Timestamp(pending.timestamp.to()))))
    }

    pub(super) async fn claim_holds(&self, holds: &[(Packet, Preimage)]) -> Result<Submitted, ChainError> {
        let now = self.next_block_time().await?;
        let margin = self.settings.claim_margin_secs;
        let reason =
            format!("fewer than {margin} s are left to the claim deadline: too late to show the preimage safely");
        let mut tally = Tally::new(holds.len(), &reason, false);
        let mut by_client: BTreeMap<&ClientId, Vec<(usize, &Packet, &Preimage)>> = BTreeMap::new();
        for (place, (packet, preimage)) in holds.iter().enumerate() {
            let lock = match packet.points_lock() {
                Ok(lock) => lock,
                Err(error) => {
                    tally.set(place, ItemOutcome::Skipped { reason: error.to_string(), retryable: false });
                    continue;
                }
            };
            if !preimage.opens(&lock.hashlock) {
                tally.set(place, skip_outcome(SkipReason::WrongPreimage));
            } else if Timestamp(now.0.saturating_add(margin)) < lock.claim_deadline {
                by_client.entry(&packet.dest_client).or_default().push((place, packet, preimage));
            }
        }
        for (client, claims) in by_client {
            for chunk in claims.chunks(MAX_PAYOUTS) {
                let mut batch = Batch::new(Direction::In);
                let mut places = vec![];
                for (place, packet, preimage) in chunk {
                    batch.push(preimage.reveal(), packet)?;
                    places.push(*place);
                }
                let call = ICrosspointGateway::claimCall {
                    client: client_word(client).into(),
                    claims: batch.into_bytes().into(),
                };
                self.run_or_keep(&mut tally, call.abi_encode(), places).await?;
            }
        }
        self.submitted(tally).await
    }

    pub(super) async fn void_holds(&self, holds: &[Packet]) -> Result<Submitted, ChainError> {
        let mut tally = Tally::new(holds.len(), "the void was not sent", true);
        let mut by_client: BTreeMap<&ClientId, Vec<(usize, &Packet)>> = BTreeMap::new();
        for (place, packet) in holds.iter().enumerate() {
            by_client.entry(&packet.dest_client).or_default().push((place, packet));
        }
        for (client, voids) in by_client {
            for chunk in voids.chunks(MAX_PAYOUTS) {
                let mut batch = Batch::new(Direction::In);
                let mut places = vec![];
                for (place, packet) in chunk {
                    batch.push(&[], packet)?;
                    places.push(*place);
                }
                let call = ICrosspointGateway::voidCall {
                    client: client_word(client).into(),
                    packets: batch.into_bytes().into(),
                };
                self.run_or_keep(&mut tally, call.abi_encode(), places).await?;
            }
        }
        self.submitted(tally).await
    }

    /// Sends a call; a failure after an earlier success is told through the outcomes.
    async fn run_or_keep(&self, tally: &mut Tally, data: Vec<u8>, places: Vec<usize>) -> Result<(), ChainError> {
        let kept = places.clone();
        match self.run(tally, ItemCall { data: data.into(), places, gas_per_item: PAYOUT_GAS }).await {
            Ok(()) => Ok(()),
            Err(error) if tally.last.is_none() => Err(error),
            Err(error) => {
                for place in kept {
                    let outcome = ItemOutcome::Skipped { reason: error.to_string(), retryable: error.is_transient() };
                    tally.set(place, outcome);
                }
                Ok(())
            }
        }
    }

    pub(super) async fn lock_points(
        &self,
        payer: &Signer,
        request: &LockRequest,
    ) -> Result<(Submitted, Packet), ChainError> {
        let payer = match payer {
            Signer::Evm(signer) => signer.as_ref(),
            Signer::Native(_) => {
                return Err(ChainError::InvalidRequest(format!("{}: a secp256k1 key must pay here", self.id())));
            }
        };
        if request.terms.forward().is_some() {
            return Err(ChainError::InvalidRequest(format!(
                "{}: points cannot be sent over a further chain from here: the contracts take plain transfers alone; send them to the chain in between, and on from there",
                self.id()
            )));
        }
        if request.amount > Amount::MAX_COMPACT {
            return Err(RecordError::Amount(request.amount).into());
        }
        let token = self.token(&request.denom, BlockId::Latest).await?;
        self.check_points(payer, token, request).await?;
        if request.denom.is_home() {
            self.allow(payer, token, request.amount).await?;
        }
        let lock = ICrosspointGateway::Lock {
            client: client_word(&request.client).into(),
            denom: request.denom.to_string(),
            amount: U96::from(request.amount.get()),
            receiver: request.receiver.to_string(),
            hashlock: request.hashlock.0.into(),
            timeout: request.timeout.0,
            claimDeadline: request.claim_deadline.0,
            terms: request.terms.encode().into(),
            memo: request.memo.clone(),
        };
        let data = ICrosspointGateway::sendCall { lock }.abi_encode();
        let receipt = self.transact(payer, self.settings.gateway, data.into(), 0).await?;
        let info = self.client_info(&request.client).await?;
        let dest = super::record::parse_client(&info.counterparty.0)?;
        let sent = self.gateway_events(&receipt).find_map(|event| match event {
            Event::Sent(sent) => Some(sent),
            _ => None,
        });
        let sent = sent.ok_or_else(|| self.malformed("eth_getTransactionReceipt", "a lock without its Sent event"))?;
        let packet = decode_sent(&request.client, &dest, &sent.denom, &sent.record)?;
        let mut tally = Tally::new(1, "", false);
        self.record(&mut tally, &receipt, &[0]);
        Ok((self.submitted(tally).await?, packet))
    }

    async fn check_points(
        &self,
        payer: &PrivateKeySigner,
        token: EvmAddress,
        request: &LockRequest,
    ) -> Result<(), ChainError> {
        let account = payer.address();
        let balance = self.read(token, &IToken::balanceOfCall { account }, BlockId::Latest).await?;
        if balance < U256::from(request.amount.get()) {
            return Err(ChainError::InsufficientFunds {
                chain: self.id().clone(),
                detail: format!(
                    "{} has {balance} {}, {} are needed",
                    address_text(&account),
                    request.denom,
                    request.amount
                ),
            });
        }
        Ok(())
    }

    /// Lets the gateway take exactly the amount, unless it may already. Vouchers need no allowance.
    async fn allow(&self, payer: &PrivateKeySigner, token: EvmAddress, amount: Amount) -> Result<(), ChainError> {
        let (owner, spender) = (payer.address(), self.settings.gateway);
        let allowed = self.read(token, &IToken::allowanceCall { owner, spender }, BlockId::Latest).await?;
        let amount = U256::from(amount.get());
        if allowed >= amount {
            return Ok(());
        }
        if !allowed.is_zero() {
            // Some tokens refuse to change an allowance that is not zero.
            let data = IToken::approveCall { spender, amount: U256::ZERO }.abi_encode();
            self.transact(payer, token, data.into(), 0).await?;
        }
        let data = IToken::approveCall { spender, amount }.abi_encode();
        self.transact(payer, token, data.into(), 0).await?;
        Ok(())
    }
}

/// The block that a node would make next.
#[derive(Deserialize)]
struct PendingBlock {
    timestamp: U64,
}

/// Which function of the gateway an item goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ack,
    Recv,
    Timeout,
}

impl Kind {
    const fn max_items(self) -> usize {
        match self {
            Self::Recv => MAX_ITEMS,
            Self::Ack | Self::Timeout => MAX_PAYOUTS,
        }
    }

    const fn of(item: &RelayItem) -> Self {
        match item {
            RelayItem::Recv { .. } => Self::Recv,
            RelayItem::Ack { .. } => Self::Ack,
            RelayItem::Timeout { .. } => Self::Timeout,
        }
    }
}
