//! `crosspoint transfer send --file …`

use super::args::SendArgs;
use super::failure::{Class, Failure};
use super::output::{self, Align, Table, printable};
use super::{client, stop_on_signal};
use crate::batch::rows::{self, AddressForm, BadRow};
use crate::batch::run::{self, BatchOptions, BatchReport, Progress, RowResult};
use crate::client::Client;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::path::Path;
use std::time::Duration;

/// Most bad rows shown; the rest are counted.
const SHOWN: usize = 50;

/// A progress bar on standard error; silent where that is no terminal.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new(rows: usize, wait: bool) -> Self {
        let bar =
            ProgressBar::with_draw_target(Some(u64::try_from(rows).unwrap_or(u64::MAX)), ProgressDrawTarget::stderr());
        let done = if wait { "settled" } else { "locked" };
        let template = format!("{{bar:40.cyan/blue}} {{pos}}/{{len}} {done}  {{msg}}  {{elapsed_precise}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    pub(crate) fn finish(&self) {
        self.0.finish();
    }
}

/// Shows what has ended if the batch waits for ends, else what is locked.
pub(crate) struct BarProgress<'a> {
    pub(crate) bar: &'a Bar,
    pub(crate) wait: bool,
}

impl Progress for BarProgress<'_> {
    fn update(&self, locked: usize, ended: usize, failed: usize, _: usize) {
        let position = if self.wait { ended } else { locked };
        self.bar.0.set_position(u64::try_from(position).unwrap_or(u64::MAX));
        let failed = if failed == 0 { String::new() } else { format!(", {failed} failed") };
        self.bar.0.set_message(format!("{locked} locked{failed}"));
    }
}

/// How the receiver's chain writes addresses, as the service says.
pub(crate) async fn address_form(
    client: &Client,
    chain: &crosspoint_protocol::ids::ChainId,
) -> Result<AddressForm, Failure> {
    let chains = client.chains().await?;
    let known: Vec<_> = chains.iter().map(|c| c.id.to_string()).collect();
    match chains.iter().find(|c| c.id == *chain).map(|c| c.kind.as_str()) {
        Some("native") => Ok(AddressForm::Native),
        Some("evm") => Ok(AddressForm::Evm),
        Some(_) => Err(Failure::new(Class::Failed, format!("chain {chain} is of a kind this version does not know"))),
        None => Err(Failure::new(
            Class::Input,
            format!("the service is not connected to {chain}; it is to {}", known.join(" and ")),
        )),
    }
}

pub(super) async fn send(args: &SendArgs, json: bool) -> Result<(), Failure> {
    let Some(path) = &args.file else { return Err(Failure::new(Class::Input, "--file is missing")) };
    let client = client(&args.service)?;
    let form = address_form(&client, &args.to).await?;
    let rows = rows::read(path, args.denom.as_ref(), form).map_err(|e| Failure::new(Class::Input, e.to_string()))?;
    if !rows.bad.is_empty() {
        if !args.skip_invalid {
            if json {
                output::json(&serde_json::json!({ "ok": false, "bad": rows.bad, "good": rows.good.len() }))?;
            } else {
                output::notice(&bad_rows(&rows.bad));
            }
            return Err(Failure::new(
                Class::Input,
                format!(
                    "{} of {} lines of {} are wrong; nothing was sent. Mend them, or send the others with --skip-invalid",
                    rows.bad.len(),
                    rows.bad.len().saturating_add(rows.good.len()),
                    path.display()
                ),
            ));
        }
        if !json {
            output::notice(&format!("{}\nThese {} lines are left out.", bad_rows(&rows.bad), rows.bad.len()));
        }
    }
    let options = BatchOptions {
        payer: args.payer.clone(),
        from: args.from.clone(),
        to: args.to.clone(),
        client: args.client.clone(),
        timeout_seconds: args.timeout,
        hold_seconds: args.hold,
        parallel: usize::from(args.parallel),
        wait: !args.no_wait,
    };
    let stop = stop_on_signal();
    let bar = Bar::new(rows.good.len(), options.wait);
    let progress = BarProgress { bar: &bar, wait: options.wait };
    let report = run::run(&client, &options, path, rows, &progress, &stop).await;
    bar.finish();
    let report = report.map_err(|e| Failure::new(Class::Input, e.to_string()))?;
    if json {
        output::json(&report)?;
    } else {
        output::line(&summary(&report))?;
    }
    let (_, failed, open) = report.counts();
    if report.interrupted {
        return Err(Failure::new(
            Class::Interrupted,
            format!("interrupted; run the same command on {} again to go on", path.display()),
        ));
    }
    if failed > 0 || open > 0 {
        return Err(partial(path, failed, open));
    }
    match given_back(&report) {
        0 => Ok(()),
        count => Err(Failure::new(
            Class::Partial,
            format!(
                "{count} transfers did not reach their receivers and were refunded; `crosspoint transfer show` says why of each in {}",
                run::result_path(path).display()
            ),
        )),
    }
}

fn partial(path: &Path, failed: usize, open: usize) -> Failure {
    let result = run::result_path(path);
    Failure::new(
        Class::Partial,
        format!(
            "{failed} transfers failed and {open} are open; {} says why. Running the same command again tries these again, and pays none twice",
            result.display()
        ),
    )
}

fn given_back(report: &BatchReport) -> usize {
    report.at_stage("refunded").saturating_add(report.at_stage("timed_out"))
}

fn bad_rows(bad: &[BadRow]) -> String {
    let mut table = Table::new(&[("line", Align::Right), ("what is wrong", Align::Left)]);
    for row in bad.iter().take(SHOWN) {
        table.row([row.line.to_string(), row.reasons.join("; ")]);
    }
    let more = bad.len().saturating_sub(SHOWN);
    if more == 0 { table.render() } else { format!("{}\n… and {more} more", table.render()) }
}

/// A batch for people.
pub(crate) fn summary(report: &BatchReport) -> String {
    let (sent, failed, open) = report.counts();
    let mut text = format!(
        "{sent} sent ({} settled, {} refunded), {failed} failed, {open} open, {} left out, in {:.1} s\nResults: {}",
        report.at_stage("settled"),
        given_back(report),
        report.skipped.len(),
        report.seconds,
        report.result_file.display()
    );
    for (line, row) in &report.rows {
        if let RowResult::Failed { reason } = row {
            text.push_str(&format!("\n  line {line}: {}", printable(reason)));
        }
    }
    text
}
