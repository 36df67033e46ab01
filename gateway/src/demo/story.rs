//! The story: an invoice paid across and back, a refund by proof, a batch, and the audit.

use super::Narrator;
use super::ledger::Happened;
use super::stage::Stage;
use crate::api::types::{ClaimRequest, SendRequest, SentPreimage, TransferView};
use crate::batch::rows::{self, AddressForm};
use crate::batch::run::{self, BatchOptions};
use crate::cli::args::DemoArgs;
use crate::cli::batch::{Bar, BarProgress, summary};
use crate::cli::output::{short, thousands};
use crate::cli::supply_text;
use crate::keys::v3::random_id;
use crate::localnet::member;
use anyhow::{Context, Result, bail, ensure};
use crosspoint_ledger::address::AccountId;
use crosspoint_ledger::tx::message::Message;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::secret::{Hashlock, Preimage};
use crosspoint_relayer::route::PacketId;
use rand::TryRng;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long a step may take before the demo gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(100);
/// What the customer is given to spend.
const ALLOWANCE: u64 = 5_000;
/// Seconds that the packet of the payment nobody claims may take to arrive, and that its hold stays open.
const SHORT_WINDOW: (u64, u64) = (15, 6);

/// Waits for a condition, at most `limit`.
pub(super) async fn until<T, F, Fut>(what: &str, limit: Duration, mut look: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let started = Instant::now();
    loop {
        let looked = look().await;
        match looked {
            Ok(Some(found)) => return Ok(found),
            Ok(None) if started.elapsed() > limit => bail!("waited {} s for {what} in vain", limit.as_secs()),
            Err(error) if started.elapsed() > limit => {
                return Err(error.context(format!("waited {} s for {what} in vain", limit.as_secs())));
            }
            Ok(None) | Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

fn secret() -> Result<Preimage> {
    let mut bytes = [0_u8; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).context("the operating system gave no random bytes")?;
    Ok(Preimage::new(bytes))
}

/// Tells the story.
pub(super) async fn tell(stage: &Stage, args: &DemoArgs, n: Narrator) -> Result<Happened> {
    let mut happened = Happened::default();
    let points: Denom = "sfs".parse()?;
    let voucher = stage.net.voucher_on_evm(&points)?;
    stage.wait_for_routes().await?;

    n.chapter(1, "A customer pays a merchant's invoice of 1,250 SFS, from the native chain to Ethereum");
    give_allowance(stage, &points, n).await.context("step 1, the mall gives the customer points")?;
    let (paid, preimage, started) = pay_invoice(stage, &points, n).await.context("step 1, the payment")?;

    n.chapter(2, "The merchant claims with the preimage");
    claim(stage, &paid.id, &preimage, n).await.context("step 2, the claim")?;

    n.chapter(3, "The native chain settles on the proven acknowledgement: the payer's receipt");
    let settled = ended(stage, &paid.id, "settled").await.context("step 3, the settlement")?;
    let receipt = settled.receipt.clone().context("step 3: the settled transfer has no receipt")?;
    n.tell(&format!("settled in {} at block {}", short(&receipt.settled.tx), receipt.settled.height));
    n.tell(&format!(
        "receipt: preimage {} opens {}",
        short(&receipt.preimage),
        short(&paid.hashlock.map(|h| h.to_string()).unwrap_or_default())
    ));
    happened.add("invoice", &settled, started.elapsed().as_secs_f64());

    n.chapter(4, "The merchant sends 400 back; vouchers are burned and points leave the vault");
    let back = send_back(stage, &voucher, n).await.context("step 4, the way back")?;
    happened.add("return", &back.0, back.1);

    n.chapter(5, "A third payment is never claimed");
    let (unclaimed, unclaimed_at) =
        never_claimed(stage, &points, n).await.context("step 5, the payment nobody claims")?;

    n.chapter(6, &format!("Meanwhile a batch of {} transfers from a CSV file", args.batch));
    batch(stage, &points, args.batch, n).await.context("step 6, the batch")?;

    n.chapter(7, "The third payment is voided after its deadline and refunded by proof");
    let refunded = ended(stage, &unclaimed, "refunded").await.context("step 7, the refund")?;
    n.tell(
        "the hold was voided on Ethereum, that was proved to the native chain, and the customer has the 300 SFS back",
    );
    happened.add("unclaimed", &refunded, unclaimed_at.elapsed().as_secs_f64());

    n.chapter(8, "The supply audit: every voucher is backed, not one point too many or too few");
    audit(stage, n).await.context("step 8, the supply audit")?;
    read_gas(stage, &mut happened).await.context("reading gas from receipts")?;
    Ok(happened)
}

async fn give_allowance(stage: &Stage, points: &Denom, n: Narrator) -> Result<()> {
    let to: AccountId = stage.customer.as_str().parse().context("the customer's address")?;
    let message =
        Message::Transfer { to, denom: points.clone(), amount: Amount::from(ALLOWANCE), memo: "welcome".into() };
    stage.net.native.execute(&member("mall"), message).await?;
    n.tell(&format!("the mall gave the customer {} SFS on the native chain", thousands(&ALLOWANCE.to_string())));
    Ok(())
}

fn request(stage: &Stage, points: &Denom, amount: u64, hashlock: Hashlock) -> Result<SendRequest> {
    Ok(SendRequest {
        payer: "customer".parse()?,
        from: stage.native.clone(),
        to: stage.evm.clone(),
        client: None,
        denom: points.clone(),
        amount: Amount::from(amount),
        receiver: stage.merchant.clone(),
        hashlock: Some(hashlock),
        memo: String::new(),
        timeout_seconds: None,
        hold_seconds: None,
    })
}

async fn send(stage: &Stage, request: &SendRequest) -> Result<TransferView> {
    Ok(stage.client.send(request, &random_id()?.parse()?).await?)
}

async fn at_stage(stage: &Stage, id: &PacketId, wanted: &[&str]) -> Result<TransferView> {
    until(&format!("transfer {id} to be {}", wanted.join(" or ")), PATIENCE, || async {
        let view = stage.client.transfer(id).await?;
        Ok(wanted.contains(&view.stage.as_str()).then_some(view))
    })
    .await
}

/// Waits for the end of a transfer, which must be the wanted one.
async fn ended(stage: &Stage, id: &PacketId, wanted: &str) -> Result<TransferView> {
    let view = at_stage(stage, id, &["settled", "refunded", "timed_out", "stuck"]).await?;
    ensure!(view.stage == wanted, "transfer {id} ended as {}, not as {wanted}", view.stage);
    Ok(view)
}

async fn pay_invoice(stage: &Stage, points: &Denom, n: Narrator) -> Result<(TransferView, Preimage, Instant)> {
    let preimage = secret()?;
    n.tell(&format!("the merchant made a secret and shows its hashlock {}", short(&preimage.hashlock().to_string())));
    let started = Instant::now();
    let mut request = request(stage, points, 1_250, preimage.hashlock())?;
    request.memo = "invoice 4711".into();
    let sent = send(stage, &request).await?;
    n.tell(&format!("locked on the native chain: transfer {}", sent.id));
    let held = at_stage(stage, &sent.id, &["held"]).await?;
    n.tell("proved to Ethereum by the native validators' checkpoint; held there for the merchant");
    Ok((held, preimage, started))
}

async fn claim(stage: &Stage, id: &PacketId, preimage: &Preimage, n: Narrator) -> Result<()> {
    let wrong = ClaimRequest { preimage: Some(SentPreimage(secret()?)) };
    ensure!(stage.client.claim(id, &wrong).await.is_err(), "a claim with a wrong preimage was not refused");
    n.tell("a wrong preimage is refused");
    let right = ClaimRequest { preimage: Some(SentPreimage(preimage.clone())) };
    let done = stage.client.claim(id, &right).await?;
    let place = done.place.context("the claim has no transaction")?;
    n.tell(&format!(
        "claimed in {} at block {}, {} gas",
        short(&place.tx),
        place.height,
        thousands(&done.gas_used.to_string())
    ));
    Ok(())
}

async fn send_back(stage: &Stage, voucher: &Denom, n: Narrator) -> Result<(TransferView, f64)> {
    let started = Instant::now();
    let request = SendRequest {
        payer: "merchant".parse()?,
        from: stage.evm.clone(),
        to: stage.native.clone(),
        client: None,
        denom: voucher.clone(),
        amount: Amount::from(400),
        receiver: stage.customer.clone(),
        hashlock: None,
        memo: "change".into(),
        timeout_seconds: None,
        hold_seconds: None,
    };
    let sent = send(stage, &request).await?;
    n.tell(&format!("locked on Ethereum: transfer {}", sent.id));
    at_stage(stage, &sent.id, &["held", "claim_ready", "claim_submitted", "claimed", "ack_submitted", "settled"])
        .await?;
    n.tell("proved to the native chain: 2 of 3 attestors signed the header, Merkle proofs did the rest");
    let settled = ended(stage, &sent.id, "settled").await?;
    n.tell("claimed by the service for the customer, and settled on Ethereum");
    Ok((settled, started.elapsed().as_secs_f64()))
}

async fn never_claimed(stage: &Stage, points: &Denom, n: Narrator) -> Result<(PacketId, Instant)> {
    // Nobody keeps this secret.
    let hashlock = secret()?.hashlock();
    let mut request = request(stage, points, 300, hashlock)?;
    request.memo = "never claimed".into();
    request.timeout_seconds = Some(SHORT_WINDOW.0);
    request.hold_seconds = Some(SHORT_WINDOW.1);
    let sent = send(stage, &request).await?;
    n.tell(&format!("locked 300 SFS under a hashlock whose secret nobody has: transfer {}", sent.id));
    Ok((sent.id, Instant::now()))
}

async fn batch(stage: &Stage, points: &Denom, count: u32, n: Narrator) -> Result<()> {
    let mut csv = String::from("receiver,amount,memo\n");
    for i in 1..=count {
        writeln!(csv, "{},{},reward {i}", stage.merchant, i)?;
    }
    let path = stage.folder.join("rewards.csv");
    std::fs::write(&path, csv).with_context(|| format!("cannot write {}", path.display()))?;
    let rows = rows::read(&path, Some(points), AddressForm::Evm)?;
    ensure!(rows.bad.is_empty(), "the batch has bad rows");
    let all = rows.good.len();
    let options = BatchOptions {
        payer: "mall".parse()?,
        from: stage.native.clone(),
        to: stage.evm.clone(),
        client: None,
        timeout_seconds: None,
        hold_seconds: None,
        parallel: 64,
        wait: true,
    };
    let bar = Bar::new(all, true);
    let progress = BarProgress { bar: &bar, wait: true };
    let report = run::run(&stage.client, &options, &path, rows, &progress, &CancellationToken::new()).await;
    bar.finish();
    let report = report?;
    n.show(&summary(&report));
    ensure!(
        report.at_stage("settled") == all,
        "{} of {all} transfers of the batch settled",
        report.at_stage("settled")
    );
    Ok(())
}

async fn audit(stage: &Stage, n: Narrator) -> Result<()> {
    let supply = until("the books of both chains to meet", PATIENCE, || async {
        let supply = stage.client.supply().await?;
        // Acks that are still on their way show as in flight; the story is over when none is.
        Ok((!supply.balanced || supply.denoms.iter().all(|d| d.locked.is_zero() && d.in_flight.is_zero()))
            .then_some(supply))
    })
    .await?;
    n.show(&supply_text(&supply));
    ensure!(!supply.denoms.is_empty(), "the audit saw no denom");
    ensure!(supply.balanced, "the supply does not balance");
    Ok(())
}

/// Gas of the Ethereum transactions, from their receipts.
async fn read_gas(stage: &Stage, happened: &mut Happened) -> Result<()> {
    for (chain, tx, gas) in happened.entries_mut() {
        if chain == stage.evm.as_str() {
            let receipt: Value = stage.net.evm.rpc().call("eth_getTransactionReceipt", json!([tx])).await?;
            let used = receipt.get("gasUsed").and_then(Value::as_str).and_then(|hex| hex.strip_prefix("0x"));
            *gas = used.and_then(|hex| u64::from_str_radix(hex, 16).ok());
        }
    }
    Ok(())
}
