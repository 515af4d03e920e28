//! `com.atproto.temp.revokeAccountCredentials`

use std::sync::Arc;

use serde::Deserialize;

use crate::{
    service::{Server, credentials::revoke_all, repos::find},
    syntax::AtIdentifier,
    xrpc::{Empty, Json, Procedure, XrpcError, auth::Admin},
};

/// Ends every session and the password of an account: its owner resets it by mail, or the administrator sets another.
pub struct RevokeAccountCredentials;

/// The input.
#[derive(Debug, Deserialize)]
pub struct Input {
    account: AtIdentifier,
}

impl Procedure for RevokeAccountCredentials {
    const NSID: &'static str = "com.atproto.temp.revokeAccountCredentials";
    type Auth = Admin;
    type Input = Json<Input>;
    type Output = Empty;

    async fn call(server: &Arc<Server>, _: Admin, Json(input): Json<Input>) -> Result<Empty, XrpcError> {
        let account = find(server, &input.account).await?;
        let account = account.ok_or_else(|| XrpcError::bad("NotFound", "Account not found"))?;
        revoke_all(server, &account).await?;
        Ok(Empty)
    }
}
