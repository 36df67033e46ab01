//! Which addresses there are, and what each takes.

use super::problem::{Problem, ProblemKind};
use crosspoint_relayer::route::PacketId;
use warp::http::Method;

/// One address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// The process runs.
    Health,
    /// The service can do its work.
    Ready,
    /// Metrics.
    Metrics,
    /// The chains.
    Chains,
    /// The routes.
    Routes,
    /// The supply audit.
    Supply,
    /// All transfers; POST sends one.
    Transfers,
    /// One transfer.
    Transfer(PacketId),
    /// Its evidence file.
    Evidence(PacketId),
    /// Claim its hold.
    Claim(PacketId),
    /// Void its hold.
    Void(PacketId),
    /// Try a transfer again now.
    Retry(PacketId),
    /// Raise an invoice.
    Invoices,
}

const READ: &[Method] = &[Method::GET, Method::HEAD];
const WRITE: &[Method] = &[Method::POST];
const BOTH: &[Method] = &[Method::GET, Method::HEAD, Method::POST];

impl Endpoint {
    /// Every address with its variable parts named: the metric label `endpoint`.
    pub const TEMPLATES: [&'static str; 13] = [
        "/healthz",
        "/readyz",
        "/metrics",
        "/v1/chains",
        "/v1/routes",
        "/v1/supply",
        "/v1/transfers",
        "/v1/transfers/{id}",
        "/v1/transfers/{id}/evidence",
        "/v1/transfers/{id}/claim",
        "/v1/transfers/{id}/void",
        "/v1/transfers/{id}/retry",
        "/v1/invoices",
    ];

    /// The address at a path. A transfer's id is three segments: chain, client, number.
    pub(super) fn find(path: &str) -> Result<Self, Problem> {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').take(8).collect();
        let id = |chain: &str, client: &str, number: &str| {
            format!("{chain}/{client}/{number}")
                .parse::<PacketId>()
                .map_err(|e| ProblemKind::NotFound.with(format!("no transfer has such an id: {e}")))
        };
        match segments.as_slice() {
            ["healthz"] => Ok(Self::Health),
            ["readyz"] => Ok(Self::Ready),
            ["metrics"] => Ok(Self::Metrics),
            ["v1", "chains"] => Ok(Self::Chains),
            ["v1", "routes"] => Ok(Self::Routes),
            ["v1", "supply"] => Ok(Self::Supply),
            ["v1", "invoices"] => Ok(Self::Invoices),
            ["v1", "transfers"] => Ok(Self::Transfers),
            ["v1", "transfers", chain, client, number] => id(chain, client, number).map(Self::Transfer),
            ["v1", "transfers", chain, client, number, "evidence"] => id(chain, client, number).map(Self::Evidence),
            ["v1", "transfers", chain, client, number, "claim"] => id(chain, client, number).map(Self::Claim),
            ["v1", "transfers", chain, client, number, "void"] => id(chain, client, number).map(Self::Void),
            ["v1", "transfers", chain, client, number, "retry"] => id(chain, client, number).map(Self::Retry),
            _ => Err(ProblemKind::NotFound.with("there is nothing at this address; the API is under /v1")),
        }
    }

    /// The address with its variable parts named.
    #[must_use]
    pub const fn template(&self) -> &'static str {
        match self {
            Self::Health => "/healthz",
            Self::Ready => "/readyz",
            Self::Metrics => "/metrics",
            Self::Chains => "/v1/chains",
            Self::Routes => "/v1/routes",
            Self::Supply => "/v1/supply",
            Self::Transfers => "/v1/transfers",
            Self::Transfer(_) => "/v1/transfers/{id}",
            Self::Evidence(_) => "/v1/transfers/{id}/evidence",
            Self::Claim(_) => "/v1/transfers/{id}/claim",
            Self::Void(_) => "/v1/transfers/{id}/void",
            Self::Retry(_) => "/v1/transfers/{id}/retry",
            Self::Invoices => "/v1/invoices",
        }
    }

    pub(super) const fn methods(&self) -> &'static [Method] {
        match self {
            Self::Health
            | Self::Ready
            | Self::Metrics
            | Self::Chains
            | Self::Routes
            | Self::Supply
            | Self::Transfer(_)
            | Self::Evidence(_) => READ,
            Self::Claim(_) | Self::Void(_) | Self::Retry(_) | Self::Invoices => WRITE,
            Self::Transfers => BOTH,
        }
    }
}
