//! AT-URIs, in the restricted form that lexicons use. Spec: <https://atproto.com/specs/at-uri-scheme>.
use super::{AtIdentifier, Did, Nsid, RecordKey, SyntaxError, text_serde};
use crate::limits::syntax::URI_MAX_BYTES;

/// `at://authority[/collection[/rkey]]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AtUri {
    /// The account.
    pub authority: AtIdentifier,
    /// The collection, when there is one.
    pub collection: Option<Nsid>,
    /// The record key, only with a collection.
    pub rkey: Option<RecordKey>,
}

impl AtUri {
    /// The URI of one record.
    pub fn record(did: &Did, collection: &Nsid, rkey: &RecordKey) -> Self {
        Self {
            authority: AtIdentifier::Did(did.clone()),
            collection: Some(collection.clone()),
            rkey: Some(rkey.clone()),
        }
    }
}

impl std::str::FromStr for AtUri {
    type Err = SyntaxError;
    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let refuse = |why| SyntaxError { what: "AT-URI", why };
        if text.len() > URI_MAX_BYTES {
            return Err(refuse("it is longer than 8,192 bytes"));
        }
        let rest = text.strip_prefix("at://").ok_or_else(|| refuse("it must begin with \"at://\""))?;
        let mut parts = rest.split('/');
        let authority = parts.next().unwrap_or("").parse().map_err(|cause: SyntaxError| refuse(cause.why))?;
        let collection = parts.next().map(str::parse).transpose().map_err(|cause: SyntaxError| refuse(cause.why))?;
        let rkey = parts.next().map(str::parse).transpose().map_err(|cause: SyntaxError| refuse(cause.why))?;
        if parts.next().is_some() {
            return Err(refuse("nothing may follow the record key"));
        }
        Ok(Self { authority, collection, rkey })
    }
}

impl std::fmt::Display for AtUri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at://{}", self.authority)?;
        if let Some(collection) = &self.collection {
            write!(f, "/{collection}")?;
            if let Some(rkey) = &self.rkey {
                write!(f, "/{rkey}")?;
            }
        }
        Ok(())
    }
}

text_serde!(AtUri);
