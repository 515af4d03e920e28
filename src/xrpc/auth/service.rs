//! Service-auth tokens, signed by the issuer's own key. Spec: <https://atproto.com/specs/xrpc#inter-service-authentication-jwt>.

use super::{
    Authenticate,
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
    service::{Server, states::Capability},
    store::Account,
    syntax::Did,
    xrpc::{RequestHead, XrpcError, table::note_caller},
};
use http::StatusCode;
use std::sync::Arc;

/// Nothing, or a service-auth token for createAccount with an existing DID.
#[derive(Clone, Debug)]
pub struct OptionalServiceAuth {
    /// The issuer, if there was a token and it verified.
    pub issuer: Option<Did>,
}

impl Authenticate for OptionalServiceAuth {
    async fn authenticate(server: &Arc<Server>, head: &RequestHead) -> Result<Self, XrpcError> {
        match credentials::read(&head.headers)? {
            None => Ok(Self { issuer: None }),
            Some(Credentials::Basic(_)) => {
                Err(XrpcError::unauthorized("AuthenticationRequired", "Invalid authorization header"))
            }
            Some(Credentials::Bearer(token)) => {
                let (token, issuer) = open(&server.policy.service_did, &head.nsid, token, server.now())?;
                verify_by_document(server, &token, &issuer).await?;
                note_caller(&issuer);
                Ok(Self { issuer: Some(issuer) })
            }
        }
    }
}

/// Who uploads a blob: an account's session, or a service (the video service) with the account's own token.
#[derive(Clone, Debug)]
pub struct UploadAuth {
    /// The account; it may be deactivated, not taken down.
    pub account: Account,
}

impl Authenticate for UploadAuth {
    async fn authenticate(server: &Arc<Server>, head: &RequestHead) -> Result<Self, XrpcError> {
        let token = credentials::bearer(&head.headers)?;
        // Session tokens never name a method.
        let names_method = UnverifiedServiceToken::parse(token).is_ok_and(|token| token.claims.lxm.is_some());
        if !names_method {
            return session::uploader(server, token).await.map(|account| Self { account });
        }
        let (token, issuer) = open(&server.policy.service_did, &head.nsid, token, server.now())?;
        let account = session::find(server, &issuer).await?;
        // The key that this server holds answers without a directory; after a move, the document has another.
        let own: Option<DidKey> = account.signing_key.parse().ok();
        if own.is_none_or(|key| token.verify(&key, server.now()).is_err()) {
            verify_by_document(server, &token, &issuer).await?;
        }
        session::check_state(&account.state, Capability::UseSession)?;
        note_caller(&issuer);
        Ok(Self { account })
    }
}

/// Everything that can be checked without the issuer's key.
fn open(service: &Did, nsid: &str, token: &str, now: Timestamp) -> Result<(UnverifiedServiceToken, Did), XrpcError> {
    let token = UnverifiedServiceToken::parse(token).map_err(|error| token_error(&error))?;
    let issuer = check_claims(&token.claims, service, nsid, now)?;
    Ok((token, issuer))
}

fn check_claims(claims: &ServiceClaims, service: &Did, nsid: &str, now: Timestamp) -> Result<Did, XrpcError> {
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
    claims.iss.parse().map_err(|_| XrpcError::unauthorized("BadJwtIss", "jwt iss is not a valid did"))
}

/// Verifies with the key in the issuer's document, which is asked for again if the signature is not that key's: it may
/// have changed since.
async fn verify_by_document(server: &Server, token: &UnverifiedServiceToken, issuer: &Did) -> Result<(), XrpcError> {
    let known = issuer_key(server, issuer, Freshness::Cached).await?;
    match token.verify(&known, server.now()) {
        Err(JwtError::BadSignature) => {}
        outcome => return outcome.map_err(|error| token_error(&error)),
    }
    let fresh = issuer_key(server, issuer, Freshness::Now).await?;
    if fresh == known {
        return Err(token_error(&JwtError::BadSignature));
    }
    token.verify(&fresh, server.now()).map_err(|error| token_error(&error))
}

async fn issuer_key(server: &Server, issuer: &Did, freshness: Freshness) -> Result<DidKey, XrpcError> {
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
    document.signing_key.clone().ok_or_else(|| refused("missing or bad key in did doc"))
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
        assert_eq!(issuer.as_str(), claims().iss);
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
        assert_eq!(refusal(&ServiceClaims { iss: format!("{}#labeler", claims().iss), ..claims() }), "BadJwtIss");
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
        };
        let token = SessionKey::new(&Secret::new("s")).sign(SessionToken::Access, &session);
        assert_eq!(open(&service(), LXM, &token, NOW).unwrap_err().name, "BadJwtType");
        assert_eq!(open(&service(), LXM, "a.b", NOW).unwrap_err().name, "BadJwt");
    }
}
