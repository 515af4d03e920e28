//! `housekey account create|list|info`: as the administrator of a running server.

use super::{
    Failure,
    api::{Api, ServerArgs},
    print_json,
};
use crate::{crypto::token, entropy::OsEntropy, syntax::AtIdentifier};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{fs, path::PathBuf, process::ExitCode};

/// Bytes of randomness in a password that is made here: 24 characters.
const PASSWORD_BYTES: usize = 15;
/// Accounts asked for at once.
const PAGE: &str = "100";

/// Works on the accounts of a running server, over HTTP with the administrator's password.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey account create alice.pds.example.com --email alice@example.com
  housekey account list
  housekey account info alice.pds.example.com --json")]
pub(super) struct Account {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create an account; an invite code is made for it where one is needed
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
        #[command(flatten)]
        common: Common,
    },
    /// List accounts
    List {
        /// Only those whose e-mail address begins with this
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
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    server: ServerArgs,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

impl Account {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Verb::Create { handle, email, password_file, recovery_key, common } => {
                let api = Api::new(&common.server)?;
                let password = match password_file {
                    Some(path) => fs::read_to_string(&path)
                        .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
                        .map_err(|cause| Failure::new(format!("{} cannot be read: {cause}", path.display())))?,
                    None => token::base32_lower(&OsEntropy, PASSWORD_BYTES),
                };
                let request =
                    json!({"handle": handle, "email": email, "password": password, "recoveryKey": recovery_key});
                let account = create(&api, request).await?;
                show_created(&account, &password, common.json);
            }
            Verb::List { email, common } => {
                let accounts = list(&Api::new(&common.server)?, email.as_deref()).await?;
                show_list(&accounts, common.json);
            }
            Verb::Info { actor, common } => {
                let account = info(&Api::new(&common.server)?, &actor).await?;
                show_info(&account, common.json);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn create(api: &Api, mut request: Value) -> Result<Value, Failure> {
    let described = api.get("/xrpc/com.atproto.server.describeServer").await?;
    if described.get("inviteCodeRequired").and_then(Value::as_bool) == Some(true) {
        let made = api.admin_post("com.atproto.server.createInviteCode", &json!({"useCount": 1})).await?;
        if let (Some(request), Some(code)) = (request.as_object_mut(), made.get("code")) {
            request.insert("inviteCode".to_owned(), code.clone());
        }
    }
    if let Some(request) = request.as_object_mut() {
        request.retain(|_, value| !value.is_null());
    }
    api.post("com.atproto.server.createAccount", &request).await
}

/// All pages.
async fn list(api: &Api, email: Option<&str>) -> Result<Vec<Value>, Failure> {
    let mut accounts = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("limit", PAGE)];
        query.extend(email.map(|email| ("email", email)));
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = api.admin_get("com.atproto.admin.searchAccounts", &query).await?;
        let found = page.get("accounts").and_then(Value::as_array).cloned().unwrap_or_default();
        accounts.extend(found);
        cursor = page.get("cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            return Ok(accounts);
        }
    }
}

async fn info(api: &Api, actor: &AtIdentifier) -> Result<Value, Failure> {
    let did = match actor {
        AtIdentifier::Did(did) => did.to_string(),
        AtIdentifier::Handle(handle) => {
            let answer = api.get(&format!("/xrpc/com.atproto.identity.resolveHandle?handle={handle}")).await?;
            field(&answer, "did").to_owned()
        }
    };
    api.admin_get("com.atproto.admin.getAccountInfo", &[("did", &did)]).await
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
        println!("{:<34} {:<36} {}", field(account, "did"), field(account, "handle"), field(account, "email"));
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
    for (name, value) in fields {
        println!("{name:<20} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
}

fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or("–")
}
