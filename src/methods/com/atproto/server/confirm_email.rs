//! `com.atproto.server.confirmEmail`

use std::sync::Arc;

use serde::Deserialize;

use crate::{
    service::{Server, addresses::confirm},
    xrpc::{Empty, Json, Procedure, XrpcError, auth::AnyAccess},
};

/// Confirms the account's address with a mailed code.
pub struct ConfirmEmail;

/// The input.
#[derive(Debug, Deserialize)]
pub struct Input {
    email: String,
    token: String,
}

impl Procedure for ConfirmEmail {
    const NSID: &'static str = "com.atproto.server.confirmEmail";
    type Auth = AnyAccess;
    type Input = Json<Input>;
    type Output = Empty;

    async fn call(server: &Arc<Server>, auth: AnyAccess, Json(input): Json<Input>) -> Result<Empty, XrpcError> {
        confirm(server, &auth.account, &input.email, &input.token).await?;
        Ok(Empty)
    }
}
