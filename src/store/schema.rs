//! The file and its schema: directory, lock, pragmas, migrations.

use std::{
    cmp::Ordering,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

use super::{Durability, OpenError, StoreError, sql::failed};
use crate::limits::store::{BUSY_TIMEOUT, STATEMENT_CACHE, WAL_FILE_BYTES, WRITER_CACHE_KIB};

/// The migrations in order; they only go forward, and one that was released never changes.
const MIGRATIONS: &[M<'_>] = &[
    M::up(include_str!("migrations/0001_initial.sql")),
    M::up(include_str!("migrations/0002_delegation.sql")),
    M::up(include_str!("migrations/0003_states.sql")),
    M::up(include_str!("migrations/0004_community.sql")),
    M::up(include_str!("migrations/0005_import.sql")),
    M::up(include_str!("migrations/0006_security_events.sql")),
    M::up(include_str!("migrations/0007_account_usage.sql")),
    M::up(include_str!("migrations/0008_preferences.sql")),
    M::up(include_str!("migrations/0009_mail.sql")),
    M::up(include_str!("migrations/0010_did_web.sql")),
    M::up(include_str!("migrations/0011_reset_origin.sql")),
    M::up(include_str!("migrations/0012_takedown_version.sql")),
];

/// Makes the directory, refuses file systems that cannot be trusted, and takes the lock, which the returned file holds.
pub(super) fn claim(dir: &Path) -> Result<File, OpenError> {
    fs::create_dir_all(dir).map_err(|cause| cannot(dir, &cause))?;
    if let Some(kind) = network_file_system(dir) {
        return Err(OpenError::NetworkFileSystem { dir: dir.to_owned(), kind });
    }
    let path = dir.join("housekey.lock");
    let lock =
        File::options().create(true).truncate(false).write(true).open(&path).map_err(|cause| cannot(&path, &cause))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(dir.to_owned())),
        Err(TryLockError::Error(cause)) => Err(cannot(&path, &cause)),
    }
}

/// The database file of a data directory.
pub(super) fn database_path(dir: &Path) -> PathBuf {
    dir.join("housekey.sqlite")
}

/// Opens the write connection and brings the schema up to date.
pub(super) fn open_writer(path: &Path, durability: Durability) -> Result<Connection, OpenError> {
    let refused = |cause: String| OpenError::Database { path: path.to_owned(), cause };
    let mut connection = open_read_write(path, durability).map_err(|cause| refused(cause.to_string()))?;
    let found: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|cause| refused(cause.to_string()))?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    Migrations::from_slice(MIGRATIONS).to_latest(&mut connection).map_err(|cause| refused(cause.to_string()))?;
    Ok(connection)
}

/// Whether a database that is only read has the schema that this program knows: reading cannot migrate.
pub(super) fn require_current(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let refused = |cause: String| OpenError::Database { path: path.to_owned(), cause };
    let found: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|cause| refused(cause.to_string()))?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    match found.cmp(&known) {
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(OpenError::Newer { path: path.to_owned(), found, known }),
        Ordering::Less => Err(refused(format!(
            "it has schema version {found} and this program reads version {known}: start the server once, which upgrades it"
        ))),
    }
}

/// A connection that may write: the writer's and the checkpointer's.
pub(super) fn open_read_write(path: &Path, durability: Durability) -> Result<Connection, StoreError> {
    let connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::Process => "OFF",
    };
    connection
        .execute_batch(&format!(
            "PRAGMA page_size = 4096;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = {synchronous};
             PRAGMA wal_autocheckpoint = 0;
             PRAGMA journal_size_limit = {WAL_FILE_BYTES};
             PRAGMA cache_size = -{WRITER_CACHE_KIB};
             PRAGMA temp_store = MEMORY;
             PRAGMA trusted_schema = OFF;"
        ))
        .map_err(failed)?;
    Ok(connection)
}

fn cannot(path: &Path, cause: &std::io::Error) -> OpenError {
    OpenError::File { path: path.to_owned(), cause: cause.to_string() }
}

/// The network file systems that are surely recognised. FUSE hides what is behind it, so it passes.
#[cfg(target_os = "linux")]
fn network_file_system(dir: &Path) -> Option<&'static str> {
    let kind = rustix::fs::statfs(dir).ok()?.f_type;
    network_file_system_of(kind & 0xffff_ffff)
}

#[cfg(not(target_os = "linux"))]
fn network_file_system(_dir: &Path) -> Option<&'static str> {
    None
}

