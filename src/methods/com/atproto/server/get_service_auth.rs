//! `com.atproto.server.getServiceAuth`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    service::{
        Server,
        service_auth::{ServiceTokenRequest, service_token},
    },
    syntax::Nsid,
    xrpc::{Json, Query, XrpcError, auth::AnyAccessOrTakendown},
};

/// A token by which the account speaks to another service.
pub struct GetServiceAuth;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    aud: String,
    exp: Option<i64>,
    lxm: Option<Nsid>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    token: String,
}

impl Query for GetServiceAuth {
    const NSID: &'static str = "com.atproto.server.getServiceAuth";
    type Auth = AnyAccessOrTakendown;
    type Params = Params;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, auth: AnyAccessOrTakendown, params: Params) -> Result<Json<Output>, XrpcError> {
        // The reference takes 0 for "not given".
        let exp = params.exp.filter(|exp| *exp != 0);
        let request = ServiceTokenRequest { aud: params.aud, exp, lxm: params.lxm };
        let token = service_token(server, &auth.account, auth.scope, request)?;
        Ok(Json(Output { token }))
    }
}
