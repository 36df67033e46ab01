//! Forwarding: a packet from spoke A is sent on to spoke C in the step that receives it, and ends as the onward packet does.
//! Both spokes are simulated behind real attested headers and storage proofs; A is one that can say forward terms.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::evm::{Evm, inbound};
use common::{Chain, account, attested, batch, batch_of, outcomes, preimage, sfs};
use crosspoint_ledger::address::AccountId;
use crosspoint_ledger::code;
use crosspoint_ledger::events::{Event, Outcome};
use crosspoint_ledger::query::{DenomSupplyView, HashlockQuery, HoldView, PacketRef, PacketView, ProposalView};
use crosspoint_ledger::tx::action::{Action, ClientSpec, Limits};
use crosspoint_ledger::tx::message::{ClaimItem, Message, ProvenClaim, VoidItem};
use crosspoint_ledger::tx::weight::weight;
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::htlc::{AckCause, HoldState, LockState};
use crosspoint_protocol::ids::{ClientId, Sequence, Timestamp};
use crosspoint_protocol::lock::{PointsLock, Terms};
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::terms::{Forward, Hop};

/// The hub's client of spoke C, and C's client of the hub.
const ONWARD: &str = "attested-1";
const CHECKPOINT_C: &str = "checkpoint-1";
/// A denom at home on A, and one at home on C.
const OF_A: &str = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const OF_C: &str = "0xcccccccccccccccccccccccccccccccccccccccc";

fn onward() -> ClientId {
    ONWARD.parse().unwrap()
}

struct World {
    hub: Chain,
    a: Evm,
    c: Evm,
    secret: u8,
}

type Change<'a> = &'a dyn Fn(&mut PointsLock, &mut Hop);

impl World {
    fn new() -> Self {
        let (a, c) = (Evm::new(), Evm::new());
        let mut hub = Chain::linked(&a);
        hub.decide(Action::CreateClient { spec: Box::new(ClientSpec::Attested(c.spec())) });
        let counterparty_client = CHECKPOINT_C.parse().unwrap();
        hub.decide(Action::RegisterCounterparty { client: onward(), counterparty_client });
        let mut world = Self { hub, a, c, secret: 0 };
        for (client, denom) in [("attested-0", OF_A), (ONWARD, OF_C)] {
            world.hub.decide(Action::SetVoucherCap {
                denom: format!("points/{client}/{denom}").parse().unwrap(),
                symbol: "VOU".into(),
                cap: Amount::new(1_000),
            });
        }
        world
    }

    /// A packet of A to be forwarded to C: `denom` as A names it.
    fn packet(&mut self, denom: &str, amount: u128, change: Change<'_>) -> Packet {
        self.secret += 1;
        let mut lock = inbound(denom, amount, "alice", preimage(self.secret).hashlock(), self.hub.now + 200);
        lock.receiver = AccountId::forwarder().to_string().parse().unwrap();
        let mut hop = Hop {
            client: onward(),
            receiver: format!("0x{}", "ab".repeat(20)).parse().unwrap(),
            timeout: Timestamp(self.hub.now + 100),
            claim_deadline: Timestamp(self.hub.now + 200),
        };
        change(&mut lock, &mut hop);
        if lock.terms == Terms::Plain {
            lock.terms = Terms::Forward(Forward::new(vec![hop]).unwrap());
        }
        let packet = self.a.send(&lock, self.hub.now + 100);
        self.a.mine(self.hub.now);
        packet
    }

    fn bring(&mut self, packet: &Packet) -> Vec<Event> {
        self.a.mine(self.hub.now);
        let relay = batch(&mut self.a, vec![(packet.clone(), ProvenClaim::Sent)]);
        self.hub.ok("relayer", Message::Relay(relay))
    }

    /// Receives a packet that is sent on: the onward packet.
    fn forwarded(&mut self, packet: &Packet) -> Packet {
        let events = self.bring(packet);
        assert_eq!(outcomes(&events), [(Outcome::Done, String::new())]);
        let onward = common::sent_packet(&events);
        assert_eq!(self.hold(packet).state, Some(HoldState::Bound));
        self.check();
        onward
    }

