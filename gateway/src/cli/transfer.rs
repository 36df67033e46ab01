//! `crosspoint transfer …` for one transfer, and `crosspoint invoice …`.

use super::args::{ClaimArgs, InvoiceArgs, ListArgs, OneArgs, SendArgs};
use super::failure::{Class, Failure};
use super::output::{self, Align, Table, printable, thousands};
use super::{client, stop_on_signal};
use crate::api::service::IdempotencyKey;
use crate::api::types::{ClaimRequest, HoldEndView, InvoiceRequest, SendRequest, SentPreimage, TransferView};
use crate::client::Client;
use crate::keys::v3::random_id;
use crosspoint_relayer::route::PacketId;
use std::path::Path;
use std::time::Duration;
use zeroize::Zeroizing;

/// How often the service is asked how far a transfer is.
const POLL: Duration = Duration::from_millis(500);

pub(super) async fn send(args: &SendArgs, json: bool) -> Result<(), Failure> {
    let (Some(amount), Some(receiver)) = (args.amount, args.receiver.clone()) else {
        return Err(Failure::new(Class::Input, "--amount and --receiver are needed, or --file"));
    };
    let Some(denom) = args.denom.clone() else {
        return Err(Failure::new(Class::Input, "--denom is needed: what to send, as the payer's chain names it"));
    };
    let request = SendRequest {
        payer: args.payer.clone(),
        from: args.from.clone(),
        to: args.to.clone(),
        client: args.client.clone(),
        denom,
        amount,
        receiver,
        hashlock: args.hashlock,
        memo: args.memo.clone(),
        timeout_seconds: args.timeout,
        hold_seconds: args.hold,
    };
    let key = match &args.idempotency_key {
        Some(key) => key.clone(),
        None => random_id().map_err(|e| Failure::new(Class::Failed, e.to_string()))?,
    };
    let key: IdempotencyKey =
        key.parse().map_err(|e: crate::api::service::IdempotencyKeyError| Failure::new(Class::Input, e.to_string()))?;
    let client = client(&args.service)?;
    let sent = client.send(&request, &key).await.map_err(|e| {
        let transient = e.is_transient();
        let mut failure = Failure::from(e);
        if transient {
            failure.message.push_str(&format!(
                "\nNothing is lost: repeat with --idempotency-key {} and it is paid once.",
                key.as_str()
            ));
        }
        failure
    })?;
    let ended = if args.no_wait { sent } else { wait(&client, sent, json).await? };
    if json {
        output::json(&ended)?;
    } else {
        output::line(&describe(&ended))?;
    }
    if ended.ended && ended.receipt.is_none() {
        let why = ended.history.iter().find(|entry| entry.stage == "refused").and_then(|entry| entry.note.as_deref());
        let why = why.map_or_else(String::new, |why| format!(" ({})", printable(why)));
        let text = format!("transfer {} did not reach its receiver{why}; {}", ended.id, stage_in_words(&ended.stage));
        return Err(Failure::new(Class::Failed, text));
    }
    Ok(())
}

/// Waits until a push transfer has ended, or an invoice's payment is held for its owner to claim.
async fn wait(client: &Client, sent: TransferView, json: bool) -> Result<TransferView, Failure> {
    let stop = stop_on_signal();
    let mut view = sent;
    let mut stage = String::new();
    loop {
        if !json && view.stage != stage {
            output::notice(&format!("{}  {}", view.id, stage_in_words(&view.stage)));
            stage.clone_from(&view.stage);
        }
        if view.ended {
            return Ok(view);
        }
        if stop.run_until_cancelled(tokio::time::sleep(POLL)).await.is_none() {
            return Err(Failure::new(
                Class::Interrupted,
                format!("no longer waiting; the transfer goes on. See it with: crosspoint transfer show {}", view.id),
            ));
        }
        match client.transfer(&view.id).await {
            Ok(newer) => view = newer,
            Err(e) if e.is_transient() => {}
            Err(e) => return Err(e.into()),
        }
    }
}

