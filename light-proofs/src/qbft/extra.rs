//! The extra data of a sealed header, in its three forms.

use alloy_primitives::Address;
use alloy_rlp::{BufMut, Header as RlpHeader};
use serde::{Deserialize, Serialize};

/// Most validators of a set, and most seals of a header.
pub const MAX_VALIDATORS: usize = 256;
/// Bytes of the free text at the start of extra data.
const VANITY_LEN: usize = 32;
/// Bytes of a seal: `r ‖ s ‖ v`.
pub(super) const SEAL_LEN: usize = 65;
/// An empty list.
const EMPTY_LIST: u8 = 0xc0;
/// An empty byte string, and the integer zero.
const EMPTY_STRING: u8 = 0x80;

/// How a chain writes its extra data, and what its validators sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// QBFT, of Besu and GoQuorum: `[vanity, [validator…], vote, round, [seal…]]`; signed with an empty list of seals.
    Qbft,
    /// IBFT 2.0 of Besu: the same list; signed without the element of the seals.
    Ibft2,
    /// IBFT 1 of GoQuorum: `vanity ‖ [[validator…], proposer's seal, [seal…]]`; signed is
    /// `keccak256(block hash ‖ 0x02)`.
    Ibft1,
}

impl Encoding {
    /// Its name, as JSON has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Qbft => "qbft",
            Self::Ibft2 => "ibft2",
            Self::Ibft1 => "ibft1",
        }
    }
}

/// Why bytes are not extra data of the encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExtraError {
    /// Not the RLP that the encoding asks for.
    #[error("the extra data is not the RLP of its encoding: {0}")]
    Rlp(&'static str),
    /// More validators or seals than are handled.
    #[error("the extra data lists more than {MAX_VALIDATORS} {0}")]
    TooMany(&'static str),
}

/// Extra data, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraData {
    /// The validators, in the order written.
    pub validators: Vec<Address>,
    /// The round the block was committed in; 0 for IBFT 1, which does not write it.
    pub round: u32,
    /// `r ‖ s ‖ v` of each committed seal, in the order written; `v` is 0 or 1.
    pub seals: Vec<[u8; SEAL_LEN]>,
    /// The extra data whose header hash the seals sign.
    pub(super) signed: Vec<u8>,
    /// The extra data whose header hash is the block's.
    pub(super) hashed: Vec<u8>,
}

type Read<T> = Result<T, ExtraError>;

impl ExtraData {
    /// Reads extra data.
    pub fn decode(encoding: Encoding, bytes: &[u8]) -> Result<Self, ExtraError> {
        match encoding {
            Encoding::Qbft | Encoding::Ibft2 => Self::decode_five(encoding, bytes),
            Encoding::Ibft1 => Self::decode_ibft1(bytes),
        }
    }

    fn decode_five(encoding: Encoding, bytes: &[u8]) -> Read<Self> {
        let [vanity, validators, vote, round, seals] = items(bytes, "not a list of five")?;
        if text(vanity, "vanity")?.len() != VANITY_LEN {
            return Err(ExtraError::Rlp("vanity"));
        }
        check_vote(vote)?;
        let signed = match encoding {
            Encoding::Ibft2 => list(&[vanity, validators, vote, round]),
            _ => list(&[vanity, validators, vote, round, &[EMPTY_LIST]]),
        };
        let hashed = match encoding {
            Encoding::Ibft2 => list(&[vanity, validators, vote]),
            _ => list(&[vanity, validators, vote, &[EMPTY_STRING], &[EMPTY_LIST]]),
        };
        Ok(Self {
            validators: addresses(validators)?,
            round: read_round(round)?,
            seals: read_seals(seals)?,
            signed,
            hashed,
        })
    }

    fn decode_ibft1(bytes: &[u8]) -> Read<Self> {
        let (vanity, rest) = bytes.split_at_checked(VANITY_LEN).ok_or(ExtraError::Rlp("vanity"))?;
        let [validators, proposer, seals] = items(rest, "not a list of three")?;
        text(proposer, "proposer's seal")?;
        let hashed = [vanity, &list(&[validators, proposer, &[EMPTY_LIST]])].concat();
        Ok(Self {
            validators: addresses(validators)?,
            round: 0,
            seals: read_seals(seals)?,
            signed: hashed.clone(),
            hashed,
        })
    }
}