    /// Brings what C says of an onward packet.
    fn end(&mut self, packet: &Packet, claim: ProvenClaim) -> Vec<Event> {
        self.c.mine(self.hub.now);
        let relay = batch_of(onward(), &mut self.c, vec![(packet.clone(), claim)]);
        self.hub.ok("relayer", Message::Relay(relay))
    }

    fn acked(&mut self, packet: &Packet, ack: &Acknowledgement) -> Vec<Event> {
        self.c.receive(packet);
        self.c.acknowledge(packet, ack);
        self.end(packet, ProvenClaim::Acknowledged(ack.encode()))
    }

    /// Receives what A or C sends, plainly, and claims it for `alice`.
    fn arrive(&mut self, packet: &Packet, client: ClientId, secret: u8) {
        let evm = if client == onward() { &mut self.c } else { &mut self.a };
        evm.mine(self.hub.now);
        let relay = batch_of(client.clone(), evm, vec![(packet.clone(), ProvenClaim::Sent)]);
        assert_eq!(outcomes(&self.hub.ok("relayer", Message::Relay(relay)))[0].0, Outcome::Done);
        let item = ClaimItem { client, sequence: packet.sequence, secret: preimage(secret).reveal().to_vec() };
        assert_eq!(outcomes(&self.hub.ok("bob", Message::Claim(vec![item])))[0].0, Outcome::Done);
    }

    /// `name` sends to A, and A's receiver claims.
    fn settle_at_a(&mut self, name: &str, denom: &Denom, amount: u128) {
        self.secret += 1;
        let secret = preimage(self.secret);
        let mut msg = self.hub.lock_msg(amount, secret.hashlock());
        msg.denom = denom.clone();
        let packet = common::sent_packet(&self.hub.ok(name, Message::Lock(msg)));
        let ack = Acknowledgement::Success(secret);
        self.a.receive(&packet);
        self.a.acknowledge(&packet, &ack);
        self.a.mine(self.hub.now);
        assert_eq!(
            self.hub.relay(&mut self.a, vec![(packet, ProvenClaim::Acknowledged(ack.encode()))])[0].0,
            Outcome::Done
        );
    }

    fn hold(&self, packet: &Packet) -> HoldView {
        let at = PacketRef { client: packet.dest_client.clone(), sequence: packet.sequence };
        self.hub.query("/hold", &serde_json::to_vec(&at).unwrap())
    }

    fn sent(&self, packet: &Packet) -> PacketView {
        let at = PacketRef { client: packet.source_client.clone(), sequence: packet.sequence };
        self.hub.query("/packet", &serde_json::to_vec(&at).unwrap())
    }

    fn supply(&self, denom: &Denom) -> DenomSupplyView {
        self.hub.check_books().denoms.into_iter().find(|view| view.denom == *denom).unwrap()
    }

    fn check(&self) {
        self.hub.check_books();
    }
}

fn ack_of(events: &[Event]) -> Option<(ClientId, Sequence, Vec<u8>, AckCause)> {
    events.iter().find_map(|event| match event {
        Event::AckWritten { dest_client, sequence, ack, cause } => {
            Some((dest_client.clone(), *sequence, ack.0.clone(), *cause))
        }
        _ => None,
    })
}

fn parts(view: &DenomSupplyView) -> [u128; 4] {
    let out = view.home.get(&onward()).copied().unwrap_or_default();
    [view.bound, out.locked, out.vault, view.return_holds].map(Amount::get)
}

