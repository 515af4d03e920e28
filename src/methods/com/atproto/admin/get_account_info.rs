//! `com.atproto.admin.getAccountInfo`

use std::sync::Arc;

use serde::Deserialize;

use super::AccountView;
use crate::{
    service::Server,
    syntax::Did,
    xrpc::{Json, Query, XrpcError, auth::Admin},
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
    type Auth = Admin;
    type Params = Params;
    type Output = Json<AccountView>;

    async fn call(server: &Arc<Server>, _: Admin, params: Params) -> Result<Json<AccountView>, XrpcError> {
        let account = server.store.account_by_did(&params.did).await?;
        let account = account.ok_or_else(|| XrpcError::bad("NotFound", "Account not found"))?;
        Ok(Json(account.into()))
    }
}
