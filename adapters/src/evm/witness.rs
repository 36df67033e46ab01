//! Witnesses of an EVM chain: nodes of others, that nothing is relayed by. Where sync committees are believed, beacon nodes.

use alloy::primitives::B256;
use async_trait::async_trait;
use crosspoint_light_proofs::ethereum_pos::Header as SyncHeader;
use crosspoint_light_proofs::qbft::SealedHeader;
use crosspoint_protocol::ids::{Height, Timestamp};
use std::cmp::Ordering;
use std::sync::Arc;
use url::Url;

use super::beacon::{BeaconApi, Node};
use super::block::{self, BlockId};
use super::rpc::Rpc;
use super::settings::{EvmSettings, Finality};
use super::source::{HeaderSource, final_update, sealed_update};
use crate::chain::{ClientStatus, SignersView};
use crate::error::ChainError;
use crate::http::label;
use crate::observer::RpcObserver;
use crate::proven::Evidence;
use crate::witness::{Against, Mark, Misbehaviour, Seen, Witness, distinct, headers, roots};

/// How many slots in a row may be without a block for a witness to say that one is.
const MAX_EMPTY_SLOTS: u64 = 8;

/// The witnesses in the settings, as they serve for this source of headers.
pub(super) fn witnesses(
    settings: &EvmSettings,
    source: &HeaderSource,
    observer: Option<Arc<dyn RpcObserver>>,
) -> Result<Vec<Arc<dyn Witness>>, ChainError> {
    let bounds = settings.bounds();
    let one = |(name, url): (String, &Url)| -> Result<Arc<dyn Witness>, ChainError> {
        if matches!(source, HeaderSource::EthereumPos(_)) {
            let api = BeaconApi::new(settings.chain.clone(), vec![url.clone()], bounds.timeout, observer.clone())?;
            return Ok(Arc::new(BeaconWitness { name, api }));
        }
        let mut rpc = Rpc::new(settings.chain.clone(), std::slice::from_ref(url), bounds)?;
        if let Some(observer) = observer.clone() {
            rpc = rpc.observed_by(observer);
        }
        if let HeaderSource::Qbft(encoding) = source {
            rpc = rpc.sealed_as(*encoding);
        }
        let source = source.clone();
        Ok(Arc::new(NodeWitness { name, rpc, source, finality: settings.finality }))
    };
    let names = distinct(settings.witnesses.iter().map(label));
    names.into_iter().zip(&settings.witnesses).map(one).collect()
}

/// A node of the chain.
struct NodeWitness {
    name: String,
    rpc: Rpc,
    source: HeaderSource,
    finality: Finality,
}

impl NodeWitness {
    /// The block it has at a height, once it is final for this node; its newest final one, if that is below and yet later.
    async fn block(&self, height: Height, time: Timestamp) -> Result<Seen, ChainError> {
        self.rpc
            .each(|session| async move {
                let (_, finalized) = block::head(session, self.finality).await?;
                let found = if finalized.header.number >= height.0 {
                    block::block(session, BlockId::Number(height)).await?
                } else if finalized.tip().time > time {
                    Some(finalized)
                } else {
                    return Ok(Seen::NotYet);
                };
                let mark = found.map(|block| Mark { height: block.tip().height, hash: block.hash.to_vec() });
                Ok(mark.map_or(Seen::Gone, Seen::Header))
            })
            .await
    }

    /// What those who sign for the chain say of this block, as an update of the client.
    async fn signed(&self, root: &ClientStatus, height: Height, hash: B256) -> Result<Option<Vec<u8>>, ChainError> {
        let signed = match &self.source {
            // A node proves nothing; but if a quorum attests its block too, that does.
            HeaderSource::Attested(pool) => {
                let genesis = (Height(0), pool.settings().genesis_hash);
                pool.gather_for(genesis, height, hash).await.map(|header| Some(header.encode()))
            }
            HeaderSource::Qbft(encoding) => {
                let update = |session| sealed_update(session, root, *encoding, height);
                self.rpc.each(update).await.map(|header| header.map(|header| header.encode()))
            }
            HeaderSource::EthereumPos(_) => Ok(None),
        };
        match signed {
            Err(ChainError::Untrustworthy { detail, .. } | ChainError::NotYet(detail)) => {
                tracing::warn!(witness = self.name, %detail, "a witness has a block that nobody proves");
                Ok(None)
            }
            other => other,
        }
    }
}

#[async_trait]
impl Witness for NodeWitness {
    fn name(&self) -> &str {
        &self.name
    }

