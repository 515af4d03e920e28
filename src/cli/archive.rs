//! `housekey account export|verify|import`: a whole account as one file.

use super::{
    Failure,
    ask::{self, SignInArgs},
    delegate::server,
    print_json,
    progress::Bar,
    verify::SourceArgs,
};
use crate::{
    client::{
        archive::{
            self, ArchiveError, Identity, NewHome, Opened, SignedBy, Told, UNKNOWABLE, Verified, create_account,
            from_directory, from_server, restore, verify,
        },
        files,
        session::Session,
    },
    clock::{Clock, SystemClock},
    config::{Config, Overrides},
    crypto::{Secret, token},
    entropy::OsEntropy,
    store::AuditReader,
    syntax::{AtIdentifier, Did, Handle},
};
use clap::{Args, Subcommand};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};
use url::Url;

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

/// As the owner, from whatever server the account is at; or with --data-dir or --config as the administrator of this machine,
/// beside the server that may be running. The archive is verified before it takes its place.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey account export alice.example.com                     asks for the password; makes alice.example.com.tar
  housekey account export alice.example.com --output backup.tar --password-file secret
  housekey account export alice.example.com --config /etc/housekey.toml

An app password will do, but its preferences are without the birth date. The archive holds no key and no password. The log of a
did:plc is fetched from the directory in both cases.")]
pub(super) struct Export {
    /// Its handle or DID
    actor: AtIdentifier,
    /// The file to make [default: the handle or DID with .tar]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// File with the account's password or an app password [default: it is asked for]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    sign_in: SignInArgs,
    /// Address of the account's server [default: the one that its DID document names]
    #[arg(long, value_name = "URL")]
    server: Option<Url>,
    /// Read this data directory instead of asking a server
    #[arg(long, value_name = "DIR", conflicts_with_all = ["server", "password_file", "sign_in_code"])]
    data_dir: Option<PathBuf>,
    /// Read the data directory of this configuration instead of asking a server
    #[arg(long, value_name = "FILE", conflicts_with_all = ["server", "password_file", "sign_in_code"])]
    config: Option<PathBuf>,
    #[command(flatten)]
    sources: SourceArgs,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// Recomputes every hash and signature of an archive by the log that is in it, and says what no archive can prove. Answers 0
/// when all is well and 1 when something is wrong.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The archive
    archive: PathBuf,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

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
pub(super) struct Import {
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

impl Archive {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Export(command) => command.run().await,
            Self::Verify(command) => command.run(),
            Self::Import(command) => command.run().await,
        }
    }
}

impl Export {
    async fn run(self) -> Result<ExitCode, Failure> {
        let output = self
            .output
            .clone()
            .unwrap_or_else(|| PathBuf::from(format!("{}.tar", self.actor.as_str().replace(':', "-"))));
        let bar = Bar::new();
        let mut tell = |told: Told| show(&bar, told);
        let verified = if self.data_dir.is_some() || self.config.is_some() {
            self.read_here(&output, &mut tell).await?
        } else {
            self.fetch(&output, &mut tell).await?
        };
        drop(bar);
        if self.json {
            print_json(&json!({"archive": output, "verified": as_json(&verified)}));
        } else {
            println!("{} was made and verified.\n", output.display());
            print(&verified);
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn fetch(&self, output: &Path, tell: archive::Tell<'_>) -> Result<Verified, Failure> {
        let sources = self.sources.open()?;
        let pds = server(&sources, self.server.as_ref(), self.actor.as_str()).await?;
        let question = format!("Password of {} at {}", self.actor.as_str(), pds.host());
        let password = ask::secret(self.password_file.as_deref(), &question)?;
        let did = sources.did_of(&self.actor).await.map_err(Failure::new)?;
        let mut session = Session::new(pds, did.clone(), password, self.sign_in.code(), Arc::new(SystemClock));
        Ok(from_server(&sources, &mut session, &did, output, tell).await?)
    }

    async fn read_here(&self, output: &Path, tell: archive::Tell<'_>) -> Result<Verified, Failure> {
        let (dir, blobs, plc) = match (&self.data_dir, &self.config) {
            (Some(dir), None) => (dir.clone(), dir.join("blobs"), None),
            (data_dir, config) => {
                let overrides = Overrides { data_dir: data_dir.clone(), ..Overrides::default() };
                let (config, _) = Config::read(config.as_deref(), overrides)?;
                (config.server.data_dir.clone(), config.blobs.dir, Some(config.identity.plc_url))
            }
        };
        let reader = AuditReader::open(&dir, &blobs)?;
        let found = reader.account(&self.actor)?;
        let account = found
            .ok_or_else(|| Failure::new(format!("there is no account {} with a repository", self.actor.as_str())))?;
        let sources = match plc {
            Some(plc) => self.sources.with_plc(plc).open()?,
            None => self.sources.open()?,
        };
        let identity = Identity::fetch(&sources, &account.did).await?;
        Ok(from_directory(&reader, (&account, &identity), output, SystemClock.now(), tell)?)
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

impl Import {
    async fn run(self) -> Result<ExitCode, Failure> {
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
        let password = ask::secret(self.password_file.as_deref(), &format!("Password of {did} at {}", pds.host()))?;
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

fn show(bar: &Bar, told: Told) {
    match told {
        Told::Progress { what, done, all } => bar.show(what, done, all),
        Told::Note(text) => bar.note(&format!("note: {text}")),
    }
}

fn as_json(verified: &Verified) -> serde_json::Value {
    let manifest = &verified.manifest;
    let delegations: Vec<_> = verified
        .delegations
        .iter()
        .map(|delegated| json!({"id": delegated.id, "status": delegated.status, "statements": delegated.statements}))
        .collect();
    json!({
        "good": true,
        "did": manifest.did,
        "handle": manifest.handle,
        "createdAt": manifest.created_at,
        "rev": manifest.rev,
        "root": manifest.root,
        "signedBy": verified.signed_by,
        "records": manifest.records,
        "blobs": manifest.blobs,
        "blobBytes": manifest.blob_bytes,
        "unusedBlobs": verified.unused_blobs,
        "missingBlobs": manifest.missing_blobs,
        "missing": verified.missing,
        "preferences": verified.has_preferences,
        "delegations": delegations,
        "unknowable": UNKNOWABLE,
    })
}

fn print(verified: &Verified) {
    let manifest = &verified.manifest;
    println!("  Account        {}", manifest.did);
    if let Some(handle) = &manifest.handle {
        println!("  Handle         {handle}");
    }
    println!("  Made           {}", manifest.created_at);
    let key = match verified.signed_by {
        SignedBy::Present => "the key that the DID names",
        SignedBy::Earlier => "a key that the DID named before",
    };
    println!("  Revision       {}, signed by {key}", manifest.rev);
    println!("  Records        {}", manifest.records);
    println!("  Blobs          {}, {} bytes", manifest.blobs, manifest.blob_bytes);
    println!("  Preferences    {}", if verified.has_preferences { "yes" } else { "none" });
    for delegated in &verified.delegations {
        let status = serde_json::to_value(delegated.status).unwrap_or_default();
        let status = status.as_str().unwrap_or_default().to_owned();
        println!("  Delegation     {}: {status}, {} statements", delegated.id, delegated.statements);
    }
    if manifest.missing_blobs > 0 {
        println!("\n{} blobs that records use are not in it:", manifest.missing_blobs);
        verified.missing.iter().for_each(|cid| println!("  {cid}"));
    }
}
