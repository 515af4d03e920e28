//! `dev.housekey.delegation.putAssociatedData`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    ipld::Cid,
    service::{Server, delegation::put_associated_data},
    xrpc::{Json, Procedure, XrpcError, auth::OwnerAccess},
};

/// Sets or ends one app's entry.
pub struct PutAssociatedData;

/// The input.
#[derive(Debug, Deserialize)]
pub struct Input {
    entry: serde_json::Value,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    uri: String,
    cid: Cid,
}

impl Procedure for PutAssociatedData {
    const NSID: &'static str = "dev.housekey.delegation.putAssociatedData";
    type Auth = OwnerAccess;
    type Input = Json<Input>;
    type Output = Json<Output>;

    async fn call(
        server: &Arc<Server>,
        auth: OwnerAccess,
        Json(input): Json<Input>,
    ) -> Result<Json<Output>, XrpcError> {
        let (path, cid) = put_associated_data(server, &auth.account, &input.entry).await?;
        Ok(Json(Output { uri: format!("at://{}/{path}", auth.account.did), cid }))
    }
}
