//! `crosspoint keys`

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use crate::process::{Ran, command, finish, run};
use crate::stand::private_file;

const SECRET: &str = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";
const ADDRESS: &str = "0x2c7536e3605d9c16a7a3d7b1898e529396a65c23";

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        private_file(&dir.path().join("right"), "a long passphrase\n")?;
        private_file(&dir.path().join("secret"), &format!("0x{SECRET}\n"))?;
        Ok(Self { dir })
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    async fn keys(&self, args: &[&str]) -> Result<Ran> {
        run(&[&["keys"], args, &["--keystore", &self.path("keys")]].concat()).await
    }

    fn files(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.dir.path().join("keys")) else { return vec![] };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

#[tokio::test]
async fn keys_are_made_imported_and_listed_and_no_secret_is_shown() -> Result<()> {
    let place = Place::new()?;
    let right = place.path("right");
    assert!(place.keys(&["list"]).await?.good()?.contains("crosspoint keys new"));

    let made = place.keys(&["new", "--name", "mall", "--kind", "native", "--passphrase-file", &right]).await?.good()?;
    assert!(made.starts_with("Key mall of kind native with address point1"), "{made}");
    let secret = place.path("secret");
    let import = ["import", "--name", "merchant", "--kind", "evm", "--secret-file", &secret, "--json"];
    let mut by_environment = command(&[&["keys"], &import[..], &["--keystore", &place.path("keys")]].concat());
    by_environment.env("CROSSPOINT_PASSPHRASE", "a long passphrase");
    let imported = finish(by_environment).await?.json()?;
    assert_eq!((&imported["address"], &imported["kind"]), (&ADDRESS.into(), &"evm".into()));

    let listed = place.keys(&["list", "--json"]).await?.json()?;
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["mall", "merchant"]);
    let text = place.keys(&["list"]).await?.good()?;
    assert!(text.contains(ADDRESS) && text.lines().count() == 4, "{text}");

    // A key is never overwritten, whatever the passphrase.
    let again = place.keys(&["new", "--name", "mall", "--kind", "native", "--passphrase-file", &right]).await?;
    assert!(again.refused(1)?.contains("keys are never overwritten"));
    for file in place.files() {
        let text = std::fs::read_to_string(place.dir.path().join("keys").join(file))?;
        assert!(!text.contains(SECRET));
    }
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_a_key_is_said_and_nothing_is_written() -> Result<()> {
    let place = Place::new()?;
    private_file(&place.dir.path().join("short"), "short")?;
    private_file(&place.dir.path().join("empty"), "")?;
    std::fs::write(place.dir.path().join("open"), "a long passphrase")?;
    private_file(&place.dir.path().join("no-secret"), "4c0883a69102937d")?;
    let new = |file: &str| {
        ["new", "--name", "mall", "--kind", "native", "--passphrase-file", &place.path(file)].map(str::to_owned)
    };
    for (file, words) in [
        ("short", "at least 8 characters"),
        ("empty", "the passphrase is empty"),
        ("open", "chmod 600"),
        ("missing", "cannot read the passphrase file"),
    ] {
        let args = new(file);
        let ran = place.keys(&args.each_ref().map(String::as_str)).await?;
        let said = ran.refused(1)?;
        assert!(said.contains(words), "{said}");
    }
    // Nobody to ask: no terminal.
    let said = place.keys(&["new", "--name", "mall", "--kind", "native"]).await?.refused(1)?;
    assert!(said.contains("--passphrase-file") && said.contains("CROSSPOINT_PASSPHRASE"), "{said}");
    let (right, bad) = (place.path("right"), place.path("no-secret"));
    let import = ["import", "--name", "m", "--kind", "evm", "--secret-file", &bad, "--passphrase-file", &right];
    assert!(place.keys(&import).await?.refused(3)?.contains("64 hex digits"));
    let open = place.path("open");
    let import = ["import", "--name", "m", "--kind", "evm", "--secret-file", &open, "--passphrase-file", &right];
    assert!(place.keys(&import).await?.refused(3)?.contains("chmod 600"));
    let said = place.keys(&["new", "--name", "../mall", "--kind", "native"]).await?.refused(2)?;
    assert!(said.contains("../mall"), "{said}");
    assert!(place.files().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_wrong_passphrase_is_told_as_such_and_changes_nothing() -> Result<()> {
    let place = Place::new()?;
    let right = place.path("right");
    place.keys(&["new", "--name", "attestor", "--kind", "evm", "--passphrase-file", &right]).await?.good()?;
    let file = place.dir.path().join("keys/attestor.json");
    let before = std::fs::read(&file)?;
    let wrong = "a wrong passphrase";
    let mut attest = command(&["attest", "--endpoint", "http://127.0.0.1:1", "--chain", "eip155-1", "--json"]);
    attest.args(["--genesis-hash", &format!("0x{}", "11".repeat(32)), "--key", "attestor"]);
    attest.args(["--journal", &place.path("journal"), "--keystore", &place.path("keys")]);
    attest.env("CROSSPOINT_PASSPHRASE", wrong);
    let said = finish(attest).await?;
    let failure: Value = serde_json::from_str(said.err.lines().last().unwrap())?;
    assert_eq!((said.code, &failure["exit_code"]), (Some(1), &1.into()));
    let words = failure["error"].as_str().unwrap();
    assert!(words.contains("key attestor") && words.contains("passphrase"), "{words}");
    assert!(!said.err.contains(wrong));
    assert_eq!(std::fs::read(&file)?, before);
    assert!(!Path::new(&place.path("journal")).exists());
    Ok(())
}
