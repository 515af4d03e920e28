//! From a write as a client asks for it to one that can be planned. Pure, so that it runs before the account's lock is
//! taken.
use super::{OwnWrite, SwapRecord, ValidationStatus, Write, WriteError, backlinks::backlinks};
use crate::{
    ipld::{BlobRef, Cid, Map, Value, cbor, json},
    limits::repo::MAX_RECORD_BYTES,
    repo::RecordPath,
    store::{Backlink, RecordPut},
    syntax::Nsid,
};
use bytes::Bytes;

/// A write whose record is a value (`Prepared<Value>`), and then encoded.
#[derive(Clone, Debug)]
pub(super) enum Prepared<R = Encoded> {
    /// Must not exist yet; with `replace`, other records with the same links go.
    Create { path: RecordPath, record: R, replace: bool },
    /// Must exist.
    Update { path: RecordPath, record: R },
    /// May exist.
    Put { path: RecordPath, record: R, swap: SwapRecord },
    /// With `lenient`, need not exist.
    Delete { path: RecordPath, swap: SwapRecord, lenient: bool },
}

/// A record in its canonical form, and what it points to.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    pub(super) cid: Cid,
    pub(super) bytes: Bytes,
    pub(super) blobs: Vec<BlobRef>,
    pub(super) backlinks: Vec<Backlink>,
    pub(super) status: Option<ValidationStatus>,
}

impl<R> Prepared<R> {
    /// The record that it writes; none for a deletion.
    pub(super) fn record(&self) -> Option<&R> {
        self.parts().map(|(_, record)| record)
    }

    /// The record that it writes, and where; none for a deletion.
    pub(super) fn parts(&self) -> Option<(&RecordPath, &R)> {
        match self {
            Self::Create { path, record, .. } | Self::Update { path, record } | Self::Put { path, record, .. } => {
                Some((path, record))
            }
            Self::Delete { .. } => None,
        }
    }
}

impl Prepared<Value> {
    /// The same with the record encoded.
    pub(super) fn encode(self, status: Option<ValidationStatus>) -> Result<Prepared, WriteError> {
        Ok(match self {
            Self::Create { path, record, replace } => {
                Prepared::Create { record: encode(&path.collection, &record, status)?, path, replace }
            }
            Self::Update { path, record } => {
                Prepared::Update { record: encode(&path.collection, &record, status)?, path }
            }
            Self::Put { path, record, swap } => {
                Prepared::Put { record: encode(&path.collection, &record, status)?, path, swap }
            }
            Self::Delete { path, swap, lenient } => Prepared::Delete { path, swap, lenient },
        })
    }
}

impl Encoded {
    /// The row that the store keeps.
    pub(super) fn to_put(&self) -> RecordPut {
        RecordPut {
            cid: self.cid,
            value: self.bytes.clone(),
            blobs: self.blobs.iter().map(|blob| blob.cid).collect(),
            backlinks: self.backlinks.clone(),
        }
    }
}

/// Reads one write. `fresh` gives the record key when the client left it out.
pub(super) fn read(write: Write, fresh: impl FnOnce() -> crate::syntax::Tid) -> Result<Prepared<Value>, WriteError> {
    Ok(match write {
        Write::Create { collection, rkey, record, replace_duplicates } => {
            let record = value(&collection, &record)?;
            let rkey = rkey.unwrap_or_else(|| fresh().into());
            Prepared::Create { path: RecordPath::new(collection, rkey), record, replace: replace_duplicates }
        }
        Write::Update { collection, rkey, record } => {
            Prepared::Update { record: value(&collection, &record)?, path: RecordPath::new(collection, rkey) }
        }
        Write::Put { collection, rkey, record, swap } => {
            Prepared::Put { record: value(&collection, &record)?, path: RecordPath::new(collection, rkey), swap }
        }
        Write::Delete { collection, rkey, swap, lenient } => {
            Prepared::Delete { path: RecordPath::new(collection, rkey), swap, lenient }
        }
    })
}

/// Prepares a record that the server itself makes.
pub(super) fn own(write: OwnWrite) -> Prepared {
    let OwnWrite { path, record } = write;
    let Some(record) = record else { return Prepared::Delete { path, swap: SwapRecord::Any, lenient: true } };
    let bytes = Bytes::from(cbor::encode(&Value::Map(record)));
    let record = Encoded { cid: Cid::of_cbor(&bytes), bytes, blobs: Vec::new(), backlinks: Vec::new(), status: None };
    Prepared::Put { path, record, swap: SwapRecord::Any }
}

/// The record as a value with its `$type`.
fn value(collection: &Nsid, record: &serde_json::Value) -> Result<Value, WriteError> {
    let Value::Map(mut map) = json::from_json(record)? else {
        return Err(WriteError::NotAnObject);
    };
    check_type(collection, &mut map)?;
    let value = Value::Map(map);
    if let Some(cid) = legacy_blob(&value) {
        return Err(WriteError::LegacyBlob(cid.to_owned()));
    }
    Ok(value)
}

fn encode(collection: &Nsid, value: &Value, status: Option<ValidationStatus>) -> Result<Encoded, WriteError> {
    let bytes = Bytes::from(cbor::encode(value));
    if bytes.len() > MAX_RECORD_BYTES {
        return Err(WriteError::RecordTooLarge(bytes.len()));
    }
    Ok(Encoded {
        cid: Cid::of_cbor(&bytes),
        bytes,
        blobs: json::blob_refs(value),
        backlinks: backlinks(collection, value),
        status,
    })
}

/// `$type` is the collection, or is filled in.
fn check_type(collection: &Nsid, map: &mut Map) -> Result<(), WriteError> {
    let got = match map.get("$type") {
        None => {
            map.insert("$type", collection.as_str());
            return Ok(());
        }
        Some(Value::Text(text)) if text == collection.as_str() => return Ok(()),
        Some(Value::Text(text)) => text.chars().take(256).collect(),
        Some(_) => "something that is not a text".to_owned(),
    };
    Err(WriteError::WrongType { expected: collection.clone(), got })
}

/// The first reference of the form that blobs had before 2023, `{cid, mimeType}`, anywhere in the record.
fn legacy_blob(value: &Value) -> Option<&str> {
    match value {
        Value::List(items) => items.iter().find_map(legacy_blob),
        Value::Map(map) => {
            let cid = map.get("cid").and_then(Value::as_text);
            let mime_type = map.get("mimeType").and_then(Value::as_text);
            match (cid, mime_type) {
                (Some(cid), Some(mime)) if map.len() == 2 && !mime.is_empty() && cid.parse::<Cid>().is_ok() => {
                    Some(cid)
                }
                _ => map.iter().find_map(|(_, inner)| legacy_blob(inner)),
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::Bytes(_) | Value::Link(_) => None,
    }
}
