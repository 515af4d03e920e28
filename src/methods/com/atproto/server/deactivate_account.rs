//! `com.atproto.server.deactivateAccount`

use std::sync::Arc;

use serde::Deserialize;

use crate::{
    service::{Server, states::deactivate},
    syntax::Datetime,
    xrpc::{Empty, Json, Procedure, XrpcError, auth::FullAccessOrTakendown},
};

/// Takes an account out of use: its owner can still log in, move away or come back.
pub struct DeactivateAccount;

/// The input.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    delete_after: Option<Datetime>,
}

impl Procedure for DeactivateAccount {
    const NSID: &'static str = "com.atproto.server.deactivateAccount";
    type Auth = FullAccessOrTakendown;
    type Input = Json<Input>;
    type Output = Empty;

    async fn call(
        server: &Arc<Server>,
        auth: FullAccessOrTakendown,
        Json(input): Json<Input>,
    ) -> Result<Empty, XrpcError> {
        deactivate(server, &auth.account, input.delete_after.map(|at| at.timestamp())).await?;
        Ok(Empty)
    }
}
