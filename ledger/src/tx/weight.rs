//! What is in a transaction's bytes, counted before anything is decoded.
//!
//! A message or an item of two bytes decodes to hundreds, and makes an event of hundreds more. Without bounds on their
//! number a stranger's megabyte would take a hundred times its size in memory, and one member's block would have
//! results that no relayer can read any more. So both are bounded by count, and a block by what its results may take.

use prost::encoding::{WireType, decode_key, decode_varint};

use super::{MAX_ITEMS, MAX_MSGS, MAX_WEIGHT, TxError};

/// Bytes of results, written as JSON, that a transaction takes at most beside its messages.
const TX: usize = 256;
/// The same per message.
const MESSAGE: usize = 512;
/// The same per lock, whose event carries the packet.
const LOCK: usize = 3 * 1024;
/// The same per item of a batch: its outcome with a reason, an ack, an end.
const ITEM: usize = 1024;
/// The same per received packet that is forwarded: what is sent on is a second event with a packet, on top of what the
/// first one's bytes pay for.
const FORWARD: usize = LOCK;
/// The same per byte of such a packet's payload.
const FORWARD_BYTE: usize = 3;
/// The same per byte: what a transaction carries may come back in an event, as hex and once more as text.
const BYTE: usize = 3;
// Signatures of client updates and evidence are paid for in the same unit. A block weighs at most 24 MiB; about 25 per
// microsecond keep what it verifies to about a second.
/// For one update or piece of evidence: two pairings, as it is verified once more when it is refused.
const UPDATE: usize = 96 * 1024;
/// For each byte of it. A signature has 64 bytes or more, takes about 50 microseconds, and is verified twice at most.
const UPDATE_BYTE: usize = 40;

/// Bytes of a transaction around its body: the key, the signature, their heads.
const ENVELOPE: usize = 128;

/// Field numbers of [`super::wire`].
mod field {
    pub(super) const BODY: u32 = 1;
    pub(super) const MSGS: u32 = 3;
    pub(super) const LOCK: u32 = 4;
    pub(super) const CLAIM: u32 = 5;
    pub(super) const VOID: u32 = 6;
    pub(super) const RELAY: u32 = 7;
    pub(super) const MISBEHAVIOUR: u32 = 8;
    pub(super) const BATCH_ITEMS: u32 = 1;
    pub(super) const EVIDENCE: u32 = 2;
    pub(super) const RELAY_UPDATE: u32 = 3;
    pub(super) const RELAY_ITEMS: u32 = 5;
    pub(super) const ITEM_PACKET: u32 = 2;
    pub(super) const PACKET_VALUE: u32 = 9;
}

/// How many of what may be costly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    messages: usize,
    locks: usize,
    items: usize,
    forwards: usize,
    forward_bytes: usize,
    updates: usize,
    update_bytes: usize,
}

/// Fails if the transaction has more messages, or more items in all its batches together, than any may, or is too heavy
/// for any block.
pub(super) fn check(body: &[u8]) -> Result<(), TxError> {
    let counts = count_body(body).ok_or(TxError::Protobuf)?;
    if counts.messages > MAX_MSGS {
        return Err(TxError::MessageCount(counts.messages));
    }
    if counts.items > MAX_ITEMS {
        return Err(TxError::ItemCount(counts.items));
    }
    let weight = counts.weight(body.len().saturating_add(ENVELOPE));
    if weight > MAX_WEIGHT { Err(TxError::TooHeavy(weight)) } else { Ok(()) }
}

/// What a transaction costs at most: what its results take, in bytes of JSON, and the signatures that it has verified.
/// Bytes that are no transaction weigh what they are.
#[must_use]
pub fn weight(tx: &[u8]) -> usize {
    let mut counts = Counts::default();
    let _ = each_field(tx, |number, body| {
        if number == field::BODY {
            counts = count_body(body).unwrap_or_default();
        }
    });
    counts.weight(tx.len())
}

