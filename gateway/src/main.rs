//! The `crosspoint` command.

use clap::Parser;
use crosspoint_gateway::cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = cli::args::Cli::parse();
    let json = arguments.json;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            let class = cli::failure::Class::Failed;
            return cli::failure::Failure::new(class, format!("the runtime does not start: {e}")).report(json);
        }
    };
    match runtime.block_on(cli::run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}
