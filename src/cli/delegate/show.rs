//! `housekey delegate show`.

use super::{Failure, SourceArgs, server};
use crate::{cli::print_json, syntax::AtIdentifier};
use clap::Args;
use serde_json::Value;
use std::process::ExitCode;
use url::Url;

/// Shows what a server says of an account's delegations. Nothing of that is checked: `housekey verify` does.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey delegate show alice.example.com
  housekey delegate show alice.test --server http://localhost:2583 --json")]
pub(super) struct Show {
    /// Handle or DID
    actor: AtIdentifier,
    /// Address of the account's server [default: the one that its DID document names]
    #[arg(long, value_name = "URL")]
    server: Option<Url>,
    #[command(flatten)]
    sources: SourceArgs,
    /// Print the answer as one line of JSON
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let sources = self.sources.open()?;
        let server = server(&sources, self.server.as_ref(), self.actor.as_str()).await?;
        let query = [("actor", self.actor.as_str())];
        let answer = server.get("dev.housekey.delegation.listDelegations", &query).await?;
        if self.json {
            print_json(&answer);
            return Ok(ExitCode::SUCCESS);
        }
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or("–").to_owned();
        let delegations = answer.get("delegations").and_then(Value::as_array).cloned().unwrap_or_default();
        println!("{} at {}, as the server says:", text(&answer, "did"), server.host());
        for delegation in &delegations {
            let (id, state, key) = (text(delegation, "id"), text(delegation, "state"), text(delegation, "key"));
            println!("  {id:<12} {state:<9} {key}");
            if let Some(domain) = delegation.get("domain").and_then(Value::as_str) {
                println!("  {:<12} ask {domain}", "");
            }
        }
        match delegations.len() {
            0 => println!("  no delegations"),
            _ => println!("\nCheck it with: housekey verify {}", self.actor),
        }
        Ok(ExitCode::SUCCESS)
    }
}
