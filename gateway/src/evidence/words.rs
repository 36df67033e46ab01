//! The words. Each sentence says no more than its proof does.

use crate::cli::output::{printable, thousands, utc};
use crosspoint_light_proofs::evidence::{AnchorFindings, Claim, Findings, HeaderFindings, Outcome, SideFindings};
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::ids::Timestamp;

use super::{Origin, Trust};

/// An anchor that is older than this many seconds when it is used is remarked on: light clients of the chains
/// believe nothing from headers older than their trusting period, which is two weeks by default.
const OLD: u64 = 14 * 24 * 3_600;

/// A header as sentences name it.
fn header(header: &HeaderFindings) -> String {
    format!("header {} of {}", header.height, utc(header.time.0))
}

fn at(side: &SideFindings, claim: Claim) -> Option<String> {
    side.header(claim).map(header)
}

pub(super) fn verdict(found: &Findings) -> String {
    let (from, to) = (&found.source.chain, &found.destination.chain);
    match found.outcome {
        Outcome::Settled => format!("paid on {to}, and settled on {from}."),
        Outcome::Paid => format!("paid on {to}. This file does not show that {from} has settled it."),
        Outcome::Refunded => format!("not paid on {to}, and {from} has ended the lock: a refund."),
        Outcome::Refundable => format!("not paid on {to}, and it cannot be any more: a refund on {from} is justified."),
        Outcome::Held => format!("held for the receiver on {to}; neither paid nor given up at that time."),
        Outcome::UnderWay => format!("locked on {from}; not yet received on {to} at that time."),
        Outcome::Unclear => "each statement below is proved; together they do not say how the transfer ended.".into(),
    }
}

pub(super) fn fields(found: &Findings) -> Vec<(&'static str, String)> {
    let lock = &found.lock;
    let mut fields = vec![
        ("amount", format!("{} {}", thousands(&lock.amount.to_string()), lock.denom)),
        ("from", format!("{} {}", found.source.chain, printable(lock.sender.as_str()))),
        ("to", format!("{} {}", found.destination.chain, printable(lock.receiver.as_str()))),
        ("hashlock", lock.hashlock.to_string()),
        ("receivable", format!("before {}", utc(found.packet.timeout.0))),
        ("claimable", format!("before {}", utc(lock.claim_deadline.0))),
    ];
    if !lock.memo.is_empty() {
        fields.push(("memo", printable(&lock.memo)));
    }
    fields
}

pub(super) fn proved(found: &Findings) -> Vec<String> {
    let (source, dest) = (&found.source, &found.destination);
    let (from, to) = (&source.chain, &dest.chain);
    let mut said = vec![];
    if let (Some(shown), Some(header)) = (source.shown.get(&Claim::Sent), at(source, Claim::Sent)) {
        said.push(if shown.listed {
            format!("{from} locked these points and sent this packet: it is in the list of packets sent, at {header}.")
        } else {
            format!("{from} locked these points and sent this packet: its commitment stood in the state at {header}.")
        });
    }
    if let Some(header) = at(dest, Claim::Received) {
        said.push(format!("{to} received exactly this packet: its receipt stands in the state at {header}."));
    }
    if let Some(header) = at(dest, Claim::NotReceived) {
        let in_time = dest.header(Claim::NotReceived).is_some_and(|h| h.time < found.packet.timeout);
        said.push(if in_time {
            format!("{to} had not received it at {header}; it could still.")
        } else {
            format!("{to} had not received it at {header}, when its time to be received was over: it never will.")
        });
    }
    match (&found.ack, at(dest, Claim::Acknowledged)) {
        (Some(Acknowledgement::Success(preimage)), Some(header)) => said.push(format!(
            "{to} paid the receiver: its acknowledgement at {header} holds the preimage 0x{}, whose SHA-256 is the hashlock.",
            hex::encode(preimage.reveal())
        )),
        (Some(Acknowledgement::Error), Some(header)) => said.push(format!(
            "{to} did not pay and never will: its acknowledgement at {header} is the error (refused at receipt, or void after the deadline)."
        )),
        _ => {}
    }
    if let Some(header) = at(dest, Claim::NotAcknowledged) {
        said.push(format!("{to} had neither paid nor given it up at {header}."));
    }
    if let Some(header) = at(source, Claim::Ended) {
        said.push(match found.outcome {
            Outcome::Settled => format!(
                "{from} has settled it: after the proven payment the commitment is gone from the state at {header}."
            ),
            Outcome::Refunded => format!(
                "{from} has refunded it: the commitment is gone from the state at {header}, and no payment was made."
            ),
            _ => format!("{from} has no commitment of such a packet in the state at {header}."),
        });
    }
    for (side, other) in [(source, dest), (dest, source)] {
        if let (Some(registered), Some(header)) = (&side.registered, at(side, Claim::Client)) {
            said.push(format!(
                "{}: client {} is registered for client {} of {}, at {header}.",
                side.chain, registered.client, registered.counterparty, other.chain
            ));
        }
    }
    said
}

