//! `com.atproto.server.describeServer`

use std::sync::Arc;

use serde::Serialize;

use crate::{
    service::Server,
    syntax::Did,
    xrpc::{Json, NoParams, Query, XrpcError, auth::Public},
};

/// What a sign-up here takes, and where the rules are.
pub struct DescribeServer;

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    did: Did,
    available_user_domains: Vec<String>,
    invite_code_required: bool,
    blob_upload_limit: u64,
    links: Links,
    contact: Contact,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Links {
    #[serde(skip_serializing_if = "Option::is_none")]
    privacy_policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terms_of_service: Option<String>,
}

#[derive(Debug, Serialize)]
struct Contact {
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

impl Query for DescribeServer {
    const NSID: &'static str = "com.atproto.server.describeServer";
    type Auth = Public;
    type Params = NoParams;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: Public, _: NoParams) -> Result<Json<Output>, XrpcError> {
        let policy = &server.policy;
        let links = policy.links.clone();
        Ok(Json(Output {
            did: policy.service_did.clone(),
            // With the leading dot: clients put a label in front of it.
            available_user_domains: policy.handle_domains.iter().map(|domain| format!(".{domain}")).collect(),
            invite_code_required: policy.invite_required || policy.sign_up.is_closed,
            blob_upload_limit: policy.blob_bytes,
            links: Links { privacy_policy: links.privacy, terms_of_service: links.terms },
            contact: Contact { email: links.contact_email },
        }))
    }
}
