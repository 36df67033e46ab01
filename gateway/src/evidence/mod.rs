//! What an evidence file proves, in words. The file and its checks are `crosspoint_light_proofs::evidence`.
//!
//! - [`Report`]: what is proved, what is not, and where trust begins; `words` finds the words.
//! - [`mod@file`]: reading and writing files and anchors.

pub mod file;
mod words;

use crosspoint_light_proofs::evidence::{AnchorFindings, EvidenceError, Findings, Outcome};
use crosspoint_protocol::ids::{ChainId, Timestamp};
use serde::Serialize;

/// What verifying a file came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Verdict {
    /// Everything in it holds.
    Holds(Report),
    /// Something does not.
    Fails {
        /// `false`.
        holds: bool,
        /// The part that fails.
        at: String,
        /// Why.
        why: String,
    },
}

impl From<&EvidenceError> for Verdict {
    fn from(error: &EvidenceError) -> Self {
        Self::Fails { holds: false, at: error.at.clone(), why: error.why.to_string() }
    }
}

/// What a file proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `true`.
    pub holds: bool,
    /// What follows for the transfer, as one word for programs.
    pub outcome: &'static str,
    /// The same in a sentence.
    pub verdict: String,
    /// The transfer's id.
    pub transfer: String,
    /// What was to be moved, from whom to whom; name and value.
    pub fields: Vec<(&'static str, String)>,
    /// What is proved.
    pub proved: Vec<String>,
    /// What is not, and why.
    pub not_proved: Vec<String>,
    /// Where trust begins, one entry per chain.
    pub trust: Vec<Trust>,
    /// What to do about it.
    pub caveats: Vec<String>,
}

/// Where trust in one chain begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trust {
    /// The chain.
    pub chain: ChainId,
    /// The anchor's hash.
    pub anchor: String,
    /// `file`: the file's own word. `pinned`: it has the hash that the auditor named. `given`: the auditor's own.
    pub from: Origin,
    /// The other chain, if what it keeps of this one, proved in the file, trusts the same as the anchor: then the other
    /// chain's anchor is enough.
    pub vouched_by: Option<ChainId>,
    /// In words.
    pub words: String,
}

/// Where an anchor is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// From the file itself.
    File,
    /// From the file, and its hash is the one that the auditor named.
    Pinned,
    /// From the auditor.
    Given,
}

impl Report {
    /// The report on what was found. `pinned` are the chains whose anchor the auditor named by its hash; `at` is the
    /// time by which ages are told.
    #[must_use]
    pub fn new(found: &Findings, pinned: &[ChainId], at: Timestamp) -> Self {
        let from = |anchor: &AnchorFindings, chain: &ChainId| match (anchor.in_file(), pinned.contains(chain)) {
            (true, true) => Origin::Pinned,
            (true, false) => Origin::File,
            (false, _) => Origin::Given,
        };
        let (one, other) = (&found.source, &found.destination);
        let trust = vec![
            words::trust(one, other, from(&one.anchor, &one.chain)),
            words::trust(other, one, from(&other.anchor, &other.chain)),
        ];
        Self {
            holds: true,
            outcome: outcome(found.outcome),
            verdict: words::verdict(found),
            transfer: format!("{}/{}/{}", one.chain, found.packet.source_client, found.packet.sequence),
            fields: words::fields(found),
            proved: words::proved(found),
            not_proved: words::not_proved(found),
            caveats: words::caveats(found, &trust, at),
            trust,
        }
    }

    /// The report for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines = vec![format!("HOLDS: {}", self.verdict), String::new(), format!("Transfer {}", self.transfer)];
        lines.extend(self.fields.iter().map(|(name, value)| format!("  {name:<10} {value}")));
        let mut section = |title: &str, items: &[String]| {
            if !items.is_empty() {
                lines.extend([String::new(), title.to_owned()]);
                lines.extend(items.iter().map(|item| format!("  - {item}")));
            }
        };
        section("Proved", &self.proved);
        section("Not proved", &self.not_proved);
        let trust: Vec<String> = self.trust.iter().map(|trust| trust.words.clone()).collect();
        section("Trust begins with", &trust);
        section("Before you rely on it", &self.caveats);
        lines.join("\n")
    }
}

const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Settled => "settled",
        Outcome::Paid => "paid",
        Outcome::Refunded => "refunded",
        Outcome::Refundable => "refundable",
        Outcome::Held => "held",
        Outcome::UnderWay => "under_way",
        Outcome::Unclear => "unclear",
    }
}
