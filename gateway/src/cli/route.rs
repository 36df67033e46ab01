//! `crosspoint route …`

use super::args::RouteArgs;
use super::failure::{Class, Failure};
use super::output::{self, Align, Table};
use super::{govern, nodes};
use crate::govern::Council;
use crate::govern::route::{self, End, Voucher};
use crate::settings::{ChainKind, Settings};
use crosspoint_adapters::signer::Signer;
use crosspoint_protocol::ids::ChainId;
use serde_json::json;
use std::sync::Arc;

pub(super) async fn open(args: &RouteArgs, json: bool) -> Result<(), Failure> {
    let settings = Settings::load(&args.governor.config.config)?;
    let vouchers = args.voucher.iter().map(|text| voucher(text)).collect::<Result<Vec<_>, _>>()?;
    // Before a passphrase is asked for.
    for id in [&args.a, &args.b] {
        nodes::chain(&settings, id)?;
    }
    let keys = govern::keys(&settings, &args.governor)?;
    let (a, b) = (end(&settings, &args.a, &keys).await?, end(&settings, &args.b, &keys).await?);
    let steps = route::open(&a, &b, args.trusting_period, &vouchers).await?;
    let left = steps.iter().filter(|step| !step.done).count();
    if json {
        output::json(&json!({ "open": left == 0, "steps": steps }))?;
    } else {
        let mut table =
            Table::new(&[("chain", Align::Left), ("", Align::Left), ("what", Align::Left), ("state", Align::Left)]);
        for step in &steps {
            let mark = if step.done { "ok" } else { "waits" };
            table.row([step.chain.to_string(), mark.into(), step.what.clone(), step.state.clone()]);
        }
        output::line(&table.render())?;
    }
    if left > 0 {
        let what = format!("{left} of {} steps are left; run this again when they are done", steps.len());
        return Err(Failure::new(Class::Partial, what));
    }
    Ok(())
}

async fn end(settings: &Settings, id: &ChainId, keys: &[Signer]) -> Result<End, Failure> {
    let chain = nodes::chain(settings, id)?;
    Ok(match chain.kind {
        ChainKind::Native(_) => End::Native(Council::new(Arc::new(nodes::native(chain)?), keys).await?),
        ChainKind::Evm(_) => End::Evm(Arc::new(nodes::evm(settings, chain).await?)),
    })
}

/// `CHAIN:DENOM:SYMBOL:CAP`
fn voucher(text: &str) -> Result<Voucher, Failure> {
    let wrong = |what: String| Failure::new(Class::Input, format!("--voucher {text}: {what}"));
    let parts: Vec<&str> = text.split(':').collect();
    let [on, denom, symbol, cap] = parts.as_slice() else {
        return Err(wrong("write it as CHAIN:DENOM:SYMBOL:CAP, such as crosspoint-1:stars:STARS:1000000".into()));
    };
    Ok(Voucher {
        on: on.parse().map_err(|e| wrong(format!("{e}")))?,
        denom: denom.parse().map_err(|e| wrong(format!("{e}")))?,
        symbol: (*symbol).to_owned(),
        cap: cap.parse().map_err(|e| wrong(format!("{e}")))?,
    })
}
