//! What the session methods tell about an account.

use serde::Serialize;

use crate::{
    service::{
        Server,
        sessions::{SessionTokens, activity, document},
    },
    store::Account,
    syntax::{Did, Handle},
};

/// An account as its owner sees it in a session's answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    handle: Handle,
    did: Did,
    #[serde(skip_serializing_if = "Option::is_none")]
    did_doc: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    email_confirmed: bool,
    email_auth_factor: bool,
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
}

/// The same with the session's tokens.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionWithTokens {
    access_jwt: String,
    refresh_jwt: String,
    #[serde(flatten)]
    view: SessionView,
}

impl SessionView {
    pub(super) async fn of(server: &Server, account: Account) -> Self {
        let did_doc = document(server, &account.did).await;
        let (active, status) = activity(&account.state);
        Self {
            did_doc,
            active,
            status,
            email_confirmed: account.email_confirmed_at.is_some(),
            email_auth_factor: false,
            handle: account.handle,
            did: account.did,
            email: account.email,
        }
    }

    pub(super) fn with(self, tokens: SessionTokens) -> SessionWithTokens {
        let SessionTokens { access_jwt, refresh_jwt } = tokens;
        SessionWithTokens { access_jwt, refresh_jwt, view: self }
    }
}
