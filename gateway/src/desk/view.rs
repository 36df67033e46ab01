//! From the journal's words to the API's.

use crate::api::types::{
    AuditHeight, DenomView, HistoryView, PairView, Place, Receipt, RouteView, SupplyView, TransferView, Trouble,
};
use crosspoint_protocol::htlc::LockEnd;
use crosspoint_protocol::ids::{ChainId, Height, Timestamp};
use crosspoint_protocol::packet::Packet;
use crosspoint_relayer::audit::{AuditReport, DenomAudit};
use crosspoint_relayer::life::{HistoryEntry, Life, Seen};
use crosspoint_relayer::{Halt, RouteStatus};
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 by this machine's clock.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn place(chain: &ChainId, seen: &Seen) -> Place {
    Place { chain: chain.clone(), height: seen.block.height, time: seen.block.time, tx: seen.tx.0.clone() }
}

/// Where a packet's hold ended.
pub(super) fn claimed(life: &Life) -> Option<Place> {
    life.facts.acked.as_ref().map(|acked| place(&life.route.dest_chain, &acked.seen))
}

/// The proof of payment, once the source has settled. The preimage is public then.
fn receipt(life: &Life) -> Option<Receipt> {
    let ended = life.facts.ended.as_ref().filter(|ended| ended.end == LockEnd::Settled)?;
    let preimage = life.revealed()?;
    Some(Receipt {
        preimage: format!("0x{}", hex::encode(preimage.reveal())),
        claimed: claimed(life),
        settled: place(&life.route.source_chain, &ended.seen),
    })
}

pub(super) fn transfer(life: &Life, packet: Option<&Packet>, history: &[HistoryEntry]) -> TransferView {
    let lock = packet.and_then(|packet| packet.points_lock().ok());
    let terms = life.terms.as_ref();
    TransferView {
        id: life.id.clone(),
        from: life.route.source_chain.clone(),
        to: life.route.dest_chain.clone(),
        dest_client: life.route.dest_client.clone(),
        stage: life.stage.to_string(),
        ended: life.stage.is_final(),
        since_ms: life.since_ms,
        denom: terms.map(|t| t.denom.clone()),
        dest_denom: terms.map(|t| t.dest_denom.clone()),
        amount: terms.map(|t| t.amount),
        sender: lock.as_ref().map(|l| l.sender.clone()),
        receiver: terms.map(|t| t.receiver.clone()),
        hashlock: terms.map(|t| t.hashlock),
        timeout: terms.map(|t| t.timeout),
        claim_deadline: terms.map(|t| t.claim_deadline),
        memo: lock.map(|l| l.memo),
        trouble: trouble(life),
        receipt: receipt(life),
        history: history.iter().map(history_line).collect(),
        onward: vec![],
    }
}

pub(super) fn trouble(life: &Life) -> Option<Trouble> {
    life.retry.as_ref().map(|retry| Trouble {
        reason: retry.reason.as_str().to_owned(),
        detail: retry.detail.clone(),
        attempts: retry.attempts,
        next_ms: retry.next_ms,
    })
}

pub(super) fn history_line(entry: &HistoryEntry) -> HistoryView {
    let place = match (&entry.chain, &entry.block, &entry.tx) {
        (Some(chain), Some(block), Some(tx)) => {
            Some(Place { chain: chain.clone(), height: block.height, time: block.time, tx: tx.0.clone() })
        }
        _ => None,
    };
    HistoryView {
        at_ms: entry.at_ms,
        stage: entry.stage.to_string(),
        place,
        reason: entry.reason.map(|reason| reason.as_str().to_owned()),
        note: entry.note.clone(),
    }
}

pub(super) fn halt(halt: &Halt) -> String {
    match halt {
        Halt::Frozen => "its client is frozen; governance must look at the evidence".into(),
        Halt::Expired => "its client has expired; governance must re-anchor it".into(),
        Halt::NotCounterparties => "its two clients do not name each other as counterparties".into(),
        Halt::Disputed { why } => format!("its headers are in dispute: {why}"),
    }
}

pub(super) fn route(status: &RouteStatus) -> RouteView {
    let route = &status.route;
    let client = status.client.as_ref();
    let pending = status.stages.iter().filter(|count| !count.stage.is_final());
    RouteView {
        from: route.source_chain.clone(),
        source_client: route.source_client.clone(),
        to: route.dest_chain.clone(),
        dest_client: route.dest_client.clone(),
        client_type: client.map(|c| c.client_type.as_str().to_owned()),
        trusted_height: client.map_or(Height(0), |c| c.trusted.height),
        expires: client.map_or(Timestamp(0), |c| Timestamp(c.trusted.time.0.saturating_add(c.trusting_period))),
        halted: status.halt.as_ref().map(halt),
        pending: pending.fold(0, |n, count| n.saturating_add(count.count)),
        last_error: status.last_error.clone(),
    }
}

pub(super) fn supply(report: &AuditReport) -> SupplyView {
    SupplyView {
        at_ms: now_ms(),
        heights: report
            .cut
            .iter()
            .map(|(chain, height)| AuditHeight { chain: chain.clone(), height: *height })
            .collect(),
        balanced: report.is_balanced(),
        anomalies: report.anomalies,
        denoms: report.denoms.iter().map(denom).collect(),
    }
}

fn denom(audit: &DenomAudit) -> DenomView {
    DenomView {
        home: audit.chain.clone(),
        denom: audit.denom.clone(),
        symbol: audit.symbol.clone(),
        cap: audit.cap,
        issued: audit.issued,
        circulating: audit.circulating,
        vault: audit.vault,
        locked: audit.locked,
        held: audit.held,
        vouchers: audit.vouchers,
        in_flight: audit.in_flight,
        imbalance: audit.imbalance.to_string(),
        broken: audit.broken.clone(),
        pairs: audit
            .pairs
            .iter()
            .map(|pair| PairView {
                client: pair.client.clone(),
                abroad: pair.other_chain.clone(),
                voucher: pair.voucher.clone(),
                vault: pair.vault,
                locked: pair.locked,
                held: pair.held,
                vouchers: pair.vouchers,
                imbalance: pair.imbalance.to_string(),
            })
            .collect(),
    }
}
