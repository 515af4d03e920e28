//! Sessions: opened with a password, exchanged, ended.

use std::sync::Arc;

use data_encoding::BASE64;

use super::{
    GuessError, PasswordsBusy, Server,
    app_passwords::{self, FindError},
    guess_password, security_log,
    states::{Capability, allows},
};
use crate::{
    clock::Timestamp,
    crypto::{
        jwt::{Scope, SessionClaims, SessionToken},
        password, scrypt_hash,
    },
    entropy::random_bytes,
    limits::accounts as limits,
    outbound::Freshness,
    store::{Account, AccountId, AccountState, AppPassword, NewSession, Rotation, SecurityKind, StoreError},
    syntax::{AtIdentifier, Did},
};

/// The two tokens of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionTokens {
    /// For calls; good for [`limits::ACCESS_TOKEN_LIFETIME`].
    pub access_jwt: String,
    /// For the next two tokens; good for [`limits::REFRESH_TOKEN_LIFETIME`].
    pub refresh_jwt: String,
}

/// Why no session was opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Longer than any password can be.
    #[error("Password too long. Consider resetting your password.")]
    PasswordTooLong,
    /// There is no such account, or this is not its password: nobody may learn which.
    #[error("Invalid identifier or password")]
    Wrong,
    /// The account was taken down, and the caller did not ask for the narrow session of such a one.
    #[error("Account has been taken down")]
    Takendown,
    /// Too many passwords were wrong lately.
    #[error(transparent)]
    Guess(#[from] GuessError),
    /// Too many passwords are waiting.
    #[error(transparent)]
    Busy(#[from] PasswordsBusy),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<FindError> for LoginError {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Busy(cause) => cause.into(),
            FindError::Store(cause) => cause.into(),
        }
    }
}

/// Why a session was not exchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// The token was ended, or exchanged too long ago.
    #[error("Token has been revoked")]
    Revoked,
    /// The account was taken down.
    #[error("Account has been taken down")]
    Takendown,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Opens a session with a password or an app password. `identifier` is a handle, a DID or an e-mail address.
///
/// # Errors
/// [`LoginError`]; an unknown identifier and a wrong password take the same time and give the same error.
pub async fn log_in(
    server: &Server,
    identifier: &str,
    password: String,
    allow_takendown: bool,
) -> Result<(Account, SessionTokens), LoginError> {
    if password.encode_utf16().count() > limits::OLD_PASSWORD_MAX_CHARS {
        return Err(LoginError::PasswordTooLong);
    }
    let account = account_of(server, identifier).await?;
    let note = |kind| account.as_ref().map_or((), |account| security_log::note(server, account.id, kind, None));
    let guess = guess_password(server, identifier, account.as_ref()).await;
    let guess = guess.inspect_err(|_| note(SecurityKind::SignInRefused))?;
    if let Some((account, opened_with)) = by_app_password(server, account.as_ref(), &password).await? {
        guess.right();
        let tokens = open(server, account, Some(opened_with)).await?;
        return Ok((account.clone(), tokens));
    }
    let hash = account.as_ref().map_or_else(
        || password::decoy(server.policy.password_cost).to_owned(),
        |account| account.password_hash.clone(),
    );
    let matches = server.passwords.verify(password.clone(), hash).await?;
    if !matches {
        note(SecurityKind::SignInFailed);
    }
    let account = account.filter(|_| matches).ok_or(LoginError::Wrong)?;
    guess.right();
    if scrypt_hash::is_foreign(&account.password_hash) {
        rehash(server, &account, password).await;
    }
    if !allows(&account.state, Capability::LogIn) {
        if !allow_takendown || !allows(&account.state, Capability::LogInToLeave) {
            return Err(LoginError::Takendown);
        }
        let tokens = narrow_tokens(server, &account);
        return Ok((account, tokens));
    }
    let tokens = open(server, &account, None).await?;
    Ok((account, tokens))
}

/// The account, if this is one of its app passwords; a taken-down account has none. Whoever does not exist is looked for
/// all the same, so that it takes as long.
async fn by_app_password<'a>(
    server: &Server,
    account: Option<&'a Account>,
    typed: &str,
) -> Result<Option<(&'a Account, AppPassword)>, LoginError> {
    let did = account.map_or(&server.policy.service_did, |account| &account.did);
    let id = account.map_or(AccountId(0), |account| account.id);
    let found = app_passwords::find(server, id, did, typed).await?;
    Ok(account.filter(|account| allows(&account.state, Capability::LogIn)).zip(found))
}

/// Stores a hash of ours in place of one that came from the reference. When that fails, the next login does it.
async fn rehash(server: &Server, account: &Account, password: String) {
    let hashing = server.passwords.hash(password, server.policy.password_cost, Arc::clone(&server.entropy));
    let Ok(hash) = hashing.await else { return };
    if let Err(cause) = server.store.rehash_password(account.id, account.password_hash.clone(), hash).await {
        tracing::warn!(did = %account.did, "a password could not be hashed anew: {cause}");
    }
}

async fn account_of(server: &Server, identifier: &str) -> Result<Option<Account>, StoreError> {
    if identifier.len() > limits::IDENTIFIER_MAX_BYTES {
        return Ok(None);
    }
    // The method-specific part of a DID may hold capitals; handles and addresses are compared in lower case.
    if identifier.contains('@') {
        return server.store.account_by_email(&identifier.to_lowercase()).await;
    }
    match identifier.parse() {
        Ok(AtIdentifier::Did(did)) => server.store.account_by_did(&did).await,
        Ok(AtIdentifier::Handle(handle)) => server.store.account_by_handle(&handle).await,
        Err(_) => Ok(None),
    }
}

