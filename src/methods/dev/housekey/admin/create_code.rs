//! `dev.housekey.admin.createCode`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    service::{
        Server,
        codes::issue,
        delegation::{TokenRequest, issue_token},
    },
    store::CodePurpose,
    syntax::Did,
    xrpc::{Json, Procedure, XrpcError, auth::Admin},
};

/// Makes a code that would have been mailed, for the administrator to pass on.
pub struct CreateCode;

/// What a code is for.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Purpose {
    /// `confirmEmail`.
    ConfirmEmail,
    /// `updateEmail`.
    UpdateEmail,
    /// `resetPassword`.
    ResetPassword,
    /// `deleteAccount`.
    DeleteAccount,
    /// `signPlcOperation`.
    PlcOperation,
    /// One change of a delegation, named by its statement or by the id that is to end.
    Delegation,
}

/// The input.
#[derive(Debug, Deserialize)]
pub struct Input {
    did: Did,
    purpose: Purpose,
    statement: Option<serde_json::Value>,
    id: Option<String>,
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    code: String,
    expires_at: String,
}

impl Procedure for CreateCode {
    const NSID: &'static str = "dev.housekey.admin.createCode";
    type Auth = Admin;
    type Input = Json<Input>;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: Admin, Json(input): Json<Input>) -> Result<Json<Output>, XrpcError> {
        let account = server.store.account_by_did(&input.did).await?;
        let account = account.ok_or_else(|| XrpcError::bad("AccountNotFound", "there is no such account here"))?;
        let purpose = match input.purpose {
            Purpose::ConfirmEmail => CodePurpose::ConfirmEmail,
            Purpose::UpdateEmail => CodePurpose::UpdateEmail,
            Purpose::ResetPassword => CodePurpose::ResetPassword,
            Purpose::DeleteAccount => CodePurpose::DeleteAccount,
            Purpose::PlcOperation => CodePurpose::PlcOperation,
            Purpose::Delegation => CodePurpose::Delegation,
        };
        let issued = match (purpose, input.statement, input.id) {
            (CodePurpose::Delegation, Some(statement), None) => {
                issue_token(server, &account, TokenRequest::Statement(statement)).await?
            }
            (CodePurpose::Delegation, None, Some(id)) => issue_token(server, &account, TokenRequest::End(id)).await?,
            (CodePurpose::Delegation, ..) => {
                return Err(XrpcError::invalid("a code for a delegation needs either \"statement\" or \"id\""));
            }
            (_, None, None) => issue(server, &account, purpose).await?,
            _ => return Err(XrpcError::invalid("only a code for a delegation takes \"statement\" or \"id\"")),
        };
        tracing::info!(did = %account.did, purpose = ?purpose, "the administrator made a code");
        let expires_at = issued.expires_at.to_rfc3339_millis();
        Ok(Json(Output { code: issued.code.expose().to_owned(), expires_at }))
    }
}