/// The magic numbers of statfs(2).
fn network_file_system_of(magic: i64) -> Option<&'static str> {
    match magic {
        0x6969 => Some("NFS"),
        0x517b | 0xfe53_4d42 | 0xff53_4d42 => Some("SMB"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x7375_7245 => Some("Coda"),
        0x564c => Some("NCP"),
        0x0102_1997 => Some("9P"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_write_connection_flushes_fully_and_never_checkpoints_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let full = open_writer(&database_path(dir.path()), Durability::Full).unwrap();
        let pragma = |conn: &Connection, name: &str| {
            conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap()
        };
        assert_eq!(pragma(&full, "synchronous"), 2.into());
        assert_eq!(pragma(&full, "journal_mode"), "wal".to_owned().into());
        assert_eq!(pragma(&full, "wal_autocheckpoint"), 0.into());
        drop(full);
        let process = open_writer(&database_path(dir.path()), Durability::Process).unwrap();
        assert_eq!(pragma(&process, "synchronous"), 0.into());
    }

    #[test]
    fn the_migrations_are_valid_and_every_table_is_strict() {
        Migrations::from_slice(MIGRATIONS).validate().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let conn = open_writer(&database_path(dir.path()), Durability::Process).unwrap();
        let loose: i64 = conn
            .query_row(
                "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict = 0
                 AND name NOT LIKE 'sqlite_%'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(loose, 0);
    }

    #[test]
    fn a_newer_database_is_refused_in_words() {
        let dir = tempfile::tempdir().unwrap();
        let path = database_path(dir.path());
        open_writer(&path, Durability::Process).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
        let refused = open_writer(&path, Durability::Process).unwrap_err();
        assert!(matches!(refused, OpenError::Newer { found: 99, .. }));
        assert!(refused.to_string().contains("run the newer Housekey"), "{refused}");
    }

    #[test]
    fn a_file_that_is_no_database_is_refused_in_words() {
        let dir = tempfile::tempdir().unwrap();
        let path = database_path(dir.path());
        fs::write(&path, [b'x'; 9000]).unwrap();
        let refused = open_writer(&path, Durability::Process).unwrap_err();
        assert!(refused.to_string().contains("not a database"), "{refused}");
    }

    #[test]
    fn network_file_systems_are_recognised_and_local_ones_pass() {
        assert_eq!(network_file_system_of(0x6969), Some("NFS"));
        assert_eq!(network_file_system_of(0xff53_4d42), Some("SMB"));
        assert_eq!(network_file_system_of(0xef53), None);
        let dir = tempfile::tempdir().unwrap();
        assert!(claim(dir.path()).is_ok());
    }

    /// What a released program wrote, before any later migration: every table of the first one has rows.
    fn filled_first_version(path: &Path) -> Vec<(String, Vec<String>)> {
        let conn = open_read_write(path, Durability::Process).unwrap();
        conn.execute_batch(include_str!("migrations/0001_initial.sql")).unwrap();
        conn.execute_batch("PRAGMA user_version = 1; DELETE FROM counters;").unwrap();
        let tables = names(&conn, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
        let mut filled = Vec::new();
        for table in tables {
            let columns = names(&conn, &format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid"));
            let types = names(&conn, &format!("SELECT type FROM pragma_table_info('{table}') ORDER BY cid"));
            for row in 1..=3 {
                let value = |kind: &String| match kind.as_str() {
                    "INTEGER" => row.to_string(),
                    "TEXT" => format!("'text {row}'"),
                    _ => format!("x'{}'", format!("{row:02x}").repeat(32)),
                };
                let values: Vec<String> = types.iter().map(value).collect();
                conn.execute(&format!("INSERT INTO {table} VALUES ({})", values.join(", ")), []).unwrap();
            }
            filled.push((table, columns));
        }
        filled
    }

    fn names(conn: &Connection, query: &str) -> Vec<String> {
        let mut statement = conn.prepare(query).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn contents(conn: &Connection, table: &str, columns: &[String]) -> Vec<String> {
        let shown: Vec<String> = columns.iter().map(|column| format!("quote({column})")).collect();
        let shown = shown.join(" || ' ' || ");
        names(conn, &format!("SELECT {shown} FROM {table} ORDER BY 1"))
    }

    #[test]
    fn a_filled_database_of_the_first_version_comes_through_every_migration_with_all_its_rows() {
        let dir = tempfile::tempdir().unwrap();
        let path = database_path(dir.path());
        let filled = filled_first_version(&path);
        assert!(filled.len() > 15, "{filled:?}");
        let before: Vec<Vec<String>> = {
            let conn = Connection::open(&path).unwrap();
            filled.iter().map(|(table, columns)| contents(&conn, table, columns)).collect()
        };
        assert!(before.iter().all(|rows| rows.len() == 3));
        let conn = open_writer(&path, Durability::Process).unwrap();
        for ((table, columns), before) in filled.iter().zip(before) {
            // By their places: a migration may give a column another name.
            let now = names(&conn, &format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid"));
            assert_eq!(contents(&conn, table, &now[..columns.len()]), before, "{table}");
        }
        let version: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(usize::try_from(version).unwrap(), MIGRATIONS.len());
        assert_eq!(names(&conn, "PRAGMA integrity_check"), ["ok"]);
    }
}
