//! Adapters of the chains in the settings that sign nothing: for commands that look, or whose keys are named otherwise.

use super::failure::{Class, Failure};
use super::start;
use crate::settings::{ChainKind, ChainSettings, Settings};
use crosspoint_adapters::evm::EvmChain;
use crosspoint_adapters::native::{NativeChain, NativeSettings};
use crosspoint_protocol::ids::ChainId;

/// A chain of the settings.
pub(super) fn chain<'a>(settings: &'a Settings, id: &ChainId) -> Result<&'a ChainSettings, Failure> {
    let known = settings.chains.values().find(|chain| chain.id == *id);
    known.ok_or_else(|| {
        let ids: Vec<_> = settings.chains.values().map(|chain| chain.id.to_string()).collect();
        Failure::new(Class::Input, format!("the settings name no chain {id}; they name {}", ids.join(", ")))
    })
}

/// A native chain, by its nodes.
pub(super) fn native(chain: &ChainSettings) -> Result<NativeChain, Failure> {
    if !matches!(chain.kind, ChainKind::Native(_)) {
        return Err(Failure::new(Class::Input, format!("{} is no native chain: its council governs it", chain.id)));
    }
    let mut settings = NativeSettings::new(chain.id.clone(), start::urls(&chain.endpoints));
    settings.block_ms = chain.block_ms;
    Ok(NativeChain::new(settings, ed25519_dalek::SigningKey::from_bytes(&[1; 32]))?)
}

/// An EVM chain, by its nodes and its source of headers.
pub(super) async fn evm(settings: &Settings, chain: &ChainSettings) -> Result<EvmChain, Failure> {
    let ChainKind::Evm(evm) = &chain.kind else {
        return Err(Failure::new(Class::Input, format!("{} is no EVM chain", chain.id)));
    };
    let wrong = |e: anyhow::Error| Failure::new(Class::Input, format!("chain {}: {e:#}", chain.id));
    let source = start::header_source(chain, evm, None).map_err(wrong)?;
    let nobody = alloy::signers::local::PrivateKeySigner::from_bytes(&alloy::primitives::B256::repeat_byte(1))
        .map_err(|e| Failure::new(Class::Failed, e.to_string()))?;
    let margin = settings.relayer.claim_margin_seconds;
    Ok(EvmChain::connect(start::evm_settings(chain, evm, margin), nobody, Some(source), None).await?)
}
