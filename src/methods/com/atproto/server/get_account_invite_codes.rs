//! `com.atproto.server.getAccountInviteCodes`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::InviteView;
use crate::{
    service::{
        Server,
        invite_codes::{Available, Used, own_codes},
    },
    xrpc::{Json, Query, XrpcError, auth::FullAccess},
};

/// The caller's invite codes; those that its allowance is good for are made on the way.
pub struct GetAccountInviteCodes;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Params {
    #[serde(default = "yes")]
    include_used: bool,
    #[serde(default = "yes")]
    create_available: bool,
}

const fn yes() -> bool {
    true
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    codes: Vec<InviteView>,
}

impl Query for GetAccountInviteCodes {
    const NSID: &'static str = "com.atproto.server.getAccountInviteCodes";
    type Auth = FullAccess;
    type Params = Params;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, auth: FullAccess, params: Params) -> Result<Json<Output>, XrpcError> {
        let used = if params.include_used { Used::Included } else { Used::LeftOut };
        let available = if params.create_available { Available::Created } else { Available::Left };
        let codes = own_codes(server, &auth.account, used, available).await?;
        Ok(Json(Output { codes: codes.into_iter().map(InviteView::from).collect() }))
    }
}
