//! `crosspoint chain …`

use super::args::AnchorArgs;
use super::failure::{Class, Failure};
use super::output;
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::native::{NativeChain, NativeSettings};
use crosspoint_light_proofs::checkpoint::Checkpoint;
use crosspoint_protocol::ids::Height;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How long another node may be behind.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct Clients<'a> {
    clients: [Anchored<'a>; 1],
}

/// The part of a deployment's plan that the anchor is.
#[derive(Serialize)]
struct Anchored<'a> {
    anchor: &'a Checkpoint,
}

pub(super) async fn anchor(args: &AnchorArgs, json: bool) -> Result<(), Failure> {
    let nodes: Vec<NativeChain> = args
        .endpoint
        .iter()
        .map(|endpoint| {
            let settings = NativeSettings::new(args.chain.clone(), vec![endpoint.url().clone()]);
            // Nothing is sent, so nobody's key.
            NativeChain::new(settings, ed25519_dalek::SigningKey::from_bytes(&[1; 32]))
        })
        .collect::<Result<_, _>>()?;
    let [first, others @ ..] = nodes.as_slice() else {
        return Err(Failure::new(Class::Input, "name at least one node with --endpoint"));
    };
    let anchor = first.checkpoint_anchor().await?;
    for (node, endpoint) in others.iter().zip(args.endpoint.iter().skip(1)) {
        if known(node, anchor.height).await? != anchor {
            let what = format!(
                "{endpoint} has another header {} than the first node: trust neither until you know why",
                anchor.height
            );
            return Err(Failure::new(Class::Failed, what));
        }
    }
    if json {
        return Ok(output::json(&anchor)?);
    }
    let text = toml::to_string(&Clients { clients: [Anchored { anchor: &anchor }] })
        .map_err(|e| Failure::new(Class::Failed, format!("the anchor cannot be written: {e}")))?;
    let (_, table) = text.split_once("\n").unwrap_or_default();
    output::notice(&format!(
        "header {} of {}, {}; for the plan's client, once you have compared it with another member's",
        anchor.height,
        args.chain,
        output::utc(anchor.time.0)
    ));
    output::line(table.trim())?;
    Ok(())
}

/// What a node knows of a header, which may reach it a moment later than the first one.
async fn known(node: &NativeChain, height: Height) -> Result<Checkpoint, ChainError> {
    let started = Instant::now();
    loop {
        match node.checkpoint_at(height).await {
            Err(ChainError::NotFound { .. } | ChainError::NotYet(_)) if started.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            found => return found,
        }
    }
}
