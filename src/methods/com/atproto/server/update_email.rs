//! `com.atproto.server.updateEmail`

use std::sync::Arc;

use serde::Deserialize;

use crate::{
    service::{Server, addresses::update},
    xrpc::{Empty, Json, Procedure, XrpcError, auth::FullAccess},
};

/// Gives the account another address. `emailAuthFactor` is not looked at: no account has a second factor yet.
pub struct UpdateEmail;

/// The input.
#[derive(Debug, Deserialize)]
pub struct Input {
    email: String,
    token: Option<String>,
}

impl Procedure for UpdateEmail {
    const NSID: &'static str = "com.atproto.server.updateEmail";
    type Auth = FullAccess;
    type Input = Json<Input>;
    type Output = Empty;

    async fn call(server: &Arc<Server>, auth: FullAccess, Json(input): Json<Input>) -> Result<Empty, XrpcError> {
        update(server, &auth.account, &input.email, input.token.as_deref()).await?;
        Ok(Empty)
    }
}
