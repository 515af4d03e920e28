//! Strict DAG-CBOR: canonical form only, depth and size bounded.
//! Spec: <https://ipld.io/specs/codecs/dag-cbor/spec/>, <https://atproto.com/specs/data-model>.
//!
//! What is accepted encodes to the same bytes again: shortest integers and lengths, definite lengths, distinct text
//! keys in canonical order, tag 42 only, no floats, no `undefined`. So equal values have equal CIDs.
mod read;
mod write;

use super::Value;
use crate::limits::ipld::{CBOR_MAX_BYTES, CBOR_MAX_ITEMS, MAX_DEPTH};

pub use read::Reader;
pub(super) use read::{Item, key_follows};
pub use write::Writer;

/// Why bytes are not canonical DAG-CBOR of the data model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// The bytes end inside a value.
    #[error("the CBOR ends inside a value")]
    Truncated,
    /// Bytes are left over after the value.
    #[error("there are bytes after the CBOR value")]
    TrailingBytes,
    /// An integer or length takes more bytes than it needs.
    #[error("the CBOR is not canonical: a number or length is not in its shortest form")]
    NotShortest,
    /// A list, map, text or byte string has no length up front.
    #[error("the CBOR is not canonical: a length is left open")]
    IndefiniteLength,
    /// A map's keys are not in canonical order.
    #[error("the CBOR is not canonical: map keys must be ordered by length, then by bytes")]
    KeyOrder,
    /// A map has a key twice.
    #[error("a CBOR map has the same key twice")]
    DuplicateKey,
    /// A map's key is not a text.
    #[error("a CBOR map has a key that is not a text")]
    KeyNotText,
    /// A floating point number, which the data model does not have.
    #[error("the CBOR holds a floating point number; only integers are allowed")]
    Float,
    /// `undefined` or another simple value besides false, true and null.
    #[error("the CBOR holds a simple value other than false, true and null")]
    Simple,
    /// A tag besides 42.
    #[error("the CBOR holds tag {0}; only links (tag 42) may be tagged")]
    Tag(u64),
    /// Tag 42 without a CID that the protocol uses.
    #[error("a CBOR link is not a CIDv1 with SHA-256 and the codec dag-cbor or raw")]
    Link,
    /// An integer outside of `i64`.
    #[error("a CBOR integer does not fit into 64 bits with sign")]
    IntegerRange,
    /// A text that is not UTF-8.
    #[error("a CBOR text is not UTF-8")]
    NotUtf8,
    /// A header byte that CBOR reserves.
    #[error("the CBOR is malformed")]
    Malformed,
    /// Lists and maps nested too deeply.
    #[error("the CBOR is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// Too many values in one tree.
    #[error("the CBOR holds more than {CBOR_MAX_ITEMS} values")]
    TooManyItems,
    /// Too many bytes for one tree.
    #[error("the CBOR is longer than {CBOR_MAX_BYTES} bytes")]
    TooLarge,
    /// A value of another kind stands where a fixed shape asks for something.
    #[error("the CBOR has another shape than expected: {expected} is missing")]
    Unexpected {
        /// What should be there: "a map", "the key roots", ….
        expected: &'static str,
    },
}

/// The canonical encoding.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.value(value);
    writer.into_bytes()
}

/// Decodes exactly one value that fills `bytes`.
///
/// # Errors
/// When the bytes are not the canonical encoding of one value within the bounds of `limits::ipld`.
pub fn decode(bytes: &[u8]) -> Result<Value, CborError> {
    let (value, taken) = decode_prefix(bytes)?;
    if taken == bytes.len() { Ok(value) } else { Err(CborError::TrailingBytes) }
}

/// Decodes one value at the start and says how many bytes it took (event frames hold two).
///
/// # Errors
/// When the bytes do not begin with the canonical encoding of a value within the bounds of `limits::ipld`.
pub fn decode_prefix(bytes: &[u8]) -> Result<(Value, usize), CborError> {
    let mut reader = Reader::new(bytes);
    let value = reader.value()?;
    Ok((value, bytes.len() - reader.remaining()))
}
