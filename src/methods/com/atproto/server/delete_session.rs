//! `com.atproto.server.deleteSession`

use std::sync::Arc;

use crate::{
    service::{Server, sessions::close},
    xrpc::{Empty, NoInput, Procedure, XrpcError, auth::ExpiredRefreshToken},
};

/// Ends the session of a refresh token.
pub struct DeleteSession;

impl Procedure for DeleteSession {
    const NSID: &'static str = "com.atproto.server.deleteSession";
    type Auth = ExpiredRefreshToken;
    type Input = NoInput;
    type Output = Empty;

    async fn call(server: &Arc<Server>, auth: ExpiredRefreshToken, _: NoInput) -> Result<Empty, XrpcError> {
        if let Some(id) = &auth.claims.jti {
            close(server, id).await?;
        }
        Ok(Empty)
    }
}
