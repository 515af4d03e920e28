//! `com.atproto.server.createAccount`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    service::{
        Server,
        accounts::{SignUp, create_account},
        handles::Reserved,
        sign_ups::SignUpBy,
    },
    syntax::{Did, Handle},
    throttle::Bucket,
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
    // Not in the lexicon: the administrator's to say.
    allow_reserved: Option<bool>,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    access_jwt: String,
    refresh_jwt: String,
    handle: Handle,
    did: Did,
    #[serde(skip_serializing_if = "Option::is_none")]
    did_doc: Option<serde_json::Value>,
}

impl Procedure for CreateAccount {
    const NSID: &'static str = "com.atproto.server.createAccount";
    const BUCKETS: &'static [Bucket] = &[Bucket::Address, Bucket::CreateAccount];
    type Auth = OptionalServiceAuth;
    type Input = Json<Input>;
    type Output = Json<Output>;

    async fn call(
        server: &Arc<Server>,
        auth: OptionalServiceAuth,
        Json(input): Json<Input>,
    ) -> Result<Json<Output>, XrpcError> {
        let by = by(&auth, input.allow_reserved)?;
        let sign_up = SignUp {
            handle: input.handle,
            email: input.email,
            password: input.password,
            invite_code: input.invite_code,
            recovery_key: input.recovery_key,
            did: input.did,
            issuer: auth.issuer,
            has_plc_op: input.plc_op.is_some(),
            by,
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

fn by(auth: &OptionalServiceAuth, allow_reserved: Option<bool>) -> Result<SignUpBy, XrpcError> {
    match (auth.is_admin, allow_reserved) {
        (true, Some(true)) => Ok(SignUpBy::Admin { reserved: Reserved::Allowed }),
        (true, _) => Ok(SignUpBy::Admin { reserved: Reserved::Refused }),
        (false, Some(true)) => {
            Err(XrpcError::unauthorized("AuthenticationRequired", "allowReserved is the administrator's to say"))
        }
        (false, _) => Ok(SignUpBy::Anyone { from: Some(auth.client_ip) }),
    }
}
