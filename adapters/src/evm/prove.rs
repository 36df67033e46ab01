//! Proves packets of an EVM chain: a header of the chain's source, then EIP-1186 proofs.
//!
//! Nothing a node says is passed on unverified: the header must be the one that the source vouches for, and
//! every proof is checked here against its state root, as the client will check it. A node that fails that is
//! left for the next one.

use super::block::{Block, BlockId};
use super::gateway::{BASE_SLOT, EvmChain, state_error};
use super::rpc::Session;
use super::source::Anchored;
use crate::chain::{Chain, ClientStatus, RelayItem, Tip};
use crate::error::ChainError;
use crate::proven::Proven;
use alloy::primitives::{Address, B256, Bytes};
use alloy::rpc::types::EIP1186AccountProofResponse;
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
    pub(super) async fn prove_items(&self, client: &ClientStatus, items: &[RelayItem]) -> Result<Proven, ChainError> {
        let trusted_hash = self.check_client(client)?;
        let ahead = &self.look_ahead(client).await?;
        self.rpc
            .each(|session| async move {
                let at = self.anchored(session, client, trusted_hash, ahead).await?;
                self.prove_with(session, at, items).await
            })
            .await
    }

    async fn prove_with(&self, session: Session<'_>, at: Anchored, items: &[RelayItem]) -> Result<Proven, ChainError> {
        let Tip { height, time } = at.block.tip();
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
        let (mut proven, mut storage_proofs, mut account_proof) = (vec![], vec![], vec![]);
        if !keys.is_empty() {
            let (account, slots) = slots(session, &at.block, self.settings.gateway, &keys).await?;
            account_proof = account;
            for ((item, (_, expected)), slot) in ripe.into_iter().zip(&wanted).zip(slots) {
                if slot.value == *expected {
                    proven.push(item.clone());
                    storage_proofs.push(slot.proof);
                }
            }
        }
        // A step on the way to newer blocks is worth a transaction of its own.
        if proven.is_empty() && !(at.more && at.update.is_some()) {
            return Err(ChainError::NotYet(if keys.is_empty() {
                format!("no final block of {} has a time at or past the packets' timeouts", self.id())
            } else {
                format!("{} proves none of the items at block {height}", self.id())
            }));
        }
        Ok(Proven { items: proven, height, time, evidence: at.update.with(account_proof, storage_proofs) })
    }

    pub(super) async fn prove_client_update(&self, client: &ClientStatus) -> Result<Proven, ChainError> {
        let trusted_hash = self.check_client(client)?;
        let ahead = &self.look_ahead(client).await?;
        self.rpc
            .each(|session| async move {
                let at = self.anchored(session, client, trusted_hash, ahead).await?;
                if !at.update.is_some() {
                    return Err(ChainError::NotYet(format!("client {} is up to date", client.client)));
                }
                let Tip { height, time } = at.block.tip();
                Ok(Proven { items: vec![], height, time, evidence: at.update.with(vec![], vec![]) })
            })
            .await
    }
}
