//! `com.atproto.server.revokeAppPassword`

use std::sync::Arc;

use serde::Deserialize;

use crate::{
    service::{Server, app_passwords::revoke},
    xrpc::{Empty, Json, Procedure, XrpcError, auth::AnyAccess},
};

/// Takes an app password back: its sessions are over at once.
pub struct RevokeAppPassword;

/// The input.
#[derive(Debug, Deserialize)]
pub struct Input {
    name: String,
}

impl Procedure for RevokeAppPassword {
    const NSID: &'static str = "com.atproto.server.revokeAppPassword";
    type Auth = AnyAccess;
    type Input = Json<Input>;
    type Output = Empty;

    async fn call(server: &Arc<Server>, auth: AnyAccess, Json(input): Json<Input>) -> Result<Empty, XrpcError> {
        revoke(server, &auth.account, &input.name).await?;
        Ok(Empty)
    }
}
