//! `com.atproto.lexicon.resolveLexicon`
use crate::{
    ipld::{cbor, json::to_json},
    service::{Server, lexicons::resolve},
    syntax::Nsid,
    xrpc::{Json, Query, XrpcError, auth::Public},
};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// The schema of a name as its authority publishes it, proven.
pub struct ResolveLexicon;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    nsid: Nsid,
}

impl Query for ResolveLexicon {
    const NSID: &'static str = "com.atproto.lexicon.resolveLexicon";
    type Auth = Public;
    type Params = Params;
    type Output = Json<serde_json::Value>;

    async fn call(server: &Arc<Server>, _: Public, params: Params) -> Result<Self::Output, XrpcError> {
        let nsid = params.nsid;
        let resolved = resolve(server, &nsid).await?;
        let schema = cbor::decode(&resolved.record).map_err(|cause| XrpcError::internal(&cause))?;
        Ok(Json(json!({
            "uri": format!("at://{}/com.atproto.lexicon.schema/{nsid}", resolved.did),
            "cid": resolved.cid,
            "schema": to_json(&schema),
        })))
    }
}
