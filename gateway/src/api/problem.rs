//! Errors of the HTTP API: RFC 9457 problem details.

use serde::{Deserialize, Serialize};
use std::fmt;
use warp::http::StatusCode;

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong, for programs (`type`, `status`) and for people (`title`, `detail`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Names the kind of problem: `urn:crosspoint:problem:…`. It stays the same between versions.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, to what, and what to do next.
    pub detail: String,
    /// Whether the same request can succeed later without any change.
    #[serde(default)]
    pub retryable: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

/// The kinds of problems. Each is documented in `docs/http-api.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// No such address.
    NotFound,
    /// The address exists; it does not take this method.
    MethodNotAllowed,
    /// The body is larger than the service takes.
    BodyTooLarge,
    /// The body is not `application/json`.
    MediaType,
    /// The body is not JSON, or not the JSON this address takes.
    Malformed,
    /// A query parameter or header is wrong.
    Parameter,
    /// No token, or the wrong one.
    Unauthorized,
    /// The request came in under a name that is not this service's.
    Misdirected,
    /// Understood, and wrong in itself.
    Invalid,
    /// It does not fit the state that things are in.
    Conflict,
    /// The idempotency key belongs to another request.
    KeyReused,
    /// A chain refused it.
    ChainRefused,
    /// A chain cannot be reached, or is not that far yet.
    Unavailable,
    /// The transaction was sent and its fate is not known.
    OutcomeUnknown,
    /// A fault in the service.
    Internal,
}

impl ProblemKind {
    /// The end of the type's URN.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::BodyTooLarge => "body-too-large",
            Self::MediaType => "unsupported-media-type",
            Self::Malformed => "malformed-body",
            Self::Parameter => "bad-parameter",
            Self::Unauthorized => "unauthorized",
            Self::Misdirected => "misdirected",
            Self::Invalid => "invalid-request",
            Self::Conflict => "conflict",
            Self::KeyReused => "idempotency-key-reused",
            Self::ChainRefused => "chain-refused",
            Self::Unavailable => "unavailable",
            Self::OutcomeUnknown => "outcome-unknown",
            Self::Internal => "internal",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::BodyTooLarge => "Body too large",
            Self::MediaType => "Unsupported media type",
            Self::Malformed => "Malformed body",
            Self::Parameter => "Bad parameter",
            Self::Unauthorized => "Unauthorized",
            Self::Misdirected => "Misdirected request",
            Self::Invalid => "Invalid request",
            Self::Conflict => "Conflict",
            Self::KeyReused => "Idempotency key used before",
            Self::ChainRefused => "Refused by the chain",
            Self::Unavailable => "Not available now",
            Self::OutcomeUnknown => "Outcome unknown",
            Self::Internal => "Internal error",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Malformed | Self::Parameter => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Invalid | Self::KeyReused | Self::ChainRefused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Unavailable | Self::OutcomeUnknown => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    const fn retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::OutcomeUnknown | Self::Internal)
    }

    /// A problem of this kind.
    #[must_use]
    pub fn with(self, detail: impl Into<String>) -> Problem {
        Problem {
            kind: format!("urn:crosspoint:problem:{}", self.slug()),
            title: self.title().to_owned(),
            status: self.status().as_u16(),
            detail: detail.into(),
            retryable: self.retryable(),
        }
    }
}
