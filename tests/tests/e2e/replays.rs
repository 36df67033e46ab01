//! What is relayed twice, or under another packet's name.

use anyhow::{Context, Result};
use crosspoint_adapters::chain::{ItemOutcome, RelayItem};
use crosspoint_adapters::evm::calldata::{self, List};
use crosspoint_adapters::evm::contracts::ICrosspointGateway::{ackCall, recvCall};
use crosspoint_adapters::evm::record::{Batch, Direction, client_word};
use crosspoint_adapters::proven::Proven;
use crosspoint_protocol::ids::Sequence;
use crosspoint_protocol::packet::Packet;
use crosspoint_tests::hand::{checkpoint, failure, recv, refused, success};
use crosspoint_tests::{From, LONG, World, done, secret};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_relayed_twice_takes_effect_once() -> Result<()> {
    let world = World::without_relayer().await?;
    let out = secret();
    let packet = world.pay_merchant(100, &out, LONG).await?;
    let proven = world.prove(From::Native, &[recv(&packet)]).await?;
    done(&world.submit(From::Native, &proven).await?)?;
    assert_eq!(world.submit(From::Native, &proven).await?.outcomes, [ItemOutcome::Duplicate]);
    done(&world.claim(From::Native, &packet, &out).await?)?;
    assert_eq!(world.submit(From::Native, &proven).await?.outcomes, [ItemOutcome::Duplicate]);
    let again = world.claim(From::Native, &packet, &out).await?;
    assert_ne!(again.outcomes, [ItemOutcome::Done]);
    assert_eq!(world.merchant_vouchers().await?, 100);
    let mall = world.member_sfs("mall").await?;
    let proven = world.prove(From::Evm, &[success(&packet, &out)]).await?;
    done(&world.submit(From::Evm, &proven).await?)?;
    assert_eq!(world.submit(From::Evm, &proven).await?.outcomes, [ItemOutcome::Duplicate]);
    assert_eq!(world.member_sfs("mall").await?, mall);

    let back = secret();
    let packet = world.send_back(40, "coffee", &back, LONG).await?;
    let proven = world.prove(From::Evm, &[recv(&packet)]).await?;
    done(&world.submit(From::Evm, &proven).await?)?;
    assert_eq!(world.submit(From::Evm, &proven).await?.outcomes, [ItemOutcome::Duplicate]);
    done(&world.claim(From::Evm, &packet, &back).await?)?;
    assert_eq!(world.submit(From::Evm, &proven).await?.outcomes, [ItemOutcome::Duplicate]);
    let again = world.claim(From::Evm, &packet, &back).await;
    assert!(!again.is_ok_and(|again| again.outcomes == [ItemOutcome::Done]));
    assert_eq!(world.member_sfs("coffee").await?, 40);
    let proven = world.prove(From::Native, &[success(&packet, &back)]).await?;
    done(&world.submit(From::Native, &proven).await?)?;
    assert_eq!(world.submit(From::Native, &proven).await?.outcomes, [ItemOutcome::Duplicate]);
    assert_eq!(world.merchant_vouchers().await?, 60);
    world.finish().await
}

