//! What the chain shows of one packet, for an evidence file: headers that their source vouches for, one module per
//! source, and EIP-1186 proofs. All of it is verified here as the auditor will.

mod attested;
mod ethereum_pos;
mod qbft;

use alloy::primitives::{B256, Bytes, keccak256};
use crosspoint_light_proofs::evidence::{ChainEvidence, Claim, EvmProof};
use crosspoint_protocol::ids::Height;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::path::Path;

use super::block::{self, Block, BlockId};
use super::gateway::{BASE_SLOT, EvmChain};
use super::prove::slots;
use super::rpc::Session;
use super::source::HeaderSource;
use crate::chain::{Chain, ClientStatus, PacketEnd};
use crate::error::ChainError;

/// A path, and what it shows when something is stored there and when nothing is.
type Question = (Path, Claim, Claim);

/// What the contract's storage shows at a block.
struct Shown {
    block: Block,
    account: Vec<Bytes>,
    proofs: Vec<EvmProof>,
}

impl EvmChain {
    /// What the chain shows of a packet in its newest block that is final for node and source, and on the packet's
    /// source also that it was sent. `client` is the other chain's client of this one: where it can, the evidence
    /// begins with what that trusts.
    pub(super) async fn packet_evidence(
        &self,
        packet: &Packet,
        end: PacketEnd,
        client: &ClientStatus,
    ) -> Result<ChainEvidence, ChainError> {
        match &self.source {
            Some(HeaderSource::Attested(pool)) => self.attested_evidence(pool, packet, end).await,
            Some(HeaderSource::Qbft(encoding)) => self.sealed_evidence(*encoding, packet, end, client).await,
            Some(HeaderSource::EthereumPos(api)) => self.final_evidence(api, packet, end, client).await,
            None => Err(ChainError::InvalidRequest(format!(
                "{}: no source of headers is set, nothing can be proven",
                self.id()
            ))),
        }
    }

    /// What the contract shows at a block; and on the packet's source, once the commitment is gone, also at the block
    /// that sent it, if `history` says that the headers of old blocks can be believed and the node still has its state.
    async fn shown(
        &self,
        session: Session<'_>,
        packet: &Packet,
        end: PacketEnd,
        newest: Block,
        history: bool,
    ) -> Result<Vec<Shown>, ChainError> {
        let height = newest.tip().height;
        let PacketEnd::Source { sent } = end else {
            let questions = [
                (packet.receipt_path(), Claim::Received, Claim::NotReceived),
                (packet.ack_path(), Claim::Acknowledged, Claim::NotAcknowledged),
            ];
            return Ok(vec![self.shown_at(session, newest, &questions).await?]);
        };
        if sent > height {
            return Err(ChainError::NotYet(format!("{}: block {sent} is not final yet", self.id())));
        }
        let commitment = [(packet.commitment_path(), Claim::Sent, Claim::Ended)];
        let now = self.shown_at(session, newest, &commitment).await?;
        let stands = now.proofs.iter().any(|proof| proof.shows == Claim::Sent);
        if stands || sent == height || !history {
            return Ok(vec![now]);
        }
        match self.shown_before(session, sent, &commitment).await {
            Ok(then) => Ok(vec![then, now]),
            // Only an archive node has the state of old blocks.
            Err(error @ (ChainError::Pruned { .. } | ChainError::NotFound { .. })) => {
                self.leave_out(sent, &error);
                Ok(vec![now])
            }
            Err(error) => Err(error),
        }
    }

    fn leave_out(&self, sent: Height, error: &ChainError) {
        tracing::warn!(chain = %self.id(), %sent, %error, "that a packet was sent cannot be proven any more");
    }

    async fn shown_before(
        &self,
        session: Session<'_>,
        number: Height,
        questions: &[Question],
    ) -> Result<Shown, ChainError> {
        let block = block::existing(session, BlockId::Number(number)).await?;
        self.shown_at(session, block, questions).await
    }

    async fn shown_at(&self, session: Session<'_>, block: Block, questions: &[Question]) -> Result<Shown, ChainError> {
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
        Ok(Shown { block, account, proofs })
    }
}

/// The evidence, if it holds.
fn checked(session: Session<'_>, evidence: ChainEvidence) -> Result<ChainEvidence, ChainError> {
    evidence.check().map_err(|error| session.lie(error))?;
    Ok(evidence)
}
