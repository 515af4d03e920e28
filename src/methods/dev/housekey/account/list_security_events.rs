//! `dev.housekey.account.listSecurityEvents`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    limits::accounts::{SECURITY_EVENTS_PER_PAGE, SECURITY_EVENTS_PER_PAGE_DEFAULT},
    methods::reading::{cursor, next_cursor, page_length},
    service::{Server, security_log},
    store::{AccountId, SecurityEvent},
    syntax::Did,
    xrpc::{Json, Query, XrpcError, auth::OwnerOrAdmin},
};

/// What happened to the access to an account, newest first: sign-ins and refusals, changes of passwords, addresses and
/// identity.
pub struct ListSecurityEvents;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    did: Option<Did>,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    events: Vec<View>,
}

#[derive(Debug, Serialize)]
struct View {
    time: String,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
}

impl Query for ListSecurityEvents {
    const NSID: &'static str = "dev.housekey.account.listSecurityEvents";
    type Auth = OwnerOrAdmin;
    type Params = Params;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, auth: OwnerOrAdmin, params: Params) -> Result<Json<Output>, XrpcError> {
        let limit = page_length(params.limit, SECURITY_EVENTS_PER_PAGE_DEFAULT, SECURITY_EVENTS_PER_PAGE)?;
        let before = cursor(params.cursor.as_deref())?;
        let account = whose(server, auth, params.did).await?;
        let found = security_log::read(server, account, before, limit).await?;
        let cursor = next_cursor(&found, limit, |last| last.id);
        Ok(Json(Output { cursor, events: found.into_iter().map(View::from).collect() }))
    }
}

/// The owner's own account, or the one that the administrator names.
async fn whose(server: &Server, auth: OwnerOrAdmin, did: Option<Did>) -> Result<AccountId, XrpcError> {
    match (auth, did) {
        (OwnerOrAdmin::Owner(owner), did) if did.as_ref().is_none_or(|did| *did == owner.account.did) => {
            Ok(owner.account.id)
        }
        (OwnerOrAdmin::Owner(_), _) => {
            Err(XrpcError::unauthorized("AuthenticationRequired", "Only the owner and the administrator may read this"))
        }
        (OwnerOrAdmin::Admin, Some(did)) => {
            let account = server.store.account_by_did(&did).await?;
            Ok(account.ok_or_else(|| XrpcError::bad("NotFound", format!("There is no account {did} here")))?.id)
        }
        (OwnerOrAdmin::Admin, None) => Err(XrpcError::invalid("Params must have the property \"did\"")),
    }
}

impl From<SecurityEvent> for View {
    fn from(event: SecurityEvent) -> Self {
        let SecurityEvent { id: _, time, kind, detail, address, agent } = event;
        Self { time: time.to_rfc3339_millis(), kind, detail, address, agent }
    }
}
