//! Bounds of the database and blobs.

use std::time::Duration;

/// Writes that may wait for the writer; one more answers "busy". At 1,500 writes a second this is less than a second.
pub const WRITE_QUEUE: usize = 1024;

/// Writes that share one transaction and one flush. More would only add to the wait of the first.
pub const GROUP_MAX: usize = 64;

/// Read connections per pool, whatever the number of cores: each costs a page cache.
pub const READERS_MAX: usize = 8;

/// Page cache of the write connection in KiB: the inner pages of every tree that a busy hour touches.
pub const WRITER_CACHE_KIB: u32 = 16 * 1024;

/// Page cache of each read connection in KiB. The operating system's cache stands behind it.
pub const READER_CACHE_KIB: u32 = 2 * 1024;

/// Statements that each connection keeps prepared: more than there are in the source.
pub const STATEMENT_CACHE: usize = 160;

/// How long a connection waits for another process's lock (a backup tool) before it gives up.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Groups after which the checkpointer copies the write-ahead log into the database.
pub const CHECKPOINT_GROUPS: u64 = 256;

/// How often the checkpointer looks when fewer groups were written.
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(2);

/// Pages of write-ahead log above which the writer itself copies the rest, so that the log starts again from its
/// beginning: 32 MiB of 4 KiB pages.
pub const WAL_PAGES: i64 = 8192;

/// Bytes to which the write-ahead log's file is cut when it starts again, and above which every write helps to copy it;
/// at twice as much writes wait for that.
pub const WAL_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// MST nodes kept in memory, in bytes: the upper nodes and right edges of about a thousand active repositories.
pub const NODE_CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Heads kept in memory, in accounts (about 150 bytes each).
pub const HEAD_CACHE: usize = 50_000;

/// Handles whose DIDs are kept in memory, at about 200 bytes each.
pub const HANDLE_CACHE: usize = 10_000;

/// Collection names kept in memory.
pub const COLLECTION_CACHE: usize = 4096;

/// Recent events kept in memory for live subscribers, in bytes.
pub const EVENT_RING_BYTES: usize = 8 * 1024 * 1024;

/// Recent events kept in memory for live subscribers, in events.
pub const EVENT_RING_COUNT: usize = 8192;

/// Bytes after which a page of stored events ends.
pub const EVENT_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Bytes after which a page of an export ends; a block that begins before goes out whole.
pub const EXPORT_PAGE_BYTES: usize = 512 * 1024;

/// Rows that one slice of background work removes, so that no other write waits longer than a few milliseconds.
pub const SWEEP_SLICE: usize = 200;

/// Blob files that one slice unlinks.
pub const UNLINK_SLICE: usize = 32;

/// Blob directories that one sweep compares with the rows; there are 1,024 and they take turns.
pub const SWEEP_DIRECTORIES: usize = 64;

/// Bytes of a blob that are kept for sniffing its type.
pub const BLOB_HEAD_BYTES: usize = 4096;

/// Bytes of an upload that are collected before they are hashed and written together, while more arrive.
pub const BLOB_BUFFER_BYTES: usize = 128 * 1024;

/// Wrong tries after which a mailed code is dead.
pub const CODE_ATTEMPTS: i64 = 5;

/// Uses of an invite code that a listing shows.
pub const INVITE_USES_SHOWN: usize = 500;

/// Rows that an audit reads at once: of records of ordinary size less than a megabyte.
pub const AUDIT_PAGE_ROWS: usize = 1_000;

/// Problems that an audit spells out; further ones are only counted.
pub const AUDIT_PROBLEMS: usize = 1_000;

/// What an audit reads of a blob's file at once, in bytes.
pub const AUDIT_BLOB_BYTES: usize = 256 * 1024;
