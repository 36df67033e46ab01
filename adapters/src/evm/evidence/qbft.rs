//! Headers with the seals of the chain's validators, from one that the other chain's client trusts, where it is not
//! above what is to be proven.

use alloy::primitives::B256;
use crosspoint_light_proofs::evidence::{ChainEvidence, QbftAnchor, QbftHeader, QbftSide, SealedWalk};
use crosspoint_light_proofs::qbft::{Encoding, QbftError};
use crosspoint_protocol::ids::Height;
use crosspoint_protocol::packet::Packet;

use super::{Shown, checked};
use crate::chain::{Chain, ClientStatus, ClientType, PacketEnd};
use crate::error::ChainError;
use crate::evm::block::{self, Block, BlockId};
use crate::evm::gateway::{BASE_SLOT, EvmChain};
use crate::evm::rpc::Session;

impl EvmChain {
    pub(super) async fn sealed_evidence(
        &self,
        encoding: Encoding,
        packet: &Packet,
        end: PacketEnd,
        client: &ClientStatus,
    ) -> Result<ChainEvidence, ChainError> {
        self.rpc
            .each(|session| async move {
                let (_, newest) = block::head(session, self.settings.finality).await?;
                let shown = self.shown(session, packet, end, newest.clone(), true).await?;
                let lowest = shown.first().map_or(newest, |shown| shown.block.clone());
                let first = self.first_block(session, client, lowest).await?;
                let anchor = QbftAnchor {
                    hash: B256::ZERO,
                    chain_id: self.settings.chain_number,
                    encoding,
                    rlp: first.rlp(),
                    gateway: self.settings.gateway,
                    base_slot: BASE_SLOT,
                };
                let anchor = anchor.sealed().map_err(|error| session.lie(error))?;
                let mut walk = anchor.start().map_err(|error| session.lie(error))?;
                let mut headers = vec![];
                for Shown { block, account, proofs } in shown {
                    lead(session, &mut walk, &block, &mut headers).await?;
                    headers.push(QbftHeader { rlp: block.rlp(), account, proofs });
                }
                checked(session, ChainEvidence::Qbft(QbftSide { anchor, headers }))
            })
            .await
    }

    /// The block to begin with: the one that the client trusts, or the lowest that proves something.
    async fn first_block(
        &self,
        session: Session<'_>,
        client: &ClientStatus,
        lowest: Block,
    ) -> Result<Block, ChainError> {
        let follows = client.client_type == ClientType::Qbft && client.counterparty_chain == *self.id();
        let trusted = client.trusted.height;
        if !follows || client.frozen || trusted > lowest.tip().height {
            return Ok(lowest);
        }
        let block = block::existing(session, BlockId::Number(trusted)).await?;
        if block.hash.as_slice() == client.trusted_hash {
            Ok(block)
        } else {
            Err(session.lie(format!("block {trusted} is {}, which is not what the client trusts", block.hash)))
        }
    }
}

/// Goes on to a block, by those between that it takes where many validators have changed.
async fn lead(
    session: Session<'_>,
    walk: &mut SealedWalk,
    target: &Block,
    between: &mut Vec<QbftHeader>,
) -> Result<(), ChainError> {
    loop {
        let (mut block, mut height) = (target.clone(), target.tip().height);
        while let Err(error) = walk.step(&block.rlp()) {
            let trusted = walk.latest().number;
            if !matches!(error, QbftError::NotEnoughTrust { .. }) || height <= trusted.next() {
                return Err(session.lie(format!("block {height}: {error}")));
            }
            // Half the way first.
            height = Height(trusted.0.midpoint(height.0)).max(trusted.next());
            block = block::existing(session, BlockId::Number(height)).await?;
        }
        if height == target.tip().height {
            return Ok(());
        }
        between.push(QbftHeader { rlp: block.rlp(), account: vec![], proofs: vec![] });
    }
}
