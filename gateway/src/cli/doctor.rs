//! `crosspoint doctor`

use super::args::DoctorArgs;
use super::failure::{Class, Failure};
use super::nodes;
use super::output::{self, Align, Table};
use crate::keys::{KeyName, KeyStore};
use crate::settings::{ChainKind, ChainSettings, HeaderSource, Settings};
use crosspoint_adapters::chain::{Chain, ClientStatus};
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::evm::EvmChain;
use crosspoint_adapters::native::NativeChain;
use crosspoint_protocol::ids::{ChainId, Timestamp};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// By how many seconds two clocks may differ before somebody should look.
const CLOCKS: u64 = 5;
/// For how many block times, and at least how many seconds, no block is no surprise.
const IDLE: (u64, u64) = (20, 30);
/// Less than this of a native currency, in its smallest unit, pays for few batches: a hundredth of an ether.
const LOW: u128 = 10_000_000_000_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// What was looked at, and what to do about it.
#[derive(Debug, Serialize)]
struct Line {
    of: String,
    what: &'static str,
    verdict: Verdict,
    says: String,
}

/// The lines so far.
#[derive(Default)]
struct Report(Vec<Line>);

impl Report {
    fn say(&mut self, of: impl ToString, what: &'static str, verdict: Verdict, says: impl Into<String>) {
        self.0.push(Line { of: of.to_string(), what, verdict, says: output::printable(&says.into()) });
    }
}

/// A chain that answers.
enum Node {
    Native(Box<NativeChain>),
    Evm(Box<EvmChain>),
}

impl Node {
    fn chain(&self) -> &dyn Chain {
        match self {
            Self::Native(chain) => chain.as_ref(),
            Self::Evm(chain) => chain.as_ref(),
        }
    }
}

pub(super) async fn run(args: &DoctorArgs, json: bool) -> Result<(), Failure> {
    let settings = Settings::load(&args.config.config)?;
    for id in &args.route {
        nodes::chain(&settings, id)?;
    }
    let asked = |id: &ChainId| args.route.is_empty() || args.route.contains(id);
    let now = now();
    let mut report = Report::default();
    let mut up = BTreeMap::new();
    for chain in settings.chains.values().filter(|chain| asked(&chain.id)) {
        keys(&mut report, &settings, chain);
        if let Some(node) = answers(&mut report, &settings, chain, now).await {
            source(&mut report, chain, &node).await;
            wallet(&mut report, &settings, chain, &node).await;
            up.insert(chain.id.clone(), node);
        }
    }
    routes(&mut report, &up, now).await;
    let failed = report.0.iter().filter(|line| line.verdict == Verdict::Fail).count();
    if json {
        output::json(&json!({ "ok": failed == 0, "checks": report.0 }))?;
    } else {
        let mut table = Table::new(&[("", Align::Left), ("of", Align::Left), ("what", Align::Left), ("", Align::Left)]);
        for line in &report.0 {
            let verdict = match line.verdict {
                Verdict::Ok => "ok",
                Verdict::Warn => "warn",
                Verdict::Fail => "FAIL",
            };
            table.row([verdict.into(), line.of.clone(), line.what.into(), line.says.clone()]);
        }
        output::line(&table.render())?;
    }
    if failed > 0 {
        return Err(Failure::new(Class::Failed, format!("{failed} of {} checks fail", report.0.len())));
    }
    Ok(())
}

fn now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

fn keys(report: &mut Report, settings: &Settings, chain: &ChainSettings) {
    let store = KeyStore::new(settings.keystore.dir.clone());
    let missing: Vec<String> = chain
        .payer_keys
        .iter()
        .chain([&chain.relayer_key])
        .filter_map(|name| Some(store.info(name).err()?.to_string()))
        .collect();
    match missing.is_empty() {
        true => report.say(&chain.id, "keys", Verdict::Ok, "all that the settings name are in the keystore"),
        false => report.say(&chain.id, "keys", Verdict::Fail, missing.join("; ")),
    }
}

