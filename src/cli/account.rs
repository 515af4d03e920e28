//! `housekey account …`: as the administrator of a running server.

use super::{
    Failure, account_change, account_owner,
    api::{Api, ServerArgs},
    archive, print_json,
};
use crate::{crypto::token, entropy::OsEntropy, syntax::AtIdentifier};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Bytes of randomness in a password that is made here: 24 characters.
const PASSWORD_BYTES: usize = 15;
/// Accounts, or events, asked for at once.
pub(super) const PAGE: &str = "100";
pub(super) const SEARCH: &str = "com.atproto.admin.searchAccounts";
/// The field that tells how much of its quota an account uses.
const USAGE: &str = "housekeyUsage";

/// Works on the accounts of a running server, over HTTP with the administrator's password.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey account create alice.pds.example.com --email alice@example.com
  housekey account list
  housekey account info alice.pds.example.com --json
  housekey account code alice.pds.example.com reset-password
  housekey account takedown alice.pds.example.com --ref 17
  housekey account takedown at://did:plc:abc…/app.bsky.feed.post/3k…
  housekey account restore alice.pds.example.com
  housekey account handle alice.pds.example.com pds.example.com
  housekey account email alice.pds.example.com alice@example.net
  housekey account write alice.pds.example.com --subject Tonight < letter.txt
  housekey account delete alice.pds.example.com
  housekey account log alice.pds.example.com
  housekey account export alice.pds.example.com
  housekey account verify alice.pds.example.com.tar")]
