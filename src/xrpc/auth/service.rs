//! Service-auth tokens, signed by the issuer's own key. Spec: <https://atproto.com/specs/xrpc#inter-service-authentication-jwt>.

use super::{
    Admin, AnyAccessOrTakendown, Authenticate,
    credentials::{self, Credentials},
    session,
};
use crate::{
    clock::Timestamp,
    crypto::{
        DidKey,
        jwt::{JwtError, ServiceClaims, UnverifiedServiceToken},
    },
    outbound::{Freshness, ResolveError},
    service::{Nonce, Origin, Server, Spending, states::Capability},
    store::Account,
    syntax::Did,
    xrpc::{RequestHead, XrpcError, table::note_caller},
};
use http::StatusCode;
use std::{net::IpAddr, sync::Arc};

/// Nothing, or a service-auth token for createAccount with an existing DID, or the administrator's password.
#[derive(Debug)]
pub struct OptionalServiceAuth {
    /// Whether the administrator asks.
    pub is_admin: bool,
    /// Where the request came from.
    pub client_ip: IpAddr,
    /// The issuer, if there was a token and it verified.
    pub issuer: Option<Did>,
    spending: Option<Spending>,
}

impl Authenticate for OptionalServiceAuth {
    async fn authenticate(server: &Arc<Server>, head: &RequestHead) -> Result<Self, XrpcError> {
        match credentials::read(&head.headers)? {
            None => Ok(Self { is_admin: false, client_ip: head.client_ip, issuer: None, spending: None }),
            Some(Credentials::Basic(_)) => {
                Admin::authenticate(server, head).await?;
                Ok(Self { is_admin: true, client_ip: head.client_ip, issuer: None, spending: None })
            }
            Some(Credentials::Bearer(token)) => {
                let (token, issuer) = open(&server.policy.service_did, &head.nsid, token, server.now())?;
                let issuer = issuer.account()?;
                verify_by_document(server, &token, &issuer, ACCOUNT_KEY).await?;
                let spending = Some(first_use(server, &token)?);
                note_caller(&issuer);
                Ok(Self { is_admin: false, client_ip: head.client_ip, issuer: Some(issuer), spending })
            }
        }
    }

    fn spending(&mut self) -> Option<Spending> {
        self.spending.take()
    }
}

/// Who uploads a blob: an account's session, or a service (the video service) with the account's own token.
#[derive(Debug)]
pub struct UploadAuth {
    /// The account; it may be deactivated, not taken down.
    pub account: Account,
    spending: Option<Spending>,
}

impl Authenticate for UploadAuth {
    async fn authenticate(server: &Arc<Server>, head: &RequestHead) -> Result<Self, XrpcError> {
        let token = credentials::bearer(&head.headers)?;
        if !names_method(token) {
            return session::uploader(server, token).await.map(|account| Self { account, spending: None });
        }
        let (token, issuer) = open(&server.policy.service_did, &head.nsid, token, server.now())?;
        let issuer = issuer.account()?;
        let account = session::find(server, &issuer).await?;
        // The key that this server holds answers without a directory; after a move, the document has another.
        let own: Option<DidKey> = account.signing_key.parse().ok();
        if own.is_none_or(|key| token.verify(&key, server.now()).is_err()) {
            verify_by_document(server, &token, &issuer, ACCOUNT_KEY).await?;
        }
        session::check_state(&account.state, Capability::UseSession)?;
        let spending = Some(first_use(server, &token)?);
        note_caller(&issuer);
        Ok(Self { account, spending })
    }

    fn spending(&mut self) -> Option<Spending> {
        self.spending.take()
    }
}

/// The configured moderation service, by its own service-auth token for this method.
#[derive(Debug)]
pub struct ModerationService {
    /// Its DID.
    pub did: Did,
    spending: Option<Spending>,
}

impl Authenticate for ModerationService {
    async fn authenticate(server: &Arc<Server>, head: &RequestHead) -> Result<Self, XrpcError> {
        let untrusted = || XrpcError::unauthorized("UntrustedIss", "Untrusted issuer");
        let moderation = server.policy.services.moderation.as_ref().ok_or_else(untrusted)?;
        let Some(Credentials::Bearer(token)) = credentials::read(&head.headers)? else {
            return Err(XrpcError::unauthorized("MissingJwt", "missing jwt"));
        };
        let (token, issuer) = open(&server.policy.service_did, &head.nsid, token, server.now())?;
        let key = match issuer.service.as_deref() {
            _ if issuer.did != moderation.did => return Err(untrusted()),
            None => ACCOUNT_KEY,
            Some("atproto_labeler") => LABELER_KEY,
            Some(_) => return Err(untrusted()),
        };
        verify_by_document(server, &token, &issuer.did, key).await?;
        let spending = Some(first_use(server, &token)?);
        note_caller(&issuer.did);
        Origin::is_the_operators();
        Ok(Self { did: issuer.did, spending })
    }

    fn spending(&mut self) -> Option<Spending> {
        self.spending.take()
    }
}

