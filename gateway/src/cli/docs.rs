//! The command reference, written from the definitions themselves.

use super::args::{Cli, DocsArgs, DocsCommand};
use super::failure::Failure;
use super::output;
use clap::{Command, CommandFactory};

pub(super) fn run(args: &DocsArgs) -> Result<(), Failure> {
    match args.command {
        DocsCommand::Cli => Ok(output::line(reference().trim_end())?),
    }
}

/// The whole reference as Markdown.
fn reference() -> String {
    let mut text = String::from("# Command reference\n\nWritten by `crosspoint docs cli`; do not edit.\n");
    let mut root = Cli::command().term_width(100);
    root.build();
    section(&mut text, &mut root, "");
    text
}

fn section(text: &mut String, command: &mut Command, parent: &str) {
    let name =
        if parent.is_empty() { command.get_name().to_owned() } else { format!("{parent} {}", command.get_name()) };
    // The version names a revision, which would make the reference differ with every commit.
    let help = command.render_long_help().to_string();
    let help: Vec<_> = help.trim_end().lines().map(str::trim_end).collect();
    text.push_str(&format!("\n## `{name}`\n\n```text\n{}\n```\n", help.join("\n")));
    for sub in command.get_subcommands_mut() {
        if !sub.is_hide_set() && sub.get_name() != "help" {
            section(text, sub, &name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_is_in_the_reference() {
        let text = reference();
        for name in [
            "demo",
            "start",
            "config check",
            "transfer send",
            "transfer void",
            "invoice new",
            "evidence verify",
            "audit",
            "keys import",
            "attest",
        ] {
            assert!(text.contains(&format!("## `crosspoint {name}`")), "{name}");
        }
        assert!(!text.contains("docs cli`\n\n```"));
    }
}
