//! Every metric of Crosspoint, named once. Labels come from settings and from enums only, so their number
//! is bounded; series are set to 0 when the chain, route or client they speak of becomes known.

use crate::journal::step::now_ms;
use crate::life::{Action, Anomaly, Stage};
use crate::retry::RetryReason;
use crate::route::Route;
use crosspoint_adapters::chain::{ClientStatus, Head};
use crosspoint_protocol::ids::{ChainId, ClientId, Timestamp};
use prometheus::core::Collector;
use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};
use std::time::Duration;

/// What can be counted of a packet, beside the reasons of failed tries: label `event` of `crosspoint_packets_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PacketCount {
    /// Seen sent, in a final block.
    Sent,
    /// Seen received.
    Received,
    /// Seen claimed.
    Claimed,
    /// Seen voided.
    Voided,
    /// Seen refused at receipt.
    Refused,
    /// Seen settled.
    Settled,
    /// Seen refunded by an error ack.
    Refunded,
    /// Seen refunded by a timeout.
    TimedOut,
    /// Given up by the relayer.
    Stuck,
    /// Its facts contradict each other.
    Anomaly,
    /// Claimed by the watch-tower.
    TowerClaim,
}

impl PacketCount {
    /// Every event.
    pub const ALL: [Self; 11] = [
        Self::Sent,
        Self::Received,
        Self::Claimed,
        Self::Voided,
        Self::Refused,
        Self::Settled,
        Self::Refunded,
        Self::TimedOut,
        Self::Stuck,
        Self::Anomaly,
        Self::TowerClaim,
    ];

    /// The label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Received => "received",
            Self::Claimed => "claimed",
            Self::Voided => "voided",
            Self::Refused => "refused_at_receipt",
            Self::Settled => "settled",
            Self::Refunded => "refunded",
            Self::TimedOut => "timed_out",
            Self::Stuck => "stuck",
            Self::Anomaly => "anomaly",
            Self::TowerClaim => "tower_claim",
        }
    }
}

/// How a relay transaction ended: label `outcome` of `crosspoint_relay_transactions_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TxOutcome {
    /// Every item took effect.
    Done,
    /// Some item was skipped.
    Partial,
    /// It failed as a whole.
    Failed,
}

impl TxOutcome {
    const ALL: [Self; 3] = [Self::Done, Self::Partial, Self::Failed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
}

/// What a witness says of a header: label `testimony` of `crosspoint_witness_checks_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Testimony {
    /// It has the same header.
    Agrees,
    /// It has none at that height, or does not answer.
    Silent,
    /// It has another one.
    Contradicts,
}

impl Testimony {
    const ALL: [Self; 3] = [Self::Agrees, Self::Silent, Self::Contradicts];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Silent => "silent",
            Self::Contradicts => "contradicts",
        }
    }
}

/// Kinds of points in the audit: label `kind` of `crosspoint_supply_points`.
pub const SUPPLY_KINDS: [&str; 7] = ["cap", "issued", "vault", "locked", "held", "vouchers", "in_flight"];

/// All metrics and their registry.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    chain_height: IntGaugeVec,
    chain_up: IntGaugeVec,
    rpc_requests: IntCounterVec,
    rpc_duration: HistogramVec,
    packets: IntCounterVec,
    pending: IntGaugeVec,
    oldest_pending: GaugeVec,
    relay_transactions: IntCounterVec,
    batch_size: HistogramVec,
    proof_duration: HistogramVec,
    transfer_duration: HistogramVec,
    client_expiry: IntGaugeVec,
    client_frozen: IntGaugeVec,
    client_disputed: IntGaugeVec,
    witness_checks: IntCounterVec,
    witnessed: IntGaugeVec,
    misbehaviour: IntCounterVec,
    claim_margin: IntGaugeVec,
    wallet: GaugeVec,
    supply: GaugeVec,
    imbalance: GaugeVec,
    audits: IntCounterVec,
    http: IntCounterVec,
    build: IntGaugeVec,
}

fn register<T: Collector + Clone + 'static>(registry: &Registry, metric: T) -> Result<T, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("crosspoint")
}

fn buckets(name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
    HistogramOpts { common_opts: opts(name, help), buckets: buckets.to_vec() }
}