#[test]
fn a_forward_is_one_hashlock_and_ends_as_its_onward_packet() {
    let mut world = World::new();
    let voucher: Denom = format!("points/attested-0/{OF_A}").parse().unwrap();
    let packet = world.packet(OF_A, 50, &|lock, _| lock.memo = "for lunch".into());
    let onward_packet = world.forwarded(&packet);
    let lock = onward_packet.points_lock().unwrap();
    let sender = AccountId::forwarding(&attested(), packet.sequence);
    assert_eq!((lock.denom.clone(), lock.amount.get(), lock.memo.as_str()), (voucher.clone(), 50, "for lunch"));
    assert_eq!((lock.sender.to_string(), &lock.terms), (sender.to_string(), &Terms::Plain));
    assert_eq!(lock.hashlock, packet.points_lock().unwrap().hashlock);
    assert_eq!((world.sent(&onward_packet).forwards, world.hold(&packet).onward), {
        let at =
            |packet: &Packet, client: &ClientId| Some(PacketRef { client: client.clone(), sequence: packet.sequence });
        (at(&packet, &attested()), at(&onward_packet, &onward()))
    });
    let view = world.supply(&voucher);
    assert_eq!((parts(&view), view.voucher.unwrap().held.get()), ([50, 50, 0, 0], 50));

    // It settles, in one step, and only once.
    let ack = Acknowledgement::Success(preimage(1));
    let events = world.acked(&onward_packet, &ack);
    assert_eq!(ack_of(&events), Some((attested(), packet.sequence, ack.encode(), AckCause::Claimed)));
    assert_eq!(world.hold(&packet).state, Some(HoldState::Claimed));
    let view = world.supply(&voucher);
    let book = view.voucher.unwrap();
    assert_eq!((parts(&view), book.held.get(), book.circulating.get()), ([0, 0, 50, 0], 0, 50));
    for again in [world.end(&onward_packet, ProvenClaim::Acknowledged(ack.encode())), world.bring(&packet)] {
        assert_eq!(outcomes(&again), [(Outcome::Duplicate, String::new())]);
        assert_eq!(ack_of(&again), None);
    }
    world.check();
}

#[test]
fn a_refusal_or_a_timeout_over_there_gives_the_hold_up() {
    let mut world = World::new();
    let voucher: Denom = format!("points/attested-0/{OF_A}").parse().unwrap();
    let [refused, late] = [(); 2].map(|()| {
        let packet = world.packet(OF_A, 50, &|_, _| {});
        (world.forwarded(&packet), packet)
    });
    assert_eq!(parts(&world.supply(&voucher)), [100, 100, 0, 0]);
    let error = (attested(), refused.1.sequence, Acknowledgement::Error.encode(), AckCause::Voided);
    assert_eq!(ack_of(&world.acked(&refused.0, &Acknowledgement::Error)), Some(error));
    // C's clock, not the hub's, says when the onward packet can no longer be received.
    let early = outcomes(&world.end(&late.0, ProvenClaim::NotReceived));
    assert_eq!(early[0].0, Outcome::Skipped, "{early:?}");
    assert_eq!(world.hold(&late.1).state, Some(HoldState::Bound));
    world.hub.now = late.0.timeout.0;
    let error = (attested(), late.1.sequence, Acknowledgement::Error.encode(), AckCause::Voided);
    assert_eq!(ack_of(&world.end(&late.0, ProvenClaim::NotReceived)), Some(error));
    assert_eq!([&refused, &late].map(|(_, packet)| world.hold(packet).state), [Some(HoldState::Void); 2]);
    let view = world.supply(&voucher);
    assert_eq!((parts(&view), view.voucher.unwrap().supply().unwrap().get()), ([0; 4], 0));
}

#[test]
fn no_preimage_and_no_clock_moves_a_bound_hold() {
    let mut world = World::new();
    let packet = world.packet(OF_A, 50, &|_, _| {});
    let onward_packet = world.forwarded(&packet);
    let skipped = |world: &mut World, message| {
        let done = outcomes(&world.hub.ok("bob", message));
        assert!(done[0].0 == Outcome::Skipped && done[0].1.contains("bound"), "{done:?}");
    };
    let secret = preimage(1).reveal().to_vec();
    let claim = Message::Claim(vec![ClaimItem { client: attested(), sequence: packet.sequence, secret }]);
    let void = Message::Void(vec![VoidItem { client: attested(), sequence: packet.sequence }]);
    skipped(&mut world, claim.clone());
    skipped(&mut world, void.clone());
    world.hub.now += 100_000;
    skipped(&mut world, claim);
    skipped(&mut world, void);
    assert_eq!(world.hold(&packet).state, Some(HoldState::Bound));
    // A preimage that does not open the hashlock, proven or not, changes nothing; the right one still does.
    let mut world = World::new();
    let packet = world.packet(OF_A, 50, &|_, _| {});
    let onward_packet_2 = world.forwarded(&packet);
    assert_eq!(onward_packet_2.sequence, onward_packet.sequence);
    let wrong = outcomes(&world.acked(&onward_packet_2, &Acknowledgement::Success(preimage(9))));
    assert!(wrong[0].0 == Outcome::Skipped && wrong[0].1.contains("does not open"), "{wrong:?}");
    assert_eq!(
        (world.hold(&packet).state, world.sent(&onward_packet_2).state),
        (Some(HoldState::Bound), LockState::Sent)
    );
    world.check();
    world.acked(&onward_packet_2, &Acknowledgement::Success(preimage(1)));
    assert_eq!(world.hold(&packet).state, Some(HoldState::Claimed));
    world.check();
}

