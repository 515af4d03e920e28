//! `app.bsky.actor.putPreferences`
use crate::{
    crypto::jwt::Scope,
    limits::proxy::JSON_BYTES,
    service::{
        Server,
        preferences::{Reach, put},
    },
    xrpc::{
        Call, Empty, FromBody, IntoReply, Json, Piped, Reply, RequestBody, XrpcError,
        auth::{AnyAccess, Authenticate},
        proxy::{names_another_appview, pipe_json},
    },
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Puts preferences in the place of those that there are.
pub struct PutPreferences;

/// The body.
#[derive(Clone, Debug, Deserialize)]
struct Input {
    preferences: Vec<Map<String, Value>>,
}

impl Piped for PutPreferences {
    const NSID: &'static str = "app.bsky.actor.putPreferences";

    async fn call(server: &Arc<Server>, call: &Call, body: RequestBody) -> Result<Reply, XrpcError> {
        let is_elsewhere = names_another_appview(&server.policy.services, &call.head)?;
        let auth = AnyAccess::authenticate(server, &call.head).await?;
        if is_elsewhere {
            return pipe_json(server, call, &auth.account, body.collect(JSON_BYTES).await?).await;
        }
        let Json(input) = Json::<Input>::from_body(&call.head, body, JSON_BYTES).await?;
        let reach = if auth.scope == Scope::Access { Reach::Full } else { Reach::WithoutPersonalDetails };
        put(server, &auth.account, reach, input.preferences).await?;
        Empty.into_reply()
    }
}
