//! `crosspoint govern …`

use super::args::{ApproveArgs, GovernListArgs, GovernorArgs, ProposeArgs};
use super::failure::{Class, Failure};
use super::{nodes, output};
use crate::govern::{Council, Decision, GovernError};
use crate::keys::{KeyKind, KeyStore, PassphraseSource};
use crate::settings::Settings;
use crosspoint_adapters::signer::Signer;
use crosspoint_ledger::tx::action::Action;
use crosspoint_protocol::ids::{ChainId, Timestamp};
use serde_json::json;
use std::sync::Arc;

impl From<GovernError> for Failure {
    fn from(error: GovernError) -> Self {
        match error {
            GovernError::Chain(error) => error.into(),
            GovernError::NoGovernor { .. } | GovernError::NoProposal { .. } | GovernError::Cannot(_) => {
                Self::new(Class::Input, error.to_string())
            }
            GovernError::Failed { .. } => Self::new(Class::Failed, error.to_string()),
        }
    }
}

/// The governors' keys that the settings' keystore has.
pub(super) fn keys(settings: &Settings, args: &GovernorArgs) -> Result<Vec<Signer>, Failure> {
    if args.key.is_empty() {
        return Err(Failure::new(
            Class::Input,
            "name a governor's key with --key; `crosspoint keys list` has their names",
        ));
    }
    let source = PassphraseSource { file: settings.keystore.passphrase_file.clone(), prompt: true };
    let passphrase = source.existing()?;
    let store = KeyStore::new(settings.keystore.dir.clone());
    args.key.iter().map(|name| Ok(store.signer(name, KeyKind::Native, &passphrase)?)).collect()
}

pub(super) async fn council(settings: &Settings, id: &ChainId, keys: &[Signer]) -> Result<Council, Failure> {
    let native = nodes::native(nodes::chain(settings, id)?)?;
    Ok(Council::new(Arc::new(native), keys).await?)
}

pub(super) async fn list(args: &GovernListArgs, json: bool) -> Result<(), Failure> {
    let settings = Settings::load(&args.config.config)?;
    let native = nodes::native(nodes::chain(&settings, &args.chain)?)?;
    let (params, proposals) = (native.params().await?, native.proposals().await?);
    if json {
        return Ok(output::json(&proposals)?);
    }
    if proposals.is_empty() {
        output::line(&format!("{}: no proposal waits", args.chain))?;
    }
    for one in &proposals {
        let action = serde_json::to_string_pretty(&one.action).unwrap_or_default();
        let approvals: Vec<_> = one.approvals.iter().map(ToString::to_string).collect();
        output::line(&format!(
            "proposal {}: {} of {} approvals ({}){}\n{action}\n",
            one.proposal,
            approvals.len(),
            params.quorum,
            approvals.join(", "),
            ready(one.ready_at)
        ))?;
    }
    Ok(())
}

fn ready(at: Option<Timestamp>) -> String {
    at.map_or_else(String::new, |at| format!(", takes effect at {}", output::utc(at.0)))
}

pub(super) async fn approve(args: &ApproveArgs, json: bool) -> Result<(), Failure> {
    let settings = Settings::load(&args.governor.config.config)?;
    let keys = keys(&settings, &args.governor)?;
    let council = council(&settings, &args.chain, &keys).await?;
    tell(&args.chain, &council.approve(args.proposal).await?, json)
}

pub(super) async fn propose(args: &ProposeArgs, json: bool) -> Result<(), Failure> {
    let settings = Settings::load(&args.governor.config.config)?;
    let failed = |e: String| Failure::new(Class::Input, format!("{}: {e}", args.action.display()));
    let text = std::fs::read_to_string(&args.action).map_err(|e| failed(e.to_string()))?;
    let action: Action = serde_json::from_str(&text).map_err(|e| failed(e.to_string()))?;
    let keys = keys(&settings, &args.governor)?;
    let council = council(&settings, &args.chain, &keys).await?;
    let wanted = action.clone();
    tell(&args.chain, &council.decide(action, |known| *known == wanted).await?, json)
}

fn tell(chain: &ChainId, decision: &Decision, json: bool) -> Result<(), Failure> {
    let (done, proposal, words) = match decision {
        Decision::Done(_) => (true, None, format!("{chain}: it took effect")),
        Decision::Waits { proposal, approvals, quorum, ready_at } => (
            false,
            Some(*proposal),
            format!("{chain}: proposal {proposal} has {approvals} of {quorum} approvals{}", ready(*ready_at)),
        ),
    };
    if json {
        return Ok(output::json(&json!({ "chain": chain, "done": done, "proposal": proposal }))?);
    }
    output::line(&words)?;
    Ok(())
}
