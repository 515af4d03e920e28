//! `housekey delegate end`.

use super::{AccountArgs, ConsentArgs, Failure, make};
use crate::client::owner::{Procedure, Signers};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

/// Ends the delegation: the document names no key any more, and all associated data leaves.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey delegate end --identifier alice.example.com --key alice.key
  housekey delegate end --identifier alice.example.com --lost

Without the key a mailed code is needed, and the end is the server's word alone. Exit codes: 0 done and seen in the public
record; 1 not, or the server's operation changed more than that.")]
pub(super) struct End {
    #[command(flatten)]
    account: AccountArgs,
    /// File with the key that is named now
    #[arg(long, value_name = "FILE", required_unless_present = "lost", conflicts_with = "lost")]
    key: Option<PathBuf>,
    /// The key is lost
    #[arg(long)]
    lost: bool,
    #[command(flatten)]
    consent: ConsentArgs,
}

impl End {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let key = self.key.as_deref().map(|path| self.account.open_key(path)).transpose()?;
        let signers = Signers { endorser: key.as_ref(), ..Signers::default() };
        make(&self.account, &self.consent, Procedure::Delete, signers, self.key.as_deref()).await
    }
}
