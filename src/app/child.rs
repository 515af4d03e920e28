//! Runs one child process, passing signals on to it.

use std::{ffi::OsString, os::unix::process::ExitStatusExt};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
};

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// By itself, with this code.
    Code(u8),
    /// By this signal.
    Signal(u8),
}

/// Runs `command` with further environment variables until it ends; interrupt, termination and hang-up are passed on.
///
/// # Errors
/// When this program cannot start itself again, or signals cannot be received.
pub async fn run_child(command: &[OsString], environment: Vec<(String, String)>) -> std::io::Result<EndedBy> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["exec", "--child-of", &std::process::id().to_string(), "--"])
        .args(command)
        .envs(environment)
        .kill_on_drop(true)
        .spawn()?;
    let process = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    let pass_on = |signal| {
        if let Some(Err(cause)) = process.map(|process| rustix::process::kill_process(process, signal)) {
            tracing::debug!("the command has ended before a signal reached it: {cause}");
        }
    };
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status?;
                return Ok(match (status.code(), status.signal()) {
                    (Some(code), _) => EndedBy::Code(u8::try_from(code).unwrap_or(u8::MAX)),
                    (None, Some(signal)) => EndedBy::Signal(u8::try_from(signal).unwrap_or(0)),
                    (None, None) => EndedBy::Code(1),
                });
            }
            _ = interrupt.recv() => pass_on(rustix::process::Signal::INT),
            _ = terminate.recv() => pass_on(rustix::process::Signal::TERM),
            _ = hang_up.recv() => pass_on(rustix::process::Signal::HUP),
        }
    }
}