const SHORT: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
const LONG: [f64; 13] = [0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 25.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0];
const SIZES: [f64; 8] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0];

impl Metrics {
    /// Registers every metric in a registry of its own. Fails only if two metrics share a name.
    pub fn new() -> Result<Self, prometheus::Error> {
        let r = &Registry::new();
        let gauge = |name: &str, help: &str, labels: &[&str]| register(r, IntGaugeVec::new(opts(name, help), labels)?);
        let float = |name: &str, help: &str, labels: &[&str]| register(r, GaugeVec::new(opts(name, help), labels)?);
        let counter =
            |name: &str, help: &str, labels: &[&str]| register(r, IntCounterVec::new(opts(name, help), labels)?);
        let histogram = |name: &str, help: &str, bounds: &[f64], labels: &[&str]| {
            register(r, HistogramVec::new(buckets(name, help, bounds), labels)?)
        };
        Ok(Self {
            chain_height: gauge(
                "chain_height",
                "Block height; tag is latest, finalized or journaled",
                &["chain", "tag"],
            )?,
            chain_up: gauge("chain_up", "1 while the chain answers, else 0", &["chain"])?,
            rpc_requests: counter("rpc_requests_total", "Calls to chain nodes", &["chain", "method", "outcome"])?,
            rpc_duration: histogram(
                "rpc_request_duration_seconds",
                "Duration of calls to chain nodes",
                &SHORT,
                &["chain", "method"],
            )?,
            packets: counter(
                "packets_total",
                "Packet events seen in final blocks since the start, and failed tries by reason",
                &["route", "event"],
            )?,
            pending: gauge("packets_pending", "Packets that have not ended, by stage", &["route", "stage"])?,
            oldest_pending: float(
                "oldest_pending_age_seconds",
                "For how long the oldest packet has been at its stage",
                &["route", "stage"],
            )?,
            relay_transactions: counter(
                "relay_transactions_total",
                "Transactions of the relayer: done, partial (an item was skipped) or failed",
                &["chain", "outcome"],
            )?,
            batch_size: histogram("relay_batch_size", "Items per submitted batch", &SIZES, &["route"])?,
            proof_duration: histogram(
                "proof_duration_seconds",
                "Time to build the proofs of one batch",
                &SHORT,
                &["client_type", "op"],
            )?,
            transfer_duration: histogram(
                "transfer_duration_seconds",
                "From lock to settled, by block times of the source",
                &LONG,
                &["route"],
            )?,
            client_expiry: gauge(
                "client_expiry_seconds",
                "Seconds until the client's newest state expires, by its chain's clock; negative once expired",
                &["chain", "client"],
            )?,
            client_frozen: gauge("client_frozen", "1 if the client is frozen, else 0", &["chain", "client"])?,
            client_disputed: gauge(
                "client_disputed",
                "1 if a witness has another header than the client trusts or is brought, else 0",
                &["chain", "client"],
            )?,
            witness_checks: counter(
                "witness_checks_total",
                "Headers that a route brings, or that its client trusts, compared with a witness: agrees, silent or contradicts",
                &["route", "witness", "testimony"],
            )?,
            witnessed: gauge(
                "client_witnessed_timestamp_seconds",
                "When a witness last had the header that the client trusts, in seconds since 1970; 0: not yet",
                &["chain", "client"],
            )?,
            misbehaviour: counter(
                "misbehaviour_total",
                "Evidence of misbehaviour that was submitted to a client: frozen by it, or failed",
                &["chain", "client", "outcome"],
            )?,
            claim_margin: gauge(
                "claim_deadline_margin_seconds",
                "Seconds between the newest claim of the watch-tower and its deadline",
                &["route"],
            )?,
            wallet: float(
                "wallet_balance",
                "What the relayer's account can pay fees with, in the chain's smallest unit",
                &["chain", "wallet"],
            )?,
            supply: float(
                "supply_points",
                "Points in base units by the last audit, per home denom; kind is cap, issued, vault, locked, held, \
                 vouchers or in_flight",
                &["denom", "chain", "kind"],
            )?,
            imbalance: float(
                "supply_imbalance_points",
                "Points too few or too many by the last audit; anything but 0 pages a human",
                &["denom"],
            )?,
            audits: counter("supply_audits_total", "Supply audits: balanced, imbalanced or failed", &["outcome"])?,
            http: counter("http_requests_total", "HTTP requests served", &["endpoint", "method", "status"])?,
            build: gauge("build_info", "Always 1; the labels say which program runs", &["version", "revision"])?,
            registry: r.clone(),
        }
        .initialised())
    }

