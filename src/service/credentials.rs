//! New passwords: as the owner with a mailed code, or as the administrator. Each ends every session of the account.

use std::sync::Arc;

use super::{
    Origin, PasswordsBusy, Server, codes,
    email::parse_address,
    mails::{self, MailFailure, letters},
    security_log,
};
use crate::{
    limits::{accounts as limits, mail as mail_limits},
    store::{Account, CodeChange, CodePurpose, ResetRequest, SecurityKind, StoreError},
    throttle::network_of,
};

/// Why a password cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    /// There is none.
    #[error("A password is required")]
    Missing,
    /// It is longer than the reference takes.
    #[error("Password too long. Maximum length is {} characters.", limits::NEW_PASSWORD_MAX_CHARS)]
    TooLong,
}

/// Why no password was set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetPasswordError {
    /// The password.
    #[error(transparent)]
    Password(#[from] BadPassword),
    /// The code.
    #[error(transparent)]
    Code(#[from] codes::CodeError),
    /// Too many passwords are waiting.
    #[error(transparent)]
    Busy(#[from] PasswordsBusy),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Checks what a new password must be: there, and not longer than the reference takes.
///
/// # Errors
/// [`BadPassword`].
pub fn check_new_password(password: &str) -> Result<(), BadPassword> {
    if password.is_empty() {
        return Err(BadPassword::Missing);
    }
    if password.encode_utf16().count() > limits::NEW_PASSWORD_MAX_CHARS {
        return Err(BadPassword::TooLong);
    }
    Ok(())
}

/// Sets a password, ends every session of the account, and tells the owner.
///
/// # Errors
/// [`SetPasswordError`]; nothing was changed then.
pub async fn set_password(server: &Server, account: &Account, password: String) -> Result<(), SetPasswordError> {
    check_new_password(&password)?;
    let hash = hash(server, password).await?;
    let noted = security_log::event(server, account.id, SecurityKind::PasswordChanged, None);
    server.store.set_password(account.id, hash, noted).await?;
    mails::tell(server, account, letters::password_changed(mails::about(server, account))).await;
    Ok(())
}

/// Ends every session and app password of an account, and makes its password one that nothing matches.
///
/// # Errors
/// When the database fails.
pub async fn revoke_all(server: &Server, account: &Account) -> Result<(), StoreError> {
    let detail = "the password, app passwords and sessions were revoked";
    let noted = security_log::event(server, account.id, SecurityKind::AdminAction, Some(detail));
    server.store.revoke_credentials(account.id, noted).await
}

/// Writes down that somebody wants a new password for the account with this address, if there is one. That is looked up
/// afterwards, so that neither the answer nor its time tells whether there is.
///
/// # Errors
/// When no mail can be sent, or the database fails.
pub async fn request_reset(server: &Server, email: &str) -> Result<(), MailFailure> {
    if !server.mailer.is_configured() {
        return Err(MailFailure::NotConfigured);
    }
    if let Ok(email) = parse_address(Some(email)) {
        let from = Origin::current();
        let address = from.as_ref().map(|from| network_of(from.address).to_string());
        let asked = ResetRequest { email, address, agent: from.and_then(|from| from.agent) };
        server.store.ask_for_reset(asked).await?;
        mails::wake(server).await;
    }
    Ok(())
}

/// Mails codes to those who have an account and asked for a new password. Called by whoever hands mails over.
///
/// # Errors
/// When the database fails.
pub(super) async fn answer_reset_requests(server: &Server) -> Result<(), StoreError> {
    loop {
        let asked = server.store.reset_requests(mail_limits::OUTBOX_SLICE).await?;
        if asked.is_empty() {
            return Ok(());
        }
        for asked in asked {
            if let Some(account) = server.store.account_by_email(&asked.email).await? {
                // The log names whoever asked, not whoever hands mails over.
                let answer = codes::enqueue(server, &account, CodePurpose::ResetPassword);
                match Origin::carry(origin_of(&asked), Box::pin(answer)).await {
                    Ok(()) => {}
                    Err(MailFailure::Store(cause)) => return Err(cause),
                    Err(cause) => tracing::warn!(did = %account.did, "no code for a new password was mailed: {cause}"),
                }
            }
            server.store.forget_reset_request(&asked.email).await?;
        }
    }
}

fn origin_of(asked: &ResetRequest) -> Option<Origin> {
    let address = asked.address.as_ref()?.parse().ok()?;
    Some(Origin::new(address, asked.agent.as_deref()))
}

/// Sets a password with a mailed code, ends every session of the account, and tells the owner. Gives the account.
///
/// # Errors
/// [`SetPasswordError`]; nothing was changed then. Of two at once with one code, one is refused.
pub async fn reset_password(server: &Server, typed: &str, password: String) -> Result<Account, SetPasswordError> {
    check_new_password(&password)?;
    let code = codes::hash_of(typed).ok_or(codes::CodeError::Invalid)?;
    // A wrong code costs no hashing of a password.
    let id = done(server.store.check_reset(code, server.now()).await?)?;
    let hash = hash(server, password).await?;
    let noted = security_log::event(server, id, SecurityKind::PasswordReset, None);
    let id = done(server.store.reset_password(code, hash, server.now(), noted).await?)?;
    let account = server.store.account_by_id(id).await?;
    let account = account.ok_or_else(|| StoreError::Damaged("a code has no account".to_owned()))?;
    mails::tell(server, &account, letters::password_changed(mails::about(server, &account))).await;
    Ok(account)
}

async fn hash(server: &Server, password: String) -> Result<String, PasswordsBusy> {
    server.passwords.hash(password, server.policy.password_cost, Arc::clone(&server.entropy)).await
}

const fn done(change: CodeChange) -> Result<crate::store::AccountId, codes::CodeError> {
    match change {
        CodeChange::Done(account) => Ok(account),
        CodeChange::Expired => Err(codes::CodeError::Expired),
        CodeChange::Invalid | CodeChange::WrongAddress | CodeChange::AddressTaken | CodeChange::CodeNeeded => {
            Err(codes::CodeError::Invalid)
        }
    }
}