#[test]
fn home_points_and_vouchers_unwind_hop_by_hop() {
    for settles in [true, false] {
        let mut world = World::new();
        // Home points went to A, and go on to C.
        world.settle_at_a("mall", &sfs(), 80);
        let packet = world.packet("points/checkpoint-0/sfs", 80, &|_, _| {});
        let onward_packet = world.forwarded(&packet);
        assert_eq!(parts(&world.supply(&sfs())), [80, 80, 0, 80]);
        let ack = if settles { Acknowledgement::Success(preimage(world.secret)) } else { Acknowledgement::Error };
        world.acked(&onward_packet, &ack);
        let view = world.supply(&sfs());
        assert_eq!(parts(&view), [0, 0, if settles { 80 } else { 0 }, 0]);
        assert_eq!(view.home[&attested()].vault.get(), if settles { 0 } else { 80 });

        // C's points came to the hub and went on to A; now they go home through the hub.
        let voucher: Denom = format!("points/{ONWARD}/{OF_C}").parse().unwrap();
        world.secret += 1;
        let mut lock = inbound(OF_C, 60, "alice", preimage(world.secret).hashlock(), world.hub.now + 200);
        lock.sender = "0xcc".parse().unwrap();
        let mut in_packet = world.c.packet(crosspoint_protocol::packet::Payload::points(&lock), world.hub.now + 100);
        (in_packet.source_client, in_packet.dest_client) = (CHECKPOINT_C.parse().unwrap(), onward());
        world.c.store(&in_packet.commitment_path(), in_packet.commitment());
        world.arrive(&in_packet, onward(), world.secret);
        world.settle_at_a("alice", &voucher, 60);
        let packet = world.packet(&format!("points/checkpoint-0/{voucher}"), 60, &|_, _| {});
        let onward_packet = world.forwarded(&packet);
        let view = world.supply(&voucher);
        let book = view.voucher.unwrap();
        assert_eq!((parts(&view), book.returning.get(), book.circulating.get()), ([60, 0, 0, 60], 60, 0));
        let ack = if settles { Acknowledgement::Success(preimage(world.secret)) } else { Acknowledgement::Error };
        world.acked(&onward_packet, &ack);
        let view = world.supply(&voucher);
        assert_eq!(parts(&view), [0; 4]);
        // Burned, for they are home; or back with A's vouchers.
        assert_eq!(view.voucher.unwrap().supply().unwrap().get(), if settles { 0 } else { 60 });
        assert_eq!(view.home[&attested()].vault.get(), if settles { 0 } else { 60 });
    }
}

