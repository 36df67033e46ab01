//! What the tests of the clients share.

use crate::common::evm::{Evm, inbound};
use crate::common::{Chain, outcomes, preimage, sfs};
use crosspoint_ledger::code;
use crosspoint_ledger::events::{Event, Outcome};
use crosspoint_ledger::handlers::client::join_evidence;
use crosspoint_ledger::query::ClientView;
use crosspoint_ledger::tx::action::{Action, ClientSpec};
use crosspoint_ledger::tx::message::{Message, ProvenClaim, RelayBatch, RelayItem};
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::ids::{ClientId, Height};
use crosspoint_protocol::packet::{Packet, Payload};

#[path = "../../../protocol/tests/vectors/mod.rs"]
mod vectors;
pub use vectors::vector;

/// Opens a client for packets; its id.
pub fn open(chain: &mut Chain, spec: ClientSpec) -> ClientId {
    let events = chain.decide(Action::CreateClient { spec: Box::new(spec) });
    let client = events.iter().find_map(|event| match event {
        Event::ClientCreated { client, .. } => Some(client.clone()),
        _ => None,
    });
    let client = client.unwrap();
    let counterparty_client = crate::common::CHECKPOINT.parse().unwrap();
    chain.decide(Action::RegisterCounterparty { client: client.clone(), counterparty_client });
    client
}

pub fn view(chain: &Chain, client: &ClientId) -> ClientView {
    chain.query("/client", client.as_str().as_bytes())
}

/// An update alone.
pub fn update(chain: &mut Chain, client: &ClientId, bytes: Vec<u8>) -> Vec<Event> {
    chain.ok("relayer", update_message(client, bytes))
}

/// An update that must be refused; why.
pub fn refused(chain: &mut Chain, client: &ClientId, bytes: Vec<u8>) -> String {
    chain.refused("relayer", update_message(client, bytes), code::CLIENT)
}

fn update_message(client: &ClientId, bytes: Vec<u8>) -> Message {
    Message::Relay(RelayBatch {
        client: client.clone(),
        height: Height(0),
        update: Some(bytes),
        shared_proof: vec![],
        items: vec![],
    })
}

pub fn evidence(client: &ClientId, headers: &[Vec<u8>]) -> Message {
    Message::SubmitMisbehaviour { client: client.clone(), evidence: join_evidence(headers) }
}

/// Items proven by `evm` at its newest block, with an update.
pub fn relay(
    chain: &mut Chain,
    client: &ClientId,
    evm: &Evm,
    update: Option<Vec<u8>>,
    items: Vec<(Packet, ProvenClaim)>,
) -> Vec<(Outcome, String)> {
    let item = |(packet, claim): (Packet, ProvenClaim)| {
        let path = match claim {
            ProvenClaim::Sent => packet.commitment_path(),
            ProvenClaim::Acknowledged(_) => packet.ack_path(),
            ProvenClaim::NotReceived => packet.receipt_path(),
        };
        RelayItem { proof: evm.proof(&path), packet, claim }
    };
    let batch = RelayBatch {
        client: client.clone(),
        height: Height(evm.head().number),
        update,
        shared_proof: evm.account_proof(),
        items: items.into_iter().map(item).collect(),
    };
    outcomes(&chain.ok("relayer", Message::Relay(batch)))
}

/// Locks points of the mall towards the client.
pub fn lock(chain: &mut Chain, client: &ClientId, amount: u128, n: u8) -> Packet {
    let mut msg = chain.lock_msg(amount, preimage(n).hashlock());
    msg.client = client.clone();
    crate::common::sent_packet(&chain.ok("mall", Message::Lock(msg)))
}

/// Whatever the client's type: an ack settles, a packet is received, a timeout refunds, and what is not there is not
/// proven. `update` makes the update to `evm`'s newest block.
pub fn packets_cross(
    chain: &mut Chain,
    client: &ClientId,
    evm: &mut Evm,
    update: &mut dyn FnMut(&mut Evm, u64) -> Vec<u8>,
) {
    let paid = lock(chain, client, 30, 1);
    let never = lock(chain, client, 20, 2);
    let ack = Acknowledgement::Success(preimage(1));
    evm.receive(&paid);
    let mut points = inbound("points/checkpoint-0/sfs", 10, "bob", preimage(3).hashlock(), chain.now + 300);
    points.denom = format!("points/{}/sfs", crate::common::CHECKPOINT).parse().unwrap();
    let mut back = evm.packet(Payload::points(&points), chain.now + 150);
    back.dest_client = client.clone();
    evm.store(&back.commitment_path(), back.commitment());
    let bytes = update(evm, chain.now);
    let early = vec![
        (paid.clone(), ProvenClaim::Acknowledged(ack.encode())),
        (back.clone(), ProvenClaim::Sent),
        (never.clone(), ProvenClaim::NotReceived),
    ];
    let found = relay(chain, client, evm, Some(bytes), early);
    // No ack is there, the vault is empty, and the packet may still be received.
    assert!(found.iter().all(|(outcome, _)| *outcome == Outcome::Skipped), "{found:?}");
    evm.acknowledge(&paid, &ack);
    chain.now = never.timeout.0 - 3;
    let bytes = update(evm, never.timeout.0);
    let late = vec![
        (paid, ProvenClaim::Acknowledged(ack.encode())),
        (back, ProvenClaim::Sent),
        (never, ProvenClaim::NotReceived),
    ];
    chain.now = evm.head().time;
    let found = relay(chain, client, evm, Some(bytes), late);
    assert!(found.iter().all(|(outcome, _)| *outcome == Outcome::Done), "{found:?}");
    assert_eq!(chain.balance("mall", &sfs()), 600_000_000 - 30);
    chain.check_books();
}
