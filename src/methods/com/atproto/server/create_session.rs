//! `com.atproto.server.createSession`

use std::sync::Arc;

use serde::Deserialize;

use super::session_view::{SessionView, SessionWithTokens};
use crate::{
    service::{Server, sessions::log_in},
    throttle::Bucket,
    xrpc::{Charge, Json, Procedure, XrpcError, auth::Public},
};

/// Opens a session with a password.
pub struct CreateSession;

/// The input. `authFactorToken` is not looked at: no account has a second factor yet.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    identifier: String,
    password: String,
    #[serde(default)]
    allow_takendown: bool,
}

impl Procedure for CreateSession {
    const NSID: &'static str = "com.atproto.server.createSession";
    type Auth = Public;
    type Input = Json<Input>;
    type Output = Json<SessionWithTokens>;

    fn charge(_: &Public, Json(input): &Json<Input>) -> Option<Charge> {
        Some(Charge::name_from_address(Bucket::CreateSession, &input.identifier))
    }

    async fn call(server: &Arc<Server>, _: Public, Json(input): Json<Input>) -> Result<Self::Output, XrpcError> {
        let (account, tokens) = log_in(server, &input.identifier, input.password, input.allow_takendown).await?;
        Ok(Json(SessionView::of(server, account).await.with(tokens)))
    }
}
