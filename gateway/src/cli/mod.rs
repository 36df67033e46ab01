//! The commands. Each is a function from its arguments to text for people, or one JSON value with `--json`.
//!
//! - [`args`]: what may be said. [`failure`]: how a command fails, and its exit code. [`output`]: how it prints.

pub mod args;
mod attest;
pub(crate) mod batch;
mod chain;
mod deploy;
mod docs;
mod doctor;
mod evidence;
pub mod failure;
mod govern;
mod keys;
mod localnet;
mod node;
mod nodes;
pub mod output;
mod rotate;
mod route;
mod signals;
mod start;
mod transfer;

pub(crate) use signals::remove_at_the_end;
pub use signals::{clean_up, stop_on_signal};

use args::{
    ChainCommand, Cli, Command, ConfigArgs, ConfigCommand, EvidenceCommand, GovernCommand, InvoiceCommand, KeysCommand,
    RouteCommand, ServiceArgs, TransferCommand,
};
use failure::{Class, Failure};
use output::{Align, Table, thousands};

use crate::api::auth::read_token;
use crate::api::types::SupplyView;
use crate::client::Client;
use crate::keys::{KeyName, KeyStore, PassphraseSource};
use crate::settings::{Auth, ChainKind, Settings};

/// Runs a command to its end.
///
/// # Errors
/// What failed, with its exit code.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    tokio::select! {
        done = command(cli) => done,
        () = signals::second_signal() => Err(Failure::new(Class::Interrupted, "ended at once, as asked")),
    }
}

async fn command(cli: Cli) -> Result<(), Failure> {
    let json = cli.json;
    match cli.command {
        Command::Demo(args) => crate::demo::run(&args, json).await,
        Command::Start(args) => start::run(&args).await,
        Command::Config(ConfigCommand::Check(args)) => config_check(&args, json),
        Command::Transfer(TransferCommand::Send(args)) if args.file.is_some() => batch::send(&args, json).await,
        Command::Transfer(TransferCommand::Send(args)) => transfer::send(&args, json).await,
        Command::Transfer(TransferCommand::List(args)) => transfer::list(&args, json).await,
        Command::Transfer(TransferCommand::Show(args)) => transfer::show(&args, json).await,
        Command::Transfer(TransferCommand::Claim(args)) => transfer::claim(&args, json).await,
        Command::Transfer(TransferCommand::Void(args)) => transfer::void(&args, json).await,
        Command::Transfer(TransferCommand::Retry(args)) => transfer::retry(&args, json).await,
        Command::Invoice(InvoiceCommand::New(args)) => transfer::invoice(&args, json).await,
        Command::Evidence(EvidenceCommand::Export(args)) => evidence::export(&args, json).await,
        Command::Evidence(EvidenceCommand::Verify(args)) => evidence::verify(&args, json),
        Command::Evidence(EvidenceCommand::Anchors(args)) => evidence::anchors(&args),
        Command::Audit(args) => audit(&args, json).await,
        Command::Keys(KeysCommand::New(args)) => keys::new(&args, json),
        Command::Keys(KeysCommand::Import(args)) => keys::import(&args, json),
        Command::Keys(KeysCommand::List(args)) => keys::list(&args, json),
        Command::Attest(args) => attest::run(&args).await,
        Command::RotateAttestors(args) => rotate::run(&args, json).await,
        Command::Localnet(command) => localnet::run(&command, json).await,
        Command::Node(args) => node::run(&args).await,
        Command::Deploy(args) => deploy::run(&args, json).await,
        Command::Chain(ChainCommand::Anchor(args)) => chain::anchor(&args, json).await,
        Command::Route(RouteCommand::Open(args)) => route::open(&args, json).await,
        Command::Govern(GovernCommand::List(args)) => govern::list(&args, json).await,
        Command::Govern(GovernCommand::Approve(args)) => govern::approve(&args, json).await,
        Command::Govern(GovernCommand::Propose(args)) => govern::propose(&args, json).await,
        Command::Doctor(args) => doctor::run(&args, json).await,
        Command::Docs(args) => docs::run(&args),
    }
}

fn client(args: &ServiceArgs) -> Result<Client, Failure> {
    Ok(Client::new(&args.url, args.token_file.as_deref())?)
}

