//! Proofs for a `tendermint` client, on another native chain: a signed header and one ICS-23 proof per item.
//! All is verified here as the client will.

use crosspoint_light_proofs::jmt;
use crosspoint_light_proofs::tendermint::{
    Bisection, ClientState, ConsensusState, Header, Latest, PacketStore, TendermintError, TrustLevel, verify_update,
};
use crosspoint_protocol::ack;
use crosspoint_protocol::ids::{ClientId, Height};
use futures::{StreamExt, TryStreamExt};
use tendermint::Hash;

use super::query::seconds;
use super::rpc::Endpoint;
use crate::chain::{ClientStatus, RelayItem, Tip};
use crate::error::ChainError;
use crate::proven::{Evidence, Proven, TendermintEvidence};

/// How many questions are asked at once.
const CONCURRENCY: usize = 8;
/// By how many seconds a header may be ahead of itself: it is verified at its own time.
const CLOCK_DRIFT: u64 = 10;

/// A header that proofs can be checked against, with its root.
struct Anchored {
    tip: Tip,
    root: [u8; 32],
    update: Option<Header>,
}

/// A header to begin trust with: what this endpoint says is the newest. Nothing older vouches for it, so it is as
/// honest as the endpoint, and is compared by those who approve it.
pub(crate) async fn anchor(endpoint: &Endpoint) -> Result<Header, ChainError> {
    let height = endpoint.status().await?.latest.height;
    Ok(Header {
        signed_header: endpoint.signed_header(height).await?,
        validators: endpoint.validators(height).await?,
        trusted_height: height,
        trusted_next_validators: endpoint.validators(height.next()).await?,
    })
}

/// Proves items, or with none of them moves the client on.
pub(crate) async fn prove(
    endpoint: &Endpoint,
    client: &ClientStatus,
    items: &[RelayItem],
) -> Result<Proven, ChainError> {
    if client.frozen {
        return Err(ChainError::Frozen(client.client.clone()));
    }
    let newest = endpoint.status().await?.latest;
    if newest.time.0 >= client.trusted.time.0.saturating_add(client.trusting_period) {
        return Err(ChainError::Expired(client.client.clone()));
    }
    if newest.height < client.trusted.height {
        return Err(ChainError::NotYet(format!("{}: {} is behind the client", endpoint.chain(), endpoint.label())));
    }
    let at = advance(endpoint, client, newest.height).await?;
    let here = &client.counterparty_client;
    let proofs: Vec<Option<(RelayItem, Vec<u8>)>> = futures::stream::iter(items.to_vec())
        .map(|item| prove_item(endpoint, here, item, &at))
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    let (proven, proofs): (Vec<RelayItem>, Vec<Vec<u8>>) = proofs.into_iter().flatten().unzip();
    // An update alone is worth a transaction when it was asked for, or when it takes more than one to get there.
    let stepped = at.tip.height < newest.height;
    if proven.is_empty() && !(at.update.is_some() && (items.is_empty() || stepped)) {
        let (count, height) = (items.len(), at.tip.height);
        let chain = endpoint.chain();
        return Err(ChainError::NotYet(format!("{chain}: none of {count} items can be proven at block {height}")));
    }
    let evidence = Evidence::Tendermint(Box::new(TendermintEvidence { update: at.update, proofs }));
    Ok(Proven { items: proven, height: at.tip.height, time: at.tip.time, evidence })
}

/// One item's proof; nothing if the state does not show it.
async fn prove_item(
    endpoint: &Endpoint,
    here: &ClientId,
    item: RelayItem,
    at: &Anchored,
) -> Result<Option<(RelayItem, Vec<u8>)>, ChainError> {
    let (path, expected) = match &item {
        RelayItem::Recv { packet } => (packet.commitment_path(), Some(packet.commitment())),
        RelayItem::Ack { packet, ack } => (packet.ack_path(), Some(ack::commitment(ack))),
        RelayItem::Timeout { packet } if packet.timeout <= at.tip.time => (packet.receipt_path(), None),
        RelayItem::Timeout { .. } => return Ok(None),
    };
    if path.client != *here {
        return Ok(None);
    }
    let key = path.to_bytes();
    let state = Height(at.tip.height.0.saturating_sub(1));
    let stored = endpoint.stored(&key, state, true).await?;
    let lie = |error| endpoint.untrustworthy(error);
    // What the node says is there or not there must be proven either way.
    if stored.value.is_empty() {
        jmt::verify_absence(&at.root, &key, &stored.proof).map_err(lie)?;
    } else {
        jmt::verify_membership(&at.root, &key, &stored.value, &stored.proof).map_err(lie)?;
    }
    let shown = match expected {
        Some(value) => stored.value == value,
        None => stored.value.is_empty(),
    };
    Ok(shown.then_some((item, stored.proof)))
}

