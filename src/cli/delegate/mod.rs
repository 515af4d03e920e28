//! `housekey delegate create|rotate|end|show|data`: the owner's side, at whatever server the account is.

mod create;
mod data;
mod end;
mod rotate;
mod show;

use super::{
    Failure,
    ask::{self, SignInArgs},
    delegation_id, print_json, timeline,
    verify::SourceArgs,
};
use crate::{
    client::{
        files,
        owner::{Change, Confirmed, Owner, Procedure, Signers},
        pds::{CallError, Pds},
        sources::Sources,
    },
    delegation::{DelegationId, Statement, safety_number::fingerprint},
    entropy::OsEntropy,
    syntax::AtIdentifier,
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};
use url::Url;

/// Names, changes and ends the key that an account delegates end-to-end encryption to. The private key stays here: the
/// server gets statements that it signed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey key new alice.key
  housekey delegate create --identifier alice.example.com --key alice.key
  housekey key new next.key
  housekey delegate rotate --identifier alice.example.com --key alice.key --next next.key
  housekey delegate data --identifier alice.example.com --key next.key --app com.example.chat --data packages.json
  housekey delegate end --identifier alice.example.com --key next.key
  housekey delegate show alice.example.com")]
pub(super) struct Delegate {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Name a first key, or claim the one that the document names already
    Create(create::Create),
    /// Name the next key, endorsed by the one before
    Rotate(rotate::Rotate),
    /// End the delegation
    End(end::End),
    /// Show what a server says of an account's delegations, unchecked
    Show(show::Show),
    /// Set or end what one app says, signed by the key
    Data(data::Data),
}

impl Delegate {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Verb::Create(command) => command.run().await,
            Verb::Rotate(command) => command.run().await,
            Verb::End(command) => command.run().await,
            Verb::Show(command) => command.run().await,
            Verb::Data(command) => command.run().await,
        }
    }
}

/// Which server, and who logs in there.
#[derive(Debug, Args)]
struct AccountArgs {
    /// Handle, DID or e-mail address of the account
    #[arg(long, value_name = "WHO")]
    identifier: String,
    /// File with the account's password [default: it is asked for]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    sign_in: SignInArgs,
    /// Address of the account's server [default: the one that its DID document names]
    #[arg(long, value_name = "URL")]
    server: Option<Url>,
    #[command(flatten)]
    sources: SourceArgs,
    /// The delegation
    #[arg(long, value_name = "ID", default_value = DelegationId::DEFAULT, value_parser = delegation_id)]
    id: DelegationId,
    /// File with the passphrase of the key files [default: it is asked for where one is locked]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Print the outcome as one line of JSON
    #[arg(long)]
    json: bool,
}

impl AccountArgs {
    async fn log_in(&self) -> Result<Owner, Failure> {
        let sources = self.sources.open()?;
        let server = server(&sources, self.server.as_ref(), &self.identifier).await?;
        let host = server.host();
        let password = ask::password(self.password_file.as_deref(), &self.identifier, &host)?;
        let who = (self.identifier.as_str(), &password, &self.sign_in.code());
        let owner = Owner::log_in(&sources, server, who, self.id.clone()).await?;
        eprintln!("Logged in at {host} as {}.", owner.did());
        if let Some(cause) = owner.unchecked() {
            eprintln!("note: only {host} says that this is {}, which could not be resolved: {cause}", self.identifier);
        }
        Ok(owner)
    }

    fn open_key(&self, path: &Path) -> Result<crate::crypto::DelegateSigningKey, Failure> {
        ask::open_key(path, self.passphrase_file.as_deref())
    }
}

/// The server that was named, else the one that the account's document names.
pub(super) async fn server(sources: &Sources, named: Option<&Url>, identifier: &str) -> Result<Pds, Failure> {
    if let Some(url) = named {
        return Ok(sources.server(url.clone()));
    }
    let actor: AtIdentifier = identifier
        .parse()
        .map_err(|_| Failure::usage("with anything else than a handle or DID, --server is needed"))?;
    let did = sources.did_of(&actor).await.map_err(Failure::new)?;
    match sources.server_of(&did).await {
        Ok(url) => Ok(sources.named_server(url)),
        Err(cause) => Err(Failure::new(cause)),
    }
}

/// How a change is consented to where no key does.
#[derive(Debug, Args)]
struct ConsentArgs {
    /// The code that was mailed for this change
    #[arg(long, value_name = "CODE")]
    token: Option<String>,
    /// Where the statement waits for its code [default: beside the key file]
    #[arg(long, value_name = "FILE")]
    statement: Option<PathBuf>,
    /// A rotation key of your own, as a key file of the type p256 or k256: the operation is signed here instead of by
    /// the server
    #[arg(long, value_name = "FILE")]
    rotation_key: Option<PathBuf>,
}

