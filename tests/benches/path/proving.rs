//! How long it takes to build what proves packets of one chain to the other: asking the nodes (and the attestors, for
//! the EVM chain), and checking the whole before it is handed on.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use crosspoint_adapters::chain::{Chain, ClientStatus, RelayItem};
use crosspoint_protocol::ids::Sequence;
use crosspoint_relayer::route::Route;

use crate::Bench;

/// How often each is built.
const TIMES: usize = 20;

/// The milliseconds that one kind of proof took to build, sorted.
pub(crate) struct Proving {
    pub(crate) what: String,
    pub(crate) ms: Vec<f64>,
}

async fn times(
    what: String,
    prover: &dyn Chain,
    client: &ClientStatus,
    items: &[RelayItem],
    out: &mut Vec<Proving>,
) -> Result<()> {
    let mut ms = vec![];
    for _ in 0..TIMES {
        let start = Instant::now();
        let proven = prover.prove(client, items).await?;
        ms.push(start.elapsed().as_secs_f64() * 1_000.0);
        ensure!(proven.items.len() == items.len(), "{what}: not all was proven");
    }
    ms.sort_by(f64::total_cmp);
    out.push(Proving { what, ms });
    Ok(())
}

/// Proves again what has been relayed: that packets were sent on the native chain, and acknowledged on EVM.
pub(crate) async fn measure(bench: &Bench, most: usize) -> Result<Vec<Proving>> {
    let (native, evm) = (bench.net.native.as_ref(), bench.net.evm.as_ref());
    let on_evm = evm.client(&bench.net.evm_client).await?;
    let on_native = native.client(&bench.net.native_client).await?;
    let route = Route::into_client(evm.id(), &on_evm);
    let journal = bench.relayer.journal();
    let (mut sent, mut acked) = (vec![], vec![]);
    for sequence in 1..=most as u64 {
        let transfer = journal.transfer(&route.packet(Sequence(sequence)))?;
        let packet = transfer.packet.context("a packet")?;
        let ack = transfer.life.facts.acked.context("an ack")?.ack;
        sent.push(RelayItem::Recv { packet: packet.clone() });
        acked.push(RelayItem::Ack { packet, ack });
    }
    let mut out = vec![];
    for count in [1, most] {
        let what = |name: &str| format!("{name}, {count} packets");
        times(what("checkpoint, JMT and outbox of the native chain"), native, &on_evm, &sent[..count], &mut out)
            .await?;
        times(what("attestation and storage proofs of EVM"), evm, &on_native, &acked[..count], &mut out).await?;
    }
    Ok(out)
}
