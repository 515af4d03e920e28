//! `housekey delegate rotate`.

use super::{AccountArgs, ConsentArgs, Failure, make};
use crate::client::owner::{Procedure, Signers};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

/// Names the next key. With the key before at hand, that one endorses it and nobody is warned.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey delegate rotate --identifier alice.example.com --key alice.key --next next.key
  housekey delegate rotate --identifier alice.example.com --lost --next next.key

Without the key before, a mailed code is needed and everybody who knows the account is warned. Associated data that holds
is signed anew by the next key. Exit codes: 0 done and seen in the public record; 1 not, or the server's
operation changed more than that.")]
pub(super) struct Rotate {
    #[command(flatten)]
    account: AccountArgs,
    /// File with the key that is named now
    #[arg(long, value_name = "FILE", required_unless_present = "lost", conflicts_with = "lost")]
    key: Option<PathBuf>,
    /// The key that is named now is lost: everybody will be warned
    #[arg(long)]
    lost: bool,
    /// File with the next key
    #[arg(long, value_name = "FILE")]
    next: PathBuf,
    #[command(flatten)]
    consent: ConsentArgs,
}

impl Rotate {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let next = self.account.open_key(&self.next)?;
        let key = self.key.as_deref().map(|path| self.account.open_key(path)).transpose()?;
        let signers = Signers { next: Some(&next), endorser: key.as_ref(), rotation: None };
        make(&self.account, &self.consent, Procedure::Update, signers, Some(&self.next)).await
    }
}
