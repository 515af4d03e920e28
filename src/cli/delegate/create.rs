//! `housekey delegate create`.

use super::{AccountArgs, ConsentArgs, Failure, make};
use crate::client::owner::{Procedure, Signers};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

/// Names a key under an id that has none, or claims the key that the document names already.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey delegate create --identifier alice.example.com --key alice.key
  housekey delegate create --identifier alice.test --key alice.key --server http://localhost:2583 --plc http://localhost:2582

The first key that an id ever has needs no more than the password. Any other needs a mailed code, or the endorsement of the
key before (--previous). Exit codes: 0 done and seen in the public record; 1 not, or the server's
operation changed more than that.")]
pub(super) struct Create {
    #[command(flatten)]
    account: AccountArgs,
    /// File with the key, as `housekey key new` makes it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// File with the key that the id had before it was ended: it endorses the new one
    #[arg(long, value_name = "FILE")]
    previous: Option<PathBuf>,
    #[command(flatten)]
    consent: ConsentArgs,
}

impl Create {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let key = self.account.open_key(&self.key)?;
        let previous = self.previous.as_deref().map(|path| self.account.open_key(path)).transpose()?;
        let signers = Signers { next: Some(&key), endorser: previous.as_ref(), rotation: None };
        make(&self.account, &self.consent, Procedure::Create, signers, Some(&self.key)).await
    }
}
