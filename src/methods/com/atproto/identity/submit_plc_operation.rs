//! `com.atproto.identity.submitPlcOperation`

use std::sync::Arc;

use serde::Deserialize;

use crate::{
    service::{Server, identity::submit_plc_operation},
    xrpc::{Empty, Json, Procedure, XrpcError, auth::FullAccess},
};

/// Submits a signed operation after the checks that keep the account working.
pub struct SubmitPlcOperation;

/// The input.
#[derive(Debug, Deserialize)]
pub struct Input {
    operation: serde_json::Value,
}

impl Procedure for SubmitPlcOperation {
    const NSID: &'static str = "com.atproto.identity.submitPlcOperation";
    type Auth = FullAccess;
    type Input = Json<Input>;
    type Output = Empty;

    async fn call(server: &Arc<Server>, auth: FullAccess, Json(input): Json<Input>) -> Result<Empty, XrpcError> {
        submit_plc_operation(server, &auth.account, input.operation).await?;
        Ok(Empty)
    }
}
