//! The end-to-end demonstration: two servers, one PLC directory, and a conversation that no server can read.
//! `cargo run --example end_to_end`.
//!
//! It starts both servers as processes of its own: called with arguments, this program is `housekey`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a demonstration tells what it does and stops where it fails"
)]

#[path = "../tests/support/end_to_end.rs"]
mod end_to_end;
#[path = "../tests/support/mod.rs"]
mod support;

use end_to_end::Places;
use std::process::ExitCode;
use support::{Running, free_port, serve};

fn main() -> ExitCode {
    if std::env::args_os().len() > 1 {
        return housekey::cli::main();
    }
    tokio::runtime::Runtime::new().unwrap().block_on(demonstrate());
    ExitCode::SUCCESS
}

async fn demonstrate() {
    let bob = Running::dev(&["--accounts", "", "--no-plc-limits"]);
    let dir = tempfile::tempdir().unwrap();
    let alice = Running::start(&mut serve(dir.path(), free_port(), bob.text("plc")));
    let places = Places {
        alice: alice.text("pds").to_owned(),
        bob: bob.text("pds").to_owned(),
        plc: bob.text("plc").to_owned(),
    };
    end_to_end::run(&places, |what| println!("· {what}")).await;
}
