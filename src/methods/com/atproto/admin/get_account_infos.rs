//! `com.atproto.admin.getAccountInfos`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::AccountView;
use crate::{
    limits::accounts::ACCOUNT_INFOS_PER_REQUEST,
    service::Server,
    syntax::Did,
    xrpc::{Json, Query, XrpcError, auth::AdminOrModerator},
};

/// Several accounts; those that are not here are left out.
pub struct GetAccountInfos;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    #[serde(default)]
    dids: Vec<Did>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    infos: Vec<AccountView>,
}

impl Query for GetAccountInfos {
    const NSID: &'static str = "com.atproto.admin.getAccountInfos";
    type Auth = AdminOrModerator;
    type Params = Params;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: AdminOrModerator, params: Params) -> Result<Json<Output>, XrpcError> {
        if params.dids.is_empty() {
            return Err(XrpcError::invalid("Params must have the property \"dids\""));
        }
        if params.dids.len() > ACCOUNT_INFOS_PER_REQUEST {
            return Err(XrpcError::invalid(format!("dids must name at most {ACCOUNT_INFOS_PER_REQUEST} accounts")));
        }
        let mut infos = Vec::with_capacity(params.dids.len());
        for did in &params.dids {
            if let Some(account) = server.store.account_by_did(did).await? {
                infos.push(AccountView::with_invites(server, account).await?);
            }
        }
        Ok(Json(Output { infos }))
    }
}
