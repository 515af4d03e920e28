//! `app.bsky.notification.unregisterPush`
use super::register_push::{Input, tell};
use crate::{
    service::Server,
    xrpc::{Empty, Json, Procedure, XrpcError, auth::AnyAccess},
};
use std::sync::Arc;

/// Tells the service that sends notifications to forget this device.
pub struct UnregisterPush;

impl Procedure for UnregisterPush {
    const NSID: &'static str = "app.bsky.notification.unregisterPush";
    type Auth = AnyAccess;
    type Input = Json<Input>;
    type Output = Empty;

    async fn call(server: &Arc<Server>, auth: AnyAccess, Json(input): Json<Input>) -> Result<Empty, XrpcError> {
        tell(server, &auth.account, Self::NSID, &input).await.map(|()| Empty)
    }
}
