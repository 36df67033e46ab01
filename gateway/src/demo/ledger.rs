//! What happened, for the table at the end.

use crate::api::types::TransferView;
use crate::cli::output::{Align, Table, short, thousands};
use serde::Serialize;

/// One transaction of the story.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Entry {
    what: String,
    chain: String,
    height: u64,
    tx: String,
    gas: Option<u64>,
    /// Seconds since the transfer was asked for; the end of its life only.
    seconds: Option<f64>,
}

/// All that happened.
#[derive(Debug, Default)]
pub(super) struct Happened {
    entries: Vec<Entry>,
}

impl Happened {
    /// Every transaction in a transfer's history, once each. `seconds` is how long the whole transfer took.
    pub(super) fn add(&mut self, title: &str, view: &TransferView, seconds: f64) {
        let mut seen: Vec<String> = vec![];
        let first = self.entries.len();
        for line in &view.history {
            let Some(place) = &line.place else { continue };
            let step = step_name(&line.stage);
            // A transaction shows twice: when it was submitted, and when its block was final. The later word counts.
            if seen.contains(&place.tx) {
                let known = self.entries.iter_mut().skip(first).find(|entry| entry.tx == place.tx);
                if let Some(entry) = known {
                    entry.what = format!("{title}: {step}");
                }
                continue;
            }
            seen.push(place.tx.clone());
            self.entries.push(Entry {
                what: format!("{title}: {step}"),
                chain: place.chain.to_string(),
                height: place.height.0,
                tx: place.tx.clone(),
                gas: None,
                seconds: None,
            });
        }
        if let Some(last) = self.entries.get_mut(first..).and_then(<[Entry]>::last_mut) {
            last.seconds = Some(seconds);
        }
    }

    /// The transactions, to look up their gas.
    pub(super) fn entries_mut(&mut self) -> impl Iterator<Item = (&str, &str, &mut Option<u64>)> {
        self.entries.iter_mut().map(|entry| (entry.chain.as_str(), entry.tx.as_str(), &mut entry.gas))
    }

    /// The entries, for JSON.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The table for people.
    pub(super) fn table(&self) -> String {
        let mut table = Table::new(&[
            ("what", Align::Left),
            ("chain", Align::Left),
            ("block", Align::Right),
            ("transaction", Align::Left),
            ("gas of the whole transaction", Align::Right),
            ("latency", Align::Right),
        ]);
        for entry in &self.entries {
            table.row([
                entry.what.clone(),
                entry.chain.clone(),
                entry.height.to_string(),
                short(&entry.tx),
                entry.gas.map_or("-".to_owned(), |gas| thousands(&gas.to_string())),
                entry.seconds.map_or_else(String::new, |s| format!("{s:.1} s")),
            ]);
        }
        table.render()
    }
}

fn step_name(stage: &str) -> &str {
    match stage {
        "recv_ready" | "announced" => "locked",
        "recv_submitted" | "held" | "claim_ready" => "received",
        "claim_submitted" | "claimed" => "claimed",
        "void_submitted" | "voided" => "voided",
        "refused" => "refused",
        "ack_submitted" => "ack proved",
        "settled" => "settled",
        "refunded" => "refunded",
        "timeout_submitted" | "timed_out" => "timed out",
        other => other,
    }
}
