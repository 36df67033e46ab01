//! What a transaction weighs is never less than what its results take: else a block could not be read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::evm::{Evm, inbound};
use common::{Chain, account, attested, batch, preimage, sfs};
use crosspoint_ledger::code;
use crosspoint_ledger::tx::message::{ClaimItem, Message, ProvenClaim, VoidItem};
use crosspoint_ledger::tx::weight::weight;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::ids::{ClientId, Sequence};
use crosspoint_protocol::packet::Payload;

/// The bytes of a transaction's results in the RPC's answer, and its weight.
fn measure(chain: &mut Chain, messages: Vec<Message>) -> (usize, usize) {
    let tx = chain.sign("mall", messages);
    let result = chain.block(std::slice::from_ref(&tx)).pop().unwrap();
    assert_eq!(result.code, code::OK, "{}", result.log);
    let events: Vec<_> = result.events.iter().map(|event| event.to_abci()).collect();
    (serde_json::to_string(&events).unwrap().len() + 160, weight(&tx))
}

#[test]
fn results_never_take_more_than_their_transactions_weigh() {
    let mut evm = Evm::new();
    let mut chain = Chain::linked(&evm);
    // What JSON has to escape takes the most room.
    let memos = [String::new(), "\"".repeat(512), "\\".repeat(512)];
    let long: ClientId = "z".repeat(32).parse().unwrap();
    let mut cases: Vec<(String, Vec<Message>)> = vec![];
    for memo in &memos {
        let transfer =
            Message::Transfer { to: account("bob"), denom: sfs(), amount: Amount::new(1), memo: memo.clone() };
        cases.push((format!("transfers, memo of {}", memo.len()), vec![transfer; 200]));
        let locks = (0..40).map(|_| {
            let mut lock = chain.lock_msg(1, preimage(0).hashlock());
            lock.hashlock.0 = crosspoint_protocol::sha256(&[memo.as_bytes(), &cases.len().to_be_bytes()]);
            lock.memo = memo.clone();
            lock
        });
        let mut locks: Vec<_> = locks.collect();
        for (n, lock) in locks.iter_mut().enumerate() {
            lock.hashlock.0[..8].copy_from_slice(&n.to_be_bytes());
        }
        let locks = locks.into_iter().map(Message::Lock).collect();
        cases.push((format!("locks, memo of {}", memo.len()), locks));
    }
    for client in [attested(), long] {
        let void = VoidItem { client: client.clone(), sequence: Sequence(u64::MAX) };
        cases.push((format!("voids of {client}"), vec![Message::Void(vec![void; 512])]));
        let claim = ClaimItem { client: client.clone(), sequence: Sequence(u64::MAX), secret: vec![7; 32] };
        cases.push((format!("claims of {client}"), vec![Message::Claim(vec![claim; 512])]));
    }
    for (what, messages) in cases {
        let (results, weight) = measure(&mut chain, messages);
        assert!(results <= weight, "{what}: results of {results} bytes, weight {weight}");
    }
    // Packets come back whole in the event of their receipt, with why they were refused.
    let mut packets = vec![];
    for _ in 0..20 {
        let lock = inbound("points/checkpoint-0/sfs", 1, "mall", preimage(1).hashlock(), chain.now + 200);
        let mut payload = Payload::points(&lock);
        (payload.value, payload.encoding) = (vec![b'"'; 16_000], "\"".repeat(128));
        packets.push((evm.packet(payload, chain.now + 100), ProvenClaim::Sent));
    }
    evm.mine(chain.now);
    let (results, weight) = measure(&mut chain, vec![Message::Relay(batch(&mut evm, packets))]);
    assert!(results <= weight, "receipts: results of {results} bytes, weight {weight}");
}
