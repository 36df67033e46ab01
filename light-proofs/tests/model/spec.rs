//! Packets of the worlds: one at a time, or the packets that a forward takes.

use crate::line::ONE;
use crosspoint_protocol::denom::{Denom, Received};
use crosspoint_protocol::htlc::{HoldTerms, LockTerms};
use crosspoint_protocol::ids::{Sequence, Timestamp};
use crosspoint_protocol::lock::{PointsLock, Terms};
use crosspoint_protocol::packet::{Packet, Payload};
use crosspoint_protocol::secret::Preimage;
use crosspoint_protocol::terms::{Forward, Hop};

/// One packet that may be sent, once.
#[derive(Clone)]
pub(crate) struct Spec {
    /// Between chain `link` and chain `link + 1`.
    pub(crate) link: usize,
    /// Whether it goes back towards the points' home.
    pub(crate) back: bool,
    pub(crate) packet: Packet,
    pub(crate) commitment: [u8; 32],
    pub(crate) preimage: Preimage,
    pub(crate) lock_terms: LockTerms,
    pub(crate) hold_terms: HoldTerms,
    pub(crate) terms: Terms,
    /// The packet that its points are sent on with, by the step that receives it.
    pub(crate) onward: Option<usize>,
    /// The packet that it forwards: nobody else sends it.
    pub(crate) forwards: Option<usize>,
}

fn client(at: usize, of: usize) -> String {
    format!("client-{at}-{of}")
}

impl Spec {
    pub(crate) fn source(&self) -> usize {
        self.link + usize::from(self.back)
    }

    pub(crate) fn dest(&self) -> usize {
        self.link + usize::from(!self.back)
    }

    /// Packet `number` over `link`, with its deadlines on the destination's clock.
    pub(crate) fn new(number: u8, link: usize, back: bool, timeout: u64, deadline: u64) -> Self {
        Self::under(number, number, Terms::Plain, link, back, (timeout, deadline))
    }

    /// Packets `at`, `at + 1`, … of a world: the first is sent, and each next one is what the destination of the one before
    /// sends it on with, over the next link in that direction. Each has timeout and claim deadline on its own destination's clock.
    pub(crate) fn forward(at: usize, link: usize, back: bool, windows: &[(u64, u64)]) -> Vec<Self> {
        let link_of = |index: usize| if back { link - index } else { link + index };
        let number = |index: usize| u8::try_from(at + index + 1).unwrap();
        let mut specs: Vec<Self> = vec![];
        let mut hops: Vec<Hop> = vec![];
        // From the last link to the first: each packet's terms name the links after it.
        for (index, window) in windows.iter().enumerate().rev() {
            let terms =
                if hops.is_empty() { Terms::Plain } else { Terms::Forward(Forward::new(hops.clone()).unwrap()) };
            let spec = Self::under(number(index), number(0), terms, link_of(index), back, *window);
            let client = spec.packet.source_client.clone();
            let receiver = "receiver".parse().unwrap();
            hops.insert(0, Hop { client, receiver, timeout: Timestamp(window.0), claim_deadline: Timestamp(window.1) });
            let onward = (index + 1 < windows.len()).then_some(at + index + 1);
            specs.insert(0, Self { onward, forwards: (index > 0).then(|| at + index - 1), ..spec });
        }
        for (spec, next) in specs.iter().zip(&specs[1..]) {
            let Terms::Forward(forward) = &spec.terms else { panic!("{:?}", spec.terms) };
            assert_eq!((spec.dest(), forward.onward()), (next.source(), next.terms.clone()));
        }
        specs
    }

    fn under(number: u8, secret: u8, terms: Terms, link: usize, back: bool, (timeout, deadline): (u64, u64)) -> Self {
        let (source, dest) = (link + usize::from(back), link + usize::from(!back));
        // As chain `source` names it: one hop per chain since the home.
        let hops: String = (1..=source).rev().map(|at| format!("points/{}/", client(at, at - 1))).collect();
        let denom: Denom = format!("{hops}sfs").parse().unwrap();
        let preimage = Preimage::new([secret; 32]);
        let lock = PointsLock {
            denom,
            amount: ONE,
            sender: "payer".parse().unwrap(),
            receiver: "receiver".parse().unwrap(),
            hashlock: preimage.hashlock(),
            claim_deadline: Timestamp(deadline),
            terms: terms.clone(),
            memo: String::new(),
        };
        let packet = Packet {
            sequence: Sequence(number.into()),
            source_client: client(source, dest).parse().unwrap(),
            dest_client: client(dest, source).parse().unwrap(),
            timeout: Timestamp(timeout),
            payload: Payload::points(&lock),
        };
        let received = lock.denom.received(&packet.source_client, &packet.dest_client).unwrap();
        assert_eq!(matches!(received, Received::Returned(_)), back, "the denom says which way the packet goes");
        Self {
            link,
            back,
            commitment: packet.commitment(),
            lock_terms: LockTerms { hashlock: lock.hashlock, timeout: packet.timeout },
            hold_terms: HoldTerms { hashlock: lock.hashlock, claim_deadline: lock.claim_deadline },
            packet,
            preimage,
            terms,
            onward: None,
            forwards: None,
        }
    }
}
