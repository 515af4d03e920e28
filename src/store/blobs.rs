//! Blob rows: who uploaded what, and which records use it. The sweeper.

use rusqlite::{Connection, Row};

use super::{AccountId, BlobFiles, QuotaExceeded, Store, StoreError, sql, usage::within_quota, writer::Work};
use crate::{
    clock::Timestamp,
    ipld::Cid,
    limits::store::{SWEEP_DIRECTORIES, SWEEP_SLICE, UNLINK_SLICE},
    repo::RecordPath,
    syntax::Tid,
};

/// A blob of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobRow {
    /// Its CID (raw).
    pub cid: Cid,
    /// Its media type, sniffed first.
    pub mime_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// Whether a record references it; others are temporary and never served.
    pub permanent: bool,
    /// Whether the administrator took it down.
    pub takendown: bool,
    /// When it was uploaded.
    pub created_at: Timestamp,
}
/// Why an upload was not recorded; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutBlobError {
    /// The account would use more than it may.
    #[error(transparent)]
    OverQuota(#[from] QuotaExceeded),
    /// The database failed, or the file is not there.
    #[error(transparent)]
    Store(#[from] StoreError),
}
/// One blob in `listBlobs`.
pub type ListedBlob = Cid;
/// A blob that a record references and that is not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingBlob {
    /// Its CID.
    pub cid: Cid,
    /// The record.
    pub record: RecordPath,
}
impl Store {
    /// Records an upload whose file is durable already. A blob that records reference already becomes permanent at once;
    /// re-uploading keeps what is there (and renews a temporary one's age).
    ///
    /// # Errors
    /// [`StoreError::File`] when the file is not there; [`PutBlobError::OverQuota`] when the account is full.
    pub async fn put_blob(
        &self,
        account: AccountId,
        cid: Cid,
        mime_type: &str,
        size: u64,
        now: Timestamp,
    ) -> Result<BlobRow, PutBlobError> {
        let mime_type = mime_type.to_owned();
        let files = self.inner.blob_files.clone();
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let row = self
            .write(move |work| {
                within_quota(work, account, |work| {
                    sql::execute(
                        work.conn,
                        "INSERT INTO blobs (account, digest, mime_type, size, permanent, created_at)
                         VALUES (?1, ?2, ?3, ?4, EXISTS (SELECT 1 FROM record_blobs WHERE digest = ?2 AND tree IN (
                             SELECT tree FROM repos WHERE account = ?1
                             UNION ALL SELECT tree FROM loose_trees WHERE account = ?1)), ?5)
                         ON CONFLICT DO UPDATE SET created_at = ?5 WHERE permanent = 0",
                        (account.0, cid.digest(), mime_type, size, now.as_micros()),
                    )?;
                    Ok::<_, PutBlobError>(())
                })?;
                // Files are unlinked in this thread only, so one that is here now stays while the row does.
                if !files.exists(&cid) {
                    return Err(StoreError::File(format!("the blob {cid} has no file")).into());
                }
                let row = read_blob(work.conn, account, &cid)?;
                Ok::<_, PutBlobError>(row.ok_or_else(|| StoreError::Damaged("a blob row vanished".to_owned()))?)
            })
            .await?;
        self.inner.blob_files.has_row(&cid);
        Ok(row)
    }

