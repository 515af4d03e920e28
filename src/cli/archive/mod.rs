//! `housekey account export|verify|import`: a whole account as one file.

mod export;
mod import;
mod show;

use self::{
    export::Export,
    import::Import,
    show::{as_json, print, show},
};
use super::{Failure, print_json, progress::Bar};
use crate::{
    client::archive::{Opened, UNKNOWABLE, Verified, verify},
    clock::{Clock, SystemClock},
    crypto::token,
    entropy::OsEntropy,
};
use clap::{Args, Subcommand};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Bytes of randomness in the name of a scratch file.
const SCRATCH_NAME_BYTES: usize = 15;

/// What can be done with a whole account as one file.
#[derive(Debug, Subcommand)]
pub(super) enum Archive {
    /// Write an account into one file: records, blobs, preferences, delegations, identity
    Export(Export),
    /// Check an archive without asking anybody: everything in it is recomputed
    Verify(Verify),
    /// Bring an archive into an account that is not active
    Import(Import),
}

/// Recomputes every hash and signature of an archive by the log that is in it, and says what no archive can prove. Answers 0
/// when all is well and 1 when something is wrong.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey account verify alice.example.com.tar
  housekey account verify alice.example.com.tar --json")]
pub(super) struct Verify {
    /// The archive
    archive: PathBuf,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

impl Archive {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Export(command) => command.run().await,
            Self::Verify(command) => command.run(),
            Self::Import(command) => command.run().await,
        }
    }
}

impl Verify {
    fn run(self) -> Result<ExitCode, Failure> {
        let (_, verified) = check(&self.archive)?;
        if self.json {
            print_json(&as_json(&verified));
        } else {
            print(&verified);
            println!("\nEverything in the archive is what it says. What no archive can prove:");
            for line in UNKNOWABLE {
                println!("  {line}");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Opens an archive and verifies it.
fn check(path: &Path) -> Result<(Opened, Verified), Failure> {
    let bar = Bar::new();
    let opened = Opened::open(path)?;
    // A name that nobody can guess: the directory may be everybody's.
    let name = format!("housekey-{}.sqlite", token::base32_lower(&OsEntropy, SCRATCH_NAME_BYTES));
    let scratch = std::env::temp_dir().join(name);
    let verified = verify(&opened, &scratch, SystemClock.now(), &mut |told| show(&bar, told))?;
    Ok((opened, verified))
}
