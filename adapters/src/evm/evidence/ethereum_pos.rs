//! Headers that sync committees say are final, by beacon nodes, from the block that the other chain's client trusts.
//! Only blocks that an update finalizes are proven from, so a lock is shown while it stands.

use alloy::primitives::B256;
use crosspoint_light_proofs::ethereum_pos::{Network, Update};
use crosspoint_light_proofs::evidence::{
    ChainEvidence, EthereumPosAnchor, EthereumPosHeader, EthereumPosSide, SyncWalk, written,
};
use crosspoint_protocol::packet::Packet;

use super::{Shown, checked};
use crate::chain::{Chain, ClientStatus, PacketEnd, SignersView, Tip};
use crate::error::ChainError;
use crate::evm::beacon::{BeaconApi, Node};
use crate::evm::gateway::{BASE_SLOT, EvmChain};
use crate::evm::source::ethereum_pos::final_block;

/// How a beacon node leads to what is final now.
struct Led {
    anchor: EthereumPosAnchor,
    updates: Vec<Update>,
    walk: SyncWalk,
}

impl EvmChain {
    pub(super) async fn final_evidence(
        &self,
        api: &BeaconApi,
        packet: &Packet,
        end: PacketEnd,
        client: &ClientStatus,
    ) -> Result<ChainEvidence, ChainError> {
        let SignersView::SyncCommittees { network, .. } = &client.signers else {
            let what = format!("client {} does not say which beacon chain it follows", client.client);
            return Err(ChainError::InvalidRequest(what));
        };
        let trusted = B256::try_from(client.trusted_hash.as_slice()).unwrap_or_default();
        let led = api.first_some(|node| async move { self.lead(node, network, trusted).await.map(Some) }).await?;
        let led = led.ok_or_else(|| ChainError::NotYet(format!("{}: no beacon node has an update", self.id())))?;
        let led = &led;
        self.rpc
            .each(|session| async move {
                let latest = led.walk.latest();
                let tip = Tip { height: latest.number, time: latest.time };
                let block = final_block(session, tip, led.walk.state().root).await?;
                let mut headers: Vec<EthereumPosHeader> = led.updates.iter().cloned().map(bare).collect();
                for Shown { account, proofs, .. } in self.shown(session, packet, end, block, false).await? {
                    if let Some(last) = headers.last_mut() {
                        (last.account, last.proofs) = (account, proofs);
                    }
                }
                let side = EthereumPosSide { anchor: led.anchor.clone(), headers };
                checked(session, ChainEvidence::EthereumPos(Box::new(side)))
            })
            .await
    }

    /// From the trusted block to what is final for a node: a period at a time, then by its newest update.
    async fn lead(&self, node: Node<'_>, network: &Network, trusted: B256) -> Result<Led, ChainError> {
        let newest = node.finality_update().await?;
        let finalized = newest.finalized_header.as_ref().map(|header| header.beacon.root()).unwrap_or_default();
        // Nodes have bootstraps of some blocks only; of what is final now they have.
        let bootstrap = match node.bootstrap(trusted).await {
            Ok(found) if found.header.beacon.root() == trusted => found,
            Ok(_) | Err(_) => node.bootstrap(finalized).await?,
        };
        let anchor = EthereumPosAnchor {
            hash: B256::ZERO,
            chain_id: self.settings.chain_number,
            network: network.clone(),
            bootstrap,
            gateway: self.settings.gateway,
            base_slot: BASE_SLOT,
        }
        .sealed();
        let mut walk = anchor.start().map_err(|error| node.lie(error))?;
        let mut updates = vec![];
        loop {
            let before = (walk.latest(), *walk.state());
            let (slot, shown) = (before.1.slot, u64::from(before.1.next_committee.is_some()));
            if newest.finalized_slot() < slot {
                return Err(ChainError::NotYet(format!("{}: a beacon node is behind the client", self.id())));
            }
            let period = network.period(slot).saturating_add(shown);
            let behind = network.period(newest.signature_slot) > period;
            let update = if behind { node.update(period).await? } else { newest.clone() };
            let update = written(network, &update).ok_or_else(|| node.lie("its update has no valid form"))?;
            walk.step(&update).map_err(|error| node.lie(error))?;
            updates.push(update);
            if !behind {
                return Ok(Led { anchor, updates, walk });
            }
            if (walk.latest(), *walk.state()) == before {
                return Err(node.lie(format!("its update of period {period} leads no further")));
            }
        }
    }
}

const fn bare(update: Update) -> EthereumPosHeader {
    EthereumPosHeader { update, account: vec![], proofs: vec![] }
}
