//! The command line. Every command answers in words or, with `--json`, in one line of JSON; a failure is one plain
//! sentence on standard error.
#![expect(clippy::print_stderr, reason = "a command line talks to its user")]

/// As the standard one, but a reader who has gone is no reason to panic.
macro_rules! println {
    () => { println!("") };
    ($($text:tt)*) => {{ $crate::cli::output::line(format_args!($($text)*)); }};
}

/// As the standard one, but a reader who has gone is no reason to panic.
macro_rules! eprintln {
    () => { eprintln!("") };
    ($($text:tt)*) => {{ $crate::cli::output::note(format_args!($($text)*)); }};
}

mod account;
mod account_change;
mod account_owner;
mod adopt;
mod api;
mod archive;
mod ask;
mod check;
mod completions;
mod config;
mod crawl;
mod delegate;
mod dev;
mod exec;
mod health;
mod invite;
mod key;
mod mail;
mod migrate;
mod output;
mod progress;
mod serve;
mod timeline;
mod verify;
mod watch;

use crate::delegation::{DelegationId, DelegationIdError};
use clap::{Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

/// Exit codes: 0 done, 1 failed, 2 wrong usage; `exec` passes on its command's (127: not found, 126: not executable,
/// 128 + n: ended by signal n).
#[derive(Debug, Parser)]
#[command(
    name = "housekey",
    version,
    about = "A personal data server for the AT Protocol whose users hold the key that matters.",
    after_help = EXAMPLES,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  housekey dev                                  a PDS and a PLC directory on this machine, with two accounts
  housekey exec -- npm test                     the same on free ports, for as long as a command runs
  housekey serve --config housekey.toml         the server
  housekey account create alice.example.com --email alice@example.com
  housekey key new alice.key                    a key for end-to-end encryption that no server sees
  housekey delegate create --identifier alice.example.com --key alice.key
  housekey verify alice.example.com             whose key an account really names

Exit codes: 0 done, 1 failed, 2 wrong usage; `verify` has its own, see there. `exec` answers its command's own (127 not found, 126 not executable,
128 + n ended by signal n).";

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one of it in a run")]
enum Command {
    /// Run the server
    Serve(serve::Serve),
    /// Run a development server: PDS, PLC directory and mail in one process, gone afterwards
    Dev(dev::Dev),
    /// Run a command against a development server of its own
    Exec(exec::Exec),
    /// Take over the data of a reference PDS
    Adopt(adopt::Adopt),
    /// Create, list, show, change, take down and delete the accounts of a running server, and write to their owners
    Account(account::Account),
    /// Make, list and disable the invite codes of a running server
    Invite(invite::Invite),
    /// Try mail, show what mails say, and list those of a running server
    Mail(mail::Mail),
    /// Make and keep keys that no server sees
    Key(key::Key),
    /// Name, change and end the key that an account delegates end-to-end encryption to
    Delegate(Box<delegate::Delegate>),
    /// Check the key that an account delegates end-to-end encryption to
    Verify(verify::Verify),
    /// Tell every change of the keys of some accounts
    Watch(watch::Watch),
    /// Ask how relays stand to a running server, and ask them to crawl it
    Crawl(crawl::Crawl),
    /// Move an account from one server to another
    Migrate(migrate::Migrate),
    /// Check a configuration
    Config(config::ConfigCommand),
    /// Check everything that is stored
    Check(check::Check),
    /// Ask a running server whether it is well
    Health(health::Health),
    /// Print shell completions
    Completions(completions::Completions),
}

/// Where the configuration is: shared by all commands that read it.
#[derive(Clone, Debug, clap::Args)]
struct ConfigFile {
    /// Configuration file [default: housekey.toml if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What went wrong, for the user: one sentence, and the exit code.
#[derive(Debug)]
struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    fn new(message: impl std::fmt::Display) -> Self {
        Self { message: message.to_string(), code: 1 }
    }

    fn usage(message: impl std::fmt::Display) -> Self {
        Self { message: message.to_string(), code: 2 }
    }

    /// The same for a command whose own exit code 1 means something else; wrong usage stays what it is.
    fn or_else_exits_with(self, code: u8) -> Self {
        Self { code: if self.code == 1 { code } else { self.code }, ..self }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(cause: E) -> Self {
        Self::new(cause)
    }
}

/// Runs the command that the arguments name and answers its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => {
            eprintln!("error: the program could not start its threads: {cause}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Serve(command) => command.run().await,
            Command::Dev(command) => command.run().await,
            Command::Exec(command) => command.run().await,
            Command::Adopt(command) => command.run().await,
            Command::Account(command) => command.run().await,
            Command::Invite(command) => command.run().await,
            Command::Mail(command) => command.run().await,
            Command::Key(command) => command.run(),
            Command::Delegate(command) => command.run().await,
            Command::Verify(command) => command.run().await,
            Command::Watch(command) => command.run().await,
            Command::Crawl(command) => command.run().await,
            Command::Migrate(command) => Box::pin(command.run()).await,
            Command::Config(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Health(command) => command.run().await,
            Command::Completions(command) => command.run(),
        }
    });
    // Threads that still read the disk must not hold up the end.
    runtime.shutdown_background();
    match result.and_then(|code| output::check().map(|()| code)) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

/// The id that a command line names: one that a delegation may have.
fn delegation_id(text: &str) -> Result<DelegationId, String> {
    let id: DelegationId = text.parse().map_err(|cause: DelegationIdError| cause.to_string())?;
    if id.is_reserved() {
        return Err("atproto and every atproto_… belong to the protocol: a delegation has another id".to_owned());
    }
    Ok(id)
}

/// Prints one value as a line of JSON.
fn print_json(value: &serde_json::Value) {
    println!("{value}");
}