/// Who may use the methods of `com.atproto.admin`: the administrator by password, or the configured moderation service
/// by its token.
#[derive(Debug)]
pub enum AdminOrModerator {
    /// The administrator.
    Admin,
    /// The moderation service.
    Moderator(ModerationService),
}

impl Authenticate for AdminOrModerator {
    async fn authenticate(server: &Arc<Server>, head: &RequestHead) -> Result<Self, XrpcError> {
        match credentials::read(&head.headers) {
            Ok(Some(Credentials::Bearer(_))) => {
                ModerationService::authenticate(server, head).await.map(Self::Moderator)
            }
            Ok(_) | Err(_) => Admin::authenticate(server, head).await.map(|Admin| Self::Admin),
        }
    }

    fn spending(&mut self) -> Option<Spending> {
        match self {
            Self::Admin => None,
            Self::Moderator(service) => service.spending(),
        }
    }
}

/// An account's session, a taken-down one's too, or the configured moderation service.
#[derive(Debug)]
pub enum AccountOrModerator {
    /// The session.
    Account(Box<AnyAccessOrTakendown>),
    /// The moderation service.
    Moderator(ModerationService),
}

impl Authenticate for AccountOrModerator {
    async fn authenticate(server: &Arc<Server>, head: &RequestHead) -> Result<Self, XrpcError> {
        if let Ok(Some(Credentials::Bearer(token))) = credentials::read(&head.headers)
            && server.policy.services.moderation.is_some()
            && names_method(token)
        {
            return ModerationService::authenticate(server, head).await.map(Self::Moderator);
        }
        AnyAccessOrTakendown::authenticate(server, head).await.map(|auth| Self::Account(Box::new(auth)))
    }

    fn spending(&mut self) -> Option<Spending> {
        match self {
            Self::Account(_) => None,
            Self::Moderator(service) => service.spending(),
        }
    }
}

/// Session tokens never name a method.
fn names_method(token: &str) -> bool {
    UnverifiedServiceToken::parse(token).is_ok_and(|token| token.claims.lxm.is_some())
}

/// The verification method of accounts, and of services that name none.
const ACCOUNT_KEY: &str = "atproto";

/// The verification method of `#atproto_labeler`.
const LABELER_KEY: &str = "atproto_label";

/// Who says it: a DID, and which service of it.
#[derive(Debug)]
struct Issuer {
    did: Did,
    service: Option<String>,
}

impl Issuer {
    fn parse(text: &str) -> Option<Self> {
        let (did, service) = text.split_once('#').map_or((text, None), |(did, service)| (did, Some(service)));
        let is_name = |service: &str| !service.is_empty() && !service.contains('#');
        (service.is_none_or(is_name)).then_some(())?;
        Some(Self { did: did.parse().ok()?, service: service.map(str::to_owned) })
    }

    /// The DID of who speaks as an account, not as one of its services.
    fn account(self) -> Result<Did, XrpcError> {
        if self.service.is_none() { Ok(self.did) } else { Err(bad_issuer()) }
    }
}

fn bad_issuer() -> XrpcError {
    XrpcError::unauthorized("BadJwtIss", "jwt iss is not a valid did")
}

/// Everything that can be checked without the issuer's key.
fn open(service: &Did, nsid: &str, token: &str, now: Timestamp) -> Result<(UnverifiedServiceToken, Issuer), XrpcError> {
    let token = UnverifiedServiceToken::parse(token).map_err(|error| token_error(&error))?;
    let issuer = check_claims(&token.claims, service, nsid, now)?;
    Ok((token, issuer))
}

fn check_claims(claims: &ServiceClaims, service: &Did, nsid: &str, now: Timestamp) -> Result<Issuer, XrpcError> {
    if now.as_secs() > claims.exp {
        return Err(token_error(&JwtError::Expired));
    }
    if claims.aud != service.as_str() {
        return Err(XrpcError::unauthorized("BadJwtAudience", "jwt audience does not match service did"));
    }
    if claims.lxm.as_deref() != Some(nsid) {
        let what = if claims.lxm.is_some() { "bad" } else { "missing" };
        return Err(XrpcError::unauthorized(
            "BadJwtLexiconMethod",
            format!("{what} jwt lexicon method (\"lxm\"). must match: {nsid}"),
        ));
    }
    Issuer::parse(&claims.iss).ok_or_else(bad_issuer)
}

/// A verified token opens one request that succeeds. The reference lets it open any number while it lasts.
fn first_use(server: &Server, token: &UnverifiedServiceToken) -> Result<Spending, XrpcError> {
    let claims = &token.claims;
    let id = claims.jti.clone().unwrap_or_else(|| token.text());
    server
        .replays
        .begin(Nonce::new(&claims.iss, &id), Timestamp::from_secs(claims.exp), server.now())
        .ok_or_else(|| XrpcError::unauthorized("BadJwtReplay", "jwt was used already: make a new one for each request"))
}

