//! `housekey completions SHELL`.

use super::{Cli, Failure};
use clap::{Args, CommandFactory};
use std::process::ExitCode;

/// Prints a completion script.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  housekey completions bash > /etc/bash_completion.d/housekey")]
pub(super) struct Completions {
    /// The shell
    shell: clap_complete::Shell,
}

impl Completions {
    #[expect(clippy::unnecessary_wraps, reason = "all commands answer alike")]
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        clap_complete::generate(self.shell, &mut Cli::command(), "housekey", &mut std::io::stdout());
        Ok(ExitCode::SUCCESS)
    }
}
