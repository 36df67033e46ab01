//! Proves packets of an EVM chain to `attested` clients: an attested header, then EIP-1186 proofs.
//!
//! Nothing a node says is passed on unverified: the header must be the one that a quorum of attestors
//! signed, and every proof is checked here against its state root, as the client will check it. A node
//! that fails that is left for the next one.

use super::block::{self, Block, BlockId};
use super::gateway::{BASE_SLOT, EvmChain, state_error};
use super::rpc::Session;
use crate::attestor::AttestorPool;
use crate::chain::{Chain, ClientStatus, ClientType, RelayItem};
use crate::error::ChainError;
use crate::proven::{AttestedEvidence, Evidence, Proven};
use alloy::primitives::{Address, B256, Bytes};
use alloy::rpc::types::EIP1186AccountProofResponse;
use crosspoint_light_proofs::attested;
use crosspoint_light_proofs::evm::storage_slot;
use crosspoint_light_proofs::mpt;
use crosspoint_protocol::ack;
use crosspoint_protocol::ids::Height;
use crosspoint_protocol::path::Path;
use serde_json::json;

/// Most slots that are asked for at once.
const SLOTS_PER_REQUEST: usize = 128;

/// One slot as proven.
#[derive(Debug, Clone)]
pub(super) struct ProvenSlot {
    /// What it holds; `None`: nothing.
    pub(super) value: Option<B256>,
    /// MPT nodes from the storage root.
    pub(super) proof: Vec<Bytes>,
}

/// Where an item's proof lies, and what must stand there (`None`: nothing).
fn expectation(item: &RelayItem) -> (Path, Option<B256>) {
    match item {
        RelayItem::Recv { packet } => (packet.commitment_path(), Some(packet.commitment().into())),
        RelayItem::Ack { packet, ack } => (packet.ack_path(), Some(ack::commitment(ack).into())),
        RelayItem::Timeout { packet } => (packet.receipt_path(), None),
    }
}

/// Reads slots of `account` in the state of `block`, each proven from the block's state root.
pub(super) async fn slots(
    session: Session<'_>,
    block: &Block,
    account: Address,
    slots: &[B256],
) -> Result<(Vec<Bytes>, Vec<ProvenSlot>), ChainError> {
    const METHOD: &str = "eth_getProof";
    let height = Height(block.header.number);
    let (mut account_proof, mut proven) = (vec![], vec![]);
    // Without slots the account alone is proven.
    let chunks: Vec<&[B256]> = if slots.is_empty() { vec![&[]] } else { slots.chunks(SLOTS_PER_REQUEST).collect() };
    for chunk in chunks {
        let params = json!([account, chunk, BlockId::Number(height).to_param()]);
        let answer: EIP1186AccountProofResponse =
            session.request(METHOD, &params).await.map_err(|e| state_error(session, e, METHOD, height))?;
        let found = mpt::verify_account(&block.header.state_root, &account, &answer.account_proof)
            .map_err(|e| session.lie(format!("the account proof at block {height}: {e}")))?;
        if answer.storage_proof.len() != chunk.len() {
            return Err(session.malformed(METHOD, "not one storage proof per slot"));
        }
        for (slot, answer) in chunk.iter().zip(answer.storage_proof) {
            let value = mpt::read_storage(&found.storage_root, slot, &answer.proof)
                .map_err(|e| session.lie(format!("the storage proof at block {height}: {e}")))?;
            proven.push(ProvenSlot { value, proof: answer.proof });
        }
        account_proof = answer.account_proof;
    }
    Ok((account_proof, proven))
}

impl EvmChain {
    pub(super) fn pool(&self) -> Result<&AttestorPool, ChainError> {
        self.attestors.as_ref().ok_or_else(|| {
            ChainError::InvalidRequest(format!("{}: no attestors are set, nothing can be proven", self.id()))
        })
    }

    fn check_client(&self, client: &ClientStatus) -> Result<B256, ChainError> {
        let wrong = |what: &str| ChainError::InvalidRequest(format!("client {} {what}", client.client));
        match client.client_type {
            ClientType::Attested => {}
            ClientType::Checkpoint | ClientType::Tendermint => return Err(wrong("does not follow an EVM chain")),
        }
        if client.counterparty_chain != *self.id() {
            return Err(wrong("follows another chain"));
        }
        if client.frozen {
            return Err(ChainError::Frozen(client.client.clone()));
        }
        B256::try_from(client.trusted_hash.as_slice()).map_err(|_| wrong("has no hash of its trusted header"))
    }

