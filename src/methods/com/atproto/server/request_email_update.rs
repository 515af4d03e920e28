//! `com.atproto.server.requestEmailUpdate`

use std::sync::Arc;

use serde::Serialize;

use crate::{
    service::{Server, addresses::request_update},
    throttle::Bucket,
    xrpc::{Charge, Json, NoInput, Procedure, XrpcError, auth::FullAccess},
};

/// Mails the code that `updateEmail` asks for, if it will ask for one.
pub struct RequestEmailUpdate;

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    token_required: bool,
}

impl Procedure for RequestEmailUpdate {
    const NSID: &'static str = "com.atproto.server.requestEmailUpdate";
    type Auth = FullAccess;
    type Input = NoInput;
    type Output = Json<Output>;

    fn charge(auth: &FullAccess, _: &NoInput) -> Option<Charge> {
        Some(Charge::account(Bucket::RequestEmailUpdate, &auth.account.did, 1))
    }

    async fn call(server: &Arc<Server>, auth: FullAccess, _: NoInput) -> Result<Json<Output>, XrpcError> {
        Ok(Json(Output { token_required: request_update(server, &auth.account).await? }))
    }
}
