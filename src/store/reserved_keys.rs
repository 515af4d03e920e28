//! Signing keys that were reserved before there is an account.

use super::{Store, StoreError, sql};
use crate::{clock::Timestamp, syntax::Did};

impl Store {
    /// Stores a reserved signing key under its did:key (and the DID that it was reserved for). The first one reserved for
    /// a DID stays: its did:key is returned.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn reserve_signing_key(
        &self,
        did: Option<&Did>,
        did_key: &str,
        sealed: Vec<u8>,
        now: Timestamp,
    ) -> Result<String, StoreError> {
        let did = did.map(|did| did.as_str().to_owned());
        let did_key = did_key.to_owned();
        self.write(move |work| {
            let first = sql::one(work.conn, "SELECT did_key FROM reserved_keys WHERE did = ?1", [&did], |row| {
                sql::col(row, 0)
            })?;
            if let Some(first) = first {
                return Ok(first);
            }
            sql::execute(
                work.conn,
                "INSERT INTO reserved_keys (did_key, did, sealed, created_at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO NOTHING",
                (&did_key, did, sealed, now.as_micros()),
            )?;
            Ok(did_key)
        })
        .await
    }

    /// A reserved key: its sealed bytes.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn reserved_signing_key(&self, did_key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.point(|conn| {
            sql::one(conn, "SELECT sealed FROM reserved_keys WHERE did_key = ?1", [did_key], |row| sql::col(row, 0))
        })
    }

    /// The did:key that is reserved for a DID.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn reserved_for(&self, did: &Did) -> Result<Option<String>, StoreError> {
        const QUERY: &str = "SELECT did_key FROM reserved_keys WHERE did = ?1";
        self.point(|conn| sql::one(conn, QUERY, [did.as_str()], |row| sql::col(row, 0)))
    }
}
