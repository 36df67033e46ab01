//! Headers of a consortium chain: the node's own, with their seals.

use alloy::primitives::B256;
use crosspoint_light_proofs::qbft::{
    ClientState, ConsensusState, Encoding, Header, Latest, QbftError, SealedHeader, Validators, verify_update,
};
use crosspoint_protocol::ids::Height;

use super::{Anchored, Update};
use crate::chain::ClientStatus;
use crate::error::ChainError;
use crate::evm::block::{self, Block, BlockId};
use crate::evm::rpc::Session;
use crate::evm::settings::Finality;

/// By how many seconds a header may be ahead of itself: it is verified at its own time.
const CLOCK_DRIFT: u64 = 10;

/// The newest final block that the client believes in one step.
pub(super) async fn advance(
    session: Session<'_>,
    finality: Finality,
    client: &ClientStatus,
    trusted_hash: B256,
    encoding: Encoding,
) -> Result<Anchored, ChainError> {
    let (_, finalized) = block::head(session, finality).await?;
    let (trusted, target) = (client.trusted.height, Height(finalized.header.number));
    if target < trusted {
        return Err(ChainError::NotYet(format!("{}: the node is behind the client", session.chain())));
    }
    let from = block::existing(session, BlockId::Number(trusted)).await?;
    if from.hash != trusted_hash {
        return Err(session.lie(format!("block {trusted} is {}, the client trusts {trusted_hash}", from.hash)));
    }
    if target == trusted {
        return Ok(Anchored { block: from, update: Update::Qbft(None), more: false });
    }
    if finalized.tip().time.0 >= client.trusted.time.0.saturating_add(client.trusting_period) {
        return Err(ChainError::Expired(client.client.clone()));
    }
    let known = known(client, trusted_hash, encoding);
    let state = consensus(session, encoding, &from)?;
    let (mut height, mut block) = (target, finalized);
    loop {
        let header = Header { trusted_height: trusted, rlp: block.rlp() };
        match verify_update(&known, &state, &header, block.tip().time) {
            Ok(_) => {
                let more = height < target;
                return Ok(Anchored { block, update: Update::Qbft(Some(header)), more });
            }
            // Too many validators changed: half the way first, the rest with the next update.
            Err(QbftError::NotEnoughTrust { .. }) if height > trusted.next() => {
                height = Height(trusted.0.midpoint(height.0)).max(trusted.next());
                block = block::existing(session, BlockId::Number(height)).await?;
            }
            Err(error) => return Err(session.lie(format!("block {height}: {error}"))),
        }
    }
}

/// What the client knows, in the light client's terms.
fn known(client: &ClientStatus, trusted_hash: B256, encoding: Encoding) -> ClientState {
    ClientState {
        // The chain is told by its endpoints' id, checked when they were connected to; seals do not name it.
        evm_chain_id: 0,
        encoding,
        latest: Latest { number: client.trusted.height, hash: trusted_hash, time: client.trusted.time },
        trusting_period: client.trusting_period,
        max_clock_drift: CLOCK_DRIFT,
        store_address: Default::default(),
        base_slot: Default::default(),
        frozen: false,
        generation: client.generation,
    }
}

/// The header of `height`, if the client believes it in one step from what it trusts.
pub(super) async fn update_to(
    session: Session<'_>,
    client: &ClientStatus,
    encoding: Encoding,
    height: Height,
) -> Result<Option<Header>, ChainError> {
    let trusted = client.trusted.height;
    if height <= trusted {
        return Ok(None);
    }
    let from = block::existing(session, BlockId::Number(trusted)).await?;
    if from.hash.as_slice() != client.trusted_hash {
        return Err(session.lie(format!("block {trusted} is {}, not the one that the client trusts", from.hash)));
    }
    let state = consensus(session, encoding, &from)?;
    let block = block::existing(session, BlockId::Number(height)).await?;
    let header = Header { trusted_height: trusted, rlp: block.rlp() };
    verify_update(&known(client, from.hash, encoding), &state, &header, block.tip().time)
        .map_err(|error| session.lie(format!("block {height}: {error}")))?;
    Ok(Some(header))
}

/// The state from which the client believes the next header: who sealed the one it trusts.
fn consensus(session: Session<'_>, encoding: Encoding, block: &Block) -> Result<ConsensusState, ChainError> {
    let wrong = |error: &dyn std::fmt::Display| session.lie(format!("block {}: {error}", block.header.number));
    let sealed = SealedHeader::decode(encoding, &block.rlp()).map_err(|error| wrong(&error))?;
    let validators = Validators::new(sealed.extra.validators).map_err(|error| wrong(&error))?;
    Ok(ConsensusState { root: sealed.state_root, time: sealed.time, validators })
}
