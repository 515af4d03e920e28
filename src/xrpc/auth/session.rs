//! Session tokens: what each endpoint demands of token and account.

use super::{Authenticate, credentials};
use crate::{
    clock::Timestamp,
    crypto::jwt::{JwtError, Scope, SessionClaims, SessionKey, SessionToken},
    service::{
        Server,
        states::{Capability, allows},
    },
    store::{Account, AccountState},
    syntax::Did,
    xrpc::{RequestHead, XrpcError, table::note_caller},
};
use http::StatusCode;
use std::sync::Arc;

/// What a session must be good for.
#[derive(Clone, Copy)]
struct Demand {
    scopes: &'static [Scope],
    capability: Capability,
}

const ANY_OR_QUEUED: &[Scope] = &[Scope::Access, Scope::AppPassPrivileged, Scope::AppPass, Scope::SignupQueued];
const ANY: &[Scope] = &[Scope::Access, Scope::AppPassPrivileged, Scope::AppPass];
const ANY_OR_TAKENDOWN: &[Scope] = &[Scope::Access, Scope::AppPassPrivileged, Scope::AppPass, Scope::Takendown];

macro_rules! session {
    ($(#[$doc:meta])* $name:ident, $demand:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            /// The account.
            pub account: Account,
            /// The token's scope.
            pub scope: Scope,
        }

        impl Authenticate for $name {
            async fn authenticate(server: &Arc<Server>, head: &RequestHead) -> Result<Self, XrpcError> {
                let token = credentials::bearer(&head.headers)?;
                let (account, claims) = access(server, token, $demand).await?;
                Ok(Self { account, scope: claims.scope })
            }
        }
    };
}

session!(
    /// A full session or an app password; the account may be deactivated, not taken down.
    AnyAccess,
    Demand { scopes: ANY, capability: Capability::UseSession }
);
session!(
    /// The same, a taken-down account's own token too.
    AnyAccessOrTakendown,
    Demand { scopes: ANY_OR_TAKENDOWN, capability: Capability::Leave }
);
session!(
    /// The same, a session that waits for sign-up too.
    AnyAccessOrQueued,
    Demand { scopes: ANY_OR_QUEUED, capability: Capability::UseSession }
);
session!(
    /// A full session only.
    FullAccess,
    Demand { scopes: &[Scope::Access], capability: Capability::UseSession }
);
session!(
    /// A full session, or a taken-down account's own token.
    FullAccessOrTakendown,
    Demand { scopes: &[Scope::Access, Scope::Takendown], capability: Capability::Leave }
);
session!(
    /// Any access of an account that may write: `AccountDeactivated`/`AccountTakedown` otherwise.
    ActiveAccess,
    Demand { scopes: ANY, capability: Capability::Write }
);

/// A full session of an account that may write, and how lately it was opened: who may change a delegation.
#[derive(Clone, Debug)]
pub struct OwnerAccess {
    /// The account.
    pub account: Account,
    /// When the session was opened with the password, or with the account; a refresh does not renew it.
    pub opened_at: Option<Timestamp>,
}

impl Authenticate for OwnerAccess {
    async fn authenticate(server: &Arc<Server>, head: &RequestHead) -> Result<Self, XrpcError> {
        let token = credentials::bearer(&head.headers)?;
        let demand = Demand { scopes: &[Scope::Access], capability: Capability::Write };
        let (account, claims) = access(server, token, demand).await?;
        Ok(Self { account, opened_at: claims.auth_time.map(Timestamp::from_secs) })
    }
}

/// Whether a session may use private methods (chat, service tokens for createAccount).
pub fn is_privileged(scope: Scope) -> bool {
    matches!(scope, Scope::Access | Scope::AppPassPrivileged)
}

/// A refresh token that is good (signature, type, audience, time).
#[derive(Clone, Debug)]
pub struct RefreshToken {
    /// Its claims; `jti` is there.
    pub claims: SessionClaims,
    /// The account, which may be deactivated or taken down.
    pub account: Account,
}

impl Authenticate for RefreshToken {
    async fn authenticate(server: &Arc<Server>, head: &RequestHead) -> Result<Self, XrpcError> {
        let token = credentials::bearer(&head.headers)?;
        let audience = server.policy.service_did.as_str();
        let claims = server.session_key.verify(SessionToken::Refresh, token, audience, server.now());
        let claims = refresh_claims(claims)?;
        let did = subject(&claims)?;
        let account = server.store.account_by_did(&did).await?;
        let account =
            account.ok_or_else(|| XrpcError::invalid(format!("Could not find user info for account: {did}")))?;
        Ok(Self { claims, account })
    }
}

/// A refresh token whose time may be over (deleteSession).
#[derive(Clone, Debug)]
pub struct ExpiredRefreshToken {
    /// Its claims; `jti` is there.
    pub claims: SessionClaims,
}

