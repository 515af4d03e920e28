//! `housekey account import`.

use super::{as_json, check, print, show};
use crate::{
    cli::{
        Failure,
        ask::{self, SignInArgs},
        print_json,
        progress::Bar,
        verify::SourceArgs,
    },
    client::{
        archive::{ArchiveError, NewHome, create_account, restore},
        files,
        session::Session,
    },
    clock::SystemClock,
    crypto::Secret,
    syntax::{Did, Handle},
};
use clap::Args;
use serde_json::json;
use std::{path::PathBuf, process::ExitCode, sync::Arc};
use url::Url;

/// Verifies an archive and fills an account with it that is not active: one that is there, or with --proof-file one that is made
/// for the DID. It does not change the identity: the DID names another server until its owner lets it name this one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey account import alice.tar --server https://pds.example.com --dry-run
  housekey account import alice.tar --server https://pds.example.com
  housekey account import alice.tar --server https://pds.example.com --proof-file token --handle alice.pds.example.com \\
      --email alice@example.com

The proof is what com.atproto.server.getServiceAuth of the server that the DID names gives for the new server's DID and the
method com.atproto.server.createAccount. Nothing is sent before the whole archive was verified; run again after an
interruption, it goes on. Afterwards let the DID name the new server and activate the account.")]
pub(in crate::cli) struct Import {
    /// The archive
    archive: PathBuf,
    /// Address of the server that the account goes to
    #[arg(long, value_name = "URL")]
    server: Url,
    /// File with the account's password there [default: it is asked for]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    sign_in: SignInArgs,
    /// Make the account, with the token in this file
    #[arg(long, value_name = "FILE", requires = "handle")]
    proof_file: Option<PathBuf>,
    /// The handle of the account to make
    #[arg(long, requires = "proof_file")]
    handle: Option<Handle>,
    /// The e-mail address of the account to make
    #[arg(long, requires = "proof_file")]
    email: Option<String>,
    /// An invite code for it
    #[arg(long, value_name = "CODE", requires = "proof_file")]
    invite_code: Option<String>,
    /// Verify only
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    sources: SourceArgs,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

impl Import {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let (opened, verified) = check(&self.archive)?;
        if self.dry_run {
            if self.json {
                print_json(&as_json(&verified));
            } else {
                print(&verified);
                println!("\nThe archive is good; nothing was sent.");
            }
            return Ok(ExitCode::SUCCESS);
        }
        let sources = self.sources.open()?;
        let did = &verified.manifest.did;
        let pds = sources.server(self.server.clone());
        let password = ask::password(self.password_file.as_deref(), did, &pds.host())?;
        let mut session = Session::new(pds, did.clone(), password, self.sign_in.code(), Arc::new(SystemClock));
        if let Some(home) = self.new_home()? {
            make_account(&mut session, did, &home).await?;
        }
        let bar = Bar::new();
        let restored = restore(&opened, &verified, &mut session, &mut |told| show(&bar, told)).await;
        drop(bar);
        let restored = restored.map_err(|cause| {
            if let ArchiveError::Call(call) = &cause
                && !call.is_definite()
            {
                return Failure::new(format!("{call}. What has arrived stays: run this again, it goes on"));
            }
            cause.into()
        })?;
        if self.json {
            print_json(&json!({
                "did": restored.did,
                "records": restored.records,
                "blobs": restored.blobs,
                "missingBlobs": restored.missing,
                "preferences": restored.preferences,
            }));
            return Ok(ExitCode::SUCCESS);
        }
        println!("{did} is at {}, and not active yet.\n", session.host());
        println!("  Records        {}", restored.records);
        println!("  Blobs sent     {}", restored.blobs);
        println!("  Preferences    {}", if restored.preferences { "taken" } else { "none" });
        for cid in &restored.missing {
            println!("  Missing blob   {cid}");
        }
        println!(
            "\nNext: let the DID name this server and its key (com.atproto.identity.getRecommendedDidCredentials says what"
        );
        println!("it must say), then activate the account (com.atproto.server.activateAccount).");
        Ok(ExitCode::SUCCESS)
    }

    fn new_home(&self) -> Result<Option<NewHome>, Failure> {
        let (Some(path), Some(handle)) = (&self.proof_file, &self.handle) else { return Ok(None) };
        let proof = Secret::new(files::read_text(path)?.trim());
        let (email, invite_code) = (self.email.clone(), self.invite_code.clone());
        Ok(Some(NewHome { handle: handle.clone(), email, invite_code, proof }))
    }
}

/// Makes the account, unless an interrupted import has: then its password opens it.
async fn make_account(session: &mut Session, did: &Did, home: &NewHome) -> Result<(), Failure> {
    let Err(refused) = create_account(session.pds(), did, home, session.password()).await else { return Ok(()) };
    if !matches!(&refused, ArchiveError::Call(call) if call.is_definite()) {
        return Err(refused.into());
    }
    match session.open().await {
        Ok(()) => {}
        Err(cause) if cause.waits_for_code() => return Err(cause.into()),
        Err(_) => return Err(refused.into()),
    }
    eprintln!("The account is at {} already: going on.", session.host());
    Ok(())
}
