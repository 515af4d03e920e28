//! `housekey adopt`: takes over the data of a reference PDS.

use super::{Failure, print_json};
use crate::{
    adopt::{AccountReport, BlobTransfer, Options, Outcome, Progress, Report, adopt},
    app::World,
    telemetry,
};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{io::IsTerminal as _, path::PathBuf, process::ExitCode};

/// Takes over the data directory of a reference PDS (bluesky-social/pds): accounts with their passwords and keys,
/// repositories, blobs, invite codes, the numbers of the event stream, settings. The original is only read, so that you can
/// switch back.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey adopt /pds --dry-run                  verifies everything, and makes nothing
  housekey adopt /pds --to /var/lib/housekey     then: housekey serve --config /var/lib/housekey/housekey.toml
  housekey adopt backup/pds --env pds.env --copy

Stop the reference PDS first. Every repository is verified: signature, tree, each record's hash. If one cannot be taken over,
nothing is; --leave-out leaves an account out. Blobs are hard links where the file system has them; they share their content
with the original's and neither server ever changes it.")]
pub(super) struct Adopt {
    /// Its data directory, with account.sqlite in it
    dir: PathBuf,
    /// The data directory to make [default: DIR-housekey]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Copy blobs instead of linking them
    #[arg(long)]
    copy: bool,
    /// The file with its settings [default: DIR/pds.env]
    #[arg(long, value_name = "FILE")]
    env: Option<PathBuf>,
    /// Where its blobs are, if not where its settings say
    #[arg(long, value_name = "DIR")]
    blobs: Option<PathBuf>,
    /// DID of an account that is not taken over; may be given several times
    #[arg(long, value_name = "DID")]
    leave_out: Vec<String>,
    /// Do everything, then throw it away
    #[arg(long)]
    dry_run: bool,
    /// Print what was taken over as one line of JSON
    #[arg(long)]
    json: bool,
}

impl Adopt {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        telemetry::start("warn", telemetry::Format::Text);
        let options = Options {
            dir: self.dir,
            target: self.to,
            env_file: self.env,
            blobs: self.blobs,
            transfer: if self.copy { BlobTransfer::Copy } else { BlobTransfer::Link },
            outcome: if self.dry_run { Outcome::Nothing } else { Outcome::Directory },
            leave_out: self.leave_out,
        };
        let bar = bar();
        let show = |progress: &Progress| {
            bar.set_length(u64::try_from(progress.total).unwrap_or(0));
            bar.set_position(u64::try_from(progress.done).unwrap_or(0));
            bar.set_message(progress.did.clone());
        };
        let adopted = Box::pin(adopt(&options, World::default(), &show)).await;
        bar.finish_and_clear();
        let report = adopted?;
        if self.json {
            print_json(&serde_json::to_value(&report)?);
        } else {
            show_report(&report);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A bar on standard error, drawn if somebody looks.
fn bar() -> ProgressBar {
    let on_terminal = std::io::stderr().is_terminal();
    let target = if on_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(None, target);
    match ProgressStyle::with_template("{bar:32} {human_pos} of {human_len} accounts, {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn show_report(report: &Report) {
    let all = |count: fn(&AccountReport) -> usize| report.accounts.iter().map(count).sum::<usize>();
    if report.dry_run {
        println!("Everything can be taken over from {}; nothing was made.\n", report.from.display());
    } else {
        println!("{} was taken over into {}.\n", report.from.display(), report.to.display());
    }
    println!("  Accounts       {}", report.accounts.len());
    println!("  Records        {}, each verified", all(|account| account.records));
    println!("  Blobs          {}, each verified", all(|account| account.blobs));
    println!("  App passwords  {}", all(|account| account.app_passwords));
    println!("  Preferences    {}", all(|account| account.preferences));
    println!("  Sessions       {}", all(|account| account.sessions));
    println!("  Invite codes   {}", report.invites);
    println!("  Event stream   continues with {} (it was at {})", report.next_seq, report.last_seq);
    show_not_taken(report);
    if report.dry_run {
        return;
    }
    println!("\nNext: see that the reference PDS does not start again, look through {}, then", report.config.display());
    println!("  housekey serve --config {}", report.config.display());
    println!(
        "The original was not changed. Going back to it loses what is written here, and after that the relays must be"
    );
    println!("told to begin anew.");
}

fn show_not_taken(report: &Report) {
    let mut lines = report.not_taken.clone();
    for account in &report.accounts {
        if !account.missing_blobs.is_empty() {
            lines.push(format!(
                "{}: {} blobs that are missing or damaged there",
                account.did,
                account.missing_blobs.len()
            ));
        }
        if account.temporary_blobs > 0 {
            lines.push(format!("{}: {} uploads that no record uses", account.did, account.temporary_blobs));
        }
    }
    lines.extend(report.left_out.iter().map(|did| format!("{did}: left out, as you asked")));
    lines.extend(report.settings.not_taken.iter().map(|name| format!("the setting {name}")));
    if !lines.is_empty() {
        println!("\nNot taken over:");
        for line in &lines {
            println!("  {line}");
        }
    }
    if !report.settings.warnings.is_empty() {
        println!("\nAbout the new configuration:");
        for line in &report.settings.warnings {
            println!("  {line}");
        }
    }
}
