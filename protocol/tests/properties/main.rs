//! What must hold whatever happens, in whatever order: no hold ends twice, nobody but the fixed party
//! is paid, no point is created or lost (`docs/protocol.md`, I1 to I6), and decoders take only what they write.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod decoding;
mod forwarding;
mod model;
mod outboxes;

use model::{Action, World};
use proptest::prelude::*;

fn action() -> impl Strategy<Value = Action> {
    let packet = 0usize..24;
    prop_oneof![
        3 => (any::<bool>(), 0u8..3, 0u128..120, 1u64..40, 0u64..40)
            .prop_map(|(home, party, amount, timeout, hold)| Action::Lock { home, party, amount, timeout, hold }),
        4 => packet.clone().prop_map(Action::Recv),
        4 => (packet.clone(), 0u8..4).prop_map(|(packet, secret)| Action::Claim { packet, secret }),
        2 => packet.clone().prop_map(Action::Void),
        4 => packet.clone().prop_map(Action::Ack),
        1 => (packet.clone(), any::<[u8; 3]>()).prop_map(|(packet, bytes)| Action::ForgedAck { packet, bytes }),
        3 => (packet, 0u64..60).prop_map(|(packet, age)| Action::Timeout { packet, age }),
        3 => (any::<bool>(), 0u64..25).prop_map(|(home, secs)| Action::Tick { home, secs }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_interleaving_creates_or_loses_a_point(actions in prop::collection::vec(action(), 1..160)) {
        let mut world = World::new();
        for action in &actions {
            world.act(action);
            world.check();
        }
    }

    #[test]
    fn a_relayer_that_returns_ends_every_transfer_exactly_once(actions in prop::collection::vec(action(), 1..120)) {
        let mut world = World::new();
        for action in &actions {
            world.act(action);
        }
        world.finish();
        world.check();
        world.check_all_ended();
    }
}
