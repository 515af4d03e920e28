//! App passwords: what an app is given instead of the password, and what can be taken back by itself.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::{PasswordsBusy, Server, security_log};
use crate::{
    clock::Timestamp,
    crypto::{Secret, scrypt_hash, token},
    limits::accounts as limits,
    store::{Account, AccountId, AppPassword, NewAppPassword, PutAppPassword, SecurityKind, StoreError},
    syntax::Did,
};

/// An app password that was made just now: the only time that it is shown.
#[derive(Clone, Debug)]
pub struct Made {
    /// The password, `xxxx-xxxx-xxxx-xxxx`.
    pub password: Secret,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Why no app password was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppPasswordError {
    /// Its name is empty or too long.
    #[error("the name of an app password has 1 to {} characters", limits::APP_PASSWORD_NAME_MAX_CHARS)]
    Name,
    /// The account has one of that name.
    #[error("there is already an app password with this name: revoke it, or choose another name")]
    NameTaken,
    /// The account has as many as it may have.
    #[error(
        "there are already {} app passwords: revoke one that is not used any more",
        limits::APP_PASSWORDS_PER_ACCOUNT
    )]
    TooMany,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an app password opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Everything but private messages, and what only the owner may.
    Plain,
    /// Private messages too.
    Privileged,
}

/// Makes an app password.
///
/// # Errors
/// [`AppPasswordError`]; nothing was made then.
pub async fn create(
    server: &Server,
    account: &Account,
    name: String,
    rights: Rights,
) -> Result<Made, AppPasswordError> {
    if name.is_empty() || name.encode_utf16().count() > limits::APP_PASSWORD_NAME_MAX_CHARS {
        return Err(AppPasswordError::Name);
    }
    let password = token::app_password(server.entropy.as_ref());
    let created_at = server.now();
    let noted = security_log::event(server, account.id, SecurityKind::AppPasswordCreated, Some(&name));
    let new = NewAppPassword {
        account: account.id,
        name,
        hash: hash_of(&account.did, password.expose()),
        privileged: rights == Rights::Privileged,
        created_at,
    };
    match server.store.put_app_password(new, limits::APP_PASSWORDS_PER_ACCOUNT, Some(noted)).await? {
        PutAppPassword::Stored => Ok(Made { password, created_at }),
        PutAppPassword::NameTaken => Err(AppPasswordError::NameTaken),
        PutAppPassword::TooMany => Err(AppPasswordError::TooMany),
    }
}

/// Takes an app password back, and ends its sessions; nothing happens if there is none of that name.
///
/// # Errors
/// When the database fails.
pub async fn revoke(server: &Server, account: &Account, name: &str) -> Result<(), StoreError> {
    let noted = security_log::event(server, account.id, SecurityKind::AppPasswordRevoked, Some(name));
    server.store.revoke_app_password(account.id, name, noted).await
}

/// The app password of this account that was typed, if it is one. One that came from the reference is hashed anew.
///
/// # Errors
/// [`FindError`].
pub(super) async fn find(
    server: &Server,
    account: AccountId,
    did: &Did,
    typed: &str,
) -> Result<Option<AppPassword>, FindError> {
    if !is_form(typed) {
        return Ok(None);
    }
    let hash = hash_of(did, typed);
    if let Some(found) = server.store.app_password_by_hash(account, &hash).await? {
        return Ok(Some(found));
    }
    if server.store.foreign_app_password_hash(account).await?.is_none() {
        return Ok(None);
    }
    let (did, typed) = (did.to_string(), typed.to_owned());
    let foreign = server.passwords.run(move || scrypt_hash::app_password_hash(&did, &typed)).await?;
    let Some(foreign) = foreign else { return Ok(None) };
    let found = server.store.app_password_by_hash(account, &foreign).await?;
    if let Some(found) = &found {
        server.store.replace_app_password_hash(found.id, hash).await?;
    }
    Ok(found)
}

/// Why it cannot be said whether something is an app password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FindError {
    /// Too many passwords are waiting.
    #[error(transparent)]
    Busy(#[from] PasswordsBusy),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether a text has the form of an app password: `xxxx-xxxx-xxxx-xxxx`.
fn is_form(text: &str) -> bool {
    text.len() == limits::APP_PASSWORD_CHARS
        && text.split('-').count() == 4
        && text.split('-').all(|group| group.len() == 4 && group.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// What is stored of an app password: one with 80 random bits needs no slow hash.
fn hash_of(did: &Did, password: &str) -> String {
    let digest = Sha256::new().chain_update(did.as_str()).chain_update([0]).chain_update(password).finalize();
    HEXLOWER.encode(&digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_four_groups_of_four_are_looked_up() {
        assert!(is_form("abcd-efgh-2345-wxyz"));
        for text in ["", "abcd-efgh-2345-wxy", "abcde-fgh-2345-wxyz", "abcd-efgh-2345-wxyé", "abcdefghijklmnopqrs"] {
            assert!(!is_form(text), "{text}");
        }
    }

    #[test]
    fn the_same_password_has_another_hash_for_another_account() {
        let (alice, bob): (Did, Did) = ("did:web:a.example".parse().unwrap(), "did:web:b.example".parse().unwrap());
        assert_ne!(hash_of(&alice, "abcd-efgh-2345-wxyz"), hash_of(&bob, "abcd-efgh-2345-wxyz"));
    }
}
