//! `housekey config check`.

use super::{ConfigFile, Failure, print_json};
use crate::config::{Config, Overrides};
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// Looks at a configuration without starting anything.
#[derive(Debug, Args)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say what is wrong with the configuration, or that nothing is
    #[command(
        after_help = "Examples:\n  housekey config check\n  housekey config check --config /etc/housekey.toml --json"
    )]
    Check {
        #[command(flatten)]
        file: ConfigFile,
        /// Print all settings as one line of JSON, secrets as ***
        #[arg(long)]
        json: bool,
    },
}

impl ConfigCommand {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let Verb::Check { file, json } = self.command;
        let (config, warnings) = Config::read(file.config.as_deref(), Overrides::default())?;
        for warning in &warnings {
            eprintln!("warning: {warning}");
        }
        if json {
            print_json(&config.redacted());
        } else {
            println!("The configuration is good: {} on {}.", config.server.public_url, config.server.listen);
        }
        Ok(ExitCode::SUCCESS)
    }
}
