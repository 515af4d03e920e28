//! `com.atproto.server.reserveSigningKey`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    service::{Server, accounts::reserve_signing_key},
    syntax::Did,
    xrpc::{Json, Procedure, XrpcError, auth::Public},
};

/// Reserves a repository key for an account that is going to move here.
pub struct ReserveSigningKey;

/// The input.
#[derive(Debug, Deserialize)]
pub struct Input {
    did: Option<Did>,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    signing_key: String,
}

impl Procedure for ReserveSigningKey {
    const NSID: &'static str = "com.atproto.server.reserveSigningKey";
    type Auth = Public;
    type Input = Json<Input>;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: Public, Json(input): Json<Input>) -> Result<Json<Output>, XrpcError> {
        let signing_key = reserve_signing_key(server, input.did.as_ref()).await?;
        Ok(Json(Output { signing_key }))
    }
}