/// Whether a chain answers, whether its clock is this machine's, and how far behind its final blocks are.
async fn answers(report: &mut Report, settings: &Settings, chain: &ChainSettings, now: Timestamp) -> Option<Node> {
    let id = &chain.id;
    let connected = match chain.kind {
        ChainKind::Native(_) => nodes::native(chain).map(|native| Node::Native(Box::new(native))),
        ChainKind::Evm(_) => nodes::evm(settings, chain).await.map(|evm| Node::Evm(Box::new(evm))),
    };
    let asked = match connected {
        Ok(node) => node.chain().head().await.map(|head| (node, head)).map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    let (node, head) = match asked {
        Ok(asked) => asked,
        Err(failure) => {
            report.say(id, "node", Verdict::Fail, format!("{failure}; check `endpoints`, and that a node runs there"));
            return None;
        }
    };
    report.say(id, "node", Verdict::Ok, format!("block {} of {}", head.latest.height, output::utc(head.latest.time.0)));
    let idle = chain.block_ms.saturating_mul(IDLE.0).div_euclid(1_000).max(IDLE.1);
    let (ahead, behind) = (head.latest.time.0.saturating_sub(now.0), now.0.saturating_sub(head.latest.time.0));
    if ahead > CLOCKS {
        let says = format!(
            "the newest block is {ahead} s from now: set this machine's clock by NTP, or ask who proposes such blocks"
        );
        report.say(id, "clock", Verdict::Fail, says);
    } else if behind > idle {
        let says = format!(
            "no block for {behind} s: does the chain make blocks only when it has transactions, or has it halted?"
        );
        report.say(id, "clock", Verdict::Warn, says);
    } else {
        report.say(id, "clock", Verdict::Ok, "its newest block is of now");
    }
    let lag = head.latest.time.0.saturating_sub(head.finalized.time.0);
    let final_block = format!("block {} is final, {lag} s behind the newest", head.finalized.height);
    match lag > 3_600 {
        true => {
            let says = format!("{final_block}: nothing newer is relayed until the chain finalizes again");
            report.say(id, "finality", Verdict::Warn, says);
        }
        false => report.say(id, "finality", Verdict::Ok, final_block),
    }
    Some(node)
}

/// Whether those answer who vouch for headers, and whether anybody else is asked.
async fn source(report: &mut Report, chain: &ChainSettings, node: &Node) {
    if let (ChainKind::Evm(evm), Node::Evm(connected)) = (&chain.kind, node)
        && let HeaderSource::Attested(told) = &evm.header_source
    {
        match connected.attested().await {
            Some(Ok(height)) => {
                let says = format!("{} of {} attest up to block {height}", told.quorum, told.endpoints.len());
                report.say(&chain.id, "attestors", Verdict::Ok, says);
            }
            Some(Err(error)) => report.say(&chain.id, "attestors", Verdict::Fail, error.to_string()),
            None => {}
        }
    }
    if chain.witnesses.is_empty() {
        let says = "no `witnesses`: a forged header would be noticed by nobody; name nodes that others run";
        report.say(&chain.id, "witnesses", Verdict::Warn, says);
    } else {
        report.say(&chain.id, "witnesses", Verdict::Ok, format!("{} are named", chain.witnesses.len()));
    }
}

/// Whether the relayer can pay, or is a member.
async fn wallet(report: &mut Report, settings: &Settings, chain: &ChainSettings, node: &Node) {
    let store = KeyStore::new(settings.keystore.dir.clone());
    let address = |name: &KeyName| store.info(name).ok().and_then(|info| info.address);
    let Some(relayer) = address(&chain.relayer_key) else { return };
    match node {
        Node::Evm(evm) => match evm.native_balance(&relayer).await {
            Ok(0) => report.say(
                &chain.id,
                "wallet",
                Verdict::Fail,
                format!("{relayer} has nothing to pay gas with: fund it"),
            ),
            Ok(wei) if wei < LOW => {
                report.say(&chain.id, "wallet", Verdict::Warn, format!("{relayer} has only {wei} wei left: fund it"))
            }
            Ok(wei) => report.say(&chain.id, "wallet", Verdict::Ok, format!("{relayer} has {wei} wei")),
            Err(error) => report.say(&chain.id, "wallet", Verdict::Fail, error.to_string()),
        },
        Node::Native(native) => {
            for name in chain.payer_keys.iter().chain([&chain.relayer_key]) {
                let Some(Ok(account)) = address(name).map(|text| text.parse()) else { continue };
                let member = match native.account_of(&account).await {
                    Ok(view) => view.member,
                    Err(ChainError::NotFound { .. }) => None,
                    Err(error) => {
                        report.say(&chain.id, "member", Verdict::Fail, error.to_string());
                        continue;
                    }
                };
                match member {
                    None => {
                        let says = format!(
                            "key {name} ({account}) is no member: governance must admit it (add_member) before it can send"
                        );
                        report.say(&chain.id, "member", Verdict::Fail, says);
                    }
                    Some(member) if member.suspended => {
                        report.say(&chain.id, "member", Verdict::Fail, format!("key {name} ({account}) is suspended"));
                    }
                    Some(member) => {
                        report.say(&chain.id, "member", Verdict::Ok, format!("key {name} is {}", member.name))
                    }
                }
            }
        }
    }
}

/// Each client that follows another chain of the settings.
async fn routes(report: &mut Report, up: &BTreeMap<ChainId, Node>, now: Timestamp) {
    let mut all = BTreeMap::new();
    for (id, node) in up {
        match node.chain().clients().await {
            Ok(clients) => drop(all.insert(id, clients)),
            Err(error) => report.say(id, "clients", Verdict::Fail, error.to_string()),
        }
    }
    for (id, clients) in &all {
        for client in clients {
            let Some(other) = up.get(&client.counterparty_chain) else { continue };
            let of = format!("{id}/{}", client.client);
            let mut back = all.get(&client.counterparty_chain).into_iter().flatten();
            trust(report, &of, client, now);
            paired(report, &of, id, client, back.find(|found| found.client == client.counterparty_client));
            if !other.chain().moves(client.client_type) {
                let says = format!(
                    "nobody relays to it with these settings: {} is followed by another header_source",
                    client.counterparty_chain
                );
                report.say(&of, "source", Verdict::Warn, says);
            }
        }
        paused(report, id, up.get(*id), clients).await;
        let lonely = up.keys().filter(|other| other != id && !clients.iter().any(|c| c.counterparty_chain == **other));
        for other in lonely.filter(|_| up.len() == 2) {
            let says = format!("no client of {other} is open: crosspoint route open {id} {other}");
            report.say(id, "route", Verdict::Fail, says);
        }
    }
}

fn trust(report: &mut Report, of: &str, client: &ClientStatus, now: Timestamp) {
    if client.frozen {
        let says = "frozen by evidence: nothing is proven to it until governance re-anchors it";
        return report.say(of, "client", Verdict::Fail, says);
    }
    let expiry = client.trusted.time.0.saturating_add(client.trusting_period);
    let left = expiry.saturating_sub(now.0);
    let says = format!("trusts header {}, for {} more", client.trusted.height, span(left));
    if left == 0 {
        let says = format!("expired at {}: governance must re-anchor it", output::utc(expiry));
        report.say(of, "client", Verdict::Fail, says);
    } else if left < client.trusting_period.div_euclid(3) {
        report.say(of, "client", Verdict::Warn, format!("{says}: a running service renews it; is one running?"));
    } else {
        report.say(of, "client", Verdict::Ok, says);
    }
}

fn paired(report: &mut Report, of: &str, id: &ChainId, client: &ClientStatus, back: Option<&ClientStatus>) {
    let there = format!("{}/{}", client.counterparty_chain, client.counterparty_client);
    match back {
        Some(back) if back.counterparty_chain == *id && back.counterparty_client == client.client => {
            report.say(of, "counterparty", Verdict::Ok, there);
        }
        Some(back) => {
            let says = format!(
                "{there} belongs to {}: points sent through this client come back only by timeout",
                back.counterparty_client
            );
            report.say(of, "counterparty", Verdict::Fail, says);
        }
        None => {
            let says = format!("{there} is not open: crosspoint route open {id} {}", client.counterparty_chain);
            report.say(of, "counterparty", Verdict::Fail, says);
        }
    }
}

async fn paused(report: &mut Report, id: &ChainId, node: Option<&Node>, clients: &[ClientStatus]) {
    let Some(Node::Native(native)) = node else { return };
    let (Ok(params), Ok(views)) = (native.params().await, native.client_views().await) else { return };
    if params.paused {
        report.say(id, "pause", Verdict::Warn, "an operator has paused the chain: nothing is locked or received");
    }
    for view in views.iter().filter(|view| view.paused && clients.iter().any(|client| client.client == view.client)) {
        let says = "an operator has paused it: nothing is locked or received through it; refunds still flow";
        report.say(format!("{id}/{}", view.client), "pause", Verdict::Warn, says);
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        0..7_200 => format!("{} min", seconds.div_euclid(60)),
        7_200..172_800 => format!("{} h", seconds.div_euclid(3_600)),
        _ => format!("{} days", seconds.div_euclid(86_400)),
    }
}