pub(super) fn not_proved(found: &Findings) -> Vec<String> {
    let (source, dest) = (&found.source, &found.destination);
    let (from, to) = (&source.chain, &dest.chain);
    let mut missing = vec![];
    if !source.shows(Claim::Sent) {
        missing.push(format!(
            "that {from} ever had this lock: the state that held it was gone when the file was made. What {to} received, it received by its light client of {from}."
        ));
    }
    match found.outcome {
        Outcome::Paid | Outcome::Refundable => {
            missing.push(format!("that {from} has ended the lock; it had not at that time, or its header is older."))
        }
        Outcome::Held => missing.push("how it ends: export it again after the claim or the deadline.".into()),
        Outcome::UnderWay => missing.push("that it arrives: export it again later.".into()),
        Outcome::Settled | Outcome::Refunded | Outcome::Unclear => {}
    }
    for (side, other, client) in
        [(source, dest, &found.packet.source_client), (dest, source, &found.packet.dest_client)]
    {
        if side.registered.is_none() {
            missing.push(format!(
                "that client {client} of {} follows {}: compare it with the chain's registry.",
                side.chain, other.chain
            ));
        }
    }
    missing
}

pub(super) fn trust(side: &SideFindings, other: &SideFindings, from: Origin) -> Trust {
    let hash = side.anchor.hash();
    let compare = match from {
        Origin::File => format!(
            "the anchor is the file's own word; compare its hash {hash} with what you have from the chain itself"
        ),
        Origin::Pinned => format!("the anchor has the hash {hash} that you named"),
        Origin::Given => format!("the anchor {hash} is yours"),
    };
    let signed: Vec<String> =
        side.headers.iter().map(|h| format!("{} ({} of {} signed)", h.height, h.signed, h.of)).collect();
    let believed = format!("headers {}", signed.join(", "));
    let words = match &side.anchor {
        AnchorFindings::Tendermint { height, time, validators, .. } => format!(
            "{}: block {height} of {} and the {validators} validators it names as the next; {compare}. From it: {believed}.",
            side.chain,
            utc(time.0)
        ),
        AnchorFindings::Attested { anchor, .. } => {
            let names: Vec<String> = anchor.attestors.addresses().iter().map(|a| format!("{a:#x}")).collect();
            let vouched = match &other.registered {
                Some(registered) if registered.same_attestors => {
                    format!(" {} itself trusts these attestors for this contract, as proved above.", other.chain)
                }
                _ => String::new(),
            };
            format!(
                "{}: {} of the attestors {} (set {}), for the gateway contract {:#x} on the chain with genesis {}; {compare}. By them: {believed}.{vouched}",
                side.chain,
                anchor.attestors.threshold(),
                names.join(", "),
                anchor.epoch,
                anchor.gateway,
                anchor.genesis_hash
            )
        }
    };
    Trust { chain: side.chain.clone(), anchor: hash.to_string(), from, words }
}

pub(super) fn caveats(found: &Findings, trust: &[Trust], now: Timestamp) -> Vec<String> {
    let mut caveats = vec![];
    if trust.iter().any(|trust| trust.from == Origin::File) {
        caveats.push(
            "whoever made this file chose the anchors in it. Name yours: --pin CHAIN=HASH, or --anchor FILE.".into(),
        );
    }
    for side in [&found.source, &found.destination] {
        let Some(newest) = side.headers.last() else { continue };
        if newest.time > now {
            caveats.push(format!("{}: header {} is from after {}.", side.chain, newest.height, utc(now.0)));
        }
        if let AnchorFindings::Tendermint { time, .. } = &side.anchor {
            let age = newest.time.0.saturating_sub(time.0);
            if age > OLD {
                caveats.push(format!(
                    "{}: the anchor is {} days older than the newest header it vouches for. Validators who left since could have signed otherwise without risk: prefer an anchor that is younger than two weeks at that header.",
                    side.chain,
                    days(age)
                ));
            }
        }
    }
    let newest = [&found.source, &found.destination].into_iter().filter_map(|side| side.headers.last()).map(|h| h.time);
    if let Some(newest) = newest.max().filter(|newest| now.0.saturating_sub(newest.0) > OLD) {
        caveats.push(format!(
            "the newest header is {} days old at {}: the file says nothing of what happened since, nor whether its signers' keys were stolen since.",
            days(now.0.saturating_sub(newest.0)),
            utc(now.0)
        ));
    }
    caveats
}

const fn days(seconds: u64) -> u64 {
    seconds.div_euclid(24 * 3_600)
}
