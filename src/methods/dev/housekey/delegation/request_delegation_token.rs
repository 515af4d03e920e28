//! `dev.housekey.delegation.requestDelegationToken`

use std::sync::Arc;

use serde::Deserialize;

use super::answers::present;
use crate::{
    service::{
        Server,
        delegation::{TokenRequest, request_token},
    },
    xrpc::{Empty, Json, Procedure, XrpcError, auth::OwnerAccess},
};

/// Mails a code that is bound to one change.
pub struct RequestDelegationToken;

/// The input: a statement, or the id to end.
#[derive(Debug, Deserialize)]
pub struct Input {
    #[serde(default, deserialize_with = "present")]
    statement: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "present")]
    id: Option<String>,
}

impl Procedure for RequestDelegationToken {
    const NSID: &'static str = "dev.housekey.delegation.requestDelegationToken";
    type Auth = OwnerAccess;
    type Input = Json<Input>;
    type Output = Empty;

    async fn call(server: &Arc<Server>, auth: OwnerAccess, Json(input): Json<Input>) -> Result<Empty, XrpcError> {
        let request = match (input.statement, input.id) {
            (Some(statement), None) => TokenRequest::Statement(statement),
            (None, Some(id)) => TokenRequest::End(id),
            (Some(_), Some(_)) | (None, None) => {
                return Err(XrpcError::invalid("Input must have either the property \"statement\" or \"id\""));
            }
        };
        request_token(server, &auth.account, request).await?;
        Ok(Empty)
    }
}
