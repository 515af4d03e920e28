//! A record that is brought in, as it is stored: checked, with its links and blobs.

use bytes::Bytes;

use super::RecordFault;
use crate::{
    ipld::{Cid, Codec, Value, cbor, json},
    limits::{import::RECORD_BLOBS_MAX, ipld::MAX_DEPTH, repo::MAX_RECORD_BYTES},
    repo::RecordPath,
    service::records::backlinks,
    store::RecordPut,
};

/// Checks a record's bytes, whose hash was checked, and finds what it points to.
pub(super) fn indexed(path: &RecordPath, cid: Cid, value: Bytes) -> Result<RecordPut, RecordFault> {
    if value.len() > MAX_RECORD_BYTES {
        return Err(RecordFault::TooLarge(value.len()));
    }
    let record = cbor::decode(&value)?;
    if record.as_map().is_none() {
        return Err(RecordFault::NotAnObject);
    }
    let blobs = blobs_of(&record);
    if blobs.len() > RECORD_BLOBS_MAX {
        return Err(RecordFault::TooManyBlobs);
    }
    Ok(RecordPut { cid, value, blobs, backlinks: backlinks(&path.collection, &record) })
}

/// The blobs that a record uses, each once.
pub fn blobs_of(record: &Value) -> Vec<Cid> {
    let mut blobs: Vec<Cid> = json::blob_refs(record).into_iter().map(|blob| blob.cid).collect();
    legacy_blobs(record, MAX_DEPTH, &mut blobs);
    blobs.retain(|cid| cid.codec() == Codec::Raw);
    blobs.sort_unstable();
    blobs.dedup();
    blobs
}

/// References of the form that was in use before 2023, `{cid, mimeType}`, anywhere below.
fn legacy_blobs(value: &Value, depth: usize, found: &mut Vec<Cid>) {
    let Some(below) = depth.checked_sub(1) else { return };
    match value {
        Value::List(items) => items.iter().for_each(|item| legacy_blobs(item, below, found)),
        Value::Map(map) => {
            let cid = map.get("cid").and_then(Value::as_text).filter(|_| map.len() == 2);
            let mime_type = map.get("mimeType").and_then(Value::as_text);
            found.extend(cid.filter(|_| mime_type.is_some()).and_then(|cid| cid.parse::<Cid>().ok()));
            map.iter().for_each(|(_, inner)| legacy_blobs(inner, below, found));
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::Bytes(_) | Value::Link(_) => {}
    }
}
