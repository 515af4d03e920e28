//! `housekey check`: everything that is stored, computed anew and compared.

use super::{ConfigFile, Failure, print_json, progress::Bar};
use crate::{
    config::{Config, Overrides},
    service::audit::{Audit, Blobs, Progress, audit},
    store::AuditReader,
};
use clap::Args;
use serde_json::json;
use std::{path::PathBuf, process::ExitCode};

/// Checks everything that is stored: every tree, commit signature, record index, blob reference and event is computed
/// anew and compared. Reads only, so the server may be running. Answers 0 when all is well and 1 when something is wrong.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey check
  housekey check --config /etc/housekey.toml --blobs
  housekey check --data-dir /var/lib/housekey --json")]
pub(super) struct Check {
    #[command(flatten)]
    file: ConfigFile,
    /// Directory of the database [default: the configured one]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Read every uploaded file too and compare its content
    #[arg(long)]
    blobs: bool,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let (dir, blobs) = match self.data_dir {
            // A directory says all that is needed: no configuration has to be at hand.
            Some(dir) if self.file.config.is_none() => (dir.clone(), dir.join("blobs")),
            data_dir => {
                let overrides = Overrides { data_dir, ..Overrides::default() };
                let (config, _) = Config::read(self.file.config.as_deref(), overrides)?;
                (config.server.data_dir.clone(), config.blobs.dir)
            }
        };
        let reader = AuditReader::open(&dir, &blobs)?;
        let bar = Bar::new();
        let found =
            audit(&reader, if self.blobs { Blobs::Read } else { Blobs::Present }, &mut |progress| match progress {
                Progress::Database => bar.show("database file", 0, 1),
                Progress::Accounts { done, all } => bar.show("accounts", done, all),
                Progress::Events { done, all } => bar.show("events", done, all),
            })?;
        drop(bar);
        if self.json {
            print_json(&as_json(&found));
        } else {
            print(&found);
        }
        Ok(if found.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn as_json(found: &Audit) -> serde_json::Value {
    json!({
        "good": found.is_good(),
        "accounts": found.accounts,
        "records": found.records,
        "nodes": found.nodes,
        "blobs": found.blobs,
        "missingBlobs": found.missing_blobs,
        "events": found.events,
        "problems": found.problems,
        "furtherProblems": found.further_problems,
    })
}

fn print(found: &Audit) {
    println!(
        "{} accounts, {} records, {} tree nodes, {} blobs, {} events",
        found.accounts, found.records, found.nodes, found.blobs, found.events
    );
    if found.missing_blobs > 0 {
        println!(
            "{} blobs that records name were never uploaded here: normal while an account moves in, otherwise a loss",
            found.missing_blobs
        );
    }
    for problem in &found.problems {
        println!("wrong: {problem}");
    }
    if found.further_problems > 0 {
        println!("… and {} more", found.further_problems);
    }
    if found.is_good() {
        println!("All is well.");
    }
}
