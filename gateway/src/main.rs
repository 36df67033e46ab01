//! The `crosspoint` command.

use clap::Parser;
use crosspoint_gateway::cli;
use std::process::ExitCode;
use std::time::Duration;

/// The longest wait for threads that still write when a command has ended.
const LAST_WRITES: Duration = Duration::from_secs(5);

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
    let done = runtime.block_on(cli::run(arguments));
    // A write to disk that is under way may end; nobody waits for more.
    runtime.shutdown_timeout(LAST_WRITES);
    cli::clean_up();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}
