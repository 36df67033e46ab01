//! `crosspoint deploy`

use super::args::DeployArgs;
use super::failure::{Class, Failure};
use super::output::{self, Align, Table};
use crate::keys::{KeyKind, KeyStore, PassphraseSource};
use crosspoint_adapters::evm::deploy::{DeployError, DeployPlan, Manifest, check, deploy};
use crosspoint_adapters::signer::Signer;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Longest plan or manifest, in bytes.
const MAX_FILE: u64 = 1 << 20;

pub(super) async fn run(args: &DeployArgs, json: bool) -> Result<(), Failure> {
    let plan: DeployPlan = toml::from_str(&read(&args.plan)?)
        .map_err(|e| Failure::new(Class::Input, format!("{}: {e}", args.plan.display())))?;
    if plan.chain != args.chain {
        let what = format!("{} is a plan for {}, not {}", args.plan.display(), plan.chain, args.chain);
        return Err(Failure::new(Class::Input, what));
    }
    let path = args.manifest.clone().unwrap_or_else(|| PathBuf::from(format!("{}.manifest.json", args.chain)));
    let previous = previous(&path)?;
    let manifest = match &args.key {
        Some(key) => {
            let source = PassphraseSource { file: args.open.passphrase_file.clone(), prompt: true };
            let store = KeyStore::new(args.open.keystore.keystore.clone());
            let Signer::Evm(key) = store.signer(key, KeyKind::Evm, &source.existing()?)? else {
                return Err(Failure::new(Class::Input, format!("key {key} is not of kind evm")));
            };
            make(&plan, &key, previous, &path).await?
        }
        None => {
            let Some(manifest) = previous else {
                let what = format!("there is no manifest {}: nothing was deployed with it yet", path.display());
                return Err(Failure::new(Class::Input, what));
            };
            check(&plan, manifest.clone()).await.map_err(failed)?;
            manifest
        }
    };
    if json {
        let told = json!({ "manifest": manifest, "file": path, "checked": args.check, "clients": clients(&plan) });
        return Ok(output::json(&told)?);
    }
    output::line(&told(&plan, &manifest, &path, args.check))?;
    Ok(())
}

/// Deploys; the manifest is on disk before the next contract is made.
async fn make(
    plan: &DeployPlan,
    key: &alloy::signers::local::PrivateKeySigner,
    previous: Option<Manifest>,
    path: &Path,
) -> Result<Manifest, Failure> {
    // Before anything is paid for.
    if previous.is_none() {
        write(path, &json!(null))?;
    }
    let mut lost = None;
    let mut keep = |manifest: &Manifest| {
        if let Some((contract, made)) = manifest.contracts.iter().max_by_key(|(_, made)| made.block) {
            output::notice(&format!("{contract} stands at {:#x}", made.address));
        }
        if let Err(failure) = write(path, &json!(manifest)) {
            lost = Some(failure);
        }
    };
    let done = deploy(plan, key, previous, &mut keep).await;
    if let Some(failure) = lost {
        return Err(failure);
    }
    let manifest = done.map_err(failed)?;
    write(path, &json!(manifest))?;
    Ok(manifest)
}

fn failed(error: DeployError) -> Failure {
    match error {
        DeployError::Chain(error) => error.into(),
        DeployError::WrongChain { .. } | DeployError::NoDelay | DeployError::TooLarge(_) => {
            Failure::new(Class::Input, error.to_string())
        }
        other => Failure::new(Class::Failed, other.to_string()),
    }
}

fn clients(plan: &DeployPlan) -> Vec<String> {
    plan.clients.iter().map(|client| client.client.to_string()).collect()
}

fn told(plan: &DeployPlan, manifest: &Manifest, path: &Path, checked: bool) -> String {
    let mut table = Table::new(&[("contract", Align::Left), ("address", Align::Left), ("block", Align::Right)]);
    for (contract, made) in &manifest.contracts {
        table.row([contract.to_string(), format!("{:#x}", made.address), made.block.to_string()]);
    }
    let clients = clients(plan);
    let open =
        if clients.is_empty() { "no clients are planned".into() } else { format!("clients: {}", clients.join(", ")) };
    let governed = match &plan.governance {
        Some(governance) => {
            format!("governed by {:#x}, whose decisions wait {} s", governance.council, governance.delay)
        }
        None => "governed by the deployer's key, without delay: name a council in the plan before points cross".into(),
    };
    let done = if checked { "All stands as planned; nothing was sent." } else { "All stands as planned." };
    format!("{}\n\n{done} {open}; {governed}.\nThe manifest is {}.", table.render(), path.display())
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed = |e: std::io::Error| Failure::new(Class::Input, format!("cannot read {}: {e}", path.display()));
    if std::fs::metadata(path).map_err(failed)?.len() > MAX_FILE {
        return Err(Failure::new(Class::Input, format!("{} is too large", path.display())));
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// The manifest, if there is one.
fn previous(path: &Path) -> Result<Option<Manifest>, Failure> {
    if !path.exists() {
        return Ok(None);
    }
    serde_json::from_str(&read(path)?)
        .map_err(|e| Failure::new(Class::Input, format!("{} is no manifest: {e}", path.display())))
}

/// Whole or not at all, whatever stops the machine.
fn write(path: &Path, value: &serde_json::Value) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(format!("{value:#}\n").as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        std::fs::File::open(folder)?.sync_all()
    });
    written.map_err(|e| Failure::new(Class::Failed, format!("cannot write {}: {e}", path.display())))
}
