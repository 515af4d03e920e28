//! `housekey delegate data`.

use super::{AccountArgs, Failure};
use crate::{
    cli::print_json,
    client::files,
    clock::{Clock, SystemClock},
    delegation::DOMAIN_APP,
    entropy::OsEntropy,
    ipld::{Map, json::map_from_json},
    limits::client::ENTRY_DAYS,
    syntax::Nsid,
};
use clap::Args;
use serde_json::json;
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// Sets what one app says to others, signed by the key, or ends it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey delegate data --identifier alice.example.com --key alice.key --app com.example.chat --data packages.json
  housekey delegate data --identifier alice.example.com --key alice.key --domain chat.example.com
  housekey delegate data --identifier alice.example.com --key alice.key --app com.example.chat --end
  housekey delegate data --identifier alice.example.com --key alice.key --app dev.housekey.delegation.domain --end

Exit codes: 0 done and seen to be served; 1 not.")]
#[command(group = clap::ArgGroup::new("what").required(true).args(["data", "domain", "end"]))]
pub(super) struct Data {
    #[command(flatten)]
    account: AccountArgs,
    /// File with the key that is named now
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The app
    #[arg(long, value_name = "NSID", required_unless_present = "domain", conflicts_with = "domain")]
    app: Option<Nsid>,
    /// File with a JSON object: what the app says
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// The host to ask instead of the account's server
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// End the app's entry
    #[arg(long)]
    end: bool,
    /// For how many days it holds
    #[arg(long, value_name = "N", default_value_t = ENTRY_DAYS, value_parser = clap::value_parser!(u16).range(1..=90))]
    days: u16,
}

impl Data {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let app = match &self.app {
            Some(app) => app.clone(),
            None => DOMAIN_APP.parse()?,
        };
        let data = self.content()?;
        let key = self.account.open_key(&self.key)?;
        let owner = self.account.log_in().await?;
        let expires_at = SystemClock.now().plus(Duration::from_hours(24 * u64::from(self.days)));
        let is_end = data.is_none();
        let entry = owner.put_data(&key, app, data, expires_at, &OsEntropy).await?;
        let did = owner.did();
        if self.account.json {
            print_json(&json!({ "did": did, "entry": entry.to_json() }));
        } else if is_end {
            println!("Done: the entry of {} for {did} is ended.", entry.app());
        } else {
            println!("Done: the entry of {} for {did} holds until {}.", entry.app(), entry.expires_at());
        }
        Ok(ExitCode::SUCCESS)
    }

    fn content(&self) -> Result<Option<Map>, Failure> {
        if let Some(domain) = &self.domain {
            let mut map = Map::new();
            map.insert("domain", domain.as_str());
            return Ok(Some(map));
        }
        let Some(path) = &self.data else { return Ok(None) };
        let wrong = |cause: &dyn std::fmt::Display| Failure::usage(format!("{}: {cause}", path.display()));
        let json = serde_json::from_str(&files::read_text(path)?).map_err(|cause| wrong(&cause))?;
        map_from_json(&json).map(Some).map_err(|cause| wrong(&cause))
    }
}
