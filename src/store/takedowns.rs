//! Records and blobs that the administrator took down. They stay in the repository, whose signatures cover them; what shows
//! records and blobs one by one leaves them out.

use super::{AccountId, NewSecurityEvent, Store, StoreError, security_events::insert as note, sql};
use crate::{clock::Timestamp, ipld::Cid, repo::RecordPath};

/// The takedown of a place of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordTakedown {
    /// What the moderator keeps it under.
    pub reference: String,
    /// Which version of the record the moderator saw, where that is known.
    pub cid: Option<Cid>,
}

impl Store {
    /// Takes a place of a repository down, or with none lifts that: whatever record is there, now or later.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn set_record_takedown(
        &self,
        account: AccountId,
        path: &RecordPath,
        takedown: Option<RecordTakedown>,
        now: Timestamp,
        noted: Option<NewSecurityEvent>,
    ) -> Result<(), StoreError> {
        let (collection, rkey) = (path.collection.as_str().to_owned(), path.rkey.as_str().to_owned());
        self.write(move |work| {
            let key = (account.0, &collection, &rkey);
            let changed = match &takedown {
                Some(RecordTakedown { reference, cid }) => sql::execute(
                    work.conn,
                    "INSERT INTO record_takedowns (account, collection, rkey, reference, created_at, cid)
                     SELECT id, ?2, ?3, ?4, ?5, ?6 FROM accounts WHERE id = ?1
                     ON CONFLICT DO UPDATE SET reference = ?4, cid = coalesce(?6, cid)",
                    (key.0, key.1, key.2, reference, now.as_micros(), cid.map(|cid| cid.to_string())),
                ),
                None => sql::execute(
                    work.conn,
                    "DELETE FROM record_takedowns WHERE account = ?1 AND collection = ?2 AND rkey = ?3",
                    key,
                ),
            }?;
            match &noted {
                Some(noted) if changed > 0 => note(work.conn, noted),
                Some(_) | None => Ok(()),
            }
        })
        .await
    }

    /// How a place was taken down, if it was.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn record_takedown(
        &self,
        account: AccountId,
        path: &RecordPath,
    ) -> Result<Option<RecordTakedown>, StoreError> {
        const QUERY: &str =
            "SELECT reference, cid FROM record_takedowns WHERE account = ?1 AND collection = ?2 AND rkey = ?3";
        let key = (account.0, path.collection.as_str(), path.rkey.as_str());
        self.point(|conn| {
            sql::one(conn, QUERY, key, |row| {
                let has_cid = sql::col::<Option<String>>(row, 1)?.is_some();
                let cid = has_cid.then(|| sql::parsed(row, 1)).transpose()?;
                Ok(RecordTakedown { reference: sql::col(row, 0)?, cid })
            })
        })
    }

    /// Takes a blob of an account down, or with no reference lifts that: it is not served, used in new records, or taken
    /// once more.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn set_blob_takedown(
        &self,
        account: AccountId,
        cid: &Cid,
        reference: Option<String>,
        now: Timestamp,
        noted: Option<NewSecurityEvent>,
    ) -> Result<(), StoreError> {
        let digest = *cid.digest();
        self.write(move |work| {
            let changed = match &reference {
                Some(reference) => sql::execute(
                    work.conn,
                    "INSERT INTO blob_takedowns (account, digest, reference, created_at)
                     SELECT id, ?2, ?3, ?4 FROM accounts WHERE id = ?1
                     ON CONFLICT DO UPDATE SET reference = ?3",
                    (account.0, digest, reference, now.as_micros()),
                ),
                None => sql::execute(
                    work.conn,
                    "DELETE FROM blob_takedowns WHERE account = ?1 AND digest = ?2",
                    (account.0, digest),
                ),
            }?;
            match &noted {
                Some(noted) if changed > 0 => note(work.conn, noted),
                Some(_) | None => Ok(()),
            }
        })
        .await
    }

    /// The reference under which a blob was taken down, if it was.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn blob_takedown(&self, account: AccountId, cid: &Cid) -> Result<Option<String>, StoreError> {
        const QUERY: &str = "SELECT reference FROM blob_takedowns WHERE account = ?1 AND digest = ?2";
        self.point(|conn| sql::one(conn, QUERY, (account.0, cid.digest()), |row| sql::col(row, 0)))
    }
}
