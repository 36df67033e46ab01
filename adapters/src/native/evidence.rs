//! What the chain shows of one packet, for an evidence file: from the oldest header that the node has, by which the
//! auditor begins, to the headers that prove. All of it is verified here as the auditor will.

use std::collections::BTreeMap;

use crosspoint_ledger::query::OutboxList;
use crosspoint_ledger::state::keys;
use crosspoint_light_proofs::evidence::{
    ChainEvidence, Claim, NativeProof, TendermintAnchor, TendermintHeader, TendermintSide,
};
use crosspoint_light_proofs::jmt::Siblings;
use crosspoint_light_proofs::tendermint::{
    ClientState, ConsensusState, Header, Latest, PacketStore, TendermintError, TrustLevel, verify_evidence,
};
use crosspoint_protocol::ids::Height;
use crosspoint_protocol::packet::Packet;
use tendermint::validator::Set;

use super::outbox::List;
use super::rpc::Endpoint;
use crate::chain::PacketEnd;
use crate::error::ChainError;

/// A hundred years in seconds: how old an anchor may be is for the auditor to judge.
const NO_EXPIRY: u64 = 100 * 365 * 24 * 3_600;

/// What is proven from which header.
type ByHeader = BTreeMap<Height, Vec<NativeProof>>;

/// Gathers what the chain shows of a packet now, and on its source also that it was sent.
pub(crate) async fn gather(endpoint: &Endpoint, packet: &Packet, end: PacketEnd) -> Result<ChainEvidence, ChainError> {
    let status = endpoint.status().await?;
    let newest = status.latest.height;
    let mut wanted = ByHeader::new();
    let client = match end {
        PacketEnd::Source { sent } => {
            source(endpoint, packet, sent, newest, &mut wanted).await?;
            &packet.source_client
        }
        PacketEnd::Destination => {
            let receipt = packet.receipt_path().to_bytes();
            let receipt = prove(endpoint, newest, receipt, Claim::Received, Some(Claim::NotReceived)).await?;
            let is_there = receipt.value.is_some();
            wanted.entry(newest).or_default().push(receipt);
            if is_there {
                let ack = packet.ack_path().to_bytes();
                let ack = prove(endpoint, newest, ack, Claim::Acknowledged, Some(Claim::NotAcknowledged)).await?;
                wanted.entry(newest).or_default().push(ack);
            }
            &packet.dest_client
        }
    };
    let registered = prove(endpoint, newest, keys::client(client), Claim::Client, None).await?;
    wanted.entry(newest).or_default().push(registered);
    let side = headers(endpoint, status.earliest, wanted).await?;
    let evidence = ChainEvidence::Tendermint(Box::new(side));
    evidence.check().map_err(|error| endpoint.untrustworthy(error))?;
    Ok(evidence)
}

