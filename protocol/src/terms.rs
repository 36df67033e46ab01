//! Conditions of a lock beyond its hashlock: the bytes `terms` of [`crate::lock::PointsLock`].
//!
//! Empty bytes are a plain transfer. `0x01 ‖ abi.encode(Hop[])` is a forward: the chain that receives the packet sends the
//! points on as the first hop says, and gives the rest of the hops, if any, to the next chain. The relayer chooses nothing.

use crate::ids::{Address, ClientId, IdError, Timestamp};
use alloy_sol_types::SolValue;
use serde::{Deserialize, Serialize};

/// Most bytes of `terms`.
pub const MAX_TERMS_LEN: usize = 1024;
/// Most times that a packet is sent on: so many hops always fit into the terms, however long their receivers are.
pub const MAX_FORWARDS: usize = 2;

/// The first byte of a forward.
const FORWARD: u8 = 1;

/// The Solidity struct, field for field.
#[allow(missing_docs)]
pub mod abi {
    alloy_sol_types::sol! {
        struct Hop {
            string client;
            string receiver;
            uint64 timeout;
            uint64 claimDeadline;
        }
    }
}

/// Why bytes are not terms. A packet with them is answered with an error ack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// Longer than any valid terms.
    #[error("terms of {0} bytes are longer than 1024")]
    TooLong(usize),
    /// Terms of a kind that this version does not know.
    #[error("terms that start with {0:#04x} are not understood; plain transfers have none, a forward starts with 0x01")]
    Kind(u8),
    /// Not the ABI encoding of hops.
    #[error("the terms are not the ABI encoding of a forward's hops")]
    Abi,
    /// Decodes, but re-encodes to other bytes.
    #[error("the terms are not the canonical ABI encoding of the hops they decode to")]
    NotCanonical,
    /// No hop, or too many.
    #[error("a forward has 1 or 2 hops, not {0}")]
    Hops(usize),
    /// A hop's client is invalid.
    #[error("a hop's client: {0}")]
    Client(IdError),
    /// A hop's receiver is invalid.
    #[error("a hop's receiver: {0}")]
    Receiver(IdError),
}

/// One link of a forward, as the chain that sends over it reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hop {
    /// The client to send through, on the chain that forwards.
    pub client: ClientId,
    /// Who gets the points on that client's chain; where they are sent on again, that chain's own address for it.
    pub receiver: Address,
    /// That chain's time, in seconds, from which on the packet cannot be received.
    pub timeout: Timestamp,
    /// That chain's time, in seconds, from which on its hold cannot be claimed.
    pub claim_deadline: Timestamp,
}

/// The links that a packet's points are sent on over: at least one, at most [`MAX_FORWARDS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Hop>", into = "Vec<Hop>")]
pub struct Forward {
    first: Hop,
    rest: Vec<Hop>,
}

impl Forward {
    /// A forward over these links, the nearest first.
    pub fn new(hops: Vec<Hop>) -> Result<Self, TermsError> {
        let len = hops.len();
        let mut hops = hops.into_iter();
        match hops.next() {
            Some(first) if len <= MAX_FORWARDS => Ok(Self { first, rest: hops.collect() }),
            Some(_) | None => Err(TermsError::Hops(len)),
        }
    }

    /// The link that the chain which receives the packet sends over.
    #[must_use]
    pub const fn first(&self) -> &Hop {
        &self.first
    }

    /// The terms of the packet sent over the first link.
    #[must_use]
    pub fn onward(&self) -> Terms {
        let mut hops = self.rest.iter().cloned();
        match hops.next() {
            None => Terms::Plain,
            Some(first) => Terms::Forward(Self { first, rest: hops.collect() }),
        }
    }

    /// All links, the nearest first.
    pub fn hops(&self) -> impl Iterator<Item = &Hop> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}

impl TryFrom<Vec<Hop>> for Forward {
    type Error = TermsError;
    fn try_from(hops: Vec<Hop>) -> Result<Self, TermsError> {
        Self::new(hops)
    }
}

impl From<Forward> for Vec<Hop> {
    fn from(forward: Forward) -> Self {
        forward.hops().cloned().collect()
    }
}

/// Conditions beyond the hashlock. On the wire they are the bytes `terms`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Terms {
    /// None: whoever shows the preimage in time releases the points. Empty bytes.
    Plain,
    /// The points go on to another chain under the same hashlock; nobody can claim them here.
    Forward(Forward),
}

