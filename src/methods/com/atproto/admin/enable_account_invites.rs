//! `com.atproto.admin.enableAccountInvites`

use std::sync::Arc;

use serde::Deserialize;

use super::account_of;
use crate::{
    limits::community::INVITE_NOTE_BYTES,
    service::{Server, invite_codes::set_rights},
    store::InviteRights,
    syntax::Did,
    xrpc::{Empty, Json, Procedure, XrpcError, auth::AdminOrModerator},
};

/// Lets an account earn invite codes again.
pub struct EnableAccountInvites;

/// The input.
#[derive(Debug, Deserialize)]
pub struct Input {
    account: Did,
    note: Option<String>,
}

impl Procedure for EnableAccountInvites {
    const NSID: &'static str = "com.atproto.admin.enableAccountInvites";
    type Auth = AdminOrModerator;
    type Input = Json<Input>;
    type Output = Empty;

    async fn call(server: &Arc<Server>, _: AdminOrModerator, Json(input): Json<Input>) -> Result<Empty, XrpcError> {
        if input.note.as_ref().is_some_and(|note| note.len() > INVITE_NOTE_BYTES) {
            return Err(XrpcError::invalid(format!("note must have at most {INVITE_NOTE_BYTES} bytes")));
        }
        let account = account_of(server, &input.account).await?;
        set_rights(server, &account, InviteRights { is_disabled: false, note: input.note }).await?;
        Ok(Empty)
    }
}
