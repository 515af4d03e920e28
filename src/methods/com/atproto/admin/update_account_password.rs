//! `com.atproto.admin.updateAccountPassword`

use std::sync::Arc;

use serde::Deserialize;

use super::account_of;
use crate::{
    service::{Server, credentials::set_password},
    syntax::Did,
    xrpc::{Empty, Json, Procedure, XrpcError, auth::Admin},
};

/// Gives an account another password, which ends all its sessions; its owner is told by mail.
pub struct UpdateAccountPassword;

/// The input.
#[derive(Deserialize)]
pub struct Input {
    did: Did,
    password: String,
}

impl Procedure for UpdateAccountPassword {
    const NSID: &'static str = "com.atproto.admin.updateAccountPassword";
    type Auth = Admin;
    type Input = Json<Input>;
    type Output = Empty;

    async fn call(server: &Arc<Server>, _: Admin, Json(input): Json<Input>) -> Result<Empty, XrpcError> {
        let account = account_of(server, &input.did).await?;
        set_password(server, &account, input.password).await?;
        Ok(Empty)
    }
}