fn stage_in_words(stage: &str) -> &str {
    match stage {
        "submitted" => "locked; its block is not final yet",
        "recv_ready" => "locked; being proved to the other chain",
        "recv_submitted" => "received; its block is not final yet",
        "held" => "held for the receiver until the preimage is shown",
        "claim_ready" | "claim_submitted" => "being claimed",
        "void_ready" | "void_submitted" => "its deadline has passed; being voided",
        "claimed" => "claimed; the proof is on its way back",
        "voided" => "given up; the proof is on its way back",
        "refused" => "refused by the receiver's chain; the proof of that is on its way back",
        "ack_submitted" => "proved; its block is not final yet",
        "timeout_ready" | "timeout_submitted" => "never received; the proof of that is on its way back",
        "settled" => "settled: paid, and proved to the payer's chain",
        "refunded" => "refunded: the payer has the points back",
        "timed_out" => "timed out: the payer has the points back",
        other => other,
    }
}

pub(super) async fn list(args: &ListArgs, json: bool) -> Result<(), Failure> {
    let filters = args.filters();
    let page = client(&args.service)?.transfers(args.limit, args.cursor.as_deref(), &filters).await?;
    if json {
        return Ok(output::json(&page)?);
    }
    if page.items.is_empty() {
        let none = if filters.is_empty() && args.cursor.is_none() {
            "No transfers yet. Send one: crosspoint transfer send --help"
        } else {
            "No transfers match."
        };
        return Ok(output::line(none)?);
    }
    let mut table = Table::new(&[
        ("transfer", Align::Left),
        ("to", Align::Left),
        ("amount", Align::Right),
        ("denom", Align::Left),
        ("stage", Align::Left),
        ("since", Align::Left),
    ]);
    for view in &page.items {
        table.row([
            view.id.to_string(),
            view.to.to_string(),
            view.amount.map_or_else(String::new, |n| thousands(&n.to_string())),
            view.denom.as_ref().map_or_else(String::new, ToString::to_string),
            view.stage.clone(),
            output::utc(view.since_ms.checked_div(1000).unwrap_or_default()),
        ]);
    }
    output::line(&table.render())?;
    if let Some(next) = &page.next_cursor {
        let same: String = filters.iter().map(|(name, value)| format!(" --{name} {value}")).collect();
        output::notice(&format!("More: crosspoint transfer list{same} --cursor {next}"));
    }
    Ok(())
}

pub(super) async fn show(args: &OneArgs, json: bool) -> Result<(), Failure> {
    let view = client(&args.service)?.transfer(&id(&args.id)?).await?;
    if json {
        return Ok(output::json(&view)?);
    }
    Ok(output::line(&describe(&view))?)
}

pub(super) async fn claim(args: &ClaimArgs, json: bool) -> Result<(), Failure> {
    let preimage = args.preimage_file.as_deref().map(read_preimage).transpose()?;
    let ended = client(&args.one.service)?.claim(&id(&args.one.id)?, &ClaimRequest { preimage }).await?;
    hold_end(&ended, json)
}

pub(super) async fn void(args: &OneArgs, json: bool) -> Result<(), Failure> {
    let ended = client(&args.service)?.void(&id(&args.id)?).await?;
    hold_end(&ended, json)
}

pub(super) async fn retry(args: &OneArgs, json: bool) -> Result<(), Failure> {
    let view = client(&args.service)?.retry(&id(&args.id)?).await?;
    if json {
        return Ok(output::json(&view)?);
    }
    Ok(output::line(&describe(&view))?)
}

fn hold_end(ended: &HoldEndView, json: bool) -> Result<(), Failure> {
    if json {
        return Ok(output::json(ended)?);
    }
    let place = ended.place.as_ref().map_or_else(String::new, |p| {
        format!(" in transaction {} (block {} of {})", printable(&p.tx), p.height, p.chain)
    });
    Ok(output::line(&format!("{}: {}{place}", ended.id, printable(&ended.note)))?)
}

