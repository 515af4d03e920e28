//! The records that an import does not replace: those of the two reserved collections stay beside what it brings.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{ImportFault, Server};
use crate::{
    delegation::{APP_DATA_COLLECTION, AppData, STATEMENT_COLLECTION, Statement},
    ipld::{Cid, Map, Value, cbor},
    limits::import::{KEPT_BYTES_MAX, KEPT_PAGE},
    repo::RecordPath,
    store::{Account, ListRecords, StoreError},
    syntax::Nsid,
};

/// A record that stays.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// Its path as the tree's keys have it.
    pub(super) key: String,
    pub(super) path: RecordPath,
    pub(super) cid: Cid,
    pub(super) value: Bytes,
}

/// Reads them, in the order of their keys.
pub(super) async fn read(server: &Server, account: &Account) -> Result<VecDeque<Kept>, ImportFault> {
    let mut kept = Vec::new();
    let mut bytes = 0;
    for collection in [APP_DATA_COLLECTION, STATEMENT_COLLECTION] {
        let collection: Nsid =
            collection.parse().map_err(|_| StoreError::Damaged(format!("{collection} is no NSID")))?;
        let mut cursor = None;
        loop {
            let (account, limit) = (account.id, KEPT_PAGE);
            let list = ListRecords { account, collection: collection.clone(), cursor, limit, reverse: true };
            let page = server.store.list_records(list).await?;
            let Some(last) = page.last() else { break };
            cursor = Some(last.rkey.as_str().to_owned());
            for record in page {
                bytes += record.value.len();
                let path = RecordPath::new(collection.clone(), record.rkey);
                kept.push(Kept { key: path.to_string(), path, cid: record.cid, value: record.value });
            }
            if bytes > KEPT_BYTES_MAX {
                return Err(ImportFault::TooMuchKept);
            }
        }
    }
    kept.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(kept.into())
}

/// Whether the kept record wins over another at the same path: a statement unless it is none, an app's entry unless a
/// later one that is signed was brought.
pub(super) fn wins(kept: &Kept, brought: &[u8]) -> bool {
    if kept.path.collection.as_str() == STATEMENT_COLLECTION {
        let is_statement =
            |map: &Map| Statement::from_record(map).is_ok_and(|said| said.record_key() == kept.path.rkey);
        return map_of(&kept.value).is_some_and(|map| is_statement(&map))
            || !map_of(brought).is_some_and(|map| is_statement(&map));
    }
    let rev = |bytes: &[u8]| {
        let entry = AppData::from_record(&map_of(bytes)?).ok()?;
        (entry.record_key() == kept.path.rkey && entry.is_signed()).then(|| entry.rev())
    };
    rev(&kept.value) >= rev(brought)
}

fn map_of(bytes: &[u8]) -> Option<Map> {
    match cbor::decode(bytes) {
        Ok(Value::Map(map)) => Some(map),
        Ok(_) | Err(_) => None,
    }
}
