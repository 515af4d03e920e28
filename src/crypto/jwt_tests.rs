use super::*;
use crate::{crypto::Curve, entropy::SeededEntropy};

const AUD: &str = "did:web:pds.test";
const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn session_key() -> SessionKey {
    SessionKey::new(&Secret::new("a secret of the server"))
}

fn session_claims() -> SessionClaims {
    SessionClaims {
        scope: Scope::Access,
        aud: AUD.to_owned(),
        sub: "did:plc:abc".to_owned(),
        iat: NOW.as_secs(),
        exp: NOW.as_secs() + 7200,
        auth_time: None,
        jti: None,
        epoch: 0,
        app_password: None,
    }
}

fn service_claims() -> ServiceClaims {
    ServiceClaims {
        iat: NOW.as_secs(),
        iss: "did:plc:abc".to_owned(),
        aud: "did:web:feed.test".to_owned(),
        exp: NOW.as_secs() + 60,
        lxm: Some("app.bsky.feed.getFeed".to_owned()),
        jti: Some("00".repeat(16)),
    }
}

/// A token with these parts as JSON, signed as a session token would be.
fn hs256(header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", BASE64URL_NOPAD.encode(header.as_bytes()), BASE64URL_NOPAD.encode(claims.as_bytes()));
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &session_key().encoding, Algorithm::HS256).unwrap();
    format!("{signed}.{signature}")
}

fn service_token(key: &SigningKey, header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", BASE64URL_NOPAD.encode(header.as_bytes()), BASE64URL_NOPAD.encode(claims.as_bytes()));
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&key.sign(signed.as_bytes()).0))
}

fn signing_key(curve: Curve) -> SigningKey {
    SigningKey::generate(curve, &SeededEntropy::new(1))
}

fn header_of(token: &str) -> serde_json::Value {
    decode_part(token.split('.').next().unwrap()).unwrap()
}

#[test]
fn a_session_token_gives_back_its_claims() {
    let refresh = SessionClaims { scope: Scope::Refresh, jti: Some("id".to_owned()), ..session_claims() };
    for (kind, claims) in [(SessionToken::Access, session_claims()), (SessionToken::Refresh, refresh)] {
        let token = session_key().sign(kind, &claims);
        assert_eq!(session_key().verify(kind, &token, AUD, NOW), Ok(claims));
    }
}

#[test]
fn the_header_names_type_and_algorithm() {
    let token = session_key().sign(SessionToken::Access, &session_claims());
    assert_eq!(header_of(&token), serde_json::json!({"typ": "at+jwt", "alg": "HS256"}));
    let token = sign_service(&signing_key(Curve::K256), &service_claims());
    assert_eq!(header_of(&token), serde_json::json!({"typ": "JWT", "alg": "ES256K"}));
}

#[test]
fn a_refresh_token_is_no_access_token_nor_the_other_way() {
    let key = session_key();
    let access = key.sign(SessionToken::Access, &session_claims());
    let refresh = key.sign(SessionToken::Refresh, &session_claims());
    assert_eq!(key.verify(SessionToken::Refresh, &access, AUD, NOW), Err(JwtError::Invalid));
    assert_eq!(key.verify(SessionToken::Access, &refresh, AUD, NOW), Err(JwtError::Invalid));
}

#[test]
fn a_session_token_is_refused_at_the_instant_it_expires() {
    let (key, claims) = (session_key(), session_claims());
    let token = key.sign(SessionToken::Access, &claims);
    let before = Timestamp::from_secs(claims.exp - 1);
    let at = Timestamp::from_secs(claims.exp);
    assert!(key.verify(SessionToken::Access, &token, AUD, before).is_ok());
    assert_eq!(key.verify(SessionToken::Access, &token, AUD, at), Err(JwtError::Expired));
    assert_eq!(key.verify_ignoring_expiry(SessionToken::Access, &token, AUD), Ok(claims));
}

#[test]
fn a_session_token_of_another_server_or_secret_is_refused() {
    let token = session_key().sign(SessionToken::Access, &session_claims());
    let other = SessionKey::new(&Secret::new("another secret"));
    assert_eq!(other.verify(SessionToken::Access, &token, AUD, NOW), Err(JwtError::Invalid));
    assert_eq!(session_key().verify(SessionToken::Access, &token, "did:web:x", NOW), Err(JwtError::Invalid));
}