pub(super) struct Account {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create an account; it needs no invite code
    Create {
        /// Its handle
        handle: String,
        /// Its e-mail address
        #[arg(long)]
        email: String,
        /// File with its password [default: one is made and printed]
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// The owner's own rotation key, as did:key
        #[arg(long, value_name = "DID_KEY")]
        recovery_key: Option<String>,
        /// Let the handle be a reserved one, or the server's own name
        #[arg(long)]
        allow_reserved: bool,
        #[command(flatten)]
        common: Common,
    },
    /// List accounts
    List {
        /// Only those in whose e-mail address, handle or DID this is found
        #[arg(long, value_name = "TEXT")]
        email: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Show one account
    Info {
        /// Its handle or DID
        actor: AtIdentifier,
        #[command(flatten)]
        common: Common,
    },
    /// Show who signed in to an account, who was refused, which codes were asked for, and what changed about it
    Log {
        /// Its handle or DID
        actor: AtIdentifier,
        /// Show at most so many events, newest first
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        common: Common,
    },
    /// Make a code that would have been mailed to the owner, to pass it on where mail does not work
    Code {
        /// The account's handle or DID
        actor: AtIdentifier,
        /// What it is for
        #[arg(value_parser = ["confirm-email", "update-email", "reset-password", "delete-account", "plc-operation", "delegation"])]
        purpose: String,
        /// For a delegation: file with the statement that the code permits
        #[arg(long, value_name = "FILE", conflicts_with = "id")]
        statement: Option<PathBuf>,
        /// For a delegation: the one that the code permits to end
        #[arg(long)]
        id: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Reserve a handle, so that nobody gets it but from the administrator
    Reserve {
        /// The handle
        handle: String,
        #[command(flatten)]
        common: Common,
    },
    #[command(flatten)]
    Change(account_change::Change),
    #[command(flatten)]
    Owner(account_owner::Owner),
    #[command(flatten)]
    Archive(Box<archive::Archive>),
}

#[derive(Debug, Args)]
pub(super) struct Common {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    /// Print one line of JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Account {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Verb::Create { handle, email, password_file, recovery_key, allow_reserved, common } => {
                let api = Api::new(&common.server)?;
                let password = new_password(password_file.as_deref())?;
                let request = json!({"handle": handle, "email": email, "password": password, "recoveryKey": recovery_key,
                    "allowReserved": allow_reserved.then_some(true)});
                let account = create(&api, request).await?;
                show_created(&account, &password, common.json);
            }
            Verb::List { email, common } => {
                let query: Vec<_> = email.as_deref().map(|email| ("email", email)).into_iter().collect();
                let accounts = Api::new(&common.server)?.admin_all(SEARCH, &query, ("accounts", PAGE)).await?;
                show_list(&accounts, common.json);
            }
            Verb::Info { actor, common } => {
                let account = info(&Api::new(&common.server)?, &actor).await?;
                show_info(&account, common.json);
            }
            Verb::Log { actor, limit, common } => {
                let events = log(&Api::new(&common.server)?, &actor, limit).await?;
                show_log(&events, common.json);
            }
            Verb::Code { actor, purpose, statement, id, common } => {
                let api = Api::new(&common.server)?;
                let found = account_change::find(&api, &actor).await?;
                let request = code_request(field(&found, "did"), &purpose, statement.as_deref(), id.as_deref())?;
                let made = api.admin_post("dev.housekey.admin.createCode", &request).await?;
                show_code(&made, common.json);
            }
            Verb::Reserve { handle, common } => {
                let request = json!({"handle": handle});
                Api::new(&common.server)?.admin_post("com.atproto.temp.addReservedHandle", &request).await?;
                account_change::tell(&common, &request, &format!("{handle} is reserved."));
            }
            Verb::Change(change) => change.run().await?,
            Verb::Owner(owner) => owner.run().await?,
            Verb::Archive(archive) => return archive.run().await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The password in the file, or one that is made.
pub(super) fn new_password(file: Option<&Path>) -> Result<String, Failure> {
    match file {
        Some(path) => fs::read_to_string(path)
            .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
            .map_err(|cause| Failure::new(format!("{} cannot be read: {cause}", path.display()))),
        None => Ok(token::base32_lower(&OsEntropy, PASSWORD_BYTES)),
    }
}

async fn create(api: &Api, mut request: Value) -> Result<Value, Failure> {
    if let Some(request) = request.as_object_mut() {
        request.retain(|_, value| !value.is_null());
    }
    api.admin_post("com.atproto.server.createAccount", &request).await
}

/// The newest events, over as many pages as they need.
async fn log(api: &Api, actor: &AtIdentifier, limit: usize) -> Result<Vec<Value>, Failure> {
    let found = account_change::find(api, actor).await?;
    let mut events: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    while events.len() < limit {
        let query = [("did", field(&found, "did")), ("limit", PAGE), ("cursor", cursor.as_str())];
        let page = api.admin_get("dev.housekey.account.listSecurityEvents", &query).await?;
        events.extend(page.get("events").and_then(Value::as_array).cloned().unwrap_or_default());
        match page.get("cursor").and_then(Value::as_str) {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    events.truncate(limit);
    Ok(events)
}

fn show_log(events: &[Value], json: bool) {
    if json {
        print_json(&json!({"events": events}));
        return;
    }
    for event in events {
        let (time, kind, address) = (field(event, "time"), field(event, "kind"), field(event, "address"));
        println!("{time:<25} {kind:<24} {address:<24} {} {}", field(event, "detail"), field(event, "agent"));
    }
}

async fn info(api: &Api, actor: &AtIdentifier) -> Result<Value, Failure> {
    let found = account_change::find(api, actor).await?;
    api.admin_get("com.atproto.admin.getAccountInfo", &[("did", field(&found, "did"))]).await
}

/// The input of `createCode`; the purpose is written there as it is in code.
fn code_request(did: &str, purpose: &str, statement: Option<&Path>, id: Option<&str>) -> Result<Value, Failure> {
    let mut words = purpose.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    let purpose = words.fold(first, |name, word| {
        let (initial, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        name + &initial.to_ascii_uppercase() + rest
    });
    let statement: Option<Value> = match statement {
        Some(path) => {
            let unusable = |cause: &dyn std::fmt::Display| Failure::new(format!("{}: {cause}", path.display()));
            let text = fs::read_to_string(path).map_err(|cause| unusable(&cause))?;
            Some(serde_json::from_str(&text).map_err(|cause| unusable(&cause))?)
        }
        None => None,
    };
    let mut request = json!({"did": did, "purpose": purpose, "statement": statement, "id": id});
    if let Some(request) = request.as_object_mut() {
        request.retain(|_, value| !value.is_null());
    }
    Ok(request)
}

fn show_code(made: &Value, json: bool) {
    if json {
        print_json(made);
    } else {
        println!("{}\n\nGood once, until {}.", field(made, "code"), field(made, "expiresAt"));
    }
}

fn show_created(account: &Value, password: &str, json: bool) {
    if json {
        print_json(&json!({"did": account["did"], "handle": account["handle"], "password": password}));
    } else {
        println!("{} was created.\n", field(account, "handle"));
        println!("  DID        {}", field(account, "did"));
        println!("  Password   {password}");
    }
}

fn show_list(accounts: &[Value], json: bool) {
    if json {
        print_json(&json!({"accounts": accounts}));
        return;
    }
    for account in accounts {
        let state = account.get("status").and_then(Value::as_str).unwrap_or_default();
        let line = format!(
            "{:<34} {:<36} {:<36} {state}",
            field(account, "did"),
            field(account, "handle"),
            field(account, "email")
        );
        println!("{}", line.trim_end());
    }
    match accounts.len() {
        1 => println!("1 account"),
        count => println!("{count} accounts"),
    }
}

fn show_info(account: &Value, json: bool) {
    if json {
        print_json(account);
        return;
    }
    let Some(fields) = account.as_object() else { return };
    for (name, value) in fields.iter().filter(|(name, _)| *name != USAGE) {
        println!("{name:<20} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    for (name, meter) in fields.get(USAGE).and_then(Value::as_object).into_iter().flatten() {
        let count = |key: &str| meter.get(key).and_then(Value::as_u64);
        match (count("used").unwrap_or(0), count("limit")) {
            (used, Some(limit)) => println!("{name:<20} {used} of {limit}"),
            (used, None) => println!("{name:<20} {used}"),
        }
    }
}

fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or("–")
}
