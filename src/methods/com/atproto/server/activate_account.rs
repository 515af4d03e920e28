//! `com.atproto.server.activateAccount`

use std::sync::Arc;

use crate::{
    service::{Server, states::activate},
    xrpc::{Empty, NoInput, Procedure, XrpcError, auth::FullAccess},
};

/// Puts an account in use whose DID names this server.
pub struct ActivateAccount;

impl Procedure for ActivateAccount {
    const NSID: &'static str = "com.atproto.server.activateAccount";
    type Auth = FullAccess;
    type Input = NoInput;
    type Output = Empty;

    async fn call(server: &Arc<Server>, auth: FullAccess, _: NoInput) -> Result<Empty, XrpcError> {
        activate(server, &auth.account).await?;
        Ok(Empty)
    }
}
