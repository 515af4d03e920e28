//! An account as the administrator sees it.

use serde::Serialize;

use crate::{
    service::sessions::activity,
    store::{Account, AccountState},
    syntax::{Did, Handle},
};

/// `com.atproto.admin.defs#accountView`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountView {
    did: Did,
    handle: Handle,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    indexed_at: String,
    invites_disabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_confirmed_at: Option<String>,
    // Not in the lexicon, which has no word for the other states: what the command line shows.
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    takedown_ref: Option<String>,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        let (active, status) = activity(&account.state);
        let takedown_ref = match account.state {
            AccountState::Takendown { reference } => Some(reference),
            AccountState::Pending
            | AccountState::Active
            | AccountState::Deactivated { .. }
            | AccountState::Suspended => None,
        };
        Self {
            indexed_at: account.created_at.to_rfc3339_millis(),
            invites_disabled: false,
            email_confirmed_at: account.email_confirmed_at.map(crate::clock::Timestamp::to_rfc3339_millis),
            did: account.did,
            handle: account.handle,
            email: account.email,
            active,
            status,
            takedown_ref,
        }
    }
}
