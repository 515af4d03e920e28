//! The name of one request, in the log and in its answer.

use std::{fmt, sync::Arc};

use http::{HeaderName, HeaderValue};

use crate::limits::http::REQUEST_ID_MAX_BYTES;

/// What ties an answer to the lines of the log that are about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The header that carries it.
    pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

    /// The one that somebody trusted gave it; none if it is too long, or not of letters, digits, `-`, `_` and `.`.
    pub fn given(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok().filter(|text| (1..=REQUEST_ID_MAX_BYTES).contains(&text.len()))?;
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        is_plain.then(|| Self(text.into()))
    }

    /// For the answer.
    pub fn to_header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

impl From<u64> for RequestId {
    fn from(number: u64) -> Self {
        Self(format!("{number:x}").into())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_must_be_short_and_plain() {
        let given = |text: &str| RequestId::given(&HeaderValue::from_str(text).unwrap()).map(|id| id.to_string());
        assert_eq!(given("4f-A_9.z").as_deref(), Some("4f-A_9.z"));
        assert_eq!(given(&"a".repeat(REQUEST_ID_MAX_BYTES)).unwrap().len(), REQUEST_ID_MAX_BYTES);
        for bad in ["", "a b", "a,b", "a\tb", "\"", &"a".repeat(REQUEST_ID_MAX_BYTES + 1)] {
            assert_eq!(given(bad), None, "{bad}");
        }
        assert_eq!(RequestId::from(255).to_header().unwrap(), "ff");
    }
}