impl Authenticate for ExpiredRefreshToken {
    async fn authenticate(server: &Arc<Server>, head: &RequestHead) -> Result<Self, XrpcError> {
        let token = credentials::bearer(&head.headers)?;
        let audience = server.policy.service_did.as_str();
        let claims = server.session_key.verify_ignoring_expiry(SessionToken::Refresh, token, audience);
        let claims = refresh_claims(claims)?;
        subject(&claims)?;
        Ok(Self { claims })
    }
}

fn refresh_claims(verified: Result<SessionClaims, JwtError>) -> Result<SessionClaims, XrpcError> {
    let claims = verified.map_err(|error| token_error(&error))?;
    if claims.scope != Scope::Refresh {
        return Err(bad_scope());
    }
    if claims.jti.is_none() {
        return Err(XrpcError::unauthorized("MissingTokenId", "Unexpected missing refresh token id"));
    }
    Ok(claims)
}

/// An account that may at least upload blobs: used by [`super::UploadAuth`].
pub(super) async fn uploader(server: &Server, token: &str) -> Result<Account, XrpcError> {
    access(server, token, Demand { scopes: ANY, capability: Capability::UseSession }).await.map(|(account, _)| account)
}

/// Whose access token this is, whatever the account's state.
pub(super) async fn viewer(server: &Server, token: &str) -> Result<Did, XrpcError> {
    let (did, claims) =
        verify_access(&server.session_key, &server.policy.service_did, token, server.now(), ANY_OR_TAKENDOWN)?;
    if let Some(account) = server.store.account_by_did(&did).await? {
        check_not_revoked(server, &account, &claims).await?;
    }
    Ok(did)
}

async fn access(server: &Server, token: &str, demand: Demand) -> Result<(Account, SessionClaims), XrpcError> {
    let (did, claims) =
        verify_access(&server.session_key, &server.policy.service_did, token, server.now(), demand.scopes)?;
    let account = find(server, &did).await?;
    check_not_revoked(server, &account, &claims).await?;
    check_state(&account.state, demand.capability)?;
    Ok((account, claims))
}

/// A token is over at once when the password was changed, or its app password revoked: `ExpiredToken`, for on that a
/// client tries to refresh, and learns that its session has ended.
async fn check_not_revoked(server: &Server, account: &Account, claims: &SessionClaims) -> Result<(), XrpcError> {
    let is_current = claims.epoch == account.session_epoch
        && match (claims.scope, claims.app_password) {
            (Scope::AppPass | Scope::AppPassPrivileged, Some(id)) => {
                server.store.has_app_password(account.id, id).await?
            }
            (Scope::AppPass | Scope::AppPassPrivileged, None) => false,
            (Scope::Access | Scope::Refresh | Scope::SignupQueued | Scope::Takendown, _) => true,
        };
    if is_current { Ok(()) } else { Err(XrpcError::bad("ExpiredToken", "Token has been revoked")) }
}

/// The account that a verified token names.
pub(super) async fn find(server: &Server, did: &Did) -> Result<Account, XrpcError> {
    let account = server.store.account_by_did(did).await?;
    account.ok_or_else(|| XrpcError::with_status(StatusCode::FORBIDDEN, "AccountNotFound", "Account not found"))
}

fn verify_access(
    key: &SessionKey,
    service: &Did,
    token: &str,
    now: Timestamp,
    scopes: &[Scope],
) -> Result<(Did, SessionClaims), XrpcError> {
    let claims = key.verify(SessionToken::Access, token, service.as_str(), now).map_err(|error| token_error(&error))?;
    let did = subject(&claims)?;
    if !scopes.contains(&claims.scope) {
        return Err(bad_scope());
    }
    note_caller(&did);
    Ok((did, claims))
}

/// Whether an account in this state may go on.
pub(super) fn check_state(state: &AccountState, capability: Capability) -> Result<(), XrpcError> {
    if allows(state, capability) {
        return Ok(());
    }
    Err(match state {
        AccountState::Takendown { .. } | AccountState::Suspended => {
            XrpcError::unauthorized("AccountTakedown", "Account has been taken down")
        }
        AccountState::Active | AccountState::Deactivated { .. } => {
            XrpcError::unauthorized("AccountDeactivated", "Account is deactivated")
        }
        // The store does not find pending accounts by DID; this is for the day when it does.
        AccountState::Pending => XrpcError::with_status(StatusCode::FORBIDDEN, "AccountNotFound", "Account not found"),
    })
}

fn subject(claims: &SessionClaims) -> Result<Did, XrpcError> {
    claims.sub.parse().map_err(|_| XrpcError::bad("InvalidToken", "Malformed token"))
}

fn bad_scope() -> XrpcError {
    XrpcError::bad("InvalidToken", "Bad token scope")
}

