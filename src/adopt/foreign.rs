//! Opening the reference's databases without changing a byte of them.
//!
//! A database without a write-ahead log is opened as immutable, which takes no lock and makes no file. One with a log, as a
//! process that was killed leaves it, is copied aside with the log first.

use std::{
    fs::{self, File, Metadata},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use data_encoding::HEXLOWER;
use rusqlite::{Connection, OpenFlags, Params, Row};
use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};
use sha2::{Digest, Sha256};

/// Where `SQLite` locks a database file: the bytes from its pending byte on.
const LOCK_BYTES: (u64, u64) = (0x4000_0000, 512);
/// The byte of a `-shm` file that every open connection holds.
const SHM_LOCK_BYTE: (u64, u64) = (128, 1);

/// A database of the reference cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be read: {cause}", path = .path.display())]
pub struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub cause: String,
}

/// An open database of the reference.
pub(super) struct Foreign {
    conn: Connection,
    path: PathBuf,
    // Dropped after the connection: a copy that was made for it.
    _copy: Option<Copied>,
}

/// A copy of a database with its log, removed with this.
struct Copied(PathBuf);

impl Drop for Copied {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            // What cannot be removed now goes with the directory it is in.
            drop(fs::remove_file(beside(&self.0, suffix)));
        }
    }
}

impl Foreign {
    /// Opens a database; `aside` is a directory for copies.
    pub(super) fn open(path: &Path, aside: &Path) -> Result<Self, Unreadable> {
        let failed = |cause: String| Unreadable { path: path.to_owned(), cause };
        if !path.is_file() {
            return Err(failed("it is not there".to_owned()));
        }
        if ["-wal", "-journal"].iter().all(|suffix| is_empty(&beside(path, suffix))) {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let conn =
                Connection::open_with_flags(immutable(path), flags).map_err(|cause| failed(cause.to_string()))?;
            return Ok(Self { conn, path: path.to_owned(), _copy: None });
        }
        // Several can be open at once.
        let name = HEXLOWER.encode(&Sha256::digest(path.as_os_str().as_encoded_bytes()));
        let copy = aside.join(format!("{name}.sqlite"));
        let copied = Copied(copy.clone());
        for suffix in ["", "-wal", "-journal"] {
            match fs::copy(beside(path, suffix), beside(&copy, suffix)) {
                Ok(_) => {}
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
                Err(cause) => return Err(failed(cause.to_string())),
            }
        }
        let conn = Connection::open(&copy).map_err(|cause| failed(cause.to_string()))?;
        Ok(Self { conn, path: path.to_owned(), _copy: Some(copied) })
    }

    /// All rows of a query.
    pub(super) fn all<T>(
        &self,
        query: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Unreadable> {
        let rows = |conn: &Connection| -> rusqlite::Result<Vec<T>> {
            let mut statement = conn.prepare_cached(query)?;
            statement.query_map(params, |row| read(row))?.collect()
        };
        rows(&self.conn).map_err(|cause| self.failed(&cause))
    }

    /// The first row of a query, if there is one.
    pub(super) fn one<T>(
        &self,
        query: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Unreadable> {
        let row = |conn: &Connection| -> rusqlite::Result<Option<T>> {
            let mut statement = conn.prepare_cached(query)?;
            let mut rows = statement.query(params)?;
            rows.next()?.map(read).transpose()
        };
        row(&self.conn).map_err(|cause| self.failed(&cause))
    }

    /// Whether a table has a column: older versions lack some.
    pub(super) fn has(&self, table: &str, column: &str) -> Result<bool, Unreadable> {
        const QUERY: &str = "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2";
        Ok(self.one(QUERY, (table, column), |_| Ok(()))?.is_some())
    }

    fn failed(&self, cause: &rusqlite::Error) -> Unreadable {
        Unreadable { path: self.path.clone(), cause: cause.to_string() }
    }
}

/// Whether another process has the database open: every connection in WAL mode holds a lock as long as it lives.
pub(super) fn is_open_elsewhere(path: &Path) -> bool {
    is_locked(path, LOCK_BYTES) || is_locked(&beside(path, "-shm"), SHM_LOCK_BYTE)
}

fn is_locked(path: &Path, (start, length): (u64, u64)) -> bool {
    // Asking for an exclusive lock shows shared ones too; nothing is locked by asking.
    let Ok(file) = File::open(path) else { return false };
    let wanted = Flock { start, length, pid: None, typ: FlockType::WriteLock, offset_type: FlockOffsetType::Set };
    matches!(fcntl_getlk(&file, &wanted), Ok(Some(_)))
}

/// How a database's files look: differs when somebody wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Looks(Vec<Option<(u64, Option<SystemTime>)>>);

impl Looks {
    pub(super) fn of(paths: &[PathBuf]) -> Self {
        let look = |meta: Metadata| (meta.len(), meta.modified().ok());
        let files = paths.iter().flat_map(|path| [path.clone(), beside(path, "-wal")]);
        Self(files.map(|path| fs::metadata(path).ok().map(look)).collect())
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn is_empty(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |meta| meta.len() == 0)
}

/// The URI that opens a file as immutable, whatever is in its name.
fn immutable(path: &Path) -> String {
    let escaped = path.as_os_str().as_encoded_bytes().iter().map(|byte| match byte {
        plain if plain.is_ascii_alphanumeric() || b"/-_.".contains(plain) => char::from(*plain).to_string(),
        other => format!("%{other:02X}"),
    });
    format!("file:{}?immutable=1", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_database_is_read_without_a_trace() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("odd name?#%.sqlite");
        let made = Connection::open(&path).unwrap();
        made.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (7)").unwrap();
        drop(made);
        let before = fs::read(&path).unwrap();
        let foreign = Foreign::open(&path, dir.path()).unwrap();
        assert_eq!(foreign.all("SELECT x FROM t", [], |row| row.get::<_, i64>(0)).unwrap(), [7]);
        assert!(foreign.has("t", "x").unwrap() && !foreign.has("t", "y").unwrap());
        drop(foreign);
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no file was made");
    }

    #[test]
    fn what_is_only_in_the_log_is_read_from_a_copy() {
        let dir = tempfile::tempdir().unwrap();
        let (path, aside) = (dir.path().join("store.sqlite"), tempfile::tempdir().unwrap());
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (7)").unwrap();
        let log = fs::read(beside(&path, "-wal")).unwrap();
        let foreign = Foreign::open(&path, aside.path()).unwrap();
        let other = dir.path().join("other.sqlite");
        let other_writer = Connection::open(&other).unwrap();
        other_writer.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (8)").unwrap();
        let beside_it = Foreign::open(&other, aside.path()).unwrap();
        for (open, expected) in [(&foreign, 7), (&beside_it, 8)] {
            assert_eq!(open.all("SELECT x FROM t", [], |row| row.get::<_, i64>(0)).unwrap(), [expected]);
        }
        drop((foreign, beside_it));
        assert_eq!(fs::read_dir(aside.path()).unwrap().count(), 0, "the copy is gone");
        assert_eq!(fs::read(beside(&path, "-wal")).unwrap(), log, "the log is untouched");
    }

    #[test]
    fn a_file_that_is_missing_or_no_database_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.sqlite");
        assert!(Foreign::open(&path, dir.path()).err().unwrap().to_string().contains("not there"));
        fs::write(&path, [b'x'; 5000]).unwrap();
        let foreign = Foreign::open(&path, dir.path()).unwrap();
        let said = foreign.all("SELECT 1 FROM t", [], |_| Ok(())).unwrap_err().to_string();
        assert!(said.contains("store.sqlite") && said.contains("not a database"), "{said}");
    }
}
