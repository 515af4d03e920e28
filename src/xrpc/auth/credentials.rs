//! The `Authorization` header.

use crate::xrpc::XrpcError;
use data_encoding::{BASE64, BASE64_NOPAD};
use http::{HeaderMap, header};

/// What the header holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credentials<'a> {
    /// A token.
    Bearer(&'a str),
    /// Name and password, still in base64.
    Basic(&'a str),
}

/// Reads the header; absent or empty is nobody.
pub(super) fn read(headers: &HeaderMap) -> Result<Option<Credentials<'_>>, XrpcError> {
    let malformed = || XrpcError::bad("InvalidToken", "Malformed authorization header");
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().map_err(|_| malformed())?;
    if text.is_empty() {
        return Ok(None);
    }
    let (kind, content) = text.split_once(' ').ok_or_else(malformed)?;
    if content.is_empty() || content.contains(' ') {
        return Err(malformed());
    }
    if kind.eq_ignore_ascii_case("bearer") {
        Ok(Some(Credentials::Bearer(content)))
    } else if kind.eq_ignore_ascii_case("basic") {
        Ok(Some(Credentials::Basic(content)))
    } else {
        Err(XrpcError::bad("InvalidToken", format!("Unsupported authorization type: {kind}")))
    }
}

/// The token, where nothing else will do.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, XrpcError> {
    match read(headers)? {
        Some(Credentials::Bearer(token)) => Ok(token),
        Some(Credentials::Basic(_)) => Err(XrpcError::bad("InvalidToken", "Unexpected authorization type")),
        None => Err(XrpcError::unauthorized("AuthMissing", "Authentication Required")),
    }
}

/// Name and password of Basic credentials; the password may hold colons.
pub(super) fn basic(encoded: &str) -> Option<(String, String)> {
    let bytes = BASE64.decode(encoded.as_bytes()).or_else(|_| BASE64_NOPAD.decode(encoded.as_bytes())).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap())])
    }

    #[test]
    fn the_scheme_is_case_insensitive() {
        for text in ["Bearer abc", "bearer abc", "BEARER abc"] {
            assert_eq!(read(&headers(text)), Ok(Some(Credentials::Bearer("abc"))));
        }
        assert_eq!(read(&headers("basic abc")), Ok(Some(Credentials::Basic("abc"))));
    }

    #[test]
    fn malformed_headers_are_400_invalid_token() {
        for text in ["Bearer", "Bearer ", "Bearer a b", "Digest x", "DPoP", "\u{e9}"] {
            let error = read(&headers(text)).unwrap_err();
            assert_eq!((error.status.as_u16(), error.name.as_ref()), (400, "InvalidToken"), "{text}");
        }
    }

    #[test]
    fn nothing_is_401_auth_missing_where_a_token_is_needed() {
        let error = bearer(&HeaderMap::new()).unwrap_err();
        assert_eq!((error.status.as_u16(), error.name.as_ref()), (401, "AuthMissing"));
        assert_eq!(error.message, "Authentication Required");
    }
}
