//! `com.atproto.admin.getAccountInfo`

use std::sync::Arc;

use serde::Deserialize;

use super::{AccountView, account_of};
use crate::{
    service::Server,
    syntax::Did,
    xrpc::{Json, Query, XrpcError, auth::AdminOrModerator},
};

/// One account.
pub struct GetAccountInfo;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    did: Did,
}

impl Query for GetAccountInfo {
    const NSID: &'static str = "com.atproto.admin.getAccountInfo";
    type Auth = AdminOrModerator;
    type Params = Params;
    type Output = Json<AccountView>;

    async fn call(server: &Arc<Server>, _: AdminOrModerator, params: Params) -> Result<Json<AccountView>, XrpcError> {
        let account = account_of(server, &params.did).await?;
        Ok(Json(AccountView::with_invites(server, account).await?))
    }
}
