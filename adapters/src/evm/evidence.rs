//! What the chain shows of one packet, for an evidence file: headers that a quorum of attestors signed, and EIP-1186
//! proofs. All of it is verified here as the auditor will.

use alloy::primitives::{B256, keccak256};
use crosspoint_light_proofs::evidence::{AttestedAnchor, AttestedHeader, AttestedSide, ChainEvidence, Claim, EvmProof};
use crosspoint_protocol::ids::Height;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::path::Path;

use super::block::{self, Block, BlockId};
use super::gateway::{BASE_SLOT, EvmChain};
use super::prove::slots;
use super::rpc::Session;
use crate::attestor::AttestorPool;
use crate::chain::{Chain, PacketEnd};
use crate::error::ChainError;

/// A path, and what it shows when something is stored there and when nothing is.
type Question = (Path, Claim, Claim);

impl EvmChain {
    /// What the chain shows of a packet in its newest block that is final for node and attestors, and on its source
    /// also that it was sent.
    pub(super) async fn packet_evidence(&self, packet: &Packet, end: PacketEnd) -> Result<ChainEvidence, ChainError> {
        let pool = self.pool()?;
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
                let headers = match end {
                    PacketEnd::Source { sent } => self.source_headers(session, pool, packet, sent, newest).await?,
                    PacketEnd::Destination => {
                        let questions = [
                            (packet.receipt_path(), Claim::Received, Claim::NotReceived),
                            (packet.ack_path(), Claim::Acknowledged, Claim::NotAcknowledged),
                        ];
                        vec![self.attested_header(session, pool, newest, &questions).await?]
                    }
                };
                let evidence = ChainEvidence::Attested(AttestedSide { anchor: anchor.clone(), headers });
                evidence.check().map_err(|error| session.lie(error))?;
                Ok(evidence)
            })
            .await
    }

    /// The commitment: while it stands, that it does; afterwards, that it is gone and, where node and attestors still
    /// go back so far, that it stood.
    async fn source_headers(
        &self,
        session: Session<'_>,
        pool: &AttestorPool,
        packet: &Packet,
        sent: Height,
        newest: Height,
    ) -> Result<Vec<AttestedHeader>, ChainError> {
        if sent > newest {
            return Err(ChainError::NotYet(format!("{}: block {sent} is not attested yet", self.id())));
        }
        let commitment = [(packet.commitment_path(), Claim::Sent, Claim::Ended)];
        let now = self.attested_header(session, pool, newest, &commitment).await?;
        if now.proofs.iter().any(|proof| proof.shows == Claim::Sent) || sent == newest {
            return Ok(vec![now]);
        }
        match self.attested_header(session, pool, sent, &commitment).await {
            Ok(then) => Ok(vec![then, now]),
            // Only an archive node has the state of old blocks, and attestors forget very old ones.
            Err(error @ (ChainError::Pruned { .. } | ChainError::NotFound { .. } | ChainError::NotYet(_))) => {
                tracing::warn!(chain = %self.id(), %sent, %error, "that a packet was sent cannot be proven any more");
                Ok(vec![now])
            }
            Err(error) => Err(error),
        }
    }

    /// A header that a quorum signed, and what the contract's storage shows under it.
    async fn attested_header(
        &self,
        session: Session<'_>,
        pool: &AttestorPool,
        number: Height,
        questions: &[Question],
    ) -> Result<AttestedHeader, ChainError> {
        let block: Block = block::existing(session, BlockId::Number(number)).await?;
        let genesis = (Height(0), pool.settings().genesis_hash);
        let attested = pool.gather(genesis, number).await?;
        if attested.statement.hash != block.hash {
            let signed = attested.statement.hash;
            return Err(session.lie(format!("block {number} is {}, a quorum attested {signed}", block.hash)));
        }
        let keys: Vec<Vec<u8>> = questions.iter().map(|(path, ..)| path.to_bytes()).collect();
        let places: Vec<B256> = keys.iter().map(|key| keccak256([keccak256(key), BASE_SLOT].concat())).collect();
        let (account, found) = slots(session, &block, self.settings.gateway, &places).await?;
        let answers = keys.into_iter().zip(questions).zip(found);
        let mut proofs: Vec<EvmProof> = answers
            .map(|((key, (_, present, absent)), slot)| EvmProof {
                shows: if slot.value.is_some() { *present } else { *absent },
                key: key.into(),
                value: slot.value,
                nodes: slot.proof,
            })
            .collect();
        // What was not received cannot have been answered: that goes without saying.
        if proofs.iter().any(|proof| proof.shows == Claim::NotReceived) {
            proofs.retain(|proof| proof.shows != Claim::NotAcknowledged);
        }
        Ok(AttestedHeader { rlp: attested.header_rlp, signatures: attested.signatures, account, proofs })
    }
}
