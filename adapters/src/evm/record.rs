//! The compact form of a packet in calldata and in `Sent` events (`contracts/README.md`, "record").

use alloy::primitives::Address as EvmAddress;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{Address, ClientId, Sequence, Timestamp};
use crosspoint_protocol::lock::{MAX_MEMO_LEN, PointsLock, Terms};
use crosspoint_protocol::packet::{Packet, Payload, PayloadError};
use crosspoint_protocol::secret::Hashlock;

/// The fixed part of a record, before the texts.
const HEAD_LEN: usize = 94;
/// Most denoms of a batch: their index is one byte.
pub const MAX_DENOMS: usize = 255;

/// Which way a packet goes, seen from the EVM chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To this chain: the local party is the receiver.
    In,
    /// From this chain: the local party is the sender.
    Out,
}

/// Why a packet has no compact form, or bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The payload is no points transfer.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The amount does not fit 96 bits.
    #[error("the amount {0} is above 2^96 - 1, which EVM records cannot express")]
    Amount(Amount),
    /// The party on the EVM chain is not written as the contracts write it.
    #[error("`{0}` is not 0x and 40 lower-case hex digits")]
    LocalParty(Address),
    /// The other party is longer than its length byte allows.
    #[error("the other chain's address has {0} bytes, more than 255")]
    RemoteParty(usize),
    /// Too many denoms, items or bytes for one batch.
    #[error("a batch takes at most {max} {what}, not {found}")]
    Batch {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        max: usize,
        /// How many there are.
        found: usize,
    },
    /// The bytes end early, or go on after the record.
    #[error("the record has {found} bytes, its lengths say {expected}")]
    Length {
        /// The bytes given.
        found: usize,
        /// The bytes that its length fields ask for.
        expected: usize,
    },
    /// A field of a record is not valid.
    #[error("the record's {0} is not valid")]
    Field(&'static str),
}

/// An address of this chain as it stands in packets: `0x` and 40 lower-case hex digits.
#[must_use]
pub fn address_text(address: &EvmAddress) -> String {
    format!("0x{}", hex::encode(address))
}

/// Reads an address written exactly as [`address_text`] writes it.
pub fn parse_address(text: &Address) -> Result<EvmAddress, RecordError> {
    let wrong = || RecordError::LocalParty(text.clone());
    let digits = text.as_str().strip_prefix("0x").ok_or_else(wrong)?;
    let mut bytes = [0; 20];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| wrong())?;
    let address = EvmAddress::from(bytes);
    if address_text(&address) == text.as_str() { Ok(address) } else { Err(wrong()) }
}

/// A client id as the contracts keep it: left-aligned in a word, zero-padded.
#[must_use]
pub fn client_word(client: &ClientId) -> [u8; 32] {
    let mut word = [0; 32];
    // A client id has at most 32 bytes.
    for (to, from) in word.iter_mut().zip(client.as_bytes()) {
        *to = *from;
    }
    word
}

/// Reads a client id from its word.
pub fn parse_client(word: &[u8; 32]) -> Result<ClientId, RecordError> {
    let end = word.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
    let text = word.get(..end).and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.and_then(|text| text.parse().ok()).ok_or(RecordError::Field("client id"))
}

/// The record of a packet whose denom stands at `denom_index` in the batch's table.
fn encode(packet: &Packet, lock: &PointsLock, direction: Direction, denom_index: u8) -> Result<Vec<u8>, RecordError> {
    let (local, remote) = match direction {
        Direction::In => (&lock.receiver, &lock.sender),
        Direction::Out => (&lock.sender, &lock.receiver),
    };
    if lock.amount > Amount::MAX_COMPACT {
        return Err(RecordError::Amount(lock.amount));
    }
    let local = parse_address(local)?;
    let remote = remote.as_bytes();
    let remote_len = u8::try_from(remote.len()).map_err(|_| RecordError::RemoteParty(remote.len()))?;
    let terms = lock.terms.encode();
    let terms_len = u16::try_from(terms.len()).map_err(|_| RecordError::Field("terms"))?;
    let memo_len = u16::try_from(lock.memo.len()).map_err(|_| RecordError::Field("memo"))?;
    let amount = lock.amount.get().to_be_bytes();
    let amount = amount.get(4..).ok_or(RecordError::Amount(lock.amount))?;
    Ok([
        &packet.sequence.0.to_be_bytes(),
        &packet.timeout.0.to_be_bytes(),
        &lock.claim_deadline.0.to_be_bytes(),
        amount,
        local.as_slice(),
        &lock.hashlock.0,
        &[denom_index, remote_len],
        &terms_len.to_be_bytes(),
        &memo_len.to_be_bytes(),
        remote,
        &terms,
        lock.memo.as_bytes(),
    ]
    .concat())
}

