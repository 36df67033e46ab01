//! A merchant's day at the command line, against a running service.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process::{Ran, command, finish};
use crate::stand::{EVM, NATIVE, PASSPHRASE, Stand, VOUCHER, mall, merchant, private_file, secrets};

/// `transfer send` from the mall to the merchant, with more arguments.
pub fn send<'a>(receiver: &'a str, amount: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let whose = ["transfer", "send", "--payer", "mall", "--from", NATIVE, "--to", EVM, "--denom", "sfs"];
    [&whose[..], &["--amount", amount, "--receiver", receiver], more].concat()
}

fn id(view: &Value) -> Result<&str> {
    view["id"].as_str().context("no id")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn points_are_sent_claimed_returned_refunded_and_audited() -> Result<()> {
    let mut stand = Stand::start().await?;
    let receiver = merchant().to_string();

    // A push transfer, told in words to its end, once for one key.
    let key = ["--idempotency-key", "order-4711", "--memo", "order 4711"];
    let ran = stand.cli(&send(&receiver, "1250", &key)).await?;
    ensure!(ran.err.contains("locked") && ran.err.contains("settled: paid"), "{}", ran.err);
    let text = ran.good()?;
    for words in ["settled: paid", "1,250 sfs", "order 4711", "receipt", "preimage 0x", "STAGE"] {
        ensure!(text.contains(words), "`{words}` is not in:\n{text}");
    }
    let again = stand.json(&send(&receiver, "1250", &key)).await?;
    ensure!(text.contains(id(&again)?) && again["stage"] == "settled", "{again}");
    let said = stand.cli(&send(&receiver, "1251", &key)).await?.refused(1)?;
    ensure!(said.contains("use a new key for a new transfer"), "{said}");
    ensure!(stand.merchant_holds().await? == 1250);

    let unpaid = an_invoice_is_paid(&stand, &receiver).await?;
    the_way_back(&stand).await?;
    given_up(&stand, &receiver, &unpaid).await?;
    lists(&stand).await?;
    refused_in_words(&stand, &receiver).await?;

    let supply = stand.audited().await?;
    ensure!(supply["denoms"][0]["vouchers"] == stand.merchant_holds().await?.to_string(), "{supply}");
    let text = stand.cli(&["audit"]).await?.good()?;
    ensure!(text.contains("IMBALANCE") && text.contains("SFS (sfs)"), "{text}");
    no_secret_is_told(&stand, &[0xee; 32])?;

    // SIGTERM stops it in order; then nobody answers, and the command line says what to do.
    stand.stop_service().await?;
    let said = stand.cli(&["transfer", "list"]).await?.refused(4)?;
    ensure!(said.contains("crosspoint start"), "{said}");
    stand.end().await
}

/// Pays against a hashlock, tries to claim wrongly, claims; and an invoice of the service itself. Gives back a
/// payment that nobody will claim.
async fn an_invoice_is_paid(stand: &Stand, receiver: &str) -> Result<Value> {
    let never = crosspoint_protocol::secret::Preimage::new([0xdd; 32]).hashlock().to_string();
    let soon = ["--hashlock", never.as_str(), "--timeout", "8", "--hold", "4", "--no-wait"];
    let unpaid = stand.json(&send(receiver, "300", &soon)).await?;

    let hashlock = crosspoint_protocol::secret::Preimage::new([0xcc; 32]).hashlock().to_string();
    let sent = stand.json(&send(receiver, "70", &["--hashlock", &hashlock, "--no-wait"])).await?;
    let transfer = id(&sent)?;
    stand.at_stage(transfer, &["held"]).await?;
    let said = stand.cli(&["transfer", "claim", transfer]).await?.refused(1)?;
    ensure!(said.contains("give its preimage"), "{said}");
    let wrong = stand.path("wrong");
    private_file(&wrong, &"ee".repeat(32))?;
    let wrong = wrong.display().to_string();
    let said = stand.cli(&["transfer", "claim", transfer, "--preimage-file", &wrong]).await?.refused(1)?;
    ensure!(said.contains("does not open the hashlock") && !said.contains("eeee"), "{said}");
    let right = stand.path("right");
    private_file(&right, &"cc".repeat(32))?;
    let right = right.display().to_string();
    let claimed = stand.cli(&["transfer", "claim", transfer, "--preimage-file", &right]).await?.good()?;
    ensure!(claimed.contains("claimed in transaction 0x"), "{claimed}");
    let settled = stand.at_stage(transfer, &["settled"]).await?;
    ensure!(settled["receipt"]["preimage"] == format!("0x{}", "cc".repeat(32)), "{settled}");

    let invoice = ["invoice", "new", "--chain", EVM, "--receiver", receiver, "--denom", VOUCHER, "--amount", "5"];
    let invoice = [&invoice[..], &["--reference", "4712"]].concat();
    let raised = stand.json(&invoice).await?;
    ensure!(stand.json(&invoice).await? == raised, "the same reference has another hashlock");
    let hashlock = raised["hashlock"].as_str().context("no hashlock")?;
    let paid = stand.json(&send(receiver, "5", &["--hashlock", hashlock])).await?;
    ensure!(paid["stage"] == "settled", "{paid}");
    Ok(unpaid)
}

async fn the_way_back(stand: &Stand) -> Result<()> {
    let to = mall().to_string();
    let back = ["transfer", "send", "--payer", "merchant", "--from", EVM, "--to", NATIVE, "--denom", VOUCHER];
    let back = [&back[..], &["--amount", "400", "--receiver", &to]].concat();
    let before = stand.merchant_holds().await?;
    let returned = stand.json(&back).await?;
    ensure!(returned["stage"] == "settled" && returned["dest_denom"] == "sfs", "{returned}");
    ensure!(stand.merchant_holds().await? == before - 400);
    Ok(())
}

/// The hold that nobody claims: not before its deadline, then for good.
async fn given_up(stand: &Stand, receiver: &str, unpaid: &Value) -> Result<()> {
    let hashlock = crosspoint_protocol::secret::Preimage::new([0xbb; 32]).hashlock().to_string();
    let long = stand.json(&send(receiver, "9", &["--hashlock", &hashlock, "--no-wait"])).await?;
    stand.at_stage(id(&long)?, &["held"]).await?;
    let said = stand.cli(&["transfer", "void", id(&long)?]).await?.refused(1)?;
    ensure!(said.contains("can be claimed for") && said.contains("until then nobody can void it"), "{said}");
    // Nothing failed, so nothing is tried again; a transfer that is not there is told so.
    let retried = stand.json(&["transfer", "retry", id(&long)?]).await?;
    ensure!(retried["stage"] == "held", "{retried}");
    let said = stand.cli(&["transfer", "retry", &format!("{NATIVE}/attested-0/4242")]).await?.refused(1)?;
    ensure!(said.contains("there is no transfer"), "{said}");
    let ended = stand.at_stage(id(unpaid)?, &["refunded", "timed_out"]).await?;
    ensure!(ended["ended"] == true, "{ended}");
    let said = stand.cli(&["transfer", "void", id(unpaid)?]).await?.refused(1)?;
    ensure!(said.contains("there is no hold to void"), "{said}");
    let text = stand.cli(&["transfer", "show", id(unpaid)?]).await?.good()?;
    ensure!(text.contains("the payer has the points back") && !text.contains("receipt"), "{text}");
    // Cleared, so that the books meet at the end.
    let preimage = stand.path("late");
    private_file(&preimage, &"bb".repeat(32))?;
    let claim =
        ["transfer", "claim", id(&long)?, "--preimage-file", &preimage.display().to_string()].map(str::to_owned);
    stand.cli(&claim.each_ref().map(String::as_str)).await?.good()?;
    stand.at_stage(id(&long)?, &["settled"]).await.map(drop)
}

async fn lists(stand: &Stand) -> Result<()> {
    let (mut cursor, mut seen) = (None, vec![]);
    loop {
        let mut args = vec!["transfer", "list", "--limit", "2"];
        args.extend(cursor.as_deref().map(|cursor| ["--cursor", cursor]).into_iter().flatten());
        let page = stand.json(&args).await?;
        seen.extend(page["items"].as_array().context("no items")?.iter().map(|item| item["id"].to_string()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    let all = stand.json(&["transfer", "list", "--limit", "200"]).await?;
    let all: Vec<_> = all["items"].as_array().context("no items")?.iter().map(|item| item["id"].to_string()).collect();
    ensure!(seen == all && all.len() == 6, "{seen:?} is not {all:?}");
    let text = stand.cli(&["transfer", "list"]).await?.good()?;
    ensure!(text.lines().count() == 8 && text.contains("refunded") && text.contains("1,250"), "{text}");
    Ok(())
}

async fn refused_in_words(stand: &Stand, receiver: &str) -> Result<()> {
    let much = stand.cli(&send(receiver, "700000000", &[])).await?.refused(1)?;
    ensure!(much.contains("crosspoint-1") && much.contains("700000000"), "{much}");
    let cases: [(&[&str], i32, &str); 7] = [
        (&send(receiver, "0", &[]), 1, "amount is 0"),
        (&send(receiver, "-1", &[]), 2, "--amount"),
        (&send("point1qqq", "1", &[]), 1, "0x"),
        (&send(receiver, "1", &["--hold", "1"]), 1, "claim deadline"),
        (&["transfer", "show", "nonsense"], 3, "crosspoint transfer list"),
        (&["transfer", "show", "crosspoint-1/attested-0/999"], 1, "there is no transfer"),
        (&["transfer", "list", "--cursor", "zz"], 1, "cursor"),
    ];
    for (args, code, words) in cases {
        let said = stand.cli(args).await?.refused(code)?;
        ensure!(said.contains(words), "`{words}` is not in: {said}");
    }
    Ok(())
}

/// Nothing that was printed or logged, at the level of `debug`, holds a key, the passphrase, the seed, or a preimage
/// that was shown to the service alone.
fn no_secret_is_told(stand: &Stand, private: &[u8; 32]) -> Result<()> {
    let log = stand.service.as_ref().context("no service")?.log().to_lowercase();
    ensure!(log.contains("debug"), "the log is not at the level of debug");
    let mut hidden: Vec<(String, String)> = secrets()?.into_iter().map(|(n, _, s)| (n, hex::encode(s))).collect();
    hidden.push(("the passphrase".into(), PASSPHRASE.into()));
    hidden.push(("a preimage".into(), hex::encode(private)));
    for (what, secret) in hidden {
        ensure!(!log.contains(&secret), "{what} is in the log");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_sent_as_a_whole_or_not_at_all() -> Result<()> {
    let stand = Stand::start().await?;
    let good = merchant().to_string();
    let file = stand.path("t.csv");
    std::fs::write(&file, format!("receiver,amount,memo\n{good},10,a\n{good},ten,b\n0x12,5,c\n{good},20,d\n"))?;
    let path = file.display().to_string();
    let whose = ["transfer", "send", "--payer", "mall", "--from", NATIVE, "--to", EVM, "--denom", "sfs"];
    let send = [&whose[..], &["--file", &path]].concat();

    let said = stand.cli(&send).await?.refused(3)?;
    ensure!(said.contains("2 of 4 lines") && said.contains("nothing was sent"), "{said}");
    ensure!(said.contains("LINE") && said.contains("--skip-invalid"), "{said}");
    let ran = stand.cli(&[&send[..], &["--json"]].concat()).await?;
    let bad: Value = serde_json::from_str(&ran.out)?;
    let lines: Vec<_> = bad["bad"].as_array().context("no list")?.iter().map(|bad| bad["line"].clone()).collect();
    ensure!((ran.code, lines) == (Some(3), vec![3.into(), 4.into()]), "{bad}");
    ensure!(stand.json(&["transfer", "list"]).await?["items"] == serde_json::json!([]), "something was sent");

    // Not a terminal: plain lines, no escape sequences, no bar.
    let skip = [&send[..], &["--skip-invalid"]].concat();
    let ran = stand.cli(&skip).await?;
    ensure!(!ran.err.contains('\u{1b}') && !ran.out.contains('\u{1b}') && !ran.err.contains('█'), "{ran:?}");
    let text = ran.good()?;
    ensure!(text.contains("2 sent (2 settled, 0 refunded), 0 failed, 0 open, 2 left out"), "{text}");
    let results = std::fs::read_to_string(stand.path("t.results.csv"))?;
    ensure!(results.lines().count() == 5 && results.contains("invalid"), "{results}");
    ensure!(stand.merchant_holds().await? == 30);

    // The same command again pays nobody again; another payer or content under the same name is refused.
    let report = stand.json(&skip).await?;
    ensure!(
        report["rows"].as_object().is_some_and(|rows| rows.values().all(|row| row["stage"] == "settled")),
        "{report}"
    );
    std::fs::write(&file, format!("receiver,amount\n{good},10\n"))?;
    let said = stand.cli(&send).await?.refused(3)?;
    ensure!(said.contains("was begun with other content"), "{said}");
    ensure!(stand.merchant_holds().await? == 30);
    a_token_is_asked_for(&stand).await?;
    stand.audited().await?;
    stand.end().await
}

/// A second service with a token, on the same chains, and what keeps two services apart.
async fn a_token_is_asked_for(stand: &Stand) -> Result<()> {
    let start = |variables: &[(&str, &str)]| {
        let mut start = command(&["start", "--config"]);
        start.arg(stand.config()).envs(variables.iter().copied());
        start
    };
    let code_and_words = |ran: Ran, code, words: &str| {
        let said = ran.refused(code)?;
        ensure!(said.contains(words), "`{words}` is not in: {said}");
        Ok(())
    };
    code_and_words(finish(start(&[])).await?, 1, "another service running there")?;
    let port = [("CROSSPOINT__HTTP__LISTEN", "127.0.0.1:0")];
    code_and_words(finish(start(&port)).await?, 1, "in use by another process")?;
    let disk = [port[0], ("CROSSPOINT__DATA_DIR", "/proc/nowhere")];
    code_and_words(finish(start(&disk)).await?, 1, "/proc/nowhere")?;
    let token = stand.path("token");
    private_file(&token, "short")?;
    let token = token.display().to_string();
    let auth = [port[0], ("CROSSPOINT__HTTP__AUTH", "token"), ("CROSSPOINT__HTTP__TOKEN_FILE", token.as_str())];
    code_and_words(finish(start(&auth)).await?, 1, "openssl rand -hex 32")?;
    Ok(())
}
