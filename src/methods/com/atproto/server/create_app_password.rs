//! `com.atproto.server.createAppPassword`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    service::{
        Server,
        app_passwords::{Rights, create},
    },
    xrpc::{Json, Procedure, XrpcError, auth::FullAccess},
};

/// Makes an app password, and shows it this once.
pub struct CreateAppPassword;

/// The input.
#[derive(Debug, Deserialize)]
pub struct Input {
    name: String,
    #[serde(default)]
    privileged: bool,
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    name: String,
    password: String,
    created_at: String,
    privileged: bool,
}

impl Procedure for CreateAppPassword {
    const NSID: &'static str = "com.atproto.server.createAppPassword";
    type Auth = FullAccess;
    type Input = Json<Input>;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, auth: FullAccess, Json(input): Json<Input>) -> Result<Json<Output>, XrpcError> {
        let Input { name, privileged } = input;
        let rights = if privileged { Rights::Privileged } else { Rights::Plain };
        let made = create(server, &auth.account, name.clone(), rights).await?;
        let password = made.password.expose().to_owned();
        Ok(Json(Output { name, password, created_at: made.created_at.to_rfc3339_millis(), privileged }))
    }
}
