//! `com.atproto.identity.updateHandle`

use std::sync::Arc;

use serde::Deserialize;

use crate::{
    service::{Server, identity::update_handle},
    throttle::Bucket,
    xrpc::{Charge, Empty, Json, Procedure, XrpcError, auth::FullAccess},
};

/// Gives the account a new handle.
pub struct UpdateHandle;

/// The input.
#[derive(Debug, Deserialize)]
pub struct Input {
    // A text, so that a wrong one is `InvalidHandle`.
    handle: String,
}

impl Procedure for UpdateHandle {
    const NSID: &'static str = "com.atproto.identity.updateHandle";
    type Auth = FullAccess;
    type Input = Json<Input>;
    type Output = Empty;

    fn charge(auth: &FullAccess, _: &Json<Input>) -> Option<Charge> {
        Some(Charge::account(Bucket::UpdateHandle, &auth.account.did, 1))
    }

    async fn call(server: &Arc<Server>, auth: FullAccess, Json(input): Json<Input>) -> Result<Empty, XrpcError> {
        update_handle(server, &auth.account, &input.handle).await?;
        Ok(Empty)
    }
}