impl Counts {
    fn weight(self, len: usize) -> usize {
        [
            TX,
            len.saturating_mul(BYTE),
            self.messages.saturating_mul(MESSAGE),
            self.locks.saturating_mul(LOCK),
            self.items.saturating_mul(ITEM),
            self.forwards.saturating_mul(FORWARD),
            self.forward_bytes.saturating_mul(FORWARD_BYTE),
            self.updates.saturating_mul(UPDATE),
            self.update_bytes.saturating_mul(UPDATE_BYTE),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }
}

fn count_body(body: &[u8]) -> Option<Counts> {
    let mut counts = Counts::default();
    let mut sound = true;
    let add = |count: &mut usize| *count = count.saturating_add(1);
    each_field(body, |number, msg| {
        if number != field::MSGS {
            return;
        }
        add(&mut counts.messages);
        // A message that names its kind twice is merged when it is decoded, so every part counts.
        let read = each_field(msg, |kind, batch| {
            let (items, update) = match kind {
                field::LOCK => {
                    add(&mut counts.locks);
                    return;
                }
                field::CLAIM | field::VOID => (Some(field::BATCH_ITEMS), None),
                field::RELAY => (Some(field::RELAY_ITEMS), Some(field::RELAY_UPDATE)),
                field::MISBEHAVIOUR => (None, Some(field::EVIDENCE)),
                _ => return,
            };
            let read = each_field(batch, |number, bytes| {
                if Some(number) == items {
                    add(&mut counts.items);
                    if kind == field::RELAY {
                        count_forwards(&mut counts, bytes);
                    }
                }
                if Some(number) == update {
                    add(&mut counts.updates);
                    counts.update_bytes = counts.update_bytes.saturating_add(bytes.len());
                }
            });
            sound &= read.is_some();
        });
        sound &= read.is_some();
    })?;
    sound.then_some(counts)
}

/// Counts what an item's packet may send on. Parts of a packet that is given twice are merged when it is decoded, so every
/// payload counts. What is no protobuf is refused when it is decoded.
fn count_forwards(counts: &mut Counts, item: &[u8]) {
    let _ = each_field(item, |number, packet| {
        if number != field::ITEM_PACKET {
            return;
        }
        let _ = each_field(packet, |number, value| {
            if number == field::PACKET_VALUE && has_terms(value) {
                counts.forwards = counts.forwards.saturating_add(1);
                counts.forward_bytes = counts.forward_bytes.saturating_add(value.len());
            }
        });
    });
}

/// Whether a payload that decodes as a lock has terms: their offset is the seventh word of the struct, their length the
/// word there.
fn has_terms(value: &[u8]) -> bool {
    let word = |at: usize| {
        let low = value.get(at.checked_add(24)?..at.checked_add(32)?)?;
        usize::try_from(u64::from_be_bytes(low.try_into().ok()?)).ok()
    };
    let len = word(32 + 6 * 32).and_then(|offset| word(offset.checked_add(32)?));
    len.is_some_and(|len| len != 0)
}

/// Shows every field that holds bytes; `None` if the bytes are no protobuf.
fn each_field<'a>(mut rest: &'a [u8], mut show: impl FnMut(u32, &'a [u8])) -> Option<()> {
    while !rest.is_empty() {
        let (number, kind) = decode_key(&mut rest).ok()?;
        match kind {
            WireType::Varint => {
                decode_varint(&mut rest).ok()?;
            }
            WireType::SixtyFourBit => rest = rest.get(8..)?,
            WireType::ThirtyTwoBit => rest = rest.get(4..)?,
            WireType::LengthDelimited => {
                let len = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
                let (bytes, after) = rest.split_at_checked(len)?;
                show(number, bytes);
                rest = after;
            }
            WireType::StartGroup | WireType::EndGroup => return None,
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tx::{Tx, wire};
    use prost::Message as _;

    fn tx(msgs: Vec<wire::Msg>) -> Vec<u8> {
        let body = wire::Body { chain_id: "crosspoint-1".into(), nonce: 1, msgs }.encode_to_vec();
        wire::Tx { body, public_key: vec![7; 32], signature: vec![0; 64] }.encode_to_vec()
    }

    fn voids(items: usize) -> wire::Msg {
        let items = vec![wire::Void { client: "attested-0".into(), sequence: 9 }; items];
        wire::Msg { kind: Some(wire::Kind::Void(wire::Voids { items })) }
    }

    #[test]
    fn what_swells_when_it_is_decoded_is_refused_before() {
        // Two bytes each: a message without a kind, an item without a packet.
        let empty = tx(vec![wire::Msg { kind: None }; 400_000]);
        assert_eq!(Tx::decode(&empty).err(), Some(TxError::MessageCount(400_000)));
        let items = vec![wire::Item::default(); 400_000];
        let relay = wire::Msg { kind: Some(wire::Kind::Relay(wire::Relay { items, ..wire::Relay::default() })) };
        assert_eq!(Tx::decode(&tx(vec![relay])).err(), Some(TxError::ItemCount(400_000)));
    }

    #[test]
    fn items_are_bounded_over_all_messages_and_parts_of_messages() {
        assert_eq!(Tx::decode(&tx(vec![voids(MAX_ITEMS / 2), voids(MAX_ITEMS / 2 + 1)])).err(), {
            Some(TxError::ItemCount(MAX_ITEMS + 1))
        });
        // One kind given twice in one message: decoding would join the two lists.
        let one = voids(MAX_ITEMS).encode_to_vec();
        let msg = [one.clone(), one].concat();
        let mut body = wire::Body { chain_id: "crosspoint-1".into(), nonce: 1, msgs: vec![] }.encode_to_vec();
        prost::encoding::bytes::encode(field::MSGS, &msg, &mut body);
        assert_eq!(check(&body), Err(TxError::ItemCount(2 * MAX_ITEMS)));
        assert_eq!(check(&[0xff]), Err(TxError::Protobuf));
    }

    #[test]
    fn a_transaction_weighs_what_is_in_it() {
        let (none, some) = (weight(&tx(vec![voids(0)])), weight(&tx(vec![voids(100)])));
        assert!(some - none > 100 * ITEM, "{some} - {none}");
        let lock = wire::Msg { kind: Some(wire::Kind::Lock(wire::Lock::default())) };
        assert!(weight(&tx(vec![lock])) > LOCK);
        assert_eq!(weight(&[0xff; 10]), TX + 10 * BYTE);
    }

    #[test]
    fn signatures_are_paid_for_in_updates_and_in_evidence() {
        let bytes = 64 * 100;
        let relay = wire::Relay { update: vec![1; bytes], ..Default::default() };
        let relay = wire::Msg { kind: Some(wire::Kind::Relay(relay)) };
        let evidence = wire::Misbehaviour { client: "qbft-0".into(), evidence: vec![1; bytes] };
        let evidence = wire::Msg { kind: Some(wire::Kind::Misbehaviour(evidence)) };
        for msg in [relay.clone(), evidence] {
            let weight = weight(&tx(vec![msg]));
            assert!(weight > UPDATE + bytes * UPDATE_BYTE, "{weight}");
        }
        // What no block has room for is no transaction: else it would wait for ever.
        let heavy = tx(vec![relay; 80]);
        assert!(heavy.len() < super::super::MAX_TX_BYTES);
        assert!(matches!(Tx::decode(&heavy), Err(TxError::TooHeavy(weight)) if weight > MAX_WEIGHT));
        // The largest evidence that is taken fits into a block.
        let evidence = wire::Misbehaviour { client: "x".repeat(32), evidence: vec![1; 512 * 1024] };
        let largest = tx(vec![wire::Msg { kind: Some(wire::Kind::Misbehaviour(evidence)) }]);
        assert!(weight(&largest) <= MAX_WEIGHT);
    }
}
