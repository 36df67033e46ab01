//! Denoms: what kind of points, and through which chains they came (ICS-20 v2 traces).

use crate::ids::{ClientId, IdError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Most bytes of a denom as text.
pub const MAX_LEN: usize = 256;
/// Most hops of a trace.
pub const MAX_HOPS: usize = 8;

/// Why a text is not a denom.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DenomError {
    /// Longer than 256 bytes.
    #[error("a denom of {0} bytes is longer than 256")]
    TooLong(usize),
    /// More than eight hops.
    #[error("a denom with {0} hops has more than 8")]
    TooManyHops(usize),
    /// The base is neither a native base denom nor a token address.
    #[error("base denom `{0}` is neither 3 to 64 of a-z, 0-9, `.`, `_` and `-`, nor 0x and 40 lower-case hex digits")]
    Base(String),
    /// A hop's port is not `points`, or a hop is cut short.
    #[error("denom `{0}` is not hops of `points/CLIENT/` before a base")]
    Trace(String),
    /// A hop's client is not a client id.
    #[error(transparent)]
    Client(#[from] IdError),
}

/// A kind of points as one chain knows it: hops of `points/CLIENT/`, the latest first, then the base.
/// No hop: this chain (or, in a packet, the sending chain) is the points' home.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Denom {
    hops: Vec<ClientId>,
    base: String,
}

impl Denom {
    /// A denom at home under this base name: `[a-z0-9._-]{3,64}`, or `0x` and 40 lower-case hex digits.
    pub fn base(base: &str) -> Result<Self, DenomError> {
        let native = (3..=64).contains(&base.len())
            && base.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'));
        if native {
            Ok(Self { hops: vec![], base: base.into() })
        } else {
            Err(DenomError::Base(base.chars().take(64).collect()))
        }
    }

    /// Whether these points are at home on the chain that wrote this denom.
    #[must_use]
    pub fn is_home(&self) -> bool {
        self.hops.is_empty()
    }

    /// The base name, without its trace.
    #[must_use]
    pub fn base_name(&self) -> &str {
        &self.base
    }

    /// The hops, the latest first.
    #[must_use]
    pub fn hops(&self) -> &[ClientId] {
        &self.hops
    }

    /// The client these points came in through, if they are vouchers.
    #[must_use]
    pub fn came_through(&self) -> Option<&ClientId> {
        self.hops.first()
    }

    /// The denom on the destination of a packet that carries `self` from `source_client` to `dest_client`:
    /// one hop less if the points return to where they came from, else one hop more.
    pub fn received(&self, source_client: &ClientId, dest_client: &ClientId) -> Result<Received, DenomError> {
        if self.came_through() == Some(source_client) {
            let hops = self.hops.iter().skip(1).cloned().collect();
            return Ok(Received::Returned(Self { hops, base: self.base.clone() }));
        }
        let hops = std::iter::once(dest_client).chain(&self.hops).cloned().collect();
        Ok(Received::Voucher(Self { hops, base: self.base.clone() }.checked()?))
    }

    fn checked(self) -> Result<Self, DenomError> {
        if self.hops.len() > MAX_HOPS {
            return Err(DenomError::TooManyHops(self.hops.len()));
        }
        let len = self.to_string().len();
        if len > MAX_LEN { Err(DenomError::TooLong(len)) } else { Ok(self) }
    }
}

/// A packet's denom as its destination sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// Points that came from here and return: taken out of the vault.
    Returned(Denom),
    /// Points whose home is elsewhere: minted as vouchers.
    Voucher(Denom),
}

impl Received {
    /// The denom, whichever it is.
    #[must_use]
    pub fn denom(&self) -> &Denom {
        match self {
            Self::Returned(denom) | Self::Voucher(denom) => denom,
        }
    }
}

impl FromStr for Denom {
    type Err = DenomError;
    fn from_str(text: &str) -> Result<Self, DenomError> {
        if text.len() > MAX_LEN {
            return Err(DenomError::TooLong(text.len()));
        }
        let mut parts: Vec<&str> = text.split('/').collect();
        let base = parts.pop().unwrap_or_default();
        let hops = parts
            .chunks(2)
            .map(|hop| match hop {
                [port, client] if *port == crate::PORT => Ok(client.parse()?),
                _ => Err(DenomError::Trace(text.into())),
            })
            .collect::<Result<_, DenomError>>()?;
        Self { hops, ..Self::base(base)? }.checked()
    }
}

impl TryFrom<String> for Denom {
    type Error = DenomError;
    fn try_from(text: String) -> Result<Self, DenomError> {
        text.parse()
    }
}

impl From<Denom> for String {
    fn from(denom: Denom) -> String {
        denom.to_string()
    }
}

impl fmt::Display for Denom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for client in &self.hops {
            write!(f, "{}/{client}/", crate::PORT)?;
        }
        f.write_str(&self.base)
    }
}

impl fmt::Debug for Denom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Denom {
    /// Whether the base name is that of an ERC-20 token: `0x` and 40 lower-case hex digits.
    #[must_use]
    pub fn base_is_token_address(&self) -> bool {
        self.base.strip_prefix("0x").is_some_and(|digits| {
            digits.len() == 40 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        })
    }
}
