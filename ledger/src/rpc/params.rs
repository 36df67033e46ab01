//! Parameters of a call, from JSON or from a URI, by name. All input is hostile: each reader says what it takes.

use serde_json::{Map, Value};

use super::jsonrpc::RpcError;

/// Most parameters of a call.
const MAX_PARAMS: usize = 16;

/// Where the parameters came from: CometBFT writes bytes differently in the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Bytes are base64 or hex as the field says.
    Json,
    /// Bytes are `0x…`, or a quoted text taken as it is.
    Uri,
}

/// The parameters of one call.
#[derive(Debug, Clone)]
pub struct Params {
    source: Source,
    values: Map<String, Value>,
}

fn invalid(name: &str, wanted: &str) -> RpcError {
    RpcError::InvalidParams(format!("parameter `{name}` must be {wanted}"))
}

impl Params {
    /// From the `params` of a JSON-RPC request. `names` gives the order for parameters by position.
    ///
    /// # Errors
    /// [`RpcError::InvalidParams`] when there are too many.
    pub fn from_json(params: Value, names: &[&str]) -> Result<Self, RpcError> {
        let values = match params {
            Value::Object(values) => values,
            Value::Array(list) if list.len() > names.len() => {
                return Err(RpcError::InvalidParams(format!(
                    "{} parameters; this method takes {}",
                    list.len(),
                    names.len()
                )));
            }
            Value::Array(list) => names.iter().map(|name| (*name).to_owned()).zip(list).collect(),
            _ => Map::new(),
        };
        if values.len() > MAX_PARAMS {
            return Err(RpcError::InvalidParams(format!("more than {MAX_PARAMS} parameters")));
        }
        Ok(Self { source: Source::Json, values })
    }

    /// From a query string: `name=value&…`, percent-encoded, texts in double quotes.
    ///
    /// # Errors
    /// [`RpcError::InvalidParams`] when there are too many, or the encoding is broken.
    pub fn from_query(query: &str) -> Result<Self, RpcError> {
        let mut values = Map::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            if values.len() >= MAX_PARAMS {
                return Err(RpcError::InvalidParams(format!("more than {MAX_PARAMS} parameters")));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let broken = || RpcError::InvalidParams("the query string is not valid percent-encoded UTF-8".into());
            let name = percent_decode(name).ok_or_else(broken)?;
            let value = percent_decode(value).ok_or_else(broken)?;
            values.insert(name, Value::String(value));
        }
        Ok(Self { source: Source::Uri, values })
    }

    fn get(&self, name: &str) -> Option<&Value> {
        // An empty value in a URI is an absent one, as in CometBFT.
        self.values
            .get(name)
            .filter(|value| !value.is_null() && (self.source == Source::Json || value.as_str() != Some("")))
    }

