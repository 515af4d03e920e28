//! `com.atproto.admin.sendEmail`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    limits::mail::{LETTER_BYTES, LETTER_SUBJECT_CHARS},
    service::{
        Server,
        mails::{self, letters},
    },
    syntax::Did,
    xrpc::{Json, Procedure, XrpcError, auth::AdminOrModerator},
};

/// Mails an account's owner what the administrator or a moderator has to say, as text or as HTML.
pub struct SendEmail;

/// The input.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    recipient_did: Did,
    content: String,
    subject: Option<String>,
    sender_did: Did,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    // It is in the outbox: durable, and on its way as soon as the mail server takes it.
    sent: bool,
}

impl Procedure for SendEmail {
    const NSID: &'static str = "com.atproto.admin.sendEmail";
    type Auth = AdminOrModerator;
    type Input = Json<Input>;
    type Output = Json<Output>;

    async fn call(
        server: &Arc<Server>,
        _: AdminOrModerator,
        Json(input): Json<Input>,
    ) -> Result<Json<Output>, XrpcError> {
        let Input { recipient_did, content, subject, sender_did } = input;
        if content.trim().is_empty() || content.len() > LETTER_BYTES {
            return Err(XrpcError::invalid(format!("content must have 1 to {LETTER_BYTES} bytes")));
        }
        if subject.as_ref().is_some_and(|subject| subject.chars().count() > LETTER_SUBJECT_CHARS) {
            return Err(XrpcError::invalid(format!("subject must have at most {LETTER_SUBJECT_CHARS} characters")));
        }
        let account = server.store.account_by_did(&recipient_did).await?;
        let account = account.ok_or_else(|| XrpcError::bad("NotFound", "Recipient not found"))?;
        let letter = letters::administrator(&server.policy.hostname, subject.as_deref(), &content);
        mails::send(server, &account, letter.map_err(mails::MailFailure::from)?).await?;
        tracing::info!(did = %account.did, sender = %sender_did, "a mail of the administrator's was written");
        Ok(Json(Output { sent: true }))
    }
}
