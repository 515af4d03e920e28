//! `com.atproto.admin.updateAccountHandle`

use std::sync::Arc;

use serde::Deserialize;

use super::account_of;
use crate::{
    service::{Server, handles::Reserved, identity::update_handle_as},
    syntax::Did,
    xrpc::{Empty, Json, Procedure, XrpcError, auth::Admin},
};

/// Gives an account another handle: also a reserved one, a service domain itself, or the server's own name.
pub struct UpdateAccountHandle;

/// The input.
#[derive(Debug, Deserialize)]
pub struct Input {
    did: Did,
    // A text, so that a wrong one is `InvalidHandle`.
    handle: String,
}

impl Procedure for UpdateAccountHandle {
    const NSID: &'static str = "com.atproto.admin.updateAccountHandle";
    type Auth = Admin;
    type Input = Json<Input>;
    type Output = Empty;

    async fn call(server: &Arc<Server>, _: Admin, Json(input): Json<Input>) -> Result<Empty, XrpcError> {
        let account = account_of(server, &input.did).await?;
        update_handle_as(server, &account, &input.handle, Reserved::Allowed).await?;
        Ok(Empty)
    }
}
