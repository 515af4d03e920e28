//! A record's place in its repository. Spec: <https://atproto.com/specs/repository#repository-paths>.

use std::{fmt, str::FromStr};

use crate::{
    limits::repo::MAX_RECORD_PATH_BYTES,
    syntax::{Nsid, RecordKey, SyntaxError},
};

/// `collection/rkey`: the key of an MST entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordPath {
    /// The collection.
    pub collection: Nsid,
    /// The record key.
    pub rkey: RecordKey,
}

impl RecordPath {
    /// From its parts.
    pub fn new(collection: Nsid, rkey: RecordKey) -> Self {
        Self { collection, rkey }
    }
}

impl fmt::Display for RecordPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.collection, self.rkey)
    }
}

impl FromStr for RecordPath {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let wrong = |why| SyntaxError { what: "record path", why };
        if text.len() > MAX_RECORD_PATH_BYTES {
            return Err(wrong("it is longer than 1024 bytes"));
        }
        let (collection, rkey) = text.split_once('/').ok_or_else(|| wrong("a slash must follow the collection"))?;
        Ok(Self { collection: collection.parse()?, rkey: rkey.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_collection_and_a_record_key() {
        let path: RecordPath = "app.bsky.feed.post/3jzfcijpj2z2a".parse().unwrap();
        assert_eq!(path.collection.as_str(), "app.bsky.feed.post");
        assert_eq!(path.rkey.as_str(), "3jzfcijpj2z2a");
        assert_eq!(path.to_string(), "app.bsky.feed.post/3jzfcijpj2z2a");
    }

    #[test]
    fn paths_with_other_than_two_good_segments_are_refused() {
        let long = format!("app.bsky.feed.post/{}", "a".repeat(1_024));
        for bad in [
            "",
            "/",
            "app.bsky.feed.post",
            "app.bsky.feed.post/",
            "/a",
            "a/b",
            "com.example.a/b/c",
            "com.example.a/..",
            &long,
        ] {
            assert!(bad.parse::<RecordPath>().is_err(), "{bad}");
        }
    }
}