    fn initialised(self) -> Self {
        for outcome in ["balanced", "imbalanced", "failed"] {
            self.audits.with_label_values(&[outcome]).inc_by(0);
        }
        self
    }

    /// The registry, for metrics of the program that embeds the relayer.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All metrics in the Prometheus text format.
    pub fn encode(&self) -> Result<String, prometheus::Error> {
        let mut text = vec![];
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }

    /// Which program runs.
    pub fn build_info(&self, version: &str, revision: &str) {
        self.build.with_label_values(&[version, revision]).set(1);
    }

    /// Sets a chain's series to 0.
    pub fn init_chain(&self, chain: &ChainId) {
        for tag in ["latest", "finalized", "journaled"] {
            self.chain_height.with_label_values(&[chain.as_str(), tag]).set(0);
        }
        self.chain_up.with_label_values(&[chain.as_str()]).set(0);
        for outcome in TxOutcome::ALL {
            self.relay_transactions.with_label_values(&[chain.as_str(), outcome.as_str()]).inc_by(0);
        }
    }

    /// Sets a route's series to 0.
    pub fn init_route(&self, route: &Route) {
        let name = route.to_string();
        for event in PacketCount::ALL {
            self.packets.with_label_values(&[name.as_str(), event.as_str()]).inc_by(0);
        }
        for reason in RetryReason::ALL {
            self.packets.with_label_values(&[name.as_str(), reason.as_str()]).inc_by(0);
        }
        for stage in Stage::ALL.into_iter().filter(|stage| !stage.is_final()) {
            self.pending.with_label_values(&[name.as_str(), stage.as_str()]).set(0);
            self.oldest_pending.with_label_values(&[name.as_str(), stage.as_str()]).set(0.0);
        }
    }

    /// A chain answered.
    pub fn head(&self, chain: &ChainId, head: &Head) {
        let set = |tag, height: u64| {
            let height = i64::try_from(height).unwrap_or(i64::MAX);
            self.chain_height.with_label_values(&[chain.as_str(), tag]).set(height);
        };
        set("latest", head.latest.height.0);
        set("finalized", head.finalized.height.0);
    }

    /// A chain was read up to this height.
    pub fn journaled(&self, chain: &ChainId, height: u64) {
        let height = i64::try_from(height).unwrap_or(i64::MAX);
        self.chain_height.with_label_values(&[chain.as_str(), "journaled"]).set(height);
    }

    /// Whether a chain answers.
    pub fn chain_up(&self, chain: &ChainId, up: bool) {
        self.chain_up.with_label_values(&[chain.as_str()]).set(up.into());
    }

    /// A call to a chain's node ended. `method` and `outcome` must be from a fixed list.
    pub fn rpc(&self, chain: &ChainId, method: &'static str, outcome: &'static str, took: Duration) {
        self.rpc_requests.with_label_values(&[chain.as_str(), method, outcome]).inc();
        self.rpc_duration.with_label_values(&[chain.as_str(), method]).observe(took.as_secs_f64());
    }

    /// A packet event was seen in a final block, or the relayer gave up on it.
    pub fn packet(&self, route: &Route, event: PacketCount) {
        self.packets.with_label_values(&[route.to_string().as_str(), event.as_str()]).inc();
    }

    /// A packet's try failed.
    pub fn retry(&self, route: &Route, reason: RetryReason) {
        self.packets.with_label_values(&[route.to_string().as_str(), reason.as_str()]).inc();
    }

    /// A contradiction was seen.
    pub fn anomaly(&self, route: &Route, _what: Anomaly) {
        self.packet(route, PacketCount::Anomaly);
    }