/// Takes bytes off the front; `None` when they run out.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn text(&mut self, count: usize) -> Option<&'a str> {
        std::str::from_utf8(self.take(count)?).ok()
    }
}

/// The packet that a `Sent` event of this chain describes.
pub fn decode_sent(
    source_client: &ClientId,
    dest_client: &ClientId,
    denom: &str,
    record: &[u8],
) -> Result<Packet, RecordError> {
    let short = || RecordError::Length { found: record.len(), expected: HEAD_LEN };
    let mut reader = Reader(record);
    let sequence = Sequence(reader.u64().ok_or_else(short)?);
    let timeout = Timestamp(reader.u64().ok_or_else(short)?);
    let claim_deadline = Timestamp(reader.u64().ok_or_else(short)?);
    let amount: [u8; 12] = reader.array().ok_or_else(short)?;
    let local = EvmAddress::from(reader.array::<20>().ok_or_else(short)?);
    let hashlock = Hashlock(reader.array().ok_or_else(short)?);
    let [denom_index, remote_len, terms_a, terms_b, memo_a, memo_b] = reader.array().ok_or_else(short)?;
    let terms_len = usize::from(u16::from_be_bytes([terms_a, terms_b]));
    let memo_len = usize::from(u16::from_be_bytes([memo_a, memo_b]));
    let expected =
        [HEAD_LEN, usize::from(remote_len), terms_len, memo_len].iter().fold(0, |a: usize, b| a.saturating_add(*b));
    if record.len() != expected || memo_len > MAX_MEMO_LEN {
        return Err(RecordError::Length { found: record.len(), expected });
    }
    if denom_index != 0 {
        return Err(RecordError::Field("denom index"));
    }
    let remote = reader.text(remote_len.into()).ok_or(RecordError::Field("remote party"))?;
    let terms = reader.take(terms_len).ok_or(RecordError::Field("terms"))?;
    let memo = reader.text(memo_len).ok_or(RecordError::Field("memo"))?;
    if !terms.is_empty() {
        return Err(RecordError::Field("terms"));
    }
    let mut wide = [0; 16];
    for (to, from) in wide.iter_mut().skip(4).zip(amount) {
        *to = from;
    }
    let lock = PointsLock {
        denom: denom.parse::<Denom>().map_err(|_| RecordError::Field("denom"))?,
        amount: Amount::new(u128::from_be_bytes(wide)),
        sender: address_text(&local).parse().map_err(|_| RecordError::Field("local party"))?,
        receiver: remote.parse().map_err(|_| RecordError::Field("remote party"))?,
        hashlock,
        claim_deadline,
        terms: Terms::Plain,
        memo: memo.to_owned(),
    };
    lock.validate().map_err(|_| RecordError::Field("amount or memo"))?;
    Ok(Packet {
        sequence,
        source_client: source_client.clone(),
        dest_client: dest_client.clone(),
        timeout,
        payload: Payload::points(&lock),
    })
}

/// Builds a batch: the denom table, then the items.
#[derive(Debug)]
pub struct Batch {
    direction: Direction,
    denoms: Vec<String>,
    items: Vec<u8>,
    count: u16,
}

impl Batch {
    /// An empty batch of packets that go this way.
    #[must_use]
    pub const fn new(direction: Direction) -> Self {
        Self { direction, denoms: vec![], items: vec![], count: 0 }
    }