/// Verifies with a key in the issuer's document, which is asked for again if the signature is not that key's: it may
/// have changed since.
async fn verify_by_document(
    server: &Server,
    token: &UnverifiedServiceToken,
    issuer: &Did,
    key: &str,
) -> Result<(), XrpcError> {
    let known = issuer_key(server, issuer, key, Freshness::Cached).await?;
    match token.verify(&known, server.now()) {
        Err(JwtError::BadSignature) => {}
        outcome => return outcome.map_err(|error| token_error(&error)),
    }
    let fresh = issuer_key(server, issuer, key, Freshness::Now).await?;
    if fresh == known {
        return Err(token_error(&JwtError::BadSignature));
    }
    token.verify(&fresh, server.now()).map_err(|error| token_error(&error))
}

async fn issuer_key(server: &Server, issuer: &Did, key: &str, freshness: Freshness) -> Result<DidKey, XrpcError> {
    let refused = |message: &str| XrpcError::unauthorized("AuthenticationRequired", message);
    let document = server.resolver.did(issuer, freshness).await.map_err(|error| match error {
        ResolveError::Unavailable(..) => {
            XrpcError::with_status(StatusCode::BAD_GATEWAY, "UpstreamFailure", error.to_string())
        }
        ResolveError::NotFound(_)
        | ResolveError::Deactivated(_)
        | ResolveError::UnsupportedMethod(_)
        | ResolveError::BadDocument(..) => refused("could not resolve iss did"),
    })?;
    document.key(key).ok_or_else(|| refused("missing or bad key in did doc"))
}

fn token_error(error: &JwtError) -> XrpcError {
    match error {
        JwtError::Invalid => XrpcError::unauthorized("BadJwt", "poorly formatted jwt"),
        JwtError::Expired => XrpcError::unauthorized("JwtExpired", "jwt expired"),
        JwtError::WrongType => XrpcError::unauthorized("BadJwtType", "Invalid jwt type"),
        JwtError::BadSignature => XrpcError::unauthorized("BadJwtSignature", "jwt signature does not match jwt issuer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::{
            Curve, Secret, SigningKey,
            jwt::{Scope, SessionClaims, SessionKey, SessionToken, sign_service},
        },
        entropy::SeededEntropy,
    };

    const NOW: Timestamp = Timestamp::from_secs(1_000);
    const LXM: &str = "com.atproto.server.createAccount";

    fn service() -> Did {
        "did:web:pds.example.com".parse().unwrap()
    }

    fn claims() -> ServiceClaims {
        ServiceClaims {
            iat: 990,
            iss: "did:plc:ewvi7nxzyoun6zhxrhs64oiz".to_owned(),
            aud: service().to_string(),
            exp: 1_050,
            lxm: Some(LXM.to_owned()),
            jti: None,
        }
    }

    fn refusal(claims: &ServiceClaims) -> String {
        let key = SigningKey::generate(Curve::K256, &SeededEntropy::new(1));
        let error = open(&service(), LXM, &sign_service(&key, claims), NOW).unwrap_err();
        assert_eq!(error.status, StatusCode::UNAUTHORIZED);
        error.name.into_owned()
    }

    #[test]
    fn a_token_for_this_server_and_method_opens() {
        let key = SigningKey::generate(Curve::P256, &SeededEntropy::new(1));
        let (token, issuer) = open(&service(), LXM, &sign_service(&key, &claims()), NOW).unwrap();
        assert_eq!(issuer.account().unwrap().as_str(), claims().iss);
        assert!(token.verify(&key.did_key(), NOW).is_ok());
    }

    #[test]
    fn each_wrong_claim_has_its_name() {
        assert_eq!(refusal(&ServiceClaims { exp: 999, ..claims() }), "JwtExpired");
        assert_eq!(refusal(&ServiceClaims { aud: "did:web:other.example".into(), ..claims() }), "BadJwtAudience");
        assert_eq!(refusal(&ServiceClaims { lxm: None, ..claims() }), "BadJwtLexiconMethod");
        assert_eq!(
            refusal(&ServiceClaims { lxm: Some("com.atproto.repo.uploadBlob".into()), ..claims() }),
            "BadJwtLexiconMethod"
        );
        assert_eq!(refusal(&ServiceClaims { iss: "alice".into(), ..claims() }), "BadJwtIss");
        for empty in ["#", "#a#b"] {
            let iss = format!("{}{empty}", claims().iss);
            assert_eq!(refusal(&ServiceClaims { iss, ..claims() }), "BadJwtIss", "{empty}");
        }
    }

    #[test]
    fn a_session_token_is_no_service_token() {
        let session = SessionClaims {
            scope: Scope::Access,
            aud: service().to_string(),
            sub: claims().iss,
            iat: 990,
            exp: 1_050,
            auth_time: None,
            jti: None,
            epoch: 0,
            app_password: None,
        };
        let token = SessionKey::new(&Secret::new("s")).sign(SessionToken::Access, &session);
        assert_eq!(open(&service(), LXM, &token, NOW).unwrap_err().name, "BadJwtType");
        assert_eq!(open(&service(), LXM, "a.b", NOW).unwrap_err().name, "BadJwt");
    }

    #[test]
    fn a_service_of_a_did_is_not_its_account() {
        let service_of = Issuer::parse("did:plc:ewvi7nxzyoun6zhxrhs64oiz#atproto_labeler").unwrap();
        assert_eq!(service_of.account().unwrap_err().name, "BadJwtIss");
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod flows;
