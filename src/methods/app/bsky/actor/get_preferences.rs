//! `app.bsky.actor.getPreferences`
use crate::{
    crypto::jwt::Scope,
    service::{
        Server, Spending,
        preferences::{Reach, read},
    },
    store::Account,
    syntax::Did,
    xrpc::{
        Call, IntoReply, Json, Piped, Reply, RequestBody, XrpcError,
        auth::{AccountOrModerator, Authenticate},
        proxy::{names_another_appview, pipe},
    },
};
use serde_json::json;
use std::sync::Arc;

/// What the account's apps keep for it. The moderation service names the account in the parameter `did`.
pub struct GetPreferences;

impl Piped for GetPreferences {
    const NSID: &'static str = "app.bsky.actor.getPreferences";

    async fn call(server: &Arc<Server>, call: &Call, _body: RequestBody) -> Result<Reply, XrpcError> {
        let is_elsewhere = names_another_appview(&server.policy.services, &call.head)?;
        let mut auth = AccountOrModerator::authenticate(server, &call.head).await?;
        let spending = auth.spending();
        let (account, reach) = match auth {
            AccountOrModerator::Account(auth) if is_elsewhere => return pipe(server, call, &auth.account).await,
            AccountOrModerator::Account(auth) => {
                let reach = if auth.scope == Scope::Access { Reach::Full } else { Reach::WithoutPersonalDetails };
                (auth.account, reach)
            }
            AccountOrModerator::Moderator(_) if is_elsewhere => {
                return Err(XrpcError::invalid("Moderator requests cannot be proxied to other app views"));
            }
            AccountOrModerator::Moderator(_) => (named(server, call.uri.query()).await?, Reach::Full),
        };
        let preferences = read(server, &account, reach).await?;
        spending.into_iter().for_each(Spending::spend);
        Json(json!({ "preferences": preferences })).into_reply()
    }
}

async fn named(server: &Server, query: Option<&str>) -> Result<Account, XrpcError> {
    let pairs = url::form_urlencoded::parse(query.unwrap_or("").as_bytes());
    let did = pairs.into_iter().find_map(|(name, value)| (name == "did").then(|| value.parse::<Did>().ok()).flatten());
    let did = did.ok_or_else(|| XrpcError::invalid("Invalid or missing did parameter"))?;
    let account = server.store.account_by_did(&did).await?;
    account.ok_or_else(|| XrpcError::invalid(format!("Could not find user info for account: {did}")))
}
