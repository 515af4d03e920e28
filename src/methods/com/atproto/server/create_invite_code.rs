//! `com.atproto.server.createInviteCode`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    service::{
        Server,
        invites::{ADMIN, create_invites},
    },
    syntax::Did,
    xrpc::{Json, Procedure, XrpcError, auth::Admin},
};

/// Makes one invite code.
pub struct CreateInviteCode;

/// The input.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    use_count: i64,
    for_account: Option<Did>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    code: String,
}

impl Procedure for CreateInviteCode {
    const NSID: &'static str = "com.atproto.server.createInviteCode";
    type Auth = Admin;
    type Input = Json<Input>;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: Admin, Json(input): Json<Input>) -> Result<Json<Output>, XrpcError> {
        let account = input.for_account.map_or_else(|| ADMIN.to_owned(), String::from);
        let made = create_invites(server, vec![account], 1, input.use_count).await?;
        let code = made.into_iter().flat_map(|of| of.codes).next();
        let code = code.ok_or_else(|| XrpcError::internal(&"no invite code was made"))?;
        Ok(Json(Output { code }))
    }
}
