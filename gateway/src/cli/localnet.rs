//! `crosspoint localnet …`

use super::args::{
    LocalnetArgs, LocalnetCommand, LocalnetDownArgs, LocalnetLogsArgs, LocalnetRestartArgs, LocalnetUpArgs,
};
use super::failure::{Class, Failure};
use super::output::{self, Align, Table, short};
use crate::nodes::process::Signal;
use crate::nodes::run::Binaries;
use crate::nodes::status::NodeStatus;
use crate::nodes::{Nodes, Plan};
use crosspoint_ledger::genesis::Genesis;
use serde_json::json;

pub(super) async fn run(command: &LocalnetCommand, json: bool) -> Result<(), Failure> {
    match command {
        LocalnetCommand::Up(args) => up(args, json).await,
        LocalnetCommand::Down(args) => down(args, json),
        LocalnetCommand::Status(args) => show(&open(args)?, json).await,
        LocalnetCommand::Logs(args) => logs(args, json),
        LocalnetCommand::Restart(args) => restart(args, json).await,
    }
}

fn open(args: &LocalnetArgs) -> Result<Nodes, Failure> {
    Nodes::open(&args.home).map_err(input)
}

fn input(error: anyhow::Error) -> Failure {
    Failure::new(Class::Input, format!("{error:#}"))
}

async fn up(args: &LocalnetUpArgs, json: bool) -> Result<(), Failure> {
    let binaries = Binaries::find().map_err(input)?;
    let dir = &args.localnet.home;
    let nodes = match Nodes::find(dir).map_err(input)? {
        Some(nodes) => {
            as_it_is(&nodes, args)?;
            nodes
        }
        None => {
            let plan = Plan {
                validators: args.validators.unwrap_or(4),
                base_port: args.base_port.unwrap_or(26_600),
                block_ms: args.block_ms.unwrap_or(1_000),
                snapshot_every: args.snapshot_every.unwrap_or(100),
            };
            plan.check().map_err(input)?;
            output::notice(&format!("making keys, genesis and settings in {}", dir.display()));
            Nodes::create(dir, plan, genesis(args)?).map_err(input)?
        }
    };
    let all: Vec<u16> = nodes.all().collect();
    if !json {
        output::notice(&format!("starting {} nodes with their applications", all.len()));
    }
    nodes.start(&binaries, &all).await?;
    nodes.wait_blocks(&all, None).await?;
    show(&nodes, json).await
}

fn genesis(args: &LocalnetUpArgs) -> Result<Genesis, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::new(Class::Input, error.to_string());
    let Some(path) = &args.genesis else { return crosspoint_ledger::demo::genesis(1).map_err(|e| wrong(&e)) };
    let text = std::fs::read_to_string(path).map_err(|e| wrong(&format!("{}: {e}", path.display())))?;
    Genesis::parse(&text).map_err(|e| wrong(&format!("{}: {e}", path.display())))
}

/// A network that is there keeps what it was made with.
fn as_it_is(nodes: &Nodes, args: &LocalnetUpArgs) -> Result<(), Failure> {
    let plan = nodes.plan();
    let differs = |name: &str, asked: Option<u64>, is: u64| {
        let asked = asked.filter(|asked| *asked != is)?;
        Some(format!("--{name} is {asked}, but the localnet in {} was made with {is}", nodes.dir().display()))
    };
    let problem = differs("validators", args.validators.map(Into::into), plan.validators.into())
        .or_else(|| differs("base-port", args.base_port.map(Into::into), plan.base_port.into()))
        .or_else(|| differs("block-ms", args.block_ms, plan.block_ms))
        .or_else(|| differs("snapshot-every", args.snapshot_every, plan.snapshot_every))
        .or_else(|| {
            args.genesis
                .as_ref()
                .map(|_| format!("there is a localnet in {}; it has its genesis", nodes.dir().display()))
        });
    problem.map_or(Ok(()), |problem| {
        let hint = "leave the option out, or `crosspoint localnet down --wipe` first, or choose another --home";
        Err(Failure::new(Class::Input, format!("{problem}: {hint}")))
    })
}