fn token_error(error: &JwtError) -> XrpcError {
    match error {
        JwtError::Expired => XrpcError::bad("ExpiredToken", "Token has expired"),
        JwtError::Invalid | JwtError::WrongType | JwtError::BadSignature => {
            XrpcError::bad("InvalidToken", "Token could not be verified")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Secret;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn service() -> Did {
        "did:web:pds.example.com".parse().unwrap()
    }

    fn key() -> SessionKey {
        SessionKey::new(&Secret::new("a secret"))
    }

    fn claims(scope: Scope) -> SessionClaims {
        SessionClaims {
            scope,
            aud: service().to_string(),
            sub: "did:plc:ewvi7nxzyoun6zhxrhs64oiz".to_owned(),
            iat: 999_000,
            exp: 1_000_001,
            auth_time: None,
            jti: None,
            epoch: 0,
            app_password: None,
        }
    }

    fn verify(kind: SessionToken, claims: &SessionClaims, scopes: &[Scope]) -> Result<Scope, (u16, String)> {
        let token = key().sign(kind, claims);
        verify_access(&key(), &service(), &token, NOW, scopes)
            .map(|(_, claims)| claims.scope)
            .map_err(|error| (error.status.as_u16(), error.name.into_owned()))
    }

    fn refused<T>(status: u16, name: &str) -> Result<T, (u16, String)> {
        Err((status, name.to_owned()))
    }

    #[test]
    fn an_access_token_of_a_wanted_scope_is_good() {
        for scope in [Scope::Access, Scope::AppPass, Scope::AppPassPrivileged] {
            assert_eq!(verify(SessionToken::Access, &claims(scope), ANY), Ok(scope));
        }
    }

    #[test]
    fn an_expired_token_is_400_expired_token_because_clients_refresh_on_that() {
        let mut old = claims(Scope::Access);
        old.exp = 1_000_000;
        assert_eq!(verify(SessionToken::Access, &old, ANY), refused(400, "ExpiredToken"));
    }

    #[test]
    fn another_scope_type_audience_or_subject_is_400_invalid_token() {
        let invalid = || refused(400, "InvalidToken");
        assert_eq!(verify(SessionToken::Access, &claims(Scope::Refresh), ANY), invalid());
        assert_eq!(verify(SessionToken::Access, &claims(Scope::Takendown), ANY), invalid());
        assert_eq!(verify(SessionToken::Access, &claims(Scope::AppPass), &[Scope::Access]), invalid());
        assert_eq!(verify(SessionToken::Refresh, &claims(Scope::Access), ANY), invalid());
        let mut other = claims(Scope::Access);
        other.aud = "did:web:other.example.com".to_owned();
        assert_eq!(verify(SessionToken::Access, &other, ANY), invalid());
        let mut nobody = claims(Scope::Access);
        nobody.sub = "alice".to_owned();
        assert_eq!(verify(SessionToken::Access, &nobody, ANY), invalid());
    }

    #[test]
    fn a_taken_down_accounts_own_token_opens_only_what_names_it() {
        assert_eq!(verify(SessionToken::Access, &claims(Scope::Takendown), ANY_OR_TAKENDOWN), Ok(Scope::Takendown));
    }

    #[test]
    fn states_are_refused_with_the_references_statuses() {
        let takendown = AccountState::Takendown { reference: String::new() };
        let deactivated = AccountState::Deactivated { delete_after: None };
        let outcome = |state: &AccountState, capability| {
            check_state(state, capability).map_err(|error| (error.status.as_u16(), error.name.into_owned()))
        };
        assert_eq!(outcome(&AccountState::Active, Capability::Write), Ok(()));
        assert_eq!(outcome(&takendown, Capability::UseSession), refused(401, "AccountTakedown"));
        assert_eq!(outcome(&AccountState::Suspended, Capability::UseSession), refused(401, "AccountTakedown"));
        assert_eq!(outcome(&takendown, Capability::Leave), Ok(()));
        assert_eq!(outcome(&deactivated, Capability::UseSession), Ok(()));
        assert_eq!(outcome(&deactivated, Capability::Write), refused(401, "AccountDeactivated"));
        assert_eq!(outcome(&AccountState::Pending, Capability::Leave), refused(403, "AccountNotFound"));
    }

    #[test]
    fn a_refresh_token_must_have_an_id_and_the_refresh_scope() {
        let outcome = |claims| refresh_claims(Ok(claims)).map_err(|error| (error.status.as_u16(), error.name));
        assert_eq!(outcome(claims(Scope::Refresh)).unwrap_err(), (401, "MissingTokenId".into()));
        let mut access = claims(Scope::Access);
        access.jti = Some("x".to_owned());
        assert_eq!(outcome(access).unwrap_err(), (400, "InvalidToken".into()));
        let mut good = claims(Scope::Refresh);
        good.jti = Some("x".to_owned());
        assert!(outcome(good).is_ok());
    }
}
