//! What validation needs to see of a value, whichever form it has in memory.

use serde_json::Value as Json;

use crate::{
    ipld::{
        Value,
        json::{as_blob_ref, from_json},
    },
    limits::ipld::JSON_MAX_INTEGER,
};

/// A value as validation sees it.
pub(super) enum View<'a, N> {
    Null,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    /// So many bytes.
    Bytes(usize),
    Link,
    Blob {
        mime_type: &'a str,
        size: i64,
    },
    List(&'a [N]),
    /// A map that is none of the above.
    Map,
    /// Nothing that the data model has: a fraction, a broken link.
    Other,
}

/// A value that can be looked at.
pub(super) trait Node: Sized {
    fn view(&self) -> View<'_, Self>;

    /// An entry of a map.
    fn entry(&self, key: &str) -> Option<&Self>;
}

impl Node for Value {
    fn view(&self) -> View<'_, Self> {
        match self {
            Self::Null => View::Null,
            Self::Bool(b) => View::Bool(*b),
            Self::Int(n) => View::Int(*n),
            Self::Text(text) => View::Text(text),
            Self::Bytes(bytes) => View::Bytes(bytes.len()),
            Self::Link(_) => View::Link,
            Self::List(items) => View::List(items),
            Self::Map(map) => match (self.type_name(), map.get("mimeType")) {
                (Some("blob"), Some(Self::Text(mime_type))) => match as_blob_ref(self) {
                    Some(blob) => View::Blob { mime_type, size: blob.size },
                    None => View::Map,
                },
                _ => View::Map,
            },
        }
    }

    fn entry(&self, key: &str) -> Option<&Self> {
        self.get(key)
    }
}

/// JSON of the data model, without making a tree of values out of it.
impl Node for Json {
    fn view(&self) -> View<'_, Self> {
        match self {
            Self::Null => View::Null,
            Self::Bool(b) => View::Bool(*b),
            Self::Number(number) => integer(number).map_or(View::Other, View::Int),
            Self::String(text) => View::Text(text),
            Self::Array(items) => View::List(items),
            Self::Object(map) => {
                let is_blob = map.get("$type").and_then(Self::as_str) == Some("blob");
                if !is_blob && !map.contains_key("$link") && !map.contains_key("$bytes") {
                    return View::Map;
                }
                match (from_json(self), map.get("mimeType")) {
                    (Ok(Value::Link(_)), _) => View::Link,
                    (Ok(Value::Bytes(bytes)), _) => View::Bytes(bytes.len()),
                    (Ok(value), Some(Self::String(mime_type))) => match as_blob_ref(&value) {
                        Some(blob) => View::Blob { mime_type, size: blob.size },
                        None => View::Map,
                    },
                    _ => View::Other,
                }
            }
        }
    }

    fn entry(&self, key: &str) -> Option<&Self> {
        self.get(key)
    }
}

fn integer(number: &serde_json::Number) -> Option<i64> {
    if let Some(n) = number.as_i64() {
        return (-JSON_MAX_INTEGER..=JSON_MAX_INTEGER).contains(&n).then_some(n);
    }
    // A number with a fraction of zero is an integer in JSON; `from_json` knows which are.
    match from_json(&Json::Number(number.clone())) {
        Ok(Value::Int(n)) => Some(n),
        _ => None,
    }
}
