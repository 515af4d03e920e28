//! `com.atproto.admin.disableAccountInvites`

use std::sync::Arc;

use super::invite_rights::{self, InviteRightsInput};
use crate::{
    service::Server,
    xrpc::{Empty, Json, Procedure, XrpcError, auth::AdminOrModerator},
};

/// Lets an account earn no more invite codes.
pub struct DisableAccountInvites;

impl Procedure for DisableAccountInvites {
    const NSID: &'static str = "com.atproto.admin.disableAccountInvites";
    type Auth = AdminOrModerator;
    type Input = Json<InviteRightsInput>;
    type Output = Empty;

    async fn call(
        server: &Arc<Server>,
        _: AdminOrModerator,
        Json(input): Json<InviteRightsInput>,
    ) -> Result<Empty, XrpcError> {
        invite_rights::set(server, input, true).await
    }
}
