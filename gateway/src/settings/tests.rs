#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use super::*;
use crosspoint_light_proofs::qbft::Encoding;

const GOOD: &str = r#"
[http]
auth = "off"

[keystore]
dir = "keys"

[chains.native]
id = "crosspoint-1"
kind = "native"
endpoints = ["http://127.0.0.1:26657"]
relayer_key = "relayer"
payer_keys = ["mall"]

[chains.ethereum]
id = "eip155-31337"
kind = "evm"
endpoints = ["http://127.0.0.1:8545", "https://node.example/v3/an-api-key"]
relayer_key = "relayer-evm"
gateway = "0x5fbdb2315678afecb367f032d93f642f64180aa3"
finality = 2
attestors = ["http://127.0.0.1:8490"]
attestor_addresses = ["0x70997970c51812dc3a010c7d01b50e0d17dc79c8", "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc"]
genesis_hash = "0x1111111111111111111111111111111111111111111111111111111111111111"
"#;

fn parse(text: &str, env: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let vars = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Settings::parse(text, Path::new("conf/x.toml"), Some(vars))
}

fn problems(text: &str, env: &[(&str, &str)]) -> Vec<String> {
    match parse(text, env) {
        Err(SettingsError::Invalid { problems, .. }) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_reference_file_is_valid() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../config/crosspoint.toml"));
    Settings::load_with(path, Some(HashMap::new())).unwrap();
}

#[test]
fn the_environment_overrides_the_file_and_lists_take_commas() {
    let env = [
        ("CROSSPOINT__HTTP__LISTEN", "127.0.0.1:9000"),
        ("CROSSPOINT__CHAINS__NATIVE__ENDPOINTS", "http://a:1, http://b:2"),
        ("CROSSPOINT__RELAYER__BATCH_ITEMS", "7"),
        ("CROSSPOINT_PASSPHRASE", "not a setting"),
        ("OTHER", "x"),
    ];
    let settings = parse(GOOD, &env).unwrap();
    assert_eq!(settings.http.listen.port(), 9000);
    assert_eq!(settings.chains["native"].endpoints.len(), 2);
    assert_eq!(settings.relayer.batch_items, 7);
    assert_eq!(settings.keystore.dir, Path::new("conf/keys"));
}

#[test]
fn every_problem_is_listed_at_once_with_its_path() {
    let text = GOOD
        .replace("auth = \"off\"", "auth = \"maybe\"\nlistne = \"x\"")
        .replace("dir = \"keys\"", "")
        .replace("finality = 2", "finality = 0\nquorum = 2")
        .replace("relayer_key = \"relayer\"", "relayer_key = \"../relayer\"");
    let found = problems(&text, &[("CROSSPOINT__LOG__FORMAT", "xml")]);
    let starts = [
        "http.auth must be `token` or `off`",
        "http.listne is not a setting",
        "log.format must be `people` or `json` (from the environment)",
        "keystore.dir is missing",
        "chains.native.relayer_key must be",
        "chains.ethereum.finality must be",
        "chains.ethereum.quorum is 2, but only 1",
    ];
    for start in starts {
        assert!(found.iter().any(|p| p.starts_with(start)), "{start}\n{found:#?}");
    }
    assert_eq!(found.len(), starts.len(), "{found:#?}");
}

/// The settings with another source of headers: these lines instead of those of the attestors.
fn with_source(lines: &str) -> String {
    let (before, _) = GOOD.split_once("finality = 2").unwrap();
    format!("{before}{lines}\n")
}

#[test]
fn the_source_of_headers_is_chosen_per_chain() {
    let source = |text: &str| match &parse(text, &[]).unwrap().chains["ethereum"].kind {
        ChainKind::Evm(evm) => (evm.header_source.clone(), evm.finality),
        ChainKind::Native(_) => panic!(),
    };
    assert!(matches!(source(GOOD), (HeaderSource::Attested(set), EvmFinality::Depth(2)) if set.endpoints.len() == 1));
    let qbft = source(&with_source("header_source = \"qbft\""));
    assert_eq!(qbft, (HeaderSource::Qbft(Encoding::Qbft), EvmFinality::Depth(0)));
    let ibft = source(&with_source("header_source = \"qbft\"\nsealing = \"ibft1\"\nfinality = 3"));
    assert_eq!(ibft, (HeaderSource::Qbft(Encoding::Ibft1), EvmFinality::Depth(3)));
    let beacon = with_source(
        "header_source = \"ethereum-pos\"\nbeacon_endpoints = [\"https://a/an-api-key\", \"http://b:5052\"]",
    );
    assert!(matches!(source(&beacon), (HeaderSource::EthereumPos(nodes), EvmFinality::Tag) if nodes.len() == 2));
    let dump = serde_json::to_string(&parse(&beacon, &[]).unwrap()).unwrap();
    assert!(dump.contains("ethereum-pos") && !dump.contains("an-api-key"), "{dump}");
}

#[test]
fn the_operator_guides_sources_are_valid() {
    let guide = include_str!("../../../docs/operators.md");
    let examples: Vec<&str> =
        guide.split("```toml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0.trim_end()).collect();
    let sources: Vec<HeaderSource> = examples
        .iter()
        .map(|lines| match &parse(&with_source(lines), &[]).unwrap().chains["ethereum"].kind {
            ChainKind::Evm(evm) => evm.header_source.clone(),
            ChainKind::Native(_) => panic!(),
        })
        .collect();
    assert!(
        matches!(&sources[..], [HeaderSource::Qbft(Encoding::Qbft), HeaderSource::EthereumPos(nodes)] if nodes.len() == 2),
        "{sources:?}"
    );
}

#[test]
fn what_another_source_needs_is_a_problem() {
    let found = |lines: &str| problems(&with_source(lines), &[]);
    let none = found("header_source = \"ethereum-pos\"");
    assert!(none[0].starts_with("chains.ethereum.beacon_endpoints must name at least one beacon node"), "{none:?}");
    let socket = found("header_source = \"ethereum-pos\"\nbeacon_endpoints = [\"ws://a\"]");
    assert!(socket[0].starts_with("chains.ethereum.beacon_endpoints[0] must be http or https"), "{socket:?}");
    let attested = found("header_source = \"qbft\"\nquorum = 2");
    assert!(attested[0].starts_with("chains.ethereum.quorum is not a setting; here are known:"), "{attested:?}");
    let sealing = found("header_source = \"qbft\"\nsealing = \"clique\"");
    assert!(sealing[0].starts_with("chains.ethereum.sealing must be `qbft`, `ibft2` or `ibft1`"), "{sealing:?}");
    let unknown = problems(&GOOD.replace("finality = 2", "header_source = \"trust-me\""), &[]);
    assert!(unknown[0].starts_with("chains.ethereum.header_source must be `attested`, `qbft` or"), "{unknown:?}");
    assert_eq!(unknown.len(), 1, "what the source needs is not known: {unknown:?}");
    let without = problems(&with_source("header_source = \"trust-me\""), &[]);
    assert_eq!(without.len(), 1, "{without:?}");
}

#[test]
fn witnesses_are_other_nodes_over_http() {
    let with = |witnesses: &str| {
        GOOD.replace(
            "endpoints = [\"http://127.0.0.1:26657\"]",
            &format!("endpoints = [\"http://127.0.0.1:26657\"]\nwitnesses = [{witnesses}]"),
        )
    };
    let settings = parse(&with("\"https://other.example/v1/an-api-key\""), &[]).unwrap();
    let native = settings.chains.values().find(|chain| chain.id.as_str() == "crosspoint-1").unwrap();
    assert_eq!(native.witnesses[0].url().path(), "/v1/an-api-key");
    assert!(!serde_json::to_string(&settings).unwrap().contains("an-api-key"));
    let own = problems(&with("\"http://127.0.0.1:26657\""), &[]);
    assert!(own.len() == 1 && own[0].contains("witnesses[0]") && own[0].contains("its own witness"), "{own:?}");
    let beacon =
        "header_source = \"ethereum-pos\"\nbeacon_endpoints = [\"http://b:5052\"]\nwitnesses = [\"http://b:5052\"]";
    let beacon = problems(&with_source(beacon), &[]);
    assert!(beacon.len() == 1 && beacon[0].contains("its own witness"), "{beacon:?}");
    let socket = problems(&with("\"ws://other.example\""), &[]);
    assert!(socket.len() == 1 && socket[0].contains("http"), "{socket:?}");
}

#[test]
fn auth_is_off_on_loopback_only() {
    let found = problems(GOOD, &[("CROSSPOINT__HTTP__LISTEN", "0.0.0.0:8480")]);
    assert!(found[0].starts_with("http.auth is off, but listen = 0.0.0.0:8480"), "{found:?}");
}

#[test]
fn dumps_hide_the_paths_of_endpoints() {
    let settings = parse(GOOD, &[]).unwrap();
    let dump = format!("{}{settings:?}", serde_json::to_string(&settings).unwrap());
    assert!(dump.contains("https://node.example"));
    assert!(!dump.contains("an-api-key"));
}

#[test]
fn an_endpoint_with_a_password_is_refused() {
    let found = problems(GOOD, &[("CROSSPOINT__CHAINS__NATIVE__ENDPOINTS", "http://user:pass@a:1")]);
    assert!(found[0].contains("carries a user or password") && !found[0].contains("pass@"), "{found:?}");
}

#[test]
fn a_chain_named_twice_is_refused() {
    let found = problems(&GOOD.replace("eip155-31337", "crosspoint-1"), &[]);
    assert!(found.iter().any(|p| p.contains("an EVM chain's id is eip155-")), "{found:?}");
    let twice = format!(
        "{GOOD}\n[chains.again]\nid = \"crosspoint-1\"\nkind = \"native\"\nendpoints = [\"http://c:1\"]\nrelayer_key = \"k\"\n"
    );
    assert!(problems(&twice, &[])[0].contains("name chain crosspoint-1 twice"));
}

#[test]
fn syntax_errors_say_where() {
    let e = parse("[http\n", &[]).unwrap_err().to_string();
    assert!(e.contains("conf/x.toml") && e.contains("line 1"), "{e}");
}
