//! `housekey account delete|takedown|restore|…`: what changes an account, as the administrator of a running server.

use super::{
    Failure,
    account::{Common, PAGE, SEARCH},
    api::Api,
    ask, print_json,
};
use crate::syntax::{AtIdentifier, AtUri};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

const UPDATE_STATUS: &str = "com.atproto.admin.updateSubjectStatus";

/// What can be done to an account. Each says what it did, or with `--json` what the server answered.
#[derive(Debug, Subcommand)]
pub(super) enum Change {
    /// Delete an account for good: its records, blobs, keys and sessions
    Delete {
        /// Its handle or DID
        actor: AtIdentifier,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Take an account, a record or a blob down: nobody sees it, until it is restored
    Takedown {
        #[command(flatten)]
        subject: Subject,
        /// A reference of yours, such as the number of a case [default: the one that it has, or the time]
        #[arg(long = "ref", value_name = "TEXT")]
        reference: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Lift the takedown of an account, a record or a blob, or the suspension of an account
    Restore {
        #[command(flatten)]
        subject: Subject,
        #[command(flatten)]
        common: Common,
    },
    /// Suspend an account for a while
    Suspend {
        /// Its handle or DID
        actor: AtIdentifier,
        #[command(flatten)]
        common: Common,
    },
    /// Deactivate an account in its owner's place
    Deactivate {
        /// Its handle or DID
        actor: AtIdentifier,
        #[command(flatten)]
        common: Common,
    },
    /// Activate an account in its owner's place
    Activate {
        /// Its handle or DID
        actor: AtIdentifier,
        #[command(flatten)]
        common: Common,
    },
    /// Give an account another handle: also a reserved one, or the server's own name
    Handle {
        /// Its handle or DID
        actor: AtIdentifier,
        /// The new handle
        handle: String,
        #[command(flatten)]
        common: Common,
    },
    /// Give an account a new signing key, in its DID document and under its repository
    RotateKey {
        /// Its handle or DID
        actor: AtIdentifier,
        #[command(flatten)]
        common: Common,
    },
    /// End every session and the password of an account
    Revoke {
        /// Its handle or DID
        actor: AtIdentifier,
        #[command(flatten)]
        common: Common,
    },
}

/// An account, or a part of it.
#[derive(Debug, Args)]
pub(super) struct Subject {
    /// Handle or DID of an account, or the AT-URI of a record (with either)
    subject: String,
    /// Of that account, only this blob
    #[arg(long, value_name = "CID")]
    blob: Option<String>,
}

impl Change {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Delete { actor, yes, common } => delete(&actor, yes, &common).await,
            Self::Takedown { subject, reference, common } => {
                let api = Api::new(&common.server)?;
                let mut takedown = json!({ "applied": true });
                if let (Some(takedown), Some(reference)) = (takedown.as_object_mut(), reference) {
                    takedown.insert("ref".to_owned(), reference.into());
                }
                let subject = reference_to(&api, &subject).await?;
                let said = api.admin_post(UPDATE_STATUS, &json!({ "subject": subject, "takedown": takedown })).await?;
                tell(&common, &said, "It is taken down.");
                Ok(())
            }
            Self::Restore { subject, common } => restore(&subject, &common).await,
            Self::Suspend { actor, common } => {
                update(&actor, &common, "suspended", true, "It is suspended: nobody sees it, and nobody can log in.")
                    .await
            }
            Self::Deactivate { actor, common } => {
                update(&actor, &common, "deactivated", true, "It is deactivated.").await
            }
            Self::Activate { actor, common } => update(&actor, &common, "deactivated", false, "It is active.").await,
            Self::Handle { actor, handle, common } => {
                let said = format!("Its handle is {handle} now.");
                post(
                    &actor,
                    &common,
                    "com.atproto.admin.updateAccountHandle",
                    "did",
                    json!({ "handle": handle }),
                    &said,
                )
                .await
            }
            Self::RotateKey { actor, common } => {
                let api = Api::new(&common.server)?;
                let made = api.admin_post("com.atproto.server.reserveSigningKey", &json!({})).await?;
                let key = text(&made, "signingKey").to_owned();
                let said = format!("Its signing key is {key} now.");
                let nsid = "com.atproto.admin.updateAccountSigningKey";
                post(&actor, &common, nsid, "did", json!({ "signingKey": key }), &said).await
            }
            Self::Revoke { actor, common } => {
                let said = "Its sessions are over, and its password opens nothing any more.";
                post(&actor, &common, "com.atproto.temp.revokeAccountCredentials", "account", json!({}), said).await
            }
        }
    }
}

