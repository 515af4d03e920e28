//! `housekey account export`.

use super::{as_json, print, show};
use crate::{
    cli::{
        Failure,
        ask::{self, SignInArgs},
        delegate::server,
        print_json,
        progress::Bar,
        verify::SourceArgs,
    },
    client::{
        archive::{self, Identity, Told, Verified, from_directory, from_server},
        session::Session,
    },
    clock::{Clock, SystemClock},
    config::{Config, Overrides},
    store::AuditReader,
    syntax::AtIdentifier,
};
use clap::Args;
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};
use url::Url;

/// As the owner, from whatever server the account is at; or with --data-dir or --config as the administrator of this machine,
/// beside the server that may be running. The archive is verified before it takes its place.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey account export alice.example.com                     asks for the password; makes alice.example.com.tar
  housekey account export alice.example.com --output backup.tar --password-file secret
  housekey account export alice.example.com --config /etc/housekey.toml

An app password will do, but its preferences are without the birth date. The archive holds no key and no password. The log of a
did:plc is fetched from the directory in both cases.")]
pub(in crate::cli) struct Export {
    /// Its handle or DID
    actor: AtIdentifier,
    /// The file to make [default: the handle or DID with .tar]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// File with the account's password or an app password [default: it is asked for]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    sign_in: SignInArgs,
    /// Address of the account's server [default: the one that its DID document names]
    #[arg(long, value_name = "URL")]
    server: Option<Url>,
    /// Read this data directory instead of asking a server
    #[arg(long, value_name = "DIR", conflicts_with_all = ["server", "password_file", "sign_in_code"])]
    data_dir: Option<PathBuf>,
    /// Read the data directory of this configuration instead of asking a server
    #[arg(long, value_name = "FILE", conflicts_with_all = ["server", "password_file", "sign_in_code"])]
    config: Option<PathBuf>,
    #[command(flatten)]
    sources: SourceArgs,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

impl Export {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let output = self
            .output
            .clone()
            .unwrap_or_else(|| PathBuf::from(format!("{}.tar", self.actor.as_str().replace(':', "-"))));
        let bar = Bar::new();
        let mut tell = |told: Told| show(&bar, told);
        let verified = if self.data_dir.is_some() || self.config.is_some() {
            self.read_here(&output, &mut tell).await?
        } else {
            self.fetch(&output, &mut tell).await?
        };
        drop(bar);
        if self.json {
            print_json(&json!({"archive": output, "verified": as_json(&verified)}));
        } else {
            println!("{} was made and verified.\n", output.display());
            print(&verified);
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn fetch(&self, output: &Path, tell: archive::Tell<'_>) -> Result<Verified, Failure> {
        let sources = self.sources.open()?;
        let pds = server(&sources, self.server.as_ref(), self.actor.as_str()).await?;
        let password = ask::password(self.password_file.as_deref(), self.actor.as_str(), &pds.host())?;
        let did = sources.did_of(&self.actor).await.map_err(Failure::new)?;
        let mut session = Session::new(pds, did.clone(), password, self.sign_in.code(), Arc::new(SystemClock));
        Ok(from_server(&sources, &mut session, &did, output, tell).await?)
    }

    async fn read_here(&self, output: &Path, tell: archive::Tell<'_>) -> Result<Verified, Failure> {
        let (dir, blobs, plc) = match (&self.data_dir, &self.config) {
            (Some(dir), None) => (dir.clone(), dir.join("blobs"), None),
            (data_dir, config) => {
                let overrides = Overrides { data_dir: data_dir.clone(), ..Overrides::default() };
                let (config, _) = Config::read(config.as_deref(), overrides)?;
                (config.server.data_dir.clone(), config.blobs.dir, Some(config.identity.plc_url))
            }
        };
        let reader = AuditReader::open(&dir, &blobs)?;
        let found = reader.account(&self.actor)?;
        let account = found
            .ok_or_else(|| Failure::new(format!("there is no account {} with a repository", self.actor.as_str())))?;
        let sources = match plc {
            Some(plc) => self.sources.with_plc(plc).open()?,
            None => self.sources.open()?,
        };
        let identity = Identity::fetch(&sources, &account.did).await?;
        Ok(from_directory(&reader, (&account, &identity), output, SystemClock.now(), tell)?)
    }
}
