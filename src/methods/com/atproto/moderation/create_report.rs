//! `com.atproto.moderation.createReport`
use crate::{
    limits::proxy::JSON_BYTES,
    service::Server,
    xrpc::{
        Call, FromBody, Json, Piped, Reply, RequestBody, XrpcError,
        auth::{AnyAccessOrTakendown, Authenticate},
        proxy::pipe_json,
    },
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A report, passed on to the service that takes reports. Who was taken down may report too.
pub struct CreateReport;

impl Piped for CreateReport {
    const NSID: &'static str = "com.atproto.moderation.createReport";

    async fn call(server: &Arc<Server>, call: &Call, body: RequestBody) -> Result<Reply, XrpcError> {
        let auth = AnyAccessOrTakendown::authenticate(server, &call.head).await?;
        let Json(report) = Json::<Map<String, Value>>::from_body(&call.head, body, JSON_BYTES).await?;
        for demanded in ["reasonType", "subject"] {
            if !report.contains_key(demanded) {
                return Err(XrpcError::invalid(format!("Input must have the property \"{demanded}\"")));
            }
        }
        let json = serde_json::to_vec(&report).map_err(|cause| XrpcError::internal(&cause))?;
        pipe_json(server, call, &auth.account, json.into()).await
    }
}