    /// A blob of the account, temporary ones too.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn blob(&self, account: AccountId, cid: &Cid) -> Result<Option<BlobRow>, StoreError> {
        self.point(|conn| read_blob(conn, account, cid))
    }

    /// CIDs of blobs that records reference, sorted, behind `cursor`; with `since` only of records written after it.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn list_blobs(
        &self,
        account: AccountId,
        since: Option<Tid>,
        cursor: Option<Cid>,
        limit: usize,
    ) -> Result<Vec<ListedBlob>, StoreError> {
        self.point(|conn| {
            sql::all(
                conn,
                "SELECT DISTINCT digest FROM record_blobs WHERE tree = (SELECT tree FROM repos WHERE repos.account = ?1)
                 AND digest > ?2 AND rev > ?3 ORDER BY digest LIMIT ?4",
                (account.0, digest_behind(cursor.as_ref()), since.map_or(-1, sql::rev), sql::limit(limit)),
                |row| sql::raw_cid(row, 0),
            )
        })
    }

    /// Blobs that records reference and that were not uploaded, each with one of the records.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn missing_blobs(
        &self,
        account: AccountId,
        cursor: Option<Cid>,
        limit: usize,
    ) -> Result<Vec<MissingBlob>, StoreError> {
        self.page(move |conn| {
            sql::all(
                conn,
                "SELECT digest, nsid, rkey, min(collection) FROM record_blobs JOIN collections ON id = collection
                 WHERE tree = (SELECT tree FROM repos WHERE repos.account = ?1) AND digest > ?2
                 AND NOT EXISTS (SELECT 1 FROM blobs WHERE blobs.account = ?1 AND blobs.digest = record_blobs.digest)
                 GROUP BY digest ORDER BY digest LIMIT ?3",
                (account.0, digest_behind(cursor.as_ref()), sql::limit(limit)),
                |row| {
                    let record = RecordPath::new(sql::parsed(row, 1)?, sql::parsed(row, 2)?);
                    Ok(MissingBlob { cid: sql::raw_cid(row, 0)?, record })
                },
            )
        })
        .await
    }

    /// Removes temporary rows uploaded before `before`, then every file that no account's row names any more. Returns how
    /// many files went. At most `limit` rows and `limit` files, in slices; files that never had a row are found over
    /// several sweeps.
    ///
    /// # Errors
    /// [`StoreError`] as the database or the file system says; what was done until then stays done.
    pub async fn sweep_blobs(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.inner.blob_files.begin_sweep();
        let mut left = limit;
        while left > 0 {
            let slice = left.min(SWEEP_SLICE);
            let removed = self.write(move |work| drop_temporary(work, before, slice)).await?;
            left -= removed;
            if removed < slice {
                break;
            }
        }
        self.find_orphans().await?;
        self.unlink_orphans(limit).await
    }

    /// Notes files without any row in the directories whose turn it is.
    async fn find_orphans(&self) -> Result<(), StoreError> {
        let files = self.inner.blob_files.clone();
        let orphans = self
            .page(move |conn| {
                let mut orphans = files.next_directories(SWEEP_DIRECTORIES)?;
                let mut failure = None;
                orphans.retain(|cid| match has_row(conn, cid.digest()) {
                    Ok(has_row) => !has_row,
                    Err(cause) => {
                        failure = Some(cause);
                        false
                    }
                });
                failure.map_or(Ok(orphans), Err)
            })
            .await?;
        for slice in orphans.chunks(SWEEP_SLICE) {
            let slice = slice.to_vec();
            self.write(move |work| slice.iter().try_for_each(|cid| note_orphan(work, cid.digest()))).await?;
        }
        Ok(())
    }

    /// Unlinks the files of blobs without rows. The notes are durable before, so a crash in between loses none.
    pub(super) async fn unlink_orphans(&self, limit: usize) -> Result<usize, StoreError> {
        let mut gone = 0;
        while gone < limit {
            let slice = UNLINK_SLICE.min(limit - gone);
            // From a committed state: no failing commit can bring back a row whose file went.
            let orphans = self.point(|conn| {
                sql::all(conn, "SELECT digest FROM orphan_blobs LIMIT ?1", [sql::limit(slice)], |row| {
                    sql::raw_cid(row, 0)
                })
            })?;
            if orphans.is_empty() {
                break;
            }
            let files = self.inner.blob_files.clone();
            gone += self.write(move |work| unlink(work, &files, &orphans)).await?;
        }
        Ok(gone)
    }
}

/// Smaller than every digest without a cursor.
fn digest_behind(cursor: Option<&Cid>) -> &[u8] {
    cursor.map_or(&[], |cid| cid.digest())
}

fn drop_temporary(work: &Work<'_>, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let old = sql::all(
        work.conn,
        "SELECT account, digest FROM blobs WHERE permanent = 0 AND created_at < ?1 ORDER BY created_at LIMIT ?2",
        (before.as_micros(), sql::limit(limit)),
        |row| Ok((sql::col::<i64>(row, 0)?, sql::col::<[u8; 32]>(row, 1)?)),
    )?;
    for (account, digest) in &old {
        sql::execute(work.conn, "DELETE FROM blobs WHERE account = ?1 AND digest = ?2", (account, digest))?;
        if !has_row(work.conn, digest)? {
            note_orphan(work, digest)?;
        }
    }
    Ok(old.len())
}

pub(super) fn note_orphan(work: &Work<'_>, digest: &[u8; 32]) -> Result<(), StoreError> {
    sql::execute(work.conn, "INSERT INTO orphan_blobs (digest) VALUES (?1) ON CONFLICT DO NOTHING", [digest]).map(drop)
}

fn unlink(work: &Work<'_>, files: &BlobFiles, orphans: &[Cid]) -> Result<usize, StoreError> {
    let mut gone = 0;
    for cid in orphans {
        if !has_row(work.conn, cid.digest())? {
            gone += usize::from(files.unlink_unless_kept(cid)?);
        }
        sql::execute(work.conn, "DELETE FROM orphan_blobs WHERE digest = ?1", [cid.digest()])?;
    }
    Ok(gone)
}

pub(super) fn has_row(conn: &Connection, digest: &[u8; 32]) -> Result<bool, StoreError> {
    sql::exists(conn, "SELECT 1 FROM blobs WHERE digest = ?1", [digest])
}

fn read_blob(conn: &Connection, account: AccountId, cid: &Cid) -> Result<Option<BlobRow>, StoreError> {
    let read = |row: &Row<'_>| {
        Ok(BlobRow {
            cid: sql::raw_cid(row, 0)?,
            mime_type: sql::col(row, 1)?,
            size: sql::col::<i64>(row, 2)?.unsigned_abs(),
            permanent: sql::col(row, 3)?,
            takendown: sql::col(row, 4)?,
            created_at: sql::time(row, 5)?,
        })
    };
    sql::one(
        conn,
        "SELECT digest, mime_type, size, permanent, EXISTS (SELECT 1 FROM blob_takedowns
             WHERE blob_takedowns.account = blobs.account AND blob_takedowns.digest = blobs.digest), created_at FROM blobs
         WHERE account = ?1 AND digest = ?2",
        (account.0, cid.digest()),
        read,
    )
}
