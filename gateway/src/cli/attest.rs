//! `crosspoint attest`

use super::args::AttestArgs;
use super::failure::{Class, Failure};
use super::output;
use super::start::{finality, init_logs};
use super::stop_on_signal;
use crate::keys::{KeyKind, KeyStore, PassphraseSource};
use crate::settings::{Log, LogFormat};
use crosspoint_adapters::attestor::{AttestorService, AttestorSettings, ServiceError, http};
use crosspoint_light_proofs::attested::Attestors;
use crosspoint_light_proofs::signature::SigningKey;
use tokio::net::TcpListener;

/// The set that is to follow, if one is named.
fn next(args: &AttestArgs) -> Result<Option<Attestors>, Failure> {
    let Some(quorum) = args.next_quorum else { return Ok(None) };
    let quorum = usize::try_from(quorum).unwrap_or(usize::MAX);
    let set = Attestors::from_unsorted(args.next_attestors.clone(), quorum);
    set.map(Some).map_err(|e| Failure::new(Class::Input, format!("--next-attestors and --next-quorum: {e}")))
}

pub(super) async fn run(args: &AttestArgs) -> Result<(), Failure> {
    init_logs(&Log { format: LogFormat::People, filter: "info".into() })?;
    let number = args.chain.as_str().strip_prefix("eip155-").and_then(|n| n.parse().ok()).ok_or_else(|| {
        Failure::new(
            Class::Input,
            format!("--chain is {}; an EVM chain's id is eip155- and its chain number", args.chain),
        )
    })?;
    let source = PassphraseSource { file: args.open.passphrase_file.clone(), prompt: true };
    let store = KeyStore::new(args.open.keystore.keystore.clone());
    let secret = store.secret(&args.key, KeyKind::Evm, &source.existing()?)?;
    let key =
        SigningKey::from_bytes(*secret).map_err(|e| Failure::new(Class::Failed, format!("key {}: {e}", args.key)))?;
    let settings = AttestorSettings {
        chain: args.chain.clone(),
        chain_number: number,
        genesis_hash: args.genesis_hash,
        epoch: args.epoch,
        next: next(args)?,
        endpoint: args.endpoint.url().clone(),
        finality: finality(args.finality),
        journal: args.journal.clone(),
        timeout_ms: 5_000,
    };
    let service = AttestorService::start(settings, key).await.map_err(|e| {
        let cause = match e {
            ServiceError::Node(error) => anyhow::Error::new(error),
            other => anyhow::Error::new(other),
        };
        cause.context("the attestor does not start")
    })?;
    let listener = TcpListener::bind(args.listen).await.map_err(|e| {
        Failure::new(Class::Failed, format!("cannot listen on {}: {e}; choose another with --listen", args.listen))
    })?;
    let address = listener.local_addr()?;
    output::notice(&format!("attesting {} on http://{address}", args.chain));
    let stop = stop_on_signal();
    warp::serve(http::routes(service)).incoming(listener).graceful(stop.cancelled_owned()).run().await;
    Ok(())
}