/// The header nearest to `target` that the client believes in one step.
async fn advance(endpoint: &Endpoint, client: &ClientStatus, target: Height) -> Result<Anchored, ChainError> {
    let trusted = endpoint.signed_header(client.trusted.height).await?.header;
    let state = consensus_state(endpoint, &trusted)?;
    let Hash::Sha256(hash) = trusted.hash() else { return Err(endpoint.malformed("commit", "no hash")) };
    if hash != client.trusted_hash.as_slice() {
        return Err(endpoint.untrustworthy(format!("header {} is not the one that the client trusts", trusted.height)));
    }
    if target == client.trusted.height {
        return Ok(Anchored { tip: client.trusted, root: state.root, update: None });
    }
    let trusted_next_validators = endpoint.validators(client.trusted.height.next()).await?;
    let state_of_client = ClientState {
        chain_id: endpoint.chain().clone(),
        store: PacketStore::Jmt,
        trust_level: TrustLevel::ONE_THIRD,
        trusting_period: client.trusting_period,
        max_clock_drift: CLOCK_DRIFT,
        latest: Latest { height: client.trusted.height, time: client.trusted.time, hash },
        frozen: false,
        generation: client.generation,
    };
    let Some(mut way) = Bisection::new(client.trusted.height, target) else {
        return Err(endpoint.untrustworthy(format!("its newest header is {target}, below the trusted one")));
    };
    loop {
        let height = way.height();
        let signed_header = endpoint.signed_header(height).await?;
        let now =
            seconds(signed_header.header.time).ok_or_else(|| endpoint.malformed("commit", "a time before 1970"))?;
        let header = Header {
            signed_header,
            validators: endpoint.validators(height).await?,
            trusted_height: client.trusted.height,
            trusted_next_validators: trusted_next_validators.clone(),
        };
        match verify_update(&state_of_client, &state, &header, now) {
            Ok((_, reached)) => {
                let tip = Tip { height, time: reached.time };
                return Ok(Anchored { tip, root: reached.root, update: Some(header) });
            }
            // Too many validators changed: half the way first, the rest with the next update.
            Err(error @ TendermintError::NotEnoughTrust { .. }) => {
                way = way.not_enough_trust().ok_or_else(|| endpoint.untrustworthy(error))?;
            }
            Err(error) => return Err(endpoint.untrustworthy(error)),
        }
    }
}

/// The header of `target`, if the client believes it in one step from what it trusts.
pub(crate) async fn update_to(
    endpoint: &Endpoint,
    client: &ClientStatus,
    target: Height,
) -> Result<Option<Header>, ChainError> {
    if target <= client.trusted.height {
        return Ok(None);
    }
    Ok(advance(endpoint, client, target).await?.update.filter(|header| header.height() == target))
}

fn consensus_state(endpoint: &Endpoint, header: &tendermint::block::Header) -> Result<ConsensusState, ChainError> {
    let malformed = |detail: &str| endpoint.malformed("commit", detail);
    let Hash::Sha256(next_validators_hash) = header.next_validators_hash else {
        return Err(malformed("no hash of the next validators"));
    };
    let root = header.app_hash.as_bytes().try_into().map_err(|_| malformed("the app hash is not 32 bytes"))?;
    let time = seconds(header.time).ok_or_else(|| malformed("a time before 1970"))?;
    let nanos = u32::try_from(header.time.unix_timestamp_nanos().rem_euclid(1_000_000_000)).unwrap_or_default();
    Ok(ConsensusState { root, time, nanos, next_validators_hash })
}
