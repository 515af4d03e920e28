//! `com.atproto.temp.checkHandleAvailability`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    service::{
        Server,
        email::parse_email,
        handles::{is_available, suggestions},
    },
    syntax::{Datetime, Handle},
    xrpc::{Json, Query, XrpcError, auth::Public},
};

/// Whether a handle could be had at sign-up, and a few that could if not.
pub struct CheckHandleAvailability;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Params {
    handle: Handle,
    email: Option<String>,
    #[serde(rename = "birthDate")]
    _birth_date: Option<Datetime>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    handle: Handle,
    result: Found,
}

/// The union of the two results.
#[derive(Debug, Serialize)]
#[serde(tag = "$type")]
enum Found {
    #[serde(rename = "com.atproto.temp.checkHandleAvailability#resultAvailable")]
    Available {},
    #[serde(rename = "com.atproto.temp.checkHandleAvailability#resultUnavailable")]
    Unavailable { suggestions: Vec<Suggestion> },
}

#[derive(Debug, Serialize)]
struct Suggestion {
    handle: Handle,
    method: &'static str,
}

impl Query for CheckHandleAvailability {
    const NSID: &'static str = "com.atproto.temp.checkHandleAvailability";
    type Auth = Public;
    type Params = Params;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: Public, params: Params) -> Result<Json<Output>, XrpcError> {
        if params.email.is_some() {
            parse_email(params.email.as_deref()).map_err(|cause| XrpcError::bad("InvalidEmail", cause.to_string()))?;
        }
        let handle = params.handle;
        let result = if is_available(server, &handle).await? {
            Found::Available {}
        } else {
            let found = suggestions(server, &handle).await?.into_iter();
            Found::Unavailable { suggestions: found.map(|handle| Suggestion { handle, method: "number" }).collect() }
        };
        Ok(Json(Output { handle, result }))
    }
}
