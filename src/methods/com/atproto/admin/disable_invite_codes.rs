//! `com.atproto.admin.disableInviteCodes`

use std::sync::Arc;

use serde::Deserialize;

use crate::{
    service::{Server, invite_codes::disable},
    xrpc::{Empty, Json, Procedure, XrpcError, auth::AdminOrModerator},
};

/// Disables invite codes: those that are named, and all that some accounts have.
pub struct DisableInviteCodes;

/// The input.
#[derive(Debug, Deserialize)]
pub struct Input {
    #[serde(default)]
    codes: Vec<String>,
    // Texts, so that "admin" gets an answer of its own.
    #[serde(default)]
    accounts: Vec<String>,
}

impl Procedure for DisableInviteCodes {
    const NSID: &'static str = "com.atproto.admin.disableInviteCodes";
    type Auth = AdminOrModerator;
    type Input = Json<Input>;
    type Output = Empty;

    async fn call(server: &Arc<Server>, _: AdminOrModerator, Json(input): Json<Input>) -> Result<Empty, XrpcError> {
        disable(server, input.codes, input.accounts).await?;
        Ok(Empty)
    }
}
