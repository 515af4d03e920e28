//! Drives release binaries over HTTP on loopback and prints what they did: speed, CPU, memory, disk.
//!
//! `cargo bench --bench server -- --help` tells the phases. Every phase starts its own servers in an empty directory on a
//! real disk, so that phases do not disturb each other. A run with errors prints them instead of results, and fails.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::format_push_string,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    unreachable_pub,
    reason = "a measuring program: it prints, takes the time itself, and stops when its ground is missing"
)]

mod account;
mod firehose;
mod http;
mod load;
mod phases;
mod process;
mod report;
mod target;

use clap::Parser;
use phases::Bench;
use report::Report;
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// Measures a PDS over HTTP on loopback.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "cargo bench --bench server --",
    after_help = "\
Examples:
  cargo bench --bench server                                   every phase, in half an hour
  cargo bench --bench server -- --phases reads,writes          two of them
  cargo bench --bench server -- --phases writes --out w.jsonl  with JSON lines besides the table
  cargo bench --bench server -- --phases soak-kill --minutes 30
  node benches/server/reference.mjs                            starts npm's PDS and directory, prints the flags to use:
  cargo bench --bench server -- --phases writes,reads --against http://127.0.0.1:3000 --against-pid 4711 --rounds 3"
)]
pub struct Options {
    /// Phases to run, in this order
    #[arg(long, value_delimiter = ',', value_name = "NAMES", default_values_t = phases::NAMES.iter().map(|name| (*name).to_owned()))]
    phases: Vec<String>,
    /// Another PDS that is measured in alternation in the phases that any PDS can run
    #[arg(long, value_name = "URL")]
    against: Option<url::Url>,
    /// The process of that PDS, to read its CPU time and memory
    #[arg(long, value_name = "PID")]
    against_pid: Option<u32>,
    /// Ending of handles there
    #[arg(long, value_name = "DOMAIN", default_value = ".test")]
    against_domain: String,
    /// How often phases are repeated; the median is printed
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// How long each rate is measured, in seconds
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Records of the large repository
    #[arg(long, default_value_t = 100_000)]
    records: u64,
    /// Accounts at which memory and disk are taken last
    #[arg(long, default_value_t = 1_000)]
    accounts: u64,
    /// Where the servers keep their data [default: the system's directory for temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How long the phases soak and soak-kill take, in minutes; they run only when named
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// How long a server lives in the phase soak-kill, in seconds
    #[arg(long, default_value_t = 20)]
    kill_every: u64,
    /// JSON lines, one a figure, are added to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    fn span(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    if let Some(unknown) = options.phases.iter().find(|name| !phases::all().any(|phase| phase == name.as_str())) {
        eprintln!("there is no phase {unknown}; there are: {}", phases::all().collect::<Vec<_>>().join(", "));
        return ExitCode::from(2);
    }
    // One thread: what the generator can do on one core is what the phase `generator` proves.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut bench = Bench { report: Report::new(options.out.as_deref()), options };
    runtime.block_on(bench.run());
    bench.report.print();
    if bench.report.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
