//! Tokens by which an account speaks to other services. Spec:
//! <https://atproto.com/specs/xrpc#inter-service-authentication-jwt>.

use data_encoding::HEXLOWER;

use super::{
    Server,
    states::{Capability, allows},
};
use crate::{
    clock::Timestamp,
    crypto::{
        jwt::{Scope, ServiceClaims, sign_service},
        seal::CannotOpen,
    },
    entropy::random_bytes,
    limits::accounts as limits,
    store::Account,
    syntax::{Did, Nsid},
};

/// A token that is asked for.
#[derive(Clone, Debug)]
pub struct ServiceTokenRequest {
    /// The service: a DID, or a DID with `#service`.
    pub aud: String,
    /// When it is to end, in seconds since the epoch.
    pub exp: Option<i64>,
    /// The one method that it is for.
    pub lxm: Option<Nsid>,
}

/// Why no token was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceAuthError {
    /// The audience is no service.
    #[error("aud must be a valid atproto DID or did#serviceId reference")]
    Audience,
    /// The session may not do this.
    #[error("Bad token scope")]
    Scope,
    /// The method needs a full session.
    #[error("insufficient access to request a service auth token for the following method: {0}")]
    Privileged(Nsid),
    /// The method is for the account's own server only.
    #[error("cannot request a service auth token for the following protected method: {0}")]
    Protected(Nsid),
    /// The end is not one that a token can have.
    #[error("{0}")]
    Expiration(&'static str),
    /// The account's key cannot be opened.
    #[error(transparent)]
    Key(#[from] CannotOpen),
}

/// The one method that an account which was taken down may still ask another server to do.
const CREATE_ACCOUNT: &str = "com.atproto.server.createAccount";

/// Methods that an app password must be privileged for: `createAccount` elsewhere and private messages.
const PRIVILEGED: &[&str] = &[
    CREATE_ACCOUNT,
    "chat.bsky.actor.deleteAccount",
    "chat.bsky.actor.exportAccountData",
    "chat.bsky.convo.deleteMessageForSelf",
    "chat.bsky.convo.getConvo",
    "chat.bsky.convo.getConvoForMembers",
    "chat.bsky.convo.getLog",
    "chat.bsky.convo.getMessages",
    "chat.bsky.convo.leaveConvo",
    "chat.bsky.convo.listConvos",
    "chat.bsky.convo.muteConvo",
    "chat.bsky.convo.sendMessage",
    "chat.bsky.convo.sendMessageBatch",
    "chat.bsky.convo.unmuteConvo",
    "chat.bsky.convo.updateRead",
];

/// Methods that manage the account and are called here, never by way of another service.
const PROTECTED: &[&str] = &[
    "com.atproto.admin.sendEmail",
    "com.atproto.identity.requestPlcOperationSignature",
    "com.atproto.identity.signPlcOperation",
    "com.atproto.identity.updateHandle",
    "com.atproto.server.activateAccount",
    "com.atproto.server.confirmEmail",
    "com.atproto.server.createAppPassword",
    "com.atproto.server.deactivateAccount",
    "com.atproto.server.getAccountInviteCodes",
    "com.atproto.server.getSession",
    "com.atproto.server.listAppPasswords",
    "com.atproto.server.requestAccountDelete",
    "com.atproto.server.requestEmailConfirmation",
    "com.atproto.server.requestEmailUpdate",
    "com.atproto.server.revokeAppPassword",
    "com.atproto.server.updateEmail",
];

/// Whether a method may be called here only, never proxied or service-authed. Letter case does not matter.
pub fn is_protected(method: &str) -> bool {
    PROTECTED.iter().any(|protected| protected.eq_ignore_ascii_case(method))
}

/// Whether an app password must be privileged for a method. Letter case does not matter.
pub fn is_privileged(method: &str) -> bool {
    PRIVILEGED.iter().any(|privileged| privileged.eq_ignore_ascii_case(method))
}

/// A token signed with the account's repository key.
///
/// # Errors
/// [`ServiceAuthError`].
pub fn service_token(
    server: &Server,
    account: &Account,
    scope: Scope,
    request: ServiceTokenRequest,
) -> Result<String, ServiceAuthError> {
    let ServiceTokenRequest { aud, exp, lxm } = request;
    if !is_audience(&aud) {
        return Err(ServiceAuthError::Audience);
    }
    check_scope(scope, lxm.as_ref())?;
    let needed = if is_move(lxm.as_ref()) { Capability::ServiceTokenToMove } else { Capability::ServiceToken };
    // A session from before a takedown is as narrow as one that was opened after it.
    if !allows(&account.state, needed) {
        return Err(ServiceAuthError::Scope);
    }
    let now = server.now();
    let exp = match exp {
        Some(exp) => check_expiration(exp, lxm.is_some(), now)?,
        None => now.plus(limits::SERVICE_TOKEN_LIFETIME).as_secs(),
    };
    if let Some(method) = lxm.as_ref().filter(|method| is_protected(method.as_str())) {
        return Err(ServiceAuthError::Protected(method.clone()));
    }
    Ok(sign(server, account, aud, exp, lxm.map(|method| method.to_string()))?)
}

/// A token that goes with a request which is passed on: for one method of one audience, and one minute.
///
/// # Errors
/// When the account's key cannot be opened.
pub fn passing_token(server: &Server, account: &Account, aud: &str, lxm: &str) -> Result<String, CannotOpen> {
    let exp = server.now().plus(limits::SERVICE_TOKEN_LIFETIME).as_secs();
    sign(server, account, aud.to_owned(), exp, Some(lxm.to_owned()))
}

fn sign(server: &Server, account: &Account, aud: String, exp: i64, lxm: Option<String>) -> Result<String, CannotOpen> {
    let key = server.signing_key(account)?;
    let claims = ServiceClaims {
        iat: server.now().as_secs(),
        iss: account.did.to_string(),
        aud,
        exp,
        lxm,
        jti: Some(HEXLOWER.encode(&random_bytes::<16>(server.entropy.as_ref()))),
    };
    Ok(sign_service(&key, &claims))
}

fn check_scope(scope: Scope, lxm: Option<&Nsid>) -> Result<(), ServiceAuthError> {
    match scope {
        Scope::Access | Scope::AppPassPrivileged => Ok(()),
        Scope::Takendown if is_move(lxm) => Ok(()),
        Scope::AppPass => match lxm {
            Some(method) if is_privileged(method.as_str()) => Err(ServiceAuthError::Privileged(method.clone())),
            _ => Ok(()),
        },
        Scope::Takendown | Scope::Refresh | Scope::SignupQueued => Err(ServiceAuthError::Scope),
    }
}

/// Whether a token is for making the account elsewhere.
fn is_move(lxm: Option<&Nsid>) -> bool {
    lxm.is_some_and(|method| method.as_str().eq_ignore_ascii_case(CREATE_ACCOUNT))
}

fn check_expiration(exp: i64, has_method: bool, now: Timestamp) -> Result<i64, ServiceAuthError> {
    let end = Timestamp::from_secs(exp);
    let left = end.since(now);
    if end < now {
        Err(ServiceAuthError::Expiration("expiration is in past"))
    } else if left > limits::SERVICE_TOKEN_MAX_LIFETIME {
        Err(ServiceAuthError::Expiration("cannot request a token with an expiration more than an hour in the future"))
    } else if !has_method && left > limits::METHODLESS_SERVICE_TOKEN_MAX_LIFETIME {
        Err(ServiceAuthError::Expiration(
            "cannot request a method-less token with an expiration more than a minute in the future",
        ))
    } else {
        Ok(exp)
    }
}

/// A did:plc or did:web, or one with a fragment.
fn is_audience(text: &str) -> bool {
    let (did, fragment) = text.split_once('#').map_or((text, None), |(did, fragment)| (did, Some(fragment)));
    let is_fragment = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte))
    };
    did.parse::<Did>().is_ok_and(|did| did.is_plc() || did.is_web()) && fragment.is_none_or(is_fragment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_is_a_did_of_the_network_with_or_without_a_service() {
        for good in
            ["did:web:api.example.com", "did:web:api.example.com#bsky_appview", "did:plc:ewvi7nxzyoun6zhxrhs64oiz"]
        {
            assert!(is_audience(good), "{good}");
        }
        for bad in
            ["", "did:web:x.com#", "did:web:x.com#a#b", "did:web:x.com#a b", "did:key:zQ3sh", "https://x.com", "#x"]
        {
            assert!(!is_audience(bad), "{bad}");
        }
    }

    #[test]
    fn a_session_of_a_taken_down_account_gets_a_token_to_leave_and_no_other() {
        let leave: Nsid = CREATE_ACCOUNT.parse().unwrap();
        let other: Nsid = "com.atproto.repo.createRecord".parse().unwrap();
        assert_eq!(check_scope(Scope::Takendown, Some(&leave)), Ok(()));
        assert_eq!(check_scope(Scope::Takendown, Some(&other)), Err(ServiceAuthError::Scope));
        assert_eq!(check_scope(Scope::Takendown, None), Err(ServiceAuthError::Scope));
    }

    #[test]
    fn an_app_password_gets_no_token_for_private_messages() {
        let chat: Nsid = "chat.bsky.convo.getLog".parse().unwrap();
        assert_eq!(check_scope(Scope::AppPass, Some(&chat)), Err(ServiceAuthError::Privileged(chat.clone())));
        assert_eq!(check_scope(Scope::AppPassPrivileged, Some(&chat)), Ok(()));
        assert_eq!(check_scope(Scope::AppPass, None), Ok(()));
    }

    #[test]
    fn a_token_ends_within_an_hour_and_within_a_minute_without_a_method() {
        let now = Timestamp::from_secs(1_000_000);
        let check = |after: i64, has_method| check_expiration(1_000_000 + after, has_method, now).is_ok();
        assert!(check(0, true) && check(3600, true) && check(60, false));
        assert!(!check(-1, true) && !check(3601, true) && !check(61, false));
        assert!(check_expiration(i64::MAX, true, now).is_err() && check_expiration(i64::MIN, true, now).is_err());
    }
}