    /// Adds an item: what stands before its record, and the record.
    pub fn push(&mut self, before: &[u8], packet: &Packet) -> Result<(), RecordError> {
        let lock = packet.points_lock()?;
        let denom = lock.denom.to_string();
        let known = self.denoms.iter().position(|known| *known == denom);
        let at = known.unwrap_or(self.denoms.len());
        let too_many = || RecordError::Batch { what: "denoms", max: MAX_DENOMS, found: at.saturating_add(1) };
        let index = u8::try_from(at).map_err(|_| too_many())?;
        if at >= MAX_DENOMS {
            return Err(too_many());
        }
        let record = encode(packet, &lock, self.direction, index)?;
        let max = usize::from(u16::MAX);
        self.count =
            self.count.checked_add(1).ok_or(RecordError::Batch { what: "items", max, found: max.saturating_add(1) })?;
        if known.is_none() {
            self.denoms.push(denom);
        }
        self.items.extend_from_slice(before);
        self.items.extend_from_slice(&record);
        Ok(())
    }

    /// The batch's bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        // Both counts were bounded as they grew; a denom has at most 256 bytes.
        let mut bytes = vec![u8::try_from(self.denoms.len()).unwrap_or(u8::MAX)];
        for denom in &self.denoms {
            bytes.extend_from_slice(&u16::try_from(denom.len()).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend_from_slice(denom.as_bytes());
        }
        bytes.extend_from_slice(&self.count.to_be_bytes());
        bytes.extend_from_slice(&self.items);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(sequence: u64, denom: &str, sender: &str, receiver: &str, amount: u128, memo: &str) -> Packet {
        let lock = PointsLock {
            denom: denom.parse().unwrap(),
            amount: Amount::new(amount),
            sender: sender.parse().unwrap(),
            receiver: receiver.parse().unwrap(),
            hashlock: Hashlock([7; 32]),
            claim_deadline: Timestamp(2_000),
            terms: Terms::Plain,
            memo: memo.into(),
        };
        Packet {
            sequence: Sequence(sequence),
            source_client: "checkpoint-0".parse().unwrap(),
            dest_client: "attested-0".parse().unwrap(),
            timeout: Timestamp(1_000),
            payload: Payload::points(&lock),
        }
    }

    const EVM: &str = "0x00000000000000000000000000000000000000aa";

    #[test]
    fn a_sent_record_gives_back_the_packet() {
        let packet = packet(9, "points/checkpoint-0/sfs", EVM, "point1xyz", u128::from(u64::MAX) * 3, "thanks");
        let lock = packet.points_lock().unwrap();
        let record = encode(&packet, &lock, Direction::Out, 0).unwrap();
        assert_eq!(record.len(), 94 + 9 + 6);
        let decode =
            |record: &[u8]| decode_sent(&packet.source_client, &packet.dest_client, &lock.denom.to_string(), record);
        assert_eq!(decode(&record).unwrap(), packet);
        assert!(decode(&record[..record.len() - 1]).is_err());
        assert!(decode(&[record.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn what_a_record_cannot_express_is_refused() {
        let big = packet(1, "sfs", "point1xyz", EVM, 1 << 96, "");
        assert!(matches!(Batch::new(Direction::In).push(&[], &big), Err(RecordError::Amount(_))));
        let upper = packet(1, "sfs", "point1xyz", "0x00000000000000000000000000000000000000AA", 1, "");
        assert!(matches!(Batch::new(Direction::In).push(&[], &upper), Err(RecordError::LocalParty(_))));
    }

    #[test]
    fn a_denom_stands_once_in_a_batch() {
        let mut batch = Batch::new(Direction::In);
        for (sequence, denom) in [(1, "sfs"), (2, "gold"), (3, "sfs")] {
            batch.push(&[], &packet(sequence, denom, "point1xyz", EVM, 5, "")).unwrap();
        }
        let bytes = batch.into_bytes();
        assert_eq!(&bytes[..14], b"\x02\x00\x03sfs\x00\x04gold\x00\x03");
    }

    #[test]
    fn client_words_round_trip() {
        for client in ["attested-0", "abcdefghijklmnopqrstuvwxyz-01234"] {
            let client: ClientId = client.parse().unwrap();
            assert_eq!(parse_client(&client_word(&client)).unwrap(), client);
        }
        assert!(parse_client(&[0; 32]).is_err());
        let mut gap = client_word(&"attested-0".parse().unwrap());
        gap[20] = b'x';
        assert!(parse_client(&gap).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(record in proptest::collection::vec(any::<u8>(), 0..300)) {
            let client: ClientId = "attested-0".parse().unwrap();
            let _ = decode_sent(&client, &client, "sfs", &record);
        }
    }
}
