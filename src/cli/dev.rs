//! `housekey dev`: a server to develop against.

use super::{Failure, print_json, serve::StopSignals};
use crate::{
    app::{DevServer, DevSettings},
    service::KnownService,
    syntax::{Datetime, Did},
    telemetry,
};
use clap::Args;
use serde_json::json;
use std::{path::PathBuf, process::ExitCode};
use url::Url;

/// Runs a PDS with a PLC directory, seeded accounts and a mail page in one process. Nothing is kept unless `--state`
/// is given.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey dev                          http://localhost:2583 with the accounts alice.test and bob.test
  housekey dev --port 0 --plc-port 0    on free ports; the ready line tells which
  housekey dev --seed 7 --json          the same DIDs, keys and passwords in every run, as one line of JSON")]
pub(super) struct Dev {
    /// Port of the PDS (0: any free one)
    #[arg(long, default_value_t = 2583)]
    port: u16,
    /// Port of the PLC directory (0: any free one)
    #[arg(long, default_value_t = 2582)]
    plc_port: u16,
    #[command(flatten)]
    options: DevOptions,
}

/// What `dev` and `exec` have in common.
#[derive(Clone, Debug, Args)]
pub(super) struct DevOptions {
    /// Make everything that exists at the start the same in every run
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Let the clock start here instead of now (2026-01-01T00:00:00Z)
    #[arg(long, value_name = "START")]
    clock: Option<Datetime>,
    /// Accounts to make; a name without a dot gets `.test`
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "alice,bob")]
    accounts: Vec<String>,
    /// Keep the data in this directory and find it again next time
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Address under which clients reach the server [default: http://localhost:PORT]
    #[arg(long, value_name = "URL")]
    public_url: Option<Url>,
    /// Check records by the schemas in the .json files of this directory too; they are read again when they change
    #[arg(long, value_name = "DIR")]
    lexicons: Option<PathBuf>,
    /// Pass requests for app.bsky on to the service at this address
    #[arg(long, value_name = "URL", requires = "appview_did")]
    appview_url: Option<Url>,
    /// That service's DID: the audience of tokens for it
    #[arg(long, value_name = "DID", requires = "appview_url")]
    appview_did: Option<Did>,
    /// Lift the PLC directory's limit on operations per DID
    #[arg(long)]
    no_plc_limits: bool,
    /// Count requests and refuse too many, as a server does (otherwise nothing is limited)
    #[arg(long)]
    limits: bool,
    /// Print one line of JSON when ready (`exec`: on standard error)
    #[arg(long)]
    pub(super) json: bool,
}

impl DevOptions {
    pub(super) fn settings(&self, port: u16, plc_port: u16) -> DevSettings {
        DevSettings {
            port,
            plc_port,
            seed: self.seed,
            clock: self.clock.as_ref().map(Datetime::timestamp),
            accounts: self.accounts.iter().filter(|name| !name.is_empty()).cloned().collect(),
            state: self.state.clone(),
            public_url: self.public_url.clone(),
            lexicons: self.lexicons.clone(),
            plc_limits: !self.no_plc_limits,
            limits: self.limits,
            appview: self.appview_url.clone().zip(self.appview_did.clone()).map(|(url, did)| KnownService { url, did }),
        }
    }
}

impl Dev {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        telemetry::start_for_development();
        let stop = StopSignals::listen()?;
        let server = DevServer::start(self.options.settings(self.port, self.plc_port)).await?;
        if self.options.json {
            print_json(&ready_line(&server));
        } else {
            print_ready(&server);
        }
        stop.told().await;
        server.stop().await;
        Ok(ExitCode::SUCCESS)
    }
}

/// What `--json` prints.
pub(super) fn ready_line(server: &DevServer) -> serde_json::Value {
    let accounts: Vec<_> = server
        .accounts
        .iter()
        .map(|account| {
            json!({
                "handle": account.handle,
                "did": account.did,
                "password": account.password.expose(),
                "accessJwt": account.access_jwt.expose(),
            })
        })
        .collect();
    json!({
        "pds": server.pds,
        "plc": server.plc,
        "mail": server.mail,
        "admin_password": server.admin_password.expose(),
        "accounts": accounts,
    })
}

fn print_ready(server: &DevServer) {
    println!("Housekey is ready.\n");
    println!("  PDS             {}", server.pds);
    println!("  PLC directory   {}", server.plc);
    println!("  Mail            {}", server.mail);
    println!("  Administrator   admin / {}\n", server.admin_password.expose());
    for account in &server.accounts {
        println!("  {:<20} {}   password {}", account.handle.as_str(), account.did, account.password.expose());
    }
    println!("\nStop it with Ctrl-C.");
}
