//! Session tokens (HS256) and service-auth tokens (ES256K, ES256).
//!
//! Spec of the second kind: <https://atproto.com/specs/xrpc#inter-service-authentication-jwt>. They have their own code
//! because the JWT crate knows no ES256K.

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Curve, DidKey, Secret, SigningKey};
use crate::{clock::Timestamp, limits::accounts::TOKEN_MAX_BYTES};

/// The scope of a session token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// Everything the account may do.
    #[serde(rename = "com.atproto.access")]
    Access,
    /// May only be exchanged for new tokens.
    #[serde(rename = "com.atproto.refresh")]
    Refresh,
    /// An app password.
    #[serde(rename = "com.atproto.appPass")]
    AppPass,
    /// An app password that may use private methods.
    #[serde(rename = "com.atproto.appPassPrivileged")]
    AppPassPrivileged,
    /// Waiting for sign-up.
    #[serde(rename = "com.atproto.signupQueued")]
    SignupQueued,
    /// An account that was taken down.
    #[serde(rename = "com.atproto.takendown")]
    Takendown,
}

/// Claims of an access or refresh token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionClaims {
    /// What it is for.
    pub scope: Scope,
    /// The service's DID.
    pub aud: String,
    /// The account's DID.
    pub sub: String,
    /// When it was issued, in seconds since the epoch.
    pub iat: i64,
    /// The instant from which it is expired, in seconds since the epoch.
    pub exp: i64,
    /// When the session was opened with the password, in seconds since the epoch; a refresh keeps it. Only in access
    /// tokens of full sessions.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub auth_time: Option<i64>,
    /// Only in refresh tokens.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub jti: Option<String>,
    /// The account's session epoch when it was issued; access tokens of another are over.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub epoch: i64,
    /// The number of the app password that opened the session: without that one the token is over.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub app_password: Option<i64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Which of the two session tokens: decides the header's `typ`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionToken {
    /// `at+jwt`.
    Access,
    /// `refresh+jwt`.
    Refresh,
}

impl SessionToken {
    const fn typ(self) -> &'static str {
        match self {
            Self::Access => "at+jwt",
            Self::Refresh => "refresh+jwt",
        }
    }
}

/// Why a token was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Not a token of the right form, type, algorithm or signature.
    #[error("Token could not be verified")]
    Invalid,
    /// Good, but over.
    #[error("Token has expired")]
    Expired,
    /// A session, refresh or `DPoP` token where a service token is needed (`BadJwtType`). Service tokens only.
    #[error("the token is of a type that is no service token")]
    WrongType,
    /// Well formed, but the signature is not this key's (`BadJwtSignature`). Service tokens only.
    #[error("the token's signature does not match its issuer's key")]
    BadSignature,
}

/// Signs and checks session tokens with the server's `jwt_secret`.
#[derive(Clone)]
pub struct SessionKey {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

/// Claims as read: those that mark a token of another kind are noticed.
#[derive(Deserialize)]
struct ReadSessionClaims {
    #[serde(flatten)]
    claims: SessionClaims,
    #[serde(default)]
    lxm: Option<serde_json::Value>,
    #[serde(default)]
    cnf: Option<serde_json::Value>,
}

impl SessionKey {
    /// From any non-empty secret: its bytes are the HS256 key.
    pub fn new(secret: &Secret) -> Self {
        let bytes = secret.expose().as_bytes();
        Self { encoding: EncodingKey::from_secret(bytes), decoding: DecodingKey::from_secret(bytes) }
    }

    /// A signed token.
    #[expect(clippy::expect_used, reason = "HMAC takes every key, and the claims are texts and numbers")]
    pub fn sign(&self, kind: SessionToken, claims: &SessionClaims) -> String {
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(kind.typ().to_owned());
        jsonwebtoken::encode(&header, claims, &self.encoding).expect("claims serialize")
    }

    /// Checks form, typ, signature, audience and expiry; refuses tokens with `lxm` or `cnf`.
    ///
    /// # Errors
    /// [`JwtError::Expired`] from the second named by `exp` on; [`JwtError::Invalid`] for everything else.
    pub fn verify(
        &self,
        kind: SessionToken,
        token: &str,
        aud: &str,
        now: Timestamp,
    ) -> Result<SessionClaims, JwtError> {
        let claims = self.verify_ignoring_expiry(kind, token, aud)?;
        if claims.exp <= now.as_secs() { Err(JwtError::Expired) } else { Ok(claims) }
    }

    /// The same, but an expired token is accepted (deleteSession).
    ///
    /// # Errors
    /// [`JwtError::Invalid`] as above.
    pub fn verify_ignoring_expiry(
        &self,
        kind: SessionToken,
        token: &str,
        aud: &str,
    ) -> Result<SessionClaims, JwtError> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(JwtError::Invalid);
        }
        // Time and audience are checked here: the crate reads the system's clock, and takes a missing audience.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let read = jsonwebtoken::decode::<ReadSessionClaims>(token, &self.decoding, &validation)
            .map_err(|_| JwtError::Invalid)?;
        let right_header = read.header.typ.as_deref() == Some(kind.typ()) && read.header.crit.is_none();
        let ReadSessionClaims { claims, lxm, cnf } = read.claims;
        if right_header && lxm.is_none() && cnf.is_none() && claims.aud == aud {
            Ok(claims)
        } else {
            Err(JwtError::Invalid)
        }
    }
}

