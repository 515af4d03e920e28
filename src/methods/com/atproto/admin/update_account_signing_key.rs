//! `com.atproto.admin.updateAccountSigningKey`

use std::sync::Arc;

use serde::Deserialize;

use super::account_of;
use crate::{
    crypto::DidKey,
    service::{Server, identity::rotate_signing_key},
    syntax::Did,
    xrpc::{Empty, Json, Procedure, XrpcError, auth::Admin},
};

/// Gives an account another signing key, one that was reserved here before.
pub struct UpdateAccountSigningKey;

/// The input.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    did: Did,
    signing_key: String,
}

impl Procedure for UpdateAccountSigningKey {
    const NSID: &'static str = "com.atproto.admin.updateAccountSigningKey";
    type Auth = Admin;
    type Input = Json<Input>;
    type Output = Empty;

    async fn call(server: &Arc<Server>, _: Admin, Json(input): Json<Input>) -> Result<Empty, XrpcError> {
        let key: DidKey = input
            .signing_key
            .parse()
            .map_err(|cause| XrpcError::invalid(format!("signingKey is no did:key: {cause}")))?;
        let account = account_of(server, &input.did).await?;
        rotate_signing_key(server, &account, &key).await?;
        Ok(Empty)
    }
}