    /// A text.
    ///
    /// # Errors
    /// [`RpcError::InvalidParams`] when it is something else, or longer than `max` bytes.
    pub fn text(&self, name: &str, max: usize) -> Result<Option<String>, RpcError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| invalid(name, "a text"))?;
        let text = match self.source {
            Source::Json => text,
            Source::Uri => unquote(text).ok_or_else(|| invalid(name, "a text in double quotes"))?,
        };
        if text.len() > max {
            return Err(invalid(name, &format!("at most {max} bytes long")));
        }
        Ok(Some(text.to_owned()))
    }

    /// A whole number, as a JSON number or in decimal digits.
    ///
    /// # Errors
    /// [`RpcError::InvalidParams`] when it is something else.
    pub fn number(&self, name: &str) -> Result<Option<i64>, RpcError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => unquote(text).unwrap_or(text).parse().ok(),
            _ => None,
        };
        number.map(Some).ok_or_else(|| invalid(name, "a whole number"))
    }

    /// A block height; absent and 0 mean the newest block, as in CometBFT.
    ///
    /// # Errors
    /// [`RpcError::InvalidParams`] when it is negative or no number.
    pub fn height(&self, name: &str) -> Result<Option<u64>, RpcError> {
        let Some(number) = self.number(name)? else { return Ok(None) };
        let height = u64::try_from(number).map_err(|_| invalid(name, "0 or more"))?;
        Ok((height != 0).then_some(height))
    }

    /// A yes or no; absent is no.
    ///
    /// # Errors
    /// [`RpcError::InvalidParams`] when it is something else.
    pub fn flag(&self, name: &str) -> Result<bool, RpcError> {
        match self.get(name) {
            None | Some(Value::Bool(false)) => Ok(false),
            Some(Value::Bool(true)) => Ok(true),
            Some(Value::String(text)) if text == "true" || text == "1" => Ok(true),
            Some(Value::String(text)) if text == "false" || text == "0" => Ok(false),
            Some(_) => Err(invalid(name, "true or false")),
        }
    }

    /// Bytes: hex in JSON.
    ///
    /// # Errors
    /// [`RpcError::InvalidParams`] when they are malformed, or more than `max`.
    pub fn hex(&self, name: &str, max: usize) -> Result<Option<Vec<u8>>, RpcError> {
        self.bytes(name, max, |text| hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok(), "hex")
    }

    /// Bytes: base64 in JSON.
    ///
    /// # Errors
    /// [`RpcError::InvalidParams`] when they are malformed, or more than `max`.
    pub fn base64(&self, name: &str, max: usize) -> Result<Option<Vec<u8>>, RpcError> {
        use base64::Engine as _;
        self.bytes(name, max, |text| base64::engine::general_purpose::STANDARD.decode(text).ok(), "base64")
    }

    fn bytes(
        &self,
        name: &str,
        max: usize,
        decode: impl Fn(&str) -> Option<Vec<u8>>,
        encoding: &str,
    ) -> Result<Option<Vec<u8>>, RpcError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let bytes = match (value.as_str(), self.source) {
            (Some(text), Source::Json) => decode(text),
            (Some(text), Source::Uri) => match text.strip_prefix("0x") {
                Some(digits) => hex::decode(digits).ok(),
                None => unquote(text).map(|inner| inner.as_bytes().to_vec()),
            },
            (None, _) => None,
        };
        let wanted = match self.source {
            Source::Json => encoding,
            Source::Uri => "0x and hex digits, or a text in double quotes",
        };
        let bytes = bytes.ok_or_else(|| invalid(name, wanted))?;
        if bytes.len() > max {
            return Err(invalid(name, &format!("at most {max} bytes")));
        }
        Ok(Some(bytes))
    }
}

/// What stands between double quotes, or single ones.
fn unquote(text: &str) -> Option<&str> {
    let double = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    double.or_else(|| text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let mut decoded = [0];
                hex::decode_to_slice(digits, &mut decoded).ok()?;
                bytes.extend_from_slice(&decoded);
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn heights_come_as_numbers_and_texts_and_zero_is_the_newest() {
        let params = Params::from_json(json!({"a": 5, "b": "6", "c": 0, "d": -1, "e": "x", "f": 1.5}), &[]).unwrap();
        assert_eq!(params.height("a"), Ok(Some(5)));
        assert_eq!(params.height("b"), Ok(Some(6)));
        assert_eq!(params.height("c"), Ok(None));
        assert_eq!(params.height("absent"), Ok(None));
        for name in ["d", "e", "f"] {
            assert!(params.height(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_uri_writes_bytes_as_hex_or_as_quoted_text() {
        let params = Params::from_query("a=0x0102&b=%22hi%22&c=hi&h=7&t=%22x%20y%22&flag=true&e=").unwrap();
        assert_eq!(params.base64("a", 9), Ok(Some(vec![1, 2])));
        assert_eq!(params.hex("b", 9), Ok(Some(b"hi".to_vec())));
        assert!(params.hex("c", 9).is_err());
        assert!(params.hex("a", 1).is_err());
        assert_eq!(params.height("h"), Ok(Some(7)));
        assert_eq!(params.text("t", 9), Ok(Some("x y".into())));
        assert_eq!(params.flag("flag"), Ok(true));
        assert_eq!(params.text("e", 9), Ok(None));
    }

    #[test]
    fn parameters_by_position_take_the_methods_names() {
        let params = Params::from_json(json!(["3", true]), &["height", "prove"]).unwrap();
        assert_eq!(params.height("height"), Ok(Some(3)));
        assert_eq!(params.flag("prove"), Ok(true));
        assert!(Params::from_json(json!([1, 2, 3]), &["height", "prove"]).is_err());
    }

    proptest! {
        #[test]
        fn no_query_string_panics(query in "\\PC{0,200}") {
            if let Ok(params) = Params::from_query(&query) {
                for name in ["a", "height"] {
                    let _ = (params.height(name), params.text(name, 10), params.hex(name, 10), params.base64(name, 10), params.flag(name));
                }
            }
        }
    }
}
