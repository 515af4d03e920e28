//! `com.atproto.admin.searchAccounts`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::AccountView;
use crate::{
    limits::accounts::{ACCOUNTS_PER_PAGE, ACCOUNTS_PER_PAGE_DEFAULT},
    methods::reading::{cursor, next_cursor, page_length},
    service::Server,
    store::AccountId,
    xrpc::{Json, Query, XrpcError, auth::Admin},
};

/// Accounts by a part of their DID, handle or e-mail address; all of them without one.
pub struct SearchAccounts;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    email: Option<String>,
    cursor: Option<String>,
    limit: Option<i64>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    accounts: Vec<AccountView>,
}

impl Query for SearchAccounts {
    const NSID: &'static str = "com.atproto.admin.searchAccounts";
    type Auth = Admin;
    type Params = Params;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: Admin, params: Params) -> Result<Json<Output>, XrpcError> {
        let limit = page_length(params.limit, ACCOUNTS_PER_PAGE_DEFAULT, ACCOUNTS_PER_PAGE)?;
        let after = AccountId(cursor(params.cursor.as_deref())?.unwrap_or(0));
        // Addresses and handles are kept in lower case.
        let search = params.email.map(|email| email.to_lowercase());
        let found = server.store.list_accounts(search.as_deref(), after, limit).await?;
        let cursor = next_cursor(&found, limit, |last| last.id.0);
        let mut accounts = Vec::with_capacity(found.len());
        for account in found {
            accounts.push(AccountView::of(server, account).await?);
        }
        Ok(Json(Output { cursor, accounts }))
    }
}
