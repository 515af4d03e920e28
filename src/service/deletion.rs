//! Deletion of accounts: by their owner, by the administrator, or because the time has come that the owner set.
//!
//! An account is gone, and the network told so, in one transaction; its data follows in slices that a crash between any two
//! of them only delays.

use std::sync::Arc;

use super::{
    CheckPasswordError, Server,
    codes::{self, CodeError},
    guesses::check_password,
    states::{Capability, allows},
};
use crate::{
    event::{self, AccountStatus},
    limits::accounts as limits,
    store::{Account, AccountId, AccountState, CodePurpose, Purge, StoreError},
    syntax::Did,
};

/// Why an account was not deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeleteError {
    /// It is not here.
    #[error("account not found")]
    NotFound,
    /// The password is not the account's.
    #[error("Invalid did or password")]
    WrongPassword,
    /// The password is longer than any can be.
    #[error("Invalid password length.")]
    PasswordTooLong,
    /// The code.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// Its identity is being changed.
    #[error("a change of this identity is still under way: try again in a few minutes")]
    Conflict,
    /// Whether it is the account's was not found out.
    #[error(transparent)]
    Password(#[from] CheckPasswordError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Deletes an account for whoever has its password and the code that was mailed to its owner.
///
/// # Errors
/// [`DeleteError`]; nothing was changed then, but that the code may be used up.
pub async fn delete_own(server: &Arc<Server>, did: &Did, password: String, code: &str) -> Result<(), DeleteError> {
    if password.encode_utf16().count() > limits::OLD_PASSWORD_MAX_CHARS {
        return Err(DeleteError::PasswordTooLong);
    }
    let account = server.store.account_by_did(did).await?.ok_or(DeleteError::NotFound)?;
    if !allows(&account.state, Capability::Delete) {
        return Err(DeleteError::NotFound);
    }
    if !check_password(server, &account, password, "to delete the account").await? {
        return Err(DeleteError::WrongPassword);
    }
    codes::take(server, &account, CodePurpose::DeleteAccount, code, None).await?;
    delete(server, &account).await
}

/// Deletes an account in the administrator's name.
///
/// # Errors
/// [`DeleteError`]; nothing was changed then.
pub async fn delete_by_admin(server: &Arc<Server>, did: &Did) -> Result<(), DeleteError> {
    let account = server.store.account_by_did(did).await?.ok_or(DeleteError::NotFound)?;
    delete(server, &account).await
}

/// Why an account is to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Somebody who may asked for it.
    Asked,
    /// Its owner set a time.
    Due,
}

/// From here on the account is gone; its data goes in the background.
async fn delete(server: &Arc<Server>, account: &Account) -> Result<(), DeleteError> {
    begin(server, account, Cause::Asked).await?;
    let (own, account) = (Arc::clone(server), account.id);
    server.tasks.spawn(async move {
        let stopping = own.tasks.stopping();
        tokio::select! {
            () = stopping.cancelled() => {}
            done = purge(&own, account) => if let Err(cause) = done {
                tracing::warn!(%cause, "the data of a deleted account could not be removed yet: {cause}");
            }
        }
    });
    Ok(())
}

/// The one transaction.
pub(super) async fn begin(server: &Server, account: &Account, cause: Cause) -> Result<(), DeleteError> {
    let did = &account.did;
    let Some(_turn) = server.journal.enter(did) else { return Err(DeleteError::Conflict) };
    let _guard = server.locks.lock(account.id).await;
    let now = server.now();
    if cause == Cause::Due {
        // The owner may have come back in the meantime.
        let state = server.store.account_by_id(account.id).await?.map(|account| account.state);
        if !matches!(state, Some(AccountState::Deactivated { delete_after: Some(at) }) if at <= now) {
            return Err(DeleteError::NotFound);
        }
    }
    let event = event::account(did, Some(AccountStatus::Deleted), now);
    if !server.store.begin_deletion(account.id, event, now).await? {
        return Err(DeleteError::NotFound);
    }
    server.signing_keys.forget(account.id);
    server.resolver.forget(did).await;
    tracing::info!(%did, "an account was deleted");
    Ok(())
}

/// Removes what is left of a deleted account.
pub(super) async fn purge(server: &Server, account: AccountId) -> Result<(), StoreError> {
    while server.store.purge_slice(account).await? == Purge::More {}
    Ok(())
}

/// What one round of deletions came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Accounts whose time had come.
    pub begun: usize,
    /// Accounts whose data is gone now.
    pub finished: usize,
}

/// Deletes accounts whose owner set a time that has come, and removes what earlier deletions have left, also those that
/// a crash cut short.
///
/// # Errors
/// When the database fails; the rest is done in a later round.
pub async fn carry_on(server: &Server) -> Result<Deleted, StoreError> {
    let mut done = Deleted::default();
    let now = server.now();
    for id in server.store.accounts_to_delete(now, limits::DELETIONS_PER_ROUND).await? {
        let Some(account) = server.store.account_by_id(id).await? else { continue };
        match begin(server, &account, Cause::Due).await {
            Ok(()) => done.begun += 1,
            Err(DeleteError::Store(cause)) => return Err(cause),
            Err(cause) => tracing::warn!(did = %account.did, "an account whose time has come stays for now: {cause}"),
        }
    }
    for deletion in server.store.deletions(limits::DELETIONS_PER_ROUND).await? {
        if deletion.is_swept && now < deletion.begun_at.plus(limits::DELETION_LINGER) {
            continue;
        }
        purge(server, deletion.account).await?;
        done.finished += 1;
    }
    Ok(done)
}

#[cfg(test)]
#[path = "deletion_tests.rs"]
mod tests;