fn config_check(args: &ConfigArgs, json: bool) -> Result<(), Failure> {
    let settings = match Settings::load(&args.config) {
        Ok(settings) => settings,
        Err(crate::settings::SettingsError::Invalid { path, problems }) if json => {
            output::json(&serde_json::json!({ "ok": false, "file": path, "problems": problems }))?;
            return Err(Failure::new(Class::Input, format!("{} problems in {}", problems.len(), path.display())));
        }
        Err(e) => return Err(e.into()),
    };
    let missing = missing(&settings);
    if json {
        return Ok(output::json(&serde_json::json!({ "ok": true, "missing": missing, "settings": settings }))?);
    }
    let mut table =
        Table::new(&[("chain", Align::Left), ("kind", Align::Left), ("nodes", Align::Left), ("payers", Align::Left)]);
    for chain in settings.chains.values() {
        let kind = match chain.kind {
            ChainKind::Native(_) => "native",
            ChainKind::Evm(_) => "evm",
        };
        let nodes: Vec<_> = chain.endpoints.iter().map(ToString::to_string).collect();
        let payers: Vec<_> = chain.payer_keys.iter().map(ToString::to_string).collect();
        table.row([chain.id.to_string(), kind.to_owned(), nodes.join(" "), payers.join(" ")]);
    }
    output::line(&format!(
        "{} is good. The API will listen on {}.\n\n{}",
        args.config.display(),
        settings.http.listen,
        table.render()
    ))?;
    if !missing.is_empty() {
        output::line(&format!(
            "\nNot on this machine yet; `crosspoint start` will ask for it:\n  {}",
            missing.join("\n  ")
        ))?;
    }
    Ok(())
}

/// The files that the settings name and `start` could not use as they are.
fn missing(settings: &Settings) -> Vec<String> {
    let store = KeyStore::new(settings.keystore.dir.clone());
    let seed = settings.keystore.seed.iter().filter_map(|name| name.parse().ok());
    let keys = settings.chains.values().flat_map(|chain| chain.payer_keys.iter().chain([&chain.relayer_key]).cloned());
    let mut names: Vec<KeyName> = keys.chain(seed).collect();
    names.sort_unstable();
    names.dedup();
    let mut all: Vec<String> = names.iter().filter_map(|name| Some(store.info(name).err()?.to_string())).collect();
    if let Some(file) = &settings.keystore.passphrase_file {
        let source = PassphraseSource { file: Some(file.clone()), prompt: false };
        all.extend(source.existing().err().map(|e| e.to_string()));
    }
    if let Auth::TokenFile(path) = &settings.http.auth {
        all.extend(read_token(path).err().map(|e| e.to_string()));
    }
    all
}

async fn audit(args: &ServiceArgs, json: bool) -> Result<(), Failure> {
    let supply = client(args)?.supply().await?;
    if json {
        output::json(&supply)?;
    } else {
        output::line(&supply_text(&supply))?;
    }
    if supply.balanced {
        return Ok(());
    }
    Err(Failure::new(
        Class::Imbalance,
        "the supply does not balance: stop relaying and look at the transfers of these denoms",
    ))
}

/// The audit as a table for people.
#[must_use]
pub fn supply_text(supply: &SupplyView) -> String {
    let right = |title| (title, Align::Right);
    let mut table = Table::new(&[
        ("denom", Align::Left),
        ("home", Align::Left),
        right("issued"),
        right("vault"),
        right("locked"),
        right("held"),
        right("vouchers"),
        right("in flight"),
        right("imbalance"),
    ]);
    for denom in &supply.denoms {
        let issued = denom.issued.map_or("-".to_owned(), |n| thousands(&n.to_string()));
        let name = if denom.symbol.is_empty() {
            denom.denom.to_string()
        } else {
            format!("{} ({})", denom.symbol, denom.denom)
        };
        table.row([
            name,
            denom.home.to_string(),
            issued,
            thousands(&denom.vault.to_string()),
            thousands(&denom.locked.to_string()),
            thousands(&denom.held.to_string()),
            thousands(&denom.vouchers.to_string()),
            thousands(&denom.in_flight.to_string()),
            thousands(&denom.imbalance),
        ]);
    }
    let at: Vec<_> = supply.heights.iter().map(|at| format!("{} at block {}", at.chain, at.height)).collect();
    let mut text = format!("{}\n\nAudited {}.", table.render(), at.join(", "));
    for denom in supply.denoms.iter().filter(|denom| !denom.broken.is_empty()) {
        for rule in &denom.broken {
            text.push_str(&format!("\n  ! {}: {}", denom.denom, output::printable(rule)));
        }
    }
    if supply.anomalies > 0 {
        text.push_str(&format!("\n  ! {} transfers have events that contradict each other", supply.anomalies));
    }
    text
}
