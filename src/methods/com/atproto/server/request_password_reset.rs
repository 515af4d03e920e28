//! `com.atproto.server.requestPasswordReset`

use std::sync::Arc;

use serde::Deserialize;

use crate::{
    service::{Server, credentials::request_reset},
    throttle::Bucket,
    xrpc::{Empty, Json, Procedure, XrpcError, auth::Public},
};

/// Mails the code that `resetPassword` asks for to whoever has an account with this address; the answer does not tell
/// whether anybody has.
pub struct RequestPasswordReset;

/// The input.
#[derive(Debug, Deserialize)]
pub struct Input {
    email: String,
}

impl Procedure for RequestPasswordReset {
    const NSID: &'static str = "com.atproto.server.requestPasswordReset";
    const BUCKETS: &'static [Bucket] = &[Bucket::Address, Bucket::RequestPasswordReset];
    type Auth = Public;
    type Input = Json<Input>;
    type Output = Empty;

    async fn call(server: &Arc<Server>, _: Public, Json(input): Json<Input>) -> Result<Empty, XrpcError> {
        request_reset(server, &input.email).await?;
        Ok(Empty)
    }
}
