//! Formats of text. Spec: <https://atproto.com/specs/lexicon#string-formats>.

use crate::syntax::{AtIdentifier, AtUri, CidText, Datetime, Did, Handle, Language, Nsid, RecordKey, Tid, Uri};

/// What a text must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    AtIdentifier,
    AtUri,
    Cid,
    Datetime,
    Did,
    Handle,
    Language,
    Nsid,
    RecordKey,
    Tid,
    Uri,
}

impl Format {
    /// By its name in schemas.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "at-identifier" => Self::AtIdentifier,
            "at-uri" => Self::AtUri,
            "cid" => Self::Cid,
            "datetime" => Self::Datetime,
            "did" => Self::Did,
            "handle" => Self::Handle,
            "language" => Self::Language,
            "nsid" => Self::Nsid,
            "record-key" => Self::RecordKey,
            "tid" => Self::Tid,
            "uri" => Self::Uri,
            _ => return None,
        })
    }

    /// Whether `text` has it.
    pub(super) fn fits(self, text: &str) -> bool {
        match self {
            Self::AtIdentifier => text.parse::<AtIdentifier>().is_ok(),
            Self::AtUri => text.parse::<AtUri>().is_ok(),
            Self::Cid => text.parse::<CidText>().is_ok(),
            Self::Datetime => text.parse::<Datetime>().is_ok(),
            Self::Did => text.parse::<Did>().is_ok(),
            Self::Handle => text.parse::<Handle>().is_ok(),
            Self::Language => text.parse::<Language>().is_ok(),
            Self::Nsid => text.parse::<Nsid>().is_ok(),
            Self::RecordKey => text.parse::<RecordKey>().is_ok(),
            Self::Tid => text.parse::<Tid>().is_ok(),
            Self::Uri => text.parse::<Uri>().is_ok(),
        }
    }

    /// The reference's words for a text that has it not.
    pub(super) const fn demand(self) -> &'static str {
        match self {
            Self::AtIdentifier => "must be a valid did or a handle",
            Self::AtUri => "must be a valid at-uri",
            Self::Cid => "must be a cid string",
            Self::Datetime => "must be an valid atproto datetime (both RFC-3339 and ISO-8601)",
            Self::Did => "must be a valid did",
            Self::Handle => "must be a valid handle",
            Self::Language => "must be a well-formed BCP 47 language tag",
            Self::Nsid => "must be a valid nsid",
            Self::RecordKey => "must be a valid Record Key",
            Self::Tid => "must be a valid TID",
            Self::Uri => "must be a uri",
        }
    }
}
