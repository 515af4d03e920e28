//! `dev.housekey.admin.retryMails`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    limits::mail::MAILS_PER_PAGE,
    service::{Server, mails::retry},
    xrpc::{Json, Procedure, XrpcError, auth::Admin},
};

/// Puts mails that were given up into the outbox again. Those that told a code are over: whoever needs one asks anew.
pub struct RetryMails;

/// The input.
#[derive(Debug, Deserialize)]
pub struct Input {
    ids: Option<Vec<i64>>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    ids: Vec<i64>,
}

impl Procedure for RetryMails {
    const NSID: &'static str = "dev.housekey.admin.retryMails";
    type Auth = Admin;
    type Input = Json<Input>;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: Admin, Json(input): Json<Input>) -> Result<Json<Output>, XrpcError> {
        if input.ids.as_ref().is_some_and(|ids| ids.len() > MAILS_PER_PAGE) {
            return Err(XrpcError::invalid(format!("ids must have at most {MAILS_PER_PAGE} entries")));
        }
        Ok(Json(Output { ids: retry(server, input.ids).await? }))
    }
}
