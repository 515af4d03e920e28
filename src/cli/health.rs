//! `housekey health`: for people and for container health checks.

use super::{
    Failure,
    api::{Api, ServerArgs},
    print_json,
};
use clap::Args;
use serde_json::Value;
use std::process::ExitCode;

/// Asks a running server whether it is well; exits with 1 if it is not.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  housekey health\n  housekey health --server http://localhost:2583 --json")]
pub(super) struct Health {
    #[command(flatten)]
    server: ServerArgs,
    /// Print the answer as one line of JSON
    #[arg(long)]
    json: bool,
}

impl Health {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let answer = Api::new(&self.server)?.get("_health").await?;
        let version = answer
            .get("version")
            .and_then(Value::as_str)
            .ok_or_else(|| Failure::new("what answered is not a PDS: it told no version"))?;
        if self.json {
            print_json(&answer);
        } else {
            println!("The server is well (version {version}).");
        }
        Ok(ExitCode::SUCCESS)
    }
}
