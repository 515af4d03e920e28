//! `housekey verify`: is the key that an account names the user's own?

use super::{Failure, delegation_id, output, timeline};
use crate::{
    client::{
        files, outcome,
        pins::Pins,
        sources::{Judged, SourceOptions, Sources},
    },
    clock::SystemClock,
    delegation::{DelegationId, Verdict},
    syntax::{AtIdentifier, Did, Handle},
};
use clap::Args;
use std::{path::PathBuf, process::ExitCode, sync::Arc};
use url::Url;

/// Checks the delegation of an account from public material alone: the log of its DID and the statements of its keys.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey verify alice.example.com
  housekey verify did:plc:ewvi7nxzyoun6zhxrhs64oiz --json
  housekey verify alice.example.com --pin known.json      remember, and compare next time
  housekey verify alice.test --plc http://localhost:2582 --resolver http://localhost:2583

Exit codes: 0 verified; 1 verified, but with a key change that nobody endorsed, an interruption, a rollback or something
nullified; 2 unproven or mismatch, and wrong usage; 3 something could not be fetched, or a file not be read or written;
4 no delegation, or it is ended. The first of 3, 2, 4, 1 that applies.")]
pub(super) struct Verify {
    /// Handle or DID
    actor: AtIdentifier,
    /// The delegation
    #[arg(long, value_name = "ID", default_value = DelegationId::DEFAULT, value_parser = delegation_id)]
    id: DelegationId,
    #[command(flatten)]
    sources: SourceArgs,
    /// Compare with what this file remembers, and remember what was verified
    #[arg(long, value_name = "FILE")]
    pin: Option<PathBuf>,
    /// Remember the key although it does not follow from the one that was remembered: only after asking its owner
    #[arg(long, requires = "pin")]
    accept: bool,
    /// Print the verdict as one line of JSON
    #[arg(long)]
    json: bool,
}

/// Who is asked.
#[derive(Clone, Debug, Args)]
pub(super) struct SourceArgs {
    /// The PLC directory, or a mirror that the account's server does not run
    #[arg(long, value_name = "URL", default_value = "https://plc.directory")]
    plc: Url,
    /// A PDS or other service that resolves handles, and every did:web under .test, which no DNS has [default: DNS and the
    /// handle's website]
    #[arg(long, value_name = "URL")]
    resolver: Option<Url>,
    /// PEM file of certificate authorities to believe besides the public ones
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl SourceArgs {
    pub(super) fn open(&self) -> Result<Sources, Failure> {
        let extra_ca_pem = self.ca_file.as_deref().map(files::read_text).transpose()?.map(String::into_bytes);
        let options = SourceOptions { plc: self.plc.clone(), resolver: self.resolver.clone(), extra_ca_pem };
        Ok(Sources::new(&options, Arc::new(SystemClock))?)
    }

    /// The same with another directory.
    pub(super) fn with_plc(&self, plc: Url) -> Self {
        Self { plc, ..self.clone() }
    }

    pub(super) const fn plc(&self) -> &Url {
        &self.plc
    }
}

impl Verify {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let verdict = self.verdict().await.and_then(|code| output::check().map(|()| code));
        // Who reads nothing but the exit code must not take a file that cannot be read for a key that was verified.
        verdict.map_err(|failure| failure.or_else_exits_with(outcome::UNAVAILABLE))
    }

    async fn verdict(self) -> Result<ExitCode, Failure> {
        let sources = self.sources.open()?;
        let mut pins = self.pin.as_deref().map(Pins::read).transpose()?.unwrap_or_default();
        let handle = match &self.actor {
            AtIdentifier::Handle(handle) => Some(handle),
            AtIdentifier::Did(_) => None,
        };
        let known = handle.and_then(|handle| pins.did(handle)).cloned();
        let did = match known {
            Some(did) => Ok(did),
            None => sources.did_of(&self.actor).await,
        };
        let did = match did {
            Ok(did) => did,
            Err(cause) => return Ok(self.unresolved(&cause)),
        };
        let judged = sources.judge(&did, &self.id, pins.get(&did, &self.id)).await;
        warn(&judged, handle, &did);
        self.show(&judged);
        if let Some(path) = &self.pin {
            let pin = judged.assessment.to_pin(&did, &self.id);
            let offered = pin.is_some();
            if pins.learn(handle, &did, &judged.assessment, pin, self.accept) {
                pins.write(path)?;
            } else if offered {
                eprintln!("What was remembered stays: ask the owner, then repeat with --accept.");
            }
        }
        Ok(ExitCode::from(outcome::exit_code(&judged.assessment.verdict)))
    }

    /// Not even the DID is known.
    fn unresolved(&self, cause: &str) -> ExitCode {
        eprintln!("error: {cause}");
        let verdict = outcome::unavailable();
        if self.json {
            print_verdict(&verdict);
        }
        ExitCode::from(outcome::exit_code(&verdict))
    }

    fn show(&self, judged: &Judged) {
        if self.json {
            print_verdict(&judged.assessment.verdict);
        } else {
            timeline::print(judged);
        }
    }
}

/// What a reader should know besides the verdict.
fn warn(judged: &Judged, handle: Option<&Handle>, did: &Did) {
    for problem in &judged.gathered.problems {
        eprintln!("note: {problem}");
    }
    if let (Some(asked), Some(named)) = (handle, &judged.gathered.handle)
        && asked != named
    {
        eprintln!("note: {did} calls itself {named} and not {asked}");
    }
}

/// The eight fields and nothing else, in their order.
fn print_verdict(verdict: &Verdict) {
    match serde_json::to_string(verdict) {
        Ok(line) => println!("{line}"),
        Err(cause) => eprintln!("error: the verdict cannot be printed: {cause}"),
    }
}