    /// The block to prove at: the newest that node and attestors have as final, with the update that
    /// leads the client there. `None` for the update: the client is there already.
    async fn attested_block(
        &self,
        session: Session<'_>,
        client: &ClientStatus,
        trusted_hash: B256,
    ) -> Result<(Block, Option<attested::Header>), ChainError> {
        let pool = self.pool()?;
        let trusted = client.trusted.height;
        let (_, finalized) = block::head(session, self.settings.finality).await?;
        let target = Height(finalized.header.number).min(pool.finalized().await?);
        if target <= trusted {
            let block = block::existing(session, BlockId::Number(trusted)).await?;
            if block.hash != trusted_hash {
                return Err(session.lie(format!("block {trusted} is {}, the client trusts {trusted_hash}", block.hash)));
            }
            return Ok((block, None));
        }
        let block = block::existing(session, BlockId::Number(target)).await?;
        let update = pool.gather((trusted, trusted_hash), target).await?;
        if update.statement.hash != block.hash {
            return Err(
                session.lie(format!("block {target} is {}, a quorum attested {}", block.hash, update.statement.hash))
            );
        }
        Ok((block, Some(update)))
    }

    pub(super) async fn prove_items(&self, client: &ClientStatus, items: &[RelayItem]) -> Result<Proven, ChainError> {
        let trusted_hash = self.check_client(client)?;
        self.rpc.each(|session| self.prove_with(session, client, trusted_hash, items)).await
    }

    async fn prove_with(
        &self,
        session: Session<'_>,
        client: &ClientStatus,
        trusted_hash: B256,
        items: &[RelayItem],
    ) -> Result<Proven, ChainError> {
        let (block, update) = self.attested_block(session, client, trusted_hash).await?;
        let time = block.tip().time;
        // The absence of a receipt proves nothing while the packet can still be received.
        let ripe: Vec<&RelayItem> = items
            .iter()
            .filter(|item| match item {
                RelayItem::Timeout { packet } => time >= packet.timeout,
                RelayItem::Recv { .. } | RelayItem::Ack { .. } => true,
            })
            .collect();
        let wanted: Vec<(Path, Option<B256>)> = ripe.iter().map(|item| expectation(item)).collect();
        let keys: Vec<B256> = wanted.iter().map(|(path, _)| storage_slot(path, &BASE_SLOT)).collect();
        if keys.is_empty() {
            return Err(ChainError::NotYet(format!(
                "no final block of {} has a time at or past the packets' timeouts",
                self.id()
            )));
        }
        let (account_proof, slots) = slots(session, &block, self.settings.gateway, &keys).await?;
        let (mut proven, mut storage_proofs) = (vec![], vec![]);
        for ((item, (_, expected)), slot) in ripe.into_iter().zip(&wanted).zip(slots) {
            if slot.value == *expected {
                proven.push(item.clone());
                storage_proofs.push(slot.proof);
            }
        }
        if proven.is_empty() {
            let height = block.header.number;
            return Err(ChainError::NotYet(format!("{} proves none of the items at block {height}", self.id())));
        }
        let evidence = AttestedEvidence { update, account_proof, storage_proofs };
        Ok(Proven { items: proven, height: block.tip().height, time, evidence: Evidence::Attested(Box::new(evidence)) })
    }

    pub(super) async fn prove_client_update(&self, client: &ClientStatus) -> Result<Proven, ChainError> {
        let trusted_hash = self.check_client(client)?;
        self.rpc
            .each(|session| async move {
                let (block, update) = self.attested_block(session, client, trusted_hash).await?;
                if update.is_none() {
                    return Err(ChainError::NotYet(format!("client {} is up to date", client.client)));
                }
                let evidence = AttestedEvidence { update, account_proof: vec![], storage_proofs: vec![] };
                Ok(Proven {
                    items: vec![],
                    height: block.tip().height,
                    time: block.tip().time,
                    evidence: Evidence::Attested(Box::new(evidence)),
                })
            })
            .await
    }
}
