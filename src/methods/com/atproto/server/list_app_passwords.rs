//! `com.atproto.server.listAppPasswords`

use std::sync::Arc;

use serde::Serialize;

use crate::{
    service::Server,
    store::ListedAppPassword,
    xrpc::{Json, NoParams, Query, XrpcError, auth::AnyAccess},
};

/// Lists the account's app passwords, newest first; not the passwords themselves.
pub struct ListAppPasswords;

/// An app password.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AppPasswordView {
    name: String,
    created_at: String,
    privileged: bool,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    passwords: Vec<AppPasswordView>,
}

impl Query for ListAppPasswords {
    const NSID: &'static str = "com.atproto.server.listAppPasswords";
    type Auth = AnyAccess;
    type Params = NoParams;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, auth: AnyAccess, _: NoParams) -> Result<Json<Output>, XrpcError> {
        let listed = server.store.app_passwords(auth.account.id).await?;
        let view = |one: ListedAppPassword| AppPasswordView {
            name: one.name,
            created_at: one.created_at.to_rfc3339_millis(),
            privileged: one.privileged,
        };
        Ok(Json(Output { passwords: listed.into_iter().map(view).collect() }))
    }
}
