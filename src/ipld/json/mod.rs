//! The data model in JSON. Spec: <https://atproto.com/specs/data-model>.
mod transcode;

use std::sync::LazyLock;

use data_encoding::Encoding;
use serde_json::Value as Json;

pub use transcode::write_cbor_as_json;

use super::{BlobRef, Map, Value};
use crate::limits::ipld::{CBOR_MAX_ITEMS, JSON_MAX_INTEGER, MAX_DEPTH};

/// Why JSON does not fit the data model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// A record or message that is not an object.
    #[error("the JSON is not an object")]
    NotAnObject,
    /// A number with a fraction.
    #[error("the JSON holds a number that is not an integer")]
    Float,
    /// An integer that JavaScript could not hold.
    #[error("the JSON holds an integer beyond \u{b1}(2^53 \u{2212} 1)")]
    IntegerRange,
    /// `$link` without a CID, or with other keys beside it.
    #[error("a JSON object with $link must hold one CID (CIDv1, SHA-256, dag-cbor or raw) and nothing else")]
    Link,
    /// `$bytes` without base64, or with other keys beside it.
    #[error("a JSON object with $bytes must hold one text in base64 and nothing else")]
    Bytes,
    /// `$type` that is not a text, or empty.
    #[error("$type must be a text that is not empty")]
    Type,
    /// `$type: blob` without what belongs to it.
    #[error("a blob must have a link in ref, a text in mimeType and a size that is not negative")]
    Blob,
    /// Lists and objects nested too deeply.
    #[error("the JSON is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// Too many values in one tree.
    #[error("the JSON holds more than {CBOR_MAX_ITEMS} values")]
    TooManyItems,
}

/// From parsed JSON: `$link`, `$bytes`, integers only (an integral float is an integer), ±(2^53−1), depth bounded.
///
/// # Errors
/// When the JSON is not the data model's; see [`JsonError`].
pub fn from_json(json: &Json) -> Result<Value, JsonError> {
    let mut budget = CBOR_MAX_ITEMS;
    tree(json, MAX_DEPTH, &mut budget)
}

/// [`from_json`] of something that must be an object: a record, a message.
///
/// # Errors
/// When it is not an object, or not the data model's; see [`JsonError`].
pub fn map_from_json(json: &Json) -> Result<Map, JsonError> {
    let Value::Map(map) = from_json(json)? else { return Err(JsonError::NotAnObject) };
    Ok(map)
}

/// To JSON.
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(b) => Json::from(*b),
        Value::Int(n) => Json::from(*n),
        Value::Text(text) => Json::from(text.as_str()),
        Value::Bytes(bytes) => single("$bytes", data_encoding::BASE64_NOPAD.encode(bytes)),
        Value::Link(cid) => single("$link", cid.to_string()),
        Value::List(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Map(map) => Json::Object(map.iter().map(|(key, value)| (key.to_owned(), to_json(value))).collect()),
    }
}

/// Every blob reference (`$type: blob`) below `value`: cid, mimeType, size. What only looks like one is left out.
pub fn blob_refs(value: &Value) -> Vec<BlobRef> {
    let mut found = Vec::new();
    collect_blobs(value, MAX_DEPTH, &mut found);
    found
}

/// The blob that this very value refers to, if it is such a reference.
pub fn as_blob_ref(value: &Value) -> Option<BlobRef> {
    value.as_map().filter(|map| map.get("$type").and_then(Value::as_text) == Some("blob")).and_then(blob_ref)
}

fn single(key: &str, text: String) -> Json {
    Json::Object(std::iter::once((key.to_owned(), Json::String(text))).collect())
}

