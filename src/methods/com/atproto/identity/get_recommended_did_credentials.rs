//! `com.atproto.identity.getRecommendedDidCredentials`

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use crate::{
    plc::Service,
    service::{Server, identity::recommended_credentials},
    xrpc::{Json, NoParams, Query, XrpcError, auth::AnyAccess},
};

/// What the account's DID should say while it is here.
pub struct GetRecommendedDidCredentials;

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    also_known_as: Vec<String>,
    verification_methods: BTreeMap<String, String>,
    rotation_keys: Vec<String>,
    services: BTreeMap<String, Service>,
}

impl Query for GetRecommendedDidCredentials {
    const NSID: &'static str = "com.atproto.identity.getRecommendedDidCredentials";
    type Auth = AnyAccess;
    type Params = NoParams;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, auth: AnyAccess, _: NoParams) -> Result<Json<Output>, XrpcError> {
        let said = recommended_credentials(server, &auth.account).await?;
        Ok(Json(Output {
            also_known_as: said.also_known_as,
            verification_methods: said.verification_methods,
            rotation_keys: said.rotation_keys,
            services: said.services,
        }))
    }
}
