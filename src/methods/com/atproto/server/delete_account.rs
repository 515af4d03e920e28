//! `com.atproto.server.deleteAccount`

use std::sync::Arc;

use serde::Deserialize;

use crate::{
    service::{Server, deletion::delete_own},
    syntax::Did,
    throttle::Bucket,
    xrpc::{Empty, Json, Procedure, XrpcError, auth::Public},
};

/// Deletes an account for good. Password and mailed code are the proof; no session is needed.
pub struct DeleteAccount;

/// The input.
#[derive(Debug, Deserialize)]
pub struct Input {
    did: Did,
    password: String,
    token: String,
}

impl Procedure for DeleteAccount {
    const NSID: &'static str = "com.atproto.server.deleteAccount";
    const BUCKETS: &'static [Bucket] = &[Bucket::Address, Bucket::DeleteAccount];
    type Auth = Public;
    type Input = Json<Input>;
    type Output = Empty;

    async fn call(server: &Arc<Server>, _: Public, Json(input): Json<Input>) -> Result<Empty, XrpcError> {
        delete_own(server, &input.did, input.password, &input.token).await?;
        Ok(Empty)
    }
}