fn tree(json: &Json, depth: usize, budget: &mut usize) -> Result<Value, JsonError> {
    *budget = budget.checked_sub(1).ok_or(JsonError::TooManyItems)?;
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => Value::Int(integer(n)?),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => {
            let depth = depth.checked_sub(1).ok_or(JsonError::TooDeep)?;
            Value::List(items.iter().map(|item| tree(item, depth, budget)).collect::<Result<_, _>>()?)
        }
        Json::Object(object) => {
            if let Some(link) = object.get("$link") {
                let text = link.as_str().filter(|_| object.len() == 1).ok_or(JsonError::Link)?;
                return Ok(Value::Link(text.parse().map_err(|_| JsonError::Link)?));
            }
            if let Some(bytes) = object.get("$bytes") {
                let text = bytes.as_str().filter(|_| object.len() == 1).ok_or(JsonError::Bytes)?;
                return Ok(Value::Bytes(base64(text).ok_or(JsonError::Bytes)?));
            }
            let depth = depth.checked_sub(1).ok_or(JsonError::TooDeep)?;
            let entries = object.iter().map(|(key, value)| Ok((key.as_str(), tree(value, depth, budget)?)));
            let map = entries.collect::<Result<Map, _>>()?;
            check_type(&map)?;
            Value::Map(map)
        }
    })
}

fn integer(number: &serde_json::Number) -> Result<i64, JsonError> {
    #[expect(clippy::cast_precision_loss, reason = "2^53 − 1 is exact")]
    const MAX: f64 = JSON_MAX_INTEGER as f64;
    let n = if let Some(n) = number.as_i64() {
        n
    } else {
        let float = number.as_f64().ok_or(JsonError::IntegerRange)?;
        if !(-MAX..=MAX).contains(&float) {
            return Err(JsonError::IntegerRange);
        }
        if float.fract() != 0.0 {
            return Err(JsonError::Float);
        }
        #[expect(clippy::cast_possible_truncation, reason = "integral and within ±(2^53 − 1)")]
        let n = float as i64;
        n
    };
    if (-JSON_MAX_INTEGER..=JSON_MAX_INTEGER).contains(&n) { Ok(n) } else { Err(JsonError::IntegerRange) }
}

/// Base64 with or without padding. Bits that are left over in the last character are not looked at: other readers take
/// them, and the protocol's vectors hold such a text.
fn base64(text: &str) -> Option<Vec<u8>> {
    static ENCODINGS: LazyLock<Option<[Encoding; 2]>> = LazyLock::new(|| Some([lenient(None)?, lenient(Some('='))?]));
    let [bare, padded] = ENCODINGS.as_ref()?;
    let encoding = if text.ends_with('=') { padded } else { bare };
    encoding.decode(text.as_bytes()).ok()
}

fn lenient(padding: Option<char>) -> Option<Encoding> {
    let mut base64 = data_encoding::BASE64_NOPAD.specification();
    base64.padding = padding;
    base64.check_trailing_bits = false;
    base64.encoding().ok()
}

/// `$type` is a name wherever it stands, and a blob has what belongs to one.
fn check_type(map: &Map) -> Result<(), JsonError> {
    let Some(type_name) = map.get("$type") else { return Ok(()) };
    match type_name.as_text() {
        None | Some("") => Err(JsonError::Type),
        Some("blob") if blob_ref(map).is_none() => Err(JsonError::Blob),
        Some(_) => Ok(()),
    }
}

fn blob_ref(map: &Map) -> Option<BlobRef> {
    Some(BlobRef {
        cid: *map.get("ref")?.as_link()?,
        mime_type: map.get("mimeType")?.as_text().filter(|text| !text.is_empty())?.to_owned(),
        size: map.get("size")?.as_int().filter(|&size| size >= 0)?,
    })
}

fn collect_blobs(value: &Value, depth: usize, found: &mut Vec<BlobRef>) {
    found.extend(as_blob_ref(value));
    let Some(depth) = depth.checked_sub(1) else { return };
    if let Value::List(items) = value {
        for item in items {
            collect_blobs(item, depth, found);
        }
    } else if let Value::Map(map) = value {
        for (_, value) in map.iter() {
            collect_blobs(value, depth, found);
        }
    }
}
