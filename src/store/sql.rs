//! Short hands over rusqlite: cached statements, typed columns, errors that fit this layer.

use std::str::FromStr;

use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, Params, Row, types::FromSql};

use super::StoreError;
use crate::{
    clock::Timestamp,
    ipld::{Cid, Codec},
    syntax::Tid,
};

/// `SQLite`'s error as this layer names it.
#[expect(clippy::needless_pass_by_value, reason = "shaped for map_err")]
pub(super) fn failed(cause: rusqlite::Error) -> StoreError {
    match cause.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::DiskFull,
        _ => StoreError::Database(cause.to_string()),
    }
}

/// Runs a statement; returns how many rows it changed.
pub(super) fn execute(conn: &Connection, sql: &str, params: impl Params) -> Result<usize, StoreError> {
    conn.prepare_cached(sql).and_then(|mut statement| statement.execute(params)).map_err(failed)
}

/// The first row, if there is one.
pub(super) fn one<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = conn.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(params).map_err(failed)?;
    rows.next().map_err(failed)?.map(read).transpose()
}

/// All rows.
pub(super) fn all<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = conn.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(params).map_err(failed)?;
    let mut out = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        out.push(read(row)?);
    }
    Ok(out)
}

/// Whether there is a row.
pub(super) fn exists(conn: &Connection, sql: &str, params: impl Params) -> Result<bool, StoreError> {
    one(conn, sql, params, |_| Ok(())).map(|row| row.is_some())
}

/// A column.
pub(super) fn col<T: FromSql>(row: &Row<'_>, index: usize) -> Result<T, StoreError> {
    row.get(index).map_err(failed)
}

/// A column of bytes.
pub(super) fn bytes(row: &Row<'_>, index: usize) -> Result<Bytes, StoreError> {
    let value = row.get_ref(index).map_err(failed)?;
    value.as_blob().map(Bytes::copy_from_slice).map_err(|cause| StoreError::Damaged(cause.to_string()))
}

/// A column that holds the digest of a DAG-CBOR block.
pub(super) fn cbor_cid(row: &Row<'_>, index: usize) -> Result<Cid, StoreError> {
    Ok(Cid::new(Codec::DagCbor, col(row, index)?))
}

/// A column that holds the digest of a blob.
pub(super) fn raw_cid(row: &Row<'_>, index: usize) -> Result<Cid, StoreError> {
    Ok(Cid::new(Codec::Raw, col(row, index)?))
}

/// A column of text in one of the protocol's forms.
pub(super) fn parsed<T: FromStr>(row: &Row<'_>, index: usize) -> Result<T, StoreError>
where
    T::Err: std::fmt::Display,
{
    let value = row.get_ref(index).map_err(failed)?;
    let text = value.as_str().map_err(|cause| StoreError::Damaged(cause.to_string()))?;
    text.parse().map_err(|cause| StoreError::Damaged(format!("{text:?}: {cause}")))
}

/// A column that holds a revision.
pub(super) fn tid(row: &Row<'_>, index: usize) -> Result<Tid, StoreError> {
    let number: i64 = col(row, index)?;
    u64::try_from(number)
        .ok()
        .and_then(Tid::from_u64)
        .ok_or_else(|| StoreError::Damaged(format!("{number} is not a revision")))
}

/// A column that holds a time.
pub(super) fn time(row: &Row<'_>, index: usize) -> Result<Timestamp, StoreError> {
    col(row, index).map(Timestamp::from_micros)
}

/// A revision as it is stored: the top bit of a TID is zero, so it fits.
pub(super) fn rev(tid: Tid) -> i64 {
    i64::try_from(tid.as_u64()).unwrap_or(i64::MAX)
}

/// A bound as `SQLite` takes it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