fn down(args: &LocalnetDownArgs, json: bool) -> Result<(), Failure> {
    let nodes = open(&args.localnet)?;
    let all: Vec<u16> = nodes.all().collect();
    let stopped = nodes.stop(&all, Signal::Terminate)?;
    if args.wipe {
        let removed = std::fs::remove_dir_all(nodes.dir());
        removed.map_err(|e| Failure::new(Class::Failed, format!("{}: {e}", nodes.dir().display())))?;
    }
    if json {
        return Ok(output::json(&json!({ "stopped": stopped, "wiped": args.wipe, "home": nodes.dir() }))?);
    }
    let rest = if args.wipe { "and its folder is removed" } else { "its data stays" };
    Ok(output::line(&format!("{stopped} processes stopped; {rest} ({})", nodes.dir().display()))?)
}

fn logs(args: &LocalnetLogsArgs, json: bool) -> Result<(), Failure> {
    let nodes = open(&args.localnet)?;
    let index = nodes.index(args.validator).map_err(input)?;
    let (node, app) = (nodes.node(index), nodes.app(index));
    let (node_lines, app_lines) = (node.last_lines(args.lines.into()), app.last_lines(args.lines.into()));
    if json {
        return Ok(output::json(&json!({ "node": node_lines, "app": app_lines }))?);
    }
    for (program, lines) in [(node, node_lines), (app, app_lines)] {
        output::line(&format!("── {}", program.log_file().display()))?;
        for line in lines {
            output::line(&output::printable(&line))?;
        }
    }
    Ok(())
}

async fn restart(args: &LocalnetRestartArgs, json: bool) -> Result<(), Failure> {
    let nodes = open(&args.localnet)?;
    let index = nodes.index(args.validator).map_err(input)?;
    let binaries = Binaries::find().map_err(input)?;
    // Asked before anything is stopped: where nobody answers, nothing is lost.
    let trust = if args.resync { Some(nodes.trust(index).await?) } else { None };
    // It has caught up when it is where the others are now.
    let newest = nodes.newest_of_others(index).await;
    nodes.stop(&[index], Signal::Terminate)?;
    let resync = trust.is_some();
    if resync {
        nodes.forget_state(index)?;
    }
    nodes.write_settings(index, trust)?;
    nodes.start(&binaries, &[index]).await?;
    nodes.wait_blocks(&[index], newest.checked_sub(1)).await?;
    if resync {
        // A node with blocks must not be told to fetch a snapshot when it starts the next time.
        nodes.write_settings(index, None)?;
    }
    show(&nodes, json).await
}

async fn show(nodes: &Nodes, json: bool) -> Result<(), Failure> {
    let status = nodes.status().await;
    if json {
        return Ok(output::json(&json!({ "home": nodes.dir(), "plan": nodes.plan(), "validators": status }))?);
    }
    output::line(&table(&status))?;
    let chain = status.iter().find_map(|node| Some(&node.chain.as_ref()?.chain_id));
    let name =
        chain.map_or_else(|| "no node answers".to_owned(), |chain| format!("chain {}", output::printable(chain)));
    Ok(output::line(&format!("\n{name}; files in {}", nodes.dir().display()))?)
}

fn table(status: &[NodeStatus]) -> String {
    let mut table = Table::new(&[
        ("validator", Align::Right),
        ("node", Align::Left),
        ("app", Align::Left),
        ("rpc", Align::Left),
        ("height", Align::Right),
        ("peers", Align::Right),
        ("app hash", Align::Left),
        ("state", Align::Left),
    ]);
    for node in status {
        let pid = |pid: Option<u32>| pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let chain = node.chain.as_ref();
        let state = match (chain, node.node_pid, node.app_pid) {
            (Some(chain), ..) if chain.catching_up => "catching up",
            (Some(_), ..) => "running",
            (None, None, None) => "stopped",
            (None, Some(_), Some(_)) => "does not answer",
            (None, ..) => "half stopped; `up` starts the rest",
        };
        table.row([
            node.index.to_string(),
            pid(node.node_pid),
            pid(node.app_pid),
            node.rpc.clone(),
            chain.map_or_else(|| "-".to_owned(), |chain| chain.height.to_string()),
            chain.map_or_else(|| "-".to_owned(), |chain| chain.peers.to_string()),
            chain.map_or_else(|| "-".to_owned(), |chain| short(&chain.app_hash)),
            state.to_owned(),
        ]);
    }
    table.render()
}
