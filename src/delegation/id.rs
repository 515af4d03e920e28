//! The name of a delegation: a verification method's fragment without `#`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{limits::delegation::ID_MAX_CHARS, plc::ATPROTO_KEY};

/// A delegation id: a lower-case letter, then at most 31 lower-case letters, digits and underscores.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DelegationId(String);

/// A text that is no delegation id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the delegation id is not valid: a lower-case letter is needed, then at most 31 lower-case letters, digits or underscores"
)]
pub struct DelegationIdError;

impl DelegationId {
    /// The id that is meant where none is named.
    pub const DEFAULT: &str = "e2ee";

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the protocol has this name for itself: `atproto`, and everything that begins with `atproto_`.
    pub fn is_reserved(&self) -> bool {
        self.0.strip_prefix(ATPROTO_KEY).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    }
}

impl Default for DelegationId {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

impl FromStr for DelegationId {
    type Err = DelegationIdError;

    fn from_str(text: &str) -> Result<Self, DelegationIdError> {
        let good = text.len() <= ID_MAX_CHARS
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if good { Ok(Self(text.to_owned())) } else { Err(DelegationIdError) }
    }
}

impl fmt::Display for DelegationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for DelegationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DelegationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::syntax::deserialize_text(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_e2ee_and_free() {
        assert_eq!(DelegationId::default().to_string(), "e2ee");
        assert!(!DelegationId::default().is_reserved());
    }

    #[test]
    fn ids_of_the_allowed_form_parse() {
        for text in ["e2ee", "a", "z9_", &"a".repeat(32)] {
            assert_eq!(text.parse::<DelegationId>().map(|id| id.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn other_texts_do_not_parse() {
        for text in ["", "E2ee", "1a", "_a", "a-b", "a.b", "#a", "a ", "\u{e9}", &"a".repeat(33)] {
            assert_eq!(text.parse::<DelegationId>(), Err(DelegationIdError), "{text}");
        }
    }

    #[test]
    fn the_names_of_the_protocol_are_reserved_and_names_like_them_are_not() {
        for (text, reserved) in
            [("atproto", true), ("atproto_", true), ("atproto_label", true), ("atprotox", false), ("atprot", false)]
        {
            assert_eq!(text.parse::<DelegationId>().unwrap().is_reserved(), reserved, "{text}");
        }
    }
}
