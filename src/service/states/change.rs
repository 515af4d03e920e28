//! What the owner does: activate and deactivate.

use std::sync::Arc;

use super::{Capability, allows};
use crate::{
    clock::Timestamp,
    event::{self, AccountStatus, UnnumberedFrame},
    outbound::{Freshness, ResolveError},
    plc,
    service::{Server, journal, security_log},
    store::{Account, AccountId, AccountState, OwnState, SecurityKind, StoreError},
};

/// Why an account's DID does not belong to this server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotHere {
    /// It names another server, or none.
    #[error(
        "DID document pds service endpoint is {found}, and this server is {expected}: change the DID first, then activate"
    )]
    Endpoint {
        /// What it names.
        found: String,
        /// What it should name.
        expected: String,
    },
    /// It names another signing key, or none.
    #[error(
        "DID document verification method is {found}, and the account's signing key here is {expected}: change the DID \
         first, then activate"
    )]
    SigningKey {
        /// What it names.
        found: String,
        /// What it should name.
        expected: String,
    },
    /// There is no such document, or it cannot be used.
    #[error("the DID document cannot be used: {0}")]
    Unusable(String),
    /// Whoever has it did not answer.
    #[error("the DID document could not be read: {0}; nothing was changed, try again later")]
    Unavailable(String),
}

/// Why an account was not activated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActivateError {
    /// The DID belongs elsewhere.
    #[error(transparent)]
    NotHere(#[from] NotHere),
    /// Its state does not let its owner do so.
    #[error("the account cannot be activated by its owner")]
    Refused(AccountState),
    /// It has no repository yet.
    #[error("the account has no repository yet")]
    NoRepository,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an account was not deactivated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeactivateError {
    /// It should have been deleted already.
    #[error("deleteAfter lies in the past: leave it out, or name the time after which the account is to be deleted")]
    Past,
    /// Its state does not let its owner do so.
    #[error("the account cannot be deactivated by its owner")]
    Refused(AccountState),
    /// It is not here any more.
    #[error("Account not found")]
    Gone,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether the DID of an account names this server and the account's key. Which rotation keys it has does not matter: an
/// owner who keeps them all is as welcome as one who lets the server change the DID.
///
/// # Errors
/// [`NotHere`] says what the document names instead.
pub async fn check_points_here(server: &Server, account: &Account) -> Result<(), NotHere> {
    let (pds, key) =
        if account.did.is_plc() { in_directory(server, account).await? } else { in_document(server, account).await? };
    let expected = server.policy.endpoint();
    if pds.as_deref() != Some(expected.as_str()) {
        return Err(NotHere::Endpoint { found: pds.unwrap_or_else(|| "missing".to_owned()), expected });
    }
    if key.as_deref() != Some(account.signing_key.as_str()) {
        let found = key.unwrap_or_else(|| "missing".to_owned());
        return Err(NotHere::SigningKey { found, expected: account.signing_key.clone() });
    }
    Ok(())
}

/// Endpoint and signing key as the PLC directory has them this instant.
async fn in_directory(server: &Server, account: &Account) -> Result<(Option<String>, Option<String>), NotHere> {
    let log = journal::audit_log(server, &account.did).await.map_err(|cause| NotHere::Unavailable(cause.0))?;
    let state = plc::directory::current(&account.did, &log).map_err(|cause| NotHere::Unusable(cause.to_string()))?;
    Ok((state.pds().map(str::to_owned), state.signing_key().map(str::to_owned)))
}

/// The same of a did:web document.
async fn in_document(server: &Server, account: &Account) -> Result<(Option<String>, Option<String>), NotHere> {
    let document = server.resolver.did(&account.did, Freshness::Now).await.map_err(|cause| match cause {
        ResolveError::Unavailable(..) => NotHere::Unavailable(cause.to_string()),
        ResolveError::NotFound(_)
        | ResolveError::Deactivated(_)
        | ResolveError::UnsupportedMethod(_)
        | ResolveError::BadDocument(..) => NotHere::Unusable(cause.to_string()),
    })?;
    let pds = document.pds.as_ref().map(|pds| pds.as_str().trim_end_matches('/').to_owned());
    Ok((pds, document.signing_key.as_ref().map(ToString::to_string)))
}

/// Activates an account whose DID names this server, and tells the network: account, identity, sync. An account that is
/// active already is only announced again.
///
/// # Errors
/// [`ActivateError`]; nothing was changed then.
pub async fn activate(server: &Arc<Server>, account: &Account) -> Result<(), ActivateError> {
    check_points_here(server, account).await?;
    // Held so that no commit comes between the head that is announced and the announcement.
    let _guard = server.locks.lock(account.id).await;
    let account = current(server, account.id).await?.ok_or(ActivateError::NoRepository)?;
    if !allows(&account.state, Capability::Activate) {
        return Err(ActivateError::Refused(account.state));
    }
    let (head, block) = server.store.commit_block(account.id).await?.ok_or(ActivateError::NoRepository)?;
    let now = server.now();
    let events = vec![
        event::account(&account.did, None, now),
        event::identity(&account.did, Some(&account.handle), now),
        event::sync(&account.did, head.rev, &(head.commit, block), now),
    ];
    let noted = security_log::event(server, account.id, SecurityKind::Activated, None);
    server.store.set_own_state(account.id, OwnState::Active, events, noted).await?;
    server.resolver.forget(&account.did).await;
    Ok(())
}

/// Deactivates an account and tells the network; with `delete_after`, it is deleted once that time has come.
///
/// # Errors
/// [`DeactivateError`]; nothing was changed then.
pub async fn deactivate(
    server: &Arc<Server>,
    account: &Account,
    delete_after: Option<Timestamp>,
) -> Result<(), DeactivateError> {
    let now = server.now();
    if delete_after.is_some_and(|at| at <= now) {
        return Err(DeactivateError::Past);
    }
    let _guard = server.locks.lock(account.id).await;
    let account = current(server, account.id).await?.ok_or(DeactivateError::Gone)?;
    if !allows(&account.state, Capability::Deactivate) {
        return Err(DeactivateError::Refused(account.state));
    }
    // A takedown is what the network hears of, whatever its owner does beneath it.
    let seen = match account.state {
        AccountState::Takendown { .. } | AccountState::Suspended => account.state.clone(),
        AccountState::Pending | AccountState::Active | AccountState::Deactivated { .. } => {
            AccountState::Deactivated { delete_after }
        }
    };
    let events = vec![account_event(&account, &seen, now)];
    let until = delete_after.map(|at| format!("to be deleted after {}", at.to_rfc3339_millis()));
    let noted = security_log::event(server, account.id, SecurityKind::Deactivated, until.as_deref());
    server.store.set_own_state(account.id, OwnState::Deactivated { delete_after }, events, noted).await?;
    Ok(())
}

/// The account as it is now.
pub(super) async fn current(server: &Server, id: AccountId) -> Result<Option<Account>, StoreError> {
    Ok(server.store.account_by_id(id).await?.filter(|account| account.state != AccountState::Pending))
}

/// The `#account` event of a state.
pub(super) fn account_event(account: &Account, state: &AccountState, now: Timestamp) -> UnnumberedFrame {
    let status = match state {
        AccountState::Active => None,
        AccountState::Pending | AccountState::Deactivated { .. } => Some(AccountStatus::Deactivated),
        AccountState::Takendown { .. } => Some(AccountStatus::Takendown),
        AccountState::Suspended => Some(AccountStatus::Suspended),
    };
    event::account(&account.did, status, now)
}
