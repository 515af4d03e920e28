//! `com.atproto.admin.deleteAccount`

use std::sync::Arc;

use serde::Deserialize;

use crate::{
    service::{Server, deletion::delete_by_admin},
    syntax::Did,
    xrpc::{Empty, Json, Procedure, XrpcError, auth::Admin},
};

/// Deletes an account for good.
pub struct DeleteAccount;

/// The input.
#[derive(Debug, Deserialize)]
pub struct Input {
    did: Did,
}

impl Procedure for DeleteAccount {
    const NSID: &'static str = "com.atproto.admin.deleteAccount";
    type Auth = Admin;
    type Input = Json<Input>;
    type Output = Empty;

    async fn call(server: &Arc<Server>, _: Admin, Json(input): Json<Input>) -> Result<Empty, XrpcError> {
        delete_by_admin(server, &input.did).await?;
        Ok(Empty)
    }
}
