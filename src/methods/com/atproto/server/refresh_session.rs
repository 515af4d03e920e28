//! `com.atproto.server.refreshSession`

use std::sync::Arc;

use super::session_view::{SessionView, SessionWithTokens};
use crate::{
    service::{Server, sessions::refresh},
    xrpc::{Json, NoInput, Procedure, XrpcError, auth::RefreshToken},
};

/// Exchanges a refresh token for the next two tokens.
pub struct RefreshSession;

impl Procedure for RefreshSession {
    const NSID: &'static str = "com.atproto.server.refreshSession";
    type Auth = RefreshToken;
    type Input = NoInput;
    type Output = Json<SessionWithTokens>;

    async fn call(server: &Arc<Server>, auth: RefreshToken, _: NoInput) -> Result<Self::Output, XrpcError> {
        let id = auth.claims.jti.unwrap_or_default();
        let tokens = refresh(server, &auth.account, &id).await?;
        Ok(Json(SessionView::of(server, auth.account).await.with(tokens)))
    }
}
