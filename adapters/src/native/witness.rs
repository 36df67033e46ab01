//! Witnesses of a native chain: nodes of others, that nothing is relayed by.

use std::sync::Arc;

use async_trait::async_trait;
use crosspoint_light_proofs::checkpoint::SignedCheckpoint;
use crosspoint_protocol::ids::{Height, Timestamp};
use tendermint::Hash;

use super::rpc::Endpoint;
use super::{checkpoint, tendermint as blocks};
use crate::chain::{ClientStatus, ClientType};
use crate::error::ChainError;
use crate::proven::Evidence;
use crate::witness::{Against, Mark, Misbehaviour, Seen, Witness, distinct, headers, roots};

/// One node.
#[derive(Debug)]
pub(crate) struct NativeWitness {
    name: String,
    endpoint: Arc<Endpoint>,
}

impl NativeWitness {
    /// These nodes as witnesses.
    pub(crate) fn all(nodes: Vec<Arc<Endpoint>>) -> Vec<Arc<dyn Witness>> {
        let names = distinct(nodes.iter().map(|node| node.label()));
        let witness = |(name, endpoint)| Arc::new(Self { name, endpoint }) as Arc<dyn Witness>;
        names.into_iter().zip(nodes).map(witness).collect()
    }

    /// Its header as proof from a state that both it and the client trust; `None` if what it has does not prove it.
    async fn header(&self, root: &ClientStatus, at: Height) -> Result<Option<Vec<u8>>, ChainError> {
        match blocks::update_to(&self.endpoint, root, at).await {
            Ok(found) => Ok(found.map(|header| header.without_spoilt_votes().encode())),
            // It is not signed, or the state is not one that this witness has.
            Err(ChainError::Untrustworthy { detail, .. }) => {
                tracing::warn!(witness = self.name, %detail, "a witness has a header that it cannot prove");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Its checkpoint, if a quorum of the set that comes with it signed it. Whether that is the client's set, the client says.
    async fn checkpoint(&self, at: Height) -> Result<Option<SignedCheckpoint>, ChainError> {
        let signed = checkpoint::checkpoint(&self.endpoint, at).await?;
        match signed.set.verify_quorum(&signed.checkpoint.digest(), &signed.signatures) {
            Ok(()) => Ok(Some(signed)),
            Err(error) => {
                tracing::warn!(witness = self.name, %error, "a witness has a checkpoint that it cannot prove");
                Ok(None)
            }
        }
    }

    async fn two_checkpoints(
        &self,
        client: &ClientStatus,
        known: &[ClientStatus],
        against: Against<'_>,
        at: Height,
    ) -> Result<Option<Misbehaviour>, ChainError> {
        let Some(other) = self.checkpoint(at).await?.map(Box::new) else { return Ok(None) };
        let one = match against {
            Against::Trusted => None,
            // Of a state that another has followed, the contract wants the header, and who has that is not known here.
            Against::Followed => return Ok(None),
            Against::Update(Evidence::Checkpoint(evidence)) => evidence.update.clone().map(Box::new),
            Against::Update(_) => return Ok(None),
        };
        match roots(client, known, against).find(|root| root.trusted.height <= at) {
            Some(root) => {
                let trusted = Box::new(checkpoint::checkpoint(&self.endpoint, root.trusted.height).await?.checkpoint);
                Ok(Some(Misbehaviour::Checkpoints { trusted, one, other }))
            }
            // As an update it freezes too, unless another set signs by now.
            None => Ok((at == client.trusted.height).then_some(Misbehaviour::Contradiction(other))),
        }
    }

    /// What it has at a height, as clients of this type know it.
    async fn mark(&self, client: &ClientStatus, height: Height) -> Result<Seen, ChainError> {
        let found = match client.client_type {
            ClientType::Checkpoint => {
                checkpoint::checkpoint(&self.endpoint, height).await.map(|signed| signed.checkpoint.digest().to_vec())
            }
            ClientType::Tendermint => {
                self.endpoint.signed_header(height).await.map(|signed| match signed.header.hash() {
                    Hash::Sha256(hash) => hash.to_vec(),
                    Hash::None => vec![],
                })
            }
            ClientType::Attested | ClientType::Qbft | ClientType::EthereumPos => return Ok(Seen::Gone),
        };
        match found {
            Ok(hash) => Ok(Seen::Header(Mark { height, hash })),
            Err(ChainError::NotYet(_)) => Ok(Seen::NotYet),
            Err(ChainError::NotFound { .. } | ChainError::Pruned { .. }) => Ok(Seen::Gone),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Witness for NativeWitness {
    fn name(&self) -> &str {
        &self.name
    }

    fn brought(&self, _: &ClientStatus, evidence: &Evidence) -> Option<Mark> {
        match evidence {
            Evidence::Checkpoint(evidence) => {
                let checkpoint = &evidence.update.as_ref()?.checkpoint;
                Some(Mark { height: checkpoint.height, hash: checkpoint.digest().to_vec() })
            }
            Evidence::Tendermint(evidence) => {
                let header = evidence.update.as_ref()?;
                Some(Mark { height: header.height(), hash: header.hash().to_vec() })
            }
            Evidence::Attested(_) | Evidence::Qbft(_) | Evidence::EthereumPos(_) => None,
        }
    }

    async fn header_at(&self, client: &ClientStatus, height: Height, time: Timestamp) -> Result<Seen, ChainError> {
        let newest = self.endpoint.status().await?.latest;
        if newest.height < height {
            // Times rise with heights: a block above this one is not from before it.
            return if newest.time > time { self.mark(client, newest.height).await } else { Ok(Seen::NotYet) };
        }
        self.mark(client, height).await
    }

    async fn accuse(
        &self,
        client: &ClientStatus,
        known: &[ClientStatus],
        against: Against<'_>,
        at: Height,
    ) -> Result<Option<Misbehaviour>, ChainError> {
        if client.client_type == ClientType::Checkpoint {
            return self.two_checkpoints(client, known, against, at).await;
        }
        for root in roots(client, known, against) {
            if let Some(header) = self.header(root, at).await? {
                return Ok(headers(header, against));
            }
        }
        Ok(None)
    }
}