    /// How many packets are at a stage, and for how long the oldest.
    pub fn pending(&self, route: &Route, stage: Stage, count: u64, oldest: Duration) {
        let name = route.to_string();
        let labels = [name.as_str(), stage.as_str()];
        self.pending.with_label_values(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        self.oldest_pending.with_label_values(&labels).set(oldest.as_secs_f64());
    }

    /// A transaction of the relayer ended.
    pub fn transaction(&self, chain: &ChainId, outcome: TxOutcome) {
        self.relay_transactions.with_label_values(&[chain.as_str(), outcome.as_str()]).inc();
    }

    /// A batch was submitted.
    pub fn batch(&self, route: &Route, items: usize) {
        let items = u32::try_from(items).unwrap_or(u32::MAX);
        self.batch_size.with_label_values(&[route.to_string().as_str()]).observe(items.into());
    }

    /// Proofs were built.
    pub fn proof(&self, client: &ClientStatus, op: &'static str, took: Duration) {
        self.proof_duration.with_label_values(&[client.client_type.as_str(), op]).observe(took.as_secs_f64());
    }

    /// A transfer was settled so many seconds after its lock.
    pub fn transfer(&self, route: &Route, secs: u64) {
        let secs = Duration::from_secs(secs).as_secs_f64();
        self.transfer_duration.with_label_values(&[route.to_string().as_str()]).observe(secs);
    }

    /// A client's state was looked at.
    pub fn client(&self, chain: &ChainId, status: &ClientStatus, now: Timestamp) {
        let labels = [chain.as_str(), status.client.as_str()];
        let expiry = i128::from(status.trusted.time.0)
            .saturating_add(status.trusting_period.into())
            .saturating_sub(now.0.into());
        let expiry = i64::try_from(expiry).unwrap_or(i64::MAX);
        self.client_expiry.with_label_values(&labels).set(expiry);
        self.client_frozen.with_label_values(&labels).set(status.frozen.into());
    }

    /// A client is frozen or expired by the chain's own word.
    pub fn client_frozen(&self, chain: &ChainId, client: &ClientId, frozen: bool) {
        self.client_frozen.with_label_values(&[chain.as_str(), client.as_str()]).set(frozen.into());
    }

    /// Whether the headers that a route's client follows are in dispute.
    pub fn disputed(&self, route: &Route, disputed: bool) {
        let labels = [route.dest_chain.as_str(), route.dest_client.as_str()];
        self.client_disputed.with_label_values(&labels).set(disputed.into());
    }

    /// A header of a route's source was compared with a witness.
    pub fn witness(&self, route: &Route, witness: &str, testimony: Testimony) {
        self.witness_checks.with_label_values(&[route.to_string().as_str(), witness, testimony.as_str()]).inc();
    }

    /// A witness has the header that a route's client trusts.
    pub fn witnessed(&self, route: &Route) {
        let now = i64::try_from(now_ms().checked_div(1_000).unwrap_or_default()).unwrap_or(i64::MAX);
        self.witnessed.with_label_values(&[route.dest_chain.as_str(), route.dest_client.as_str()]).set(now);
    }

    /// A route from a chain with witnesses was found.
    pub fn init_witnesses<'a>(&self, route: &Route, witnesses: impl Iterator<Item = &'a str>) {
        let (name, labels) = (route.to_string(), [route.dest_chain.as_str(), route.dest_client.as_str()]);
        for witness in witnesses {
            self.witnessed.with_label_values(&labels).set(0);
            self.client_disputed.with_label_values(&labels).set(0);
            for testimony in Testimony::ALL {
                self.witness_checks.with_label_values(&[name.as_str(), witness, testimony.as_str()]).inc_by(0);
            }
        }
    }

    /// Evidence was submitted to a client.
    pub fn misbehaviour(&self, chain: &ChainId, client: &ClientId, frozen: bool) {
        let outcome = if frozen { "frozen" } else { "failed" };
        self.misbehaviour.with_label_values(&[chain.as_str(), client.as_str(), outcome]).inc();
    }

    /// The watch-tower claimed so many seconds before the deadline.
    pub fn claim_margin(&self, route: &Route, secs: u64) {
        let secs = i64::try_from(secs).unwrap_or(i64::MAX);
        self.claim_margin.with_label_values(&[route.to_string().as_str()]).set(secs);
    }

