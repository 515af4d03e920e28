//! Wrong passwords are counted, so that nobody finds the right one by trying.
//!
//! Three budgets, none of which depends on how the account is named: what one address gets wrong at all, so that a list
//! of many names gets it no further; what it gets wrong for one account; and what all strangers together get wrong for
//! one account. The last one must not lock out the owner: addresses from which the account was signed in to before do not
//! draw on it. A password is drawn for before it is checked and given back when it was right, so that a thousand tries at
//! once count like a thousand in a row.

use super::{
    Origin, PasswordsBusy, Server,
    security_log::{self, noted_address},
};
use crate::{
    store::{Account, SecurityKind, StoreError},
    throttle::{Bucket, Draw, Drawn, Exceeded, Key},
};

/// A try that counts as wrong until it is said to be right.
#[derive(Debug)]
#[must_use = "a right password is to be given back"]
pub struct Guess<'a> {
    server: &'a Server,
    drawn: Drawn,
}

impl Guess<'_> {
    /// The password was right: the try does not count.
    pub fn right(self) {
        self.server.throttle.give_back(&self.drawn);
    }
}

/// Why a password may not be tried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuessError {
    /// Too many were wrong.
    #[error("Rate Limit Exceeded: too many wrong passwords; try again in {} seconds", .0.retry_after)]
    TooMany(Exceeded),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why it was not found out whether a password is right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckPasswordError {
    /// It may not be tried.
    #[error(transparent)]
    Guess(#[from] GuessError),
    /// Too many passwords are waiting.
    #[error(transparent)]
    Busy(#[from] PasswordsBusy),
}

/// Whether a password is the account's, where it is asked for beside a session: `wanted` says what for in the owner's log,
/// which has the wrong ones.
///
/// # Errors
/// [`CheckPasswordError`]; nothing was found out then.
pub(super) async fn check_password(
    server: &Server,
    account: &Account,
    password: String,
    wanted: &str,
) -> Result<bool, CheckPasswordError> {
    let note = |kind| security_log::note(server, account.id, kind, Some(wanted));
    let guess = guess_password(server, account.did.as_str(), Some(account)).await;
    let guess = guess.inspect_err(|_| note(SecurityKind::SignInRefused))?;
    let is_right = server.passwords.verify(password, account.password_hash.clone()).await?;
    if is_right {
        guess.right();
    } else {
        note(SecurityKind::SignInFailed);
    }
    Ok(is_right)
}

/// Before the password of `account` is tried, or of nobody: `identifier` is what was typed.
///
/// An e-mail address counts apart from handle and DID, which are public: otherwise trying one and then the other would
/// tell whose address it is.
///
/// # Errors
/// [`GuessError::TooMany`] when too many were wrong lately; nothing is to be checked then.
pub async fn guess_password<'a>(
    server: &'a Server,
    identifier: &str,
    account: Option<&Account>,
) -> Result<Guess<'a>, GuessError> {
    let address = Origin::current_address();
    let typed = identifier.to_lowercase();
    let (bucket, name) = match account {
        Some(account) if identifier.contains('@') => {
            (Bucket::WrongPasswordsFor, account.email.as_deref().unwrap_or(&typed))
        }
        Some(account) => (Bucket::WrongPasswordsFor, account.did.as_str()),
        None => (Bucket::WrongPasswordsForNobody, typed.as_str()),
    };
    let from = Draw { bucket: Bucket::WrongPasswordsFrom, key: Key::Address(address), points: 1 };
    let pair = Draw { bucket: Bucket::WrongPasswordsForFrom, key: Key::NameFrom(name, address), points: 1 };
    let all = Draw { bucket, key: Key::Name(name), points: 1 };
    match server.throttle.draw(&[from, pair, all]) {
        Ok(drawn) => Ok(Guess { server, drawn }),
        Err(exceeded) if exceeded.bucket == bucket && knows(server, account).await? => {
            let drawn = server.throttle.draw(&[from, pair]).map_err(GuessError::TooMany)?;
            Ok(Guess { server, drawn })
        }
        Err(exceeded) => Err(GuessError::TooMany(exceeded)),
    }
}

/// Before a secret of the server's own is tried, the administrator's password: by address alone.
///
/// # Errors
/// When too many were wrong lately.
pub fn guess_secret(server: &Server) -> Result<Guess<'_>, Exceeded> {
    let key = Key::Address(Origin::current_address());
    let drawn = server.throttle.draw(&[Draw { bucket: Bucket::WrongPasswordsFrom, key, points: 1 }])?;
    Ok(Guess { server, drawn })
}

/// Whether the account was signed in to from here before. Asked only while strangers try its password.
async fn knows(server: &Server, account: Option<&Account>) -> Result<bool, StoreError> {
    match account {
        Some(account) => server.store.has_signed_in_from(account.id, &noted_address()).await,
        None => Ok(false),
    }
}

#[cfg(test)]
#[path = "guesses_tests.rs"]
mod tests;
