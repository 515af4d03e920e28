//! An invite code as the lexicons show it.

use serde::Serialize;

use crate::{store::InviteCode, syntax::Did};

/// `com.atproto.server.defs#inviteCode`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InviteView {
    code: String,
    available: u32,
    disabled: bool,
    for_account: String,
    created_by: String,
    created_at: String,
    uses: Vec<InviteUse>,
}

/// `com.atproto.server.defs#inviteCodeUse`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InviteUse {
    used_by: Did,
    used_at: String,
}

impl From<InviteCode> for InviteView {
    fn from(code: InviteCode) -> Self {
        let uses = code.used_by.into_iter();
        Self {
            code: code.invite.code,
            available: code.invite.uses,
            disabled: code.disabled,
            for_account: code.invite.for_account,
            created_by: code.invite.created_by,
            created_at: code.invite.created_at.to_rfc3339_millis(),
            uses: uses.map(|(used_by, at)| InviteUse { used_by, used_at: at.to_rfc3339_millis() }).collect(),
        }
    }
}