#[test]
fn what_cannot_be_sent_on_is_refused_with_a_receipt_and_an_error_ack_and_nothing_else() {
    let mut world = World::new();
    let now = world.hub.now;
    let limits = Limits { max: Amount::new(100), ..Limits::default() };
    let voucher: Denom = format!("points/attested-0/{OF_A}").parse().unwrap();
    world.hub.decide(Action::SetLimits { client: onward(), denom: voucher.clone(), limits });
    let two_hops = |hop: &Hop| Terms::Forward(Forward::new(vec![hop.clone(), hop.clone()]).unwrap());
    let bad: [(&str, u128, Change<'_>, &str); 12] = [
        ("limit", 101, &|_, _| {}, "not within the limits"),
        ("client", 1, &|_, hop| hop.client = "attested-7".parse().unwrap(), "no client"),
        ("back", 1, &|_, hop| hop.client = attested(), "back through it"),
        ("timeout", 1, &|_, hop| hop.timeout = Timestamp(now - 1), "not after now"),
        ("hold", 1, &|_, hop| hop.claim_deadline = hop.timeout, "after the timeout"),
        ("deadline", 1, &|_, hop| hop.claim_deadline.0 += 86_400, "trusting period"),
        ("far", 1, &|_, hop| hop.timeout.0 += 90_000, "at most"),
        ("receiver", 1, &|_, hop| hop.receiver = "bob".parse().unwrap(), "EVM chain"),
        (
            "member",
            1,
            &|lock, _| lock.receiver = account("alice").to_string().parse().unwrap(),
            "the chain that forwards",
        ),
        ("evm hub", 1, &|lock, hop| lock.terms = two_hops(hop), "native chain alone"),
        ("denom", 1, &|lock, _| lock.denom = "unknown".parse().unwrap(), "not admitted"),
        ("window", 1, &|lock, _| lock.claim_deadline.0 = now + 90, "after the timeout"),
    ];
    for (name, amount, change, reason) in bad {
        let packet = world.packet(OF_A, amount, change);
        let events = world.bring(&packet);
        assert_eq!(outcomes(&events), [(Outcome::Done, String::new())], "{name}");
        let said = events.iter().find_map(|event| match event {
            Event::PacketReceived { held: false, refusal, hashlock: None, .. } => refusal.clone(),
            _ => None,
        });
        assert!(said.as_ref().is_some_and(|said| said.contains(reason)), "{name}: {said:?}");
        assert!(!events.iter().any(|event| matches!(event, Event::PacketSent { .. })), "{name}");
        let error = (attested(), packet.sequence, Acknowledgement::Error.encode(), AckCause::Refused);
        assert_eq!(ack_of(&events), Some(error), "{name}");
        assert_eq!((world.hold(&packet).state, world.hold(&packet).onward), (None, None));
        let view = world.supply(&voucher);
        assert_eq!((parts(&view), view.voucher.unwrap().supply().unwrap().get()), ([0; 4], 0), "{name}");
    }
    // What was refused used neither the client's numbers nor its budgets up.
    let packet = world.packet(OF_A, 100, &|_, _| {});
    assert_eq!(world.forwarded(&packet).sequence, Sequence(1));
    // The client of A lives, that of C expires, and is closed in the end.
    for _ in 0..2 {
        world.hub.now += 50_000;
        world.a.mine(world.hub.now);
        let update = batch(&mut world.a, vec![]);
        world.hub.ok("relayer", Message::Relay(update));
    }
    for reason in ["expired", "closed for good"] {
        let packet = world.packet(OF_A, 1, &|_, _| {});
        let events = world.bring(&packet);
        assert_eq!(ack_of(&events).map(|ack| ack.3), Some(AckCause::Refused), "{reason}");
        let said =
            |event: &Event| matches!(event, Event::PacketReceived { refusal: Some(why), .. } if why.contains(reason));
        assert!(events.iter().any(said), "{reason}: {events:?}");
        world.c.mine(world.hub.now);
        world.c.update();
        let spec = Box::new(ClientSpec::Attested(world.c.spec()));
        world.hub.run("mall", Message::Propose { action: Box::new(Action::CloseClient { client: onward(), spec }) });
        let proposals: Vec<ProposalView> = world.hub.query("/proposals", b"");
        let proposal = proposals.iter().map(|view| view.proposal).max().unwrap();
        world.hub.run("marketing", Message::Approve { proposal });
    }
    world.check();
}

#[test]
fn a_pause_a_limit_on_the_way_in_or_a_short_vault_leaves_no_state() {
    let mut world = World::new();
    let packet = world.packet(OF_A, 50, &|_, _| {});
    for client in [Some(attested()), Some(onward()), None] {
        world.hub.ok("operator", Message::Pause { client: client.clone() });
        let done = outcomes(&world.bring(&packet));
        assert!(done[0].0 == Outcome::Skipped && done[0].1.contains("paused"), "{done:?}");
        assert_eq!(
            world.hub.app.query("/hold", b"{\"client\":\"attested-0\",\"sequence\":1}", Default::default(), false).code,
            code::NOT_FOUND
        );
        world.hub.ok("operator", Message::Unpause { client });
    }
    let voucher: Denom = format!("points/attested-0/{OF_A}").parse().unwrap();
    let limits = |in_flight| Limits { in_flight: Amount::new(in_flight), ..Limits::default() };
    world.hub.decide(Action::SetLimits { client: attested(), denom: voucher.clone(), limits: limits(49) });
    assert_eq!(outcomes(&world.bring(&packet))[0].0, Outcome::Skipped);
    world.hub.decide(Action::SetLimits { client: attested(), denom: voucher, limits: limits(50) });
    let short = world.packet("points/checkpoint-0/sfs", 5, &|_, _| {});
    world.settle_at_a("mall", &sfs(), 4);
    let done = outcomes(&world.bring(&short));
    assert!(done[0].0 == Outcome::Skipped && done[0].1.contains("the vault holds 4"), "{done:?}");
    world.settle_at_a("mall", &sfs(), 1);
    world.forwarded(&short);
    let onward_packet = world.forwarded(&packet);
    // No pause stops an end.
    world.hub.ok("operator", Message::Pause { client: None });
    assert!(ack_of(&world.acked(&onward_packet, &Acknowledgement::Error)).is_some());
    world.check();
}

#[test]
fn a_forward_uses_nobodys_hashlock_up_and_nobody_uses_up_its_own() {
    let mut world = World::new();
    // The same hashlock: in a lock of a member here before, in two forwards of different senders, and after.
    let hashlock = preimage(200).hashlock();
    world.hub.lock("mall", 1, hashlock);
    let same = |lock: &mut PointsLock, _: &mut Hop| lock.hashlock = hashlock;
    let [one, two] = [(); 2].map(|()| {
        let packet = world.packet(OF_A, 5, &same);
        world.forwarded(&packet)
    });
    assert_ne!(one.points_lock().unwrap().sender, two.points_lock().unwrap().sender);
    let sender: AccountId = one.points_lock().unwrap().sender.as_str().parse().unwrap();
    let used: bool = world.hub.query("/hashlock", &serde_json::to_vec(&HashlockQuery { sender, hashlock }).unwrap());
    assert!(!used);
    world.hub.lock("marketing", 1, hashlock);
}

#[test]
fn a_foreign_sender_has_one_budget_a_day_however_many_packets_it_sends() {
    let mut world = World::new();
    let voucher: Denom = format!("points/attested-0/{OF_A}").parse().unwrap();
    let limits = Limits { daily_per_member: Amount::new(60), ..Limits::default() };
    world.hub.decide(Action::SetLimits { client: onward(), denom: voucher, limits });
    let cause = |events: &[Event]| ack_of(events).map(|ack| ack.3);
    let first = world.packet(OF_A, 50, &|_, _| {});
    let first = world.forwarded(&first);
    let over = world.packet(OF_A, 50, &|_, _| {});
    assert_eq!(cause(&world.bring(&over)), Some(AckCause::Refused));
    let other = world.packet(OF_A, 50, &|lock, _| lock.sender = "0xbeef".parse().unwrap());
    world.forwarded(&other);
    // What comes to nothing gives its budget back.
    world.acked(&first, &Acknowledgement::Error);
    let again = world.packet(OF_A, 50, &|_, _| {});
    world.forwarded(&again);
}

#[test]
fn a_forward_weighs_what_its_two_packets_take() {
    let mut world = World::new();
    let items: Vec<_> = (0..100)
        .map(|_| {
            let packet = world.packet(OF_A, 1, &|lock, _| {
                lock.memo = "\"".repeat(512);
                lock.sender = "s".parse().unwrap();
            });
            (packet, ProvenClaim::Sent)
        })
        .collect();
    let relay = batch(&mut world.a, items);
    let tx = world.hub.sign("relayer", vec![Message::Relay(relay)]);
    let result = world.hub.block(std::slice::from_ref(&tx)).pop().unwrap();
    let sent = result.events.iter().filter(|event| matches!(event, Event::PacketSent { .. })).count();
    assert_eq!((result.code, sent), (code::OK, 100), "{}", result.log);
    let events: Vec<_> = result.events.iter().map(Event::to_abci).collect();
    let takes = serde_json::to_string(&events).unwrap().len() + 160;
    assert!(takes <= weight(&tx), "{takes} bytes of results weigh {}", weight(&tx));
}
