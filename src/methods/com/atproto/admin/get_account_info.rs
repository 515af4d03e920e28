//! `com.atproto.admin.getAccountInfo`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{AccountView, account_of};
use crate::{
    methods::usage::{UsageView, usage_of},
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

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    #[serde(flatten)]
    view: AccountView,
    // Not in the lexicon: how much of its quota the account uses.
    housekey_usage: UsageView,
}

impl Query for GetAccountInfo {
    const NSID: &'static str = "com.atproto.admin.getAccountInfo";
    type Auth = AdminOrModerator;
    type Params = Params;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: AdminOrModerator, params: Params) -> Result<Json<Output>, XrpcError> {
        let account = account_of(server, &params.did).await?;
        let housekey_usage = usage_of(server, account.id).await?;
        Ok(Json(Output { view: AccountView::with_invites(server, account).await?, housekey_usage }))
    }
}
