//! What each account uses, and what it may: counted by triggers, compared in the transaction that adds to it.

use std::sync::OnceLock;

use rusqlite::Connection;

use super::{AccountId, Store, StoreError, sql, writer::Work};

/// What an account uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Records.
    pub records: u64,
    /// Bytes of their DAG-CBOR.
    pub record_bytes: u64,
    /// Uploads, also such that no record references yet.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
}

/// What an account may use; the same kinds as in [`Usage`]. None: as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Records.
    pub records: Option<u64>,
    /// Bytes of their DAG-CBOR.
    pub record_bytes: Option<u64>,
    /// Uploads.
    pub blobs: Option<u64>,
    /// Their bytes.
    pub blob_bytes: Option<u64>,
}

/// An account would use more than it may. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "This account may have at most {limit} {what} on this server and would have {wanted}: delete something, or ask the \
     server's operator for more"
)]
pub struct QuotaExceeded {
    /// Of what, in words.
    pub what: &'static str,
    /// How much there may be.
    pub limit: u64,
    /// How much there would be.
    pub wanted: u64,
}

/// The quota of all accounts, once it is known.
pub(super) type SharedQuota = OnceLock<Quota>;

impl Quota {
    /// Whether an account that used `before` may use `after`: less of something is always allowed.
    ///
    /// # Errors
    /// The first kind of which there would be too much.
    pub fn check(&self, before: &Usage, after: &Usage) -> Result<(), QuotaExceeded> {
        let kinds = [
            ("records", self.records, before.records, after.records),
            ("bytes of records", self.record_bytes, before.record_bytes, after.record_bytes),
            ("uploaded files", self.blobs, before.blobs, after.blobs),
            ("bytes of uploaded files", self.blob_bytes, before.blob_bytes, after.blob_bytes),
        ];
        for (what, limit, before, wanted) in kinds {
            if let Some(limit) = limit
                && wanted > limit
                && wanted > before
            {
                return Err(QuotaExceeded { what, limit, wanted });
            }
        }
        Ok(())
    }
}

impl Store {
    /// Sets what each account may use; until then everything. The first call stands.
    pub fn limit_accounts(&self, quota: Quota) {
        if self.inner.shared.quota.set(quota).is_err() {
            tracing::debug!("the quota was set before");
        }
    }

    /// What each account may use.
    pub fn quota(&self) -> Quota {
        self.inner.shared.quota.get().copied().unwrap_or_default()
    }

    /// What an account uses: one row, whatever its size.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn usage(&self, account: AccountId) -> Result<Usage, StoreError> {
        self.point(|conn| read(conn, account))
    }
}

/// Does what adds to an account, and refuses when it comes to more than the account may use; the job that refuses is
/// rolled back.
pub(super) fn within_quota<T, E>(
    work: &mut Work<'_>,
    account: AccountId,
    add: impl FnOnce(&mut Work<'_>) -> Result<T, E>,
) -> Result<T, E>
where
    E: From<StoreError> + From<QuotaExceeded>,
{
    let Some(quota) = work.shared.quota.get().copied().filter(|quota| *quota != Quota::default()) else {
        return add(work);
    };
    let before = read(work.conn, account)?;
    let added = add(work)?;
    quota.check(&before, &read(work.conn, account)?)?;
    Ok(added)
}

fn read(conn: &Connection, account: AccountId) -> Result<Usage, StoreError> {
    let usage = sql::one(
        conn,
        "SELECT coalesce(t.records, 0), coalesce(t.record_bytes, 0), coalesce(b.blobs, 0), coalesce(b.blob_bytes, 0)
         FROM (SELECT ?1 AS account) a
         LEFT JOIN repos r ON r.account = a.account
         LEFT JOIN tree_usage t ON t.tree = r.tree
         LEFT JOIN account_usage b ON b.account = a.account",
        [account.0],
        |row| {
            let count = |index| sql::col::<i64>(row, index).map(|count| u64::try_from(count).unwrap_or(0));
            Ok(Usage { records: count(0)?, record_bytes: count(1)?, blobs: count(2)?, blob_bytes: count(3)? })
        },
    )?;
    Ok(usage.unwrap_or_default())
}
