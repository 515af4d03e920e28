//! `housekey invite create|list|disable`: as the administrator of a running server.

use super::{
    Failure,
    account::Common,
    account_change::{find, text},
    api::Api,
    print_json,
};
use crate::syntax::AtIdentifier;
use clap::{Args, Subcommand, ValueEnum, value_parser};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Codes asked for at once.
const PAGE: &str = "500";
const LIST: &str = "com.atproto.admin.getInviteCodes";

/// Makes, lists and disables invite codes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey invite create
  housekey invite create --count 10 --uses 3
  housekey invite create --for alice.pds.example.com
  housekey invite list --sort usage
  housekey invite disable pds-example-com-abcde-fghij
  housekey invite disable --all-of alice.pds.example.com")]
pub(super) struct Invite {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make codes
    Create {
        /// How many
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..))]
        count: u32,
        /// How many accounts each opens
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..))]
        uses: u32,
        /// Handle or DID of the account that gets them to give away [default: you]
        #[arg(long = "for", value_name = "ACTOR")]
        owner: Option<AtIdentifier>,
        #[command(flatten)]
        common: Common,
    },
    /// List codes with their uses
    List {
        /// The newest first, or the most used
        #[arg(long, value_enum, default_value_t = Sort::Recent)]
        sort: Sort,
        #[command(flatten)]
        common: Common,
    },
    /// Disable codes, so that they open no account any more
    Disable {
        /// The codes
        #[arg(required_unless_present = "all_of")]
        codes: Vec<String>,
        /// And all codes of this account, which earns no new ones either
        #[arg(long, value_name = "ACTOR")]
        all_of: Option<AtIdentifier>,
        #[command(flatten)]
        common: Common,
    },
    /// Let an account earn codes again
    Enable {
        /// Its handle or DID
        actor: AtIdentifier,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sort {
    Recent,
    Usage,
}

impl Invite {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Verb::Create { count, uses, owner, common } => create(count, uses, owner.as_ref(), &common).await?,
            Verb::List { sort, common } => list(sort, &common).await?,
            Verb::Disable { codes, all_of, common } => disable(codes, all_of.as_ref(), &common).await?,
            Verb::Enable { actor, common } => {
                let api = Api::new(&common.server)?;
                let did = did_of(&api, &actor).await?;
                api.admin_post("com.atproto.admin.enableAccountInvites", &json!({ "account": did })).await?;
                say(&common, &json!({ "account": did }), "It earns invite codes again.");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn create(count: u32, uses: u32, owner: Option<&AtIdentifier>, common: &Common) -> Result<(), Failure> {
    let api = Api::new(&common.server)?;
    let mut input = json!({ "codeCount": count, "useCount": uses });
    if let (Some(owner), Some(input)) = (owner, input.as_object_mut()) {
        input.insert("forAccounts".to_owned(), json!([did_of(&api, owner).await?]));
    }
    let made = api.admin_post("com.atproto.server.createInviteCodes", &input).await?;
    let owners = made.get("codes").and_then(Value::as_array).into_iter().flatten();
    let codes: Vec<&str> =
        owners.filter_map(|of| of.get("codes").and_then(Value::as_array)).flatten().filter_map(Value::as_str).collect();
    say(common, &json!({ "codes": codes }), &codes.join("\n"));
    Ok(())
}

async fn list(sort: Sort, common: &Common) -> Result<(), Failure> {
    let api = Api::new(&common.server)?;
    let sort = match sort {
        Sort::Recent => "recent",
        Sort::Usage => "usage",
    };
    let codes = api.admin_all(LIST, &[("sort", sort)], ("codes", PAGE)).await?;
    if common.json {
        print_json(&json!({ "codes": codes }));
        return Ok(());
    }
    for code in &codes {
        let number = |name: &str| code.get(name).and_then(Value::as_u64).unwrap_or(0);
        let used = code.get("uses").and_then(Value::as_array).map_or(0, Vec::len);
        let text = |name: &str| code.get(name).and_then(Value::as_str).unwrap_or("–").to_owned();
        let state = if code.get("disabled").and_then(Value::as_bool) == Some(true) { "disabled" } else { "" };
        println!("{:<40} {used}/{:<6} {:<34} {state}", text("code"), number("available"), text("forAccount"));
    }
    match codes.len() {
        1 => println!("1 code"),
        count => println!("{count} codes"),
    }
    Ok(())
}

async fn disable(codes: Vec<String>, all_of: Option<&AtIdentifier>, common: &Common) -> Result<(), Failure> {
    let api = Api::new(&common.server)?;
    if !codes.is_empty() {
        // The method says nothing of codes that it does not know, and whoever mistyped one would think it disabled.
        let known = api.admin_all(LIST, &[], ("codes", PAGE)).await?;
        let is_known = |code: &String| known.iter().any(|known| text(known, "code") == code);
        if let Some(unknown) = codes.iter().find(|code| !is_known(code)) {
            return Err(Failure::new(format!("there is no invite code {unknown}: nothing was disabled")));
        }
    }
    let mut accounts = Vec::new();
    if let Some(actor) = all_of {
        let did = did_of(&api, actor).await?;
        // First, so that no code is earned in between.
        api.admin_post("com.atproto.admin.disableAccountInvites", &json!({ "account": did })).await?;
        accounts.push(did);
    }
    let input = json!({ "codes": codes, "accounts": accounts });
    api.admin_post("com.atproto.admin.disableInviteCodes", &input).await?;
    let words = match (codes.as_slice(), all_of) {
        ([one], None) => format!("{one} is disabled."),
        (_, None) => "They are disabled.".to_owned(),
        (_, Some(actor)) => format!("The codes of {} are disabled, and it earns no new ones.", actor.as_str()),
    };
    say(common, &input, &words);
    Ok(())
}

async fn did_of(api: &Api, actor: &AtIdentifier) -> Result<String, Failure> {
    let account = find(api, actor).await?;
    Ok(text(&account, "did").to_owned())
}

fn say(common: &Common, json: &Value, words: &str) {
    if common.json {
        print_json(json);
    } else {
        println!("{words}");
    }
}
