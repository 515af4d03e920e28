//! `housekey account email|password|write|status`: address and password of an account, a mail to its owner, and how something
//! stands, as the administrator of a running server.

use super::{
    Failure,
    account::{Common, new_password},
    account_change::{Subject, find, post, reference_to, tell, text},
    api::Api,
};
use crate::{client::files::read_text, limits::mail::LETTER_BYTES, syntax::AtIdentifier};
use clap::Subcommand;
use serde_json::{Value, json};
use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

/// What concerns the owner.
#[derive(Debug, Subcommand)]
pub(super) enum Owner {
    /// Give an account another e-mail address, which is not confirmed then
    Email {
        /// Its handle or DID
        actor: AtIdentifier,
        /// The new address
        email: String,
        #[command(flatten)]
        common: Common,
    },
    /// Give an account another password; all its sessions end
    Password {
        /// Its handle or DID
        actor: AtIdentifier,
        /// File with the password [default: one is made and printed]
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
    /// Mail the owner of an account
    Write {
        /// Its handle or DID
        actor: AtIdentifier,
        /// The subject [default: A message about your account]
        #[arg(long, value_name = "TEXT")]
        subject: Option<String>,
        /// File with what to say, as text or HTML [default: standard input]
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
    /// Show whether an account, a record or a blob is taken down or suspended
    Status {
        #[command(flatten)]
        subject: Subject,
        #[command(flatten)]
        common: Common,
    },
}

impl Owner {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Email { actor, email, common } => {
                let said = format!("Its address is {email} now, not confirmed yet.");
                let input = json!({ "email": email });
                post(&actor, &common, "com.atproto.admin.updateAccountEmail", "account", input, &said).await
            }
            Self::Password { actor, password_file, common } => {
                let password = new_password(password_file.as_deref())?;
                let said = match password_file {
                    Some(_) => "It has a new password, and its sessions are over.".to_owned(),
                    None => format!("Its password is {password} now, and its sessions are over."),
                };
                let input = json!({ "password": password });
                post(&actor, &common, "com.atproto.admin.updateAccountPassword", "did", input, &said).await
            }
            Self::Write { actor, subject, file, common } => write(&actor, subject, file.as_deref(), &common).await,
            Self::Status { subject, common } => status(&subject, &common).await,
        }
    }
}

async fn write(
    actor: &AtIdentifier,
    subject: Option<String>,
    file: Option<&Path>,
    common: &Common,
) -> Result<(), Failure> {
    let content = match file {
        Some(path) => read_text(path)?,
        None => standard_input()?,
    };
    let api = Api::new(&common.server)?;
    let recipient = find(&api, actor).await?;
    let server = api.get("com.atproto.server.describeServer").await?;
    let mut input = json!({ "recipientDid": text(&recipient, "did"), "senderDid": text(&server, "did"),
        "content": content });
    if let (Some(subject), Some(input)) = (subject, input.as_object_mut()) {
        input.insert("subject".to_owned(), subject.into());
    }
    let said = api.admin_post("com.atproto.admin.sendEmail", &input).await?;
    tell(common, &said, "It is on its way: \"housekey mail list\" says when the mail server has it.");
    Ok(())
}

fn standard_input() -> Result<String, Failure> {
    let mut content = String::new();
    let most = u64::try_from(LETTER_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    io::stdin().lock().take(most).read_to_string(&mut content)?;
    Ok(content)
}

async fn status(subject: &Subject, common: &Common) -> Result<(), Failure> {
    let api = Api::new(&common.server)?;
    let reference = reference_to(&api, subject).await?;
    let part = |name: &str| reference.get(name).and_then(Value::as_str);
    let query: Vec<(&str, &str)> = match (part("uri"), part("did"), part("cid")) {
        (Some(uri), ..) => vec![("uri", uri)],
        (None, Some(did), Some(cid)) => vec![("did", did), ("blob", cid)],
        (None, did, _) => vec![("did", did.unwrap_or_default())],
    };
    let said = api.admin_get("com.atproto.admin.getSubjectStatus", &query).await?;
    let applied = |what: &str| {
        let status = said.get(what)?;
        let is_applied = status.get("applied").and_then(Value::as_bool)?;
        is_applied.then(|| match text(status, "ref") {
            "" => what.to_owned(),
            reference => format!("{what} ({reference})"),
        })
    };
    let states: Vec<String> = ["takedown", "suspended", "deactivated"].into_iter().filter_map(applied).collect();
    let words = if states.is_empty() { "nothing lies on it".to_owned() } else { states.join(", ") };
    tell(common, &said, &words);
    Ok(())
}
