//! `com.atproto.identity.refreshIdentity`

use std::sync::Arc;

use serde::Deserialize;

use super::identity_info::IdentityInfo;
use crate::{
    outbound::Freshness,
    service::{Server, identity::resolve_identity},
    syntax::AtIdentifier,
    xrpc::{Json, Procedure, XrpcError, auth::Public},
};

/// The same, asked anew instead of from the cache.
pub struct RefreshIdentity;

/// The input.
#[derive(Clone, Debug, Deserialize)]
pub struct Input {
    identifier: AtIdentifier,
}

impl Procedure for RefreshIdentity {
    const NSID: &'static str = "com.atproto.identity.refreshIdentity";
    type Auth = Public;
    type Input = Json<Input>;
    type Output = Json<IdentityInfo>;

    async fn call(server: &Arc<Server>, _: Public, Json(input): Json<Input>) -> Result<Self::Output, XrpcError> {
        Ok(Json(resolve_identity(server, &input.identifier, Freshness::Now).await?.into()))
    }
}
