//! `dev.housekey.delegation.deleteDelegation`

use std::sync::Arc;

use serde::Deserialize;

use super::answers::{ChangeOutput, changed, present};
use crate::{
    delegation::Purpose,
    service::{
        Server,
        delegation::{ChangeRequest, EndRequest, end},
    },
    xrpc::{Json, Procedure, XrpcError, auth::OwnerAccess},
};

/// Removes the verification method.
pub struct DeleteDelegation;

/// The input: a statement, or an id and a code.
#[derive(Debug, Deserialize)]
pub struct Input {
    #[serde(default, deserialize_with = "present")]
    statement: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "present")]
    id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    token: Option<String>,
    #[serde(default, deserialize_with = "present")]
    operation: Option<serde_json::Value>,
}

impl Procedure for DeleteDelegation {
    const NSID: &'static str = "dev.housekey.delegation.deleteDelegation";
    type Auth = OwnerAccess;
    type Input = Json<Input>;
    type Output = Json<ChangeOutput>;

    async fn call(
        server: &Arc<Server>,
        auth: OwnerAccess,
        Json(input): Json<Input>,
    ) -> Result<Json<ChangeOutput>, XrpcError> {
        let Input { statement, id, token, operation } = input;
        match (statement, id) {
            (Some(statement), None) => {
                let request = ChangeRequest { statement, token, operation, app_data: Vec::new() };
                changed(server, &auth, Purpose::Delete, request).await
            }
            (None, Some(id)) => Ok(Json(end(server, &auth.account, EndRequest { id, token, operation }).await?.into())),
            (Some(_), Some(_)) | (None, None) => {
                Err(XrpcError::invalid("Input must have either the property \"statement\" or \"id\""))
            }
        }
    }
}
