//! `app.bsky.notification.registerPush`
use crate::{
    service::Server,
    store::Account,
    syntax::Did,
    xrpc::{
        Empty, Json, Procedure, XrpcError,
        auth::AnyAccess,
        proxy::{Answer, Codings, Message, service_of},
    },
};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Tells the service that sends notifications where this device is.
pub struct RegisterPush;

/// The body: the service, and what it must know. That is the service's to judge.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Input {
    #[serde(rename = "serviceDid")]
    service_did: Did,
    token: String,
    platform: String,
    #[serde(rename = "appId")]
    app_id: String,
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Procedure for RegisterPush {
    const NSID: &'static str = "app.bsky.notification.registerPush";
    type Auth = AnyAccess;
    type Input = Json<Input>;
    type Output = Empty;

    async fn call(server: &Arc<Server>, auth: AnyAccess, Json(input): Json<Input>) -> Result<Empty, XrpcError> {
        tell(server, &auth.account, Self::NSID, &input).await.map(|()| Empty)
    }
}

/// Speaks for the account to the notification service that the body names.
pub(super) async fn tell(server: &Server, account: &Account, nsid: &str, input: &Input) -> Result<(), XrpcError> {
    let target = service_of(server, &input.service_did, "bsky_notif", "BskyNotificationService").await?;
    let target = target.ok_or_else(|| {
        let did = &input.service_did;
        XrpcError::invalid(format!("invalid notification service details in did document: {did}"))
    })?;
    let json = serde_json::to_vec(input).map_err(|cause| XrpcError::internal(&cause))?;
    let message = Message::get(&target, nsid, None, &HeaderMap::new(), Codings::Plain)
        .posting_json(json.into())
        .speaking_for(server, account, target.did.as_str(), nsid)?;
    match message.send(server).await? {
        Answer::Success(_) => Ok(()),
        Answer::Refused(refusal) => Err(refusal.error),
    }
}