pub(super) async fn invoice(args: &InvoiceArgs, json: bool) -> Result<(), Failure> {
    let request = InvoiceRequest {
        chain: args.chain.clone(),
        receiver: args.receiver.clone(),
        denom: args.denom.clone(),
        amount: args.amount,
        reference: args.reference.clone(),
    };
    let invoice = client(&args.service)?.invoice(&request).await?;
    if json {
        return Ok(output::json(&invoice)?);
    }
    output::line(&format!(
        "Invoice {}: {} of {} to {} on {}\nThe payer locks against this hashlock:\n  {}\nThe service claims as soon as it is paid.",
        printable(&args.reference),
        thousands(&args.amount.to_string()),
        args.denom,
        invoice.request.receiver,
        args.chain,
        invoice.hashlock
    ))?;
    Ok(())
}

fn id(text: &str) -> Result<PacketId, Failure> {
    text.parse()
        .map_err(|e| Failure::new(Class::Input, format!("{e}; `crosspoint transfer list` shows the ids there are")))
}

fn read_preimage(path: &Path) -> Result<SentPreimage, Failure> {
    let failed = |reason: String| {
        Failure::new(Class::Input, format!("cannot read the preimage in {}: {reason}", path.display()))
    };
    if std::fs::metadata(path).map_err(|e| failed(e.to_string()))?.len() > 256 {
        return Err(failed("the file is too large".into()));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?);
    text.trim().parse().map(SentPreimage).map_err(|e: crosspoint_protocol::secret::SecretError| failed(e.to_string()))
}

/// One transfer for people.
#[must_use]
pub(super) fn describe(view: &TransferView) -> String {
    let mut lines = vec![format!("Transfer {}: {}", view.id, stage_in_words(&view.stage))];
    let mut field = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            lines.push(format!("  {name:<10} {}", printable(&value)));
        }
    };
    let amount = view.amount.map(|n| thousands(&n.to_string()));
    field("amount", amount.zip(view.denom.as_ref()).map(|(n, denom)| format!("{n} {denom}")));
    field("from", Some(format!("{} {}", view.from, view.sender.as_ref().map_or("", |a| a.as_str()))));
    field("to", Some(format!("{} {}", view.to, view.receiver.as_ref().map_or("", |a| a.as_str()))));
    for link in &view.onward {
        let packet = link.id.as_ref().map_or_else(String::new, |id| format!(" as {id}"));
        let stage = link.stage.as_deref().map_or("not sent on yet", stage_in_words);
        field("over", Some(format!("{} to {}{packet}: {stage}", link.from, link.to)));
    }
    field("memo", view.memo.clone());
    field("hashlock", view.hashlock.map(|h| h.to_string()));
    field("receive by", view.timeout.map(|t| output::utc(t.0)));
    field("claim by", view.claim_deadline.map(|t| output::utc(t.0)));
    if let Some(trouble) = &view.trouble {
        field("trouble", Some(format!("{} (try {}): {}", trouble.reason, trouble.attempts, trouble.detail)));
    }
    if let Some(receipt) = &view.receipt {
        field(
            "receipt",
            Some(format!(
                "preimage {} proved to {} in {}",
                receipt.preimage, receipt.settled.chain, receipt.settled.tx
            )),
        );
    }
    if !view.history.is_empty() {
        let mut table = Table::new(&[
            ("time", Align::Left),
            ("stage", Align::Left),
            ("chain", Align::Left),
            ("block", Align::Right),
            ("transaction", Align::Left),
            ("note", Align::Left),
        ]);
        for entry in &view.history {
            let place = entry.place.as_ref();
            let notes = [entry.reason.clone(), entry.note.clone()].into_iter().flatten().collect::<Vec<_>>().join(": ");
            table.row([
                output::utc(entry.at_ms.checked_div(1000).unwrap_or_default()),
                entry.stage.clone(),
                place.map_or_else(String::new, |p| p.chain.to_string()),
                place.map_or_else(String::new, |p| p.height.to_string()),
                place.map_or_else(String::new, |p| printable(&p.tx)),
                notes,
            ]);
        }
        lines.push(String::new());
        lines.push(table.render());
    }
    lines.join("\n")
}
