//! What an account wrote last.

use super::{AccountId, Store, StoreError, StoredRecord, repo::SHOWN, sql};
use crate::syntax::{Nsid, RecordKey, Tid};

impl Store {
    /// The records of a collection with the greatest keys, which are the newest where keys are TIDs; greatest first. Those
    /// that were taken down are left out.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn newest_records(
        &self,
        account: AccountId,
        collection: &Nsid,
        limit: usize,
    ) -> Result<Vec<(RecordKey, StoredRecord)>, StoreError> {
        self.point(|conn| {
            let Some(collection) = self.known_collection(conn, collection)? else { return Ok(Vec::new()) };
            let query = format!(
                "SELECT rkey, digest, value, rev FROM records
                 WHERE tree = (SELECT tree FROM repos WHERE account = ?1) AND collection = ?2{SHOWN}
                 ORDER BY rkey DESC LIMIT ?3"
            );
            sql::all(conn, &query, (account.0, collection, sql::limit(limit)), |row| {
                let record =
                    StoredRecord { cid: sql::cbor_cid(row, 1)?, value: sql::bytes(row, 2)?, rev: sql::tid(row, 3)? };
                Ok((sql::parsed(row, 0)?, record))
            })
        })
    }

    /// Whether one of the first `most` records of an account was written by `rev` or before.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn has_record_until(&self, account: AccountId, rev: Tid, most: usize) -> Result<bool, StoreError> {
        const QUERY: &str =
            "SELECT 1 FROM (SELECT rev FROM records WHERE tree = (SELECT tree FROM repos WHERE account = ?1)
                            LIMIT ?3) WHERE rev <= ?2 LIMIT 1";
        self.point(|conn| sql::exists(conn, QUERY, (account.0, sql::rev(rev), sql::limit(most))))
    }
}