impl Terms {
    /// The terms' bytes on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Plain => vec![],
            Self::Forward(forward) => {
                let hops: Vec<abi::Hop> = forward
                    .hops()
                    .map(|hop| abi::Hop {
                        client: hop.client.to_string(),
                        receiver: hop.receiver.to_string(),
                        timeout: hop.timeout.0,
                        claimDeadline: hop.claim_deadline.0,
                    })
                    .collect();
                [&[FORWARD], hops.abi_encode().as_slice()].concat()
            }
        }
    }

    /// Strict decoding: the bytes must re-encode to themselves and every field must be valid.
    pub fn decode(bytes: &[u8]) -> Result<Self, TermsError> {
        if bytes.len() > MAX_TERMS_LEN {
            return Err(TermsError::TooLong(bytes.len()));
        }
        let Some((&kind, rest)) = bytes.split_first() else { return Ok(Self::Plain) };
        if kind != FORWARD {
            return Err(TermsError::Kind(kind));
        }
        let raw = <Vec<abi::Hop>>::abi_decode_validate(rest).map_err(|_| TermsError::Abi)?;
        if raw.abi_encode() != rest {
            return Err(TermsError::NotCanonical);
        }
        let hop = |raw: abi::Hop| {
            Ok(Hop {
                client: raw.client.parse().map_err(TermsError::Client)?,
                receiver: raw.receiver.parse().map_err(TermsError::Receiver)?,
                timeout: Timestamp(raw.timeout),
                claim_deadline: Timestamp(raw.claimDeadline),
            })
        };
        Ok(Self::Forward(Forward::new(raw.into_iter().map(hop).collect::<Result<_, TermsError>>()?)?))
    }

    /// The forward, if there is one.
    #[must_use]
    pub const fn forward(&self) -> Option<&Forward> {
        match self {
            Self::Plain => None,
            Self::Forward(forward) => Some(forward),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(receiver: &str) -> Hop {
        Hop {
            client: "z".repeat(32).parse().unwrap(),
            receiver: receiver.parse().unwrap(),
            timeout: Timestamp(u64::MAX),
            claim_deadline: Timestamp(0),
        }
    }

    #[test]
    fn as_many_hops_as_are_allowed_always_fit() {
        let longest = hop(&"r".repeat(crate::ids::MAX_ADDRESS_LEN));
        let terms = Terms::Forward(Forward::new(vec![longest.clone(); MAX_FORWARDS]).unwrap());
        let bytes = terms.encode();
        assert!(bytes.len() <= MAX_TERMS_LEN, "{}", bytes.len());
        assert_eq!(Terms::decode(&bytes), Ok(terms));
        for count in [0, MAX_FORWARDS + 1] {
            assert_eq!(Forward::new(vec![longest.clone(); count]), Err(TermsError::Hops(count)));
        }
    }

    #[test]
    fn each_chain_takes_its_own_link_off() {
        let [a, b] = [hop("a"), hop("b")];
        let both = Forward::new(vec![a.clone(), b.clone()]).unwrap();
        assert_eq!(both.first(), &a);
        let Terms::Forward(next) = both.onward() else { panic!("a link is left") };
        assert_eq!((next.first(), next.onward()), (&b, Terms::Plain));
    }

    #[test]
    fn what_is_no_forward_is_refused_by_what_is_wrong_with_it() {
        let good = Terms::Forward(Forward::new(vec![hop("a")]).unwrap()).encode();
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = good.clone();
            change(&mut bytes);
            Terms::decode(&bytes)
        };
        assert_eq!(with(&|b| b[0] = 2), Err(TermsError::Kind(2)));
        assert_eq!(with(&|b| b.truncate(1)), Err(TermsError::Abi));
        assert_eq!(with(&|b| b.extend([0; 32])), Err(TermsError::NotCanonical));
        assert_eq!(with(&|b| b.resize(1025, 0)), Err(TermsError::TooLong(1025)));
        // A length that no bytes follow is an error, not an allocation.
        let long = [&[1][..], &[[0; 31].as_slice(), &[32]].concat(), &[0xff; 32], &[0; 96]].concat();
        assert_eq!(Terms::decode(&long), Err(TermsError::Abi));
        let of = |hops: Vec<abi::Hop>| Terms::decode(&[&[1], hops.abi_encode().as_slice()].concat());
        let raw = |client: &str, receiver: &str| abi::Hop {
            client: client.into(),
            receiver: receiver.into(),
            timeout: 1,
            claimDeadline: 2,
        };
        assert_eq!(of(vec![]), Err(TermsError::Hops(0)));
        assert_eq!(of(vec![raw("attested-0", "a"); 3]), Err(TermsError::Hops(3)));
        assert!(matches!(of(vec![raw("ATTESTED", "a")]), Err(TermsError::Client(_))));
        assert!(matches!(of(vec![raw("attested-0", "")]), Err(TermsError::Receiver(_))));
        assert!(matches!(of(vec![raw("attested-0", "a\n")]), Err(TermsError::Receiver(_))));
    }

    #[test]
    fn deserialising_checks_too() {
        let json = serde_json::to_value(vec![hop("a"); 3]).unwrap();
        assert!(serde_json::from_value::<Forward>(json).is_err());
    }
}
