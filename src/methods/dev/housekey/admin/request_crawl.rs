//! `dev.housekey.admin.requestCrawl`

use std::sync::Arc;

use serde::Serialize;
use url::Url;

use crate::{
    outbound::RelayError,
    service::{Server, relays},
    xrpc::{Json, NoInput, Procedure, XrpcError, auth::Admin},
};

/// Asks the configured relays to crawl this server now.
pub struct RequestCrawl;

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    relays: Vec<Outcome>,
}

/// What one relay said.
#[derive(Debug, Serialize)]
struct Outcome {
    url: String,
    accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl Procedure for RequestCrawl {
    const NSID: &'static str = "dev.housekey.admin.requestCrawl";
    type Auth = Admin;
    type Input = NoInput;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: Admin, _: NoInput) -> Result<Json<Output>, XrpcError> {
        let asked = relays::request_crawl(server).await;
        let outcome = |(url, outcome): (Url, Result<(), RelayError>)| {
            let problem = outcome.err().map(|cause| cause.to_string());
            Outcome { url: url.into(), accepted: problem.is_none(), problem }
        };
        Ok(Json(Output { relays: asked.into_iter().map(outcome).collect() }))
    }
}
