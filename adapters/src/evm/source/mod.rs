//! Where the headers come from that clients of an EVM chain believe: one source per chain, by its settings.
//!
//! Whatever the source, nothing of it is believed here: the update is verified as the client will, and the header is
//! compared with what the chain's own node says.

pub(super) mod ethereum_pos;
mod qbft;

use alloy::primitives::{B256, Bytes};
use crosspoint_light_proofs::qbft::{Encoding, Header as SealedUpdate};
use crosspoint_protocol::ids::Height;

use super::beacon::BeaconApi;
use super::block::{self, Block, BlockId};
use super::gateway::EvmChain;
use super::rpc::Session;
use crate::attestor::AttestorPool;
use crate::chain::{Chain, ClientStatus, ClientType, SignersView};
use crate::error::ChainError;
use crate::proven::{AttestedEvidence, Evidence, StateEvidence};
use ethereum_pos::Finalized;

/// What makes a client of an EVM chain believe its headers.
#[derive(Debug, Clone)]
pub enum HeaderSource {
    /// Attestors: `attested` clients.
    Attested(AttestorPool),
    /// The seals in the headers: `qbft` clients.
    Qbft(Encoding),
    /// Sync committees, by beacon nodes: `ethereum-pos` clients.
    EthereumPos(BeaconApi),
}

impl HeaderSource {
    /// The type of the clients it is for.
    #[must_use]
    pub const fn client_type(&self) -> ClientType {
        match self {
            Self::Attested(_) => ClientType::Attested,
            Self::Qbft(_) => ClientType::Qbft,
            Self::EthereumPos(_) => ClientType::EthereumPos,
        }
    }
}

/// An update in the form of its client's type; `None`: the client is there already.
pub(super) enum Update {
    Attested(Option<crosspoint_light_proofs::attested::Header>),
    Qbft(Option<SealedUpdate>),
    EthereumPos(Option<Vec<u8>>),
}

impl Update {
    pub(super) const fn is_some(&self) -> bool {
        match self {
            Self::Attested(update) => update.is_some(),
            Self::Qbft(update) => update.is_some(),
            Self::EthereumPos(update) => update.is_some(),
        }
    }

    pub(super) fn with(self, account_proof: Vec<Bytes>, storage_proofs: Vec<Vec<Bytes>>) -> Evidence {
        match self {
            Self::Attested(update) => {
                Evidence::Attested(Box::new(AttestedEvidence { update, account_proof, storage_proofs }))
            }
            Self::Qbft(update) => Evidence::Qbft(Box::new(StateEvidence { update, account_proof, storage_proofs })),
            Self::EthereumPos(update) => {
                Evidence::EthereumPos(Box::new(StateEvidence { update, account_proof, storage_proofs }))
            }
        }
    }
}

/// The block to prove at, with the update that leads the client there.
pub(super) struct Anchored {
    pub(super) block: Block,
    pub(super) update: Update,
    /// Whether the client is not up to date even then: it needs more than one update.
    pub(super) more: bool,
}

/// The sealed header of a block, if the client believes it in one step from what it trusts.
pub(super) async fn sealed_update(
    session: Session<'_>,
    client: &ClientStatus,
    encoding: Encoding,
    height: Height,
) -> Result<Option<SealedUpdate>, ChainError> {
    qbft::update_to(session, client, encoding, height).await
}

/// The furthest that one update of these beacon nodes leads the client, encoded.
pub(super) async fn final_update(api: &BeaconApi, client: &ClientStatus) -> Result<Option<Vec<u8>>, ChainError> {
    Ok(ethereum_pos::advance(api, client).await?.into_update())
}

/// What a source found before a node of the chain is asked.
pub(super) enum Ahead {
    /// Nothing: the node itself has all it takes.
    OfNode,
    /// What is final by the sync committees.
    Final(Box<Finalized>),
}

