//! `com.atproto.server.createInviteCodes`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    service::{
        Server,
        invites::{ADMIN, create_invites},
    },
    syntax::Did,
    xrpc::{Json, Procedure, XrpcError, auth::Admin},
};

/// Makes invite codes.
pub struct CreateInviteCodes;

/// The input.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    #[serde(default = "one")]
    code_count: u64,
    use_count: i64,
    for_accounts: Option<Vec<Did>>,
}

const fn one() -> u64 {
    1
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    codes: Vec<AccountCodes>,
}

#[derive(Debug, Serialize)]
struct AccountCodes {
    account: String,
    codes: Vec<String>,
}

impl Procedure for CreateInviteCodes {
    const NSID: &'static str = "com.atproto.server.createInviteCodes";
    type Auth = Admin;
    type Input = Json<Input>;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: Admin, Json(input): Json<Input>) -> Result<Json<Output>, XrpcError> {
        let accounts = input
            .for_accounts
            .map_or_else(|| vec![ADMIN.to_owned()], |dids| dids.into_iter().map(String::from).collect());
        let made = create_invites(server, accounts, input.code_count, input.use_count).await?;
        let codes = made.into_iter().map(|of| AccountCodes { account: of.account, codes: of.codes }).collect();
        Ok(Json(Output { codes }))
    }
}