async fn delete(actor: &AtIdentifier, yes: bool, common: &Common) -> Result<(), Failure> {
    let api = Api::new(&common.server)?;
    let account = find(&api, actor).await?;
    let (did, handle) = (text(&account, "did"), text(&account, "handle"));
    if !yes {
        if !ask::can_ask() {
            return Err(Failure::usage(format!("to delete {handle} for good without being asked, add --yes")));
        }
        if ask::line(&format!("Type {handle} to delete it for good"))? != handle {
            return Err(Failure::new("that is not its handle: nothing was changed"));
        }
    }
    api.admin_post("com.atproto.admin.deleteAccount", &json!({ "did": did })).await?;
    tell(common, &json!({ "did": did, "handle": handle }), &format!("{handle} is deleted."));
    Ok(())
}

/// Lifts whatever lies on the subject.
async fn restore(subject: &Subject, common: &Common) -> Result<(), Failure> {
    let api = Api::new(&common.server)?;
    let subject = reference_to(&api, subject).await?;
    let lifted = json!({ "applied": false });
    let mut said = api.admin_post(UPDATE_STATUS, &json!({ "subject": subject, "takedown": lifted })).await?;
    if subject.get("$type").and_then(Value::as_str) == Some("com.atproto.admin.defs#repoRef") {
        said = api.admin_post(UPDATE_STATUS, &json!({ "subject": subject, "suspended": lifted })).await?;
    }
    tell(common, &said, "It is restored.");
    Ok(())
}

async fn update(actor: &AtIdentifier, common: &Common, what: &str, applied: bool, done: &str) -> Result<(), Failure> {
    let api = Api::new(&common.server)?;
    let account = find(&api, actor).await?;
    let subject = json!({ "$type": "com.atproto.admin.defs#repoRef", "did": text(&account, "did") });
    let said = api.admin_post(UPDATE_STATUS, &json!({ "subject": subject, what: { "applied": applied } })).await?;
    tell(common, &said, done);
    Ok(())
}

/// Calls a method that takes the account's DID under `key`.
pub(super) async fn post(
    actor: &AtIdentifier,
    common: &Common,
    nsid: &str,
    key: &str,
    mut input: Value,
    done: &str,
) -> Result<(), Failure> {
    let api = Api::new(&common.server)?;
    let account = find(&api, actor).await?;
    let did = text(&account, "did").to_owned();
    if let Some(input) = input.as_object_mut() {
        input.insert(key.to_owned(), did.clone().into());
    }
    api.admin_post(nsid, &input).await?;
    if let Some(said) = input.as_object_mut() {
        said.remove(key);
        said.insert("did".to_owned(), did.into());
    }
    tell(common, &input, done);
    Ok(())
}

/// The subject as the lexicon writes it.
pub(super) async fn reference_to(api: &Api, subject: &Subject) -> Result<Value, Failure> {
    if let Ok(uri) = subject.subject.parse::<AtUri>() {
        if subject.blob.is_some() {
            return Err(Failure::usage("a blob belongs to an account: name that, not a record"));
        }
        // As apps write them, URIs may begin with a handle.
        let account = find(api, &uri.authority).await?;
        let authority = text(&account, "did").parse().map_err(Failure::new)?;
        let uri = AtUri { authority: AtIdentifier::Did(authority), ..uri }.to_string();
        let status = api.admin_get("com.atproto.admin.getSubjectStatus", &[("uri", &uri)]).await?;
        return Ok(status.get("subject").cloned().unwrap_or_default());
    }
    let actor: AtIdentifier =
        subject.subject.parse().map_err(|cause| Failure::usage(format!("{}: {cause}", subject.subject)))?;
    let account = find(api, &actor).await?;
    let did = text(&account, "did");
    Ok(match &subject.blob {
        Some(cid) => json!({ "$type": "com.atproto.admin.defs#repoBlobRef", "did": did, "cid": cid }),
        None => json!({ "$type": "com.atproto.admin.defs#repoRef", "did": did }),
    })
}

/// An account in whatever state, by handle or DID.
pub(super) async fn find(api: &Api, actor: &AtIdentifier) -> Result<Value, Failure> {
    match actor {
        AtIdentifier::Did(did) => api.admin_get("com.atproto.admin.getAccountInfo", &[("did", did.as_str())]).await,
        AtIdentifier::Handle(handle) => {
            let query = [("email", handle.as_str())];
            let found = api.admin_all(SEARCH, &query, ("accounts", PAGE)).await?;
            let account = found.into_iter().find(|account| text(account, "handle") == handle.as_str());
            account.ok_or_else(|| Failure::new(format!("there is no account {handle} on this server")))
        }
    }
}

pub(super) fn tell(common: &Common, said: &Value, done: &str) {
    if common.json {
        print_json(said);
    } else {
        println!("{done}");
    }
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