    /// What the relayer's account has.
    #[allow(clippy::cast_precision_loss)] // a gauge is a float; the last digits of a wallet do not matter
    pub fn wallet(&self, chain: &ChainId, wallet: &str, balance: u128) {
        self.wallet.with_label_values(&[chain.as_str(), wallet]).set(balance as f64);
    }

    /// Points of one kind by an audit.
    #[allow(clippy::cast_precision_loss)] // a gauge is a float; exact figures are in the audit's own result
    pub fn supply(&self, denom: &str, chain: &ChainId, kind: &'static str, points: u128) {
        self.supply.with_label_values(&[denom, chain.as_str(), kind]).set(points as f64);
    }

    /// Points too many (above 0) or too few by an audit. No other integer than 0 becomes 0 here.
    #[allow(clippy::cast_precision_loss)]
    pub fn imbalance(&self, denom: &str, points: i128) {
        self.imbalance.with_label_values(&[denom]).set(points as f64);
    }

    /// An audit ended: `balanced`, `imbalanced` or `failed`.
    pub fn audit(&self, outcome: &'static str) {
        self.audits.with_label_values(&[outcome]).inc();
    }

    /// An HTTP request was served. `endpoint` is the route's pattern, never the path asked for; `method` is
    /// from a fixed list.
    pub fn http(&self, endpoint: &'static str, method: &'static str, status: u16) {
        self.http.with_label_values(&[endpoint, method, status.to_string().as_str()]).inc();
    }

    /// The count of one packet event, for tests and health checks.
    #[must_use]
    pub fn packet_count(&self, route: &Route, event: &str) -> u64 {
        self.packets.with_label_values(&[route.to_string().as_str(), event]).get()
    }
}

/// The work an action's proofs are for: label `op` of `crosspoint_proof_duration_seconds`.
#[must_use]
pub const fn proof_op(action: Option<Action>) -> &'static str {
    match action {
        Some(action) => action.as_str(),
        None => "update",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_there_before_anything_happens() {
        let metrics = Metrics::new().unwrap();
        let route = Route {
            source_chain: "crosspoint-1".parse().unwrap(),
            source_client: "attested-0".parse().unwrap(),
            dest_chain: "eip155-31337".parse().unwrap(),
            dest_client: "checkpoint-0".parse().unwrap(),
        };
        metrics.init_chain(&route.source_chain);
        metrics.init_route(&route);
        let text = metrics.encode().unwrap();
        for line in [
            "crosspoint_chain_up{chain=\"crosspoint-1\"} 0",
            "event=\"settled\",route=\"crosspoint-1/attested-0->eip155-31337/checkpoint-0\"} 0",
            "crosspoint_supply_audits_total{outcome=\"imbalanced\"} 0",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn an_imbalance_of_one_point_in_the_largest_supply_shows() {
        let metrics = Metrics::new().unwrap();
        metrics.imbalance("sfs", -1);
        assert!(metrics.encode().unwrap().contains("crosspoint_supply_imbalance_points{denom=\"sfs\"} -1"));
    }

    /// The names in the source, which is where they are named once.
    fn names() -> std::collections::BTreeSet<String> {
        let code = include_str!("metrics.rs").split("fn initialised").next().unwrap();
        ["gauge(", "float(", "counter(", "histogram("]
            .iter()
            .flat_map(|call| code.split(call).skip(1))
            .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next().map(str::to_owned))
            .collect()
    }

    #[test]
    fn every_metric_is_on_the_page_and_the_page_names_no_other() {
        let page = include_str!("../../docs/metrics.md");
        let listed: std::collections::BTreeSet<String> =
            page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned)).collect();
        assert_eq!(listed, names());
        assert!(listed.len() >= 20, "{listed:?}");
    }

    #[test]
    fn alerts_use_only_metrics_that_exist() {
        let rules = include_str!("../../monitoring/alerts.yml");
        let used: Vec<&str> = rules.lines().filter(|line| line.contains("expr:")).collect();
        assert_eq!(used.len(), rules.matches("alert:").count(), "each alert has its expression on one line");
        for name in used.iter().flat_map(|line| line.split("crosspoint_").skip(1)) {
            let name: String = name.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            assert!(names().contains(&name), "{name}");
        }
    }
}
