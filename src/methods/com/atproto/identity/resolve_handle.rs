//! `com.atproto.identity.resolveHandle`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    service::{Server, handles::HandleError, identity::resolve_handle},
    syntax::{Did, Handle, SyntaxError},
    xrpc::{Json, Query, XrpcError, auth::Public},
};

/// What a handle points to.
pub struct ResolveHandle;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    // A text, so that a wrong one is `InvalidHandle`.
    handle: String,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    did: Did,
}

impl Query for ResolveHandle {
    const NSID: &'static str = "com.atproto.identity.resolveHandle";
    type Auth = Public;
    type Params = Params;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: Public, params: Params) -> Result<Json<Output>, XrpcError> {
        let parsed = params.handle.parse::<Handle>();
        let handle = parsed.map_err(|cause: SyntaxError| HandleError::Invalid(cause.to_string()))?;
        let did = resolve_handle(server, &handle).await?;
        Ok(Json(Output { did }))
    }
}
