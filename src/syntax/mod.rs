//! The protocol's identifiers: parsed once, at the door, into types that cannot hold anything else.
//!
//! Knows nothing of the network: that a DID or handle is well-formed says nothing about whether it exists.

mod at_identifier;
mod at_uri;
mod cid_text;
mod datetime;
mod did;
#[doc(hidden)]
pub mod fuzzing;
mod handle;
mod language;
mod nsid;
mod rkey;
mod tid;
mod uri;

pub use at_identifier::AtIdentifier;
pub use at_uri::AtUri;
pub use cid_text::CidText;
pub use datetime::Datetime;
pub use did::Did;
pub use handle::Handle;
pub use language::Language;
pub use nsid::Nsid;
pub use rkey::RecordKey;
pub use tid::Tid;
pub use uri::Uri;

#[cfg(test)]
mod tests;

/// Why a text is not the identifier that it should be: one sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {what} is not valid: {why}")]
pub struct SyntaxError {
    /// The kind of identifier: "DID", "handle", ….
    pub what: &'static str,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Deserialises a text through [`std::str::FromStr`], so that the error is the parser's own sentence and the text is
/// not copied before it is known to be good.
///
/// # Errors
/// When there is no text, or the parser refuses it.
pub fn deserialize_text<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
    D: serde::Deserializer<'de>,
{
    struct Text<T>(std::marker::PhantomData<T>);
    impl<T: std::str::FromStr<Err: std::fmt::Display>> serde::de::Visitor<'_> for Text<T> {
        type Value = T;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a text")
        }
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }
    deserializer.deserialize_str(Text(std::marker::PhantomData))
}

/// Serde through the text form, for a type with `FromStr<Err = SyntaxError>` and `Display`.
macro_rules! text_serde {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = SyntaxError;
            fn try_from(text: String) -> Result<Self, SyntaxError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                super::deserialize_text(deserializer)
            }
        }
    };
}
use text_serde;

/// An identifier that is a checked text: the type, and everything that is the same for all of them.
///
/// `$check` is `fn(&str) -> Result<(), &'static str>`, whose error is the reason; `$normalise`, where it is given, is
/// `fn(&str) -> String` and makes the form to keep out of a text that was checked.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:path) => {
        super::text_type!($(#[$doc])* $name, $what, $check, str::to_owned);
    };
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:path, $normalise:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text form.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = SyntaxError;
            fn from_str(text: &str) -> Result<Self, SyntaxError> {
                match $check(text) {
                    Ok(()) => Ok(Self($normalise(text))),
                    Err(why) => Err(SyntaxError { what: $what, why }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        super::text_serde!($name);
    };
}
use text_type;

/// Whether `label` can be a label of a domain name: 1 to 63 letters, digits and inner hyphens.
fn is_domain_label(label: &str) -> bool {
    (1..=crate::limits::syntax::LABEL_MAX_BYTES).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}
