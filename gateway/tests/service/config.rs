//! `crosspoint config check`, and how `crosspoint start` fails.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::Value;

use crate::process::{PATIENCE, command, finish, run};
use crate::stand::private_file;

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/crosspoint.toml");

const BAD: &str = r#"
data_dri = "data"
[http]
auth = "off"
listen = "0.0.0.0:80"
[keystore]
dir = "keys"
[relayer]
batch_items = 1000
[chains.native]
id = "crosspoint-1"
kind = "cosmos"
endpoints = ["ftp://127.0.0.1"]
relayer_key = "../../etc/passwd"
[chains.ethereum]
id = "mainnet"
kind = "evm"
endpoints = ["http://user:hunter2@127.0.0.1:8545"]
relayer_key = "relayer-evm"
gateway = "0x1234"
attestors = ["http://127.0.0.1:8491"]
quorum = 2
"#;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(settings: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("c.toml"), settings)?;
        Ok(Self { dir })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self) -> String {
        self.path("c.toml").display().to_string()
    }
}

#[tokio::test]
async fn the_reference_settings_are_good_and_the_environment_is_over_them() -> Result<()> {
    let good = run(&["config", "check", "--config", REFERENCE]).await?.good()?;
    assert!(good.contains("is good") && good.contains("eip155-31337") && good.contains("127.0.0.1:8480"), "{good}");
    let mut changed = command(&["config", "check", "--config", REFERENCE, "--json"]);
    changed.env("CROSSPOINT__HTTP__LISTEN", "127.0.0.1:9000").env("CROSSPOINT__CHAINS__ETHEREUM__QUORUM", "3");
    changed.env("CROSSPOINT__CHAINS__ETHEREUM__ENDPOINTS", "https://node.example/v3/an-api-key,http://127.0.0.1:1");
    let json = finish(changed).await?.json()?;
    assert_eq!(json["settings"]["http"]["listen"], "127.0.0.1:9000");
    let ethereum = &json["settings"]["chains"]["ethereum"];
    assert_eq!(ethereum["kind"]["evm"]["header_source"]["attested"]["quorum"], 3);
    // A provider's key in a URL is never shown.
    assert_eq!(ethereum["endpoints"], serde_json::json!(["https://node.example", "http://127.0.0.1:1"]));
    let mut wrong = command(&["config", "check", "--config", REFERENCE]);
    wrong.env("CROSSPOINT__HTTP__LISTEN", "nowhere").env("CROSSPOINT__RELAYER__SPEED", "9");
    let said = finish(wrong).await?.refused(3)?;
    assert!(said.contains("http.listen") && said.contains("(from the environment)"), "{said}");
    assert!(said.contains("relayer.speed is not a setting"), "{said}");
    Ok(())
}

#[tokio::test]
async fn every_problem_is_listed_at_once() -> Result<()> {
    let place = Place::new(BAD)?;
    let said = run(&["config", "check", "--config", &place.config()]).await?.refused(3)?;
    for words in [
        "data_dri is not a setting",
        "http.auth is off, but listen = 0.0.0.0:80",
        "relayer.batch_items is 1000",
        "chains.native.kind is `cosmos`",
        "chains.native.endpoints[0] must be",
        "chains.native.relayer_key must be",
        "chains.ethereum.id is mainnet",
        "chains.ethereum.endpoints[0] must be",
        "chains.ethereum.gateway must be",
        "chains.ethereum.quorum is 2, but only 1 attestors are named",
        "chains.ethereum.genesis_hash is missing",
    ] {
        assert!(said.contains(words), "`{words}` is not in:\n{said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
    let ran = run(&["config", "check", "--config", &place.config(), "--json"]).await?;
    assert_eq!(ran.code, Some(3));
    let json: Value = serde_json::from_str(&ran.out)?;
    assert_eq!(json["ok"], false);
    assert!(json["problems"].as_array().unwrap().len() >= 11, "{json}");
    let failure: Value = serde_json::from_str(&ran.err)?;
    assert_eq!(failure["exit_code"], 3);
    // `start` refuses the same file in the same words.
    assert_eq!(run(&["start", "--config", &place.config()]).await?.refused(3)?, said);
    let said = run(&["config", "check", "--config", "/nowhere/c.toml"]).await?.refused(3)?;
    assert!(said.contains("cannot read the settings file /nowhere/c.toml"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_service_that_cannot_start_says_what_to_do() -> Result<()> {
    let reference = std::fs::read_to_string(REFERENCE)?;
    let place = Place::new(&reference)?;
    let start = async |variables: &[(&str, &str)]| {
        let mut start = command(&["start", "--config", &place.config()]);
        start.envs(variables.iter().copied());
        tokio::time::timeout(PATIENCE, finish(start)).await?
    };
    let said = start(&[]).await?.refused(1)?;
    assert!(said.contains("cannot read the passphrase file") && said.contains("secrets/passphrase"), "{said}");
    std::fs::create_dir(place.path("secrets"))?;
    private_file(&place.path("secrets/passphrase"), "a long passphrase")?;
    let said = start(&[]).await?.refused(1)?;
    assert!(said.contains("crosspoint keys"), "{said}");
    for (name, kind) in [
        ("preimages", "seed"),
        ("relayer-native", "native"),
        ("mall", "native"),
        ("relayer-evm", "evm"),
        ("merchant", "evm"),
    ] {
        let keys = place.path("keys").display().to_string();
        let passphrase = place.path("secrets/passphrase").display().to_string();
        let args =
            ["keys", "new", "--name", name, "--kind", kind, "--keystore", &keys, "--passphrase-file", &passphrase];
        run(&args).await?.good()?;
    }
    // The node does not answer.
    let dead = [("CROSSPOINT__CHAINS__ETHEREUM__ENDPOINTS", "http://127.0.0.1:1/v3/an-api-key")];
    let ran = start(&dead).await?;
    assert!(!ran.err.contains("an-api-key"), "{}", ran.err);
    let said = ran.refused(4)?;
    assert!(said.contains("eip155-31337: no endpoint answered") && said.contains("check that the node runs"), "{said}");
    Ok(())
}
