//! `com.atproto.server.resetPassword`

use std::sync::Arc;

use serde::Deserialize;

use crate::{
    service::{Server, credentials::reset_password},
    throttle::Bucket,
    xrpc::{Empty, Json, Procedure, XrpcError, auth::Public},
};

/// Sets a new password with a mailed code, and ends every session of the account.
pub struct ResetPassword;

/// The input.
#[derive(Debug, Deserialize)]
pub struct Input {
    token: String,
    password: String,
}

impl Procedure for ResetPassword {
    const NSID: &'static str = "com.atproto.server.resetPassword";
    const BUCKETS: &'static [Bucket] = &[Bucket::Address, Bucket::ResetPassword];
    type Auth = Public;
    type Input = Json<Input>;
    type Output = Empty;

    async fn call(server: &Arc<Server>, _: Public, Json(input): Json<Input>) -> Result<Empty, XrpcError> {
        reset_password(server, &input.token, input.password).await?;
        Ok(Empty)
    }
}
