//! `com.atproto.temp.dereferenceScope`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    service::Server,
    xrpc::{Json, Query, XrpcError, auth::Public},
};

/// The permissions that a short reference in a token stands for. This server writes them out, so that it knows no references.
pub struct DereferenceScope;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    scope: String,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    scope: String,
}

impl Query for DereferenceScope {
    const NSID: &'static str = "com.atproto.temp.dereferenceScope";
    type Auth = Public;
    type Params = Params;
    type Output = Json<Output>;

    async fn call(_: &Arc<Server>, _: Public, params: Params) -> Result<Json<Output>, XrpcError> {
        let why = if params.scope.starts_with("ref:") {
            "this server issues no scope references: its tokens hold their scopes in full"
        } else {
            "a scope reference begins with \"ref:\""
        };
        Err(XrpcError::bad("InvalidScopeReference", why))
    }
}
