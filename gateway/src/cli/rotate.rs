//! `crosspoint rotate-attestors`

use super::args::RotateArgs;
use super::failure::{Class, Failure};
use super::{output, start};
use crate::keys::{KeyKind, KeyStore, PassphraseSource};
use crate::settings::{ChainKind, HeaderSource, Settings};
use crosspoint_adapters::chain::{Chain, ClientStatus, ClientType, SignersView};
use crosspoint_adapters::native::{NativeChain, NativeSettings};
use crosspoint_adapters::signer::Signer;
use crosspoint_light_proofs::attested::SignedRotation;
use serde_json::json;

pub(super) async fn run(args: &RotateArgs, json: bool) -> Result<(), Failure> {
    let settings = Settings::load(&args.config.config)?;
    let rotation = gather(&settings, args).await?;
    let source = PassphraseSource { file: settings.keystore.passphrase_file.clone(), prompt: true };
    let passphrase = source.existing()?;
    let store = KeyStore::new(settings.keystore.dir.clone());
    let mut done = vec![];
    for chain in settings.chains.values().filter(|chain| matches!(chain.kind, ChainKind::Native(_))) {
        let Signer::Native(key) = store.signer(&chain.relayer_key, KeyKind::Native, &passphrase)? else { continue };
        let endpoints = chain.endpoints.iter().map(|endpoint| endpoint.url().clone()).collect();
        let native = NativeChain::new(NativeSettings::new(chain.id.clone(), endpoints), *key)?;
        for client in native.clients().await?.into_iter().filter(|client| is_of(client, args, &rotation)) {
            let included = native.rotate_attestors(&client.client, &rotation).await?;
            done.push(json!({ "chain": chain.id, "client": client.client, "tx": included.tx }));
        }
    }
    if done.is_empty() {
        let epoch = rotation.rotation.epoch;
        let what = format!(
            "no native chain in the settings has an open attested client of {} at attestor epoch {epoch}",
            args.chain
        );
        return Err(Failure::new(Class::Failed, what));
    }
    let (set, epoch) = (&rotation.rotation.attestors, rotation.rotation.epoch.saturating_add(1));
    if json {
        let addresses = set.addresses();
        let told = json!({ "rotated": done, "epoch": epoch, "attestors": addresses, "quorum": set.threshold() });
        return Ok(output::json(&told)?);
    }
    for one in &done {
        output::line(&format!("{}: client {} trusts the new attestors", text(&one["chain"]), text(&one["client"])))?;
    }
    let addresses: Vec<_> = set.addresses().iter().map(|address| format!("\"{address:#x}\"")).collect();
    output::line(&format!(
        "\nStart the new attestors with --epoch {epoch}, and set for {} in every service:\n\nattestor_addresses = [{}]\nattestor_epoch = {epoch}\nquorum = {}",
        args.chain,
        addresses.join(", "),
        set.threshold(),
    ))?;
    Ok(())
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The hand-over that a quorum of the attestors in the settings signed.
async fn gather(settings: &Settings, args: &RotateArgs) -> Result<SignedRotation, Failure> {
    let wrong = |what: &str| Failure::new(Class::Input, format!("{}: {what}", args.chain));
    let chain = settings.chains.values().find(|chain| chain.id == args.chain);
    let chain = chain.ok_or_else(|| wrong("the settings name no such chain"))?;
    let ChainKind::Evm(evm) = &chain.kind else { return Err(wrong("only an EVM chain has attestors")) };
    let HeaderSource::Attested(attestors) = &evm.header_source else {
        return Err(wrong("its header_source is not `attested`"));
    };
    Ok(start::pool(chain, evm.number, attestors)?.gather_rotation().await?)
}

/// Whether this client trusts the set that hands over.
fn is_of(client: &ClientStatus, args: &RotateArgs, rotation: &SignedRotation) -> bool {
    client.client_type == ClientType::Attested
        && client.counterparty_chain == args.chain
        && client.signers == SignersView::Attestors { epoch: rotation.rotation.epoch }
}
