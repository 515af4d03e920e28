//! `com.atproto.temp.addReservedHandle`

use std::sync::Arc;

use serde::Deserialize;

use crate::{
    service::{Server, handles::reserve},
    xrpc::{Json, Procedure, XrpcError, auth::Admin},
};

/// Keeps a handle from everybody whom the administrator does not give it to.
pub struct AddReservedHandle;

/// The input.
#[derive(Debug, Deserialize)]
pub struct Input {
    // A text, so that a wrong one is `InvalidHandle`.
    handle: String,
}

impl Procedure for AddReservedHandle {
    const NSID: &'static str = "com.atproto.temp.addReservedHandle";
    type Auth = Admin;
    type Input = Json<Input>;
    type Output = Json<serde_json::Map<String, serde_json::Value>>;

    async fn call(server: &Arc<Server>, _: Admin, Json(input): Json<Input>) -> Result<Self::Output, XrpcError> {
        reserve(server, &input.handle).await?;
        Ok(Json(serde_json::Map::new()))
    }
}
