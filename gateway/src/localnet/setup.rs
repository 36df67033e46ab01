//! What is done once: contracts and their client on the EVM chain, governance on the native one.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use crosspoint_adapters::evm::EvmChain;
use crosspoint_adapters::evm::anvil::Anvil;
use crosspoint_adapters::evm::deploy::{ClientPlan, DeployPlan, Manifest, TokenPlan, VoucherPlan, deploy as run};
use crosspoint_adapters::native::NativeChain;
use crosspoint_ledger::engine::SoloHandle;
use crosspoint_ledger::events::Event;
use crosspoint_ledger::tx::action::{Action, ClientSpec};
use crosspoint_ledger::tx::message::Message;
use crosspoint_light_proofs::checkpoint::Checkpoint;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::ClientId;

use super::{ADMIN, LocalNet, LocalNetConfig, evm_key, member};

/// How long a step may wait for a block.
const PATIENCE: Duration = Duration::from_secs(30);

/// The newest header of the native chain, as the EVM client's trust anchor.
fn anchor(solo: &SoloHandle) -> Result<Checkpoint> {
    let height = solo.height();
    let signed = solo.node().store.checkpoint(&solo.genesis().chain_id, height.0)?;
    Ok(signed.with_context(|| format!("no checkpoint of height {height}"))?.checkpoint)
}

fn client_plan(config: &LocalNetConfig, anchor: Checkpoint, native: &ClientId, evm: &ClientId) -> Result<ClientPlan> {
    Ok(ClientPlan {
        client: evm.clone(),
        counterparty: native.clone(),
        anchor,
        rules: config.window_rules(),
        members_only: false,
        vouchers: vec![VoucherPlan {
            denom: Denom::base("sfs")?,
            name: "SFS points".into(),
            symbol: "SFS".into(),
            decimals: 0,
            cap: Amount::new(910_000_000),
            limits: Default::default(),
        }],
        tokens: vec![],
    })
}

fn plan(anvil: &Anvil, client: ClientPlan) -> DeployPlan {
    DeployPlan {
        chain: anvil.chain().clone(),
        chain_number: anvil.chain_number(),
        endpoints: vec![anvil.url().clone()],
        clients: vec![client],
        governance: None,
        fees: Default::default(),
    }
}

/// Deploys the contracts and opens the client of the native chain, with the voucher of SFS.
pub(super) async fn deploy(
    config: &LocalNetConfig,
    solo: &SoloHandle,
    anvil: &Anvil,
    native: &ClientId,
    evm: &ClientId,
) -> Result<Manifest> {
    let plan = plan(anvil, client_plan(config, anchor(solo)?, native, evm)?);
    run(&plan, &evm_key(ADMIN)?, None, &mut |_| {}).await.context("the contracts cannot be deployed")
}

/// Creates the client of the EVM chain on the native chain and registers its counterparty, by governance.
pub(super) async fn open_native_client(
    config: &LocalNetConfig,
    native: &NativeChain,
    evm: &EvmChain,
    (native_client, evm_client): (&ClientId, &ClientId),
) -> Result<()> {
    let spec = evm.client_spec(config.trusting_period, PATIENCE).await?;
    create_client(native, spec, native_client, evm_client).await
}

/// Creates a client on the native chain, which must get this id, and registers its counterparty.
async fn create_client(native: &NativeChain, spec: ClientSpec, client: &ClientId, other: &ClientId) -> Result<()> {
    let events = govern(native, Action::CreateClient { spec: Box::new(spec) }).await?;
    let created = events.iter().find_map(|event| match event {
        Event::ClientCreated { client, .. } => Some(client),
        _ => None,
    });
    if created != Some(client) {
        bail!("the native chain made client {created:?}, not {client}");
    }
    let (client, counterparty_client) = (client.clone(), other.clone());
    govern(native, Action::RegisterCounterparty { client, counterparty_client }).await.map(drop)
}

/// Opens another pair of clients: first that on the EVM chain, then that of `spec`.
pub(super) async fn open_pair(net: &LocalNet, spec: ClientSpec, native: &ClientId, evm: &ClientId) -> Result<()> {
    let client = client_plan(&net.config, anchor(&net.solo)?, native, evm)?;
    run(&plan(&net.anvil, client), &evm_key(ADMIN)?, Some(net.manifest.clone()), &mut |_| {})
        .await
        .with_context(|| format!("client {evm} cannot be opened"))?;
    create_client(&net.native, spec, native, evm).await
}

/// One governor proposes, another approves; the events of the approval, which executes the action.
pub(super) async fn govern(native: &NativeChain, action: Action) -> Result<Vec<Event>> {
    let proposed = native.execute(&member("mall"), Message::Propose { action: Box::new(action) }).await?;
    let proposal = proposed.events.iter().find_map(|event| match event {
        Event::ProposalCreated { proposal, .. } => Some(*proposal),
        _ => None,
    });
    let proposal = proposal.context("the native chain made no proposal")?;
    let approved = native.execute(&member("marketing"), Message::Approve { proposal }).await?;
    for event in &approved.events {
        if let Event::ProposalExecuted { ok: false, error, .. } = event {
            bail!("proposal {proposal} was approved, but failed: {}", error.as_deref().unwrap_or("no reason given"));
        }
    }
    Ok(approved.events)
}

/// Opens the voucher of another denom of the native chain on the EVM chain.
pub(super) async fn open_voucher(net: &LocalNet, denom: &Denom, symbol: &str, cap: u128) -> Result<()> {
    let mut client = client_plan(&net.config, anchor(&net.solo)?, &net.native_client, &net.evm_client)?;
    client.vouchers.push(VoucherPlan {
        denom: denom.clone(),
        name: format!("{symbol} points"),
        symbol: symbol.into(),
        decimals: 0,
        cap: Amount::new(cap),
        limits: Default::default(),
    });
    run(&plan(&net.anvil, client), &evm_key(ADMIN)?, Some(net.manifest.clone()), &mut |_| {})
        .await
        .map(drop)
        .with_context(|| format!("the voucher of {denom} cannot be opened"))
}

/// Lists an ERC-20 on the EVM chain and admits its voucher on the native chain.
pub(super) async fn list_token(net: &LocalNet, token: TokenPlan, symbol: &str, cap: u128) -> Result<Denom> {
    let mut client = client_plan(&net.config, anchor(&net.solo)?, &net.native_client, &net.evm_client)?;
    let base: Denom = crosspoint_adapters::evm::record::address_text(&token.token).parse()?;
    client.tokens.push(token);
    run(&plan(&net.anvil, client), &evm_key(ADMIN)?, Some(net.manifest.clone()), &mut |_| {})
        .await
        .context("the token cannot be listed")?;
    let denom = base.received(&net.evm_client, &net.native_client)?.denom().clone();
    let action = Action::SetVoucherCap { denom, symbol: symbol.into(), cap: Amount::new(cap) };
    net.govern(action).await?;
    Ok(base)
}