impl EvmChain {
    /// Fails unless this chain's source can move the client; the hash of the header it trusts.
    pub(super) fn check_client(&self, client: &ClientStatus) -> Result<B256, ChainError> {
        let wrong = |what: String| ChainError::InvalidRequest(format!("client {} {what}", client.client));
        let Some(source) = &self.source else {
            let what = format!("{}: no source of headers is set, nothing can be proven", self.id());
            return Err(ChainError::InvalidRequest(what));
        };
        let (wanted, found) = (client.client_type, source.client_type());
        if wanted != found {
            let what = format!("is of type {}, the settings say header_source = {}", wanted.as_str(), found.as_str());
            return Err(wrong(what));
        }
        if client.counterparty_chain != *self.id() {
            return Err(wrong("follows another chain".into()));
        }
        if client.frozen {
            return Err(ChainError::Frozen(client.client.clone()));
        }
        if let (HeaderSource::Attested(pool), SignersView::Attestors { epoch }) = (source, &client.signers)
            && pool.settings().epoch != *epoch
        {
            // It goes on once the settings name the new set.
            let (id, set) = (&client.client, pool.settings().epoch);
            return Err(ChainError::NotYet(format!(
                "client {id} is at attestor epoch {epoch}, the settings say {set}: set attestors, attestor_addresses, quorum and attestor_epoch"
            )));
        }
        B256::try_from(client.trusted_hash.as_slice()).map_err(|_| wrong("has no hash of its trusted header".into()))
    }

    /// What the source can say before a node of the chain is asked.
    pub(super) async fn look_ahead(&self, client: &ClientStatus) -> Result<Ahead, ChainError> {
        match &self.source {
            Some(HeaderSource::EthereumPos(api)) => {
                Ok(Ahead::Final(Box::new(ethereum_pos::advance(api, client).await?)))
            }
            Some(HeaderSource::Attested(_) | HeaderSource::Qbft(_)) | None => Ok(Ahead::OfNode),
        }
    }

    /// The block to prove at: the newest that node and source have as final.
    pub(super) async fn anchored(
        &self,
        session: Session<'_>,
        client: &ClientStatus,
        trusted_hash: B256,
        ahead: &Ahead,
    ) -> Result<Anchored, ChainError> {
        match (&self.source, ahead) {
            (Some(HeaderSource::Attested(pool)), _) => self.attested_block(session, pool, client, trusted_hash).await,
            (Some(HeaderSource::Qbft(encoding)), _) => {
                qbft::advance(session, self.settings.finality, client, trusted_hash, *encoding).await
            }
            (Some(HeaderSource::EthereumPos(_)), Ahead::Final(found)) => found.block(session).await,
            (Some(HeaderSource::EthereumPos(_)), Ahead::OfNode) | (None, _) => {
                Err(ChainError::InvalidRequest(format!("{}: no source of headers is set", self.id())))
            }
        }
    }

    async fn attested_block(
        &self,
        session: Session<'_>,
        pool: &AttestorPool,
        client: &ClientStatus,
        trusted_hash: B256,
    ) -> Result<Anchored, ChainError> {
        let trusted = client.trusted.height;
        let (_, finalized) = block::head(session, self.settings.finality).await?;
        let target = Height(finalized.header.number).min(pool.finalized().await?);
        if target <= trusted {
            let block = block::existing(session, BlockId::Number(trusted)).await?;
            if block.hash != trusted_hash {
                return Err(session.lie(format!("block {trusted} is {}, the client trusts {trusted_hash}", block.hash)));
            }
            return Ok(Anchored { block, update: Update::Attested(None), more: false });
        }
        let block = block::existing(session, BlockId::Number(target)).await?;
        let update = pool.gather((trusted, trusted_hash), target).await?;
        if update.statement.hash != block.hash {
            return Err(
                session.lie(format!("block {target} is {}, a quorum attested {}", block.hash, update.statement.hash))
            );
        }
        Ok(Anchored { block, update: Update::Attested(Some(update)), more: false })
    }
}
