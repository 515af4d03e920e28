//! `housekey exec -- CMD…`: a development server for as long as a command runs.
//!
//! The command is started through this same program (`exec --child-of`), which asks the kernel to end it when we are
//! killed and then becomes it: so no server and no test outlives the other, whatever happens.

use super::{
    Failure,
    dev::{DevOptions, ready_line},
};
use crate::{
    app::{DevServer, EndedBy, run_child},
    telemetry,
};
use clap::Args;
use std::{ffi::OsString, process::ExitCode};

/// Starts a development server on free ports, runs a command with its addresses in the environment, and ends with it.
#[derive(Debug, Args)]
#[command(after_help = "\
The command finds in its environment:
  HOUSEKEY_DEV_PDS_URL, HOUSEKEY_DEV_PLC_URL, HOUSEKEY_DEV_ADMIN_PASSWORD and, for each account in capitals,
  HOUSEKEY_DEV_ALICE_DID, …_HANDLE, …_PASSWORD, …_ACCESS_JWT

Examples:
  housekey exec -- npm test
  housekey exec --seed 1 --accounts alice,carol -- pytest -q
  housekey exec -- sh -c 'curl $HOUSEKEY_DEV_PDS_URL/xrpc/_health'

Signals are passed on; the exit code is the command's own (127: not found, 126: not executable).")]
pub(super) struct Exec {
    #[command(flatten)]
    options: DevOptions,
    /// Become the command, and end when process PID does
    #[arg(long, value_name = "PID", hide = true)]
    child_of: Option<u32>,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Exec {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        if let Some(parent) = self.child_of {
            return Ok(become_command(parent, &self.command));
        }
        telemetry::start_for_development();
        let server = DevServer::start(self.options.settings(0, 0)).await?;
        if self.options.json {
            // Standard output belongs to the command.
            eprintln!("{}", ready_line(&server));
        }
        let ended = run_child(&self.command, environment(&server)).await;
        server.stop().await;
        Ok(match ended? {
            EndedBy::Code(code) => ExitCode::from(code),
            EndedBy::Signal(signal) => ExitCode::from(128_u8.saturating_add(signal)),
        })
    }
}

/// The variables that the command gets.
fn environment(server: &DevServer) -> Vec<(String, String)> {
    let mut variables = vec![
        ("HOUSEKEY_DEV_PDS_URL".to_owned(), server.pds.clone()),
        ("HOUSEKEY_DEV_PLC_URL".to_owned(), server.plc.clone()),
        ("HOUSEKEY_DEV_MAIL_URL".to_owned(), server.mail.clone()),
        ("HOUSEKEY_DEV_ADMIN_PASSWORD".to_owned(), server.admin_password.expose().to_owned()),
    ];
    for account in &server.accounts {
        let name: String = account
            .name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        variables.push((format!("HOUSEKEY_DEV_{name}_DID"), account.did.to_string()));
        variables.push((format!("HOUSEKEY_DEV_{name}_HANDLE"), account.handle.to_string()));
        variables.push((format!("HOUSEKEY_DEV_{name}_PASSWORD"), account.password.expose().to_owned()));
        variables.push((format!("HOUSEKEY_DEV_{name}_ACCESS_JWT"), account.access_jwt.expose().to_owned()));
    }
    variables
}

/// Asks to be ended with the parent, then turns into the command. Comes back only if that fails.
fn become_command(parent: u32, command: &[OsString]) -> ExitCode {
    use std::os::unix::process::{CommandExt, parent_id};
    if cfg!(target_os = "linux") {
        let asked = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
        // The parent may have ended before the kernel was asked.
        if asked.is_err() || parent_id() != parent {
            return ExitCode::FAILURE;
        }
    }
    let Some((program, arguments)) = command.split_first() else { return ExitCode::from(2) };
    let cause = std::process::Command::new(program).args(arguments).exec();
    let name = program.to_string_lossy();
    if cause.kind() == std::io::ErrorKind::NotFound {
        eprintln!("error: the command {name} was not found");
        ExitCode::from(127)
    } else {
        eprintln!("error: the command {name} could not be run: {cause}");
        ExitCode::from(126)
    }
}
