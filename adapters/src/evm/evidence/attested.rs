//! Headers that a quorum of attestors signs, each by itself.

use alloy::primitives::B256;
use crosspoint_light_proofs::evidence::{AttestedAnchor, AttestedHeader, AttestedSide, ChainEvidence};
use crosspoint_protocol::ids::Height;
use crosspoint_protocol::packet::Packet;

use super::{Shown, checked};
use crate::attestor::AttestorPool;
use crate::chain::PacketEnd;
use crate::error::ChainError;
use crate::evm::block::{self, BlockId};
use crate::evm::gateway::{BASE_SLOT, EvmChain};
use crate::evm::rpc::Session;

impl EvmChain {
    pub(super) async fn attested_evidence(
        &self,
        pool: &AttestorPool,
        packet: &Packet,
        end: PacketEnd,
    ) -> Result<ChainEvidence, ChainError> {
        let settings = pool.settings();
        let anchor = AttestedAnchor {
            hash: B256::ZERO,
            chain_id: settings.chain_number,
            genesis_hash: settings.genesis_hash,
            epoch: settings.epoch,
            attestors: settings.attestors.clone(),
            gateway: self.settings.gateway,
            base_slot: BASE_SLOT,
        }
        .sealed();
        let anchor = &anchor;
        self.rpc
            .each(|session| async move {
                let (_, finalized) = block::head(session, self.settings.finality).await?;
                let newest = finalized.tip().height.min(pool.finalized().await?);
                let newest = block::existing(session, BlockId::Number(newest)).await?;
                let mut shown = self.shown(session, packet, end, newest, true).await?;
                let mut headers = vec![];
                let last = shown.pop();
                for then in shown {
                    let sent = then.block.tip().height;
                    match attested(session, pool, then).await {
                        Ok(header) => headers.push(header),
                        // Attestors forget very old blocks.
                        Err(error @ (ChainError::NotFound { .. } | ChainError::NotYet(_))) => {
                            self.leave_out(sent, &error);
                        }
                        Err(error) => return Err(error),
                    }
                }
                if let Some(now) = last {
                    headers.push(attested(session, pool, now).await?);
                }
                checked(session, ChainEvidence::Attested(AttestedSide { anchor: anchor.clone(), headers }))
            })
            .await
    }
}

/// What is shown, under a header that a quorum signed.
async fn attested(session: Session<'_>, pool: &AttestorPool, shown: Shown) -> Result<AttestedHeader, ChainError> {
    let Shown { block, account, proofs } = shown;
    let number = block.tip().height;
    let genesis = (Height(0), pool.settings().genesis_hash);
    let attested = pool.gather(genesis, number).await?;
    if attested.statement.hash != block.hash {
        let signed = attested.statement.hash;
        return Err(session.lie(format!("block {number} is {}, a quorum attested {signed}", block.hash)));
    }
    Ok(AttestedHeader { rlp: attested.header_rlp, signatures: attested.signatures, account, proofs })
}
