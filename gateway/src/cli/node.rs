//! `crosspoint node`

use super::args::NodeArgs;
use super::failure::{Class, Failure};
use super::start::init_logs;
use super::stop_on_signal;
use crate::settings::{Log, LogFormat};
use crosspoint_ledger::app::AppError;
use crosspoint_ledger::engine::cometbft::home::Home;
use crosspoint_ledger::engine::cometbft::{AbciServer, Application, ApplicationConfig, EngineError};
use crosspoint_ledger::engine::mempool::MempoolLimits;
use std::sync::Arc;

pub(super) async fn run(args: &NodeArgs) -> Result<(), Failure> {
    init_logs(&Log { format: LogFormat::People, filter: "info,tower_abci=warn".into() })?;
    let home = Home::new(&args.home);
    let wrong = |error: &dyn std::fmt::Display| Failure::new(Class::Input, error.to_string());
    let genesis = home.genesis().map_err(|error| wrong(&error))?;
    let bridge = home.bridge_key().map_err(|error| wrong(&error))?;
    let signs = bridge.as_ref().map_or_else(|| "none".to_owned(), |key| key.address().to_string());
    let config = ApplicationConfig {
        dir: home.app_dir(),
        genesis,
        bridge,
        snapshot_interval: args.snapshot_every,
        snapshot_keep: args.snapshots.into(),
        mempool: MempoolLimits::default(),
    };
    let stop = stop_on_signal();
    // Opening a database takes a while; signals are heard meanwhile.
    let opened = tokio::task::spawn_blocking(move || Application::open(config)).await;
    let application = opened.map_err(|_| Failure::new(Class::Failed, "the application does not start"))?;
    let application = application.map_err(|error| match error {
        EngineError::App(AppError::Genesis(_) | AppError::OtherGenesis) => wrong(&error),
        error => Failure::new(Class::Failed, format!("{}: {error}", home.app_dir().display())),
    })?;
    let height = application.reader().last_block().map_err(|error| Failure::new(Class::Failed, error.to_string()))?;
    let server = AbciServer::start(Arc::new(application), args.listen);
    let mut server = server.map_err(|error| Failure::new(Class::Failed, error.to_string()))?;
    tracing::info!(listen = %args.listen, height = %height.height, bridge = signs, "waiting for the node");
    tokio::select! {
        () = stop.cancelled() => {
            tracing::info!("stopped");
            Ok(())
        }
        () = server.ended() => Err(Failure::new(Class::Failed, "the application stopped listening; its log says why")),
    }
}