/// The items of one list, each with its own RLP head, and nothing after the list.
fn items<'a, const N: usize>(mut bytes: &'a [u8], what: &'static str) -> Read<[&'a [u8]; N]> {
    let payload = RlpHeader::decode_bytes(&mut bytes, true).map_err(|_| ExtraError::Rlp(what))?;
    if !bytes.is_empty() {
        return Err(ExtraError::Rlp(what));
    }
    raw_items(payload, N, what)?.try_into().map_err(|_| ExtraError::Rlp(what))
}

/// The raw items of a list's payload, at most `max`.
pub(super) fn raw_items<'a>(mut payload: &'a [u8], max: usize, what: &'static str) -> Read<Vec<&'a [u8]>> {
    let mut items = vec![];
    while !payload.is_empty() {
        if items.len() == max {
            return Err(ExtraError::TooMany(what));
        }
        let start = payload;
        let head = RlpHeader::decode(&mut payload).map_err(|_| ExtraError::Rlp(what))?;
        payload = payload.get(head.payload_length..).ok_or(ExtraError::Rlp(what))?;
        let len = start.len().saturating_sub(payload.len());
        items.push(start.get(..len).ok_or(ExtraError::Rlp(what))?);
    }
    Ok(items)
}

/// The bytes of a string item.
fn text<'a>(mut item: &'a [u8], what: &'static str) -> Read<&'a [u8]> {
    RlpHeader::decode_bytes(&mut item, false).map_err(|_| ExtraError::Rlp(what))
}

/// The items of a list item.
fn list_of<'a>(mut item: &'a [u8], what: &'static str) -> Read<Vec<&'a [u8]>> {
    let payload = RlpHeader::decode_bytes(&mut item, true).map_err(|_| ExtraError::Rlp(what))?;
    raw_items(payload, MAX_VALIDATORS, what)
}

fn addresses(item: &[u8]) -> Read<Vec<Address>> {
    const WHAT: &str = "validators";
    let read = |item| Address::try_from(text(item, WHAT)?).map_err(|_| ExtraError::Rlp(WHAT));
    list_of(item, WHAT)?.into_iter().map(read).collect()
}

fn read_seals(item: &[u8]) -> Read<Vec<[u8; SEAL_LEN]>> {
    const WHAT: &str = "seals";
    let read = |item| text(item, WHAT)?.try_into().map_err(|_| ExtraError::Rlp(WHAT));
    list_of(item, WHAT)?.into_iter().map(read).collect()
}

/// None (an empty string or list), or `[recipient, kind]`.
fn check_vote(item: &[u8]) -> Read<()> {
    if matches!(item, [EMPTY_STRING | EMPTY_LIST]) {
        return Ok(());
    }
    let [recipient, kind] = items(item, "vote")?;
    let well_formed = text(recipient, "vote")?.len() == 20 && text(kind, "vote")?.len() <= 1;
    if well_formed { Ok(()) } else { Err(ExtraError::Rlp("vote")) }
}

/// A round as an integer (QBFT), or as four bytes (IBFT 2.0).
fn read_round(item: &[u8]) -> Read<u32> {
    let bytes = text(item, "round")?;
    if bytes.len() > 4 {
        return Err(ExtraError::Rlp("round"));
    }
    Ok(bytes.iter().fold(0, |round, byte| (round << 8) | u32::from(*byte)))
}

/// A list of raw items.
pub(super) fn list(items: &[&[u8]]) -> Vec<u8> {
    let payload = items.concat();
    let mut out = vec![];
    RlpHeader { list: true, payload_length: payload.len() }.encode(&mut out);
    out.put_slice(&payload);
    out
}

/// One byte string.
pub(super) fn string(bytes: &[u8]) -> Vec<u8> {
    alloy_rlp::encode(bytes)
}
