//! `com.atproto.admin.updateAccountEmail`

use std::sync::Arc;

use serde::Deserialize;

use crate::{
    service::{Server, addresses, repos::find},
    syntax::AtIdentifier,
    xrpc::{Empty, Json, Procedure, XrpcError, auth::Admin},
};

/// Gives an account another e-mail address, which is not confirmed then; codes that were mailed are over.
pub struct UpdateAccountEmail;

/// The input.
#[derive(Debug, Deserialize)]
pub struct Input {
    account: AtIdentifier,
    email: String,
}

impl Procedure for UpdateAccountEmail {
    const NSID: &'static str = "com.atproto.admin.updateAccountEmail";
    type Auth = Admin;
    type Input = Json<Input>;
    type Output = Empty;

    async fn call(server: &Arc<Server>, _: Admin, Json(input): Json<Input>) -> Result<Empty, XrpcError> {
        let account = find(server, &input.account).await?;
        let account = account.ok_or_else(|| XrpcError::bad("NotFound", "Account not found"))?;
        addresses::set(server, &account, &input.email).await?;
        Ok(Empty)
    }
}
