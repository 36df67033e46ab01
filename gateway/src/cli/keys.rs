//! `crosspoint keys …`

use super::args::{ImportKeyArgs, KeystoreArgs, NewKeyArgs};
use super::failure::{Class, Failure};
use super::output::{self, Align, Table};
use crate::keys::{self, KeyInfo, KeyKind, KeyName, KeyStore, PassphraseSource, Secret};
use std::path::Path;
use zeroize::Zeroizing;

/// Longest file with a secret, in bytes.
const MAX_SECRET_FILE: u64 = 1024;

pub(super) fn new(args: &NewKeyArgs, json: bool) -> Result<(), Failure> {
    let secret = keys::generate(args.kind)?;
    add(args, &secret, json)
}

pub(super) fn import(args: &ImportKeyArgs, json: bool) -> Result<(), Failure> {
    let text = match &args.secret_file {
        Some(path) => read_secret_file(path)?,
        None => {
            let asked = rpassword::prompt_password("Secret (64 hex digits): ");
            Zeroizing::new(asked.map_err(|e| {
                Failure::new(Class::Input, format!("no terminal to ask in ({e}); give --secret-file FILE"))
            })?)
        }
    };
    let mut secret = Secret::default();
    let digits = text.trim().strip_prefix("0x").unwrap_or(text.trim());
    hex::decode_to_slice(digits, secret.as_mut_slice()).map_err(|_| {
        Failure::new(Class::Input, "the secret must be 64 hex digits, with or without 0x; nothing was written")
    })?;
    add(&args.new, &secret, json)
}

fn read_secret_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let failed = |e: std::io::Error| Failure::new(Class::Input, format!("cannot read {}: {e}", path.display()));
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if keys::others_may_read(&metadata) {
        let path = path.display();
        return Err(Failure::new(
            Class::Input,
            format!("others may read {path}; run: chmod 600 {path}, then try again"),
        ));
    }
    if metadata.len() > MAX_SECRET_FILE {
        return Err(Failure::new(Class::Input, format!("{} is too large for one secret", path.display())));
    }
    std::fs::read_to_string(path).map(Zeroizing::new).map_err(failed)
}

fn add(args: &NewKeyArgs, secret: &Secret, json: bool) -> Result<(), Failure> {
    let store = KeyStore::new(args.open.keystore.keystore.clone());
    if store.info(&args.name).is_ok() {
        // Before anybody types a passphrase twice for nothing.
        return Err(
            keys::KeyStoreError::Exists { name: args.name.clone(), dir: args.open.keystore.keystore.clone() }.into()
        );
    }
    let source = PassphraseSource { file: args.open.passphrase_file.clone(), prompt: true };
    let info = store.add(&args.name, args.kind, secret, &source.for_new()?)?;
    if json {
        return Ok(output::json(&info)?);
    }
    let address = info.address.map_or_else(String::new, |address| format!(" with address {address}"));
    output::line(&format!(
        "Key {} of kind {}{address} is in {}.",
        info.name,
        info.kind.as_str(),
        args.open.keystore.keystore.display()
    ))?;
    if args.kind == KeyKind::Seed {
        output::line(
            "Keep a copy of its file: without it, invoices and push transfers that are under way can only be refunded.",
        )?;
    }
    Ok(())
}

pub(super) fn list(args: &KeystoreArgs, json: bool) -> Result<(), Failure> {
    let keys: Vec<KeyInfo> = KeyStore::new(args.keystore.clone()).list()?;
    if json {
        return Ok(output::json(&keys)?);
    }
    if keys.is_empty() {
        return Ok(output::line(&format!(
            "No keys in {}. Make one: crosspoint keys new --name NAME --kind native",
            args.keystore.display()
        ))?);
    }
    let mut table = Table::new(&[("name", Align::Left), ("kind", Align::Left), ("address", Align::Left)]);
    for key in keys {
        let name: KeyName = key.name;
        table.row([name.to_string(), key.kind.as_str().to_owned(), key.address.unwrap_or_default()]);
    }
    Ok(output::line(&table.render())?)
}