/// Claims of a service-auth token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceClaims {
    /// When it was issued, in seconds since the epoch; 0 where the token does not say.
    #[serde(deserialize_with = "seconds", default)]
    pub iat: i64,
    /// The account, with `#service` for services.
    pub iss: String,
    /// The audience.
    pub aud: String,
    /// The last second in which it is good, in seconds since the epoch.
    #[serde(deserialize_with = "seconds")]
    pub exp: i64,
    /// The one method it may call.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lxm: Option<String>,
    /// 16 random bytes in hex.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub jti: Option<String>,
}

#[derive(Serialize)]
struct ServiceHeader {
    typ: &'static str,
    alg: &'static str,
}

#[derive(Deserialize)]
struct ReadServiceHeader {
    alg: String,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// A service-auth token signed with the account's key (ES256K or ES256 by its curve).
pub fn sign_service(key: &SigningKey, claims: &ServiceClaims) -> String {
    let header = ServiceHeader { typ: "JWT", alg: key.curve().jwt_alg() };
    let mut token = format!("{}.{}", encode_part(&header), encode_part(claims));
    let signature = key.sign(token.as_bytes());
    token.push('.');
    token.push_str(&BASE64URL_NOPAD.encode(&signature.0));
    token
}

/// A parsed service-auth token whose signature is not checked yet.
#[derive(Clone, Debug)]
pub struct UnverifiedServiceToken {
    /// Its claims.
    pub claims: ServiceClaims,
    curve: Curve,
    signed: String,
    signature: [u8; 64],
}

impl UnverifiedServiceToken {
    /// Parses; refuses the session, refresh and `DPoP` types.
    ///
    /// # Errors
    /// [`JwtError::WrongType`] for those types, [`JwtError::Invalid`] for another form or algorithm.
    pub fn parse(token: &str) -> Result<Self, JwtError> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(JwtError::Invalid);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Invalid)?;
        let (header, claims) = signed.split_once('.').ok_or(JwtError::Invalid)?;
        let header: ReadServiceHeader = decode_part(header)?;
        if let Some("at+jwt" | "refresh+jwt" | "dpop+jwt") = header.typ.as_deref() {
            return Err(JwtError::WrongType);
        }
        let curve = match header.alg.as_str() {
            "ES256K" => Curve::K256,
            "ES256" => Curve::P256,
            _ => return Err(JwtError::Invalid),
        };
        if header.crit.is_some() {
            return Err(JwtError::Invalid);
        }
        let signature = decode_base64url(signature)?.try_into().map_err(|_| JwtError::Invalid)?;
        Ok(Self { claims: decode_part(claims)?, curve, signed: signed.to_owned(), signature })
    }

    /// What was signed, as text: tells it from every other token.
    pub fn text(&self) -> String {
        self.signed.clone()
    }

    /// Checks the signature with the issuer's key, and the time.
    ///
    /// # Errors
    /// [`JwtError::Expired`] after the second named by `exp`, whoever signed it; [`JwtError::BadSignature`] when the key
    /// is of another curve than the token says, or did not sign it: the issuer's document may have changed since.
    pub fn verify(&self, key: &DidKey, now: Timestamp) -> Result<(), JwtError> {
        if now.as_secs() > self.claims.exp {
            return Err(JwtError::Expired);
        }
        if key.curve() != self.curve {
            return Err(JwtError::BadSignature);
        }
        key.verify_allowing_high_s(self.signed.as_bytes(), &self.signature).map_err(|_| JwtError::BadSignature)
    }
}

#[expect(clippy::expect_used, reason = "structs of texts and numbers always serialize")]
fn encode_part(part: &impl Serialize) -> String {
    BASE64URL_NOPAD.encode(&serde_json::to_vec(part).expect("texts and numbers serialize"))
}

fn decode_base64url(text: &str) -> Result<Vec<u8>, JwtError> {
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| JwtError::Invalid)
}

fn decode_part<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, JwtError> {
    serde_json::from_slice(&decode_base64url(text)?).map_err(|_| JwtError::Invalid)
}

/// Whole seconds of a JSON number: some clients write `Date.now() / 1000` as it is.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    if let Some(whole) = number.as_i64() {
        return Ok(whole);
    }
    #[expect(clippy::cast_possible_truncation, reason = "in range, and the fraction is meant to go")]
    number
        .as_f64()
        .filter(|fraction| fraction.abs() < 1e15)
        .map(|fraction| fraction.floor() as i64)
        .ok_or_else(|| serde::de::Error::custom("not a time in seconds"))
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