/// Opens a full session, or one of an app password. Were the password changed or the app password revoked since `account`
/// was read, the session would be over already.
///
/// # Errors
/// When the database fails.
pub async fn open(
    server: &Server,
    account: &Account,
    app_password: Option<AppPassword>,
) -> Result<SessionTokens, StoreError> {
    let (id, now) = (new_id(server), server.now());
    let tokens = sign(server, account, Opened { with: app_password.as_ref(), at: now }, &id);
    let name = app_password.as_ref().map(|opened_with| opened_with.name.as_str());
    let noted = security_log::event(server, account.id, SecurityKind::SignedIn, name);
    let session = NewSession {
        id,
        account: account.id,
        expires_at: now.plus(limits::REFRESH_TOKEN_LIFETIME),
        app_password,
        opened_at: now,
        epoch: account.session_epoch,
    };
    server.store.open_noted_session(session, noted).await?;
    Ok(tokens)
}

/// Exchanges a refresh token whose `jti` is `id` for new tokens. Repeated within [`limits::REFRESH_GRACE`], by a client
/// that lost the answer or ran twice, it gives the same next refresh token.
///
/// # Errors
/// [`RefreshError`].
pub async fn refresh(server: &Server, account: &Account, id: &str) -> Result<SessionTokens, RefreshError> {
    if !allows(&account.state, Capability::Refresh) {
        return Err(RefreshError::Takendown);
    }
    let (next, now) = (new_id(server), server.now());
    let next_ends = now.plus(limits::REFRESH_TOKEN_LIFETIME);
    let grace_ends = now.plus(limits::REFRESH_GRACE);
    match server.store.rotate_session(account.id, id, &next, next_ends, grace_ends, now).await? {
        Rotation::Next { id, app_password, opened_at } => {
            Ok(sign(server, account, Opened { with: app_password.as_ref(), at: opened_at }, &id))
        }
        Rotation::Revoked => {
            security_log::note(server, account.id, SecurityKind::RefreshReplayed, None);
            Err(RefreshError::Revoked)
        }
    }
}

/// Ends the session of a refresh token whose `jti` is `id`.
///
/// # Errors
/// When the database fails.
pub async fn close(server: &Server, id: &str) -> Result<(), StoreError> {
    server.store.close_session(id).await
}

/// Whether an account is in use, and if not the word for its state.
pub const fn activity(state: &AccountState) -> (bool, Option<&'static str>) {
    match state {
        AccountState::Active => (true, None),
        AccountState::Pending | AccountState::Deactivated { .. } => (false, Some("deactivated")),
        AccountState::Takendown { .. } => (false, Some("takendown")),
        AccountState::Suspended => (false, Some("suspended")),
    }
}

/// The account's DID document for an answer that opens or shows a session: from the cache, or within a moment, or not at all.
/// A document that names another server is left out: clients send this session's tokens to whomever it names, which is
/// the old server while an account moves in, and the new one after it left.
pub async fn document(server: &Server, did: &Did) -> Option<serde_json::Value> {
    let resolving = server.resolver.did(did, Freshness::Cached);
    let resolved = tokio::time::timeout(limits::SESSION_DOCUMENT_WAIT, resolving).await;
    let document = resolved.ok()?.ok()?;
    let pds = document.pds.as_ref()?.as_str().trim_end_matches('/');
    let own = [server.policy.endpoint(), server.policy.endpoint_at_genesis()];
    own.iter().any(|own| own == pds).then(|| document.json.clone())
}

/// How a session was opened.
#[derive(Clone, Copy)]
struct Opened<'a> {
    /// The app password; none: with the password.
    with: Option<&'a AppPassword>,
    at: Timestamp,
}

/// Tokens of a taken-down account: they open what leaving needs, and cannot be exchanged, since nothing is stored.
fn narrow_tokens(server: &Server, account: &Account) -> SessionTokens {
    let access = SessionClaims { scope: Scope::Takendown, ..access_claims(server, account) };
    tokens(server, &access, &new_id(server))
}

fn new_id(server: &Server) -> String {
    BASE64.encode(&random_bytes::<{ limits::SESSION_ID_BYTES }>(server.entropy.as_ref()))
}

fn sign(server: &Server, account: &Account, opened: Opened<'_>, id: &str) -> SessionTokens {
    let scope = match opened.with {
        Some(AppPassword { privileged: true, .. }) => Scope::AppPassPrivileged,
        Some(AppPassword { privileged: false, .. }) => Scope::AppPass,
        None => Scope::Access,
    };
    let access = SessionClaims {
        scope,
        // An app password never stands for the owner, however lately it was typed.
        auth_time: opened.with.is_none().then_some(opened.at.as_secs()),
        app_password: opened.with.map(|with| with.id),
        ..access_claims(server, account)
    };
    tokens(server, &access, id)
}

fn access_claims(server: &Server, account: &Account) -> SessionClaims {
    let now = server.now();
    SessionClaims {
        scope: Scope::Access,
        aud: server.policy.service_did.to_string(),
        sub: account.did.to_string(),
        iat: now.as_secs(),
        exp: now.plus(limits::ACCESS_TOKEN_LIFETIME).as_secs(),
        auth_time: None,
        jti: None,
        epoch: account.session_epoch,
        app_password: None,
    }
}

fn tokens(server: &Server, access: &SessionClaims, id: &str) -> SessionTokens {
    let refresh = SessionClaims {
        scope: Scope::Refresh,
        exp: server.now().plus(limits::REFRESH_TOKEN_LIFETIME).as_secs(),
        auth_time: None,
        jti: Some(id.to_owned()),
        epoch: 0,
        app_password: None,
        ..access.clone()
    };
    SessionTokens {
        access_jwt: server.session_key.sign(SessionToken::Access, access),
        refresh_jwt: server.session_key.sign(SessionToken::Refresh, &refresh),
    }
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