/// The commitment: while it stands, that it does; afterwards, that it is gone and that it stood.
async fn source(
    endpoint: &Endpoint,
    packet: &Packet,
    sent: Height,
    newest: Height,
    wanted: &mut ByHeader,
) -> Result<(), ChainError> {
    let key = packet.commitment_path().to_bytes();
    let now = prove(endpoint, newest, key.clone(), Claim::Sent, Some(Claim::Ended)).await?;
    let stands = now.value.is_some();
    wanted.entry(newest).or_default().push(now);
    if stands {
        return Ok(());
    }
    // The header after the block that it was sent in; a packet cannot end in that block.
    let after = sent.next();
    match prove(endpoint, after, key.clone(), Claim::Sent, None).await {
        Ok(then) => wanted.entry(after).or_default().push(then),
        // The state is gone, the list of what was sent is not.
        Err(ChainError::Pruned { .. }) => {
            let state = Height(newest.0.saturating_sub(1));
            let list = List::load(endpoint, &packet.source_client, OutboxList::Sent, sent, state).await?;
            let entry = (packet.sequence, packet.commitment());
            let whole = list.whole_to >= state;
            if let Some(path) = whole.then(|| list.path(sent, entry, state)).flatten() {
                let head = keys::outbox_head(&packet.source_client, OutboxList::Sent);
                let head = prove(endpoint, newest, head, Claim::Sent, None).await?;
                let value = Some(packet.commitment().to_vec().into());
                let proof = NativeProof { key: key.into(), value, outbox: Some(path), ..head };
                wanted.entry(newest).or_default().push(proof);
            } else {
                tracing::warn!(chain = %endpoint.chain(), %sent, "an old packet's place in the outbox is not given");
            }
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// What stands under a key in the state under a header.
async fn prove(
    endpoint: &Endpoint,
    header: Height,
    key: Vec<u8>,
    present: Claim,
    absent: Option<Claim>,
) -> Result<NativeProof, ChainError> {
    let stored = endpoint.stored(&key, Height(header.0.saturating_sub(1)), true).await?;
    let lie = |error| endpoint.untrustworthy(error);
    let (shows, value, proof) = if stored.value.is_empty() {
        let what = || format!("what shows `{present}` at header {header}");
        let shows = absent.ok_or_else(|| ChainError::NotFound { chain: endpoint.chain().clone(), what: what() })?;
        (shows, None, Siblings::absence(&stored.proof).map_err(lie)?)
    } else {
        (present, Some(stored.value.into()), Siblings::membership(&stored.proof).map_err(lie)?)
    };
    Ok(NativeProof { shows, key: key.into(), value, outbox: None, proof })
}

/// The wanted headers, and those between that are needed to believe them.
async fn headers(endpoint: &Endpoint, earliest: Height, wanted: ByHeader) -> Result<TendermintSide, ChainError> {
    if wanted.keys().next().is_none_or(|lowest| *lowest <= earliest) {
        let chain = endpoint.chain();
        return Err(ChainError::NotYet(format!("{chain}: there is no header below those that prove, to begin with")));
    }
    let first = endpoint.signed_header(earliest).await?.header;
    let mut next = endpoint.validators(earliest.next()).await?;
    let anchor = TendermintAnchor::new(first.clone(), &next);
    let mut trusted = (earliest, ConsensusState::of(&first).map_err(|error| endpoint.untrustworthy(error))?);
    let newest = wanted.keys().next_back().copied();
    let mut headers = Vec::new();
    for (target, proofs) in wanted {
        let mut proofs = Some(proofs);
        while trusted.0 < target {
            let (header, validators, state) = step(endpoint, trusted, &next, target).await?;
            let height = header.height();
            // Nobody asks who comes after the last header.
            next = if Some(height) == newest { validators.clone() } else { endpoint.validators(height.next()).await? };
            let proofs = proofs.take_if(|_| height == target).unwrap_or_default();
            headers.push(TendermintHeader::new(header.signed_header, &validators, &next, proofs));
            trusted = (height, state);
        }
    }
    Ok(TendermintSide { anchor, headers })
}

/// The header nearest to `target` that is believed in one step.
async fn step(
    endpoint: &Endpoint,
    (height, state): (Height, ConsensusState),
    next: &Set,
    target: Height,
) -> Result<(Header, Set, ConsensusState), ChainError> {
    let client = ClientState {
        chain_id: endpoint.chain().clone(),
        store: PacketStore::Jmt,
        trust_level: TrustLevel::ONE_THIRD,
        trusting_period: NO_EXPIRY,
        max_clock_drift: 0,
        latest: Latest { height, time: state.time, hash: [0; 32] },
        frozen: false,
        generation: 0,
    };
    let mut candidate = target;
    loop {
        let validators = endpoint.validators(candidate).await?;
        let header = Header {
            signed_header: endpoint.signed_header(candidate).await?,
            validators: validators.clone(),
            trusted_height: height,
            trusted_next_validators: next.clone(),
        };
        let here = ConsensusState::of(&header.signed_header.header).map_err(|error| endpoint.untrustworthy(error))?;
        match verify_evidence(&client, &state, &header, here.time) {
            Ok(state) => return Ok((header, validators, state)),
            // Too many validators changed: half the way first.
            Err(TendermintError::NotEnoughTrust { .. }) if candidate > height.next() => {
                candidate = Height(height.0.midpoint(candidate.0)).max(height.next());
            }
            Err(error) => return Err(endpoint.untrustworthy(error)),
        }
    }
}
