//! Bytes as `0x…` hex in JSON, for arrays of any fixed length and lists of them.

/// One array of `N` bytes.
pub mod array {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes `0x` and the hex digits.
    pub fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&format!("0x{}", hex::encode(bytes)))
    }

    /// Reads exactly `2 * N` hex digits, with or without `0x`.
    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(d: D) -> Result<[u8; N], D::Error> {
        super::parse(&String::deserialize(d)?).map_err(D::Error::custom)
    }
}

/// A list of arrays of `N` bytes.
pub mod arrays {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes a list of `0x…` texts.
    pub fn serialize<S: Serializer, const N: usize>(list: &[[u8; N]], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(list.iter().map(|bytes| format!("0x{}", hex::encode(bytes))))
    }

    /// Reads a list of texts of exactly `2 * N` hex digits.
    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(d: D) -> Result<Vec<[u8; N]>, D::Error> {
        let texts = Vec::<String>::deserialize(d)?;
        texts.iter().map(|text| super::parse(text)).collect::<Result<_, _>>().map_err(D::Error::custom)
    }
}

fn parse<const N: usize>(text: &str) -> Result<[u8; N], hex::FromHexError> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes)?;
    Ok(bytes)
}