/// Prepares, sends and confirms a change. `beside` is the key file that a waiting statement lies beside.
async fn make(
    account: &AccountArgs,
    consent: &ConsentArgs,
    procedure: Procedure,
    signers: Signers<'_>,
    beside: Option<&Path>,
) -> Result<ExitCode, Failure> {
    let rotation = consent.rotation_key.as_deref().map(|path| account.open_key(path)).transpose()?;
    let signers = Signers { rotation: rotation.as_ref(), ..signers };
    let waiting_file = waiting_file(consent, beside, &account.id);
    let waiting = match (&consent.token, &waiting_file) {
        (Some(_), Some(path)) => read_waiting(path)?,
        _ => None,
    };
    let is_waiting = waiting.is_some();
    let owner = account.log_in().await?;
    let change = owner.prepare(procedure, signers, waiting, &OsEntropy).await?;
    if consent.token.is_some() && change.statement.is_some() && !is_waiting {
        return Err(Failure::new(no_waiting_statement(waiting_file.as_deref())));
    }
    let submitted = match owner.submit(&change, consent.token.as_deref()).await {
        Err(cause) if cause.is("TokenRequired") && consent.token.is_none() => {
            let token = get_token(&owner, &change, waiting_file.as_deref()).await?;
            owner.submit(&change, Some(&token)).await
        }
        answer => answer,
    }
    .map_err(|cause| explain(&cause))?;
    eprintln!("The server accepted it; reading the public record …");
    let confirmed = owner.confirm(&change, submitted).await?;
    if let Some(path) = waiting_file.filter(|path| path.exists()) {
        drop(fs::remove_file(path));
    }
    if account.json {
        print_json(&outcome(&change, &confirmed));
    } else {
        show_done(&change, &confirmed);
    }
    Ok(if confirmed.besides.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Has a code mailed and asks for it; where nobody can be asked, the statement is kept for the next run.
async fn get_token(owner: &Owner, change: &Change, waiting_file: Option<&Path>) -> Result<String, Failure> {
    owner.request_token(change).await?;
    if ask::can_ask() {
        eprintln!("No key consents to this, so the server mailed a code to the account's address.");
        return ask::line("Code");
    }
    if let (Some(statement), Some(path)) = (&change.statement, waiting_file) {
        let mut text = statement.to_json().to_string();
        text.push('\n');
        files::replace(path, &text)?;
    }
    Err(Failure::new(
        "no key consents to this, so the server mailed a code to the account's address: run this again with --token CODE",
    ))
}

/// A code is good for the one statement that it was mailed for.
fn no_waiting_statement(path: Option<&Path>) -> String {
    let wanted = path.map_or_else(String::new, |path| format!(", and there is none at {}", path.display()));
    format!(
        "a code is good only together with the statement that it was mailed for{wanted}: name its file with --statement, or run \
         this again without --token for another code"
    )
}

fn waiting_file(consent: &ConsentArgs, beside: Option<&Path>, id: &DelegationId) -> Option<PathBuf> {
    consent.statement.clone().or_else(|| {
        let mut name = beside?.file_name()?.to_owned();
        name.push(format!(".{id}.statement"));
        Some(beside?.with_file_name(name))
    })
}

fn read_waiting(path: &Path) -> Result<Option<Statement>, Failure> {
    let text = match files::read_text(path) {
        Ok(text) => text,
        Err(cause) if cause.is_missing() => return Ok(None),
        Err(cause) => return Err(cause.into()),
    };
    let wrong = |cause: &dyn std::fmt::Display| Failure::new(format!("{}: {cause}", path.display()));
    let json = serde_json::from_str(&text).map_err(|cause| wrong(&cause))?;
    Statement::from_json(&json).map(Some).map_err(|cause| wrong(&cause))
}

/// What to do about refusals that the owner can do something about.
fn explain(cause: &CallError) -> Failure {
    let advice = if cause.is("StaleStatement") || cause.is("PlcConflict") {
        ". Something else changed the DID at the same time: look at it with `housekey verify`, then repeat."
    } else if cause.is("DidNotManaged") {
        "\nNothing was changed. Edit the document where it is hosted, then run this command again."
    } else if cause.is("ExpiredToken") || cause.is("InvalidToken") {
        ". Run this again without --token for another code."
    } else {
        ""
    };
    let said = cause.to_string();
    // Some servers end their sentences.
    Failure::new(format!("{}{advice}", if advice.is_empty() { &said } else { said.trim_end_matches('.') }))
}

/// What was done, for programs.
fn outcome(change: &Change, confirmed: &Confirmed) -> Value {
    let judged = &confirmed.judged;
    let key = judged.assessment.key().and_then(|key| key.supported().ok());
    json!({
        "did": judged.gathered.did,
        "id": judged.gathered.id,
        "key": key.map(ToString::to_string),
        "fingerprint": key.map(fingerprint),
        "statement": change.statement.as_ref().map(Statement::cid),
        "resigned": change.resigned(),
        "besides": confirmed.besides,
        "verdict": judged.assessment.verdict,
    })
}

fn show_done(change: &Change, confirmed: &Confirmed) {
    let judged = &confirmed.judged;
    match judged.assessment.key().and_then(|key| key.supported().ok()) {
        Some(key) => {
            println!("Done: {} names {key} as {}.", judged.gathered.did, judged.gathered.id);
            println!("  Fingerprint   {}", fingerprint(key));
        }
        None => println!("Done: {} names no key as {} any more.", judged.gathered.did, judged.gathered.id),
    }
    if change.resigned() > 0 {
        println!("  Entries of associated data signed anew: {}", change.resigned());
    }
    for line in timeline::remarks(&judged.assessment.verdict) {
        println!("  {line}");
    }
    if !confirmed.besides.is_empty() {
        let what = confirmed.besides.join(", ");
        println!("  WARNING: the server's operation changed more than was asked for: {what}");
    }
}
