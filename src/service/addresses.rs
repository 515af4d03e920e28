//! The account's e-mail address: confirmed with a code that was mailed there, changed with one that was mailed to the one
//! before if that is confirmed.

use super::{
    Server,
    codes::{self, CodeError},
    email::{EmailError, parse_email},
    mails::{self, MailFailure, letters},
    security_log,
};
use crate::store::{Account, CodeChange, CodePurpose, SecurityKind, StoreError};

/// Why an address was not confirmed or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is none, or not one that is taken here.
    #[error(transparent)]
    Email(#[from] EmailError),
    /// It is not the account's.
    #[error("invalid email")]
    NotTheAccounts,
    /// Another account has it.
    #[error("Email already taken: {0}")]
    Taken(String),
    /// A code is needed.
    #[error("confirmation token required")]
    TokenRequired,
    /// The code.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Confirms the address.
///
/// # Errors
/// [`AddressError`]; nothing was changed then.
pub async fn confirm(server: &Server, account: &Account, email: &str, typed: &str) -> Result<(), AddressError> {
    let email = email.to_lowercase();
    if account.email.as_ref() != Some(&email) {
        return Err(AddressError::NotTheAccounts);
    }
    let code = codes::hash_of(typed).ok_or(CodeError::Invalid)?;
    let noted = security_log::event(server, account.id, SecurityKind::EmailConfirmed, None);
    done(server.store.confirm_email(account.id, &email, code, server.now(), noted).await?, email)
}

/// Mails the code that [`update`] asks for, if it asks for one: says whether it does.
///
/// # Errors
/// [`MailFailure`].
pub async fn request_update(server: &Server, account: &Account) -> Result<bool, MailFailure> {
    if account.email.is_none() {
        return Err(MailFailure::NoEmail);
    }
    if account.email_confirmed_at.is_none() {
        return Ok(false);
    }
    codes::mail_code(server, account, CodePurpose::UpdateEmail).await?;
    Ok(true)
}

/// Gives the account another address, which is not confirmed then, and tells whoever reads the one before if that was.
///
/// # Errors
/// [`AddressError`]; nothing was changed then.
pub async fn update(server: &Server, account: &Account, email: &str, typed: Option<&str>) -> Result<(), AddressError> {
    let email = parse_email(Some(email))?;
    let code = match typed.filter(|typed| !typed.is_empty()) {
        Some(typed) => Some(codes::hash_of(typed).ok_or(CodeError::Invalid)?),
        None => None,
    };
    let noted = security_log::event(server, account.id, SecurityKind::EmailChanged, None);
    let changed = server.store.change_email(account.id, &email, code, server.now(), noted).await?;
    done(changed, email.clone())?;
    tell_before(server, account, &email).await;
    Ok(())
}

/// Gives the account another address as the administrator, and tells whoever reads the one before if that was confirmed.
///
/// # Errors
/// [`AddressError`]; nothing was changed then.
pub async fn set(server: &Server, account: &Account, email: &str) -> Result<(), AddressError> {
    let email = parse_email(Some(email))?;
    let noted = security_log::event(server, account.id, SecurityKind::EmailChanged, None);
    done(server.store.set_email(account.id, &email, noted).await?, email.clone())?;
    tell_before(server, account, &email).await;
    Ok(())
}

/// An address that was never confirmed may be a stranger's, who is told nothing.
async fn tell_before(server: &Server, account: &Account, now: &str) {
    let Some(before) = account.email.clone().filter(|before| before != now) else { return };
    if account.email_confirmed_at.is_none() {
        return;
    }
    let told = match letters::email_changed(mails::about(server, account)) {
        Ok(letter) => mails::send_to(server, account, before, letter, None).await,
        Err(cause) => Err(cause.into()),
    };
    match told {
        Ok(()) | Err(MailFailure::NotConfigured) => {}
        Err(cause) => tracing::warn!(did = %account.did, "the owner could not be told of a new address: {cause}"),
    }
}

fn done(change: CodeChange, email: String) -> Result<(), AddressError> {
    match change {
        CodeChange::Done(_) => Ok(()),
        CodeChange::Invalid => Err(CodeError::Invalid.into()),
        CodeChange::Expired => Err(CodeError::Expired.into()),
        CodeChange::WrongAddress => Err(AddressError::NotTheAccounts),
        CodeChange::AddressTaken => Err(AddressError::Taken(email)),
        CodeChange::CodeNeeded => Err(AddressError::TokenRequired),
    }
}
