//! `com.atproto.identity.resolveDid`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    outbound::Freshness,
    service::{Server, identity::resolve_did},
    syntax::Did,
    xrpc::{Json, Query, XrpcError, auth::Public},
};

/// The document of a DID.
pub struct ResolveDid;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    did: Did,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    did_doc: serde_json::Value,
}

impl Query for ResolveDid {
    const NSID: &'static str = "com.atproto.identity.resolveDid";
    type Auth = Public;
    type Params = Params;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: Public, params: Params) -> Result<Json<Output>, XrpcError> {
        let document = resolve_did(server, &params.did, Freshness::Cached).await?;
        Ok(Json(Output { did_doc: document.json.clone() }))
    }
}
