//! `com.atproto.identity.resolveIdentity`

use std::sync::Arc;

use serde::Deserialize;

use super::identity_info::IdentityInfo;
use crate::{
    outbound::Freshness,
    service::{Server, identity::resolve_identity},
    syntax::AtIdentifier,
    xrpc::{Json, Query, XrpcError, auth::Public},
};

/// A handle or DID to the whole identity.
pub struct ResolveIdentity;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    identifier: AtIdentifier,
}

impl Query for ResolveIdentity {
    const NSID: &'static str = "com.atproto.identity.resolveIdentity";
    type Auth = Public;
    type Params = Params;
    type Output = Json<IdentityInfo>;

    async fn call(server: &Arc<Server>, _: Public, params: Params) -> Result<Self::Output, XrpcError> {
        Ok(Json(resolve_identity(server, &params.identifier, Freshness::Cached).await?.into()))
    }
}
