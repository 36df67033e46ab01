//! `crosspoint evidence …`: one transfer's evidence, written by a service, checked by anybody.

use super::args::{EvidenceAnchorsArgs, EvidenceExportArgs, EvidenceVerifyArgs, Pin};
use super::failure::{Class, Failure};
use super::{client, output};
use crate::evidence::file::{self, FileError};
use crate::evidence::{Report, Verdict};
use crosspoint_light_proofs::evidence::{Anchor, Evidence, EvidenceError, Fault, Findings, verify as check};
use crosspoint_protocol::ids::{ChainId, Timestamp};
use crosspoint_relayer::route::PacketId;
use serde::Serialize;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::new(Class::Input, error.to_string())
    }
}

impl From<EvidenceError> for Failure {
    fn from(error: EvidenceError) -> Self {
        let said = output::printable(&error.to_string());
        Self::new(Class::Evidence, format!("this evidence does not hold. {said}"))
    }
}

#[derive(Serialize)]
struct Exported<'a> {
    file: &'a PathBuf,
    verdict: Verdict,
}

/// Fetches a transfer's evidence, checks it, and writes the file.
pub(super) async fn export(args: &EvidenceExportArgs, json: bool) -> Result<(), Failure> {
    let id: PacketId = args.one.id.parse().map_err(|e| Failure::new(Class::Input, format!("TRANSFER: {e}")))?;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("evidence-{}-{}-{}.json", id.chain, id.client, id.sequence)));
    if out.exists() && !args.force {
        return Err(FileError::Exists(out).into());
    }
    let text = client(&args.one.service)?.evidence(&id).await?;
    // The service is not believed either.
    let evidence = Evidence::read(&text)?;
    let found = check(&evidence, &[])?;
    let report = Report::new(&found, &[], now());
    if report.transfer != id.to_string() {
        let other = format!("the service sent evidence of {}, not of {id}", report.transfer);
        return Err(Failure::new(Class::Evidence, other));
    }
    file::write(&out, &text, args.force)?;
    if json {
        return Ok(output::json(&Exported { file: &out, verdict: Verdict::Holds(report) })?);
    }
    output::line(&format!(
        "Written to {}: {}\nAnybody checks it offline: crosspoint evidence verify {}",
        out.display(),
        report.verdict,
        out.display()
    ))?;
    Ok(())
}

/// Checks a file. Reads nothing else but the anchors it is given, and asks nobody.
pub(super) fn verify(args: &EvidenceVerifyArgs, json: bool) -> Result<(), Failure> {
    let text = file::bytes(&args.file)?;
    let anchors = file::anchors(&args.anchor)?;
    let checked = Evidence::from_bytes(&text).and_then(|evidence| {
        let found = check(&evidence, &anchors)?;
        pinned(&found, &args.pin)?;
        Ok(found)
    });
    let found = match checked {
        Ok(found) => found,
        Err(error) => {
            if json {
                output::json(&Verdict::from(&error))?;
            }
            return Err(error.into());
        }
    };
    all_used(&found, &anchors, &args.pin)?;
    let chains: Vec<ChainId> = args.pin.iter().map(|pin| pin.chain.clone()).collect();
    let report = Report::new(&found, &chains, args.at.map_or_else(now, |at| at.0));
    if json {
        return Ok(output::json(&Verdict::Holds(report))?);
    }
    Ok(output::line(&report.text())?)
}

/// Prints the anchors in a file, for an auditor who compared them to keep.
pub(super) fn anchors(args: &EvidenceAnchorsArgs) -> Result<(), Failure> {
    let evidence = Evidence::from_bytes(&file::bytes(&args.file)?)?;
    check(&evidence, &[])?;
    Ok(output::json(&[evidence.source.anchor(), evidence.destination.anchor()])?)
}

/// Whether the anchors used are those that the auditor named.
fn pinned(found: &Findings, pins: &[Pin]) -> Result<(), EvidenceError> {
    for (at, side) in [("source", &found.source), ("destination", &found.destination)] {
        for pin in pins.iter().filter(|pin| pin.chain == side.chain) {
            if pin.hash != side.anchor.hash() {
                let why = Fault::NotPinned { pinned: pin.hash, found: side.anchor.hash() };
                return Err(EvidenceError::new(format!("{at}.anchor"), why));
            }
        }
    }
    Ok(())
}

/// An anchor for a chain that the file is not about is a mistake, not a check.
fn all_used(found: &Findings, anchors: &[Anchor], pins: &[Pin]) -> Result<(), Failure> {
    let (from, to) = (&found.source.chain, &found.destination.chain);
    let given = anchors.iter().filter_map(|anchor| anchor.chain().ok());
    match given.chain(pins.iter().map(|pin| pin.chain.clone())).find(|chain| chain != from && chain != to) {
        None => Ok(()),
        Some(stray) => Err(Failure::new(
            Class::Input,
            format!("the file is about {from} and {to}, not {stray}: check the chain's name"),
        )),
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_secs())
}
