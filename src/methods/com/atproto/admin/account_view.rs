//! An account as the administrator sees it.

use serde::Serialize;

use crate::{
    methods::com::atproto::server::InviteView,
    service::{Server, sessions::activity},
    store::{Account, AccountState, OwnState, StoreError},
    syntax::{Did, Handle},
    xrpc::XrpcError,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    invited_by: Option<InviteView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    invites: Vec<InviteView>,
    invites_disabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    invite_note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_confirmed_at: Option<String>,
    // From here on not in the lexicon, which has no word for the other states: what the command line shows.
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    takedown_ref: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delete_after: Option<String>,
}

impl AccountView {
    /// The account without its invites: for lists.
    pub(super) async fn of(server: &Server, account: Account) -> Result<Self, StoreError> {
        let rights = server.store.invite_rights(account.id).await?;
        let delete_after = match server.store.own_state(account.id).await? {
            Some(OwnState::Deactivated { delete_after }) => delete_after,
            Some(OwnState::Active) | None => None,
        };
        let (active, status) = activity(&account.state);
        let takedown_ref = match account.state {
            AccountState::Takendown { reference } => Some(reference),
            AccountState::Pending
            | AccountState::Active
            | AccountState::Deactivated { .. }
            | AccountState::Suspended => None,
        };
        Ok(Self {
            indexed_at: account.created_at.to_rfc3339_millis(),
            invited_by: None,
            invites: Vec::new(),
            invites_disabled: rights.is_disabled,
            invite_note: rights.note,
            email_confirmed_at: account.email_confirmed_at.map(crate::clock::Timestamp::to_rfc3339_millis),
            did: account.did,
            handle: account.handle,
            email: account.email,
            active,
            status,
            takedown_ref,
            delete_after: delete_after.map(crate::clock::Timestamp::to_rfc3339_millis),
        })
    }

    /// The account with the code that it was made with and those that it has.
    pub(super) async fn with_invites(server: &Server, account: Account) -> Result<Self, StoreError> {
        let mut view = Self::of(server, account).await?;
        view.invited_by = server.store.invite_used_by(&view.did).await?.map(InviteView::from);
        let own = server.store.invites_of(view.did.as_str()).await?;
        view.invites = own.into_iter().map(InviteView::from).collect();
        Ok(view)
    }
}

/// The account that a method of the administrator's is about.
pub(super) async fn account_of(server: &Server, did: &Did) -> Result<Account, XrpcError> {
    let account = server.store.account_by_did(did).await?;
    account.ok_or_else(|| XrpcError::bad("NotFound", "Account not found"))
}
