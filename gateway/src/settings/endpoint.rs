//! A node's address. Providers put API keys into it, so only its origin is ever shown.

use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use url::Url;

/// Why a text is not an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No URL.
    #[error("it is no URL ({0})")]
    Url(url::ParseError),
    /// A URL of a kind that is not spoken.
    #[error("its scheme is {0}; http, https, ws and wss are spoken")]
    Scheme(String),
    /// A user or password in the URL.
    #[error("it carries a user or password; give the node a key in the path or a proxy instead")]
    Credentials,
}

/// The URL of a node's RPC. `Display` and JSON show scheme, host and port only.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// The whole URL, path and query included: for the connection, never for a log.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let url = Url::parse(text).map_err(EndpointError::Url)?;
        if !matches!(url.scheme(), "http" | "https" | "ws" | "wss") {
            return Err(EndpointError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::Credentials);
        }
        Ok(Self(url))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