/// One item, and what stands before it, in the contract's form.
fn single(direction: Direction, before: &[u8], packet: &Packet) -> Result<alloy::primitives::Bytes> {
    let mut batch = Batch::new(direction);
    batch.push(before, packet)?;
    Ok(batch.into_bytes().into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_of_one_packet_says_nothing_of_another() -> Result<()> {
    let world = World::without_relayer().await?;
    let client = client_word(&world.net.evm_client).into();
    let secrets = [secret(), secret()];
    let mut packets = vec![];
    for secret in &secrets {
        packets.push(world.pay_merchant(50, secret, LONG).await?);
    }
    // The outbox proof of the first packet, under the second's number, under one never sent, and for the second itself.
    let item = recv(&packets[0]);
    let proven = world.prove(From::Native, std::slice::from_ref(&item)).await?;
    let evidence = checkpoint(&proven);
    let state = calldata::update(evidence.update.as_ref().context("an update")?)?;
    let batch = calldata::outbox_batch(List::Sent, evidence.sent.as_ref().context("a list")?, &[(0, &item)])?;
    let call = |packet: &Packet| -> Result<recvCall> {
        let (state, outbox) = (state.clone().into(), batch.outbox.clone().into());
        Ok(recvCall { client, state, outbox, packets: single(Direction::In, &[], packet)? })
    };
    assert!(world.gateway_takes(&call(&packets[0])?).await?);
    let renumbered = |sequence| Packet { sequence, ..packets[0].clone() };
    for other in [renumbered(packets[1].sequence), renumbered(Sequence(99)), packets[1].clone()] {
        assert!(!world.gateway_takes(&call(&other)?).await?, "packet {}", other.sequence);
    }
    done(&world.carry(From::Native, &[recv(&packets[0]), recv(&packets[1])]).await?)?;
    let claims: Vec<_> = packets.iter().cloned().zip(secrets.iter().cloned()).collect();
    done(&world.chain(From::Evm).claim(&claims).await?)?;

    // The first one's acknowledgement, for the second; as a failure; with a preimage that does not open it.
    let proven = world.prove(From::Evm, &[success(&packets[0], &secrets[0])]).await?;
    let others = [
        success(&packets[1], &secrets[1]),
        success(&packets[1], &secrets[0]),
        failure(&packets[0]),
        success(&packets[0], &secrets[1]),
        RelayItem::Ack { packet: packets[0].clone(), ack: [&[1], &secrets[0].reveal()[..31]].concat() },
        RelayItem::Ack { packet: packets[0].clone(), ack: [&[1], secrets[0].reveal().as_slice(), &[0]].concat() },
    ];
    for other in others {
        let forged = Proven { items: vec![other.clone()], ..proven.clone() };
        let outcome = world.submit(From::Evm, &forged).await;
        assert!(refused(&outcome), "{other:?}: {outcome:?}");
    }
    done(&world.carry(From::Evm, &[success(&packets[0], &secrets[0]), success(&packets[1], &secrets[1])]).await?)?;

    // And the other way.
    let mut returned = vec![];
    for secret in [secret(), secret()] {
        returned.push((world.send_back(20, "coffee", &secret, LONG).await?, secret));
    }
    done(&world.carry(From::Evm, &[recv(&returned[0].0), recv(&returned[1].0)]).await?)?;
    done(&world.chain(From::Native).claim(&returned).await?)?;
    let item = success(&returned[0].0, &returned[0].1);
    let proven = world.prove(From::Native, std::slice::from_ref(&item)).await?;
    let evidence = checkpoint(&proven);
    let state = calldata::update(evidence.update.as_ref().context("an update")?)?;
    let batch = calldata::outbox_batch(List::Acked, evidence.acked.as_ref().context("a list")?, &[(0, &item)])?;
    let call = |packet: &Packet, before: &[u8]| -> Result<ackCall> {
        let (state, outbox) = (state.clone().into(), batch.outbox.clone().into());
        Ok(ackCall { client, state, outbox, acks: single(Direction::Out, before, packet)? })
    };
    let ack = |place: usize| [&[1], returned[place].1.reveal().as_slice()].concat();
    assert!(world.gateway_takes(&call(&returned[0].0, &ack(0))?).await?);
    let renumbered = Packet { sequence: returned[1].0.sequence, ..returned[0].0.clone() };
    let others = [(&renumbered, ack(0)), (&returned[1].0, ack(0)), (&returned[1].0, ack(1)), (&returned[0].0, vec![0])];
    for (packet, ack) in others {
        assert!(!world.gateway_takes(&call(packet, &ack)?).await?, "packet {}", packet.sequence);
    }
    let items = [success(&returned[0].0, &returned[0].1), success(&returned[1].0, &returned[1].1)];
    done(&world.carry(From::Native, &items).await?)?;
    assert_eq!((world.merchant_vouchers().await?, world.member_sfs("coffee").await?), (60, 40));
    world.finish().await
}