    fn brought(&self, _: &ClientStatus, evidence: &Evidence) -> Option<Mark> {
        match (evidence, &self.source) {
            (Evidence::Attested(evidence), _) => {
                let statement = &evidence.update.as_ref()?.statement;
                Some(Mark { height: statement.number, hash: statement.hash.to_vec() })
            }
            (Evidence::Qbft(evidence), HeaderSource::Qbft(encoding)) => {
                let header = SealedHeader::decode(*encoding, &evidence.update.as_ref()?.rlp).ok()?;
                Some(Mark { height: header.number, hash: header.hash.to_vec() })
            }
            _ => None,
        }
    }

    async fn header_at(&self, _: &ClientStatus, height: Height, time: Timestamp) -> Result<Seen, ChainError> {
        self.block(height, time).await
    }

    async fn accuse(
        &self,
        client: &ClientStatus,
        known: &[ClientStatus],
        against: Against<'_>,
        at: Height,
    ) -> Result<Option<Misbehaviour>, ChainError> {
        let Seen::Header(Mark { hash, .. }) = self.block(at, Timestamp(u64::MAX)).await? else { return Ok(None) };
        let Ok(hash) = B256::try_from(hash.as_slice()) else { return Ok(None) };
        // Attestors vouch for a block by itself; seals are believed from a block that is trusted.
        let attested = matches!(self.source, HeaderSource::Attested(_)).then_some(client);
        for root in attested.into_iter().chain(roots(client, known, against)) {
            if let Some(header) = self.signed(root, at, hash).await? {
                return Ok(headers(header, against));
            }
        }
        Ok(None)
    }
}

/// A beacon node.
struct BeaconWitness {
    name: String,
    api: BeaconApi,
}

#[async_trait]
impl Witness for BeaconWitness {
    fn name(&self) -> &str {
        &self.name
    }

    fn brought(&self, client: &ClientStatus, evidence: &Evidence) -> Option<Mark> {
        let Evidence::EthereumPos(evidence) = evidence else { return None };
        mark_of(client, evidence.update.as_ref()?)
    }

    async fn header_at(&self, _: &ClientStatus, height: Height, _: Timestamp) -> Result<Seen, ChainError> {
        let found = self.api.first_some(|node| async move { block_at(node, height.0).await.map(Some) }).await?;
        Ok(found.unwrap_or(Seen::Gone))
    }

    async fn accuse(
        &self,
        client: &ClientStatus,
        known: &[ClientStatus],
        against: Against<'_>,
        at: Height,
    ) -> Result<Option<Misbehaviour>, ChainError> {
        for root in roots(client, known, against) {
            let update = match final_update(&self.api, root).await {
                Ok(update) => update,
                Err(ChainError::Untrustworthy { detail, .. }) => {
                    tracing::warn!(witness = self.name, %detail, "a witness has a header that it cannot prove");
                    continue;
                }
                Err(error) => return Err(error),
            };
            // What it proves must be about the slot in question.
            if let Some(update) = update.filter(|update| mark_of(root, update).map(|mark| mark.height) == Some(at)) {
                return Ok(headers(update, against));
            }
        }
        Ok(None)
    }
}

/// The block that a node has at a slot, once it is final there; a mark without a root if that slot has none.
async fn block_at(node: Node<'_>, slot: u64) -> Result<Seen, ChainError> {
    let Some(finalized) = node.finality_update().await?.finalized_header.map(|header| header.beacon) else {
        return Ok(Seen::NotYet);
    };
    let mark = |hash: Vec<u8>| Seen::Header(Mark { height: Height(slot), hash });
    match slot.cmp(&finalized.slot) {
        Ordering::Greater => return Ok(Seen::NotYet),
        Ordering::Equal => return Ok(mark(finalized.root().to_vec())),
        Ordering::Less => {}
    }
    if let Some(root) = node.block_root(slot).await? {
        return Ok(mark(root.to_vec()));
    }
    // The slot is empty only if the node has blocks of that time: one without this resource has none, one that began from a
    // checkpoint none of before.
    for before in (slot.saturating_sub(MAX_EMPTY_SLOTS)..slot).rev() {
        if node.block_root(before).await?.is_some() {
            return Ok(mark(vec![]));
        }
    }
    Ok(Seen::Gone)
}

/// The finalized header that an encoded update brings.
fn mark_of(client: &ClientStatus, update: &[u8]) -> Option<Mark> {
    let SignersView::SyncCommittees { network, .. } = &client.signers else { return None };
    let beacon = SyncHeader::decode(network.preset(), update).ok()?.update.finalized_header?.beacon;
    Some(Mark { height: Height(beacon.slot), hash: beacon.root().to_vec() })
}
