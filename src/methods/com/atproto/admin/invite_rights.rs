//! What `enableAccountInvites` and `disableAccountInvites` share.

use serde::Deserialize;

use super::account_of;
use crate::{
    limits::community::INVITE_NOTE_BYTES,
    service::{Server, invite_codes::set_rights},
    store::InviteRights,
    syntax::Did,
    xrpc::{Empty, XrpcError},
};

/// Their input.
#[derive(Debug, Deserialize)]
pub struct InviteRightsInput {
    account: Did,
    note: Option<String>,
}

/// Sets whether an account earns codes.
pub(super) async fn set(server: &Server, input: InviteRightsInput, is_disabled: bool) -> Result<Empty, XrpcError> {
    if input.note.as_ref().is_some_and(|note| note.len() > INVITE_NOTE_BYTES) {
        return Err(XrpcError::invalid(format!("note must have at most {INVITE_NOTE_BYTES} bytes")));
    }
    let account = account_of(server, &input.account).await?;
    set_rights(server, &account, InviteRights { is_disabled, note: input.note }).await?;
    Ok(Empty)
}
