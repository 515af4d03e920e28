//! `housekey watch`: a line, and a command, at every change of a watched key.

use super::{Failure, delegation_id, output, serve::StopSignals, verify::SourceArgs};
use crate::{
    client::watcher::{Connection, Event, Watcher},
    delegation::DelegationId,
    limits::client::HOOK_TIMEOUT,
    syntax::AtIdentifier,
};
use clap::Args;
use std::process::{ExitCode, Stdio};
use tokio::{process::Command, sync::Notify};

/// Watches the keys of accounts in the PLC directory and tells every change. What it tells comes from the verified log;
/// the directory's stream only says when to look.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey watch alice.example.com did:plc:ewvi7nxzyoun6zhxrhs64oiz
  housekey watch alice.example.com --hook 'notify-send \"$DELEGATION_KIND\" \"$DELEGATION_DID\"'

The hook is run by sh for each change, one after the other, with DELEGATION_DID, _ID, _KIND (named, endorsed, reset, ended,
nullified, vanished, verdict), _KEY, _OPERATION, _AT and _STATUS; what is not known is empty.

Exit codes: 0 stopped by a signal; 1 an account could not be resolved, or nobody reads any more what is told; 2 wrong usage. A
directory that is away ends nothing: it is asked again.")]
pub(super) struct Watch {
    /// Handles or DIDs
    #[arg(required = true, value_name = "ACTOR")]
    actors: Vec<AtIdentifier>,
    /// The delegation
    #[arg(long, value_name = "ID", default_value = DelegationId::DEFAULT, value_parser = delegation_id)]
    id: DelegationId,
    #[command(flatten)]
    sources: SourceArgs,
    /// Command to run at every change
    #[arg(long, value_name = "CMD")]
    hook: Option<String>,
    /// Print each change as a line of JSON
    #[arg(long)]
    json: bool,
}

impl Watch {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let sources = self.sources.open()?;
        let mut dids = Vec::new();
        for actor in &self.actors {
            let did = sources.did_of(actor).await.map_err(Failure::new)?;
            if !did.is_plc() {
                return Err(Failure::usage(format!("{did} has no log that could be watched: a did:plc is needed")));
            }
            eprintln!("watching {did} ({})", self.id);
            dids.push(did);
        }
        let stop = StopSignals::listen()?;
        let mut watcher = Watcher::new(sources, self.sources.plc(), dids, self.id.clone());
        let gone = Notify::new();
        let tell = async |event: Event| {
            let is_read = output::line(format_args!("{}", self.shown(&event)));
            if let Some(hook) = &self.hook {
                run_hook(hook, &event).await;
            }
            if !is_read {
                gone.notify_one();
            }
        };
        let note = |connection: Connection<'_>| match connection {
            Connection::Follows => eprintln!("connected: every change from now on is told"),
            Connection::Lost(cause, pause) => eprintln!("note: {cause}; again in {} s", pause.as_secs()),
        };
        tokio::select! {
            () = watcher.run(tell, note) => {}
            () = stop.told() => {}
            () = gone.notified() => {
                output::check()?;
                return Err(Failure::new("nobody reads any more what changes, so watching ended"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// One line for one change.
    fn shown(&self, event: &Event) -> String {
        if self.json {
            return serde_json::to_string(event).unwrap_or_default();
        }
        let (at, key) = (event.at.as_deref().unwrap_or("now"), event.key.as_deref().unwrap_or("no key"));
        let (kind, status) = (word(&event.kind), word(&event.status));
        format!("{at} {}#{} {kind}: {key}; the verdict is {status}", event.did, event.id)
    }
}

/// The word under which an enumeration is written in JSON.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

async fn run_hook(hook: &str, event: &Event) {
    let mut command = Command::new("sh");
    command
        .args(["-c", hook])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .env("DELEGATION_DID", event.did.as_str())
        .env("DELEGATION_ID", event.id.as_str())
        .env("DELEGATION_KIND", word(&event.kind))
        .env("DELEGATION_KEY", event.key.as_deref().unwrap_or_default())
        .env("DELEGATION_OPERATION", event.operation.map(|cid| cid.to_string()).unwrap_or_default())
        .env("DELEGATION_AT", event.at.as_deref().unwrap_or_default())
        .env("DELEGATION_STATUS", word(&event.status));
    match tokio::time::timeout(HOOK_TIMEOUT, command.status()).await {
        Ok(Ok(status)) if status.success() => {}
        Ok(Ok(status)) => eprintln!("note: the hook failed: {status}"),
        Ok(Err(cause)) => eprintln!("note: the hook could not be run: {cause}"),
        Err(_) => eprintln!("note: the hook did not end within {} s and was stopped", HOOK_TIMEOUT.as_secs()),
    }
}
