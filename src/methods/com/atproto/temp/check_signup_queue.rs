//! `com.atproto.temp.checkSignupQueue`

use std::sync::Arc;

use serde::Serialize;

use crate::{
    service::Server,
    xrpc::{Json, NoParams, Query, XrpcError, auth::AnyAccessOrQueued},
};

/// Whether the account is through the queue of sign-ups. There is none here, so it always is.
pub struct CheckSignupQueue;

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    activated: bool,
}

impl Query for CheckSignupQueue {
    const NSID: &'static str = "com.atproto.temp.checkSignupQueue";
    type Auth = AnyAccessOrQueued;
    type Params = NoParams;
    type Output = Json<Output>;

    async fn call(_: &Arc<Server>, _: AnyAccessOrQueued, _: NoParams) -> Result<Json<Output>, XrpcError> {
        Ok(Json(Output { activated: true }))
    }
}
