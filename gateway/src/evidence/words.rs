//! The words. Each sentence says no more than its proof does.

use crate::cli::output::{printable, thousands, utc};
use alloy::primitives::U256;
use crosspoint_light_proofs::evidence::{
    AnchorFindings, Claim, Contract, Findings, HeaderFindings, Outcome, SideFindings,
};
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
            "that {from} ever had this lock: the state that held it could not be shown any more when the file was made. What {to} received, it received by its light client of {from}."
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

/// The contract, and where in it.
fn looked_at(contract: &Contract) -> String {
    let slot = U256::from_be_bytes(contract.base_slot.0);
    format!("the gateway contract {:#x} (commitments at slot {slot})", contract.gateway)
}

/// Whether the other chain's record of its client of this one trusts what the anchor does.
fn vouches(other: &SideFindings) -> bool {
    other.registered.as_ref().is_some_and(|registered| registered.vouches)
}

/// The same in words, if it is so.
fn vouched(other: &SideFindings, what: &str) -> String {
    if vouches(other) {
        format!(" {} itself trusts {what} for this contract, as proved above.", other.chain)
    } else {
        String::new()
    }
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
            format!(
                "{}: {} of the attestors {} (set {}), for {} on the chain with genesis {}; {compare}. By them: {believed}.{}",
                side.chain,
                anchor.attestors.threshold(),
                names.join(", "),
                anchor.epoch,
                looked_at(&anchor.contract()),
                anchor.genesis_hash,
                vouched(other, "these attestors")
            )
        }
        AnchorFindings::Qbft { contract, encoding, block, validators, .. } => format!(
            "{}: block {} of {} with the hash {} and the {validators} validators it names ({}), for {}; {compare}. From it: {believed}.{}",
            side.chain,
            block.number,
            utc(block.time.0),
            block.hash,
            encoding.as_str(),
            looked_at(contract),
            vouched(other, "that block, or one on the way before all that is proved,")
        ),
        AnchorFindings::EthereumPos { contract, network, block, .. } => format!(
            "{}: beacon block {} of slot {} (block {} of {}) and its sync committee, on the network with the genesis validators root {}, for {}; {compare}. From it: final {believed}.{}",
            side.chain,
            block.root,
            block.slot,
            block.number,
            utc(block.time.0),
            network.genesis_validators_root(),
            looked_at(contract),
            vouched(other, "that block")
        ),
    };
    let vouched_by = vouches(other).then(|| other.chain.clone());
    Trust { chain: side.chain.clone(), anchor: hash.to_string(), from, vouched_by, words }
}

pub(super) fn caveats(found: &Findings, trust: &[Trust], now: Timestamp) -> Vec<String> {
    let mut caveats = vec![];
    for of in trust.iter().filter(|of| of.from == Origin::File && of.vouched_by.is_none()) {
        let chain = &of.chain;
        let also = trust.iter().find(|other| other.vouched_by.as_ref() == Some(chain) && other.from == Origin::File);
        let also = also.map_or(String::new(), |other| format!(", and with it that of {}", other.chain));
        caveats.push(format!(
            "whoever made this file chose the anchor of {chain}{also}. Name yours: --pin {chain}=HASH, or --anchor FILE."
        ));
    }
    for side in [&found.source, &found.destination] {
        let Some(newest) = side.headers.last() else { continue };
        if newest.time > now {
            caveats.push(format!("{}: header {} is from after {}.", side.chain, newest.height, utc(now.0)));
        }
        if let Some(time) = side.anchor.time() {
            let age = newest.time.0.saturating_sub(time.0);
            if age > OLD {
                caveats.push(format!(
                    "{}: the anchor is {} days older than the newest header it vouches for. Whoever signed then and left since could have signed otherwise without risk: prefer an anchor that is younger than two weeks at that header.",
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::{Address, B256};
    use crosspoint_light_proofs::ethereum_pos::{self, Fork, Network, Preset};
    use crosspoint_light_proofs::evidence::Registered;
    use crosspoint_light_proofs::qbft::{self, Encoding};
    use crosspoint_protocol::ids::Height;

    const CONTRACT: Contract = Contract { chain_id: 5, gateway: Address::repeat_byte(0x42), base_slot: B256::ZERO };

    fn side(chain: &str, anchor: AnchorFindings, vouches: Option<bool>) -> SideFindings {
        let registered = vouches.map(|vouches| Registered {
            client: "qbft-0".parse().unwrap(),
            counterparty: "checkpoint-0".parse().unwrap(),
            vouches,
        });
        let (height, time, hash) = (Height(20), Timestamp(1_050), B256::ZERO);
        let headers = vec![HeaderFindings { height, time, hash, signed: 3, of: 4 }];
        SideFindings { chain: chain.parse().unwrap(), anchor, headers, shown: Default::default(), registered }
    }

    fn native(vouches: bool) -> SideFindings {
        let (hash, height, time) = (B256::repeat_byte(3), Height(1), Timestamp(900));
        let anchor = AnchorFindings::Tendermint { hash, height, time, validators: 4, in_file: true };
        side("crosspoint-1", anchor, Some(vouches))
    }

    #[test]
    fn an_auditor_is_told_what_to_compare_and_whether_the_native_chain_vouches() {
        let block = qbft::Latest { number: Height(10), hash: B256::repeat_byte(1), time: Timestamp(1_000) };
        let sealed = AnchorFindings::Qbft {
            hash: B256::repeat_byte(2),
            contract: CONTRACT,
            encoding: Encoding::Ibft2,
            block,
            validators: 4,
            in_file: true,
        };
        let forks = vec![(Fork::Altair, 0, [1, 0, 0, 0].into())];
        let network = Network::new(Preset::MAINNET, B256::repeat_byte(5), (0, 12), forks).unwrap();
        let (number, time) = (Height(10), Timestamp(1_000));
        let ethereum = AnchorFindings::EthereumPos {
            hash: B256::repeat_byte(2),
            contract: CONTRACT,
            network,
            block: ethereum_pos::Latest { slot: 77, root: B256::repeat_byte(1), number, time },
            in_file: true,
        };
        let (genesis, root) = (B256::repeat_byte(5).to_string(), B256::repeat_byte(1).to_string());
        for (anchor, also) in [(sealed, vec!["ibft2", "4 validators"]), (ethereum, vec!["slot 77", genesis.as_str()])] {
            let evm = side("eip155-5", anchor, None);
            let words = trust(&evm, &native(true), Origin::File).words;
            let pin = B256::repeat_byte(2).to_string();
            let gateway = format!("{:#x}", CONTRACT.gateway);
            for part in also.iter().chain(&[
                root.as_str(),
                "block 10 of",
                &pin,
                &gateway,
                "commitments at slot 0",
                "20 (3 of 4 signed)",
            ]) {
                assert!(words.contains(part), "`{part}` is not in: {words}");
            }
            assert!(words.contains("crosspoint-1 itself trusts that block"), "{words}");
            let silent = trust(&evm, &native(false), Origin::Pinned);
            assert!(silent.vouched_by.is_none());
            let silent = silent.words;
            assert!(!silent.contains("itself trusts") && silent.contains("that you named"), "{silent}");
        }
    }
}
