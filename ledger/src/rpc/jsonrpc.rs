//! JSON-RPC 2.0 as CometBFT speaks it: requests in, responses out.

use serde::Serialize;
use serde_json::Value;

/// Longest id of a request, in bytes of its JSON form.
const MAX_ID_BYTES: usize = 128;

/// A failed call: code, message and what went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// The body is no JSON.
    #[error("{0}")]
    Parse(String),
    /// The JSON is no request.
    #[error("{0}")]
    InvalidRequest(String),
    /// There is no such method.
    #[error("{0}")]
    MethodNotFound(String),
    /// A parameter is missing, malformed or out of range.
    #[error("{0}")]
    InvalidParams(String),
    /// The call could not be answered.
    #[error("{0}")]
    Internal(String),
}

impl RpcError {
    /// The code of the JSON-RPC 2.0 specification.
    #[must_use]
    pub const fn code(&self) -> i32 {
        match self {
            Self::Parse(_) => -32_700,
            Self::InvalidRequest(_) => -32_600,
            Self::MethodNotFound(_) => -32_601,
            Self::InvalidParams(_) => -32_602,
            Self::Internal(_) => -32_603,
        }
    }

    /// The message that CometBFT gives with the code.
    #[must_use]
    pub const fn message(&self) -> &'static str {
        match self {
            Self::Parse(_) => "Parse error. Invalid JSON",
            Self::InvalidRequest(_) => "Invalid Request",
            Self::MethodNotFound(_) => "Method not found",
            Self::InvalidParams(_) => "Invalid params",
            Self::Internal(_) => "Internal error",
        }
    }

    /// The HTTP status for a call by GET.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Parse(_) | Self::InvalidRequest(_) | Self::InvalidParams(_) => 400,
            Self::MethodNotFound(_) => 404,
            Self::Internal(_) => 500,
        }
    }
}

/// A request id: a number, a text, or nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Id(Value);

impl Id {
    /// No id: answers to what could not be read as a request.
    pub const NONE: Self = Self(Value::Null);

    /// The id that CometBFT gives answers to calls by GET.
    #[must_use]
    pub fn uri() -> Self {
        Self(Value::from(-1))
    }
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its id; `None` for a notification, which is not answered.
    pub id: Option<Id>,
    /// The method.
    pub method: String,
    /// The parameters: an object, an array by position, or null.
    pub params: Value,
}

impl Request {
    /// Reads one request.
    ///
    /// # Errors
    /// The error and the id to answer with, where there is one.
    pub fn parse(value: Value) -> Result<Self, (Id, RpcError)> {
        let invalid = |id: Id, why: &str| (id, RpcError::InvalidRequest(why.into()));
        let Value::Object(mut fields) = value else { return Err(invalid(Id::NONE, "a request is an object")) };
        let id = match fields.remove("id") {
            None => None,
            Some(id @ (Value::Null | Value::String(_) | Value::Number(_))) if id.to_string().len() <= MAX_ID_BYTES => {
                Some(Id(id))
            }
            Some(_) => return Err(invalid(Id::NONE, "an id is a number or a text of at most 126 bytes")),
        };
        let answer = || id.clone().unwrap_or(Id::NONE);
        if fields.remove("jsonrpc").as_ref().and_then(Value::as_str) != Some("2.0") {
            return Err(invalid(answer(), "jsonrpc must be \"2.0\""));
        }
        let Some(Value::String(method)) = fields.remove("method") else {
            return Err(invalid(answer(), "the method is missing"));
        };
        let params = fields.remove("params").unwrap_or(Value::Null);
        match params {
            Value::Null | Value::Object(_) | Value::Array(_) => Ok(Self { id, method, params }),
            _ => Err(invalid(answer(), "params must be an object or an array")),
        }
    }
}

/// A result as JSON text.
pub type Outcome = Result<String, RpcError>;

/// The JSON text of a value.
///
/// # Errors
/// [`RpcError::Internal`] when the value cannot be JSON.
pub fn to_json(value: &impl Serialize) -> Outcome {
    serde_json::to_string(value).map_err(|error| RpcError::Internal(format!("the answer cannot be encoded: {error}")))
}

/// The text of a response.
#[must_use]
pub fn response(id: &Id, outcome: &Outcome) -> String {
    let id = &id.0;
    match outcome {
        Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
        Err(error) => {
            let data = Value::from(error.to_string());
            let (code, message) = (error.code(), error.message());
            format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"{message}","data":{data}}}}}"#)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_request_without_an_id_is_a_notification() {
        let request = Request::parse(json!({"jsonrpc": "2.0", "method": "health"})).unwrap();
        assert_eq!(request.id, None);
    }

    #[test]
    fn what_is_no_request_is_refused_with_its_id() {
        for value in [
            json!(1),
            json!([]),
            json!({"id": 7, "jsonrpc": "1.0", "method": "x"}),
            json!({"id": {}, "jsonrpc": "2.0"}),
        ] {
            assert!(matches!(Request::parse(value), Err((_, RpcError::InvalidRequest(_)))));
        }
        let (id, _) = Request::parse(json!({"id": "a", "jsonrpc": "2.0"})).unwrap_err();
        assert_eq!(response(&id, &Ok("{}".into())), r#"{"jsonrpc":"2.0","id":"a","result":{}}"#);
    }

    #[test]
    fn error_texts_cannot_break_out_of_the_json() {
        let text = response(&Id::uri(), &Err(RpcError::InvalidParams("\"},\u{0}".into())));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["error"]["data"], "\"},\u{0}");
    }
}
