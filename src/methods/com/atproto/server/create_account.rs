//! `com.atproto.server.createAccount`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    service::{
        Server,
        accounts::{SignUp, create_account},
    },
    syntax::{Did, Handle},
    xrpc::{Json, Procedure, XrpcError, auth::OptionalServiceAuth},
};

/// Makes an account and opens its first session.
pub struct CreateAccount;

/// The input.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    // A text, so that a wrong one is `InvalidHandle`.
    handle: String,
    email: Option<String>,
    password: Option<String>,
    did: Option<Did>,
    invite_code: Option<String>,
    recovery_key: Option<String>,
    plc_op: Option<serde_json::Value>,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    access_jwt: String,
    refresh_jwt: String,
    handle: Handle,
    did: Did,
    did_doc: serde_json::Value,
}

impl Procedure for CreateAccount {
    const NSID: &'static str = "com.atproto.server.createAccount";
    type Auth = OptionalServiceAuth;
    type Input = Json<Input>;
    type Output = Json<Output>;

    async fn call(
        server: &Arc<Server>,
        _: OptionalServiceAuth,
        Json(input): Json<Input>,
    ) -> Result<Json<Output>, XrpcError> {
        let sign_up = SignUp {
            handle: input.handle,
            email: input.email,
            password: input.password,
            invite_code: input.invite_code,
            recovery_key: input.recovery_key,
            did: input.did,
            has_plc_op: input.plc_op.is_some(),
        };
        let made = create_account(server, sign_up).await?;
        Ok(Json(Output {
            access_jwt: made.tokens.access_jwt,
            refresh_jwt: made.tokens.refresh_jwt,
            handle: made.account.handle,
            did: made.account.did,
            did_doc: made.document,
        }))
    }
}