#[test]
fn claims_or_headers_of_other_kinds_of_token_are_refused() {
    let good = r#"{"scope":"com.atproto.access","aud":"did:web:pds.test","sub":"did:plc:a","iat":1,"exp":2000000"#;
    let header = r#"{"typ":"at+jwt","alg":"HS256"}"#;
    let verify = |token: &str| session_key().verify(SessionToken::Access, token, AUD, NOW);
    assert!(verify(&hs256(header, &format!("{good}}}"))).is_ok());
    assert!(verify(&hs256(header, &format!(r#"{good},"other":1}}"#))).is_ok());
    for (header, claims) in [
        (header, format!(r#"{good},"lxm":"a.b.c"}}"#)),
        (header, format!(r#"{good},"cnf":{{"jkt":"x"}}}}"#)),
        (header, good.replace("com.atproto.access", "everything") + "}"),
        (header, good.replace(r#""aud":"did:web:pds.test","#, "") + "}"),
        (header, good.replace(r#","exp":2000000"#, "") + "}"),
        (r#"{"typ":"JWT","alg":"HS256"}"#, format!("{good}}}")),
        (r#"{"alg":"HS256"}"#, format!("{good}}}")),
        (r#"{"typ":"at+jwt","alg":"HS384"}"#, format!("{good}}}")),
        (r#"{"typ":"at+jwt","alg":"none"}"#, format!("{good}}}")),
        (r#"{"typ":"at+jwt","alg":"HS256","crit":["x"]}"#, format!("{good}}}")),
    ] {
        assert_eq!(verify(&hs256(header, &claims)), Err(JwtError::Invalid), "{header} {claims}");
    }
}

#[test]
fn texts_that_are_no_token_are_refused() {
    let token = session_key().sign(SessionToken::Access, &session_claims());
    let long = format!("{}.a.b", "a".repeat(TOKEN_MAX_BYTES));
    for bad in ["", ".", "..", "a.b.c", "a.b.c.d", token.trim_end_matches(char::is_alphanumeric), &long] {
        assert_eq!(session_key().verify(SessionToken::Access, bad, AUD, NOW), Err(JwtError::Invalid), "{bad}");
        assert!(UnverifiedServiceToken::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_service_token_verifies_with_its_issuers_key_on_both_curves() {
    for curve in [Curve::K256, Curve::P256] {
        let key = signing_key(curve);
        let token = UnverifiedServiceToken::parse(&sign_service(&key, &service_claims())).unwrap();
        assert_eq!(token.claims, service_claims());
        assert_eq!(token.verify(&key.did_key(), NOW), Ok(()));
    }
}

#[test]
fn a_service_token_is_refused_with_another_key_or_curve() {
    let token = UnverifiedServiceToken::parse(&sign_service(&signing_key(Curve::K256), &service_claims())).unwrap();
    let other = SigningKey::generate(Curve::K256, &SeededEntropy::new(2));
    assert_eq!(token.verify(&other.did_key(), NOW), Err(JwtError::BadSignature));
    assert_eq!(token.verify(&signing_key(Curve::P256).did_key(), NOW), Err(JwtError::BadSignature));
}

#[test]
fn a_service_token_is_good_through_its_last_second() {
    let key = signing_key(Curve::K256);
    let token = UnverifiedServiceToken::parse(&sign_service(&key, &service_claims())).unwrap();
    let exp = service_claims().exp;
    assert_eq!(token.verify(&key.did_key(), Timestamp::from_secs(exp)), Ok(()));
    assert_eq!(token.verify(&key.did_key(), Timestamp::from_secs(exp + 1)), Err(JwtError::Expired));
}

#[test]
fn changed_claims_break_the_signature() {
    let key = signing_key(Curve::K256);
    let token = sign_service(&key, &service_claims());
    let parts: Vec<_> = token.split('.').collect();
    let claims = encode_part(&ServiceClaims { aud: "did:web:other.test".to_owned(), ..service_claims() });
    let forged = UnverifiedServiceToken::parse(&format!("{}.{claims}.{}", parts[0], parts[2])).unwrap();
    assert_eq!(forged.verify(&key.did_key(), NOW), Err(JwtError::BadSignature));
}

#[test]
fn session_and_dpop_types_are_no_service_tokens() {
    let claims = r#"{"iss":"did:plc:a","aud":"did:web:b","exp":2000000}"#;
    let key = signing_key(Curve::K256);
    for typ in ["at+jwt", "refresh+jwt", "dpop+jwt"] {
        let token = service_token(&key, &format!(r#"{{"typ":"{typ}","alg":"ES256K"}}"#), claims);
        assert_eq!(UnverifiedServiceToken::parse(&token).err(), Some(JwtError::WrongType));
    }
    for header in [r#"{"alg":"HS256"}"#, r#"{"alg":"none"}"#, r#"{"alg":"ES256K","crit":[]}"#, "{}", "[]"] {
        let token = service_token(&key, header, claims);
        assert_eq!(UnverifiedServiceToken::parse(&token).err(), Some(JwtError::Invalid), "{header}");
    }
}

#[test]
fn a_service_token_without_type_and_time_of_issue_is_accepted() {
    let key = signing_key(Curve::P256);
    let token = service_token(&key, r#"{"alg":"ES256"}"#, r#"{"iss":"a","aud":"b","exp":2000000.75}"#);
    let token = UnverifiedServiceToken::parse(&token).unwrap();
    assert_eq!((token.claims.iat, token.claims.exp), (0, 2_000_000));
    assert_eq!(token.verify(&key.did_key(), NOW), Ok(()));
    for claims in [r#"{"aud":"b","exp":1}"#, r#"{"iss":"a","exp":1}"#, r#"{"iss":"a","aud":"b"}"#] {
        let token = service_token(&key, r#"{"alg":"ES256"}"#, claims);
        assert_eq!(UnverifiedServiceToken::parse(&token).err(), Some(JwtError::Invalid), "{claims}");
    }
}

#[test]
fn the_fuzzing_body_accepts_good_and_bad_input() {
    crate::crypto::fuzzing::service_token(sign_service(&signing_key(Curve::K256), &service_claims()).as_bytes());
    crate::crypto::fuzzing::service_token(b"a.b.c");
    crate::crypto::fuzzing::service_token(&[0xff]);
}
