//! Headers of Ethereum: what its sync committees say is final, by beacon nodes.
//!
//! A client knows the committee of its period and, once it was shown, the next. So a finality update leads it on while
//! it is signed by one of the two; from further behind it goes period by period, by the update that beacon nodes keep
//! for each.

use alloy::primitives::B256;
use crosspoint_light_proofs::ethereum_pos::{
    ClientState, ConsensusState, Header, Latest, Network, SyncCommittee, Update as SyncUpdate, verify_committee,
    verify_update,
};
use crosspoint_protocol::ids::Timestamp;

use super::{Anchored, Update};
use crate::chain::{ClientStatus, SignersView, Tip};
use crate::error::ChainError;
use crate::evm::beacon::{BeaconApi, Node};
use crate::evm::block::{self, Block, BlockId};
use crate::evm::rpc::Session;

/// What the client trusts, or will trust with the update.
#[derive(Debug, Clone)]
pub(in crate::evm) struct Finalized {
    tip: Tip,
    state_root: B256,
    update: Option<Vec<u8>>,
    more: bool,
}

impl Finalized {
    /// The update that leads there, encoded.
    pub(super) fn into_update(self) -> Option<Vec<u8>> {
        self.update
    }

    /// The execution block, by a node of the chain.
    pub(super) async fn block(&self, session: Session<'_>) -> Result<Anchored, ChainError> {
        let block = final_block(session, self.tip, self.state_root).await?;
        Ok(Anchored { block, update: Update::EthereumPos(self.update.clone()), more: self.more })
    }
}

/// The execution block of a final header, by a node of the chain.
pub(in crate::evm) async fn final_block(session: Session<'_>, tip: Tip, state_root: B256) -> Result<Block, ChainError> {
    let height = tip.height;
    let block = block::block(session, BlockId::Number(height)).await?;
    let behind = || ChainError::NotYet(format!("{} has no block {height} yet, which is final", session.chain()));
    let block = block.ok_or_else(behind)?;
    if block.tip() != tip || block.header.state_root != state_root {
        return Err(session.lie(format!("block {height} is not the one that is final by the sync committees")));
    }
    Ok(block)
}

/// What the client knows, in the light client's terms.
struct Known<'a> {
    client: ClientState,
    state: ConsensusState,
    network: &'a Network,
    trusted: Tip,
    root: B256,
}

/// The furthest that one update leads the client. A beacon node can lie, or withhold what is new: the next one is
/// asked until one leads on.
pub(super) async fn advance(api: &BeaconApi, client: &ClientStatus) -> Result<Finalized, ChainError> {
    let SignersView::SyncCommittees { network, state } = &client.signers else {
        let what = format!("client {} does not say which sync committees it knows", client.client);
        return Err(ChainError::InvalidRequest(what));
    };
    let root = B256::try_from(client.trusted_hash.as_slice()).unwrap_or_default();
    let latest = Latest { slot: state.slot, root, number: client.trusted.height, time: client.trusted.time };
    let known = Known {
        client: ClientState {
            evm_chain_id: 0,
            network: network.as_ref().clone(),
            latest,
            trusting_period: client.trusting_period,
            store_address: Default::default(),
            base_slot: Default::default(),
            frozen: false,
            generation: client.generation,
        },
        state: *state,
        network,
        trusted: client.trusted,
        root,
    };
    let here = Finalized { tip: client.trusted, state_root: state.root, update: None, more: false };
    let found = api.first_some(|node| step(node, &known)).await?;
    Ok(found.unwrap_or(here))
}

/// The furthest that one update of this node leads the client; `None`: it has nothing new.
async fn step(node: Node<'_>, known: &Known<'_>) -> Result<Option<Finalized>, ChainError> {
    let (network, state) = (known.network, &known.state);
    let newest = node.finality_update().await?;
    let (here, signed) = (network.period(state.slot), network.period(newest.signature_slot));
    let behind = signed > here.saturating_add(u64::from(state.next_committee.is_some()));
    let update = match state.next_committee {
        _ if !behind => newest,
        None => node.update(here).await?,
        Some(_) => node.update(here.saturating_add(1)).await?,
    };
    let leads_on = update.finalized_slot() > state.slot;
    let shows = state.next_committee.is_none() && update.has_committee();
    // What it only learns from, it needs when it is behind.
    let learns = behind && shows;
    if !(leads_on || learns) {
        return Ok(None);
    }
    let Some(fork) = network.fork(update.attested_header.beacon.slot) else {
        return Err(node.lie("its update is from before the first fork with sync committees"));
    };
    let signers = signers(node, known, &update).await?;
    let bytes = Header { trusted_height: known.trusted.height, signers, update }.encode(network.preset(), fork);
    // What is verified is what will be sent: JSON has more than one way to leave a part out.
    let header = Header::decode(network.preset(), &bytes).map_err(|error| node.lie(error))?;
    // At the time of the block that carries the signatures: whether that has come is for the client's chain to say.
    let now = Timestamp(network.time_of(header.update.signature_slot));
    let (tip, state_root) = if leads_on {
        let (next, state) = verify_update(&known.client, state, &header, now).map_err(|error| node.lie(error))?;
        (Tip { height: next.latest.number, time: next.latest.time }, state.root)
    } else {
        verify_committee(&known.client, state, &header, now).map_err(|error| node.lie(error))?;
        (known.trusted, state.root)
    };
    if let Some(next) = &header.update.next_sync_committee {
        node.remember(next);
    }
    Ok(Some(Finalized { tip, state_root, update: Some(bytes), more: behind }))
}

/// The committee that signed an update: the client knows the root, the node must have the keys.
async fn signers(node: Node<'_>, known: &Known<'_>, update: &SyncUpdate) -> Result<SyncCommittee, ChainError> {
    let (here, signed) = (known.network.period(known.state.slot), known.network.period(update.signature_slot));
    let root = match signed.checked_sub(here) {
        Some(0) => Some(known.state.current_committee),
        Some(1) => known.state.next_committee,
        _ => None,
    };
    let root =
        root.ok_or_else(|| node.lie(format!("its update is signed in period {signed}, not {here} or the next")))?;
    if let Some(committee) = node.remembered(&root) {
        return Ok(committee);
    }
    // The update of the period before shows it; at the very beginning of trust, the bootstrap does too.
    let mut found = match signed.checked_sub(1) {
        Some(before) => node.update(before).await.ok().and_then(|update| update.next_sync_committee),
        None => None,
    };
    if found.as_ref().is_none_or(|committee| committee.root() != root) && signed == here {
        found = Some(node.bootstrap(known.root).await?.current_sync_committee);
    }
    match found {
        Some(committee) if committee.root() == root => {
            node.remember(&committee);
            Ok(committee)
        }
        Some(_) | None => Err(node.lie(format!("it shows another committee for period {signed}"))),
    }
}
