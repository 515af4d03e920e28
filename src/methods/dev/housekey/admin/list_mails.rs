//! `dev.housekey.admin.listMails`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    limits::mail as limits,
    methods::reading::{cursor, next_cursor, page_length},
    service::Server,
    store::{ListedMail, MailState},
    syntax::Did,
    xrpc::{Json, Query, XrpcError, auth::Admin},
};

/// Lists mails, newest first: where they are, and why one was not handed over. Not what they say.
pub struct ListMails;

/// Where a mail is.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
enum State {
    /// In the outbox.
    Waiting,
    /// With the mail server.
    Sent,
    /// Not delivered, and not tried any more.
    Failed,
}

/// The parameters.
#[derive(Debug, Deserialize)]
pub struct Params {
    state: Option<State>,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// A mail.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MailView {
    id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    did: Option<Did>,
    kind: String,
    recipient: String,
    state: State,
    created_at: String,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    can_be_retried: bool,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    mails: Vec<MailView>,
}

impl Query for ListMails {
    const NSID: &'static str = "dev.housekey.admin.listMails";
    type Auth = Admin;
    type Params = Params;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: Admin, params: Params) -> Result<Json<Output>, XrpcError> {
        let limit = page_length(params.limit, limits::MAILS_PER_PAGE_DEFAULT, limits::MAILS_PER_PAGE)?;
        let before = cursor(params.cursor.as_deref())?;
        let state = params.state.map(|state| match state {
            State::Waiting => MailState::Waiting,
            State::Sent => MailState::Sent,
            State::Failed => MailState::GivenUp,
        });
        let listed = server.store.list_mails(state, before, limit).await?;
        let cursor = next_cursor(&listed, limit, |last| last.id);
        let mut mails = Vec::with_capacity(listed.len());
        for mail in listed {
            mails.push(view(server, mail).await?);
        }
        Ok(Json(Output { cursor, mails }))
    }
}

async fn view(server: &Server, mail: ListedMail) -> Result<MailView, XrpcError> {
    let account = match mail.account {
        Some(id) => server.store.account_by_id(id).await?,
        None => None,
    };
    Ok(MailView {
        id: mail.id,
        did: account.map(|account| account.did),
        kind: mail.kind,
        recipient: mail.recipient,
        state: match mail.state {
            MailState::Waiting => State::Waiting,
            MailState::Sent => State::Sent,
            MailState::GivenUp => State::Failed,
        },
        created_at: mail.created_at.to_rfc3339_millis(),
        attempts: mail.attempts,
        next_attempt_at: mail.next_attempt_at.map(crate::clock::Timestamp::to_rfc3339_millis),
        error: mail.error,
        can_be_retried: mail.can_be_retried,
    })
}
